//! Tokens of configured issuers: verified before anybody asks what they allow. A bad one goes no further.

use std::sync::Arc;

use caxton_api::ApiError;
use caxton_api::context::{self, API_KEY};
use caxton_core::Code;
use http::{HeaderMap, header};

use crate::jwt::{self, JwtAuthenticator, Refused, VerifiedToken};

/// Verifies the token a request brings, if it brings one and there is somebody to verify it.
pub(crate) async fn verify(
    authenticator: Option<&JwtAuthenticator>,
    headers: &HeaderMap,
) -> Result<Option<Arc<VerifiedToken>>, ApiError> {
    // Most requests bring a key, and are not looked at further.
    let Some(authenticator) = authenticator.filter(|_| may_have_token(headers)) else {
        return Ok(None);
    };
    let credential = context::credential(headers).ok().flatten();
    let Some(token) = credential.filter(|it| jwt::is_token(it)) else {
        return Ok(None);
    };
    match Box::pin(authenticator.verify(token)).await {
        Ok(verified) => Ok(Some(verified)),
        Err(refused) => {
            tracing::debug!(%refused, "a token was refused");
            Err(error(refused))
        }
    }
}

/// Whether a header for credentials has the dots of a token.
fn may_have_token(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::AUTHORIZATION).iter();
    let mut given = given.chain(headers.get_all(&API_KEY));
    given.any(|it| it.as_bytes().iter().filter(|byte| **byte == b'.').count() == 2)
}

fn error(refused: Refused) -> ApiError {
    match refused {
        // Not the caller's fault, and not for ever.
        Refused::KeysUnavailable => ApiError::new(Code::IssuerUnavailable, refused.to_string()),
        _ => ApiError::new(Code::Unauthenticated, refused.to_string()),
    }
}
