//! Pauses that double, with jitter, up to a bound.

use crate::port::{Clock, Entropy};
use caxton_core::Timestamp;
use std::time::Duration;

/// Doublings after which the longest pause is reached in any case.
const DOUBLINGS_MAX: u32 = 20;

#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    in_row: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            in_row: 0,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.in_row = 0;
    }

    /// Pauses since the last success.
    pub(crate) fn in_row(&self) -> u32 {
        self.in_row
    }

    /// Until when to pause now: between half the step and the whole.
    pub(crate) fn next(&mut self, clock: &dyn Clock, entropy: &dyn Entropy) -> Timestamp {
        let step = self
            .first
            .saturating_mul(1 << self.in_row.min(DOUBLINGS_MAX))
            .min(self.longest);
        self.in_row = self.in_row.saturating_add(1);
        let mut byte = [0_u8; 1];
        entropy.fill(&mut byte);
        let part = byte.first().copied().unwrap_or(0);
        clock
            .now()
            .plus(step / 2 + step / 2 * u32::from(part) / 255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{ManualClock, SeededEntropy};

    #[tokio::test(start_paused = true)]
    async fn pauses_double_and_are_bounded() {
        let clock = ManualClock::new(Timestamp::EPOCH);
        let entropy = SeededEntropy::new(1);
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(30));
        let mut step = Duration::from_millis(50);
        for _ in 0..40 {
            let pause = backoff.next(&clock, &entropy).since(clock.now());
            assert!(pause >= step / 2 && pause <= step, "{pause:?} for {step:?}");
            step = (step * 2).min(Duration::from_secs(30));
        }
        backoff.reset();
        assert!(backoff.next(&clock, &entropy).since(clock.now()) <= Duration::from_millis(50));
    }
}
