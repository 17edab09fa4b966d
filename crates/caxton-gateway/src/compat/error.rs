//! Errors in the envelope that each provider's clients know, with our code and trace inside.

use axum::response::{IntoResponse, Response};
use caxton_api::ApiError;
use caxton_core::error::{Class, Code};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// Whose clients a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    OpenAi,
    Anthropic,
}

impl Family {
    /// Of a path; `None` for one of our own.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let below = |root: &str| {
            let rest = path.strip_prefix(root);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if below("/anthropic") {
            return Some(Self::Anthropic);
        }
        let ours = [
            "/openai",
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/models",
        ];
        ours.iter().any(|root| below(root)).then_some(Self::OpenAi)
    }

    /// An error as an answer.
    pub(crate) fn refuse(self, error: &ApiError, request_id: Option<&str>) -> Response {
        let status = status(error);
        let body = match self {
            Self::OpenAi => openai(error),
            Self::Anthropic => anthropic(error, request_id),
        };
        let json = HeaderValue::from_static("application/json");
        let content = [(header::CONTENT_TYPE, json)];
        let mut response = (status, content, body.to_string()).into_response();
        if let Some(after) = error.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// The status, where the providers' own differs from ours.
fn status(error: &ApiError) -> StatusCode {
    match error.code {
        Code::ContextTooLong => StatusCode::BAD_REQUEST,
        _ => error.http_status(),
    }
}

/// What happened; and what `model` is here, where it was nobody's name: clients bring the names of
/// providers' models along.
fn message(error: &ApiError, models: &str) -> String {
    match error.code {
        Code::AgentNotFound | Code::NotAnAssistant => format!(
            "{error}; `model` is the name of an assistant here, or `provider/model`; GET {models} lists the assistants"
        ),
        _ => error.to_string(),
    }
}

/// `{"error": {…}}`.
pub(crate) fn openai(error: &ApiError) -> Value {
    let kind = match error.code.class() {
        Class::Unauthenticated => "authentication_error",
        Class::Forbidden => "permission_error",
        Class::Limited => "rate_limit_error",
        Class::Internal | Class::Unavailable | Class::Timeout => "server_error",
        Class::Invalid | Class::NotFound | Class::Conflict | Class::TooLarge | Class::Unusable => {
            "invalid_request_error"
        }
    };
    json!({"error": {
        "message": message(error, "/openai/v1/models"),
        "type": kind,
        "param": error.fields.first().map(|(field, _)| field),
        "code": error.code.as_str(),
        "trace_id": error.trace_id,
    }})
}

/// `{"type": "error", …}`.
pub(crate) fn anthropic(error: &ApiError, request_id: Option<&str>) -> Value {
    let kind = match error.code.class() {
        Class::Unauthenticated => "authentication_error",
        Class::Forbidden => "permission_error",
        Class::NotFound => "not_found_error",
        Class::TooLarge if error.code != Code::ContextTooLong => "request_too_large",
        Class::Limited => "rate_limit_error",
        Class::Unavailable if !will_pass(error.code) => "api_error",
        Class::Unavailable => "overloaded_error",
        Class::Timeout => "timeout_error",
        Class::Internal => "api_error",
        Class::Invalid | Class::Conflict | Class::TooLarge | Class::Unusable => {
            "invalid_request_error"
        }
    };
    json!({
        "type": "error",
        "error": {
            "type": kind,
            "message": message(error, "/anthropic/v1/models"),
            "code": error.code.as_str(),
            "trace_id": error.trace_id,
        },
        "request_id": request_id,
    })
}

/// Whether to ask again later may help: clients take an overload for that.
fn will_pass(code: Code) -> bool {
    !matches!(
        code,
        Code::ModelRefusedCredential | Code::ModelAnswerBroken | Code::SecretsUnavailable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_the_envelope_of_their_clients() {
        let check = |path, expected| assert_eq!(Family::of(path), expected, "{path}");
        check("/openai/v1/chat/completions", Some(Family::OpenAi));
        check("/openai/nothing", Some(Family::OpenAi));
        check("/v1/models/a", Some(Family::OpenAi));
        check("/v1/responses", Some(Family::OpenAi));
        check("/anthropic/v1/messages", Some(Family::Anthropic));
        check("/v1/chat", None);
        check("/v1/modelsx", None);
        check("/openaix", None);
    }
}
