//! What an answer means to whoever called from outside, and what an outcome says of the agent.

use crate::breakers::TELLING_WAIT;
use caxton_core::breaker::Outcome;
use caxton_core::error::{Code, Error};
use caxton_core::{AgentName, Message, Performative};
use serde::Deserialize;
use std::time::Duration;

/// Characters of an answer's content that an error repeats.
const TEXT_CHARS_MAX: usize = 500;

/// The error that an answer is, if it says no.
pub(crate) fn refused(reply: &Message) -> Option<Error> {
    let by_platform = is_platforms(reply);
    let code = match reply.acl.performative {
        Performative::NotUnderstood => Code::NotUnderstood,
        Performative::Refuse => Code::AgentRefused,
        Performative::Failure if by_platform => {
            let told = serde_json::from_slice::<Told>(&reply.acl.content).ok();
            let known = told.and_then(|it| Some((Code::parse(&it.code)?, it.reason)));
            let (code, reason) = known.unwrap_or((Code::AgentFailed, text(reply)));
            return Some(Error::new(code, reason));
        }
        Performative::Failure => Code::AgentFailed,
        _ => return None,
    };
    let by = reply.sender().map_or(String::new(), ToString::to_string);
    let detail = match text(reply) {
        text if text.is_empty() => format!("{by} answered `{}`", reply.acl.performative),
        text => format!("{by} answered `{}`: {text}", reply.acl.performative),
    };
    Some(Error::new(code, detail))
}

/// A `failure` of the platform's, as the router writes it.
#[derive(Deserialize)]
struct Told {
    code: String,
    reason: String,
}

fn is_platforms(reply: &Message) -> bool {
    reply
        .sender()
        .is_some_and(|sender| sender.name == AgentName::ams())
}

fn text(reply: &Message) -> String {
    let text = reply.acl.text().unwrap_or("content that is no text");
    let mut shown: String = text.chars().take(TEXT_CHARS_MAX).collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// What an outcome says of the agent's health. An agent that answers is well, whatever it says; one
/// whose handler breaks, that takes no messages or never answers, is not. What the question itself
/// is to blame for says nothing.
pub(crate) fn health(outcome: Result<&Message, &Error>, waited_at_most: Duration) -> Outcome {
    match outcome {
        Ok(reply) if reply.acl.performative == Performative::Failure && is_platforms(reply) => {
            Outcome::FAILED
        }
        Ok(_) => Outcome::Succeeded,
        Err(error) => match error.code {
            Code::CallTimeout if waited_at_most < TELLING_WAIT => Outcome::Untold,
            Code::CallTimeout | Code::MailboxFull => Outcome::FAILED,
            _ => Outcome::Untold,
        },
    }
}

/// Whether a refusal may pass by itself, so that the same message can be tried again.
pub(crate) fn may_pass(error: &Error) -> bool {
    matches!(
        error.code,
        Code::MailboxFull | Code::StorageBusy | Code::CallersTooMany
    )
}
