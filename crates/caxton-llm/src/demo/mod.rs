//! `demo`: answers by plain rules from its instructions and the conversation, so that a first chat
//! needs no key and no network. It is no language model and says so before anything else. The same
//! request gets the same answer, always.

mod rules;
mod tools;

use caxton_core::model::{ChatRole, ModelEvent, ModelRequest, Part, StopReason, Thinking, Tokens};
use caxton_engine::port::model::ModelStream;
use futures::StreamExt as _;

/// What it says before its first answer in a conversation.
const HONESTLY: &str = "I am `demo`: plain rules, not a language model. They show how Caxton works, \
                        without a key; for real answers give the agent a provider's model. ";

/// The answer to a request.
pub fn stream(request: &ModelRequest) -> ModelStream {
    futures::stream::iter(answer(request)).map(Ok).boxed()
}

/// All of the answer.
pub fn answer(request: &ModelRequest) -> Vec<ModelEvent> {
    let turns = request
        .messages
        .iter()
        .filter(|it| it.role == ChatRole::Assistant)
        .count();
    let mut events = vec![ModelEvent::Started {
        id: format!("demo-{}", turns + 1),
        model: "demo".to_owned(),
    }];
    if request.thinking.unwrap_or_default() > Thinking::Off {
        let thought = "Rules do not think; the first that fits answers.";
        events.push(ModelEvent::Thinking(thought.to_owned()));
    }
    let mut bytes = 0;
    let stop = match tools::wanted(request) {
        Some(call) => {
            let json = call.arguments.to_string();
            bytes += call.name.len() + json.len();
            events.push(ModelEvent::ToolCall {
                index: 0,
                id: format!("call_{}", turns + 1),
                name: call.name,
            });
            events.push(ModelEvent::ToolArguments { index: 0, json });
            StopReason::ToolCalls
        }
        None => {
            let (text, stop) = said(request, turns == 0);
            bytes += text.len();
            // A word at a time, as models stream.
            let words = text.split_inclusive(' ').map(str::to_owned);
            events.extend(words.map(ModelEvent::Text));
            stop
        }
    };
    events.push(ModelEvent::Usage(Tokens {
        input: request.tokens_estimate(),
        output: (bytes as u64).div_ceil(BYTES_PER_TOKEN),
        estimated: true,
        ..Tokens::default()
    }));
    events.push(ModelEvent::Finished(stop));
    events
}

/// The same estimate as the engine's.
const BYTES_PER_TOKEN: u64 = 4;

/// The text, within what the request allows.
fn said(request: &ModelRequest, first: bool) -> (String, StopReason) {
    let mut text = rules::reply(request);
    if first {
        text.insert_str(0, HONESTLY);
    }
    let mut stop = StopReason::End;
    let found = request.stop.iter().filter(|it| !it.is_empty());
    if let Some(at) = found.filter_map(|word| text.find(word.as_str())).min() {
        text.truncate(at);
        stop = StopReason::StopSequence;
    }
    let bytes_max = u64::from(request.output_tokens_max) * BYTES_PER_TOKEN;
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        stop = StopReason::MaxTokens;
    }
    (text, stop)
}

/// What tools have answered since the model spoke last: pieces of text.
fn results(request: &ModelRequest) -> Vec<(&str, String, bool)> {
    let Some(last) = request
        .messages
        .last()
        .filter(|it| it.role == ChatRole::User)
    else {
        return Vec::new();
    };
    let results = last.parts.iter().filter_map(|part| match part {
        Part::ToolResult {
            id,
            parts,
            is_error,
        } => {
            let texts = parts.iter().filter_map(|part| match part {
                Part::Text { text } => Some(text.as_str()),
                _ => None,
            });
            Some((id.as_str(), texts.collect(), *is_error))
        }
        _ => None,
    });
    results.collect()
}

/// The tool that a call of this conversation was of.
fn name_of<'r>(request: &'r ModelRequest, id: &str) -> &'r str {
    let parts = request
        .messages
        .iter()
        .rev()
        .flat_map(|message| &message.parts);
    let mut names = parts.filter_map(|part| match part {
        Part::ToolCall { id: it, name, .. } if it == id => Some(name.as_str()),
        _ => None,
    });
    names.next().unwrap_or("the tool")
}

#[cfg(test)]
mod tests;
