//! A circuit breaker: stops asking what does not answer, and tries it again by a few.
//!
//! Closed, everything passes and failures in a row are counted. Open, nothing passes until a time
//! that is told. Half-open, a few trials pass: enough successes close it, one failure opens it again
//! for twice as long. It is a value without clock or lock; whoever has a breaker per thing (an agent
//! of a tenant, a provider's key) keeps it, and gives it the time.
//!
//! What is a failure is the owner's to say. It should be what tells of the thing being ill (no answer,
//! overload, a crash), never what tells of the question being wrong.

use crate::time::Timestamp;
use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Failures in a row that open it; at least 1.
    pub failures_max: u32,
    /// A row of failures with a pause longer than this between two of them begins anew.
    pub forget_after: Duration,
    /// How long it is open the first time. Each failed trial doubles it.
    pub open_for: Duration,
    /// The longest it is open by its own judgement.
    pub open_for_max: Duration,
    /// The longest it is open because the other side asked for it.
    pub retry_after_max: Duration,
    /// Trials at one time while half-open; at least 1.
    pub half_open_max: u32,
    /// Trials that must succeed to close it; at least 1.
    pub successes_min: u32,
    /// A trial that tells nothing for so long has lost its place.
    pub trial_for_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            failures_max: 5,
            forget_after: Duration::from_secs(60),
            open_for: Duration::from_secs(5),
            open_for_max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(120),
            half_open_max: 1,
            successes_min: 1,
            trial_for_max: Duration::from_secs(300),
        }
    }
}

/// What a breaker is at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Closed,
    HalfOpen,
    Open,
}

impl State {
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// `closed`, `half-open`, `open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// Leave to ask once; [`Breaker::record`] takes it back with what became of it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a trial that is never recorded keeps its place for trial_for_max"]
pub struct Permit {
    /// The period it was given in: what began before a breaker opened says nothing of it now.
    period: u64,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// With the time the other side asked to be left alone for, if it did.
    Failed {
        retry_after: Option<Duration>,
    },
    /// It says nothing: the caller went away, or asked nonsense.
    Untold,
}

impl Outcome {
    pub const FAILED: Self = Self::Failed { retry_after: None };
}

/// It does not pass now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When to ask again.
    pub retry_at: Timestamp,
}

/// A person's word over the breaker's own judgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Override {
    #[default]
    None,
    /// Nothing passes.
    Open,
    /// Everything passes.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// With the failures in a row, and when the last was.
    Closed { failures: u32, last: Timestamp },
    Open {
        since: Timestamp,
        open_for: Duration,
    },
    /// How long it was open, the trials on their way, when the last began, and those that succeeded.
    HalfOpen {
        open_for: Duration,
        trials: u32,
        begun: Timestamp,
        successes: u32,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Breaker {
    options: Options,
    phase: Phase,
    period: u64,
    word: Override,
}

impl Breaker {
    /// Closed. Options below their minimum count as it.
    pub const fn new(options: Options) -> Self {
        Self {
            options,
            phase: Phase::Closed {
                failures: 0,
                last: Timestamp::EPOCH,
            },
            period: 0,
            word: Override::None,
        }
    }

    /// Asks to ask.
    pub fn admit(&mut self, now: Timestamp) -> Result<Permit, Refused> {
        match self.word {
            Override::None => {}
            Override::Closed => return Ok(self.permit()),
            Override::Open => {
                let retry_at = now.plus(self.options.open_for);
                return Err(Refused { retry_at });
            }
        }
        self.settle(now);
        if let Phase::Open { since, open_for } = self.phase {
            let retry_at = ends(since, open_for, now);
            if now < retry_at {
                return Err(Refused { retry_at });
            }
            self.half_open(open_for, now);
        }
        let trials_max = self.options.half_open_max.max(1);
        if let Phase::HalfOpen {
            open_for,
            trials,
            begun,
            ..
        } = self.phase
            && trials >= trials_max
        {
            let retry_at = ends(begun, self.options.trial_for_max, now);
            if now < retry_at {
                // A trial is expected to be over long before it loses its place.
                let soon = now.plus(self.options.open_for);
                return Err(Refused {
                    retry_at: retry_at.min(soon),
                });
            }
            self.half_open(open_for, now);
        }
        if let Phase::HalfOpen { trials, begun, .. } = &mut self.phase {
            *trials += 1;
            *begun = now;
        }
        Ok(self.permit())
    }

    /// Tells what became of a question. Gives the state it changed to, if it did.
    pub fn record(&mut self, permit: &Permit, now: Timestamp, outcome: Outcome) -> Option<State> {
        if permit.period != self.period || self.word != Override::None {
            return None;
        }
        match (&mut self.phase, outcome) {
            (Phase::Closed { failures, .. }, Outcome::Succeeded) => {
                *failures = 0;
                None
            }
            (Phase::Closed { failures, last }, Outcome::Failed { retry_after }) => {
                if now.since(*last) > self.options.forget_after {
                    *failures = 0;
                }
                *failures = failures.saturating_add(1);
                *last = now;
                let opens = *failures >= self.options.failures_max;
                opens.then(|| self.open(self.options.open_for, retry_after, now))
            }
            (Phase::HalfOpen { open_for, .. }, Outcome::Failed { retry_after }) => {
                let longer = open_for.saturating_mul(2);
                Some(self.open(longer, retry_after, now))
            }
            (
                Phase::HalfOpen {
                    trials, successes, ..
                },
                Outcome::Succeeded,
            ) => {
                *trials = trials.saturating_sub(1);
                *successes += 1;
                let closes = *successes >= self.options.successes_min.max(1);
                closes.then(|| self.close())
            }
            (Phase::HalfOpen { trials, .. }, Outcome::Untold) => {
                *trials = trials.saturating_sub(1);
                None
            }
            (Phase::Open { .. }, _) | (Phase::Closed { .. }, Outcome::Untold) => None,
        }
    }

    /// What it is now. An open one whose time is over is half-open, though nobody has asked yet.
    pub fn state(&self, now: Timestamp) -> State {
        match (self.word, self.phase) {
            (Override::Open, _) => State::Open,
            (Override::Closed, _) | (_, Phase::Closed { .. }) => State::Closed,
            (_, Phase::Open { since, open_for }) if now < ends(since, open_for, now) => State::Open,
            (_, Phase::Open { .. } | Phase::HalfOpen { .. }) => State::HalfOpen,
        }
    }

    /// When an open one lets a trial pass.
    pub fn retry_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.phase {
            Phase::Open { since, open_for } => {
                Some(ends(since, open_for, now)).filter(|at| now < *at)
            }
            Phase::Closed { .. } | Phase::HalfOpen { .. } => None,
        }
    }

    /// Whether trials pass, because somebody has asked since its time was over.
    pub fn is_tried(&self) -> bool {
        matches!(self.phase, Phase::HalfOpen { .. })
    }

    /// Failures in a row, while closed.
    pub fn failures(&self) -> u32 {
        match self.phase {
            Phase::Closed { failures, .. } => failures,
            Phase::Open { .. } | Phase::HalfOpen { .. } => 0,
        }
    }

    /// Sets or lifts a person's word. Lifted, it begins anew, closed.
    pub fn set_override(&mut self, word: Override) {
        self.word = word;
        self.close();
    }

    pub fn overridden(&self) -> Override {
        self.word
    }

    /// Whether it says the same as a new one, and so can be thrown away.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        let forgotten = match self.phase {
            Phase::Closed { failures, last } => {
                failures == 0 || now.since(last) > self.options.forget_after
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => false,
        };
        forgotten && self.word == Override::None
    }

    fn permit(&self) -> Permit {
        Permit {
            period: self.period,
        }
    }

    /// Takes the clock as it is: what began at a time that is not yet, began now.
    fn settle(&mut self, now: Timestamp) {
        let begun = match &mut self.phase {
            Phase::Closed { last, .. } => last,
            Phase::Open { since, .. } => since,
            Phase::HalfOpen { begun, .. } => begun,
        };
        *begun = (*begun).min(now);
    }

    fn open(&mut self, open_for: Duration, retry_after: Option<Duration>, now: Timestamp) -> State {
        let asked = retry_after.unwrap_or_default();
        let own = open_for.min(self.options.open_for_max);
        self.phase = Phase::Open {
            since: now,
            open_for: own.max(asked.min(self.options.retry_after_max)),
        };
        self.period += 1;
        State::Open
    }

    fn half_open(&mut self, open_for: Duration, now: Timestamp) {
        self.phase = Phase::HalfOpen {
            open_for,
            trials: 0,
            begun: now,
            successes: 0,
        };
        self.period += 1;
    }

    fn close(&mut self) -> State {
        self.phase = Phase::Closed {
            failures: 0,
            last: Timestamp::EPOCH,
        };
        self.period += 1;
        State::Closed
    }
}

/// When what began at `since` is over; a clock that went back does not make it longer.
fn ends(since: Timestamp, length: Duration, now: Timestamp) -> Timestamp {
    since.min(now).plus(length)
}

#[cfg(test)]
mod tests;
