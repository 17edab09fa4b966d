//! How answers are written: tables for people, JSON and YAML for programs, names for pipes.
//!
//! Data goes to standard output and everything else to standard error. JSON is the API's own, as the
//! server wrote it, so that there is one shape to document.

use super::Color;
use crate::failure::{Failure, Outcome};
use caxton_api::v1::CircuitBreaker;
use caxton_api::wkt::Timestamp;
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Yaml,
    Name,
}

/// The standard output of a command.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: Format,
    color_out: bool,
    color_err: bool,
}

/// One column: its head, and whether it holds numbers.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    Text(&'static str),
    Number(&'static str),
}

impl Output {
    pub fn new(format: Format, color: Color) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !plain,
        };
        Self {
            format,
            color_out: wanted(io::stdout().is_terminal()),
            color_err: wanted(io::stderr().is_terminal()),
        }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn colors_stdout(&self) -> bool {
        self.color_out
    }

    pub fn colors_stderr(&self) -> bool {
        self.color_err
    }

    /// Whether the answer is for people.
    pub fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Writes one answer: `text` is what people see, `name` what identifies it.
    pub fn answer(
        &self,
        data: &impl Serialize,
        name: &str,
        text: impl FnOnce() -> String,
    ) -> Outcome {
        match self.format {
            Format::Table => self.print(&text()),
            Format::Name => self.line(name),
            Format::Json | Format::Yaml => self.data(data),
        }
    }

    /// Writes a list: rows for people, names one a line.
    pub fn list(
        &self,
        data: &impl Serialize,
        columns: &[Column],
        rows: Vec<Vec<String>>,
        names: &[String],
    ) -> Outcome {
        match self.format {
            Format::Table => self.print(&table(columns, rows)),
            Format::Name => self.print(
                &names
                    .iter()
                    .map(|name| format!("{name}\n"))
                    .collect::<String>(),
            ),
            Format::Json | Format::Yaml => self.data(data),
        }
    }

    /// Writes one item of a stream as a line (JSON) or a document (YAML).
    pub fn item(
        &self,
        data: &impl Serialize,
        name: &str,
        text: impl FnOnce() -> String,
    ) -> Outcome {
        match self.format {
            Format::Table => self.line(&text()),
            Format::Name => self.line(name),
            Format::Json => {
                let json = serde_json::to_string(data).map_err(unwritable)?;
                self.line(&json)
            }
            Format::Yaml => {
                let yaml = serde_yaml_ng::to_string(data).map_err(unwritable)?;
                self.print(&format!("---\n{yaml}"))
            }
        }
    }

    /// Tells that something is gone, by the name it was removed with: words for people, and for programs
    /// the name or `{"name", "state"}`, where the state is the word that says how.
    pub fn gone(&self, name: &str, state: &str) -> Outcome {
        if self.is_table() {
            self.note(&format!("{} {state}", printable(name)));
            return Ok(());
        }
        self.item(&json!({"name": name, "state": state}), name, String::new)
    }

    /// Writes a document in the chosen format; JSON where the format is for people.
    pub fn data(&self, data: &impl Serialize) -> Outcome {
        match self.format {
            Format::Yaml => self.print(&serde_yaml_ng::to_string(data).map_err(unwritable)?),
            _ => self.line(&serde_json::to_string_pretty(data).map_err(unwritable)?),
        }
    }

    pub fn line(&self, line: &str) -> Outcome {
        self.print(&format!("{line}\n"))
    }

    /// Writes text as it is.
    pub fn print(&self, text: &str) -> Outcome {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes as they are.
    pub fn bytes(&self, bytes: &[u8]) -> Outcome {
        let mut out = io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(closed)
    }

    /// Says something that is no data.
    pub fn note(&self, text: &str) {
        let (dim, reset) = if self.color_err {
            ("\x1b[2m", "\x1b[0m")
        } else {
            ("", "")
        };
        eprintln!("{dim}{text}{reset}");
    }

    /// Flushes what is left.
    pub fn finish(&self) -> Outcome {
        io::stdout().flush().map_err(closed)
    }
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::plain("the answer cannot be written").because(error.to_string())
}

/// A reader that went away (`caxton … | head`) is no fault worth words.
fn closed(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::silent(),
        _ => Failure::plain("cannot write to standard output").because(error.to_string()),
    }
}

fn table(columns: &[Column], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(columns.iter().map(|column| match column {
        Column::Text(head) | Column::Number(head) => *head,
    }));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for (index, column) in columns.iter().enumerate() {
        let Some(drawn) = table.column_mut(index) else {
            continue;
        };
        drawn.set_padding((0, 2));
        if matches!(column, Column::Number(_)) {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    let drawn = table.to_string();
    drawn
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// Text of foreign origin, made fit for a terminal: control characters are escaped, so that no
/// agent's word can move the cursor or change a colour.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('⏎'),
            c if steers(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// The same, which keeps its lines.
pub fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if steers(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Whether a character moves the cursor, or makes a terminal show others in another order than they are
/// in.
fn steers(c: char) -> bool {
    let reorders = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || reorders
}

/// As [`printable`], cut to a width.
pub fn short(text: &str, width_max: usize) -> String {
    let text = printable(text);
    match text.char_indices().nth(width_max) {
        None => text,
        Some(_) => {
            let cut: String = text.chars().take(width_max.saturating_sub(1)).collect();
            format!("{cut}…")
        }
    }
}

/// How long ago, in the largest unit that says something: `12 s ago`, `5 min ago`, `3 h ago`, `8 days ago`.
pub fn ago(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| ago_at(time, now_ms()))
}

fn ago_at(time: &Timestamp, now_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(time.unix_ms()).max(0) / 1000;
    match seconds {
        0 => "just now".to_owned(),
        1..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// So many milliseconds after something, in at most nine characters: `+12 ms`, `+42.5 s`, `+20 min`.
pub fn after(ms: i64) -> String {
    match ms {
        ..10_000 => format!("+{ms} ms"),
        10_000..600_000 => format!("+{}.{} s", ms / 1000, ms / 100 % 10),
        600_000..7_200_000 => format!("+{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("+{} h", ms / 3_600_000),
        _ => format!("+{} d", ms / 86_400_000),
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// The time of day in UTC, to the millisecond, with the date where that is another than today's.
pub fn clock(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| clock_at(time, now_ms()))
}

fn clock_at(time: &Timestamp, now_ms: i64) -> String {
    const DAY_MS: i64 = 86_400_000;
    let at = time.unix_ms();
    let ms = at.rem_euclid(DAY_MS);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let day = match at.div_euclid(DAY_MS) == now_ms.div_euclid(DAY_MS) {
        true => String::new(),
        false => {
            let text = time.to_string();
            text.split('T')
                .next()
                .map(|day| format!("{day} "))
                .unwrap_or_default()
        }
    };
    format!(
        "{day}{:02}:{:02}:{:02}.{ms:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Bytes as people say them.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = UNITS.first().copied().unwrap_or_default();
    for next in UNITS.iter().skip(1) {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// `label  value` lines, the values in one column; empty values are left out.
pub fn fields(rows: &[(&str, String)]) -> String {
    let width = rows
        .iter()
        .map(|(label, _)| label.chars().count())
        .max()
        .unwrap_or(0);
    rows.iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| format!("{label:<width$}  {}\n", printable(value)))
        .collect()
}

/// A code and what it is about, the code once: some texts begin with theirs.
pub fn coded(code: &str, text: &str) -> String {
    match text.starts_with(code) {
        true => text.to_owned(),
        false => format!("{code} {text}"),
    }
}

/// How a circuit breaker stands; nothing of what has none.
pub fn breaker(it: Option<&CircuitBreaker>) -> String {
    let Some(it) = it else {
        return String::new();
    };
    let mut text = it.state.clone();
    // Writing to a string cannot fail.
    if it.failures > 0 {
        let _ = write!(text, ", {} failures in a row", it.failures);
    }
    if let Some(at) = it.retry_time {
        let _ = write!(text, ", asked again at {at}");
    }
    if !it.r#override.is_empty() {
        text.push_str(", by a person's word");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\r\nc"), "a\\u{1b}[31mb\\r⏎c");
        assert_eq!(printable("no\u{202e}sey"), "no\\u{202e}sey");
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(short("abcd", 4), "abcd");
    }

    #[test]
    fn an_answer_keeps_its_lines_and_steers_no_terminal() {
        assert_eq!(lines("a\n\tb\x1b[31mc\r"), "a\n\tb\\u{1b}[31mc\\r");
    }

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(3 << 30), "3.0 GiB");
        let (day, time) = (86_400_000, 3_723_004);
        let at = Timestamp::from_unix_ms(day + time);
        assert_eq!(clock_at(&at, day), "01:02:03.004");
        assert_eq!(clock_at(&at, 2 * day), "1970-01-02 01:02:03.004");
        assert_eq!(clock(None), "-");
        let past = |ms: i64| ago_at(&Timestamp::from_unix_ms(day - ms), day);
        assert_eq!(past(-5), "just now");
        assert_eq!(past(119_999), "119 s ago");
        assert_eq!(past(120_000), "2 min ago");
        assert_eq!(past(7_200_000), "2 h ago");
        assert_eq!(ago_at(&Timestamp::from_unix_ms(0), 3 * day), "3 days ago");
        assert_eq!(ago(None), "-");
        for (ms, said) in [
            (0, "+0 ms"),
            (9_999, "+9999 ms"),
            (42_567, "+42.5 s"),
            (1_230_000, "+20 min"),
            (7_200_000, "+2 h"),
            (10 * day, "+10 d"),
        ] {
            assert_eq!(after(ms), said);
        }
    }

    #[test]
    fn tables_align_and_have_no_frame() {
        let columns = [Column::Text("NAME"), Column::Number("N")];
        let rows = vec![
            vec!["echo".to_owned(), "7".to_owned()],
            vec!["longer".to_owned(), "10".to_owned()],
        ];
        assert_eq!(
            table(&columns, rows),
            "NAME     N\necho     7\nlonger  10\n"
        );
    }
}
