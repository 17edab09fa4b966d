//! Deploying: a component nobody has seen, against compiling it and nothing else; and one that is
//! known.

use crate::Run;
use crate::measure::{CPU_US, Contestant, Scores, Stopwatch, WALL_US, race};
use crate::peers::bare;
use crate::report::{Goal, Report, Row, Side};
use crate::world::{agent, app_on, ctx, deploy, example, wasm_runtime};
use bytes::Bytes;
use caxton_core::TenantId;
use caxton_core::manifest::Durability;
use caxton_engine::port::{Clock, SystemClock};
use caxton_engine::{App, OpCtx, Options};
use caxton_store::SqliteStore;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use wasmtime::Engine;

/// Deployments in a round, of a component that takes tens of milliseconds to compile.
const TIMES: usize = 10;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let server = Arc::new(Server::open(run).await?);
    for name in ["echo", "misbehave", "ts-echo"] {
        let component = match example(name) {
            Ok(component) => component,
            Err(error) => {
                report.skip(
                    "deploy",
                    format!("{name} (cargo xtask fixtures --ts builds it): {error:#}"),
                );
                continue;
            }
        };
        // A JavaScript engine takes seconds.
        let large = component.len() > 1 << 20;
        if large && run.quick {
            report.skip("deploy", format!("{name}: too large for a smoke run"));
            continue;
        }
        let times = if large { 1 } else { run.scaled(TIMES) };
        unknown(run, report, &server, name, &component, times).await?;
    }
    known(run, report, &server).await?;
    server.app.stop(Duration::ZERO).await;
    Ok(())
}

async fn unknown(
    run: &Run,
    report: &mut Report,
    server: &Arc<Server>,
    name: &str,
    component: &Bytes,
    times: usize,
) -> anyhow::Result<()> {
    let mut ours = Deploying {
        server: Arc::clone(server),
        component: component.clone(),
        times,
        known: false,
    };
    let mut alone = Compiling {
        engine: Engine::new(&bare::config(bare::Metering::On, None)).map_err(bare::failed)?,
        component: component.clone(),
        times,
    };
    let all = race(run, &mut [&mut ours, &mut alone]).await?;
    let [ours, alone] = all.as_slice() else {
        return Ok(());
    };
    let kib = component.len().div_ceil(1024);
    for unit in [CPU_US, WALL_US] {
        report.add(
            Row::new("deploy", format!("deploy {name} ({kib} KiB), never seen before"), unit)
                .work(
                    "App::agent_deploy until it runs: hash, validate, compile in a child process under \
                     limits, keep the code, link, make an instance and init it, commit with component to \
                     the store (synced). Peer: Engine::precompile_component in this process. The CPU row \
                     counts the child's processor time too.",
                )
                .ours(Side::of("caxton", ours, unit))
                .peer(Side::of("compilation alone", alone, unit))
                .goal(Goal::RatioAtMost(1.5)),
        );
    }
    if name == "echo" {
        report.add(
            Row::new("deploy", "deploy a small agent", WALL_US)
                .work("The same deployments of echo on the wall: under a second.")
                .ours(Side::of("caxton", ours, WALL_US))
                .goal(Goal::AtMost(1e6)),
        );
    }
    Ok(())
}

async fn known(run: &Run, report: &mut Report, server: &Arc<Server>) -> anyhow::Result<()> {
    let mut ours = Deploying {
        server: Arc::clone(server),
        component: example("echo")?,
        times: run.scaled(TIMES * 5),
        known: true,
    };
    let all = race(run, &mut [&mut ours]).await?;
    if let [ours] = all.as_slice() {
        report.add(
            Row::new("deploy", "deploy known code", WALL_US)
                .work(
                    "App::agent_deploy of another agent of a component that is deployed already, one \
                     after the other, its commit synced. `In milliseconds` is taken as ten at most.",
                )
                .ours(Side::of("caxton", ours, WALL_US))
                .goal(Goal::AtMost(10_000.0))
                .beside(Side::of("caxton", ours, CPU_US)),
        );
    }
    Ok(())
}

/// A server as `caxton serve` builds it, without its doors.
struct Server {
    app: App,
    ctx: OpCtx,
    names: AtomicU32,
}

impl Server {
    async fn open(run: &Run) -> anyhow::Result<Self> {
        let folder = run.scratch.join("deploy");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = SqliteStore::open(caxton_store::Options::new(&folder, clock))?;
        let runtime = wasm_runtime(Some(&folder.join("code")), 1000)?;
        let app = app_on(Arc::new(store), runtime, Options::default()).await?;
        Ok(Self {
            app,
            ctx: ctx(&TenantId::default_tenant()),
            names: AtomicU32::new(0),
        })
    }
}

struct Deploying {
    server: Arc<Server>,
    component: Bytes,
    times: usize,
    known: bool,
}

impl Contestant for Deploying {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let watch = Stopwatch::start();
            for _ in 0..self.times {
                let number = self.server.names.fetch_add(1, Ordering::Relaxed);
                let id = agent(&self.server.ctx.tenant, &format!("agent-{number}"))?;
                let component = if self.known {
                    self.component.clone()
                } else {
                    unlike_any_other(&self.component, number)
                };
                let (app, ctx) = (&self.server.app, &self.server.ctx);
                deploy(app, ctx, &id, Durability::Durable, &component).await?;
            }
            Ok(watch.read().costs(self.times as u64))
        })
    }
}

struct Compiling {
    engine: Engine,
    component: Bytes,
    times: usize,
}

impl Compiling {
    fn compile(&self) -> wasmtime::Result<Scores> {
        let watch = Stopwatch::start();
        for number in 0..self.times {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let component = unlike_any_other(&self.component, number);
            self.engine.precompile_component(&component)?;
        }
        Ok(watch.read().costs(self.times as u64))
    }
}

impl Contestant for Compiling {
    fn name(&self) -> String {
        "compilation alone".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        let compiled = tokio::task::block_in_place(|| self.compile());
        Box::pin(std::future::ready(compiled.map_err(bare::failed)))
    }
}

/// The component with a custom section that makes it another one.
fn unlike_any_other(component: &Bytes, number: u32) -> Bytes {
    let mut bytes = component.to_vec();
    // Section 0 of nine bytes: a name of four, and the number.
    bytes.extend([0, 9, 4]);
    bytes.extend(b"nmbr");
    bytes.extend(number.to_le_bytes());
    bytes.into()
}
