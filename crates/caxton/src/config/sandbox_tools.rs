//! The options of tools that are components.

use caxton_core::manifest::SandboxProfile;
use caxton_wasm::ToolOptions;
use serde::{Deserialize, Serialize};

/// `[sandbox_tools]`: see `caxton_wasm::ToolOptions`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxTools {
    pub profile: SandboxProfile,
    pub memory_bytes_max: u64,
    pub table_elements_max: u32,
    pub fuel_per_call_max: u64,
    pub busy_ms_max: u64,
    pub calls_at_once_max: usize,
    pub ready_max: usize,
}

impl Default for SandboxTools {
    fn default() -> Self {
        let owner = ToolOptions::default();
        Self {
            profile: owner.profile,
            memory_bytes_max: owner.memory_bytes_max,
            table_elements_max: owner.table_elements_max,
            fuel_per_call_max: owner.fuel_per_call_max,
            busy_ms_max: owner.busy_ms_max,
            calls_at_once_max: owner.calls_at_once_max,
            ready_max: owner.ready_max,
        }
    }
}

impl SandboxTools {
    /// The owner's options.
    pub fn options(&self) -> ToolOptions {
        ToolOptions {
            profile: self.profile,
            memory_bytes_max: self.memory_bytes_max,
            table_elements_max: self.table_elements_max,
            fuel_per_call_max: self.fuel_per_call_max,
            busy_ms_max: self.busy_ms_max,
            calls_at_once_max: self.calls_at_once_max,
            ready_max: self.ready_max,
        }
    }

    /// Refuses a number out of its bounds, naming the key.
    pub fn check(&self) -> Result<(), String> {
        for (key, value, min, max) in self.options().bounds() {
            if !(min..=max).contains(&value) {
                return Err(format!(
                    "sandbox_tools.{key} = {value} is out of bounds: {min} to {max}"
                ));
            }
        }
        Ok(())
    }
}
