//! Limits: what one agent, one message and one server may use. Every bound has a name here or
//! beside the one thing it bounds; the mechanisms that enforce them live in engine and wasm.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An agent's limits: `[limits]` in `agent.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of one instance, all memories together, in bytes.
    pub memory_bytes_max: u64,
    /// WebAssembly fuel (about one unit an instruction; host calls are charged too) per message.
    pub fuel_per_message_max: u64,
    /// Time on a processor for one message, in milliseconds; waiting for calls is not counted.
    pub handle_timeout_ms_max: u64,
    /// Time one handler may wait for calls, all together, in milliseconds.
    pub wait_timeout_ms_max: u64,
    /// Largest message the agent takes or sends, content and parameters, in bytes.
    pub message_bytes_max: u64,
    /// Unhandled messages in one mailbox.
    pub mailbox_messages_max: u32,
    /// Entries of one instance's tables, all together.
    pub table_elements_max: u32,
    /// Messages one handler may send.
    pub sends_per_message_max: u32,
    /// Calls one handler may make and wait for.
    pub calls_per_message_max: u32,
    /// Host calls of any kind in one handler.
    pub host_calls_per_message_max: u32,
    /// Largest value of one state key, in bytes.
    pub state_value_bytes_max: u64,
    /// Bytes of state one handler may write, keys and values.
    pub state_writes_bytes_max: u64,
    /// Longest line of the agent's log, in bytes; longer ones are cut and marked.
    pub log_line_bytes_max: u32,
    /// Bytes of log one handler may write; the rest is dropped and counted.
    pub log_bytes_per_message_max: u64,
    /// Live mailboxes (and so instances) of this agent at one time.
    pub mailboxes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 64 << 20,
            fuel_per_message_max: 100_000_000,
            handle_timeout_ms_max: 5_000,
            wait_timeout_ms_max: 120_000,
            message_bytes_max: 1 << 20,
            mailbox_messages_max: 1024,
            table_elements_max: 100_000,
            sends_per_message_max: 1024,
            calls_per_message_max: 64,
            host_calls_per_message_max: 100_000,
            state_value_bytes_max: 1 << 20,
            state_writes_bytes_max: 16 << 20,
            log_line_bytes_max: 16 << 10,
            log_bytes_per_message_max: 256 << 10,
            mailboxes_max: 10_000,
        }
    }
}

impl Limits {
    pub fn handle_timeout(&self) -> Duration {
        Duration::from_millis(self.handle_timeout_ms_max)
    }

    pub fn wait_timeout(&self) -> Duration {
        Duration::from_millis(self.wait_timeout_ms_max)
    }

    /// Each limit with its name, value and the bounds the server allows for it.
    pub fn bounds(&self) -> [(&'static str, u64, u64, u64); 15] {
        [
            ("memory_bytes_max", self.memory_bytes_max, 65_536, 4 << 30),
            (
                "fuel_per_message_max",
                self.fuel_per_message_max,
                10_000,
                1_000_000_000_000,
            ),
            (
                "handle_timeout_ms_max",
                self.handle_timeout_ms_max,
                1,
                600_000,
            ),
            (
                "wait_timeout_ms_max",
                self.wait_timeout_ms_max,
                1,
                86_400_000,
            ),
            ("message_bytes_max", self.message_bytes_max, 256, 64 << 20),
            (
                "mailbox_messages_max",
                u64::from(self.mailbox_messages_max),
                1,
                1_000_000,
            ),
            (
                "table_elements_max",
                u64::from(self.table_elements_max),
                0,
                10_000_000,
            ),
            (
                "sends_per_message_max",
                u64::from(self.sends_per_message_max),
                0,
                100_000,
            ),
            (
                "calls_per_message_max",
                u64::from(self.calls_per_message_max),
                0,
                10_000,
            ),
            (
                "host_calls_per_message_max",
                u64::from(self.host_calls_per_message_max),
                1,
                100_000_000,
            ),
            (
                "state_value_bytes_max",
                self.state_value_bytes_max,
                0,
                64 << 20,
            ),
            (
                "state_writes_bytes_max",
                self.state_writes_bytes_max,
                0,
                256 << 20,
            ),
            (
                "log_line_bytes_max",
                u64::from(self.log_line_bytes_max),
                64,
                1 << 20,
            ),
            (
                "log_bytes_per_message_max",
                self.log_bytes_per_message_max,
                0,
                64 << 20,
            ),
            ("mailboxes_max", u64::from(self.mailboxes_max), 1, 1_000_000),
        ]
    }
}

/// Longest key of an agent's state, in bytes.
pub const STATE_KEY_BYTES_MAX: usize = 512;
/// Most keys one `state.keys` call gives.
pub const STATE_KEYS_PAGE_MAX: u32 = 1000;
/// Timers one mailbox may have at a time.
pub const TIMERS_PER_MAILBOX_MAX: usize = 256;
/// Longest delay of a timer: one year.
pub const TIMER_DELAY_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longest name of a timer or of a guest's metric, in bytes.
pub const GUEST_NAME_BYTES_MAX: usize = 63;
/// Metrics of its own one agent may have.
pub const GUEST_METRICS_MAX: usize = 64;
/// Most random bytes one host call gives.
pub const RANDOM_BYTES_MAX: u32 = 65_536;
