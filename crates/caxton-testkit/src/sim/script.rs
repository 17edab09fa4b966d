//! What a message makes its receiver do. A message's content is the number of a script; the scripts
//! stay outside the server, so that the checks know what each handling must lead to.

use super::dice::Dice;
use super::world::Chaos;
use caxton_core::Message;

/// Steps done in order by whoever handles the message.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// One message to these, of this script; with a conversation of this number.
    Send {
        to: Vec<&'static str>,
        script: usize,
        conversation: u64,
    },
    /// Asks and waits.
    Call {
        to: &'static str,
        script: usize,
        conversation: u64,
        timeout_ms: u64,
    },
    Timer {
        name: u64,
        after_ms: u64,
        script: usize,
    },
    Cancel {
        name: u64,
    },
    /// Takes time, so that batches are cut and handlers overlap.
    Sleep {
        ms: u64,
    },
    /// Fails the first tries.
    Fail {
        how: Failing,
        tries: u32,
    },
    /// Sends this same script to the other of two, for ever.
    Bounce {
        between: [&'static str; 2],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    Error,
    Trap,
    Panic,
}

impl Script {
    /// The contents of the messages that a well handled message of this script sends, in order.
    pub(super) fn sends(&self, own: usize) -> Vec<String> {
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Send { script, .. } => Some(content(*script)),
                Step::Bounce { .. } => Some(content(own)),
                _ => None,
            })
            .collect()
    }

    pub(super) fn timers(&self) -> usize {
        let sets = |step: &&Step| matches!(step, Step::Timer { .. });
        self.steps.iter().filter(sets).count()
    }
}

pub(super) fn content(script: usize) -> String {
    format!("s{script}")
}

/// The script of a message; none for answers and failures.
pub(super) fn number(message: &Message) -> Option<usize> {
    message.acl.text()?.strip_prefix('s')?.parse().ok()
}

/// Writes a script, and those its messages carry, into the list; gives its number.
pub(super) fn write(list: &mut Vec<Script>, dice: &mut Dice, chaos: &Chaos, depth: u32) -> usize {
    let mut steps = Vec::new();
    let count = if depth == 0 {
        0
    } else {
        dice.below(u64::from(depth) + 1)
    };
    if chaos.slow_handlers && dice.chance(80) {
        let ms = if dice.chance(60) {
            dice.between(5_000, 30_000)
        } else {
            dice.between(1, 40)
        };
        steps.push(Step::Sleep { ms });
    }
    for _ in 0..count {
        steps.push(step(list, dice, chaos, depth));
    }
    if chaos.failing_handlers && dice.chance(90) {
        let how = *dice.pick(&[Failing::Error, Failing::Trap, Failing::Panic]);
        let tries = if dice.chance(150) {
            u32::MAX
        } else {
            dice.between(1, 3) as u32
        };
        let at = dice.below(steps.len() as u64 + 1) as usize;
        steps.insert(at, Step::Fail { how, tries });
    }
    list.push(Script { steps });
    list.len() - 1
}

fn step(list: &mut Vec<Script>, dice: &mut Dice, chaos: &Chaos, depth: u32) -> Step {
    let names = super::cast::NAMES;
    let conversation = dice.below(3);
    match dice.below(100) {
        0..=44 => {
            let mut to = vec![*dice.pick(names)];
            while dice.chance(250) {
                let more = *dice.pick(names);
                if !to.contains(&more) {
                    to.push(more);
                }
            }
            if dice.chance(20) {
                to.push("nobody");
            }
            let script = write(list, dice, chaos, depth - 1);
            Step::Send {
                to,
                script,
                conversation,
            }
        }
        45..=74 => Step::Call {
            to: dice.pick::<&str>(names),
            script: write(list, dice, chaos, depth - 1),
            conversation,
            timeout_ms: *dice.pick(&[50, 1_000, 20_000]),
        },
        75..=86 => Step::Timer {
            name: dice.below(3),
            after_ms: *dice.pick(&[0, 1, 30, 900, 9_000, 40_000]),
            script: write(list, dice, chaos, depth - 1),
        },
        87..=90 => Step::Cancel {
            name: dice.below(3),
        },
        _ => Step::Sleep {
            ms: dice.between(1, 20),
        },
    }
}
