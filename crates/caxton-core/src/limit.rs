//! Rate limits: how often something may happen, decided by one number.
//!
//! The algorithm is GCRA (ITU-T I.371), a token bucket whose whole state is the time at which it will
//! be full again. It never drifts, needs no timer, and a bucket nobody uses is equal to a new one, so
//! that idle ones can be thrown away.

mod buckets;

pub use buckets::{Asked, Buckets, RateState};

use crate::error::{Code, Error};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most of anything a rate may allow in its window.
pub const COUNT_MAX: u64 = 1_000_000_000;
/// Longest window, in seconds: a day.
pub const WINDOW_SECONDS_MAX: u64 = 86_400;
/// The longest a request is slowed down.
pub const SLOW_MAX: Duration = Duration::from_millis(250);
/// From this part of the burst on, what is left is little: answers say so.
const WARN_BELOW: f64 = 0.2;
/// From this part on, requests are slowed down, the more the less is left.
const SLOW_BELOW: f64 = 0.1;

/// So many in so much time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// 1 to [`COUNT_MAX`].
    pub count: u64,
    /// 1 to [`WINDOW_SECONDS_MAX`].
    pub seconds: u64,
    /// How many may come at once; at least 1. What `count` is, where nothing is said.
    pub burst: u64,
}

impl Rate {
    pub fn new(count: u64, seconds: u64, burst: u64) -> Result<Self, Error> {
        let burst = if burst == 0 { count } else { burst };
        let fits = (1..=COUNT_MAX).contains(&count)
            && (1..=WINDOW_SECONDS_MAX).contains(&seconds)
            && (1..=COUNT_MAX).contains(&burst);
        if fits {
            return Ok(Self {
                count,
                seconds,
                burst,
            });
        }
        let detail = format!(
            "a rate has a count of 1 to {COUNT_MAX}, 1 to {WINDOW_SECONDS_MAX} seconds and a burst of 1 to {COUNT_MAX}"
        );
        Err(Error::new(Code::LimitMalformed, detail))
    }

    /// Nanoseconds that one costs. In nanoseconds, so that a thousand million a second is still one.
    fn each_ns(self) -> u64 {
        // Within bounds: a day has 86,400 thousand million of them.
        self.seconds.saturating_mul(1_000_000_000) / self.count.max(1)
    }

    /// How far ahead of now a bucket may be.
    fn ahead_ns(self) -> i128 {
        i128::from(self.each_ns()) * i128::from(self.burst)
    }
}

/// The state of one limit of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it is full again, in nanoseconds since 1970.
    full_at: i128,
}

/// What a bucket says of one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// How many more may come now.
    pub remaining: u64,
    /// Until it is full again; where it refuses: until there is room.
    pub wait: Duration,
    /// Little is left.
    pub warned: bool,
    /// How long this one should be slowed down.
    pub slow: Duration,
}

impl Bucket {
    /// Takes one, if it may.
    pub fn take(&mut self, rate: Rate, now: Timestamp) -> Decision {
        let (decision, next) = self.decide(rate, now);
        *self = next;
        decision
    }

    /// Whether it says the same as one that was never used.
    pub fn is_idle(self, now: Timestamp) -> bool {
        self.full_at <= ns(now)
    }

    /// What it says of one more, and what it is then: with that one taken, where it may.
    pub fn decide(self, rate: Rate, now: Timestamp) -> (Decision, Self) {
        let (now, each) = (ns(now), rate.each_ns());
        let latest = now + rate.ahead_ns();
        // The clock is taken as it is: one that went back makes nobody wait longer than for a burst.
        let from = self.full_at.clamp(now, latest);
        let full_at = from + i128::from(each);
        let room = latest - full_at;
        if room < 0 {
            let decision = Decision {
                allowed: false,
                remaining: 0,
                wait: duration(-room),
                warned: true,
                slow: Duration::ZERO,
            };
            return (decision, Self { full_at: from });
        }
        // Where 64 bits are enough, a division takes a tenth of the time.
        let remaining = match u64::try_from(room) {
            Ok(room) => room / each.max(1),
            Err(_) => u64::try_from(room / i128::from(each.max(1))).unwrap_or(u64::MAX),
        };
        #[allow(clippy::cast_precision_loss)]
        let left = remaining as f64 / rate.burst as f64;
        let slow = if left < SLOW_BELOW && rate.burst > 1 {
            SLOW_MAX.mul_f64(1.0 - left / SLOW_BELOW)
        } else {
            Duration::ZERO
        };
        let decision = Decision {
            allowed: true,
            remaining,
            wait: duration(full_at - now),
            warned: left < WARN_BELOW,
            slow,
        };
        (decision, Self { full_at })
    }
}

fn ns(time: Timestamp) -> i128 {
    i128::from(time.as_us()) * 1000
}

fn duration(ns: i128) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn at(us: i64) -> Timestamp {
        Timestamp::from_us(1_795_324_162_000_000 + us)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let rate = Rate::new(10, 1, 3).unwrap();
        let mut bucket = Bucket::default();
        for left in [2, 1, 0] {
            let decision = bucket.take(rate, at(0));
            assert_eq!((decision.allowed, decision.remaining), (true, left));
        }
        let refused = bucket.take(rate, at(0));
        assert!(!refused.allowed);
        assert_eq!(refused.wait, Duration::from_millis(100));
        assert!(!bucket.take(rate, at(99_999)).allowed);
        assert!(bucket.take(rate, at(100_000)).allowed);
        assert!(bucket.is_idle(at(10_000_000)));
        assert!(!bucket.is_idle(at(100_001)));
    }

    #[test]
    fn what_is_nearly_used_up_is_warned_of_and_slowed() {
        let rate = Rate::new(100, 1, 100).unwrap();
        let mut bucket = Bucket::default();
        let taken: Vec<Decision> = (0..100).map(|_| bucket.take(rate, at(0))).collect();
        assert!(
            taken
                .iter()
                .take(80)
                .all(|it| !it.warned && it.slow.is_zero())
        );
        assert!(taken.iter().skip(81).all(|it| it.warned));
        assert!(taken.iter().skip(91).all(|it| !it.slow.is_zero()));
        assert!(taken.windows(2).all(|pair| pair[0].slow <= pair[1].slow));
        assert_eq!(taken.last().unwrap().slow, SLOW_MAX);
    }

    #[test]
    fn a_clock_that_goes_back_shuts_nobody_out() {
        let rate = Rate::new(1, 60, 1).unwrap();
        let mut bucket = Bucket::default();
        assert!(bucket.take(rate, at(3_600_000_000)).allowed);
        let refused = bucket.take(rate, at(0));
        assert_eq!(
            (refused.allowed, refused.wait),
            (false, Duration::from_secs(60))
        );
    }

    #[test]
    fn rates_have_bounds() {
        for (count, seconds, burst) in [(0, 1, 1), (1, 0, 1), (1, 86_401, 1), (COUNT_MAX + 1, 1, 1)]
        {
            let refused = Rate::new(count, seconds, burst).unwrap_err();
            assert_eq!(refused.code, Code::LimitMalformed);
        }
        assert_eq!(Rate::new(5, 1, 0).unwrap().burst, 5);
    }

    proptest! {
        /// In any stretch of time no more pass than the burst and what the rate adds; and whoever
        /// asks without pause gets that many, to one.
        #[test]
        fn never_more_than_it_says(
            count in 1_u64..5000, seconds in 1_u64..100, burst in 1_u64..2000,
            steps in prop::collection::vec(0_i64..50_000, 1..400),
        ) {
            let rate = Rate::new(count, seconds, burst).unwrap();
            let mut bucket = Bucket::default();
            let (mut now, mut passed) = (0, 0_u64);
            for step in &steps {
                now += step;
                passed += u64::from(bucket.take(rate, at(now)).allowed);
            }
            let added = u128::from(count) * u128::try_from(now).unwrap() / (u128::from(seconds) * 1_000_000);
            prop_assert!(u128::from(passed) <= u128::from(burst) + added + 1);
        }

        #[test]
        fn whoever_never_pauses_gets_all_of_it(count in 1_u64..2000, burst in 2_u64..100) {
            let rate = Rate::new(count, 1, burst).unwrap();
            let mut bucket = Bucket::default();
            let passed: u64 = (0..20_000).map(|n| u64::from(bucket.take(rate, at(n * 100)).allowed)).sum();
            // Two seconds, asked ten thousand times each.
            let due = burst + 2 * count;
            prop_assert!(passed.abs_diff(due) <= 1 + due / 100, "{passed} of {due}");
        }
    }
}
