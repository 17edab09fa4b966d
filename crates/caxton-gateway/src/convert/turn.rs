//! Turns: what is said, and what happens.

use caxton_api::{ApiError, v1};
use caxton_core::AgentName;
use caxton_core::error::Code;
use caxton_core::model::{Part, StopReason};
use caxton_core::session::{Say, SessionId, TurnEvent, TurnFailure, TurnId, TurnOutcome};
use caxton_engine::app::TurnAsk;

use super::session::{said, thinking, usage};
use crate::compat::read::{base64, image, wrong};

/// The turn that somebody follows, as its events name it.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) turn: TurnId,
    pub(crate) session: SessionId,
    pub(crate) trace_id: Option<String>,
}

/// What is said to whom.
pub(crate) fn ask(request: v1::ChatRequest) -> Result<TurnAsk, ApiError> {
    if request.agent.is_empty() {
        return Err(wrong("agent", "is missing"));
    }
    let mut parts = Vec::new();
    if !request.message.is_empty() {
        parts.push(Part::text(request.message));
    }
    for (n, given) in request.parts.into_iter().enumerate() {
        parts.push(part(given, &format!("message[{n}]"))?);
    }
    if parts.is_empty() {
        return Err(wrong("message", "is missing"));
    }
    let session = match request.session_id.as_str() {
        "" => None,
        id => Some(SessionId::parse(id)?),
    };
    Ok(TurnAsk {
        agent: AgentName::parse(&request.agent)?,
        session,
        say: Say {
            parts,
            thinking: thinking(&request.thinking)?,
            ..Say::default()
        },
    })
}

/// A part of what a user says.
fn part(given: v1::MessagePart, at: &str) -> Result<Part, ApiError> {
    match given.r#type.as_str() {
        "text" => {
            let text = given.text.filter(|it| !it.is_empty());
            text.map(Part::text)
                .ok_or_else(|| wrong(&format!("{at}.text"), "is missing"))
        }
        "image" => match (given.url, given.data) {
            (Some(url), None) => image(&url, &format!("{at}.url")),
            (None, Some(data)) => {
                let media_type = given.media_type.unwrap_or_default();
                base64(&media_type, &data, &format!("{at}.data"))
            }
            _ => Err(wrong(at, "has neither `url` nor `data` alone")),
        },
        _ => Err(wrong(&format!("{at}.type"), "is neither text nor image")),
    }
}

/// The whole answer.
pub(crate) fn answer(of: &Followed, outcome: &TurnOutcome) -> v1::ChatAnswer {
    v1::ChatAnswer {
        session_id: of.session.to_string(),
        turn_id: of.turn.to_string(),
        message: Some(said("assistant", &outcome.parts)),
        usage: Some(usage(&outcome.usage, outcome.cost_micros, outcome.calls)),
        model: outcome.model.to_string(),
        agent: outcome.agent.clone(),
        stop_reason: stop(&outcome.stop).to_owned(),
    }
}

/// The name of an event.
pub(crate) fn name(event: &TurnEvent) -> &'static str {
    match event {
        TurnEvent::Started { .. } => "turn.started",
        TurnEvent::Text { .. } => "message.delta",
        TurnEvent::Thinking { .. } => "thinking.delta",
        TurnEvent::ThinkingSigned { .. } => "thinking.signed",
        TurnEvent::ThinkingRedacted { .. } => "thinking.redacted",
        TurnEvent::ToolCall { .. } => "tool.call",
        TurnEvent::ToolResult { .. } => "tool.result",
        TurnEvent::ApprovalRequired { .. } => "approval.required",
        TurnEvent::Canvas { .. } => "canvas.updated",
        TurnEvent::HandedOver { .. } => "turn.handed_over",
        TurnEvent::Notice { .. } => "notice",
        TurnEvent::Completed(_) => "turn.completed",
        TurnEvent::Failed(_) => "turn.failed",
    }
}

/// An event on the wire.
pub(crate) fn event(of: &Followed, number: u64, event: &TurnEvent) -> v1::TurnEvent {
    let mut told = v1::TurnEvent {
        id: format!("{}.{number}", of.turn),
        r#type: name(event).to_owned(),
        ..v1::TurnEvent::default()
    };
    let ids = || (Some(of.session.to_string()), Some(of.turn.to_string()));
    match event {
        TurnEvent::Started { agent, .. } => {
            (told.session_id, told.turn_id) = ids();
            told.agent = Some(agent.clone());
        }
        TurnEvent::Text { text } | TurnEvent::Thinking { text } | TurnEvent::Notice { text } => {
            told.text = Some(text.clone());
        }
        // For who gives it back, which the compatible doors' clients do.
        TurnEvent::ThinkingSigned { .. } | TurnEvent::ThinkingRedacted { .. } => {}
        TurnEvent::ToolCall { .. }
        | TurnEvent::ToolResult { .. }
        | TurnEvent::ApprovalRequired { .. } => told.tool = tool(event),
        TurnEvent::Canvas {
            name,
            title,
            media_type,
            path,
        } => {
            told.canvas = Some(v1::CanvasView {
                name: name.clone(),
                title: title.clone(),
                media_type: media_type.clone(),
                path: path.clone(),
            });
        }
        TurnEvent::HandedOver { from, to } => {
            told.from = Some(from.clone());
            told.agent = Some(to.clone());
        }
        TurnEvent::Completed(outcome) => {
            (told.session_id, told.turn_id) = ids();
            told.agent = Some(outcome.agent.clone());
            told.message = Some(said("assistant", &outcome.parts));
            told.model = Some(outcome.model.to_string());
            told.stop_reason = Some(stop(&outcome.stop).to_owned());
            told.usage = Some(usage(&outcome.usage, outcome.cost_micros, outcome.calls));
        }
        TurnEvent::Failed(failure) => {
            (told.session_id, told.turn_id) = ids();
            told.usage = Some(usage(&failure.usage, failure.cost_micros, failure.calls));
            told.error = Some(problem(of, failure));
        }
    }
    told
}

fn tool(event: &TurnEvent) -> Option<v1::ToolUse> {
    Some(match event {
        TurnEvent::ToolCall {
            id,
            name,
            arguments,
        } => v1::ToolUse {
            id: id.clone(),
            name: name.clone(),
            arguments: Some(arguments.to_string()),
            ..v1::ToolUse::default()
        },
        TurnEvent::ToolResult {
            id,
            name,
            parts,
            is_error,
        } => v1::ToolUse {
            id: id.clone(),
            name: name.clone(),
            content: Some(said("user", parts).content),
            is_error: Some(*is_error),
            ..v1::ToolUse::default()
        },
        TurnEvent::ApprovalRequired {
            approval,
            id,
            name,
            arguments,
        } => v1::ToolUse {
            id: id.clone(),
            name: name.clone(),
            arguments: Some(arguments.to_string()),
            approval: Some(approval.clone()),
            ..v1::ToolUse::default()
        },
        _ => return None,
    })
}

fn problem(of: &Followed, failure: &TurnFailure) -> v1::TurnProblem {
    let error = ApiError::from(failure.error());
    let retry_after_ms = failure.retry_after_ms;
    v1::TurnProblem {
        code: error.code.as_str().to_owned(),
        title: error.code.title().to_owned(),
        status: u32::from(error.http_status().as_u16()),
        detail: error.detail,
        trace_id: of.trace_id.clone().unwrap_or_default(),
        retry_after_ms: retry_after_ms.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX)),
    }
}

fn stop(reason: &StopReason) -> &str {
    match reason {
        StopReason::End => "end",
        StopReason::ToolCalls => "tool_calls",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::Refusal => "refusal",
        StopReason::Other(word) => word,
    }
}

/// The number behind which a stream of this turn goes on: of an event's id, or the number alone.
pub(crate) fn after(turn: TurnId, text: &str) -> Result<u64, ApiError> {
    let number = match text.split_once('.') {
        None => text.parse().ok(),
        Some((of, number)) => match TurnId::parse(of) {
            Ok(of) if of == turn => number.parse().ok(),
            _ => None,
        },
    };
    number.ok_or_else(|| {
        let what = "is no event of this turn";
        let detail = format!("`{}` {what}", caxton_core::error::shown(text));
        ApiError::new(Code::ParameterMalformed, detail).with_field("last-event-id", what)
    })
}
