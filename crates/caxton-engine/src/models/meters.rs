//! What is counted of models and turns. Names begin with `caxton_`.

use caxton_core::model::{ModelFaultKind, Tokens};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// See the module.
#[derive(Clone, Debug)]
pub struct Meters {
    /// Tries of providers, by how they ended.
    pub tries: IntCounterVec,
    /// Tokens, by direction.
    pub tokens: IntCounterVec,
    pub cost_micros: IntCounter,
    pub fallbacks: IntCounter,
    pub ledger_failures: IntCounter,
    pub calls_now: IntGauge,
    pub first_word_seconds: Histogram,
    pub turns: IntCounterVec,
    pub turns_now: IntGauge,
}

impl Meters {
    pub fn new(r: &Registry) -> Result<Self, prometheus::Error> {
        let vec = |name: &str, help: &str, label: &str| {
            let made = IntCounterVec::new(Opts::new(name, help), &[label])?;
            r.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let counter = |name: &str, help: &str| {
            let made = IntCounter::new(name, help)?;
            r.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let gauge = |name: &str, help: &str| {
            let made = IntGauge::new(name, help)?;
            r.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let tries = vec(
            "caxton_model_tries_total",
            "Tries of model providers, by outcome",
            "outcome",
        )?;
        for outcome in ["ok", "cancelled"] {
            tries.with_label_values(&[outcome]);
        }
        for kind in ModelFaultKind::ALL {
            tries.with_label_values(&[kind.as_str()]);
        }
        let tokens = vec(
            "caxton_model_tokens_total",
            "Tokens of model calls, by direction",
            "direction",
        )?;
        for direction in ["input", "output"] {
            tokens.with_label_values(&[direction]);
        }
        let turns = vec("caxton_turns_total", "Turns ended, by outcome", "outcome")?;
        for outcome in ["completed", "failed"] {
            turns.with_label_values(&[outcome]);
        }
        let first_word_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "caxton_model_first_word_seconds",
                "From sending a model call to the first word of its answer",
            )
            .buckets(prometheus::exponential_buckets(0.001, 2.5, 14)?),
        )?;
        r.register(Box::new(first_word_seconds.clone()))?;
        Ok(Self {
            tries,
            tokens,
            turns,
            first_word_seconds,
            cost_micros: counter(
                "caxton_model_cost_micros_total",
                "Millionths of the unit of money that model calls cost",
            )?,
            fallbacks: counter(
                "caxton_model_fallbacks_total",
                "Model calls that went on to a fallback",
            )?,
            ledger_failures: counter(
                "caxton_model_ledger_failures_total",
                "Entries of the ledger of model calls that could not be written",
            )?,
            calls_now: gauge("caxton_model_calls_running", "Model calls on their way")?,
            turns_now: gauge("caxton_turns_running", "Turns that run or wait")?,
        })
    }

    pub(crate) fn settled(&self, tokens: &Tokens, cost_micros: u64) {
        self.tokens
            .with_label_values(&["input"])
            .inc_by(tokens.input);
        self.tokens
            .with_label_values(&["output"])
            .inc_by(tokens.output);
        self.cost_micros.inc_by(cost_micros);
    }
}
