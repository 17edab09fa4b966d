//! What an operator may set of the audit.

use super::Reports;
use std::time::Duration;

/// The shortest retention: an audit that forgets sooner shows nothing.
pub const RETENTION_MIN: Duration = Duration::from_secs(24 * 3600);

/// See [`crate::Options::audit`].
#[derive(Clone, Debug, Default)]
pub struct AuditOptions {
    /// How long entries are kept, at least [`RETENTION_MIN`]; none: for ever.
    pub retention: Option<Duration>,
    /// What each period comes to, and where that goes; none: nowhere.
    pub reports: Option<Reports>,
}
