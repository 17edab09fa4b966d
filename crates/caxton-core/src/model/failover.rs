//! Which model is asked next, and when, after one failed. Pure: whoever asks holds the clock.

use super::{ModelFault, ModelFaultKind};
use std::time::Duration;

/// Bounds of trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverOptions {
    /// Tries of one model.
    pub tries_per_model_max: u32,
    /// Tries of one call, over all models.
    pub tries_max: u32,
    /// The first pause before the same model is asked again; doubles with each further one.
    pub pause_first: Duration,
    pub pause_max: Duration,
    /// All pauses of one call together.
    pub pauses_sum_max: Duration,
}

impl Default for FailoverOptions {
    fn default() -> Self {
        Self {
            tries_per_model_max: 3,
            tries_max: 8,
            pause_first: Duration::from_millis(250),
            pause_max: Duration::from_secs(8),
            pauses_sum_max: Duration::from_secs(30),
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask this model (its place in the list) after a pause.
    Ask {
        model: usize,
        after: Duration,
    },
    GiveUp,
}

/// The state of one call's tries.
#[derive(Clone, Debug)]
pub struct Failover {
    options: FailoverOptions,
    models: usize,
    at: usize,
    tries_here: u32,
    tries: u32,
    paused: Duration,
}

impl Failover {
    /// Begins with the first of so many models.
    pub const fn new(options: FailoverOptions, models: usize) -> Self {
        Self {
            options,
            models,
            at: 0,
            tries_here: 0,
            tries: 0,
            paused: Duration::ZERO,
        }
    }

    /// Tries made, each of which was asked of a provider.
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// A try failed before anything of an answer was seen. `jitter` is a random number: of the pause
    /// at most half is taken off, so that many who failed together do not come back together.
    pub fn failed(&mut self, fault: &ModelFault, jitter: u64) -> Next {
        self.tries += 1;
        self.tries_here += 1;
        if !fault.kind.fails_over() || self.tries >= self.options.tries_max {
            return Next::GiveUp;
        }
        let again = fault.kind.may_pass() && self.tries_here < self.options.tries_per_model_max;
        // Where another model could answer at once, nobody waits for one that asked to be left alone.
        let busy = matches!(
            fault.kind,
            ModelFaultKind::RateLimited | ModelFaultKind::Overloaded
        );
        let others = self.at + 1 < self.models;
        if again && !(busy && others) {
            let pause = self.pause(fault, jitter);
            if let Some(sum) = self.paused.checked_add(pause)
                && sum <= self.options.pauses_sum_max
            {
                self.paused = sum;
                return Next::Ask {
                    model: self.at,
                    after: pause,
                };
            }
        }
        self.skip()
    }

    /// The model cannot be asked now; it costs no try.
    pub fn skip(&mut self) -> Next {
        self.tries_here = 0;
        self.at += 1;
        if self.at < self.models {
            return Next::Ask {
                model: self.at,
                after: Duration::ZERO,
            };
        }
        Next::GiveUp
    }

    fn pause(&self, fault: &ModelFault, jitter: u64) -> Duration {
        if let Some(asked) = fault.retry_after {
            return asked;
        }
        let doublings = (self.tries_here - 1).min(16);
        let pause = self.options.pause_first.saturating_mul(1 << doublings);
        let pause = pause.min(self.options.pause_max);
        let share = u32::try_from(jitter % 1024).unwrap_or(0);
        pause - pause / 2 * share / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::ModelFaultKind as Kind;
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn run(models: usize, faults: &[(Kind, Option<u64>)]) -> Vec<Option<(usize, u64)>> {
        let mut failover = Failover::new(FailoverOptions::default(), models);
        let mut steps = Vec::new();
        for (kind, after) in faults {
            let fault = ModelFault::new(*kind, "").with_retry_after(after.map(MS));
            steps.push(match failover.failed(&fault, 0) {
                Next::Ask { model, after } => Some((model, after.as_millis() as u64)),
                Next::GiveUp => None,
            });
        }
        steps
    }

    #[test]
    fn the_same_model_is_tried_again_with_growing_pauses_then_the_next() {
        let server = (Kind::Server, None);
        assert_eq!(
            run(2, &[server; 6]),
            [
                Some((0, 250)),
                Some((0, 500)),
                Some((1, 0)),
                Some((1, 250)),
                Some((1, 500)),
                None
            ]
        );
    }

    #[test]
    fn a_busy_model_is_left_alone_where_there_is_another() {
        let busy = (Kind::RateLimited, Some(2_000));
        assert_eq!(
            run(2, &[busy, busy, busy]),
            [Some((1, 0)), Some((1, 2_000)), Some((1, 2_000))]
        );
    }

    #[test]
    fn what_asks_for_too_long_a_pause_is_not_waited_for() {
        assert_eq!(run(1, &[(Kind::RateLimited, Some(31_000))]), [None]);
        let pause = (Kind::Overloaded, Some(16_000));
        assert_eq!(run(1, &[pause, pause]), [Some((0, 16_000)), None]);
    }

    #[test]
    fn faults_that_do_not_pass_go_on_to_the_next_model_at_once() {
        for kind in [Kind::Auth, Kind::NotFound, Kind::TooLong, Kind::Forbidden] {
            assert_eq!(run(2, &[(kind, None), (kind, None)]), [Some((1, 0)), None]);
        }
        for kind in [Kind::Invalid, Kind::Internal] {
            assert_eq!(run(2, &[(kind, None)]), [None]);
        }
    }

    #[test]
    fn the_budget_of_tries_is_of_the_call() {
        let steps = run(8, &[(Kind::Server, None); 8]);
        assert_eq!(steps.iter().filter(|it| it.is_some()).count(), 7);
        assert_eq!(steps.last(), Some(&None));
    }

    #[test]
    fn jitter_takes_off_at_most_half() {
        for jitter in [0, 1, 512, 1023, u64::MAX] {
            let mut failover = Failover::new(FailoverOptions::default(), 1);
            let fault = ModelFault::new(Kind::Server, "");
            let Next::Ask { after, .. } = failover.failed(&fault, jitter) else {
                panic!("gave up");
            };
            assert!((MS(125)..=MS(250)).contains(&after), "{after:?}");
        }
    }
}
