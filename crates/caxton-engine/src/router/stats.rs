//! What is counted per message. Each mailbox counts for itself ([`Tally`]), so that busy agents never
//! contend for a cache line; the sums are made when somebody asks for the metrics.

use super::Shared;
use crate::mailbox::{Mailbox, Spread, Tally};
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Histogram, Metric, MetricFamily, MetricType};
use prometheus::{Opts, Registry};
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one agent since the server's start, or of several together.
#[derive(Debug, Default)]
pub struct Stats {
    /// Messages put into mailboxes that are gone; the others are asked ([`AgentEntry::counted`]).
    pub accepted: AtomicU64,
    /// Failed tries.
    pub failed: AtomicU64,
    /// Messages that found the mailbox full.
    pub refused: AtomicU64,
    /// Instances made.
    pub activations: AtomicU64,
    /// Instances made in place of one that was lost to a fault.
    pub restarts: AtomicU64,
    /// Of mailboxes that are gone, likewise. Behind a lock, because a tally has one writer.
    tally: Mutex<Tally>,
}

impl Stats {
    pub(super) fn add(&self, other: &Self) {
        let pairs = [
            (&self.accepted, &other.accepted),
            (&self.failed, &other.failed),
            (&self.refused, &other.refused),
            (&self.activations, &other.activations),
            (&self.restarts, &other.restarts),
        ];
        for (mine, theirs) in pairs {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.tally.lock().add(&other.tally.lock());
    }

    /// Adds what a mailbox counted.
    pub(super) fn add_mailbox(&self, mailbox: &Mailbox) {
        self.accepted
            .fetch_add(mailbox.accepted(), Ordering::Relaxed);
        self.tally.lock().add(mailbox.tally());
    }

    /// Fuel that handlers used.
    pub fn fuel(&self) -> u64 {
        self.tally.lock().fuel()
    }

    /// The most memory that an instance held, in bytes.
    pub fn memory(&self) -> u64 {
        self.tally.lock().memory()
    }

    /// Messages handled without a fault.
    pub fn handled(&self) -> u64 {
        self.tally.lock().handled()
    }
}

/// As Prometheus has it: cumulative counts under upper bounds; the last bucket is `+Inf`, which the
/// encoder writes itself.
fn to_proto<const N: usize>(
    spread: &Spread<N>,
    bound: impl Fn(usize) -> f64,
    unit: f64,
) -> Histogram {
    let mut histogram = Histogram::default();
    let (mut total, mut buckets) = (0, Vec::with_capacity(N));
    for (index, count) in spread.counts().enumerate() {
        total += count;
        if index + 1 < N {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound(index));
            bucket.set_cumulative_count(total);
            buckets.push(bucket);
        }
    }
    histogram.set_bucket(buckets);
    histogram.set_sample_count(total);
    histogram.set_sample_sum(spread.sum() as f64 * unit);
    histogram
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
const FUEL: (&str, &str) = (
    "caxton_fuel_used_total",
    "Fuel that agents' handlers used: about an instruction each",
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
    let descs: Result<Vec<Desc>, _> = [ACCEPTED, HANDLED, FUEL, LATENCY, BATCHES]
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
        let counted = |about, value: u64| {
            let mut counter = Counter::default();
            counter.set_value(value as f64);
            let mut metric = Metric::default();
            metric.set_counter(counter);
            family(about, MetricType::COUNTER, metric)
        };
        let spread = |about, histogram| {
            let mut metric = Metric::default();
            metric.set_histogram(histogram);
            family(about, MetricType::HISTOGRAM, metric)
        };
        let accepted = totals.accepted.load(Ordering::Relaxed);
        let tally = totals.tally.lock();
        let latency = to_proto(
            tally.latency(),
            |index| 1e-5 * 4_f64.powi(index as i32),
            1e-6,
        );
        let batches = to_proto(tally.batches(), |index| 2_f64.powi(index as i32), 1.0);
        vec![
            counted(ACCEPTED, accepted),
            counted(HANDLED, tally.handled()),
            counted(FUEL, tally.fuel()),
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
