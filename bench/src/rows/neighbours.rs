//! An agent beside others that compute for ever: how long its answers take, against how long they take
//! beside as many threads of the operating system that do the same.

use crate::Run;
use crate::measure::{Contestant, P50_US, P99_US, Scores, percentiles, race};
use crate::report::{Goal, Report, Row, Side};
use crate::world::{agent, app_on, content, ctx, deploy, example, request, wasm_runtime};
use bytes::Bytes;
use caxton_core::manifest::Durability;
use caxton_core::{AgentId, TenantId};
use caxton_engine::app::Package;
use caxton_engine::port::MemoryStore;
use caxton_engine::{App, OpCtx, Options};
use futures::future::BoxFuture;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOOPS: usize = 10;
const REQUESTS: usize = 1000;
/// Pause between two requests: an agent that is asked now and then, not one that is always running.
const PAUSE: Duration = Duration::from_millis(2);
/// How long one waits for an answer.
const WAIT: Duration = Duration::from_secs(30);

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let requests = if run.quick { 10 } else { REQUESTS };
    let mut guests = BesideGuests(Echoing::new(requests).await?);
    let mut threads = BesideThreads(Echoing::new(requests).await?);
    let mut nobody = BesideNobody(Echoing::new(requests).await?);
    let all = race(run, &mut [&mut guests, &mut threads, &mut nobody]).await?;
    for echoing in [&guests.0, &threads.0, &nobody.0] {
        echoing.app.stop(Duration::ZERO).await;
    }
    if let [guests, threads, nobody] = all.as_slice() {
        report.add(
            Row::new("neighbours", "an echo beside ten loops", P99_US)
                .work(
                    "One sender asks the sandboxed echo agent every two milliseconds, message_send with \
                     wait, to the answer. Beside ten agents that handle a message for ever; peer: the same \
                     request beside ten threads of the operating system in a busy loop.",
                )
                .ours(Side::of("beside ten looping agents", guests, P99_US))
                .peer(Side::of("beside ten busy threads", threads, P99_US))
                .goal(Goal::RatioAtMost(1.5))
                .beside(Side::of("beside ten looping agents", guests, P50_US))
                .beside(Side::of("beside ten busy threads", threads, P50_US))
                .beside(Side::of("beside nobody", nobody, P99_US)),
        );
    }
    Ok(())
}

/// A server with an echo agent and ten that loop when told to.
struct Echoing {
    app: App,
    ctx: OpCtx,
    echo: AgentId,
    loops: Vec<AgentId>,
    requests: usize,
    content: Bytes,
}

impl Echoing {
    async fn new(requests: usize) -> anyhow::Result<Self> {
        let runtime = wasm_runtime(None, 64)?;
        let store = Arc::new(MemoryStore::default());
        let options = Options {
            // Those that loop are not waited for when a round is over.
            stop_wait: Duration::from_millis(10),
            ..Options::default()
        };
        let app = app_on(store, runtime, options).await?;
        let ctx = ctx(&TenantId::default_tenant());
        let echo = agent(&ctx.tenant, "echo")?;
        deploy(&app, &ctx, &echo, Durability::Transient, &example("echo")?).await?;
        let mut loops = Vec::with_capacity(LOOPS);
        for index in 0..LOOPS {
            let id = agent(&ctx.tenant, &format!("loop-{index}"))?;
            let mut manifest = crate::world::manifest(&id.name, Durability::Transient);
            // As long as the bounds let: they must not stop before the round is over.
            manifest.limits.fuel_per_message_max = 1_000_000_000_000;
            manifest.limits.handle_timeout_ms_max = 600_000;
            let package = Package {
                manifest,
                component: Some(example("misbehave")?),
            };
            app.agent_deploy(&ctx, package, false).await?;
            loops.push(id);
        }
        Ok(Self {
            app,
            ctx,
            echo,
            loops,
            requests,
            content: content(),
        })
    }

    async fn ask(&self) -> anyhow::Result<Scores> {
        let mut times = Vec::with_capacity(self.requests);
        for number in 0..self.requests {
            let conversation = format!("echo-{number}");
            let acl = request(self.echo.clone(), &conversation, self.content.clone())?;
            let begun = Instant::now();
            self.app.message_send(&self.ctx, acl, Some(WAIT)).await?;
            times.push(begun.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
        percentiles(times)
    }
}

struct BesideNobody(Echoing);

impl Contestant for BesideNobody {
    fn name(&self) -> String {
        "beside nobody".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(self.0.ask())
    }
}

struct BesideGuests(Echoing);

impl Contestant for BesideGuests {
    fn name(&self) -> String {
        "beside ten looping agents".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let Echoing { app, ctx, .. } = &self.0;
            for id in &self.0.loops {
                app.agent_start(ctx, &id.name).await?;
                let acl = request(id.clone(), "loop", Bytes::from_static(b"loop"))?;
                app.message_send(ctx, acl, None).await?;
            }
            let asked = self.0.ask().await;
            let live: i64 = app.metrics().mailboxes_live.get();
            for id in &self.0.loops {
                app.agent_stop(ctx, &id.name).await?;
            }
            anyhow::ensure!(live > LOOPS as i64, "only {live} mailboxes were busy");
            asked
        })
    }
}

struct BesideThreads(Echoing);

impl Contestant for BesideThreads {
    fn name(&self) -> String {
        "beside ten busy threads".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let stop = Arc::new(AtomicBool::new(false));
            let threads: Vec<_> = (0..LOOPS)
                .map(|_| {
                    let stop = Arc::clone(&stop);
                    std::thread::spawn(move || {
                        let mut turns = 0_u64;
                        while !stop.load(Ordering::Relaxed) {
                            turns = black_box(turns.wrapping_add(1));
                        }
                    })
                })
                .collect();
            let asked = self.0.ask().await;
            stop.store(true, Ordering::Relaxed);
            for thread in threads {
                let _ = thread.join();
            }
            asked
        })
    }
}
