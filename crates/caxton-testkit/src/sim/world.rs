//! What stands outside the simulated server and outlives it: the dice, the scripts, the ledger of
//! what the disk was told, and the trace.

use super::clock::SimClock;
use super::dice::Dice;
use super::ledger::Ledger;
use super::script::{self, Script};
use super::trace::Trace;
use caxton_core::{Error, MailboxId, Message, MessageId};
use caxton_engine::port::store::{CallId, Committed, Unit};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What may go wrong in one world, drawn from its seed: some worlds have a little of everything, some
/// much of one thing. Numbers are per mille.
#[derive(Clone, Debug, Default)]
pub(super) struct Chaos {
    pub(super) refused_commits: u64,
    pub(super) lost_answers: u64,
    pub(super) slow_commits: u64,
    pub(super) slow_answers: u64,
    pub(super) slow_reads: u64,
    pub(super) failing_reads: u64,
    pub(super) hang_ups: u64,
    pub(super) clock_jumps: bool,
    pub(super) slow_handlers: bool,
    pub(super) failing_handlers: bool,
    pub(super) lifecycle: bool,
    /// Crash at a write drawn up to this one of each life.
    pub(super) writes_per_life_max: u64,
    pub(super) batch_messages_max: usize,
    pub(super) mailboxes_live_max: usize,
    pub(super) history: Duration,
}

impl Chaos {
    fn draw(dice: &mut Dice) -> Self {
        let mut some = |often: u64, most: u64| {
            if dice.chance(often) {
                dice.between(1, most)
            } else {
                0
            }
        };
        Self {
            refused_commits: some(500, 150),
            lost_answers: some(500, 150),
            slow_commits: some(600, 500),
            slow_answers: some(400, 300),
            slow_reads: some(400, 500),
            failing_reads: some(300, 100),
            hang_ups: some(500, 200),
            clock_jumps: some(300, 1) == 1,
            slow_handlers: some(700, 1) == 1,
            failing_handlers: some(700, 1) == 1,
            lifecycle: some(600, 1) == 1,
            writes_per_life_max: *dice.pick(&[20, 100, 400]),
            batch_messages_max: *dice.pick(&[1, 3, 16, 128]),
            mailboxes_live_max: *dice.pick(&[6, 10, 1000, 1000]),
            history: Duration::from_secs(*dice.pick(&[20, 3_600])),
        }
    }
}

/// How many of each thing a run has seen: a simulator that never meets a crash finds nothing.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub lives: u64,
    pub crashes: u64,
    pub units: u64,
    pub accepted: u64,
    pub refused: u64,
    pub unknown: u64,
    pub handled: u64,
    pub tries: u64,
    pub buried: u64,
    pub calls: u64,
    pub calls_replayed: u64,
    pub timers_fired: u64,
    pub commits_refused: u64,
    pub answers_lost: u64,
    pub changes: u64,
    pub resent: u64,
    pub hop_limit: u64,
}

impl Stats {
    pub fn add(&mut self, other: &Self) {
        let Self {
            lives,
            crashes,
            units,
            accepted,
            refused,
            unknown,
            handled,
            tries,
            buried,
            calls,
            calls_replayed,
            timers_fired,
            commits_refused,
            answers_lost,
            changes,
            resent,
            hop_limit,
        } = other;
        self.lives += lives;
        self.crashes += crashes;
        self.units += units;
        self.accepted += accepted;
        self.refused += refused;
        self.unknown += unknown;
        self.handled += handled;
        self.tries += tries;
        self.buried += buried;
        self.calls += calls;
        self.calls_replayed += calls_replayed;
        self.timers_fired += timers_fired;
        self.commits_refused += commits_refused;
        self.answers_lost += answers_lost;
        self.changes += changes;
        self.resent += resent;
        self.hop_limit += hop_limit;
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct World {
    pub(super) chaos: Chaos,
    state: Mutex<State>,
    /// Rung when the server must die: a crash, or a broken rule.
    bell: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) dice: Dice,
    pub(super) trace: Trace,
    pub(super) ledger: Ledger,
    pub(super) scripts: Vec<Script>,
    pub(super) stats: Stats,
    /// No faults any more.
    pub(super) calm: bool,
    /// The server is dead: nothing it does counts.
    pub(super) dead: bool,
    pub(super) broken: Option<String>,
    writes: u64,
    crash_at: Option<u64>,
    lanes: BTreeMap<MailboxId, MessageId>,
    clock: Option<Arc<SimClock>>,
}

/// What is to become of one commit.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) refuse: bool,
    pub(super) lose: bool,
    pub(super) before: Duration,
    pub(super) after: Duration,
}

impl World {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let mut dice = Dice::new(seed);
        let chaos = Chaos::draw(&mut dice);
        let mut trace = Trace::default();
        trace.line(0, &format!("{chaos:?}"));
        let ledger = Ledger::new(chaos.batch_messages_max);
        Arc::new(Self {
            chaos,
            state: Mutex::new(State {
                dice,
                trace,
                ledger,
                scripts: Vec::new(),
                stats: Stats::default(),
                calm: true,
                dead: true,
                broken: None,
                writes: 0,
                crash_at: None,
                lanes: BTreeMap::new(),
                clock: None,
            }),
            bell: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server begins to live.
    pub(super) fn begin(&self, clock: &Arc<SimClock>, calm: bool) {
        let mut state = self.lock();
        state.stats.lives += 1;
        state.calm = calm;
        state.dead = false;
        state.lanes.clear();
        state.clock = Some(Arc::clone(clock));
        let last = self.chaos.writes_per_life_max;
        let writes = state.writes;
        state.crash_at = (!calm).then(|| writes + state.dice.between(1, last));
        state.say(if calm {
            "a calm life begins"
        } else {
            "a life begins"
        });
    }

    /// No crash at a write of this life.
    pub(super) fn spare(&self) {
        self.lock().crash_at = None;
    }

    /// From now on nothing goes wrong.
    pub(super) fn calm_down(&self) {
        let mut state = self.lock();
        state.calm = true;
        state.say("the faults end");
    }

    /// Ends the server, as kill -9 does.
    pub(super) fn kill(&self, why: &str) {
        let mut state = self.lock();
        if !state.dead {
            state.dead = true;
            state.stats.crashes += 1;
            state.say(why);
        }
        drop(state);
        self.bell.notify_one();
    }

    /// Completes when the server must die.
    pub(super) async fn killed(&self) {
        loop {
            if self.lock().dead {
                return;
            }
            self.bell.notified().await;
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    pub(super) fn say(&self, text: &str) {
        self.lock().say(text);
    }

    /// A rule is broken. The first one counts.
    pub(super) fn broke(&self, what: String) {
        let mut state = self.lock();
        if state.broken.is_none() && !state.dead {
            state.say(&format!("BROKEN: {what}"));
            state.broken = Some(what);
        }
        drop(state);
        self.kill("stopped");
    }

    pub(super) fn is_broken(&self) -> bool {
        self.lock().broken.is_some()
    }

    pub(super) fn script(&self, number: usize) -> Script {
        self.lock().scripts.get(number).cloned().unwrap_or_default()
    }

    pub(super) fn new_script(&self, depth: u32) -> usize {
        let state = &mut *self.lock();
        script::write(&mut state.scripts, &mut state.dice, &self.chaos, depth)
    }

    pub(super) fn add_script(&self, script: Script) -> usize {
        let mut state = self.lock();
        state.scripts.push(script);
        state.scripts.len() - 1
    }

    pub(super) fn roll<T>(&self, roll: impl FnOnce(&mut Dice) -> T) -> T {
        roll(&mut self.lock().dice)
    }

    /// What is to become of a commit that is submitted now.
    pub(super) fn fate(&self) -> Fate {
        let state = &mut *self.lock();
        let mut fate = Fate {
            refuse: false,
            lose: false,
            before: Duration::ZERO,
            after: Duration::ZERO,
        };
        if state.calm {
            return fate;
        }
        let dice = &mut state.dice;
        fate.refuse = dice.chance(self.chaos.refused_commits);
        fate.lose = dice.chance(self.chaos.lost_answers);
        if dice.chance(self.chaos.slow_commits) {
            fate.before = Duration::from_millis(dice.between(1, 30));
        }
        if dice.chance(self.chaos.slow_answers) {
            fate.after = Duration::from_millis(dice.between(1, 30));
        }
        fate
    }

    /// How long a read takes, and whether it fails.
    pub(super) fn read(&self) -> (Duration, bool) {
        let state = &mut *self.lock();
        if state.calm {
            return (Duration::ZERO, false);
        }
        let slow = state.dice.chance(self.chaos.slow_reads);
        let wait = if slow { state.dice.between(1, 30) } else { 0 };
        let fails = state.dice.chance(self.chaos.failing_reads);
        (Duration::from_millis(wait), fails)
    }

    /// Counts a write; says whether the server dies at it: before it is done, or after.
    pub(super) fn counts_write(&self) -> Option<Crash> {
        let state = &mut *self.lock();
        state.writes += 1;
        (state.crash_at == Some(state.writes)).then(|| {
            if state.dice.chance(500) {
                Crash::Before
            } else {
                Crash::After
            }
        })
    }

    /// The disk did what this unit says.
    pub(super) fn applied(&self, unit: &Unit, committed: &Committed) {
        let outcome = {
            let state = &mut *self.lock();
            let now = state.now_us();
            let outcome =
                state
                    .ledger
                    .apply(unit, committed, &state.scripts, &mut state.stats, now);
            let line = state.ledger.shown(unit);
            state.say(&line);
            outcome
        };
        if let Err(what) = outcome {
            self.broke(what);
        }
    }

    /// A handler begins.
    pub(super) fn enter(
        self: &Arc<Self>,
        mailbox: &MailboxId,
        message: &Message,
        attempt: u32,
    ) -> Lane {
        let other = {
            let state = &mut *self.lock();
            state.stats.tries += 1;
            let short = state.ledger.short(message.id);
            state.say(&format!("{mailbox} handles {short}, try {attempt}"));
            state.lanes.insert(mailbox.clone(), message.id)
        };
        if let Some(other) = other {
            self.broke(format!(
                "{mailbox} handles {} while it handles {other}",
                message.id
            ));
        }
        Lane(Arc::clone(self), mailbox.clone(), message.id)
    }

    /// A handler calls; gives the answer that is recorded for this call.
    pub(super) fn call_begins(&self, call: &CallId) -> Option<MessageId> {
        let state = &mut *self.lock();
        state.stats.calls += 1;
        state.ledger.answer(call)
    }

    pub(super) fn call_ends(
        &self,
        call: &CallId,
        recorded: Option<MessageId>,
        got: &Result<Arc<Message>, Error>,
    ) {
        let broken = {
            let state = &mut *self.lock();
            let text = match got {
                Ok(answer) => format!("answered by {}", state.ledger.short(answer.id)),
                Err(error) => error.code.as_str().to_owned(),
            };
            let short = state.ledger.short(call.message);
            state.say(&format!(
                "{}: call {}.{} {text}",
                call.mailbox, short, call.index
            ));
            if recorded.is_some() {
                state.stats.calls_replayed += 1;
            }
            state.ledger.call_ended(call, recorded, got)
        };
        if let Err(what) = broken {
            self.broke(what);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    Before,
    After,
}

/// Held while a handler runs.
#[derive(Debug)]
pub(super) struct Lane(Arc<World>, MailboxId, MessageId);

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.lanes.get(&self.1) == Some(&self.2) {
            state.lanes.remove(&self.1);
        }
    }
}

impl State {
    pub(super) fn now_us(&self) -> i64 {
        self.clock.as_ref().map_or(0, |clock| clock.now_us())
    }

    pub(super) fn say(&mut self, text: &str) {
        let now = self.now_us();
        self.trace.line(now, text);
    }
}
