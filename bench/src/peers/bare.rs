//! wasmtime alone, configured as the server configures it: the pool, copy-on-write, fuel in the code;
//! called without a host that does anything. The settings stand here a second time because the
//! server's are its own business; who changes them there changes them here.

use crate::packed;
use caxton_core::Message;
use std::path::Path;
use wasmtime::component::{
    Component, ComponentExportIndex, InstancePre, Linker, TypedFunc, WasmList,
};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, OperatorCost, PoolingAllocationConfig, Store,
    WasmFeatures,
};

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
        .generate_address_map(false)
        .native_unwind_info(false);
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
            .linear_memory_keep_resident(0)
            .table_keep_resident(4 << 10);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// wasmtime's error as the bench's: the one is no `std` error.
pub fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

/// What a call of a guest answers.
pub type Answered = Result<(), ()>;

/// Where the component of [`crate::world::example`] has the functions that are called.
#[derive(Debug)]
pub struct Exports {
    pub init: ComponentExportIndex,
    pub handle: ComponentExportIndex,
}

impl Exports {
    pub fn of(component: &Component) -> wasmtime::Result<Self> {
        let interface = component.get_export_index(None, "caxton:agent/packed-behavior@1.0.0");
        let find = |name: &str| {
            let function = component.get_export_index(interface.as_ref(), name);
            function.ok_or_else(|| wasmtime::Error::msg(format!("the component has no {name}")))
        };
        Ok(Self {
            init: find("init")?,
            handle: find("handle")?,
        })
    }
}

/// A linked component.
pub struct Bare {
    pre: InstancePre<Guest>,
    exports: Exports,
}

/// A live instance.
pub struct Instance {
    store: Store<Guest>,
    init: TypedFunc<(), (Answered,)>,
    handle: TypedFunc<(Vec<u8>, u32), (Answered,)>,
}

/// What a store of the bare host holds: how many messages its guest has sent.
#[derive(Debug, Default)]
pub struct Guest {
    sent: u64,
}

/// A refusal, as a guest sees it.
#[derive(
    Clone,
    Debug,
    wasmtime::component::ComponentType,
    wasmtime::component::Lift,
    wasmtime::component::Lower,
)]
#[component(record)]
pub struct Refusal {
    pub code: String,
    pub message: String,
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
        let mut packed = linker.instance("caxton:agent/packed@1.0.0")?;
        packed.func_wrap(
            "send",
            |mut store: wasmtime::StoreContextMut<'_, Guest>,
             (_content, _head): (Vec<u8>, WasmList<u8>)| {
                let guest = store.data_mut();
                guest.sent += 1;
                Ok((Ok::<(u64, u64), Refusal>((7, guest.sent)),))
            },
        )?;
        let pre = linker.instantiate_pre(component)?;
        let exports = Exports::of(component)?;
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
        let init = instance.get_typed_func(&mut store, self.exports.init)?;
        let handle = instance.get_typed_func(&mut store, self.exports.handle)?;
        Ok(Instance {
            store,
            init,
            handle,
        })
    }
}

impl Instance {
    pub fn init(&mut self) -> wasmtime::Result<()> {
        let (answered,) = self.init.call(&mut self.store, ())?;
        answered.map_err(|()| wasmtime::Error::msg("init failed"))
    }

    /// The message is packed anew for every call, as the server does it.
    pub fn handle(&mut self, message: &Message) -> wasmtime::Result<()> {
        let content_bytes = u32::try_from(message.acl.content.len())?;
        let arguments = (packed::write(&message.acl), content_bytes);
        let (answered,) = self.handle.call(&mut self.store, arguments)?;
        answered.map_err(|()| wasmtime::Error::msg("handle failed"))
    }
}
