//! What calls from outside are held to. Every one has a bound or is one.

use std::time::Duration;

/// How long an invocation waits where it does not say.
pub const INVOKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a job may take where it does not say.
pub const JOB_TIMEOUT: Duration = Duration::from_secs(3600);
/// The longest a job may take.
pub const JOB_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Tries of an invocation, the first included, where it does not say.
pub const INVOKE_ATTEMPTS: u32 = 4;
/// Tries of a job, the first included, where it does not say: with the pauses between them about a
/// minute and a half.
pub const JOB_ATTEMPTS: u32 = 16;
/// Most tries that may be asked for.
pub const ATTEMPTS_MAX: u32 = 100;

/// What an operator may set of them.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first pause between two tries; doubles with each further one.
    pub retry_first: Duration,
    /// The longest pause.
    pub retry_max: Duration,
    /// Jobs of a tenant that are not over; a further one is refused with `CX-3042`.
    pub open_max: usize,
    /// How long a job is kept, from when it was submitted.
    pub kept_for: Duration,
    /// Jobs of a tenant that are kept; the oldest that are over go first.
    pub kept_max: u64,
    /// Bytes of their answers, all together; the oldest that are over go first.
    pub kept_bytes_max: u64,
    /// How often old jobs are looked for.
    pub sweep_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retry_first: Duration::from_millis(100),
            retry_max: Duration::from_secs(10),
            open_max: 10_000,
            kept_for: Duration::from_secs(7 * 24 * 3600),
            kept_max: 10_000,
            kept_bytes_max: 1 << 30,
            sweep_every: Duration::from_secs(60),
        }
    }
}
