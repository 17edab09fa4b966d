//! What the limits cost: the same agents in the same engine, with the server's sandbox and with one
//! that counts, bounds and yields nothing.

use super::wasm::Thrown;
use crate::Run;
use crate::measure::{CPU_US, Contestant, Scores, Stopwatch, race};
use crate::peers::bare;
use crate::peers::unlimited::Unlimited;
use crate::report::{Goal, Report, Row, Side};
use crate::world::{CHAIN, Flow, add, agent, app_on, ctx, deploy, example, manifest, wasm_runtime};
use caxton_core::TenantId;
use caxton_core::manifest::Durability;
use caxton_engine::port::{MemoryStore, NativeRuntime, Program};
use caxton_engine::{App, Options};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

const PAIRS: usize = 32;
const BALLS: usize = 4;
const WAVES: usize = 20;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let waves = run.scaled(WAVES);
    let (mut on, mut off) = (limited(waves).await?, unlimited(waves).await?);
    let all = race(run, &mut [&mut on, &mut off]).await?;
    on.thrown.app.stop(Duration::ZERO).await;
    off.thrown.app.stop(Duration::ZERO).await;
    if let [on, off] = all.as_slice() {
        report.add(
            Row::new("limits", "limits on, a whole message", CPU_US)
                .work(
                    "32 pairs of bounce agents with four 200-byte messages between them, transient; the \
                     whole of a message: routing, mailbox, lowering, guest, lifting. Off: the same engine \
                     and the same code at both borders of the guest, without fuel (neither in the code nor \
                     for host calls), yielding, the clock on the guest and the bounds on its memory and \
                     tables.",
                )
                .ours(Side::of("limits on", on, CPU_US))
                .peer(Side::of("limits off", off, CPU_US))
                .goal(Goal::RatioAtMost(1.1)),
        );
    }
    Ok(())
}

async fn limited(waves: usize) -> anyhow::Result<Throwing> {
    let runtime = wasm_runtime(None, 2 * PAIRS)?;
    let store = Arc::new(MemoryStore::default());
    let app = app_on(store, runtime, Options::default()).await?;
    let ctx = ctx(&TenantId::default_tenant());
    let component = example("bounce")?;
    for index in 0..2 * PAIRS {
        let id = agent(&ctx.tenant, &format!("player-{index}"))?;
        deploy(&app, &ctx, &id, Durability::Transient, &component).await?;
    }
    Throwing::new("limits on", app, waves)
}

async fn unlimited(waves: usize) -> anyhow::Result<Throwing> {
    let store = Arc::new(MemoryStore::default());
    let runtime = Arc::new(NativeRuntime::default());
    let app = app_on(store, runtime, Options::default()).await?;
    let home = TenantId::default_tenant();
    let instances = u32::try_from(2 * PAIRS + 16)?;
    let program = Unlimited::new(&example("bounce")?, instances).map_err(bare::failed)?;
    let program: Arc<dyn Program> = Arc::new(program);
    for index in 0..2 * PAIRS {
        let id = agent(&home, &format!("player-{index}"))?;
        let manifest = manifest(&id.name, Durability::Transient);
        add(&app, &id, manifest, Arc::clone(&program))?;
    }
    Throwing::new("limits off", app, waves)
}

struct Throwing {
    name: &'static str,
    thrown: Thrown,
    waves: usize,
}

impl Throwing {
    fn new(name: &'static str, app: App, waves: usize) -> anyhow::Result<Self> {
        let ctx = ctx(&TenantId::default_tenant());
        let ids = (0..2 * PAIRS).map(|index| agent(&ctx.tenant, &format!("player-{index}")));
        let ids = ids.collect::<anyhow::Result<Vec<_>>>()?;
        let thrown = Thrown::between(app, ctx, &ids, BALLS);
        Ok(Self {
            name,
            thrown,
            waves,
        })
    }
}

impl Contestant for Throwing {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let watch = Stopwatch::start();
            for _ in 0..self.waves {
                self.thrown.wave().await?;
            }
            let messages = (self.waves * PAIRS * BALLS) as u64 * CHAIN;
            Ok(watch.read().costs(messages))
        })
    }
}
