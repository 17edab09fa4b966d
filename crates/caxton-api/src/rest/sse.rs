//! Server streams as server-sent events (WHATWG HTML, 9.2).
//!
//! Each item is one event: `id:` where the item has one, so that a client can resume with
//! `Last-Event-ID`, `event:` as the contract names it, `data:` the item as JSON on one line. An
//! error is a last event, `error`, with a problem document, since the status has long been sent.

use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use super::Options;
use crate::{ApiError, ApiStream, CallContext};

/// The `event:` of an error that ends a stream.
pub const ERROR_EVENT: &str = "error";

/// Answers with a stream of events.
pub(crate) fn answer<T: Serialize + Send + 'static>(
    context: &CallContext,
    stream: ApiStream<T>,
    name: fn(&T) -> &str,
    id: fn(&T) -> Option<&str>,
    options: &Options,
) -> Response {
    let context = context.clone();
    // `None` once an error was sent: it is the last event whatever the source does.
    let events = futures::stream::unfold(Some(stream), move |stream| {
        let context = context.clone();
        async move {
            let mut stream = stream?;
            let written = stream
                .next()
                .await?
                .and_then(|item| event(name(&item), id(&item), &item));
            Some(match written {
                Ok(event) => (Ok::<_, Infallible>(event), Some(stream)),
                Err(error) => (Ok(error_event(&context.complete(error))), None),
            })
        }
    });
    let heartbeat = KeepAlive::new()
        .interval(options.heartbeat)
        .text("heartbeat");
    // Proxies that buffer answers would hold events back.
    let unbuffered = (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    ([unbuffered], Sse::new(events).keep_alive(heartbeat)).into_response()
}

fn event<T: Serialize>(name: &str, id: Option<&str>, item: &T) -> Result<Event, ApiError> {
    let data = serde_json::to_string(item).map_err(|error| {
        ApiError::new(
            caxton_core::Code::Internal,
            format!("the event is no JSON: {error}"),
        )
    })?;
    let event = Event::default().event(name).data(data);
    // A line end or NUL cannot stand in an id; such an event is sent, but not to resume from.
    Ok(match id.filter(|id| !id.contains(['\r', '\n', '\0'])) {
        Some(id) => event.id(id),
        None => event,
    })
}

fn error_event(error: &ApiError) -> Event {
    let problem = serde_json::to_string(&error.problem()).unwrap_or_default();
    Event::default().event(ERROR_EVENT).data(problem)
}
