//! Agents as tools: a question to one is a conversation of its own, and its answer the tool's result.
//! That an agent refuses, fails or is late is a result too, which the model may make the best of.

use crate::bounds::RESULT_BYTES_MAX;
use crate::context::cut;
use crate::toolbox::Question;
use crate::turn::Answered;
use crate::world::World;
use caxton_core::error::{Code, Error};
use caxton_core::model::Part;
use caxton_core::{Acl, AgentId, AgentName, Message, Performative, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// Asks. An error ends the turn: it was cancelled, or the server stops.
pub(crate) async fn ask_agent<W: World>(
    world: &mut W,
    agent: &AgentName,
    arguments: &Value,
    deadline: Timestamp,
) -> Result<Answered, Error> {
    let question = match Question::of(arguments) {
        Ok(question) => question,
        Err(reason) => return Ok(Answered::error(reason)),
    };
    let now = world.now();
    let timeout = deadline
        .since(now)
        .min(world.manifest().limits.wait_timeout());
    if timeout < Duration::from_millis(1) {
        return Ok(Answered::error(
            "there is no time left to wait for an answer",
        ));
    }
    let protocol = match question.performative {
        Performative::Request => "fipa-request",
        _ => "fipa-query",
    };
    let receiver = AgentId::new(world.agent().tenant.clone(), agent.clone());
    let mut acl = Acl::new(question.performative)
        .to(receiver)
        .content(question.message);
    acl.protocol = Some(protocol.to_owned());
    acl.reply_by = Some(now.plus(timeout));
    match world.call(acl, timeout).await {
        Ok(answer) => Ok(answered(&answer)),
        Err(error) if matches!(error.code, Code::TurnCancelled | Code::Draining) => Err(error),
        Err(error) => Ok(Answered::error(format!("{} {}", error.code, error.detail))),
    }
}

fn answered(answer: &Message) -> Answered {
    let act = answer.acl.performative;
    let said = match answer.acl.text() {
        Some(text) => cut(text, RESULT_BYTES_MAX),
        None => format!("[{} bytes that are no text]", answer.acl.content.len()),
    };
    let is_error = matches!(
        act,
        Performative::Failure | Performative::Refuse | Performative::NotUnderstood
    );
    let text = match act {
        Performative::Inform => said,
        act => format!("{act}: {said}"),
    };
    Answered {
        parts: vec![Part::text(text)],
        is_error,
    }
}
