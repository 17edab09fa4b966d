//! Jobs and invocations on the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caxton_api::error::{REPLY_BYTES_MAX, ReplyProblem};
use caxton_api::{ApiError, v1};
use caxton_core::error::Error;
use caxton_core::{Code, Message};
use caxton_engine::jobs::{Event, Invoked, Job, JobRecord};

use super::message::message;
use super::time::wire;

/// A job without its answer.
pub(crate) fn record(it: &JobRecord) -> v1::Job {
    let error = it.error.as_ref().map(|error| v1::JobError {
        code: error.code.clone(),
        title: Code::parse(&error.code).map_or("", Code::title).to_owned(),
        detail: error.detail.clone(),
    });
    v1::Job {
        id: it.id.to_string(),
        agent: it.agent.to_string(),
        state: it.state.as_str().to_owned(),
        create_time: Some(wire(it.created)),
        start_time: it.started.map(wire),
        end_time: it.ended.map(wire),
        expire_time: Some(wire(it.deadline)),
        attempts: it.attempts,
        attempts_max: it.attempts_max,
        conversation_id: it.conversation.as_ref().map(ToString::to_string),
        creator: it.by.clone(),
        reply: None,
        error,
    }
}

/// A job with its answer.
pub(crate) fn job(it: &Job) -> v1::Job {
    v1::Job {
        reply: it.reply.as_deref().map(message),
        ..record(&it.record)
    }
}

/// An invocation's answer; one that says no is an error with the answer in it.
pub(crate) fn invoked(it: &Invoked) -> Result<v1::InvokeAgentResponse, ApiError> {
    if let Some(refused) = &it.refused {
        return Err(said_no(refused.clone(), &it.reply));
    }
    Ok(v1::InvokeAgentResponse {
        id: it.id.to_string(),
        reply: Some(message(&it.reply)),
        attempts: it.attempts,
    })
}

fn said_no(error: Error, reply: &Message) -> ApiError {
    let acl = &reply.acl;
    let text = acl.text();
    let shown = |bytes: usize| text.map(|text| text.floor_char_boundary(bytes));
    let end = shown(REPLY_BYTES_MAX).unwrap_or(REPLY_BYTES_MAX * 3 / 4);
    let end = end.min(acl.content.len());
    let bytes = acl.content.slice(..end);
    let content_base64 = text.is_none().then(|| STANDARD.encode(&bytes));
    let mut problem = ApiError::from(error);
    problem.reply = Some(Box::new(ReplyProblem {
        id: reply.id.to_string(),
        performative: acl.performative.as_str().to_owned(),
        content: text.and_then(|text| Some(text.get(..end)?.to_owned())),
        content_base64,
        encoding: acl.encoding.clone(),
        truncated: end < acl.content.len(),
    }));
    problem
}

/// What happened to an invocation.
pub(crate) fn invocation_event(it: &Event) -> v1::InvocationEvent {
    v1::InvocationEvent {
        id: it.index.to_string(),
        state: it.state.as_str().to_owned(),
        message: it.said.as_deref().map(message),
        response: None,
        time: Some(wire(it.time)),
    }
}
