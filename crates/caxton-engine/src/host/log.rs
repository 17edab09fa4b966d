//! The agents' logs: a bounded ring per agent in memory, and a live stream. Lines are the guest's
//! own words, so they never go into the server's log.

use super::Host;
use caxton_core::{AgentId, MessageId, Timestamp};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Lines kept for one agent.
pub const LOG_LINES_MAX: usize = 1000;
/// Bytes kept for one agent.
pub const LOG_BYTES_MAX: usize = 1 << 20;
/// Lines a slow follower may fall behind before it misses some.
const FOLLOW_LINES_MAX: usize = 1024;

/// A line's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Grows by one a line, per agent.
    pub seq: u64,
    pub at: Timestamp,
    pub level: LogLevel,
    pub text: String,
    /// The message being handled.
    pub message: Option<MessageId>,
}

#[derive(Debug)]
struct Ring {
    lines: VecDeque<Arc<LogLine>>,
    bytes: usize,
    next: u64,
    follow: Option<broadcast::Sender<Arc<LogLine>>>,
}

/// All agents' logs. An agent that never logged costs nothing.
#[derive(Debug, Default)]
pub struct Logs {
    rings: Mutex<HashMap<AgentId, Ring>>,
}

impl Logs {
    pub fn append(
        &self,
        agent: &AgentId,
        at: Timestamp,
        level: LogLevel,
        text: String,
        message: Option<MessageId>,
    ) {
        let mut rings = self.rings.lock();
        if !rings.contains_key(agent) {
            rings.insert(agent.clone(), Ring::new());
        }
        if let Some(ring) = rings.get_mut(agent) {
            ring.push(at, level, text, message);
        }
    }

    /// The newest `lines_max` lines, oldest first.
    pub fn tail(&self, agent: &AgentId, lines_max: usize) -> Vec<Arc<LogLine>> {
        let rings = self.rings.lock();
        rings.get(agent).map_or_else(Vec::new, |ring| {
            let skip = ring.lines.len().saturating_sub(lines_max);
            ring.lines.iter().skip(skip).cloned().collect()
        })
    }

    /// The lines there are, and those to come.
    pub fn follow(
        &self,
        agent: &AgentId,
    ) -> (Vec<Arc<LogLine>>, broadcast::Receiver<Arc<LogLine>>) {
        let mut rings = self.rings.lock();
        let ring = rings.entry(agent.clone()).or_insert_with(Ring::new);
        let sender = ring
            .follow
            .get_or_insert_with(|| broadcast::channel(FOLLOW_LINES_MAX).0);
        (ring.lines.iter().cloned().collect(), sender.subscribe())
    }

    /// Forgets an agent that is removed.
    pub fn forget(&self, agent: &AgentId) {
        self.rings.lock().remove(agent);
    }
}

impl Ring {
    fn new() -> Self {
        Self {
            lines: VecDeque::new(),
            bytes: 0,
            next: 1,
            follow: None,
        }
    }

    fn push(&mut self, at: Timestamp, level: LogLevel, text: String, message: Option<MessageId>) {
        let line = Arc::new(LogLine {
            seq: self.next,
            at,
            level,
            text,
            message,
        });
        self.next += 1;
        self.bytes += line.text.len();
        self.lines.push_back(Arc::clone(&line));
        while self.lines.len() > LOG_LINES_MAX || self.bytes > LOG_BYTES_MAX {
            let Some(old) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= old.text.len();
        }
        if let Some(follow) = &self.follow
            && follow.send(line).is_err()
        {
            self.follow = None;
        }
    }
}

/// What the shortest line counts as, in bytes: it is kept and told as any other.
const LINE_COUNTS_MIN: usize = 16;

impl Host {
    /// Writes a line, cut at `log_line_bytes_max`; past `log_bytes_per_message_max` lines are
    /// dropped and counted.
    pub fn log(&mut self, level: LogLevel, text: &str) {
        self.inner.used.host_calls = self.inner.used.host_calls.saturating_add(1);
        let limits = &self.inner.manifest.limits;
        let (line_max, all_max) = (
            limits.log_line_bytes_max as usize,
            limits.log_bytes_per_message_max,
        );
        let kept = floor_char_boundary(text, line_max);
        let counts = kept.len().max(LINE_COUNTS_MIN) as u64;
        if self.inner.used.log_bytes + counts > all_max {
            self.inner.used.log_dropped += text.len() as u64;
            return;
        }
        self.inner.used.log_bytes += counts;
        let mut line = kept.to_owned();
        if kept.len() < text.len() {
            line.push_str(&format!(" … ({} bytes cut)", text.len() - kept.len()));
        }
        self.write_log(level, line);
    }

    pub(super) fn write_log(&self, level: LogLevel, line: String) {
        let message = self.inner.current.as_ref().map(|current| current.message);
        let at = self.inner.services.clock.now();
        self.inner
            .services
            .logs
            .append(&self.inner.mailbox.agent, at, level, line, message);
    }
}

/// The longest beginning of `text` that has at most `max` bytes and ends between characters.
fn floor_char_boundary(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::TenantId;

    #[test]
    fn a_ring_is_bounded_in_lines_and_bytes() {
        let logs = Logs::default();
        let agent = AgentId::parse("a", &TenantId::default_tenant()).unwrap();
        for n in 0..2 * LOG_LINES_MAX {
            logs.append(
                &agent,
                Timestamp::EPOCH,
                LogLevel::Info,
                n.to_string(),
                None,
            );
        }
        let kept = logs.tail(&agent, usize::MAX);
        assert_eq!(kept.len(), LOG_LINES_MAX);
        assert_eq!(
            kept.last().unwrap().text,
            (2 * LOG_LINES_MAX - 1).to_string()
        );
        for _ in 0..4 {
            logs.append(
                &agent,
                Timestamp::EPOCH,
                LogLevel::Info,
                "x".repeat(LOG_BYTES_MAX / 2),
                None,
            );
        }
        assert!(logs.tail(&agent, usize::MAX).len() <= 2);
    }

    #[test]
    fn lines_are_cut_between_characters() {
        assert_eq!(floor_char_boundary("aä", 2), "a");
        assert_eq!(floor_char_boundary("aä", 3), "aä");
        assert_eq!(floor_char_boundary("", 0), "");
    }
}
