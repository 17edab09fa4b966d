//! The agents' own metrics: `caxton_guest_NAME` with labels `tenant` and `agent`.
//!
//! A family has one type, and agents choose names freely, so the type is part of the name: a counter
//! always ends in `_total` and a gauge never does.

use std::collections::BTreeMap;

use caxton_engine::host::{GuestMetric, GuestMetrics};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// What agents counted, and how many of their updates were refused.
pub(crate) fn families(metrics: &GuestMetrics) -> Vec<MetricFamily> {
    let mut families: BTreeMap<String, (MetricType, Vec<Metric>)> = BTreeMap::new();
    let mut rows = metrics.snapshot();
    rows.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    for (agent, name, value) in rows {
        let mut metric = Metric::default();
        metric.set_label(vec![
            label("agent", agent.name.as_str()),
            label("tenant", agent.tenant.as_str()),
        ]);
        let (family, kind) = match value {
            GuestMetric::Counter(value) => {
                let mut counter = Counter::default();
                // Exact up to 2^53, and the format has nothing wider.
                counter.set_value(value as f64);
                metric.set_counter(counter);
                let name = name.trim_end_matches("_total");
                (format!("caxton_guest_{name}_total"), MetricType::COUNTER)
            }
            GuestMetric::Gauge(value) => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
                let tail = if name.ends_with("_total") {
                    "_value"
                } else {
                    ""
                };
                (format!("caxton_guest_{name}{tail}"), MetricType::GAUGE)
            }
        };
        let (_, metrics) = families.entry(family).or_insert((kind, Vec::new()));
        metrics.push(metric);
    }
    let mut out = vec![dropped(metrics.dropped())];
    for (name, (kind, metrics)) in families {
        let mut family = MetricFamily::default();
        family.set_name(name);
        family.set_help("What agents themselves report".to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        out.push(family);
    }
    out
}

fn dropped(updates: u64) -> MetricFamily {
    let name = "caxton_guest_metrics_dropped_total";
    let help = "Updates of agents' own metrics that were refused: a bad name or one too many";
    super::process::family(name, help, MetricType::COUNTER, updates as f64)
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
