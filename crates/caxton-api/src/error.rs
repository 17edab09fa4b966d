//! One error for all doors, and its two faces: a problem document (RFC 9457) on REST and a
//! `google.rpc.Status` with details on gRPC.
//!
//! The codes and what they mean are `caxton-core`'s; here each class gets its HTTP and gRPC status,
//! once. A door that is not generated (multipart, WebSocket) uses the same two conversions.

use std::collections::HashMap;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use caxton_core::error::{Class, Code};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use tonic_types::{ErrorDetails, StatusExt};

/// The media type of [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Bytes of an agent's answer that an error repeats: on gRPC an error travels in headers, and a client
/// takes 8 KiB of them.
pub const REPLY_BYTES_MAX: usize = 2048;

/// `ErrorInfo.domain` of every gRPC error.
pub const DOMAIN: &str = "caxton";

/// A refusal or failure on its way to a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {}: {detail}", code.title())]
pub struct ApiError {
    /// What went wrong; gives title, cause, cure and both statuses.
    pub code: Code,
    /// The HTTP status, where the code's class does not say it exactly.
    pub status: Option<StatusCode>,
    /// What happened this time: lower case, no full stop, no secrets.
    pub detail: String,
    /// The path that was asked for. The doors fill it in.
    pub instance: Option<Box<str>>,
    /// The trace of the call, 32 hex digits. The REST door fills it in from `traceparent` where the
    /// server has not.
    pub trace_id: Option<Box<str>>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
    /// The faulty fields and what is wrong with each.
    pub fields: Vec<(String, String)>,
    /// The agent's answer, where it is what says no.
    pub reply: Option<Box<ReplyProblem>>,
    /// The turn that failed, where one had begun: its session and its own id.
    pub turn: Option<Box<(String, String)>>,
}

/// A problem document (RFC 9457), as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A reference to the code's page.
    pub r#type: String,
    /// The code's title, the same each time.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The path that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `CX-####`.
    pub code: String,
    /// The trace of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// The faulty fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// The agent's answer, where it is what says no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Box<ReplyProblem>>,
    /// The session of the turn that failed, where one had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// That turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
}

/// An agent's answer that says no, as far as an error repeats it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplyProblem {
    /// The answer's message id.
    pub id: String,
    /// `refuse`, `failure` or `not-understood`.
    pub performative: String,
    /// What it says, [`REPLY_BYTES_MAX`] bytes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The same where it is no text, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_base64: Option<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Whether it says more than stands here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// One faulty field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldProblem {
    /// Its name, as in JSON.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

impl ApiError {
    /// An error of this code; `detail` says what happened this time.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            status: None,
            detail: detail.into(),
            instance: None,
            trace_id: None,
            retry_after: None,
            fields: Vec::new(),
            reply: None,
            turn: None,
        }
    }

    /// The same with an HTTP status other than its class's.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The same with one more faulty field.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        self.fields.push((field.into(), detail.into()));
        self
    }

    /// The HTTP status.
    pub fn http_status(&self) -> StatusCode {
        self.status.unwrap_or(match self.code.class() {
            Class::Invalid => StatusCode::BAD_REQUEST,
            Class::Unauthenticated => StatusCode::UNAUTHORIZED,
            Class::Forbidden => StatusCode::FORBIDDEN,
            Class::NotFound => StatusCode::NOT_FOUND,
            Class::Conflict => StatusCode::CONFLICT,
            Class::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Class::Unusable => StatusCode::UNPROCESSABLE_ENTITY,
            Class::Limited => StatusCode::TOO_MANY_REQUESTS,
            Class::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Class::Timeout => StatusCode::GATEWAY_TIMEOUT,
        })
    }

    /// The gRPC status code.
    pub fn grpc_code(&self) -> tonic::Code {
        match self.code.class() {
            Class::Invalid | Class::Unusable => tonic::Code::InvalidArgument,
            Class::Unauthenticated => tonic::Code::Unauthenticated,
            Class::Forbidden => tonic::Code::PermissionDenied,
            Class::NotFound => tonic::Code::NotFound,
            Class::Conflict => tonic::Code::FailedPrecondition,
            Class::TooLarge | Class::Limited => tonic::Code::ResourceExhausted,
            Class::Internal => tonic::Code::Internal,
            Class::Unavailable => tonic::Code::Unavailable,
            Class::Timeout => tonic::Code::DeadlineExceeded,
        }
    }

    /// The problem document.
    pub fn problem(&self) -> Problem {
        let fields = self.fields.iter().map(|(field, detail)| FieldProblem {
            field: field.clone(),
            detail: detail.clone(),
        });
        Problem {
            r#type: format!("/docs/errors/{}", self.code),
            title: self.code.title().to_owned(),
            status: self.http_status().as_u16(),
            detail: self.detail.clone(),
            instance: self.instance.as_deref().map(str::to_owned),
            code: self.code.as_str().to_owned(),
            trace_id: self.trace_id.as_deref().map(str::to_owned),
            cure: self.code.info().map(|info| info.cure.to_owned()),
            fields: fields.collect(),
            reply: self.reply.clone(),
            session_id: self.turn.as_ref().map(|it| it.0.clone()),
            turn_id: self.turn.as_ref().map(|it| it.1.clone()),
        }
    }

    /// `Retry-After` counts whole seconds; rounded up, so that nobody comes back too early.
    fn retry_after_seconds(&self) -> Option<u64> {
        let after = self.retry_after?;
        Some(after.as_secs() + u64::from(after.subsec_nanos() > 0))
    }
}

impl From<caxton_core::Error> for ApiError {
    fn from(error: caxton_core::Error) -> Self {
        Self {
            retry_after: error.retry_after,
            fields: error.fields,
            ..Self::new(error.code, error.detail)
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        // A problem is made of strings and numbers: serde_json writes it always.
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut response = (self.http_status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.http_status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<ApiError> for tonic::Status {
    fn from(error: ApiError) -> Self {
        let mut metadata = HashMap::from([("title".to_owned(), error.code.title().to_owned())]);
        if let Some(trace_id) = &error.trace_id {
            metadata.insert("traceId".to_owned(), trace_id.to_string());
        }
        if let Some(info) = error.code.info() {
            metadata.insert("cure".to_owned(), info.cure.to_owned());
        }
        if let Some(reply) = error.reply.clone() {
            metadata.insert("replyId".to_owned(), reply.id);
            metadata.insert("replyPerformative".to_owned(), reply.performative);
            let rest = [
                ("replyContent", reply.content),
                ("replyContentBase64", reply.content_base64),
                ("replyEncoding", reply.encoding),
            ];
            let rest = rest
                .into_iter()
                .filter_map(|(name, it)| Some((name.to_owned(), it?)));
            metadata.extend(rest);
        }
        if let Some((session, turn)) = error.turn.as_deref().cloned() {
            metadata.insert("sessionId".to_owned(), session);
            metadata.insert("turnId".to_owned(), turn);
        }
        let mut details = ErrorDetails::with_error_info(error.code.as_str(), DOMAIN, metadata);
        for (field, detail) in &error.fields {
            details.add_bad_request_violation(field, detail);
        }
        if error.retry_after.is_some() {
            details.set_retry_info(error.retry_after);
        }
        Self::with_error_details(error.grpc_code(), error.detail, details)
    }
}

#[cfg(test)]
mod tests;
