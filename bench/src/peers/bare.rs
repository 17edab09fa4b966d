//! wasmtime alone, configured as the server configures it: the pool, copy-on-write, fuel in the code;
//! called without a host that does anything. The settings stand here a second time because the
//! server's are its own business; who changes them there changes them here.

use std::path::Path;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, OperatorCost, PoolingAllocationConfig, Store,
    WasmFeatures,
};

/// The agent's ABI with blocking calls and owned values: the least that can be called.
#[allow(
    unsafe_code,
    dead_code,
    unused_imports,
    missing_debug_implementations,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod abi {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "agent",
        imports: { default: trappable },
    });
}

use abi::caxton::agent::types;

/// Whether compiled code counts fuel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metering {
    On,
    Off,
}

/// The server's configuration; with a pool of so many instances, or for compiling only.
pub fn config(metering: Metering, instances_max: Option<u32>) -> Config {
    let mut cost = OperatorCost::new();
    cost.MemoryGrow = 255;
    cost.TableGrow = 255;
    cost.variable.memory_grow_per_page = 255;
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .consume_fuel(metering == Metering::On)
        .operator_cost(cost)
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20)
        .memory_reservation(4 << 30)
        .memory_may_move(false)
        .memory_init_cow(true)
        .generate_address_map(false);
    for feature in [
        WasmFeatures::SIMD,
        WasmFeatures::RELAXED_SIMD,
        WasmFeatures::THREADS,
        WasmFeatures::MEMORY64,
        WasmFeatures::MULTI_MEMORY,
        WasmFeatures::TAIL_CALL,
        WasmFeatures::CUSTOM_PAGE_SIZES,
        WasmFeatures::WIDE_ARITHMETIC,
    ] {
        config.wasm_features(feature, false);
    }
    if let Some(instances) = instances_max {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances.saturating_mul(8))
            .total_memories(instances)
            .total_tables(instances.saturating_mul(3))
            .total_stacks(instances)
            .max_component_instance_size(4 << 20)
            .max_core_instance_size(4 << 20)
            .table_elements(10_000_000)
            .max_memory_size(4 << 30)
            .linear_memory_keep_resident(0);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// wasmtime's error as the bench's: the one is no `std` error.
pub fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

/// A linked component.
pub struct Bare {
    pre: InstancePre<Guest>,
    exports: abi::AgentIndices,
}

/// A live instance.
pub struct Instance {
    store: Store<Guest>,
    agent: abi::Agent,
}

/// What a store of the bare host holds: how many messages its guest has sent.
#[derive(Debug, Default)]
pub struct Guest {
    sent: u64,
}

/// The engine that all bare instances share.
pub fn engine(instances_max: u32) -> wasmtime::Result<Engine> {
    Engine::new(&config(Metering::On, Some(instances_max)))
}

impl Bare {
    pub fn new(component: &Component) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(component.engine());
        linker.allow_shadowing(true);
        linker.define_unknown_imports_as_traps(component)?;
        let mut messaging = linker.instance("caxton:agent/messaging@1.0.0")?;
        messaging.func_wrap(
            "send",
            |mut store: wasmtime::StoreContextMut<'_, Guest>, (_message,): (types::Message,)| {
                let guest = store.data_mut();
                guest.sent += 1;
                // As long as the id that the server answers with.
                let id = format!("00000000-0000-7000-8000-{:012}", guest.sent);
                Ok((Ok::<String, types::Error>(id),))
            },
        )?;
        let pre = linker.instantiate_pre(component)?;
        let exports = abi::AgentIndices::new(&pre)?;
        Ok(Self { pre, exports })
    }

    /// What is compiled already, from a file.
    pub fn load(engine: &Engine, path: &Path) -> wasmtime::Result<Self> {
        // SAFETY: this process has compiled the file and nobody else writes to its folder.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize_file(engine, path) };
        Self::new(&component?)
    }

    pub fn instantiate(&self) -> wasmtime::Result<Instance> {
        let mut store = Store::new(self.pre.engine(), Guest::default());
        store.set_fuel(100_000_000)?;
        let instance = self.pre.instantiate(&mut store)?;
        let agent = self.exports.load(&mut store, &instance)?;
        Ok(Instance { store, agent })
    }
}

impl Instance {
    pub fn init(&mut self) -> wasmtime::Result<()> {
        let behavior = self.agent.caxton_agent_behavior();
        let result = behavior.call_init(&mut self.store)?;
        result.map_err(wasmtime::Error::msg)
    }

    pub fn handle(&mut self, message: &Request) -> wasmtime::Result<()> {
        let behavior = self.agent.caxton_agent_behavior();
        let result = behavior.call_handle(&mut self.store, &message.0)?;
        result.map_err(wasmtime::Error::msg)
    }
}

/// A message as [`crate::world::request`] makes them.
pub struct Request(types::Message);

impl Request {
    pub fn new(content: &[u8]) -> Self {
        let agent = |name: &str| types::AgentId {
            name: name.to_owned(),
            addresses: Vec::new(),
            resolvers: Vec::new(),
        };
        Self(types::Message {
            performative: types::Performative::Request,
            sender: Some(agent("thrower@default")),
            receivers: vec![agent("catcher@default")],
            reply_to: Vec::new(),
            content: content.to_vec(),
            language: None,
            encoding: None,
            ontology: None,
            protocol: Some("fipa-request".to_owned()),
            conversation_id: Some("bounce".to_owned()),
            reply_with: None,
            in_reply_to: None,
            reply_by_us: None,
            user_parameters: Vec::new(),
        })
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}
