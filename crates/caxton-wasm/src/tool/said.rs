//! What a tool writes into its log, and where it goes: the last lines stand in the log of calls, which
//! its tenant sees, and the very last beside the reason of a call that failed, where whoever called sees
//! them. They never go into the server's own log, because they are the tool's words.

use super::DETAIL_CHARS_MAX;
use crate::guest::Guest;
use crate::wasi;
use caxton_engine::host::LogLevel;
use caxton_engine::port::tool::{ToolFault, ToolFaultKind};
use std::collections::VecDeque;

/// Lines that are kept of one call: the last ones.
const LINES_MAX: usize = 32;
/// Of those, what stands beside the reason of a failure.
const BESIDE_MAX: usize = 8;
/// Characters kept of one line.
const LINE_CHARS_MAX: usize = 240;

/// The end of a call's log.
#[derive(Debug, Default)]
pub(crate) struct Said {
    lines: VecDeque<(LogLevel, String)>,
}

impl Said {
    pub(crate) fn add(&mut self, level: LogLevel, text: &str) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        let line: String = text.chars().take(LINE_CHARS_MAX).collect();
        self.lines.push_back((level, line));
    }
}

/// The log of a call that succeeded.
pub(super) fn told(guest: &mut Guest) -> Vec<String> {
    wasi::flush_all(guest);
    let lines = guest.said.iter().flat_map(|it| &it.lines);
    lines
        .map(|(level, line)| format!("{} {line}", level.as_str()))
        .collect()
}

/// A fault with the end of the log beside it.
pub(super) fn beside(guest: &mut Guest, kind: ToolFaultKind, detail: String) -> ToolFault {
    wasi::flush_all(guest);
    let mut detail = detail;
    let lines = guest.said.iter().flat_map(|it| &it.lines);
    let before = lines.clone().count().saturating_sub(BESIDE_MAX);
    for (index, (level, line)) in lines.skip(before).enumerate() {
        detail.push_str(if index == 0 { "; it logged: " } else { " | " });
        detail.push_str(level.as_str());
        detail.push(' ');
        detail.push_str(line);
    }
    if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
        detail.truncate(end);
        detail.push('…');
    }
    ToolFault::new(kind, detail)
}
