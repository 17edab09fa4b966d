//! Sessions and what was said in them.

use caxton_api::v1;
use caxton_core::error::Error;
use caxton_core::model::{ChatMessage, ChatRole, Image, Part, Thinking, Tokens};
use caxton_core::session::{Entry, Session};
use caxton_engine::turn::TurnRecord;

use super::time::wire;

/// A session on the wire.
pub(crate) fn session(session: &Session) -> v1::Session {
    let calls = u32::try_from(session.model_calls).unwrap_or(u32::MAX);
    v1::Session {
        id: session.id.to_string(),
        agent: session.agent.to_string(),
        answering_agent: session.answers.to_string(),
        user: session.user.clone(),
        title: session.title.clone(),
        thinking: session.thinking.map_or("", Thinking::as_str).to_owned(),
        create_time: Some(wire(session.created)),
        update_time: Some(wire(session.updated)),
        turns: small(session.turns),
        messages: small(session.entries),
        seen_from: small(session.seen_from),
        summary: session.summary.clone().unwrap_or_default(),
        usage: Some(usage(&session.usage, session.cost_micros, calls)),
        tools: super::tool::rules_wire(&session.tools),
    }
}

/// One message of a session's history.
pub(crate) fn entry((index, entry): &(u64, Entry)) -> v1::SessionMessage {
    let message = message(&entry.message);
    let agent = entry.agent.as_ref().map(ToString::to_string);
    v1::SessionMessage {
        index: small(*index),
        role: message.role,
        content: message.content,
        parts: message.parts,
        turn_id: entry.turn.to_string(),
        create_time: Some(wire(entry.at)),
        agent: agent.unwrap_or_default(),
        broken: entry.broken,
    }
}

/// A turn's record.
pub(crate) fn turn(record: &TurnRecord) -> v1::Turn {
    v1::Turn {
        id: record.id.to_string(),
        session_id: record.session.to_string(),
        agent: record.agent.to_string(),
        state: record.state.as_str().to_owned(),
        create_time: Some(wire(record.created)),
        end_time: record.ended.map(wire),
    }
}

/// A message; its parts where they are more than one text.
pub(crate) fn message(message: &ChatMessage) -> v1::ChatMessage {
    let role = match message.role {
        ChatRole::User => "user",
        ChatRole::Assistant => "assistant",
    };
    said(role, &message.parts)
}

/// What was said by whom.
pub(crate) fn said(role: &str, parts: &[Part]) -> v1::ChatMessage {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(text.as_str()),
        _ => None,
    });
    let plain = matches!(parts, [] | [Part::Text { .. }]);
    v1::ChatMessage {
        role: role.to_owned(),
        content: texts.collect(),
        parts: match plain {
            true => Vec::new(),
            false => parts.iter().map(part).collect(),
        },
    }
}

/// A part on the wire.
pub(crate) fn part(part: &Part) -> v1::MessagePart {
    let of = |kind: &str| v1::MessagePart {
        r#type: kind.to_owned(),
        ..v1::MessagePart::default()
    };
    match part {
        Part::Text { text } => v1::MessagePart {
            text: Some(text.clone()),
            ..of("text")
        },
        Part::Image { image } => match image {
            Image::Url(url) => v1::MessagePart {
                url: Some(url.clone()),
                ..of("image")
            },
            Image::Data { media_type, data } => v1::MessagePart {
                media_type: Some(media_type.clone()),
                data: Some(data.clone()),
                ..of("image")
            },
        },
        Part::ToolCall {
            id,
            name,
            arguments,
        } => v1::MessagePart {
            id: Some(id.clone()),
            name: Some(name.clone()),
            arguments: Some(arguments.to_string()),
            ..of("tool_call")
        },
        Part::ToolResult {
            id,
            parts,
            is_error,
        } => v1::MessagePart {
            id: Some(id.clone()),
            content: parts.iter().map(self::part).collect(),
            is_error: Some(*is_error),
            ..of("tool_result")
        },
        Part::Thinking { text, .. } => v1::MessagePart {
            text: Some(text.clone()),
            ..of("thinking")
        },
        Part::Other { .. } | Part::Extra { .. } => of("other"),
    }
}

/// What was used.
pub(crate) fn usage(tokens: &Tokens, cost_micros: u64, calls: u32) -> v1::ChatUsage {
    v1::ChatUsage {
        input_tokens: small(tokens.input),
        output_tokens: small(tokens.output),
        total_tokens: small(tokens.total()),
        cache_read_tokens: small(tokens.cache_read),
        cache_write_tokens: small(tokens.cache_write),
        thinking_tokens: small(tokens.thinking),
        estimated: tokens.estimated,
        cost_micros,
        model_calls: calls,
    }
}

/// A thinking level; empty is none.
pub(crate) fn thinking(text: &str) -> Result<Option<Thinking>, Error> {
    match text {
        "" => Ok(None),
        text => Thinking::parse(text).map(Some),
    }
}

/// A count, so that it is a number in JSON and no text; one that large is the largest.
fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
