//! Seeded simulation of the whole engine, on one thread, in paused time: agents that exchange
//! messages, call each other, set timers and fail; clients that send and hang up; an operator who
//! stops, removes and updates agents; a disk that refuses, delays, reorders and forgets to answer; a
//! clock that jumps; and a server that is killed before or after any write and started again on the
//! same disk, over and over.
//!
//! A [`ledger`](self) of what the disk was told judges every unit as it is written, and the end: no
//! accepted message is lost, no effect is there twice, nothing overtakes. Everything is drawn from
//! one seed, so that a broken rule is found again by it.
//!
//! It must not know how the engine works inside: a rule is what users are promised
//! (`docs/deliveries.md`), not what the code does.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

mod cast;
mod clock;
mod dice;
mod disk;
mod ledger;
mod play;
mod script;
mod trace;
mod world;

pub use world::Stats;

use caxton_core::lifecycle::Phase;
use caxton_core::{Error, TenantId, Timestamp};
use caxton_engine::port::{MemoryDisk, SeededEntropy, Store};
use caxton_engine::{App, Options, Ports, TenantScope};
use clock::{SimClock, pass};
use disk::SimStore;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use world::World;

/// Lives with faults in one run; two calm ones follow.
const LIVES: u64 = 8;
/// Longest life with faults, in simulated time.
const LIFE_MS_MAX: u64 = 30_000;
/// How long a calm world may take to come to rest, in simulated time.
const REST_MAX: Duration = Duration::from_secs(3_600);
/// How often it is looked at.
const REST_STEP: Duration = Duration::from_millis(100);

/// What one seed came to.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    /// Of every line of the trace: the same for every run of the seed.
    pub trace_hash: u64,
    /// The first rule that was broken.
    pub broken: Option<String>,
    /// The last lines before the end.
    pub trace: String,
    pub stats: Stats,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.broken.as_deref().unwrap_or("nothing is broken");
        writeln!(f, "{}", self.trace)?;
        writeln!(f, "seed {}: {what}", self.seed)?;
        write!(
            f,
            "again: CAXTON_SIM_SEED={} cargo test -p caxton-testkit --test sim (CAXTON_SIM_TRACE=1 shows all)",
            self.seed
        )
    }
}

/// Runs the world of a seed to its end.
pub fn run(seed: u64) -> Report {
    let world = World::new(seed);
    let disk = MemoryDisk::default();
    let begin = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").map_or(0, Timestamp::as_us);
    let mut now_us = begin;
    for life in 0..LIVES + 2 {
        let calm = life >= LIVES;
        now_us = live(&world, &disk, now_us, life, calm);
        if world.is_broken() {
            break;
        }
    }
    let mut state = world.lock();
    Report {
        seed,
        trace_hash: state.trace.hash(),
        broken: state.broken.take(),
        trace: state.trace.tail(),
        stats: state.stats.clone(),
    }
}

/// One life of the server, in a runtime of its own: dropping it is the kill. Gives the time after it.
fn live(world: &Arc<World>, disk: &MemoryDisk, now_us: i64, life: u64, calm: bool) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let end_us = runtime.block_on(async {
        let clock = Arc::new(SimClock::new(now_us));
        world.begin(&clock, calm);
        tokio::select! {
            biased;
            () = world.killed() => {}
            () = body(world, disk, &clock, life, calm) => {}
        }
        world.kill("the life ends");
        clock.now_us()
    });
    drop(runtime);
    let down_ms = world.roll(|dice| *dice.pick(&[0, 10, 2_000, 60_000]));
    end_us + i64::from(down_ms * 1000)
}

/// How a life with faults ends, where nothing kills it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Killed,
    /// The server is told to stop.
    Stopped,
    /// The faults end, and what lives must come to rest without the help of a restart.
    Rests,
}

async fn body(world: &Arc<World>, disk: &MemoryDisk, clock: &Arc<SimClock>, life: u64, calm: bool) {
    let store = SimStore::open(world, disk);
    let app = match start(world, &store, clock).await {
        Ok(app) => app,
        Err(error) => return world.say(&format!("the server does not start: {error}")),
    };
    world.say("the server is up");
    if calm {
        return rest(world, &app, &store, life == LIVES).await;
    }
    let (time_ms, end) = world.roll(|dice| {
        let ends = [
            End::Killed,
            End::Killed,
            End::Killed,
            End::Stopped,
            End::Rests,
        ];
        (dice.between(1, LIFE_MS_MAX), *dice.pick(&ends))
    });
    if end == End::Rests {
        world.spare();
    }
    play::assemble(&app).await;
    let players = players(world, &app, clock, life);
    pass(Duration::from_millis(time_ms)).await;
    match end {
        End::Killed => {}
        End::Stopped => {
            world.say("the server is told to stop");
            app.stop(Duration::from_millis(500)).await;
        }
        End::Rests => {
            for player in players {
                player.abort();
            }
            world.calm_down();
            rest(world, &app, &store, true).await;
        }
    }
}

/// Lets everybody begin who drives this life.
fn players(world: &Arc<World>, app: &App, clock: &Arc<SimClock>, life: u64) -> Vec<JoinHandle<()>> {
    let mut players = Vec::new();
    for number in 0..play::CLIENTS {
        let client = play::client(Arc::clone(world), app.clone(), life * 10 + number);
        players.push(tokio::spawn(client));
    }
    if world.chaos.lifecycle {
        players.push(tokio::spawn(play::operator(Arc::clone(world), app.clone())));
    }
    if world.chaos.clock_jumps {
        let setter = play::clock_setter(Arc::clone(world), Arc::clone(clock));
        players.push(tokio::spawn(setter));
    }
    if world.roll(|dice| dice.chance(50)) {
        players.push(tokio::spawn(play::endless(Arc::clone(world), app.clone())));
    }
    players
}

async fn start(
    world: &Arc<World>,
    store: &Arc<SimStore>,
    clock: &Arc<SimClock>,
) -> Result<App, Error> {
    let seed = world.roll(|dice| dice.next());
    let ports = Ports::new(
        Arc::clone(store) as Arc<_>,
        Arc::clone(clock) as Arc<_>,
        Arc::new(SeededEntropy::new(seed)),
        Arc::new(cast::runtime(world)),
    );
    let options = Options {
        batch_messages_max: world.chaos.batch_messages_max,
        mailboxes_live_max: world.chaos.mailboxes_live_max,
        history: world.chaos.history,
        ..Options::default()
    };
    App::start(ports, options).await
}

/// Without faults: whatever runs comes to rest; then, where there was trouble before, everything is
/// started and comes to rest; else nothing may be left to do.
async fn rest(world: &Arc<World>, app: &App, store: &SimStore, after_trouble: bool) {
    if after_trouble {
        if !comes_to_rest(world, app).await {
            return;
        }
        play::start_all(world, app).await;
    }
    let handled = world.lock().ledger.handled_count();
    if !comes_to_rest(world, app).await {
        return;
    }
    if !after_trouble && world.lock().ledger.handled_count() != handled {
        world.broke("a world at rest handles messages after a restart".to_owned());
    }
    let verdict = world.lock().ledger.at_rest();
    if let Err(what) = verdict {
        return world.broke(what);
    }
    agrees(world, store).await;
    leaves_memory(world, app).await;
}

/// Waits until every agent that may work has done so.
async fn comes_to_rest(world: &Arc<World>, app: &App) -> bool {
    let mut left = REST_MAX;
    loop {
        let mut why = None;
        for agent in app
            .agent_list(&play::ctx(), None, usize::MAX)
            .unwrap_or_default()
        {
            let name = &agent.id.name;
            let state = world.lock();
            let (waiting, timers) = (state.ledger.waiting(name), state.ledger.timers_of(name));
            drop(state);
            let stopped = matches!(agent.phase, Phase::Stopped | Phase::Loaded);
            let rests =
                agent.phase == Phase::Running && agent.queued == 0 && waiting == 0 && timers == 0;
            let waits = stopped && (agent.queued == waiting as u64 || !cast::is_durable(name));
            if !rests && !waits {
                why = Some(format!(
                    "{name} is {}, {} queued, {waiting} unhandled on disk, {timers} timers",
                    agent.phase, agent.queued
                ));
            }
        }
        let Some(why) = why else {
            return true;
        };
        if left.is_zero() {
            world.broke(format!("the world does not come to rest: {why}"));
            return false;
        }
        left = left.saturating_sub(REST_STEP);
        pass(REST_STEP).await;
    }
}

/// The disk says what the ledger says.
async fn agrees(world: &Arc<World>, store: &SimStore) {
    let scope = TenantScope::system(TenantId::default_tenant(), "compare with the ledger");
    let counts = world.lock().ledger.counts().clone();
    for (mailbox, expected) in counts {
        let found = store.state(&scope, &mailbox, "n").await.unwrap_or_default();
        let found = found.map_or(0, |bytes| cast::number_of(&bytes));
        if found != expected {
            world.broke(format!(
                "{mailbox} says {found} on disk, {expected} were handled"
            ));
        }
    }
    let open = store.mailboxes(&scope, None).await.unwrap_or_default();
    if !open.is_empty() {
        world.broke(format!("on disk there is more than was told: {open:?}"));
    }
}

/// Idle mailboxes leave memory, and nobody waits for an answer any more. What a transient agent has
/// in hand is on no disk and in no queue, so this may take as long as the rest.
async fn leaves_memory(world: &Arc<World>, app: &App) {
    let mut left = REST_MAX;
    loop {
        let Ok(status) = app.status().await else {
            return world.broke("no status".to_owned());
        };
        // One agent of the cast is resident.
        if status.mailboxes_live <= 1 && status.timers == 0 && status.waiting == 0 {
            return;
        }
        if left.is_zero() {
            return world.broke(format!(
                "at rest there are {} live mailboxes, {} timers, {} who wait",
                status.mailboxes_live, status.timers, status.waiting
            ));
        }
        left = left.saturating_sub(REST_STEP);
        pass(REST_STEP).await;
    }
}
