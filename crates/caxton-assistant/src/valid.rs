//! Any history, made into messages that every provider takes: roles alternate and the user's comes
//! first, every tool call has its result in the next message and every result its call, ids of calls
//! are plain and unique, nothing is blank. Interrupted turns, clients' own histories and histories
//! written under another set of tools come in as they are; this is the one place that mends them.
//!
//! What a model thought goes back unchanged within the loop of tools it is in, where providers want it
//! with its signature; what it thought in turns that are over is left out.

use crate::bounds::CALL_ID_BYTES_MAX;
use caxton_core::model::{ChatMessage, ChatRole, Part};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// What stands for a result that never came.
const NO_RESULT: &str = "The call was interrupted; there is no result.";
/// What stands before an answer that answers nothing that is still there.
const BEGINNING: &str = "(The conversation goes on.)";

/// Mends messages. Without `tools` there are no tool calls either: providers refuse calls of tools that
/// the request does not declare, so that they are told as text.
pub fn valid(messages: impl IntoIterator<Item = ChatMessage>, tools: bool) -> Vec<ChatMessage> {
    let mut messages: Vec<ChatMessage> = messages.into_iter().collect();
    for message in &mut messages {
        place(message, tools);
    }
    let current = messages.iter().rposition(is_new).unwrap_or(0);
    for (at, message) in messages.iter_mut().enumerate() {
        clean(message, at >= current);
    }
    let mut mended = merged(messages);
    if mended
        .first()
        .is_some_and(|it| it.role == ChatRole::Assistant)
    {
        mended.insert(0, ChatMessage::user(BEGINNING));
    }
    paired(mended)
}

/// Whether somebody says something new: a user's message that is more than results of tools.
pub fn is_new(message: &ChatMessage) -> bool {
    let more = |part: &Part| !matches!(part, Part::ToolResult { .. } | Part::Extra { .. });
    message.role == ChatRole::User && message.parts.iter().any(more)
}

/// Tells as text what is not for this role to say.
fn place(message: &mut ChatMessage, tools: bool) {
    let by_user = message.role == ChatRole::User;
    for part in &mut message.parts {
        let misplaced = match part {
            Part::ToolCall { .. } => by_user || !tools,
            Part::ToolResult { .. } => !by_user || !tools,
            _ => false,
        };
        if misplaced {
            *part = Part::text(told(part));
        }
    }
}

/// Takes out what is blank, and thoughts of turns that are over.
fn clean(message: &mut ChatMessage, current: bool) {
    let by_user = message.role == ChatRole::User;
    // What belongs to a part goes with it, and needs one.
    let mut kept = false;
    message.parts.retain(|part| {
        kept = match part {
            Part::Text { text } => !text.trim().is_empty(),
            Part::Thinking { .. } => current && !by_user,
            part if part.redacted().is_some() => current && !by_user,
            Part::Extra { .. } => kept,
            _ => true,
        };
        kept
    });
}

/// A tool's call or result as text.
pub fn told(part: &Part) -> String {
    match part {
        Part::ToolCall {
            name, arguments, ..
        } => format!("[tool {name} called with {arguments}]"),
        Part::ToolResult {
            parts, is_error, ..
        } => {
            let what = if *is_error { "failed" } else { "answered" };
            format!("[the tool {what}: {}]", text_of(parts))
        }
        Part::Text { text } => text.clone(),
        Part::Image { .. } => "[a picture]".to_owned(),
        Part::Thinking { .. } | Part::Other { .. } | Part::Extra { .. } => String::new(),
    }
}

/// The text of parts; pictures are named.
pub fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().map(told).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join("\n")
}

/// Neighbours of one role are one message; empty ones are none.
fn merged(messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut merged: Vec<ChatMessage> = Vec::with_capacity(messages.len());
    for message in messages {
        if message.parts.is_empty() {
            continue;
        }
        match merged.last_mut() {
            Some(last) if last.role == message.role => last.parts.extend(message.parts),
            _ => merged.push(message),
        }
    }
    merged
}

/// A call that waits for its result: the id it came with, and the one it goes out with.
struct Open {
    came: String,
    goes: String,
}

/// Gives every call its result, first in the next message, and every result its call.
fn paired(messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut ids = Ids::default();
    let mut open: Vec<Open> = Vec::new();
    let mut paired = Vec::with_capacity(messages.len() + 1);
    for mut message in messages {
        match message.role {
            ChatRole::Assistant => open = opened(&mut message, &mut ids),
            ChatRole::User => answered(&mut message, std::mem::take(&mut open)),
        }
        paired.push(message);
    }
    if !open.is_empty() {
        let parts = Vec::new();
        let mut message = ChatMessage {
            role: ChatRole::User,
            parts,
        };
        answered(&mut message, open);
        paired.push(message);
    }
    paired
}

fn opened(message: &mut ChatMessage, ids: &mut Ids) -> Vec<Open> {
    let mut open = Vec::new();
    for part in &mut message.parts {
        let Part::ToolCall { id, arguments, .. } = part else {
            continue;
        };
        let goes = ids.unique(id);
        let came = std::mem::replace(id, goes.clone());
        open.push(Open { came, goes });
        // Providers take objects alone.
        if !arguments.is_object() {
            let mut object = Map::new();
            object.insert("malformed".to_owned(), arguments.take());
            *arguments = Value::Object(object);
        }
    }
    open
}

fn answered(message: &mut ChatMessage, open: Vec<Open>) {
    let mut results: Vec<Vec<Part>> = open.iter().map(|_| Vec::new()).collect();
    let mut rest = Vec::with_capacity(message.parts.len());
    let mut given = message.parts.drain(..).peekable();
    while let Some(part) = given.next() {
        let Part::ToolResult {
            id,
            parts,
            is_error,
        } = part
        else {
            rest.push(part);
            continue;
        };
        let mut places = open.iter().zip(&mut results);
        match places.find(|(call, result)| call.came == id && result.is_empty()) {
            Some((call, result)) => {
                let id = call.goes.clone();
                result.push(Part::ToolResult {
                    id,
                    parts,
                    is_error,
                });
                result.extend(given.next_if(|next| matches!(next, Part::Extra { .. })));
            }
            None => rest.push(Part::text(told(&Part::ToolResult {
                id,
                parts,
                is_error,
            }))),
        }
    }
    drop(given);
    let results = open.into_iter().zip(results).map(|(call, mut result)| {
        if result.is_empty() {
            result.push(Part::ToolResult {
                id: call.goes,
                parts: vec![Part::text(NO_RESULT)],
                is_error: true,
            });
        }
        result
    });
    message.parts = results.flatten().chain(rest).collect();
}

/// The ids that calls of one request go out with.
#[derive(Default)]
struct Ids {
    taken: HashSet<String>,
}

impl Ids {
    /// The id itself where it is plain and not taken, else one like it.
    fn unique(&mut self, id: &str) -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let fits = !id.is_empty() && id.len() <= CALL_ID_BYTES_MAX && id.bytes().all(plain);
        if fits && self.taken.insert(id.to_owned()) {
            return id.to_owned();
        }
        // One of these is free: there are more than there are taken.
        let numbers = self.taken.len()..=self.taken.len() * 2 + 1;
        let mut names = numbers.map(|n| format!("call_{n}"));
        let free = names
            .find(|name| !self.taken.contains(name))
            .unwrap_or_default();
        self.taken.insert(free.clone());
        free
    }
}

#[cfg(test)]
pub mod tests;
