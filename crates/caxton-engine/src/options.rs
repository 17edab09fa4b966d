//! The engine's static settings, read once at the roof. Every one has a bound or is one.

use std::time::Duration;

/// What an operator may set of the engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Agents on this server, all tenants together.
    pub agents_max: usize,
    /// Live mailboxes (each with an instance) at a time; when it is reached the idle ones go first.
    pub mailboxes_live_max: usize,
    /// Longest chain of messages that cause each other.
    pub hops_max: u16,
    /// Messages of one mailbox handled in one wake-up and committed together.
    pub batch_messages_max: usize,
    /// How long an instance stays after its last message.
    pub idle_linger: Duration,
    /// How often idle instances are looked for.
    pub sweep_interval: Duration,
    /// The first pause after a failed try; doubles with each further one.
    pub backoff_first: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// How long handled messages are kept as history.
    pub history: Duration,
    /// How long a stop waits for the message being handled.
    pub stop_wait: Duration,
    /// Messages a slow watcher may fall behind before it misses some.
    pub watch_messages_max: usize,
    /// How long an `Idempotency-Key` is remembered.
    pub idempotency_kept: Duration,
    /// Idempotency keys remembered of one tenant; the oldest go first.
    pub idempotency_keys_max: usize,
    /// Bytes of answers kept for idempotency keys of one tenant; the oldest go first.
    pub idempotency_bytes_max: u64,
    /// The secret that heads of audit chains are signed with; none: one of this start alone.
    pub audit_seed: Option<[u8; 32]>,
    /// How long the audit is kept.
    pub audit: crate::audit::AuditOptions,
    /// When what is ill is left alone, and for how long: agents called from outside, providers of models,
    /// tools that are elsewhere.
    pub breaker: caxton_core::breaker::Options,
    /// Asking models.
    pub models: crate::models::ModelOptions,
    /// Calling tools.
    pub tools: crate::tools::ToolOptions,
    /// Calls from outside.
    pub jobs: crate::jobs::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            agents_max: 100_000,
            mailboxes_live_max: 10_000,
            hops_max: caxton_core::route::HOPS_MAX,
            batch_messages_max: 128,
            idle_linger: Duration::from_secs(10),
            sweep_interval: Duration::from_secs(1),
            backoff_first: Duration::from_millis(50),
            backoff_max: Duration::from_secs(30),
            history: Duration::from_secs(7 * 24 * 3600),
            stop_wait: Duration::from_secs(10),
            watch_messages_max: 1024,
            idempotency_kept: Duration::from_secs(24 * 3600),
            idempotency_keys_max: 10_000,
            idempotency_bytes_max: 64 << 20,
            audit_seed: None,
            audit: crate::audit::AuditOptions::default(),
            breaker: caxton_core::breaker::Options::default(),
            models: crate::models::ModelOptions::default(),
            tools: crate::tools::ToolOptions::default(),
            jobs: crate::jobs::Options::default(),
        }
    }
}
