//! `POST /v1/chat` and the streams of turns on REST, written by hand: one route answers with JSON or
//! with events, a message is a text or parts, and events are written many at a time.

mod encode;

use axum::extract::RawPathParams;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, RequestExt};
use bytes::Bytes;
use caxton_api::{ApiError, CallContext, json, v1};
use caxton_core::error::Code;
use caxton_core::session::TurnId;
use caxton_engine::OpCtx;
use caxton_engine::turn::Follow;
use http::Method;
use serde_json::Value;

use crate::api::Api;
use crate::compat::blocks;
use crate::convert::turn::{Followed, after, ask};
use crate::turn::{Told, Wanted, accepts_events, answer, begin, read};
use encode::Events;

const FOLLOW: &str = "caxton.v1.Sessions/FollowTurn";

/// What the caller wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hear {
    /// As the body or `Accept` says.
    Either,
    Events,
}

/// Takes chat and the streams of turns; every other request goes on.
pub(crate) async fn take_chat(State(api): State<Api>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(|it| it.as_str().to_owned()).unwrap_or_default();
    let (method, hear) = match (request.method(), route.as_str()) {
        (&Method::POST, "/v1/chat") => ("caxton.v1.Sessions/CompleteChat", Some(Hear::Either)),
        (&Method::POST, "/v1/chat/stream") => ("caxton.v1.Sessions/Chat", Some(Hear::Events)),
        (&Method::GET, "/v1/turns/{turn}/events") => (FOLLOW, None),
        _ => return next.run(request).await,
    };
    let (uri, headers) = (request.uri().clone(), request.headers());
    let extensions = request.extensions().clone();
    let call = match CallContext::read(method, Some(&uri), headers, extensions) {
        Ok(call) => call,
        Err(error) => return error.into_response(),
    };
    let answered = match hear {
        Some(hear) => chat(&api, &call, hear, request).await,
        None => follow(&api, &call, request).await,
    };
    answered.unwrap_or_else(|error| call.complete(error).into_response())
}

async fn chat(
    api: &Api,
    call: &CallContext,
    hear: Hear,
    request: Request,
) -> Result<Response, ApiError> {
    let ctx = api.open(call).await?;
    no_query(&request, &[])?;
    let accepts = accepts_events(request.headers());
    // Read in any case: a connection is not used again behind a body that was left in it.
    let bytes = read(request, api.options().rest.body_bytes_max).await?;
    if let Some(id) = &call.last_event_id {
        let (turn, number) = blocks::place(id).ok_or_else(|| no_event(id))?;
        let follow = CallContext {
            method: FOLLOW,
            ..call.clone()
        };
        let ctx = api.open(&follow).await?;
        return events(api, call, &ctx, turn, number).await;
    }
    let request = decode(&bytes)?;
    let stream = hear == Hear::Events || request.stream || accepts;
    let wanted = Wanted::Assistant(Box::new(ask(request)?));
    if !stream {
        let follow = begin(api, &ctx, call, bytes.to_vec(), wanted).await?;
        let answer = crate::api::chat_answer(api, &ctx, call, follow).await?;
        return Ok(Json(answer).into_response());
    }
    let place = api.streams().place()?;
    let follow = begin(api, &ctx, call, bytes.to_vec(), wanted).await?;
    let encoder = Events::new(followed(call, &follow));
    Ok(answer(api, call, &ctx, place, follow.into(), encoder))
}

async fn follow(api: &Api, call: &CallContext, mut request: Request) -> Result<Response, ApiError> {
    let ctx = api.open(call).await?;
    no_query(&request, &["after"])?;
    let path = request.extract_parts::<RawPathParams>().await.ok();
    let turn = path.as_ref().and_then(|path| path.iter().next());
    let turn = TurnId::parse(turn.map(|(_, id)| id).unwrap_or_default())?;
    let query = request.uri().query().unwrap_or_default();
    let query = query.strip_prefix("after=").filter(|it| !it.is_empty());
    let given = call.last_event_id.as_deref().or(query);
    let number = given.map(|text| after(turn, text)).transpose()?;
    events(api, call, &ctx, turn, number.unwrap_or(0)).await
}

/// A turn's events behind a number.
async fn events(
    api: &Api,
    call: &CallContext,
    ctx: &OpCtx,
    turn: TurnId,
    number: u64,
) -> Result<Response, ApiError> {
    let place = api.streams().place()?;
    let found = api.app().turn_follow(ctx, turn, number);
    let follow = api.within(ctx, found).await?;
    let encoder = Events::new(followed(call, &follow));
    Ok(answer(api, call, ctx, place, Told::from(follow), encoder))
}

/// The turn as its events name it.
pub(crate) fn followed(call: &CallContext, follow: &Follow) -> Followed {
    Followed {
        turn: follow.turn().id(),
        session: follow.turn().session().clone(),
        trace_id: call.trace_id(),
    }
}

/// A request whose `message` is a text or a list of parts.
fn decode(bytes: &Bytes) -> Result<v1::ChatRequest, ApiError> {
    let refused = match json::read::<v1::ChatRequest>(bytes) {
        Ok(request) => return Ok(request),
        Err(refused) => refused,
    };
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) else {
        return Err(refused);
    };
    if !fields.get("message").is_some_and(Value::is_array) || fields.contains_key("parts") {
        return Err(refused);
    }
    let parts = fields.remove("message").unwrap_or_default();
    fields.insert("parts".to_owned(), parts);
    json::read(Value::Object(fields).to_string().as_bytes())
}

/// Refuses a query that is not of these names.
fn no_query(request: &Request, names: &[&str]) -> Result<(), ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let parts = query.split('&').filter(|it| !it.is_empty());
    for part in parts {
        let name = part.split('=').next().unwrap_or_default();
        if !names.contains(&name) {
            let name = caxton_core::error::shown(name);
            let detail = format!("unknown query parameter `{name}`");
            let error = ApiError::new(Code::FieldUnknown, detail);
            return Err(error.with_field(name, "unknown query parameter"));
        }
    }
    Ok(())
}

pub(crate) fn no_event(id: &str) -> ApiError {
    let what = "is no event of a turn";
    let detail = format!("`{}` {what}", caxton_core::error::shown(id));
    ApiError::new(Code::ParameterMalformed, detail).with_field("last-event-id", what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &'static str) -> Result<v1::ChatRequest, ApiError> {
        decode(&Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_message_is_a_text_or_parts() {
        let text = read(r#"{"agent": "a", "message": "hi"}"#).unwrap();
        assert_eq!((text.message.as_str(), text.parts.len()), ("hi", 0));
        let parts = read(
            r#"{"agent": "a", "message": [{"type": "text", "text": "hi"},
                {"type": "image", "url": "data:image/png;base64,aGk="}]}"#,
        );
        let asked = ask(parts.unwrap()).unwrap();
        assert_eq!(asked.say.parts.len(), 2);
        let refused = |text, what: &str| {
            let error = read(text).and_then(ask).unwrap_err();
            assert!(error.detail.contains(what), "{text}: {error}");
        };
        refused(r#"{"agent": "a", "message": 1}"#, "expected a string");
        refused(r#"{"agent": "a", "message": [{"type": "sound"}]}"#, "type");
        refused(r#"{"agent": "a", "message": []}"#, "missing");
        refused(r#"{"agent": "a"}"#, "missing");
        refused(r#"{"message": "hi"}"#, "agent");
        refused(r#"{"agent": "a", "message": "hi", "mesage": 1}"#, "mesage");
        refused(
            r#"{"agent": "a", "message": [{"type": "text", "txt": 1}]}"#,
            "txt",
        );
        refused(
            r#"{"agent": "a", "message": "hi", "thinking": "hard"}"#,
            "thinking",
        );
    }
}
