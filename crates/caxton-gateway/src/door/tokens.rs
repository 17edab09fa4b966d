//! Tokens of configured issuers: verified before anybody asks what they allow. A good one leaves its
//! [`VerifiedToken`](crate::jwt::VerifiedToken) on the request (as an `Arc`); a bad one goes no further.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use caxton_api::context::API_KEY;
use caxton_api::{ApiError, CallContext};
use caxton_core::Code;
use http::{Extensions, HeaderMap, header};

use super::refuse;
use crate::jwt::{self, JwtAuthenticator, Refused};

/// Verifies the token a request brings; a request with another credential passes.
pub(crate) async fn verify(
    State(authenticator): State<Option<JwtAuthenticator>>,
    mut request: Request,
    next: Next,
) -> Response {
    // Most requests bring a key, and are not looked at further.
    let Some(authenticator) = authenticator.filter(|_| may_have_token(request.headers())) else {
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

/// Whether a header for credentials has the dots of a token.
fn may_have_token(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::AUTHORIZATION).iter();
    let mut given = given.chain(headers.get_all(API_KEY));
    given.any(|it| it.as_bytes().iter().filter(|byte| **byte == b'.').count() == 2)
}

fn error(refused: Refused) -> ApiError {
    match refused {
        // Not the caller's fault, and not for ever.
        Refused::KeysUnavailable => ApiError::new(Code::IssuerUnavailable, refused.to_string()),
        _ => ApiError::new(Code::Unauthenticated, refused.to_string()),
    }
}
