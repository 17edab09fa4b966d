//! Calling tools. A component as a tool against bare wasmtime that makes an instance of the same
//! component and calls it; and the whole way through the engine, where the call is decided upon, its
//! arguments are compared with the schema, and the log has it. What tools of the other kinds cost is in
//! [`kinds`].

mod kinds;

use crate::Run;
use crate::measure::{CPU_US, Contestant, Scores, Stopwatch, race};
use crate::peers::bare;
use crate::report::{Goal, Report, Row, Side};
use crate::world::{ctx, example, wasm_runtime};
use anyhow::Context as _;
use bytes::Bytes;
use caxton_core::tool::{Definition, Function, ToolId, ToolName};
use caxton_core::{Digest, TenantId};
use caxton_engine::app::TryCall;
use caxton_engine::port::tool::{Executor, ToolCall, ToolTarget};
use caxton_engine::port::{MemoryStore, SystemClock, SystemEntropy};
use caxton_engine::tools::NewTool;
use caxton_engine::{App, OpCtx, Options, Ports};
use caxton_wasm::{ToolOptions, WasmTools};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

/// Calls in one round.
const CALLS: usize = 4_000;
const TOOL: &str = "wordcount";
const TIMEOUT: Duration = Duration::from_secs(10);

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    components(run, report).await?;
    kinds::run(run, report).await
}

async fn components(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let component = example(TOOL)?;
    let times = run.scaled(CALLS);
    let mut alone = Alone::new(&component, times).await?;
    let mut whole = Whole::new(&component, times).await?;
    let mut peer = BareTool::new(&component, times).map_err(bare::failed)?;
    let all = race(run, &mut [&mut alone, &mut whole, &mut peer]).await?;
    whole.app.stop(Duration::ZERO).await;
    let [alone, whole, bare] = all.as_slice() else {
        return Ok(());
    };
    let told = "The shipped wordcount counts a sentence. Peer: InstancePre::instantiate, call and drop, \
                blocking, with the same settings of the pool and fuel, the answer lifted";
    for (what, ours, how, goal) in [
        (
            "a wasm tool: instance, call, answer",
            alone,
            "Executor::call: an instance from the pool under its limits, call, answer translated, the \
             instance gone.",
            Some(Goal::RatioAtMost(2.0)),
        ),
        (
            "a wasm tool: the whole way",
            whole,
            "App::tool_call on the memory store: permission, policy, schema, the call, the log.",
            None,
        ),
    ] {
        let row = Row::new("tools", what, CPU_US)
            .work(format!("{told}. {how}"))
            .ours(Side::of("caxton", ours, CPU_US))
            .peer(Side::of("bare wasmtime", bare, CPU_US));
        report.add(match goal {
            Some(goal) => row.goal(goal),
            None => row,
        });
    }
    Ok(())
}

fn arguments() -> Value {
    json!({"text": "the quick brown fox jumps over the lazy dog\nand comes back"})
}

fn definition(component: &Bytes) -> Definition {
    Definition::Wasm {
        component: Digest(sha2::Sha256::digest(component).into()),
    }
}

/// The executor, as the engine calls it.
struct Alone {
    tools: WasmTools,
    target: Arc<ToolTarget>,
    function: Arc<Function>,
    times: usize,
}

impl Alone {
    async fn new(component: &Bytes, times: usize) -> anyhow::Result<Self> {
        let tools = wasm_runtime(None, 64)?.tools(ToolOptions::default())?;
        let target = Arc::new(ToolTarget {
            tenant: TenantId::default_tenant(),
            name: ToolName::parse(TOOL)?,
            definition: Some(definition(component)),
            secret: None,
            component: Some(component.clone()),
            revision: 1,
            trusted: false,
        });
        let functions = tools.describe(Arc::clone(&target)).await?;
        let function = functions.into_iter().next().context("it offers nothing")?;
        Ok(Self {
            tools,
            target,
            function: Arc::new(function),
            times,
        })
    }

    async fn calls(&self) -> anyhow::Result<Scores> {
        let hosts: Arc<[String]> = Arc::from([]);
        let trace = ctx(&self.target.tenant).trace;
        let watch = Stopwatch::start();
        for _ in 0..self.times {
            let call = ToolCall {
                target: Arc::clone(&self.target),
                function: Arc::clone(&self.function),
                arguments: arguments(),
                key: String::new(),
                session: String::new(),
                timeout: TIMEOUT,
                bytes_max: 64 << 10,
                hosts: Arc::clone(&hosts),
                trace,
            };
            self.tools.call(call).await?;
        }
        Ok(watch.read().costs(self.times as u64))
    }
}

impl Contestant for Alone {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(self.calls())
    }
}

/// A registered tool, called by somebody who tries it.
struct Whole {
    app: App,
    ctx: OpCtx,
    times: usize,
}

impl Whole {
    async fn new(component: &Bytes, times: usize) -> anyhow::Result<Self> {
        let sandbox = wasm_runtime(None, 64)?;
        let tools = sandbox.tools(ToolOptions::default())?;
        let mut ports = Ports::new(
            Arc::new(MemoryStore::default()),
            Arc::new(SystemClock),
            Arc::new(SystemEntropy),
            sandbox,
        );
        ports.tools.wasm = Arc::new(tools);
        let app = App::start(ports, Options::default()).await?;
        let ctx = ctx(&TenantId::default_tenant());
        let tool = NewTool {
            name: ToolName::parse(TOOL)?,
            description: String::new(),
            definition: definition(component),
            secret: None,
            component: Some(component.clone()),
            price_micros: 0,
        };
        app.tool_register(&ctx, tool).await?;
        Ok(Self { app, ctx, times })
    }

    async fn calls(&self) -> anyhow::Result<Scores> {
        let id = ToolId::parse("wordcount.count")?;
        let watch = Stopwatch::start();
        for _ in 0..self.times {
            let call = TryCall {
                id: id.clone(),
                arguments: arguments(),
                session: None,
            };
            self.app.tool_call(&self.ctx, call).await?;
        }
        Ok(watch.read().costs(self.times as u64))
    }
}

impl Contestant for Whole {
    fn name(&self) -> String {
        "caxton, the whole way".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(self.calls())
    }
}

/// What `wit/tool.wit` has as an answer.
#[derive(wasmtime::component::ComponentType, wasmtime::component::Lift)]
#[component(record)]
struct Answer {
    content: Vec<Content>,
    structured: Option<String>,
}

#[derive(wasmtime::component::ComponentType, wasmtime::component::Lift)]
#[component(variant)]
enum Content {
    #[component(name = "text")]
    Text(String),
    #[component(name = "image")]
    Image(Image),
}

#[derive(wasmtime::component::ComponentType, wasmtime::component::Lift)]
#[component(record)]
struct Image {
    #[component(name = "media-type")]
    media_type: String,
    data: Vec<u8>,
}

struct BareTool {
    pre: InstancePre<()>,
    call: ComponentExportIndex,
    times: usize,
}

impl BareTool {
    fn new(component: &Bytes, times: usize) -> wasmtime::Result<Self> {
        let engine = bare::engine(64)?;
        let component = Component::new(&engine, component)?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component)?;
        let interface = component.get_export_index(None, "caxton:agent/tool-functions@1.0.0");
        let call = component.get_export_index(interface.as_ref(), "call");
        Ok(Self {
            pre: linker.instantiate_pre(&component)?,
            call: call.ok_or_else(|| wasmtime::Error::msg("the component has no `call`"))?,
            times,
        })
    }

    fn calls(&self) -> wasmtime::Result<Scores> {
        let watch = Stopwatch::start();
        for _ in 0..self.times {
            let mut store = Store::new(self.pre.engine(), ());
            store.set_fuel(1_000_000_000)?;
            let instance = self.pre.instantiate(&mut store)?;
            let call = instance.get_typed_func::<(&str, &str), (Result<Answer, String>,)>(
                &mut store, &self.call,
            )?;
            let arguments = arguments().to_string();
            let (answered,) = call.call(&mut store, ("count", &arguments))?;
            let told = answered.ok().and_then(|answer| {
                // What was lifted is looked at, as somebody would who asked.
                let text = answer.content.iter().any(|part| match part {
                    Content::Text(text) => !text.is_empty(),
                    Content::Image(image) => image.data.len() > image.media_type.len(),
                });
                text.then_some(answer.structured)
            });
            std::hint::black_box(told);
        }
        Ok(watch.read().costs(self.times as u64))
    }
}

impl Contestant for BareTool {
    fn name(&self) -> String {
        "bare wasmtime".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(std::future::ready(self.calls().map_err(bare::failed)))
    }
}
