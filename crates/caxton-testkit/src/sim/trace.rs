//! What happened, in lines: all of them as one number, so that two runs can be compared, and the last
//! of them to be read.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Lines kept for whoever reads about a broken rule.
const LINES_KEPT: usize = 60;

#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Of fixed keys, so that the same lines give the same number in every process.
    hasher: DefaultHasher,
    lines: VecDeque<String>,
    first_us: Option<i64>,
    to_stderr: Option<bool>,
}

impl Trace {
    pub(super) fn line(&mut self, now_us: i64, text: &str) {
        if now_us > 0 {
            self.first_us.get_or_insert(now_us);
        }
        let since_us = now_us - self.first_us.unwrap_or(now_us);
        let line = format!("{:>10.3} {text}", since_us as f64 / 1000.0);
        line.hash(&mut self.hasher);
        let shown = *self
            .to_stderr
            .get_or_insert_with(|| std::env::var_os("CAXTON_SIM_TRACE").is_some());
        if shown {
            eprintln!("{line}");
        }
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(super) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(super) fn tail(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}
