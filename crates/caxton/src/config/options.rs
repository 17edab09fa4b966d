//! [`Config`]: every static option of the server, gathered from the crates that own them.
//!
//! Names, units and defaults are the owners'; this file only maps. `docs/configuration.md` has a row
//! for each key, and a test compares the two.

use super::audit::Audit;
use super::browser::Browser;
use super::calls::{Breaker, Jobs};
use super::doors::{Auth, Cors, Tls};
use super::models::{Egress, Llm, Provider, Secrets};
use super::sandbox_tools::SandboxTools;
use super::tools::Mcp;
use crate::folder;
use caxton_engine::port::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The static configuration of a server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub tls: Tls,
    pub auth: Auth,
    pub cors: Cors,
    pub data: Data,
    pub log: Log,
    pub store: Store,
    pub engine: Engine,
    pub jobs: Jobs,
    pub breaker: Breaker,
    pub audit: Audit,
    pub sandbox: Sandbox,
    pub sandbox_tools: SandboxTools,
    pub llm: Llm,
    pub browser: Browser,
    pub egress: Egress,
    pub secrets: Secrets,
    /// `[providers.NAME]`: the operator's, for all tenants.
    #[serde(default)]
    pub providers: BTreeMap<String, Provider>,
    /// `[mcp.NAME]`: the operator's tools, for all tenants.
    #[serde(default)]
    pub mcp: BTreeMap<String, Mcp>,
}

/// `[server]`: the door.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The one address; port 0 takes a free one.
    pub listen: String,
    /// Listen beyond loopback without TLS.
    pub insecure: bool,
    /// How long work is still taken after readiness has fallen.
    pub shutdown_delay_ms: u64,
    /// What is left after this long is not waited for when the server stops.
    pub drain_timeout_ms_max: u64,
}

/// `[data]`: where everything is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}

/// `[log]`: the server's own log, on standard error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// `[store]`: see `caxton_store::Options`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub sync: Sync,
    /// With `sync = "interval"`.
    pub sync_interval_ms: u64,
    pub queue_units_max: usize,
    pub queue_bytes_max: usize,
    pub group_units_max: usize,
    pub reader_threads: usize,
    pub queue_reads_max: usize,
    pub tenants_open_max: usize,
    /// 0: the disk decides.
    pub file_bytes_max: u64,
    pub check_at_open_bytes_max: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    Always,
    Interval,
}

/// `[engine]`: see `caxton_engine::Options`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    pub agents_max: usize,
    pub mailboxes_live_max: usize,
    pub hops_max: u16,
    pub batch_messages_max: usize,
    pub idle_linger_ms: u64,
    pub sweep_interval_ms: u64,
    pub backoff_first_ms: u64,
    pub backoff_ms_max: u64,
    pub history_hours: u64,
    pub stop_wait_ms_max: u64,
    pub watch_messages_max: usize,
}

/// `[sandbox]`: see `caxton_wasm::Options`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    pub cache_bytes_max: u64,
    pub compilations_max: usize,
    pub compile_time_ms_max: u64,
    pub compile_memory_bytes_max: u64,
    pub component_bytes_max: usize,
    pub functions_max: u32,
    pub instances_live_max: u32,
    pub fuel_yield: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7070".to_owned(),
            insecure: false,
            shutdown_delay_ms: 0,
            drain_timeout_ms_max: 30_000,
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            // A machine without a home must name a folder; the empty one is refused by `check`.
            dir: folder::default_path().unwrap_or_default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: LogLevel::Info,
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        let owner = caxton_store::Options::new("", Arc::new(SystemClock));
        Self {
            sync: Sync::Always,
            sync_interval_ms: 100,
            queue_units_max: owner.queue_units_max,
            queue_bytes_max: owner.queue_bytes_max,
            group_units_max: owner.group_units_max,
            reader_threads: owner.reader_threads,
            queue_reads_max: owner.queue_reads_max,
            tenants_open_max: owner.tenants_open_max,
            file_bytes_max: owner.file_bytes_max.unwrap_or(0),
            check_at_open_bytes_max: owner.check_at_open_bytes_max,
        }
    }
}

impl Default for Engine {
    fn default() -> Self {
        let owner = caxton_engine::Options::default();
        Self {
            agents_max: owner.agents_max,
            mailboxes_live_max: owner.mailboxes_live_max,
            hops_max: owner.hops_max,
            batch_messages_max: owner.batch_messages_max,
            idle_linger_ms: ms(owner.idle_linger),
            sweep_interval_ms: ms(owner.sweep_interval),
            backoff_first_ms: ms(owner.backoff_first),
            backoff_ms_max: ms(owner.backoff_max),
            history_hours: owner.history.as_secs() / 3600,
            stop_wait_ms_max: ms(owner.stop_wait),
            watch_messages_max: owner.watch_messages_max,
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        let owner = caxton_wasm::Options::default();
        Self {
            cache_bytes_max: owner.cache_bytes_max,
            compilations_max: owner.compilations_max,
            compile_time_ms_max: owner.compile_time_ms_max,
            compile_memory_bytes_max: owner.compile_memory_bytes_max,
            component_bytes_max: owner.component_bytes_max,
            functions_max: owner.functions_max,
            instances_live_max: owner.instances_live_max,
            fuel_yield: owner.fuel_yield,
        }
    }
}

pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Store {
    /// The store's own options, for a data folder.
    pub fn options(&self, dir: PathBuf, clock: Arc<dyn Clock>) -> caxton_store::Options {
        caxton_store::Options {
            sync: match self.sync {
                Sync::Always => caxton_store::SyncMode::Always,
                Sync::Interval => {
                    caxton_store::SyncMode::Interval(Duration::from_millis(self.sync_interval_ms))
                }
            },
            queue_units_max: self.queue_units_max,
            queue_bytes_max: self.queue_bytes_max,
            group_units_max: self.group_units_max,
            reader_threads: self.reader_threads,
            queue_reads_max: self.queue_reads_max,
            tenants_open_max: self.tenants_open_max,
            file_bytes_max: (self.file_bytes_max > 0).then_some(self.file_bytes_max),
            check_at_open_bytes_max: self.check_at_open_bytes_max,
            ..caxton_store::Options::new(dir, clock)
        }
    }
}

impl Engine {
    /// The engine's own options.
    pub fn options(&self) -> caxton_engine::Options {
        caxton_engine::Options {
            agents_max: self.agents_max,
            mailboxes_live_max: self.mailboxes_live_max,
            hops_max: self.hops_max,
            batch_messages_max: self.batch_messages_max,
            idle_linger: Duration::from_millis(self.idle_linger_ms),
            sweep_interval: Duration::from_millis(self.sweep_interval_ms),
            backoff_first: Duration::from_millis(self.backoff_first_ms),
            backoff_max: Duration::from_millis(self.backoff_ms_max),
            history: Duration::from_secs(self.history_hours * 3600),
            stop_wait: Duration::from_millis(self.stop_wait_ms_max),
            watch_messages_max: self.watch_messages_max,
            // Without a key of its own, or from elsewhere: the audit's seed is in a file beside the data.
            ..caxton_engine::Options::default()
        }
    }
}

impl Sandbox {
    /// The sandbox's own options; where code is cached and who compiles is the roof's to add.
    pub fn options(&self) -> caxton_wasm::Options {
        caxton_wasm::Options {
            cache_bytes_max: self.cache_bytes_max,
            compilations_max: self.compilations_max,
            compile_time_ms_max: self.compile_time_ms_max,
            compile_memory_bytes_max: self.compile_memory_bytes_max,
            component_bytes_max: self.component_bytes_max,
            functions_max: self.functions_max,
            instances_live_max: self.instances_live_max,
            fuel_yield: self.fuel_yield,
            ..caxton_wasm::Options::default()
        }
    }
}

impl Config {
    /// Refuses what is well-formed and makes no sense, naming the key and its bounds.
    pub fn check(&self) -> Result<(), String> {
        if self.data.dir.as_os_str().is_empty() {
            return Err("data.dir is empty; name a folder with --data or CAXTON_DATA".to_owned());
        }
        self.tls.check()?;
        self.auth.issuers()?;
        self.cors.check()?;
        self.egress.check()?;
        self.audit.options()?;
        self.sandbox_tools.check()?;
        for (name, mcp) in &self.mcp {
            mcp.check(name)?;
        }
        for (name, provider) in &self.providers {
            provider.check(name)?;
        }
        let bounds = self.bounds().into_iter();
        let bounds = bounds.chain(self.jobs.bounds());
        for (key, value, min, max) in bounds.chain(self.breaker.bounds()) {
            if !(min..=max).contains(&value) {
                return Err(format!("{key} = {value} is out of bounds: {min} to {max}"));
            }
        }
        Ok(())
    }

    /// Every number with its bounds.
    fn bounds(&self) -> Vec<(&'static str, u64, u64, u64)> {
        const HOUR_MS: u64 = 3_600_000;
        const GIB: u64 = 1 << 30;
        let (store, engine, sandbox) = (&self.store, &self.engine, &self.sandbox);
        vec![
            (
                "server.shutdown_delay_ms",
                self.server.shutdown_delay_ms,
                0,
                HOUR_MS,
            ),
            (
                "server.drain_timeout_ms_max",
                self.server.drain_timeout_ms_max,
                0,
                HOUR_MS,
            ),
            (
                "auth.failures_per_minute_max",
                u64::from(self.auth.failures_per_minute_max),
                1,
                1_000_000,
            ),
            (
                "tls.reload_interval_ms",
                self.tls.reload_interval_ms,
                100,
                24 * HOUR_MS,
            ),
            ("store.sync_interval_ms", store.sync_interval_ms, 1, 60_000),
            (
                "store.queue_units_max",
                store.queue_units_max as u64,
                1,
                1 << 20,
            ),
            (
                "store.queue_bytes_max",
                store.queue_bytes_max as u64,
                1 << 20,
                64 * GIB,
            ),
            (
                "store.group_units_max",
                store.group_units_max as u64,
                1,
                1 << 16,
            ),
            ("store.reader_threads", store.reader_threads as u64, 1, 64),
            (
                "store.queue_reads_max",
                store.queue_reads_max as u64,
                1,
                1 << 20,
            ),
            (
                "store.tenants_open_max",
                store.tenants_open_max as u64,
                1,
                4096,
            ),
            (
                "llm.first_word_timeout_ms",
                self.llm.first_word_timeout_ms,
                1,
                HOUR_MS,
            ),
            (
                "llm.silence_timeout_ms",
                self.llm.silence_timeout_ms,
                1,
                HOUR_MS,
            ),
            ("llm.calls_max", self.llm.calls_max as u64, 1, 1_000_000),
            ("engine.agents_max", engine.agents_max as u64, 1, 10_000_000),
            (
                "engine.mailboxes_live_max",
                engine.mailboxes_live_max as u64,
                1,
                1_000_000,
            ),
            ("engine.hops_max", u64::from(engine.hops_max), 1, 60_000),
            (
                "engine.batch_messages_max",
                engine.batch_messages_max as u64,
                1,
                10_000,
            ),
            (
                "engine.idle_linger_ms",
                engine.idle_linger_ms,
                0,
                24 * HOUR_MS,
            ),
            (
                "engine.sweep_interval_ms",
                engine.sweep_interval_ms,
                10,
                HOUR_MS,
            ),
            (
                "engine.backoff_first_ms",
                engine.backoff_first_ms,
                1,
                HOUR_MS,
            ),
            ("engine.backoff_ms_max", engine.backoff_ms_max, 1, HOUR_MS),
            ("engine.history_hours", engine.history_hours, 1, 24 * 3660),
            (
                "engine.stop_wait_ms_max",
                engine.stop_wait_ms_max,
                0,
                HOUR_MS,
            ),
            (
                "engine.watch_messages_max",
                engine.watch_messages_max as u64,
                1,
                1 << 20,
            ),
            (
                "sandbox.cache_bytes_max",
                sandbox.cache_bytes_max,
                0,
                1 << 44,
            ),
            (
                "sandbox.compilations_max",
                sandbox.compilations_max as u64,
                1,
                256,
            ),
            (
                "sandbox.compile_time_ms_max",
                sandbox.compile_time_ms_max,
                100,
                HOUR_MS,
            ),
            (
                "sandbox.compile_memory_bytes_max",
                sandbox.compile_memory_bytes_max,
                256 << 20,
                1 << 40,
            ),
            (
                "sandbox.component_bytes_max",
                sandbox.component_bytes_max as u64,
                1 << 10,
                GIB,
            ),
            (
                "sandbox.functions_max",
                u64::from(sandbox.functions_max),
                1,
                1_000_000,
            ),
            (
                "sandbox.instances_live_max",
                u64::from(sandbox.instances_live_max),
                1,
                1_000_000,
            ),
            ("sandbox.fuel_yield", sandbox.fuel_yield, 1_000, 1 << 40),
        ]
    }
}
