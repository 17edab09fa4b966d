//! The key. It is looked at before a byte of the body is read, so that a stranger cannot make the
//! server read megabytes.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use caxton_api::{ApiError, CallContext};
use caxton_core::Code;
use caxton_core::grant::Principal;
use http::{Extensions, HeaderMap};

use super::refuse;
use crate::keys::Keys;

/// Who was found behind a request's key. Only [`authenticate`] puts it on a request; an operation
/// that does not find it refuses.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Principal);

/// Lets through only requests with a known key.
pub(crate) async fn authenticate(
    State(keys): State<Keys>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&keys, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => refuse(&request, error),
    }
}

/// The caller behind a request's headers.
pub(crate) fn caller(keys: &Keys, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let context = CallContext::read("", "", headers, Extensions::new())?;
    let Some(credential) = context.credential else {
        return Err(ApiError::new(
            Code::Unauthenticated,
            "the request has no key",
        ));
    };
    let found = keys.principal(credential.expose());
    found
        .map(Caller)
        .ok_or_else(|| ApiError::new(Code::Unauthenticated, "the key is not known"))
}
