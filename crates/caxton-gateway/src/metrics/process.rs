//! The process's own numbers, from `/proc/self`. Where there is no such folder there are none.

use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};

/// Clock ticks a second in `/proc` (USER_HZ). The kernel's ABI fixes it at 100 on every
/// architecture that Rust's standard library runs Linux on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time, memory, open files, start.
pub(crate) fn families() -> Vec<MetricFamily> {
    let stat = read("/proc/self/stat").unwrap_or_default();
    let status = read("/proc/self/status").unwrap_or_default();
    let machine = read("/proc/stat").unwrap_or_default();
    let numbers = [
        (
            "caxton_process_cpu_seconds_total",
            "Processor time, user and system",
            MetricType::COUNTER,
            cpu_seconds(&stat),
        ),
        (
            "caxton_process_resident_memory_bytes",
            "Resident memory",
            MetricType::GAUGE,
            resident_bytes(&status),
        ),
        (
            "caxton_process_open_fds",
            "Open file descriptors",
            MetricType::GAUGE,
            open_fds(),
        ),
        (
            "caxton_process_start_time_seconds",
            "When the process started, since 1970",
            MetricType::GAUGE,
            start_seconds(&stat, &machine),
        ),
    ];
    let known = numbers.into_iter();
    known
        .filter_map(|(name, help, kind, value)| Some(family(name, help, kind, value?)))
        .collect()
}

/// A family of one series without labels.
pub(super) fn family(name: &str, help: &str, kind: MetricType, value: f64) -> MetricFamily {
    let mut metric = Metric::default();
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// A field of `/proc/self/stat`, numbered from 1 as proc(5) does. The second is the program's name
/// in parentheses and may hold anything, so counting begins after the last one.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, after) = stat.rsplit_once(')')?;
    after
        .split_whitespace()
        .nth(number.checked_sub(3)?)?
        .parse()
        .ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_PER_SECOND)
}

fn start_seconds(stat: &str, machine: &str) -> Option<f64> {
    let boot = machine
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + field(stat, 22)? / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn open_fds() -> Option<f64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the folder being read.
    Some(count.saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_the_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1234 100 200";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(start_seconds(stat, "cpu 1\nbtime 1000\n"), Some(1012.34));
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t  2048 kB\n"),
            Some(2_097_152.0)
        );
        assert_eq!(cpu_seconds("no parenthesis"), None);
    }
}
