//! The plot: one line a row, every round a dot on a scale of ratios to the peer's median, so that one
//! sees how far the rounds are apart beside how far the sides are.

use super::{Goal, Report, Row, table};
use std::fmt::Write as _;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 400.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 60.0;
const LINE: f64 = 26.0;
/// The scale goes from a hundredth to a hundred times the peer.
const DECADES: f64 = 2.0;
const OURS: &str = "#0b6e99";
const THEIRS: &str = "#9a9a9a";
const GOOD: &str = "#2e7d32";
const BAD: &str = "#c62828";

/// An SVG picture of the rows that have a peer, or an absolute goal to be measured by.
pub fn svg(report: &Report) -> String {
    let rows: Vec<(&Row, f64)> = report
        .rows
        .iter()
        .filter_map(|row| Some((row, unit_of(row)?)))
        .collect();
    let height = TOP + LINE * rows.len() as f64 + 50.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"16\">Caxton against its peers, {}</text>\n\
         <text x=\"16\" y=\"42\" fill=\"#555\">each dot a round: <tspan fill=\"{OURS}\">Caxton</tspan>, \
         <tspan fill=\"{THEIRS}\">peer (or the goal where there is none)</tspan>; 1x is the peer's median; \
         the green side of the tick is the goal</text>\n",
        escape(&report.began)
    );
    grid(&mut svg, height);
    for (index, (row, unit)) in rows.iter().enumerate() {
        let y = TOP + LINE * (index as f64 + 0.75);
        draw(&mut svg, row, *unit, y);
    }
    svg.push_str("</svg>\n");
    svg
}

/// What 1x is in a row.
fn unit_of(row: &Row) -> Option<f64> {
    let unit = match (&row.peer, row.goal) {
        (Some(peer), _) => peer.median,
        (None, Goal::AtLeast(value) | Goal::AtMost(value)) => value,
        (None, _) => return None,
    };
    (unit.is_finite() && unit > 0.0).then_some(unit)
}

fn grid(svg: &mut String, height: f64) {
    for (ratio, label) in [
        (0.01, "0.01x"),
        (0.1, "0.1x"),
        (0.5, "0.5x"),
        (1.0, "1x"),
        (2.0, "2x"),
        (10.0, "10x"),
        (100.0, "100x"),
    ] {
        let x = place(ratio);
        let bottom = height - 36.0;
        let color = if ratio == 1.0 { "#888" } else { "#e4e4e4" };
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{color}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{label}</text>",
            bottom + 18.0
        );
    }
}

fn draw(svg: &mut String, row: &Row, unit: f64, y: f64) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        LEFT - 12.0,
        y + 4.0,
        escape(&label(row))
    );
    let (goal, better) = match row.goal {
        Goal::RatioAtLeast(goal) => (Some(goal), 1.0),
        Goal::RatioAtMost(goal) => (Some(goal), -1.0),
        Goal::AtLeast(_) => (Some(1.0), 1.0),
        Goal::AtMost(_) => (Some(1.0), -1.0),
        Goal::None => (None, 1.0),
    };
    if let Some(goal) = goal {
        let x = place(goal);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"{GOOD}\" stroke-width=\"2\"/>\
             <line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"{GOOD}\" stroke-width=\"2\"/>",
            y - 8.0,
            y + 8.0,
            x + better * 8.0
        );
    }
    for (side, color) in [(&row.peer, THEIRS), (&row.ours, OURS)] {
        for value in side.iter().flat_map(|side| &side.rounds) {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\" fill-opacity=\"0.55\"/>",
                place(value / unit)
            );
        }
    }
    let color = if row.met == Some(false) { BAD } else { GOOD };
    let ratio = row
        .ratio
        .or_else(|| row.ours.as_ref().map(|ours| ours.median / unit));
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{:.2}x, goal {}</text>",
        WIDTH - RIGHT + 8.0,
        y + 4.0,
        ratio.unwrap_or(f64::NAN),
        escape(&table::goal(row.goal))
    );
}

fn label(row: &Row) -> String {
    match &row.peer {
        Some(peer) => format!("{} / {}, {}", row.what, peer.who, row.unit),
        None => format!("{}, {}", row.what, row.unit),
    }
}

/// Where a ratio stands, on a logarithmic scale.
fn place(ratio: f64) -> f64 {
    let log = ratio
        .max(f64::MIN_POSITIVE)
        .log10()
        .clamp(-DECADES, DECADES);
    LEFT + (log + DECADES) / (2.0 * DECADES) * (WIDTH - LEFT - RIGHT)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
