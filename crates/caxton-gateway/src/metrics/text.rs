//! Metric families as text: Prometheus' format 0.0.4 and OpenMetrics 1.0.
//!
//! They differ where OpenMetrics is stricter: a counter's family is named without `_total` and its
//! sample with it, help escapes quotes too, numbers of buckets are written as floats, and the text
//! ends with `# EOF`.

use std::fmt::Write;

use prometheus::proto::{Metric, MetricFamily, MetricType};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes families in the order of their names.
pub(super) fn write(families: &[MetricFamily], format: Format) -> String {
    let mut families: Vec<&MetricFamily> = families.iter().collect();
    families.sort_by_key(|family| family.name());
    let mut writer = Writer {
        out: String::with_capacity(64 << 10),
        format,
    };
    for family in families {
        writer.family(family);
    }
    if format == Format::OpenMetrics {
        writer.out.push_str("# EOF\n");
    }
    writer.out
}

struct Writer {
    out: String,
    format: Format,
}

// Writing to a String cannot fail.
impl Writer {
    fn family(&mut self, family: &MetricFamily) {
        let full = family.name();
        let kind = family.get_field_type();
        let (name, kind_name) = match kind {
            MetricType::COUNTER => (full.strip_suffix("_total").unwrap_or(full), "counter"),
            MetricType::GAUGE => (full, "gauge"),
            MetricType::HISTOGRAM => (full, "histogram"),
            // Caxton has none of these.
            MetricType::SUMMARY | MetricType::UNTYPED => return,
        };
        let (named, sample) = match self.format {
            Format::OpenMetrics if kind == MetricType::COUNTER => {
                (name.to_owned(), format!("{name}_total"))
            }
            _ => (full.to_owned(), full.to_owned()),
        };
        let help = self.help(family.help());
        let _ = write!(
            self.out,
            "# HELP {named} {help}\n# TYPE {named} {kind_name}\n"
        );
        for metric in family.get_metric() {
            match kind {
                MetricType::COUNTER => {
                    self.sample(&sample, metric, None, metric.get_counter().get_value());
                }
                MetricType::GAUGE => {
                    self.sample(&sample, metric, None, metric.get_gauge().get_value());
                }
                _ => self.histogram(full, metric),
            }
        }
    }

    fn histogram(&mut self, name: &str, metric: &Metric) {
        let histogram = metric.get_histogram();
        let bucket = format!("{name}_bucket");
        let count = histogram.get_sample_count() as f64;
        for it in histogram.get_bucket() {
            if it.upper_bound().is_finite() {
                let bound = self.bound(it.upper_bound());
                self.sample(&bucket, metric, Some(&bound), it.cumulative_count() as f64);
            }
        }
        self.sample(&bucket, metric, Some("+Inf"), count);
        self.sample(
            &format!("{name}_sum"),
            metric,
            None,
            histogram.get_sample_sum(),
        );
        self.sample(&format!("{name}_count"), metric, None, count);
    }

    fn sample(&mut self, name: &str, metric: &Metric, le: Option<&str>, value: f64) {
        self.out.push_str(name);
        let labels = metric.get_label().iter().map(|it| (it.name(), it.value()));
        let mut open = '{';
        for (label, value) in labels.chain(le.map(|le| ("le", le))) {
            let _ = write!(self.out, "{open}{label}=\"{}\"", escaped(value, true));
            open = ',';
        }
        if open == ',' {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {}", number(value));
    }

    fn help(&self, help: &str) -> String {
        escaped(help, self.format == Format::OpenMetrics)
    }

    fn bound(&self, bound: f64) -> String {
        match self.format {
            Format::OpenMetrics if bound.fract() == 0.0 => format!("{bound:.1}"),
            _ => bound.to_string(),
        }
    }
}

fn escaped(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

    fn registry() -> Registry {
        let registry = Registry::new();
        let opts = Opts::new("caxton_seen_total", "Seen \"things\"");
        let seen = IntCounterVec::new(opts, &["what"]).unwrap();
        seen.with_label_values(&["a\"b\\c"]).inc_by(3);
        let now = IntGauge::new("caxton_now", "Now").unwrap();
        now.set(-2);
        let opts = HistogramOpts::new("caxton_size", "Size").buckets(vec![0.5, 1.0]);
        let size = Histogram::with_opts(opts).unwrap();
        size.observe(0.75);
        registry.register(Box::new(seen)).unwrap();
        registry.register(Box::new(now)).unwrap();
        registry.register(Box::new(size)).unwrap();
        registry
    }

    #[test]
    fn prometheus_text_is_the_librarys_own() {
        let families = registry().gather();
        let expected = prometheus::TextEncoder::new()
            .encode_to_string(&families)
            .unwrap();
        assert_eq!(write(&families, Format::Prometheus), expected);
    }

    #[test]
    fn openmetrics_is_stricter() {
        let expected = "\
# HELP caxton_now Now
# TYPE caxton_now gauge
caxton_now -2
# HELP caxton_seen Seen \\\"things\\\"
# TYPE caxton_seen counter
caxton_seen_total{what=\"a\\\"b\\\\c\"} 3
# HELP caxton_size Size
# TYPE caxton_size histogram
caxton_size_bucket{le=\"0.5\"} 0
caxton_size_bucket{le=\"1.0\"} 1
caxton_size_bucket{le=\"+Inf\"} 1
caxton_size_sum 0.75
caxton_size_count 1
# EOF
";
        assert_eq!(write(&registry().gather(), Format::OpenMetrics), expected);
    }
}
