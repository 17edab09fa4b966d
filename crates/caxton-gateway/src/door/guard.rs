//! What every request to the API passes before its operation sees it, in this order: who asks (a token,
//! a key, a certificate), the note in the log of requests, and the limits. One layer does it all, because
//! each layer of a router costs every request copies of all that lies within it.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use caxton_api::ApiError;
use caxton_engine::limits::RateState;
use http::StatusCode;

use super::auth::{Authenticator, Caller};
use super::failures::{Attempt, Failures};
use super::layer::{Pass, Within};
use super::log::Noted;
use super::{Shell, fallback, is_grpc, limits, log, tokens};
use crate::api::Api;
use crate::jwt::JwtAuthenticator;
use crate::ws;

/// What the layer needs. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Guard(Arc<Parts>);

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) api: Api,
    pub(crate) authenticator: Authenticator,
    pub(crate) jwt: Option<JwtAuthenticator>,
    pub(crate) failures: Failures,
}

impl Guard {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    async fn caller(&self, request: &mut Request) -> Result<Caller, ApiError> {
        let parts = &self.0;
        if let Some(token) = tokens::verify(parts.jwt.as_ref(), request.headers()).await? {
            request.extensions_mut().insert(token);
        }
        let (headers, extensions) = (request.headers(), request.extensions());
        parts.authenticator.caller(headers, extensions).await
    }

    /// Answers for somebody who is known.
    async fn answer(&self, caller: Caller, request: Request, within: Within) -> Response {
        let api = &self.0.api;
        let is_grpc = is_grpc(request.headers());
        let operation = limits::operation(&request);
        let noted = Noted::begin(api, &caller, operation, &request);
        let (state, refusal) = match limits::take(api, &caller, operation).await {
            Ok(state) => {
                let refusal = state.as_ref().and_then(RateState::refusal);
                (state, refusal.map(ApiError::from))
            }
            Err(error) => (None, Some(error)),
        };
        let mut response = match refusal {
            Some(error) => super::refuse(&request, error),
            None if is_grpc && operation == limits::OTHER => fallback::rpc_unknown(),
            None => within.answer(request).await,
        };
        // A refusal says it as well: that is when a client needs it.
        let is_rates = state.as_ref().is_some_and(|it| !it.decision.allowed);
        let is_limited = log::status(&response) == StatusCode::TOO_MANY_REQUESTS.as_u16();
        let quota = match is_limited && !is_rates {
            true => Box::pin(limits::quota(api, &caller)).await,
            false => None,
        };
        if let Some(state) = quota.or(state)
            && (!is_grpc || limits::is_tight(&state))
        {
            limits::tell(response.headers_mut(), &state);
        }
        noted.end(api, &caller.tenant, &response);
        response
    }
}

impl Pass for Guard {
    /// Lets through only requests with a credential that is good, and what the limits leave of them.
    async fn pass(self, mut request: Request, within: Within) -> Response {
        ws::lift_credential(request.headers_mut());
        match self.caller(&mut request).await {
            Ok(caller) => {
                request.extensions_mut().insert(caller.clone());
                self.answer(caller, request, within).await
            }
            Err(error) => {
                let shell = Shell::of(&request);
                let (attempt, refused) = (Attempt::of(&request), shell.refuse(error));
                self.0.failures.judge(&attempt, &shell, refused)
            }
        }
    }
}
