//! What the engine counts besides messages (`router::stats`). Names begin with `caxton_`, and every series is there from the start.

use crate::port::behavior::FaultKind;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The engine's metrics and the registry that other crates add theirs to.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub registry: Registry,
    pub refused: IntCounterVec,
    pub faults: IntCounterVec,
    pub dead_letters: IntCounter,
    pub duplicates: IntCounter,
    pub commit_failures: IntCounter,
    pub activations: IntCounter,
    pub retired: IntCounter,
    pub timers_fired: IntCounter,
    pub calls: IntCounter,
    pub agents: IntGauge,
    pub mailboxes_live: IntGauge,
    /// From no instance to one that is ready.
    pub activation_seconds: Histogram,
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let r = &registry;
        let refused = IntCounterVec::new(
            Opts::new(
                "caxton_messages_refused_total",
                "Messages refused, by error code",
            ),
            &["code"],
        )?;
        let faults = IntCounterVec::new(
            Opts::new(
                "caxton_handler_faults_total",
                "Failed tries of handling a message, by kind",
            ),
            &["kind"],
        )?;
        r.register(Box::new(refused.clone()))?;
        r.register(Box::new(faults.clone()))?;
        use caxton_core::Code;
        for code in [
            Code::MailboxFull,
            Code::ReceiverUnknown,
            Code::ReceiverStopped,
            Code::HopLimit,
            Code::MessageTooLarge,
            Code::CallCircle,
        ] {
            refused.with_label_values(&[code.as_str()]);
        }
        for kind in FaultKind::ALL {
            faults.with_label_values(&[kind.as_str()]);
        }
        Ok(Self {
            dead_letters: counter(r, "caxton_dead_letters_total", "Messages given up on")?,
            duplicates: counter(
                r,
                "caxton_messages_duplicate_total",
                "Messages known by id and dropped",
            )?,
            commit_failures: counter(
                r,
                "caxton_commit_failures_total",
                "Commits the store refused",
            )?,
            activations: counter(
                r,
                "caxton_activations_total",
                "Instances made for a mailbox",
            )?,
            retired: counter(
                r,
                "caxton_instances_retired_total",
                "Idle instances that left memory",
            )?,
            timers_fired: counter(r, "caxton_timers_fired_total", "Timers that fired")?,
            calls: counter(r, "caxton_calls_total", "Calls that waited for an answer")?,
            agents: gauge(r, "caxton_agents", "Deployed agents")?,
            mailboxes_live: gauge(r, "caxton_mailboxes_live", "Mailboxes with a worker")?,
            activation_seconds: histogram(
                r,
                "caxton_activation_seconds",
                "Making an instance ready, init included",
                prometheus::exponential_buckets(0.000_005, 4.0, 12)?,
            )?,
            refused,
            faults,
            registry,
        })
    }

    pub(crate) fn refuse(&self, code: caxton_core::Code) {
        self.refused.with_label_values(&[code.as_str()]).inc();
    }
}

fn counter(r: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let counter = IntCounter::new(name, help)?;
    r.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn gauge(r: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let gauge = IntGauge::new(name, help)?;
    r.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn histogram(
    r: &Registry,
    name: &str,
    help: &str,
    buckets: Vec<f64>,
) -> Result<Histogram, prometheus::Error> {
    let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
    r.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}
