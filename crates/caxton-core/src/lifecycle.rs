//! An agent's life: Unloaded -> Loaded -> Running -> Draining -> Stopped.
//!
//! Each state is a type, and a step consumes the old state, so that a step that does not exist does
//! not compile. [`Lifecycle`] is the same set erased to one type, for where the state is only known
//! at run time: there a step that does not exist is a [`Refused`].

use crate::error::{Code, Error};
use serde::{Deserialize, Serialize};
use std::fmt;

/// No code; the agent is a name only.
#[derive(Debug, PartialEq, Eq)]
pub struct Unloaded(());
/// Validated and compiled; takes no messages yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Loaded(());
/// Takes and handles messages.
#[derive(Debug, PartialEq, Eq)]
pub struct Running(());
/// Takes no new messages; handles those it has.
#[derive(Debug, PartialEq, Eq)]
pub struct Draining(());
/// Handles nothing; code, state and durable messages are kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped(());

impl Unloaded {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(())
    }
    pub fn load(self) -> Loaded {
        Loaded(())
    }
}

impl Loaded {
    pub fn start(self) -> Running {
        Running(())
    }
    pub fn unload(self) -> Unloaded {
        Unloaded(())
    }
}

impl Running {
    pub fn drain(self) -> Draining {
        Draining(())
    }
    /// A new version takes over between two messages.
    pub fn reload(self) -> Running {
        Running(())
    }
}

impl Draining {
    /// The last message is handled, or the deadline passed.
    pub fn finish(self) -> Stopped {
        Stopped(())
    }
}

impl Stopped {
    pub fn start(self) -> Running {
        Running(())
    }
    pub fn unload(self) -> Unloaded {
        Unloaded(())
    }
}

/// A step of the life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Load,
    Start,
    Reload,
    Drain,
    Finish,
    Unload,
}

/// The state as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Unloaded,
    Loaded,
    Running,
    Draining,
    Stopped,
}

impl Phase {
    pub const ALL: [Self; 5] = [
        Self::Unloaded,
        Self::Loaded,
        Self::Running,
        Self::Draining,
        Self::Stopped,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unloaded => "unloaded",
            Self::Loaded => "loaded",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step that the present state does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub phase: Phase,
    pub step: Step,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let step = format!("{:?}", refused.step).to_lowercase();
        Self::new(
            Code::AgentState,
            format!("cannot {step} an agent that is {}", refused.phase),
        )
    }
}

/// The state, erased.
#[derive(Debug, PartialEq, Eq)]
pub enum Lifecycle {
    Unloaded(Unloaded),
    Loaded(Loaded),
    Running(Running),
    Draining(Draining),
    Stopped(Stopped),
}

impl Lifecycle {
    pub fn phase(&self) -> Phase {
        match self {
            Self::Unloaded(_) => Phase::Unloaded,
            Self::Loaded(_) => Phase::Loaded,
            Self::Running(_) => Phase::Running,
            Self::Draining(_) => Phase::Draining,
            Self::Stopped(_) => Phase::Stopped,
        }
    }

    /// Takes a step, or gives the state back with the reason.
    pub fn step(self, step: Step) -> Result<Self, (Self, Refused)> {
        Ok(match (self, step) {
            (Self::Unloaded(s), Step::Load) => Self::Loaded(s.load()),
            (Self::Loaded(s), Step::Start) => Self::Running(s.start()),
            (Self::Loaded(s), Step::Unload) => Self::Unloaded(s.unload()),
            (Self::Running(s), Step::Reload) => Self::Running(s.reload()),
            (Self::Running(s), Step::Drain) => Self::Draining(s.drain()),
            (Self::Draining(s), Step::Finish) => Self::Stopped(s.finish()),
            (Self::Stopped(s), Step::Start) => Self::Running(s.start()),
            (Self::Stopped(s), Step::Unload) => Self::Unloaded(s.unload()),
            (state, step) => {
                let refused = Refused {
                    phase: state.phase(),
                    step,
                };
                return Err((state, refused));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(phase: Phase) -> Lifecycle {
        let loaded = || Unloaded::new().load();
        match phase {
            Phase::Unloaded => Lifecycle::Unloaded(Unloaded::new()),
            Phase::Loaded => Lifecycle::Loaded(loaded()),
            Phase::Running => Lifecycle::Running(loaded().start()),
            Phase::Draining => Lifecycle::Draining(loaded().start().drain()),
            Phase::Stopped => Lifecycle::Stopped(loaded().start().drain().finish()),
        }
    }

    #[test]
    fn every_step_from_every_state() {
        use Phase::{Draining, Loaded, Running, Stopped, Unloaded};
        let steps = [
            Step::Load,
            Step::Start,
            Step::Reload,
            Step::Drain,
            Step::Finish,
            Step::Unload,
        ];
        let table: [(Phase, [Option<Phase>; 6]); 5] = [
            (Unloaded, [Some(Loaded), None, None, None, None, None]),
            (
                Loaded,
                [None, Some(Running), None, None, None, Some(Unloaded)],
            ),
            (
                Running,
                [None, None, Some(Running), Some(Draining), None, None],
            ),
            (Draining, [None, None, None, None, Some(Stopped), None]),
            (
                Stopped,
                [None, Some(Running), None, None, None, Some(Unloaded)],
            ),
        ];
        for (from, row) in table {
            for (step, expected) in steps.into_iter().zip(row) {
                match at(from).step(step) {
                    Ok(next) => assert_eq!(Some(next.phase()), expected, "{from} {step:?}"),
                    Err((same, refused)) => {
                        assert_eq!(expected, None, "{from} {step:?}");
                        assert_eq!(
                            (same.phase(), refused.phase, refused.step),
                            (from, from, step)
                        );
                    }
                }
            }
            assert_eq!(Phase::parse(from.as_str()), Some(from));
        }
    }
}
