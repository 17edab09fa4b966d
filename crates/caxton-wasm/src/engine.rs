//! wasmtime's configuration: one for compiling and running, so that code compiled in a child process
//! loads here. The two sandbox profiles differ in what [`crate::validate`] admits, not in code, so
//! they share one engine and one pool of instances.

use crate::options::Options;
use crate::{mappings, meter};
use caxton_core::error::{Code, Error};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmFeatures};

/// Deepest stack of a guest. Its host calls run on the rest of the fiber's stack.
const STACK_BYTES_MAX: usize = 512 << 10;
/// Address space of a fiber's stack.
const FIBER_BYTES: usize = 2 << 20;
/// Address space of a linear memory: all that 32 bits reach, so that compiled code needs no bounds
/// checks. What an agent may use of it is `memory_bytes_max`.
const MEMORY_RESERVATION: u64 = 4 << 30;
/// Elements a table's slot has address space for: the most that `table_elements_max` may be.
const TABLE_ELEMENTS_MAX: usize = 10_000_000;
/// Bytes of an instance's own data (globals, imports, tables of functions), all its modules together.
const INSTANCE_BYTES_MAX: usize = 4 << 20;
/// Bytes of a dropped instance's memory that are cleared by writing instead of by giving the pages
/// back. None: these would be the lowest, which few guests touch. wasmtime can ask the kernel which pages
/// were touched (`pagemap_scan`) and clear only those, which would save an activation a quarter; but it
/// takes a page that is swapped out or being moved at that moment for untouched, and the next guest of
/// that place would find it.
const KEEP_RESIDENT_BYTES: usize = 0;
/// The same of each table: those of ordinary agents have a few hundred elements, and giving their page
/// back interrupts the other processors as much as giving back a memory does. A small component's places
/// keep 12 KiB that way once they were used.
const TABLE_KEEP_RESIDENT_BYTES: usize = 4 << 10;
/// Fewest instances a pool is tried with where address space is scarce.
const INSTANCES_MIN: u32 = 64;

/// The configuration that compiled code depends on. Whoever changes it invalidates the cache by
/// itself: its hash is part of the file's name.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .consume_fuel(true)
        .operator_cost(meter::operator_cost())
        .max_wasm_stack(STACK_BYTES_MAX)
        .async_stack_size(FIBER_BYTES)
        .memory_reservation(MEMORY_RESERVATION)
        .memory_may_move(false)
        .memory_init_cow(true)
        .generate_address_map(false)
        // Only for debuggers; it makes code larger and its loading slower.
        .native_unwind_info(false);
    // Whatever the validator let through by mistake, the compiler refuses.
    for feature in FORBIDDEN {
        config.wasm_features(feature, false);
    }
    config
}

/// Features that neither profile has. Multi-memory is none of them: wasmtime's own adapters between the
/// parts of a composed component use it. The validator alone keeps it from guests.
const FORBIDDEN: [WasmFeatures; 7] = [
    WasmFeatures::SIMD,
    WasmFeatures::RELAXED_SIMD,
    WasmFeatures::THREADS,
    WasmFeatures::MEMORY64,
    WasmFeatures::TAIL_CALL,
    WasmFeatures::CUSTOM_PAGE_SIZES,
    WasmFeatures::WIDE_ARITHMETIC,
];

/// An engine that only compiles.
pub(crate) fn compiler() -> Result<Engine, Error> {
    Engine::new(&config()).map_err(|error| failed(&error))
}

/// The engine that runs guests, and how many instances it can have live at a time. Where the machine
/// does not give the mappings, or the address space (about 4 GiB each, not memory), for as many as
/// asked for, it takes fewer and says so.
pub(crate) fn running(options: &Options) -> Result<(Engine, u32), Error> {
    let wanted = options.instances_live_max.max(1);
    let limit = mappings::limit();
    let mut instances = mappings::instances_max(wanted, limit);
    if instances < wanted {
        tracing::warn!(
            wanted,
            instances,
            max_map_count = limit,
            "fewer live instances than instances_live_max: the machine's vm.max_map_count is too low; \
             {} would do",
            mappings::limit_for(wanted)
        );
    }
    loop {
        let mut config = config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
        match Engine::new(&config) {
            Ok(engine) => return Ok((engine, instances)),
            Err(error) if instances > INSTANCES_MIN => {
                let fewer = (instances / 2).max(INSTANCES_MIN);
                tracing::warn!(
                    instances,
                    fewer,
                    error = %format!("{error:#}"),
                    "no address space for instances_live_max; trying with fewer"
                );
                instances = fewer;
            }
            Err(error) => return Err(failed(&error)),
        }
    }
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    // A small component has three core instances (its module and two that join it to its imports),
    // two tables and one memory; large ones more. What runs out first refuses the next instance.
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(3))
        .total_stacks(instances)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instances_per_component(count(crate::validate::CORE_INSTANCES_MAX))
        .max_memories_per_component(count(crate::validate::MEMORIES_MAX))
        .max_tables_per_component(count(crate::validate::TABLES_MAX))
        .max_tables_per_module(count(crate::validate::TABLES_MAX))
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(usize::try_from(MEMORY_RESERVATION).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES);
    pool
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn failed(error: &wasmtime::Error) -> Error {
    Error::new(
        Code::ConfigInvalid,
        format!("the WebAssembly engine did not start: {error:#}"),
    )
}
