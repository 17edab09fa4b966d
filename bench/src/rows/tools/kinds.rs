//! What tools cost besides components: the two decisions before a call, an HTTP tool against a bare
//! client of the same HTTP library, and a call of each kind on the whole way through the engine.

use crate::Run;
use crate::measure::{CPU_US, Contestant, Scores, Stopwatch, race};
use crate::peers::proxies;
use crate::report::{Goal, Report, Row, Side};
use crate::rows::decisions::Loop;
use crate::world::{ctx, example, wasm_runtime};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use caxton_core::tool::define::McpPlace;
use caxton_core::tool::permit::Pattern;
use caxton_core::tool::{
    Auth, Definition, Effect, Function, FunctionName, HttpFunction, HttpTool, Layers, McpTool,
    Rules, ToolId, ToolName, decide,
};
use caxton_core::{Manifest, TenantId, egress};
use caxton_engine::app::{Package, TryCall};
use caxton_engine::port::http::Http;
use caxton_engine::port::tool::{Executor, ToolCall, ToolTarget};
use caxton_engine::port::{MemoryStore, SystemClock, SystemEntropy};
use caxton_engine::tools::OperatorTool;
use caxton_engine::{App, OpCtx, Options, Ports};
use caxton_tools::http::HttpOut;
use caxton_tools::http_tool::HttpTools;
use caxton_tools::mcp::{self, McpTools, Program};
use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const DECISIONS: usize = 1_000_000;
const REQUESTS: usize = 4_000;
const CALLS: usize = 1_000;
/// Rules of each layer.
const RULES: usize = 32;

/// An MCP server in a shell: one function, which answers with a fixed text.
const MCP_SERVER: &str = r#"while read -r line; do
  id=${line#*'"id":'}; id=${id%%[,\}]*}
  case "$line" in
    *server/discover*) echo '{"jsonrpc":"2.0","id":'$id',"error":{"code":-32601,"message":"no"}}' ;;
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}' ;;
    *tools/list*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"item","description":"An item.","inputSchema":{"type":"object"}}]}}' ;;
    *tools/call*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"bolt-8"}]}}' ;;
  esac
done"#;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    permitted(run, report).await?;
    reached(run, report).await?;
    let endpoint = proxies::provider().await?;
    http(run, report, endpoint.address).await?;
    each(run, report, endpoint.address).await
}

/// Whether a call may be made, with three layers of rules of which the last one names it.
async fn permitted(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let named = |last: &str| -> anyhow::Result<Vec<Pattern>> {
        let others = (1..RULES).map(|at| format!("tool-{at}.function"));
        let all = others.chain([last.to_owned()]);
        Ok(all
            .map(|it| Pattern::parse(&it))
            .collect::<Result<_, _>>()?)
    };
    let rules = |allow: Vec<Pattern>, deny: Vec<Pattern>| Rules {
        allow,
        deny,
        ..Rules::default()
    };
    let tenant = rules(Vec::new(), named("other")?);
    let agent = rules(named("stock.item")?, Vec::new());
    let session = rules(named("stock")?, named("other.one")?);
    let layers = Layers {
        tenant: &tenant,
        agent: &agent,
        session: Some(&session),
    };
    let id = ToolId::parse("stock.item")?;
    let mut ours = Loop {
        name: "caxton",
        times: run.scaled(DECISIONS),
        each: |_: usize| {
            black_box(decide(black_box(&layers), black_box(&id), Effect::Acts));
        },
    };
    let all = race(run, &mut [&mut ours]).await?;
    if let [ours] = all.as_slice() {
        report.add(
            Row::new("tools", "may a tool be called", CPU_US)
                .work("Three layers with 32 rules in each of their lists; the last rule of each is the one that decides.")
                .ours(Side::of("caxton", ours, CPU_US))
                .goal(Goal::AtMost(10.0)),
        );
    }
    Ok(())
}

/// Whether an address and a host may be reached.
async fn reached(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let addresses: Vec<IpAddr> = [
        "93.184.216.34",
        "127.0.0.1",
        "2606:2800:220:1::1",
        "::ffff:10.0.0.1",
    ]
    .iter()
    .map(|it| it.parse())
    .collect::<Result<_, _>>()?;
    let hosts: Vec<String> = (0..RULES).map(|at| format!("*.example-{at}.com")).collect();
    let mut ours = Loop {
        name: "caxton",
        times: run.scaled(DECISIONS),
        each: |number: usize| {
            if let Some(address) = addresses.get(number % addresses.len()) {
                let _ = black_box(egress::decide(black_box(*address)));
            }
            black_box(egress::host_allowed(
                &hosts,
                black_box("api.example-31.com"),
            ));
        },
    };
    let all = race(run, &mut [&mut ours]).await?;
    if let [ours] = all.as_slice() {
        report.add(
            Row::new("tools", "may an address be reached", CPU_US)
                .work("Four addresses in turn, half of them inner ones, and a host against a list of 32, of which the last has it.")
                .ours(Side::of("caxton", ours, CPU_US))
                .goal(Goal::AtMost(10.0)),
        );
    }
    Ok(())
}

fn definition(address: SocketAddr) -> anyhow::Result<HttpTool> {
    Ok(HttpTool {
        base_url: format!("http://{address}"),
        auth: Auth::None,
        functions: vec![HttpFunction {
            function: Function {
                name: FunctionName::parse("item")?,
                description: "An item.".to_owned(),
                input: json!({"type": "object", "properties": {"sku": {"type": "string"}}}),
                output: None,
                effect: Effect::Reads,
                repeatable: true,
            },
            method: "GET".to_owned(),
            path: "/tool".to_owned(),
            places: Vec::new(),
            headers: Vec::new(),
        }],
    })
}

async fn http(run: &Run, report: &mut Report, address: SocketAddr) -> anyhow::Result<()> {
    let times = run.scaled(REQUESTS);
    let mut ours = Endpoint::new(address, times)?;
    let mut bare = Bare {
        client: Client::builder(TokioExecutor::new()).build_http(),
        url: format!("http://{address}/tool?sku=bolt-8").parse()?,
        times,
    };
    let all = race(run, &mut [&mut ours, &mut bare]).await?;
    if let [ours, bare] = all.as_slice() {
        report.add(
            Row::new("tools", "an HTTP tool", CPU_US)
                .work("A GET of a hundred bytes of JSON from a process of its own, one after the other over one connection. Ours: Executor::call, the address decided upon, the request of the definition, the answer a part. Peer: hyper's client, which reqwest is made of, without TLS, redirects or cookies.")
                .ours(Side::of("caxton", ours, CPU_US))
                .peer(Side::of("bare hyper", bare, CPU_US))
                .goal(Goal::RatioAtMost(2.0)),
        );
    }
    Ok(())
}

/// The executor, as the engine calls it, for a tenant that may reach this machine.
struct Endpoint {
    tools: HttpTools,
    target: Arc<ToolTarget>,
    function: Arc<Function>,
    times: usize,
}

impl Endpoint {
    fn new(address: SocketAddr, times: usize) -> anyhow::Result<Self> {
        let out = HttpOut::new(&caxton_tools::http::Options {
            allowed: vec![address.ip()],
            ..caxton_tools::http::Options::default()
        })?;
        let definition = definition(address)?;
        let function = definition.functions.first().context("one function")?;
        Ok(Self {
            function: Arc::new(function.function.clone()),
            tools: HttpTools::new(Arc::new(out)),
            target: Arc::new(ToolTarget {
                tenant: TenantId::default_tenant(),
                name: ToolName::parse("stock")?,
                definition: Some(Definition::Http(definition)),
                secret: None,
                component: None,
                revision: 1,
                trusted: false,
            }),
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
                arguments: json!({"sku": "bolt-8"}),
                key: String::new(),
                session: String::new(),
                timeout: Duration::from_secs(10),
                bytes_max: 64 << 10,
                hosts: Arc::clone(&hosts),
                trace,
            };
            let answer = self.tools.call(call).await?;
            ensure!(!answer.is_error, "the endpoint said no");
        }
        Ok(watch.read().costs(self.times as u64))
    }
}

impl Contestant for Endpoint {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(self.calls())
    }
}

struct Bare {
    client: Client<HttpConnector, Empty<Bytes>>,
    url: http::Uri,
    times: usize,
}

impl Contestant for Bare {
    fn name(&self) -> String {
        "bare hyper".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let watch = Stopwatch::start();
            for _ in 0..self.times {
                let answer = self.client.get(self.url.clone()).await?;
                let body = answer.into_body().collect().await?.to_bytes();
                ensure!(black_box(body).len() > 50, "the endpoint said little");
            }
            Ok(watch.read().costs(self.times as u64))
        })
    }
}

/// A call of each kind that has no row of its own.
async fn each(run: &Run, report: &mut Report, address: SocketAddr) -> anyhow::Result<()> {
    let (app, ctx) = engine(address).await?;
    for (what, id, arguments) in [
        ("built in: files.list", "files.list", json!({})),
        ("HTTP", "stock.item", json!({"sku": "bolt-8"})),
        ("MCP, a program", "program.item", json!({})),
        (
            "an agent, in the sandbox",
            "agent:echo",
            json!({"message": "bolt-8"}),
        ),
    ] {
        let mut ours = Whole {
            app: app.clone(),
            ctx: ctx.clone(),
            id: ToolId::parse(id)?,
            arguments,
            times: run.scaled(CALLS),
        };
        let all = race(run, &mut [&mut ours]).await?;
        if let [ours] = all.as_slice() {
            report.add(
                Row::new("tools", format!("the whole way: {what}"), CPU_US)
                    .work("App::tool_call on the memory store, one after the other: permission, policy, schema, the call, the log. What another process does for it is not in it.")
                    .ours(Side::of("caxton", ours, CPU_US)),
            );
        }
    }
    app.stop(Duration::ZERO).await;
    Ok(())
}

async fn engine(address: SocketAddr) -> anyhow::Result<(App, OpCtx)> {
    let mut ports = Ports::new(
        Arc::new(MemoryStore::default()),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        wasm_runtime(None, 64)?,
    );
    let http: Arc<dyn Http> = Arc::new(HttpOut::new(&caxton_tools::http::Options::default())?);
    let mut program = Program::new("/bin/sh");
    program.args = vec!["-c".to_owned(), MCP_SERVER.to_owned()];
    let programs = mcp::Options {
        programs: [("program".to_owned(), program)].into(),
        ..mcp::Options::default()
    };
    ports.tools.http = Arc::new(HttpTools::new(Arc::clone(&http)));
    ports.tools.mcp = Arc::new(McpTools::new(http, programs));
    let mut options = Options::default();
    let program = McpTool {
        place: McpPlace::Program("program".to_owned()),
        auth: Auth::None,
        only: Vec::new(),
    };
    for (name, definition) in [
        ("stock", Definition::Http(definition(address)?)),
        ("program", Definition::Mcp(program)),
    ] {
        options.tools.operators.push(OperatorTool {
            name: ToolName::parse(name)?,
            description: String::new(),
            definition,
            secret: None,
        });
    }
    let app = App::start(ports, options).await?;
    let ctx = ctx(&TenantId::default_tenant());
    let echo = Package {
        manifest: Manifest::parse("name = \"echo\"")?,
        component: Some(example("echo")?),
    };
    app.agent_deploy(&ctx, echo, true).await?;
    Ok((app, ctx))
}

struct Whole {
    app: App,
    ctx: OpCtx,
    id: ToolId,
    arguments: Value,
    times: usize,
}

impl Whole {
    async fn calls(&self) -> anyhow::Result<Scores> {
        let watch = Stopwatch::start();
        for _ in 0..self.times {
            let call = TryCall {
                id: self.id.clone(),
                arguments: self.arguments.clone(),
                session: None,
            };
            let done = self.app.tool_call(&self.ctx, call).await?;
            ensure!(!done.answer.is_error, "{} said no", self.id);
        }
        Ok(watch.read().costs(self.times as u64))
    }
}

impl Contestant for Whole {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(self.calls())
    }
}
