//! Lines of agents' logs.

use std::fmt;

use caxton_api::v1;
use caxton_core::{AgentName, Timestamp};
use caxton_engine::host::LogLine;

use super::time::wire;

/// The levels, the least severe first.
pub(crate) const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// A line's id: its time, then its number among the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogId {
    at_us: i64,
    seq: u64,
}

impl LogId {
    pub(crate) fn of(line: &LogLine) -> Self {
        Self {
            at_us: line.at.as_us(),
            seq: line.seq,
        }
    }

    pub(crate) fn time(self) -> Timestamp {
        Timestamp::from_us(self.at_us)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (at, seq) = text.split_once('-')?;
        Some(Self {
            at_us: at.parse().ok()?,
            seq: seq.parse().ok()?,
        })
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at_us, self.seq)
    }
}

/// A line on the wire.
pub(crate) fn entry(agent: &AgentName, line: &LogLine) -> v1::LogEntry {
    v1::LogEntry {
        id: LogId::of(line).to_string(),
        time: Some(wire(line.at)),
        agent: agent.to_string(),
        level: line.level.as_str().to_owned(),
        // The engine keeps the guest's `log` and its stdout and stderr as one.
        source: "log".to_owned(),
        text: escaped(&line.text),
        message_id: line.message.map(|id| id.to_string()),
        trace_id: None,
    }
}

/// The line without control characters: what a guest writes must not steer a reader's terminal.
fn escaped(text: &str) -> String {
    if !text.contains(|c: char| c.is_control() && c != '\t') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_sort_and_go_there_and_back() {
        let id = |text| LogId::parse(text).unwrap();
        assert!(id("5-1") < id("5-2") && id("5-9") < id("6-1"));
        assert_eq!(id("5-1").to_string(), "5-1");
        for wrong in ["", "5", "-", "5-x", "x-5", "5-1-1"] {
            assert_eq!(LogId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escaped("a\tb ä"), "a\tb ä");
        assert_eq!(escaped("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
    }
}
