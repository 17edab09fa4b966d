//! `caxton message trace`: what caused a message and what it caused, as a tree.

use super::line;
use crate::cli::output::{Output, after};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{GetMessageTraceRequest, GetMessageTraceResponse, TraceStep};

/// Deeper steps are drawn at this depth: a chain may be longer than a screen is wide.
const DEPTH_MAX: usize = 24;

pub async fn run(id: String, client: &Client, output: &Output) -> Outcome {
    let request = GetMessageTraceRequest {
        message: id.clone(),
    };
    let trace = client.get_message_trace(&request).await?;
    if let crate::cli::output::Format::Name = output.format() {
        let ids: String = messages(&trace)
            .map(|message| format!("{}\n", message.id))
            .collect();
        return output.print(&ids);
    }
    output.answer(&trace, &id, || {
        let mut text = format!("trace {}\n", trace.trace_id);
        text.push_str(&tree(&trace.steps, &id));
        if trace.truncated {
            text.push_str("… and more\n");
        }
        text
    })
}

fn messages(trace: &GetMessageTraceResponse) -> impl Iterator<Item = &caxton_api::v1::Message> {
    trace.steps.iter().filter_map(|step| step.message.as_ref())
}

/// The steps as a tree; the one that was asked for is marked.
fn tree(steps: &[TraceStep], marked: &str) -> String {
    let start = steps
        .iter()
        .filter_map(|step| Some(step.message.as_ref()?.create_time?.unix_ms()))
        .min();
    let mut text = String::new();
    // For each depth: whether another step of that depth comes below.
    for (index, step) in steps.iter().enumerate() {
        let Some(message) = &step.message else {
            continue;
        };
        let depth = depth(step);
        let rest = steps.get(index + 1..).unwrap_or_default();
        for level in 1..=depth {
            let more = goes_on(rest, level);
            text.push_str(match (level == depth, more) {
                (true, true) => "├─ ",
                (true, false) => "└─ ",
                (false, true) => "│  ",
                (false, false) => "   ",
            });
        }
        let since = message.create_time.zip(start);
        let since = since.map_or(0, |(time, start)| time.unix_ms().saturating_sub(start));
        let mark = if message.id == marked { "  ←" } else { "" };
        text.push_str(&format!("{}  {}{mark}\n", line(message), after(since)));
    }
    text
}

/// Whether below these steps' parent another one of this level follows.
fn goes_on(rest: &[TraceStep], level: usize) -> bool {
    rest.iter()
        .map(depth)
        .take_while(|depth| *depth >= level)
        .any(|depth| depth == level)
}

fn depth(step: &TraceStep) -> usize {
    usize::try_from(step.depth)
        .unwrap_or(DEPTH_MAX)
        .min(DEPTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse::agent;
    use caxton_api::v1::{Message, message::Body};
    use caxton_api::wkt::Timestamp;

    fn step(depth: u32, id: &str, from: &str, to: &str, performative: &str) -> TraceStep {
        TraceStep {
            depth,
            message: Some(Message {
                id: id.to_owned(),
                sender: Some(agent(from)),
                receiver: vec![agent(to)],
                performative: performative.to_owned(),
                body: Some(Body::Content("x".to_owned())),
                create_time: Some(Timestamp::from_unix_ms(1_000 + i64::from(depth))),
                ..Message::default()
            }),
        }
    }

    #[test]
    fn branches_are_drawn_as_far_as_they_go() {
        let steps = [
            step(0, "m1", "admin@default", "buyer@default", "request"),
            step(1, "m2", "buyer@default", "a@default", "cfp"),
            step(2, "m3", "a@default", "buyer@default", "propose"),
            step(1, "m4", "buyer@default", "b@other", "cfp"),
            step(2, "m5", "b@other", "buyer@default", "refuse"),
        ];
        let expected = "\
admin → buyer  request  x  +0 ms
├─ buyer → a  cfp  x  +1 ms
│  └─ a → buyer  propose  x  +2 ms  ←
└─ buyer → b@other  cfp  x  +1 ms
   └─ b@other → buyer  refuse  x  +2 ms
";
        assert_eq!(tree(&steps, "m3"), expected);
    }
}
