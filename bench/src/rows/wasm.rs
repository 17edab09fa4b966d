//! Sandboxed agents at both ends: two components throw a message to each other.

use crate::Run;
use crate::measure::{PER_CPU_S, PER_S, Scores, race};
use crate::peers::erlang::{Erlang, Pairs};
use crate::report::{Goal, Report, Row, Side};
use crate::world::{
    CHAIN, Flow, HOPS, Waves, agent, app_on, content, ctx, deploy, example, request_from, until,
    wasm_runtime,
};
use bytes::Bytes;
use caxton_core::error::Code;
use caxton_core::manifest::Durability;
use caxton_core::{AgentId, TenantId};
use caxton_engine::port::MemoryStore;
use caxton_engine::{App, OpCtx, Options};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

const PAIRS: usize = 32;
/// Messages between two agents at a time; waves of one round that make about a second.
const SHAPES: [(usize, usize); 2] = [(1, 100), (8, 12)];
/// Waiting schedulers of Erlang spin by default, which costs processor time but answers sooner.
const QUIET: &[&str] = &["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"];

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let erlang = Erlang::new(&run.scratch);
    for (balls, waves) in SHAPES {
        let waves = run.scaled(waves);
        let ours = Thrown::new(balls).await?;
        let app = ours.app.clone();
        let messages = (PAIRS * balls) as u64 * CHAIN;
        let mut ours = Waves::new("caxton", Box::new(ours), waves, messages);
        let work = format!(
            "{PAIRS} pairs of two sandboxed agents (the shipped bounce component) with {balls} \
             200-byte message(s) between them, returned {HOPS} times; again from outside. Caxton: full \
             envelope, shipped limits, transient. Erlang: a process each, its name looked up in ETS for \
             each message, payload as Erlang passes it"
        );
        let what = format!("wasm at both ends, {balls} in flight");
        match &erlang {
            Ok(erlang) => {
                let pairs = |name, flags| Pairs {
                    name,
                    erlang: erlang.clone(),
                    flags,
                    pairs: PAIRS,
                    balls,
                    waves: waves * 4,
                };
                let mut spinning = pairs("erlang", &[]);
                let mut quiet = pairs("erlang +sbwt none", QUIET);
                let all = race(run, &mut [&mut ours, &mut spinning, &mut quiet]).await?;
                if let [ours, spinning, quiet] = all.as_slice() {
                    tell(report, &what, &work, ours, ("erlang", spinning));
                    tell(report, &what, &work, ours, ("erlang +sbwt none", quiet));
                }
            }
            Err(error) => {
                report.skip("wasm", format!("the peer: {error:#}"));
                let all = race(run, &mut [&mut ours]).await?;
                let ours = all.first().map(Vec::as_slice).unwrap_or_default();
                report.add(
                    Row::new("wasm", what, PER_CPU_S)
                        .work(work)
                        .ours(Side::of("caxton", ours, PER_CPU_S)),
                );
            }
        }
        app.stop(Duration::ZERO).await;
    }
    Ok(())
}

fn tell(report: &mut Report, what: &str, work: &str, ours: &[Scores], peer: (&str, &[Scores])) {
    let (peer, theirs) = peer;
    report.add(
        Row::new("wasm", what, PER_CPU_S)
            .work(format!("{work} ({peer})."))
            .ours(Side::of("caxton", ours, PER_CPU_S))
            .peer(Side::of(peer, theirs, PER_CPU_S))
            .goal(Goal::RatioAtLeast(0.25))
            .beside(Side::of("caxton", ours, PER_S))
            .beside(Side::of(peer, theirs, PER_S)),
    );
}

/// Pairs of sandboxed agents that throw.
pub struct Thrown {
    pub app: App,
    ctx: OpCtx,
    pairs: Vec<(AgentId, AgentId)>,
    balls: usize,
    content: Bytes,
}

impl Thrown {
    async fn new(balls: usize) -> anyhow::Result<Self> {
        let runtime = wasm_runtime(None, 2 * PAIRS)?;
        let store = Arc::new(MemoryStore::default());
        let app = app_on(store, runtime, Options::default()).await?;
        let ctx = ctx(&TenantId::default_tenant());
        let component = example("bounce")?;
        let mut ids = Vec::with_capacity(2 * PAIRS);
        for index in 0..2 * PAIRS {
            let id = agent(&ctx.tenant, &format!("player-{index}"))?;
            deploy(&app, &ctx, &id, Durability::Transient, &component).await?;
            ids.push(id);
        }
        Ok(Self::between(app, ctx, &ids, balls))
    }

    /// Agents that are there: the first throws to the second, the third to the fourth.
    pub fn between(app: App, ctx: OpCtx, ids: &[AgentId], balls: usize) -> Self {
        let pairs = ids.chunks_exact(2).filter_map(|pair| match pair {
            [one, other] => Some((one.clone(), other.clone())),
            _ => None,
        });
        Self {
            app,
            ctx,
            pairs: pairs.collect(),
            balls,
            content: content(),
        }
    }

    /// Messages that the hop limit has ended.
    fn landed(&self) -> u64 {
        let label = [Code::HopLimit.as_str()];
        self.app.metrics().refused.with_label_values(&label).get()
    }
}

impl Flow for Thrown {
    fn wave(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let goal = self.landed() + (self.pairs.len() * self.balls) as u64;
            for _ in 0..self.balls {
                for (one, other) in &self.pairs {
                    let acl =
                        request_from(other.clone(), one.clone(), "bounce", self.content.clone())?;
                    self.app.message_send(&self.ctx, acl, None).await?;
                }
            }
            until(|| self.landed() >= goal).await;
            Ok(())
        })
    }
}
