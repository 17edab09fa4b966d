//! The options of browsers, which sessions have where there is one on this machine.

use caxton_tools::builtin::browser::Options;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[browser]`: see `caxton_tools::builtin::browser::Options`. An empty path is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Browser {
    pub program: PathBuf,
    pub sandbox: bool,
    pub browsers_max: usize,
    pub browsers_per_tenant_max: usize,
    pub idle_timeout_ms: u64,
    pub memory_bytes_max: u64,
    pub cpu_seconds_max: u64,
}

impl Default for Browser {
    fn default() -> Self {
        let owner = Options::default();
        Self {
            program: PathBuf::new(),
            sandbox: owner.sandbox,
            browsers_max: owner.browsers_max,
            browsers_per_tenant_max: owner.browsers_per_tenant_max,
            idle_timeout_ms: super::options::ms(owner.idle_timeout),
            memory_bytes_max: owner.memory_bytes_max,
            cpu_seconds_max: owner.cpu_seconds_max,
        }
    }
}

impl Browser {
    /// The owner's options.
    pub fn options(&self) -> Options {
        Options {
            program: Some(self.program.clone()).filter(|it| !it.as_os_str().is_empty()),
            sandbox: self.sandbox,
            browsers_max: self.browsers_max,
            browsers_per_tenant_max: self.browsers_per_tenant_max,
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            memory_bytes_max: self.memory_bytes_max,
            cpu_seconds_max: self.cpu_seconds_max,
        }
    }
}
