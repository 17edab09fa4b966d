//! The options of the audit.

use caxton_engine::audit::{AuditOptions, REPORT_EVERY_MIN, RETENTION_MIN};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest duration that may be given: a hundred years.
const DAYS_MAX: u64 = 36_500;
const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

/// `[audit]`: see `caxton_engine::audit::AuditOptions`. An empty duration is none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    pub retention: String,
    pub report_every: String,
    /// Empty: `audit-reports` in the data folder.
    pub report_folder: String,
}

impl Audit {
    /// The engine's own options.
    ///
    /// # Errors
    /// What is no duration, or out of its bounds, by its key.
    pub fn options(&self) -> Result<AuditOptions, String> {
        self.report_every()?;
        Ok(AuditOptions {
            retention: duration("audit.retention", &self.retention, RETENTION_MIN)?,
            reports: None,
        })
    }

    /// How often a report is written, if it is.
    ///
    /// # Errors
    /// As [`Audit::options`].
    pub fn report_every(&self) -> Result<Option<Duration>, String> {
        duration("audit.report_every", &self.report_every, REPORT_EVERY_MIN)
    }
}

/// A duration of whole days or hours, such as `400d` or `36h`.
fn duration(key: &str, text: &str, least: Duration) -> Result<Option<Duration>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let unit = |unit: char, seconds: u64| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs(count.checked_mul(seconds)?))
    };
    let read = unit('d', DAY.as_secs()).or_else(|| unit('h', HOUR.as_secs()));
    let longest = Duration::from_secs(DAYS_MAX * DAY.as_secs());
    let read = read.filter(|it| (least..=longest).contains(it));
    read.map(Some).ok_or_else(|| {
        let least = match least.as_secs() / DAY.as_secs() {
            0 => format!("{}h", least.as_secs() / HOUR.as_secs()),
            days => format!("{days}d"),
        };
        format!(
            "{key} = `{text}` is no duration of at least {least} and at most {DAYS_MAX}d, such as 400d or 36h"
        )
    })
}
