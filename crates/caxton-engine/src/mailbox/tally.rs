//! What the worker of a mailbox counts, message by message.
//!
//! A mailbox has one worker at a time, so its counters have one writer: they are read and written back,
//! without the locked instruction that would cost more than the counting. Everybody may read them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of the time from acceptance to the end of handling: 10 us, times four each, and more.
const LATENCY_BUCKETS: usize = 12;
/// Buckets of the messages in one batch: 1, doubling each, and more.
const BATCH_BUCKETS: usize = 9;

/// Counters of one mailbox. Adding is for its worker alone.
#[derive(Debug, Default)]
pub struct Tally {
    handled: Lone,
    fuel: Lone,
    memory: Lone,
    latency: Spread<LATENCY_BUCKETS>,
    batches: Spread<BATCH_BUCKETS>,
}

/// A number with one writer.
#[derive(Debug, Default)]
struct Lone(AtomicU64);

impl Lone {
    fn add(&self, more: u64) {
        self.0
            .store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A histogram with one writer: counts per bucket and the sum. The last bucket takes all the rest.
#[derive(Debug)]
pub struct Spread<const N: usize> {
    counts: [Lone; N],
    sum: Lone,
}

impl<const N: usize> Default for Spread<N> {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| Lone::default()),
            sum: Lone::default(),
        }
    }
}

impl<const N: usize> Spread<N> {
    fn observe(&self, bucket: usize, value: u64) {
        if let Some(count) = self.counts.get(bucket.min(N - 1)) {
            count.add(1);
        }
        self.sum.add(value);
    }

    fn add(&self, other: &Self) {
        for (mine, theirs) in self.counts.iter().zip(&other.counts) {
            mine.add(theirs.get());
        }
        self.sum.add(other.sum.get());
    }

    /// Each bucket's count, the smallest first.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.counts.iter().map(Lone::get)
    }

    pub fn sum(&self) -> u64 {
        self.sum.get()
    }
}

impl Tally {
    /// One message was handled, so long after it was accepted.
    pub fn message_handled(&self, took: Duration) {
        self.handled.add(1);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Past 10 us, every two bits of the quotient are one bucket.
        let bits = u64::BITS - (us.saturating_sub(1) / 10).leading_zeros();
        self.latency.observe(bits.div_ceil(2) as usize, us);
    }

    /// A handler used so much fuel, whether it ended well or not.
    pub fn burned(&self, fuel: u64) {
        self.fuel.add(fuel);
    }

    /// An instance holds so many bytes of memory.
    pub fn holds(&self, bytes: u64) {
        if bytes > self.memory.get() {
            self.memory.0.store(bytes, Ordering::Relaxed);
        }
    }

    pub fn batch_taken(&self, messages: usize) {
        let bits = usize::BITS - messages.saturating_sub(1).leading_zeros();
        self.batches.observe(bits as usize, messages as u64);
    }

    /// Adds another's: to a tally that no worker writes to.
    pub fn add(&self, other: &Self) {
        self.handled.add(other.handled());
        self.fuel.add(other.fuel());
        self.holds(other.memory());
        self.latency.add(&other.latency);
        self.batches.add(&other.batches);
    }

    /// Messages handled without a fault.
    pub fn handled(&self) -> u64 {
        self.handled.get()
    }

    /// Fuel used.
    pub fn fuel(&self) -> u64 {
        self.fuel.get()
    }

    /// The most memory that an instance held, in bytes.
    pub fn memory(&self) -> u64 {
        self.memory.get()
    }

    /// Microseconds from acceptance to the end of handling.
    pub fn latency(&self) -> &Spread<LATENCY_BUCKETS> {
        &self.latency
    }

    /// Messages taken in one wake-up.
    pub fn batches(&self) -> &Spread<BATCH_BUCKETS> {
        &self.batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_falls_under_the_bound_that_prometheus_would_give_it() {
        for (us, bucket) in [
            (0, 0),
            (10, 0),
            (11, 1),
            (40, 1),
            (41, 2),
            (160, 2),
            (161, 3),
            (1_000_000, 9),
            (u64::MAX, 11),
        ] {
            let tally = Tally::default();
            tally.message_handled(Duration::from_micros(us));
            let found = tally.latency.counts().position(|count| count == 1);
            assert_eq!(found, Some(bucket), "{us} us");
        }
        for (messages, bucket) in [(1, 0), (2, 1), (3, 2), (4, 2), (128, 7), (10_000, 8)] {
            let tally = Tally::default();
            tally.batch_taken(messages);
            let found = tally.batches.counts().position(|count| count == 1);
            assert_eq!(found, Some(bucket), "{messages} messages");
        }
    }

    #[test]
    fn sums_keep_everything() {
        let (one, sum) = (Tally::default(), Tally::default());
        one.message_handled(Duration::from_micros(50));
        one.batch_taken(3);
        one.burned(7);
        one.holds(70);
        one.holds(50);
        sum.add(&one);
        sum.add(&one);
        assert_eq!(
            (sum.handled(), sum.latency.sum(), sum.batches.sum()),
            (2, 100, 6)
        );
        assert_eq!((sum.fuel(), sum.memory()), (14, 70), "the most is no sum");
    }
}
