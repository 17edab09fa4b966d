//! The options of calls: those from outside, and when what is ill is left alone.

use super::options::ms;
use caxton_core::breaker;
use caxton_engine::jobs;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR_MS: u64 = 3_600_000;

/// A number with its key, and the least and most that it may be.
type Bound = (&'static str, u64, u64, u64);

/// `[breaker]`: see `caxton_core::breaker::Options`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    pub failures_max: u32,
    pub forget_after_ms: u64,
    pub open_for_ms: u64,
    pub open_for_ms_max: u64,
    pub retry_after_ms_max: u64,
    pub trials_max: u32,
    pub successes_min: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        let owner = breaker::Options::default();
        Self {
            failures_max: owner.failures_max,
            forget_after_ms: ms(owner.forget_after),
            open_for_ms: ms(owner.open_for),
            open_for_ms_max: ms(owner.open_for_max),
            retry_after_ms_max: ms(owner.retry_after_max),
            trials_max: owner.half_open_max,
            successes_min: owner.successes_min,
        }
    }
}

impl Breaker {
    /// The breakers' own options.
    pub fn options(&self) -> breaker::Options {
        breaker::Options {
            failures_max: self.failures_max,
            forget_after: Duration::from_millis(self.forget_after_ms),
            open_for: Duration::from_millis(self.open_for_ms),
            open_for_max: Duration::from_millis(self.open_for_ms_max),
            retry_after_max: Duration::from_millis(self.retry_after_ms_max),
            half_open_max: self.trials_max,
            successes_min: self.successes_min,
            ..breaker::Options::default()
        }
    }

    pub(super) fn bounds(&self) -> Vec<Bound> {
        let failures = u64::from(self.failures_max);
        let trials = u64::from(self.trials_max);
        let successes = u64::from(self.successes_min);
        // A pause that cannot grow is meant; one whose most is less than its least is not.
        let open_min = self.open_for_ms;
        vec![
            ("breaker.failures_max", failures, 1, 1_000),
            ("breaker.forget_after_ms", self.forget_after_ms, 1, HOUR_MS),
            ("breaker.open_for_ms", self.open_for_ms, 1, HOUR_MS),
            (
                "breaker.open_for_ms_max",
                self.open_for_ms_max,
                open_min,
                HOUR_MS,
            ),
            (
                "breaker.retry_after_ms_max",
                self.retry_after_ms_max,
                0,
                HOUR_MS,
            ),
            ("breaker.trials_max", trials, 1, 1_000),
            ("breaker.successes_min", successes, 1, 1_000),
        ]
    }
}

/// `[jobs]`: see `caxton_engine::jobs::Options`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    pub retry_first_ms: u64,
    pub retry_ms_max: u64,
    pub open_max: usize,
    pub kept_hours: u64,
    pub kept_max: u64,
    pub kept_bytes_max: u64,
}

impl Default for Jobs {
    fn default() -> Self {
        let owner = jobs::Options::default();
        Self {
            retry_first_ms: ms(owner.retry_first),
            retry_ms_max: ms(owner.retry_max),
            open_max: owner.open_max,
            kept_hours: owner.kept_for.as_secs() / 3600,
            kept_max: owner.kept_max,
            kept_bytes_max: owner.kept_bytes_max,
        }
    }
}

impl Jobs {
    /// The jobs' own options.
    pub fn options(&self) -> jobs::Options {
        jobs::Options {
            retry_first: Duration::from_millis(self.retry_first_ms),
            retry_max: Duration::from_millis(self.retry_ms_max),
            open_max: self.open_max,
            kept_for: Duration::from_secs(self.kept_hours * 3600),
            kept_max: self.kept_max,
            kept_bytes_max: self.kept_bytes_max,
            ..jobs::Options::default()
        }
    }

    pub(super) fn bounds(&self) -> Vec<Bound> {
        let retry_min = self.retry_first_ms;
        vec![
            ("jobs.retry_first_ms", self.retry_first_ms, 1, HOUR_MS),
            ("jobs.retry_ms_max", self.retry_ms_max, retry_min, HOUR_MS),
            ("jobs.open_max", self.open_max as u64, 1, 1_000_000),
            ("jobs.kept_hours", self.kept_hours, 1, 24 * 3660),
            ("jobs.kept_max", self.kept_max, 1, 10_000_000),
            ("jobs.kept_bytes_max", self.kept_bytes_max, 1 << 20, 1 << 44),
        ]
    }
}
