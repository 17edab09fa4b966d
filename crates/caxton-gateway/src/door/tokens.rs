//! Tokens of configured issuers: verified before anybody asks what they allow. A good one leaves its
//! [`VerifiedToken`](crate::jwt::VerifiedToken) on the request (as an `Arc`); a bad one goes no further.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use caxton_api::{ApiError, CallContext};
use caxton_core::Code;
use http::Extensions;

use super::refuse;
use crate::jwt::{self, JwtAuthenticator, Refused};

/// Verifies the token a request brings; a request with another credential passes.
pub(crate) async fn verify(
    State(authenticator): State<Option<JwtAuthenticator>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(authenticator) = authenticator else {
        return next.run(request).await;
    };
    let context = CallContext::read("", "", request.headers(), Extensions::new());
    let credential = context.ok().and_then(|it| it.credential);
    let Some(token) = credential.filter(|it| jwt::is_token(it.expose())) else {
        return next.run(request).await;
    };
    match authenticator.verify(token.expose()).await {
        Ok(verified) => {
            request.extensions_mut().insert(verified);
            next.run(request).await
        }
        Err(refused) => {
            tracing::debug!(%refused, "a token was refused");
            refuse(&request, error(refused))
        }
    }
}

fn error(refused: Refused) -> ApiError {
    match refused {
        // Not the caller's fault, and not for ever.
        Refused::KeysUnavailable => ApiError::new(Code::IssuerUnavailable, refused.to_string()),
        _ => ApiError::new(Code::Unauthenticated, refused.to_string()),
    }
}
