//! What is counted per message. Each agent counts for itself, so that busy agents never contend for
//! a cache line; the sums are made when somebody asks for the metrics.

use super::Shared;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Histogram, Metric, MetricFamily, MetricType};
use prometheus::{Opts, Registry};
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of the time from acceptance to the end of handling: 10 us, times four each, and more.
const LATENCY_BUCKETS: usize = 12;
/// Buckets of the messages in one batch: 1, doubling each, and more.
const BATCH_BUCKETS: usize = 9;

/// Counters of one agent since the server's start.
#[derive(Debug, Default)]
pub struct Stats {
    /// Messages put into a mailbox.
    pub accepted: AtomicU64,
    /// Messages handled without a fault.
    pub handled: AtomicU64,
    /// Failed tries.
    pub failed: AtomicU64,
    /// Messages that found the mailbox full.
    pub refused: AtomicU64,
    /// Instances made.
    pub activations: AtomicU64,
    latency: Spread<LATENCY_BUCKETS>,
    batches: Spread<BATCH_BUCKETS>,
}

/// A histogram: counts per bucket and the sum. The last bucket takes all the rest.
#[derive(Debug)]
struct Spread<const N: usize> {
    counts: [AtomicU64; N],
    sum: AtomicU64,
}

impl<const N: usize> Default for Spread<N> {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            sum: AtomicU64::new(0),
        }
    }
}

impl<const N: usize> Spread<N> {
    fn observe(&self, bucket: usize, value: u64) {
        if let Some(count) = self.counts.get(bucket.min(N - 1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn add(&self, other: &Self) {
        for (mine, theirs) in self.counts.iter().zip(&other.counts) {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.sum
            .fetch_add(other.sum.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// As Prometheus has it: cumulative counts under upper bounds; the last bucket is `+Inf`, which
    /// the encoder writes itself.
    fn to_proto(&self, bound: impl Fn(usize) -> f64, unit: f64) -> Histogram {
        let mut histogram = Histogram::default();
        let (mut total, mut buckets) = (0, Vec::with_capacity(N));
        for (index, count) in self.counts.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            if index + 1 < N {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(bound(index));
                bucket.set_cumulative_count(total);
                buckets.push(bucket);
            }
        }
        histogram.set_bucket(buckets);
        histogram.set_sample_count(total);
        histogram.set_sample_sum(self.sum.load(Ordering::Relaxed) as f64 * unit);
        histogram
    }
}

impl Stats {
    /// One message was handled, so long after it was accepted.
    pub(super) fn message_handled(&self, took: Duration) {
        self.handled.fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Past 10 us, every two bits of the quotient are one bucket.
        let bits = u64::BITS - (us.saturating_sub(1) / 10).leading_zeros();
        self.latency.observe(bits.div_ceil(2) as usize, us);
    }

    pub(super) fn batch_taken(&self, messages: usize) {
        let bits = usize::BITS - messages.saturating_sub(1).leading_zeros();
        self.batches.observe(bits as usize, messages as u64);
    }

    pub(super) fn add(&self, other: &Self) {
        let pairs = [
            (&self.accepted, &other.accepted),
            (&self.handled, &other.handled),
            (&self.failed, &other.failed),
            (&self.refused, &other.refused),
            (&self.activations, &other.activations),
        ];
        for (mine, theirs) in pairs {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.latency.add(&other.latency);
        self.batches.add(&other.batches);
    }
}

/// Sums over all agents at each scrape.
struct Totals {
    shared: Weak<Shared>,
    descs: Vec<Desc>,
}

const ACCEPTED: (&str, &str) = (
    "caxton_messages_accepted_total",
    "Messages put into a mailbox",
);
const HANDLED: (&str, &str) = (
    "caxton_messages_handled_total",
    "Messages handled without a fault",
);
const LATENCY: (&str, &str) = (
    "caxton_message_seconds",
    "From acceptance of a message to the end of its handling",
);
const BATCHES: (&str, &str) = (
    "caxton_batch_messages",
    "Messages of one mailbox taken in one wake-up",
);

pub(super) fn register(registry: &Registry, shared: Weak<Shared>) {
    let describe = |(name, help): (&str, &str)| {
        use prometheus::core::Describer;
        Opts::new(name, help).describe()
    };
    let descs: Result<Vec<Desc>, _> = [ACCEPTED, HANDLED, LATENCY, BATCHES]
        .into_iter()
        .map(describe)
        .collect();
    let registered = descs.and_then(|descs| registry.register(Box::new(Totals { shared, descs })));
    if let Err(error) = registered {
        tracing::error!(%error, "the message totals are not among the metrics");
    }
}

impl Collector for Totals {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let totals = self
            .shared
            .upgrade()
            .map(|shared| shared.totals())
            .unwrap_or_default();
        let counted = |about, value: &AtomicU64| {
            let mut counter = Counter::default();
            counter.set_value(value.load(Ordering::Relaxed) as f64);
            let mut metric = Metric::default();
            metric.set_counter(counter);
            family(about, MetricType::COUNTER, metric)
        };
        let spread = |about, histogram| {
            let mut metric = Metric::default();
            metric.set_histogram(histogram);
            family(about, MetricType::HISTOGRAM, metric)
        };
        let latency = totals
            .latency
            .to_proto(|index| 1e-5 * 4_f64.powi(index as i32), 1e-6);
        let batches = totals
            .batches
            .to_proto(|index| 2_f64.powi(index as i32), 1.0);
        vec![
            counted(ACCEPTED, &totals.accepted),
            counted(HANDLED, &totals.handled),
            spread(LATENCY, latency),
            spread(BATCHES, batches),
        ]
    }
}

fn family((name, help): (&str, &str), kind: MetricType, metric: Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
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
            let stats = Stats::default();
            stats.message_handled(Duration::from_micros(us));
            let found = stats
                .latency
                .counts
                .iter()
                .position(|count| count.load(Ordering::Relaxed) == 1);
            assert_eq!(found, Some(bucket), "{us} us");
        }
        for (messages, bucket) in [(1, 0), (2, 1), (3, 2), (4, 2), (128, 7), (10_000, 8)] {
            let stats = Stats::default();
            stats.batch_taken(messages);
            let found = stats
                .batches
                .counts
                .iter()
                .position(|count| count.load(Ordering::Relaxed) == 1);
            assert_eq!(found, Some(bucket), "{messages} messages");
        }
    }
}
