//! A conversation drawn as a sequence: one lane for each participant, one arrow for each message.
//!
//! Used by `conversation show` and by the tour. Performatives stand as FIPA writes them, so that the
//! drawing can be searched.

use super::message::{content, local};
use super::output::{after, printable, short};
use caxton_api::v1::Message;
use std::fmt::Write as _;

/// More participants than this do not fit beside each other, and lines are written instead.
const LANES_MAX: usize = 7;
/// Columns of a lane, at least; the longest name widens all of them.
const LANE_WIDTH_MIN: usize = 10;
const LANE_WIDTH_MAX: usize = 18;
/// `accept-proposal` and a space.
const PERFORMATIVE_WIDTH: usize = 17;
const CONTENT_WIDTH: usize = 44;

/// How to draw.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    pub color: bool,
    /// What the principal that asked is called.
    pub me: (&'a str, &'a str),
    /// Put before each line.
    pub indent: &'a str,
}

/// Draws the messages in their order; times are since the first, in milliseconds.
pub fn draw(messages: &[Message], style: Style<'_>) -> String {
    let names = participants(messages, style.me);
    if names.len() > LANES_MAX || names.len() < 2 {
        return lines(messages, style);
    }
    let longest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let width = (longest + 2).clamp(LANE_WIDTH_MIN, LANE_WIDTH_MAX);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}{}",
        style.indent,
        header(&names, width, style.color)
    );
    let start = start_ms(messages);
    for message in messages {
        let from = lane(
            &names,
            message.sender.iter().map(|sender| sender.name.as_str()),
            style.me,
        );
        let to = lane(
            &names,
            message.receiver.iter().map(|agent| agent.name.as_str()),
            style.me,
        );
        let time = elapsed(message, start);
        let arrow = arrow(
            names.len(),
            width,
            from.first().copied(),
            &to,
            hue(message, style.color),
        );
        let _ = writeln!(
            text,
            "{}{time} {arrow} {}",
            style.indent,
            label(message, style.color)
        );
    }
    text
}

/// `+12 ms` and who says what to whom, one message a line.
fn lines(messages: &[Message], style: Style<'_>) -> String {
    let start = start_ms(messages);
    let name = |name: &str| shown(name, style.me);
    let mut text = String::new();
    for message in messages {
        let from: Vec<String> = message
            .sender
            .iter()
            .map(|agent| name(&agent.name))
            .collect();
        let to: Vec<String> = message
            .receiver
            .iter()
            .map(|agent| name(&agent.name))
            .collect();
        let _ = writeln!(
            text,
            "{}{} {} → {}  {}",
            style.indent,
            elapsed(message, start),
            from.join(", "),
            to.join(", "),
            label(message, style.color)
        );
    }
    text
}

fn participants(messages: &[Message], me: (&str, &str)) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for message in messages {
        for agent in message.sender.iter().chain(&message.receiver) {
            let name = shown(&agent.name, me);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn shown(name: &str, me: (&str, &str)) -> String {
    if name == me.0 {
        return me.1.to_owned();
    }
    short(local(name), LANE_WIDTH_MAX - 2)
}

fn lane<'a>(
    names: &[String],
    agents: impl Iterator<Item = &'a str>,
    me: (&str, &str),
) -> Vec<usize> {
    agents
        .filter_map(|name| names.iter().position(|known| *known == shown(name, me)))
        .collect()
}

fn start_ms(messages: &[Message]) -> i64 {
    let times = messages.iter().filter_map(|message| message.create_time);
    times.map(|time| time.unix_ms()).min().unwrap_or(0)
}

fn elapsed(message: &Message, start_ms: i64) -> String {
    match message.create_time {
        Some(time) => format!("{:>9}", after(time.unix_ms().saturating_sub(start_ms))),
        None => " ".repeat(9),
    }
}

/// The names, each centred over its lane.
fn header(names: &[String], width: usize, color: bool) -> String {
    let centred = names
        .iter()
        .map(|name| format!("{:^width$}", printable(name)));
    let line = format!("{:11}{}", "", centred.collect::<String>());
    match color {
        true => format!("\x1b[1m{}\x1b[0m", line.trim_end()),
        false => line.trim_end().to_owned(),
    }
}

/// One row of lanes with an arrow from one to the others.
fn arrow(lanes: usize, width: usize, from: Option<usize>, to: &[usize], hue: &str) -> String {
    let centre = |lane: usize| lane * width + width / 2;
    let mut cells: Vec<char> = vec![' '; lanes * width];
    let mut put = |column: usize, c: char| {
        if let Some(cell) = cells.get_mut(column) {
            *cell = c;
        }
    };
    for lane in 0..lanes {
        put(centre(lane), '│');
    }
    let Some(from) = from else {
        return cells.into_iter().collect();
    };
    let ends = || to.iter().copied().chain([from]);
    let left = centre(ends().min().unwrap_or(from));
    let right = centre(ends().max().unwrap_or(from));
    for column in left..=right {
        put(column, '─');
    }
    for lane in 0..lanes {
        if (left..=right).contains(&centre(lane)) {
            put(centre(lane), '┼');
        }
    }
    put(left, '├');
    put(right, '┤');
    for lane in to {
        match lane.cmp(&from) {
            std::cmp::Ordering::Greater => put(centre(*lane).saturating_sub(1), '▶'),
            std::cmp::Ordering::Less => put(centre(*lane) + 1, '◀'),
            // To itself: there is no way to go.
            std::cmp::Ordering::Equal => put(centre(*lane) + 1, '↩'),
        }
    }
    paint(&cells, left, right, hue)
}

/// The cells, those of the arrow in its colour.
fn paint(cells: &[char], left: usize, right: usize, hue: &str) -> String {
    let mut text = String::new();
    for (column, c) in cells.iter().enumerate() {
        if !hue.is_empty() && column == left {
            text.push_str(hue);
        }
        text.push(*c);
        if !hue.is_empty() && column == right {
            text.push_str("\x1b[0m");
        }
    }
    text
}

fn label(message: &Message, color: bool) -> String {
    let performative = &message.performative;
    let content = short(&content(message), CONTENT_WIDTH);
    let hue = hue(message, color);
    let text = match hue {
        "" => format!("{performative:<PERFORMATIVE_WIDTH$}{content}"),
        hue => format!("{hue}{performative:<PERFORMATIVE_WIDTH$}\x1b[0m{content}"),
    };
    text.trim_end().to_owned()
}

/// A colour by what the act does: asks, offers, agrees, tells, refuses, fails.
fn hue(message: &Message, color: bool) -> &'static str {
    if !color {
        return "";
    }
    match message.performative.as_str() {
        "request" | "request-when" | "request-whenever" | "cfp" | "query-if" | "query-ref"
        | "subscribe" | "proxy" | "propagate" => "\x1b[36m",
        "propose" => "\x1b[33m",
        "accept-proposal" | "agree" | "confirm" => "\x1b[1;32m",
        "inform" | "inform-if" | "inform-ref" => "\x1b[32m",
        "refuse" | "reject-proposal" | "disconfirm" | "cancel" => "\x1b[35m",
        _ => "\x1b[31m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse::agent;
    use caxton_api::v1::message::Body;
    use caxton_api::wkt::Timestamp;

    fn message(ms: i64, from: &str, to: &[&str], performative: &str, text: &str) -> Message {
        Message {
            sender: Some(agent(from)),
            receiver: to.iter().map(|name| agent(name)).collect(),
            performative: performative.to_owned(),
            body: Some(Body::Content(text.to_owned())),
            create_time: Some(Timestamp::from_unix_ms(ms)),
            ..Message::default()
        }
    }

    const PLAIN: Style<'static> = Style {
        color: false,
        me: ("admin@default", "you"),
        indent: "",
    };

    #[test]
    fn arrows_go_from_lane_to_lane() {
        let talk = [
            message(5, "admin@default", &["buyer@default"], "request", "buy"),
            message(6, "buyer@default", &["a@default", "b@default"], "cfp", "10"),
            message(9, "b@default", &["buyer@default"], "refuse", ""),
        ];
        let expected = "
              you      buyer       a         b
    +0 ms      ├────────▶┤         │         │     request          buy
    +1 ms      │         ├────────▶┼────────▶┤     cfp              10
    +4 ms      │         ├◀────────┼─────────┤     refuse
";
        assert_eq!(format!("\n{}", draw(&talk, PLAIN)), expected);
    }

    #[test]
    fn too_many_lanes_become_lines() {
        let names: Vec<String> = (0..9).map(|n| format!("agent-{n}@default")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = draw(
            &[message(0, "admin@default", &names, "inform", "hi")],
            PLAIN,
        );
        assert!(
            text.starts_with("    +0 ms you → agent-0, agent-1"),
            "{text}"
        );
        assert!(text.contains("inform           hi"), "{text}");
    }

    #[test]
    fn colour_changes_nothing_else() {
        let talk = [message(
            0,
            "a@default",
            &["b@default"],
            "accept-proposal",
            "x",
        )];
        let colored = draw(
            &talk,
            Style {
                color: true,
                ..PLAIN
            },
        );
        let mut plain = String::new();
        let mut rest = colored.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, after)| after);
        }
        plain.push_str(rest);
        assert_eq!(plain, draw(&talk, PLAIN));
        assert_ne!(colored, plain);
    }
}
