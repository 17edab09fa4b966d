//! The table on the terminal.

use super::{Goal, Report, Row, Side};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::fmt::Write as _;

/// What, ours, peer, ratio, goal, met; then what was done, in words.
pub fn table(report: &Report) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "", "what", "unit", "ours", "peer", "", "ratio", "goal", "met",
        ]);
    for (number, row) in report.rows.iter().enumerate() {
        let peer = row.peer.as_ref();
        table.add_row([
            (number + 1).to_string(),
            row.what.clone(),
            row.unit.to_owned(),
            row.ours.as_ref().map(number_of).unwrap_or_default(),
            peer.map(number_of).unwrap_or_default(),
            peer.map(|side| side.who.clone()).unwrap_or_default(),
            row.ratio
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default(),
            goal(row.goal),
            met(row.met).to_owned(),
        ]);
    }
    for index in [3, 4, 6] {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!("{table}\n");
    let mut told = "";
    for (number, row) in report.rows.iter().enumerate() {
        let work = if row.work == told {
            "as above."
        } else {
            &row.work
        };
        let _ = write!(text, "\n{:>3}  {work}", number + 1);
        told = &row.work;
        for side in &row.beside {
            let _ = write!(text, " [{}: {} {}]", side.who, number_of(side), side.unit);
        }
    }
    for skipped in &report.skipped {
        let _ = write!(text, "\nskipped {}: {}", skipped.group, skipped.why);
    }
    let _ = write!(
        text,
        "\n\nMedians of {} rounds in turn, one more dropped; {} processors, {} GiB, {}; load {:.1} before, {:.1} after.",
        report.rounds,
        report.machine.processors,
        report.machine.memory_gib,
        report.machine.system,
        report.machine.load_before,
        report.machine.load_after,
    );
    if report.quick {
        text.push_str("\nThis was the smoke run: its numbers mean nothing.");
    }
    text
}

/// One row as soon as it is known.
pub fn line(row: &Row) -> String {
    let mut text = row.what.clone();
    for side in row.ours.iter().chain(&row.peer).chain(&row.beside) {
        let _ = write!(text, "; {} {} {}", side.who, number_of(side), side.unit);
    }
    if let Some(ratio) = row.ratio {
        let _ = write!(text, "; ratio {ratio:.2}");
    }
    let _ = write!(text, "; goal {}: {}", goal(row.goal), met(row.met));
    text
}

/// Three digits that mean something, and thousands apart.
fn number_of(side: &Side) -> String {
    let value = side.median;
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub fn goal(goal: Goal) -> String {
    match goal {
        Goal::RatioAtLeast(ratio) => format!("≥ {ratio}x"),
        Goal::RatioAtMost(ratio) => format!("≤ {ratio}x"),
        Goal::AtLeast(value) => format!("≥ {value}"),
        Goal::AtMost(value) => format!("≤ {value}"),
        Goal::None => String::new(),
    }
}

fn met(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    }
}
