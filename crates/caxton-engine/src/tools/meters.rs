//! What is counted of tools. Names begin with `caxton_`.

use caxton_core::tool::ToolKind;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// See the module.
#[derive(Clone, Debug)]
pub struct ToolMeters {
    calls: IntCounterVec,
    seconds: HistogramVec,
    pub(super) calls_now: IntGauge,
    pub(crate) approvals_now: IntGauge,
    pub(crate) approval_seconds: Histogram,
    pub(super) log_failures: IntCounter,
}

/// How calls end, as the label says.
const OUTCOMES: [&str; 7] = [
    "ok",
    "error",
    "denied",
    "sandbox",
    "failed",
    "interrupted",
    "cancelled",
];

impl ToolMeters {
    pub fn new(r: &Registry) -> Result<Self, prometheus::Error> {
        let calls = IntCounterVec::new(
            Opts::new(
                "caxton_tool_calls_total",
                "Calls of tools, by kind and outcome",
            ),
            &["kind", "outcome"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "caxton_tool_seconds",
                "Time that calls of tools took, by kind",
            )
            .buckets(prometheus::exponential_buckets(0.000_1, 4.0, 10)?),
            &["kind"],
        )?;
        for kind in ToolKind::ALL {
            seconds.with_label_values(&[kind.as_str()]);
            for outcome in OUTCOMES {
                calls.with_label_values(&[kind.as_str(), outcome]);
            }
        }
        let calls_now = IntGauge::new("caxton_tool_calls_now", "Calls of tools on their way")?;
        let approvals_now = IntGauge::new(
            "caxton_approvals_waiting",
            "Calls that wait for a person's approval",
        )?;
        let approval_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "caxton_approval_seconds",
                "Time that approvals took to be decided",
            )
            .buckets(prometheus::exponential_buckets(1.0, 4.0, 9)?),
        )?;
        let log_failures = IntCounter::new(
            "caxton_tool_log_failures_total",
            "Entries of the log of tool calls that could not be written",
        )?;
        r.register(Box::new(calls.clone()))?;
        r.register(Box::new(seconds.clone()))?;
        r.register(Box::new(calls_now.clone()))?;
        r.register(Box::new(approvals_now.clone()))?;
        r.register(Box::new(approval_seconds.clone()))?;
        r.register(Box::new(log_failures.clone()))?;
        Ok(Self {
            calls,
            seconds,
            calls_now,
            approvals_now,
            approval_seconds,
            log_failures,
        })
    }

    pub(super) fn ended(&self, kind: ToolKind, outcome: &str, micros: u64) {
        self.calls
            .with_label_values(&[kind.as_str(), outcome])
            .inc();
        #[allow(clippy::cast_precision_loss)]
        let seconds = micros as f64 / 1e6;
        self.seconds
            .with_label_values(&[kind.as_str()])
            .observe(seconds);
    }
}
