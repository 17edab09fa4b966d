//! What the operator sets of the sandbox. The defaults are for one machine with a few thousand live
//! agents; `docs/sandbox.md` has the table.

use caxton_core::manifest::SandboxProfile;
use caxton_engine::port::{Clock, Entropy, SystemClock, SystemEntropy};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// Where components are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// On a thread of this process, without limits on memory: for tests and tools that compile what
    /// they trust.
    InProcess,
    /// In a child process under resource limits: `program` with `args` must end in
    /// [`crate::compile::worker_main`].
    Child {
        program: PathBuf,
        args: Vec<OsString>,
    },
}

/// The sandbox's options.
#[derive(Clone)]
pub struct Options {
    /// Where compiled code is kept between starts; absent: nowhere.
    pub cache_dir: Option<PathBuf>,
    /// Authenticates what is in `cache_dir`; see [`crate::load_or_create_cache_key`].
    pub cache_key: [u8; 32],
    /// Compiled code on disk, all together; the least recently used goes first.
    pub cache_bytes_max: u64,
    pub compiler: Compiler,
    /// Compilations at one time; more wait.
    pub compilations_max: usize,
    pub compile_time_ms_max: u64,
    /// Address space of one compilation.
    pub compile_memory_bytes_max: u64,
    /// Largest component.
    pub component_bytes_max: usize,
    /// Functions of one component, its modules together.
    pub functions_max: u32,
    /// Instances that may live at one time. An instance has six memory mappings, of which Linux gives
    /// a process 65,530 (`vm.max_map_count`): about 8,900 are the most without raising that, and the
    /// server says at its start where it takes fewer than asked for.
    pub instances_live_max: u32,
    /// A guest yields its thread after this much fuel.
    pub fuel_yield: u64,
    /// What WASI's clocks show: the engine's own, so that both ways to ask tell the same time.
    pub clock: Arc<dyn Clock>,
    /// Where WASI's random bytes come from.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_dir: None,
            cache_key: [0; 32],
            cache_bytes_max: 4 << 30,
            compiler: Compiler::InProcess,
            compilations_max: 2,
            compile_time_ms_max: 120_000,
            compile_memory_bytes_max: 4 << 30,
            component_bytes_max: 64 << 20,
            functions_max: 50_000,
            instances_live_max: INSTANCES_LIVE_MAX,
            fuel_yield: FUEL_YIELD,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }
}

/// What a tool in the sandbox may use, whoever calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOptions {
    pub profile: SandboxProfile,
    /// Linear memory of one call's instance, all memories together, in bytes.
    pub memory_bytes_max: u64,
    /// Entries of its tables, all together.
    pub table_elements_max: u32,
    /// WebAssembly fuel of one call: about one unit an instruction.
    pub fuel_per_call_max: u64,
    /// Milliseconds of a processor that one call may take; the time it may last is the caller's to say.
    pub busy_ms_max: u64,
    /// Calls that run at one time; more wait, within their own time.
    pub calls_at_once_max: usize,
    /// Components that are kept ready to be called; the least recently called goes first.
    pub ready_max: usize,
}

impl Default for ToolOptions {
    fn default() -> Self {
        Self {
            profile: SandboxProfile::Default,
            memory_bytes_max: 64 << 20,
            table_elements_max: 100_000,
            fuel_per_call_max: 1_000_000_000,
            busy_ms_max: 5_000,
            calls_at_once_max: 256,
            ready_max: 256,
        }
    }
}

impl ToolOptions {
    /// Every number with its bounds: name, value, least, most.
    pub fn bounds(&self) -> [(&'static str, u64, u64, u64); 6] {
        [
            (
                "memory_bytes_max",
                self.memory_bytes_max,
                65_536,
                4_u64 << 30,
            ),
            (
                "table_elements_max",
                u64::from(self.table_elements_max),
                0,
                10_000_000,
            ),
            (
                "fuel_per_call_max",
                self.fuel_per_call_max,
                10_000,
                1_000_000_000_000,
            ),
            ("busy_ms_max", self.busy_ms_max, 1, 600_000),
            (
                "calls_at_once_max",
                self.calls_at_once_max as u64,
                1,
                100_000,
            ),
            ("ready_max", self.ready_max as u64, 1, 100_000),
        ]
    }
}

/// Default of [`Options::instances_live_max`]: what fits without raising the machine's limit.
const INSTANCES_LIVE_MAX: u32 = 8_900;

/// Default of [`Options::fuel_yield`]: about 0.1 ms of computing. A yield costs about a microsecond
/// (leaving the fiber, the scheduler's queue, coming back), so 1 % of the guest's time; and a
/// message beside ten endless loops waits about a millisecond.
pub const FUEL_YIELD: u64 = 200_000;

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("cache_dir", &self.cache_dir)
            .field("compiler", &self.compiler)
            .field("instances_live_max", &self.instances_live_max)
            .finish_non_exhaustive()
    }
}
