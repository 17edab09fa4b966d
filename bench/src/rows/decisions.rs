//! The decisions that every request costs: may it, is there room, who is it; and the audit's entry.

use crate::Run;
use crate::measure::{CPU_US, Contestant, P50_US, P99_US, Scores, Stopwatch, percentiles, race};
use crate::report::{Goal, Report, Row, Side};
use crate::world::{app_on, ctx};
use caxton_core::grant::{Member, Permission, Principal, Role, Subject};
use caxton_core::limit::{Bucket, Rate};
use caxton_core::{TenantId, Timestamp, TraceContext};
use caxton_engine::audit::Act;
use caxton_engine::directory::KeyDraft;
use caxton_engine::port::{Clock, NativeRuntime, SystemClock};
use caxton_engine::{App, OpCtx, Options};
use caxton_store::SqliteStore;
use futures::future::BoxFuture;
use governor::clock::QuantaClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CHECKS: usize = 5_000_000;
const RATES: usize = 5_000_000;
const KEYS: usize = 500_000;
const ENTRIES: usize = 500;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    permission(run, report).await?;
    rate(run, report).await?;
    super::tokens::run(run, report).await?;
    let folder = run.scratch.join("decisions");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = SqliteStore::open(caxton_store::Options::new(&folder, clock))?;
    let runtime = Arc::new(NativeRuntime::default());
    let app = app_on(Arc::new(store), runtime, Options::default()).await?;
    identify(run, report, &app).await?;
    audit(run, report, &app).await?;
    app.stop(Duration::ZERO).await;
    Ok(())
}

/// So many of something that does not wait, timed together.
pub(super) struct Loop<F> {
    pub(super) name: &'static str,
    pub(super) times: usize,
    pub(super) each: F,
}

impl<F: FnMut(usize) + Send> Contestant for Loop<F> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let watch = Stopwatch::start();
            for number in 0..self.times {
                (self.each)(number);
            }
            Ok(watch.read().costs(self.times as u64))
        })
    }
}

async fn permission(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let tenant = TenantId::parse("acme")?;
    let principal = Principal::Member(Arc::new(Member {
        subject: Subject::Key("0123456789A".to_owned()),
        tenant: tenant.clone(),
        permissions: Role::Developer.permissions(),
    }));
    let trace = TraceContext {
        trace_id: [7; 16],
        span_id: [7; 8],
        sampled: false,
    };
    let ctx = OpCtx::new(tenant, principal, trace);
    let mut ours = Loop {
        name: "caxton",
        times: run.scaled(CHECKS),
        each: |number: usize| {
            let all = Permission::ALL;
            if let Some(wanted) = all.get(number % all.len()) {
                // Half of them are denied, with the error that the caller would see.
                let _ = black_box(black_box(&ctx).authorize(*wanted));
            }
        },
    };
    let all = race(run, &mut [&mut ours]).await?;
    if let [ours] = all.as_slice() {
        report.add(
            Row::new("decisions", "a permission check", CPU_US)
                .work("Every permission there is, asked of a developer in turn: what is granted gives a scope, what is denied an error that names it.")
                .ours(Side::of("caxton", ours, CPU_US))
                .goal(Goal::AtMost(1.0)),
        );
    }
    Ok(())
}

async fn rate(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    /// A million in a second, so that some are refused.
    const PER_SECOND: u32 = 1_000_000;
    let rate = Rate::new(u64::from(PER_SECOND), 1, 1000)?;
    let burst = NonZeroU32::new(1000).unwrap_or(NonZeroU32::MIN);
    let second = NonZeroU32::new(PER_SECOND).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_second(second).allow_burst(burst);
    let governor: RateLimiter<NotKeyed, InMemoryState, QuantaClock> = RateLimiter::direct(quota);
    let times = run.scaled(RATES);
    let mut bucket = Bucket::default();
    let clock = SystemClock;
    let mut ours = Loop {
        name: "caxton",
        times,
        each: |_: usize| {
            let now: Timestamp = clock.now();
            if black_box(&bucket).decide(rate, now).0.allowed {
                bucket.take(rate, now);
            }
        },
    };
    let mut theirs = Loop {
        name: "governor",
        times,
        each: |_: usize| {
            let _ = black_box(black_box(&governor).check());
        },
    };
    let all = race(run, &mut [&mut ours, &mut theirs]).await?;
    if let [ours, theirs] = all.as_slice() {
        report.add(
            Row::new("decisions", "a rate decision", CPU_US)
                .work("One bucket, one caller, a million in a second with 1,000 at once, the clock read each time. Ours also says what is left, how long to wait and whether to slow down.")
                .ours(Side::of("caxton", ours, CPU_US))
                .peer(Side::of("governor", theirs, CPU_US))
                .goal(Goal::AtMost(1.0)),
        );
    }
    Ok(())
}

struct Identifying {
    app: App,
    key: String,
    times: usize,
}

impl Contestant for Identifying {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let watch = Stopwatch::start();
            for _ in 0..self.times {
                black_box(self.app.identify_key(&self.key).await?);
            }
            Ok(watch.read().costs(self.times as u64))
        })
    }
}

async fn identify(run: &Run, report: &mut Report, app: &App) -> anyhow::Result<()> {
    let draft = KeyDraft {
        name: "bench".to_owned(),
        role: Role::Developer,
        scopes: Vec::new(),
        expires: None,
        platform: false,
    };
    let home = ctx(&TenantId::default_tenant());
    let (_, key) = app.key_create(&home, draft).await?;
    let mut ours = Identifying {
        app: app.clone(),
        key: key.expose(),
        times: run.scaled(KEYS),
    };
    let all = race(run, &mut [&mut ours]).await?;
    if let [ours] = all.as_slice() {
        report.add(
            Row::new("decisions", "who an API key is", CPU_US)
                .work("A key that is at hand: taken apart, its secret hashed and compared in constant time, its use noted.")
                .ours(Side::of("caxton", ours, CPU_US))
                .goal(Goal::AtMost(5000.0)),
        );
    }
    Ok(())
}

struct Noting {
    app: App,
    ctx: OpCtx,
    entries: usize,
}

impl Contestant for Noting {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let watch = Stopwatch::start();
            let mut times = Vec::with_capacity(self.entries);
            for _ in 0..self.entries {
                let begun = Instant::now();
                let act = Act::permitted("bench.note", "bench");
                self.app.audit_note(&self.ctx, act).await?;
                times.push(begun.elapsed());
            }
            let mut scores = watch.read().costs(self.entries as u64);
            scores.extend(percentiles(times)?);
            Ok(scores)
        })
    }
}

async fn audit(run: &Run, report: &mut Report, app: &App) -> anyhow::Result<()> {
    let mut ours = Noting {
        app: app.clone(),
        ctx: ctx(&TenantId::default_tenant()),
        entries: run.scaled(ENTRIES),
    };
    let all = race(run, &mut [&mut ours]).await?;
    if let [ours] = all.as_slice() {
        report.add(
            Row::new("decisions", "an audit entry", CPU_US)
                .work("One after the other in one tenant's chain: hashed, and on disk (SQLite, a sync each) when it returns.")
                .ours(Side::of("caxton", ours, CPU_US))
                .goal(Goal::None)
                .beside(Side::of("caxton", ours, P50_US))
                .beside(Side::of("caxton", ours, P99_US)),
        );
    }
    Ok(())
}
