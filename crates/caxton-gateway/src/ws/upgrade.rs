//! From a request to a socket.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Request, State, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::{RequestExt, extract};
use caxton_api::{ApiError, CallContext};
use caxton_core::Code;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::session::Session;
use super::{CREDENTIAL_PROTOCOL, FRAME_BYTES_MAX, PROTOCOL};
use crate::api::Api;
use crate::door::refuse;

/// Upgrades a request that was authenticated.
pub(crate) async fn upgrade(State(api): State<Api>, mut request: Request) -> Response {
    let context = CallContext::read(
        "",
        Some(request.uri()),
        request.headers(),
        request.extensions().clone(),
    );
    let upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection> =
        request.extract_parts().await;
    let (context, upgrade) = match (context, upgrade) {
        (Ok(context), Ok(upgrade)) => (context, upgrade),
        (Err(error), _) => return refuse(&request, error),
        (_, Err(rejection)) => return not_an_upgrade(&request, &rejection),
    };
    let place = match Arc::clone(api.sockets()).try_acquire_owned() {
        Ok(place) => place,
        Err(_) => {
            let detail = "as many sockets as the server allows are open";
            return refuse(&request, ApiError::new(Code::StreamsTooMany, detail));
        }
    };
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        // Events are passed on as they come: one at a time waits to be written.
        .write_buffer_size(0)
        .on_upgrade(async move |socket| {
            let tasks = api.tasks().clone();
            tasks.spawn("websocket", async move {
                Box::pin(Session::new(api, context).run(socket)).await;
                drop(place);
            });
        })
}

fn not_an_upgrade(request: &extract::Request, rejection: &WebSocketUpgradeRejection) -> Response {
    let error = ApiError::new(
        Code::ParameterMalformed,
        format!("this is a WebSocket: {}", rejection.body_text()),
    );
    let mut response = refuse(request, error.with_status(StatusCode::UPGRADE_REQUIRED));
    let upgrade = HeaderValue::from_static("websocket");
    response.headers_mut().insert(header::UPGRADE, upgrade);
    response.into_response()
}

/// Takes the credential out of the protocols a browser asks for, and puts it where credentials stand.
pub(crate) fn lift_credential(headers: &mut HeaderMap) {
    if let Some(credential) = credential(headers)
        && !headers.contains_key(header::AUTHORIZATION)
    {
        headers.insert(header::AUTHORIZATION, credential);
    }
}

fn credential(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let named = asked
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .find_map(|it| it.trim().strip_prefix(CREDENTIAL_PROTOCOL))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {named}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
