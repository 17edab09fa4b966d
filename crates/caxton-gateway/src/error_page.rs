//! The page of an error code: what `docs/errors/` holds, and what `/docs/errors/CX-####` answers, to
//! which a problem document's `type` points. Both are written from core's table, so that they cannot
//! say anything else than it does.

use std::fmt::Write;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use caxton_api::ApiError;
use caxton_core::error::{Class, Code, TABLE};
use http::{StatusCode, header};

use crate::door::fallback;

/// Where the pages are served. Nobody needs a key to read what went wrong.
pub(crate) fn router() -> Router {
    Router::new().route("/docs/errors/{code}", get(page))
}

async fn page(path: Option<Path<String>>, request: axum::extract::Request) -> Response {
    let asked = path.map(|Path(code)| code).unwrap_or_default();
    let asked = asked.trim_end_matches(".md");
    let found = TABLE
        .iter()
        .find(|(_, info)| info.code.eq_ignore_ascii_case(asked));
    match found {
        Some((code, _)) => {
            let markdown = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
            (markdown, render(*code)).into_response()
        }
        None => fallback::route_unknown(request).await,
    }
}

/// The page of one code, in Markdown.
pub fn render(code: Code) -> String {
    let mut page = format!("# {code} {}\n\n", code.title());
    let Some(info) = code.info() else {
        return page;
    };
    let error = ApiError::new(code, "");
    let status = status(code, &error);
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "**Cause**: {}.\n\n**Cure**: {}.\n\n",
        info.cause, info.cure
    );
    let _ = write!(
        page,
        "| door | answer |\n|---|---|\n\
         | HTTP | {} {} |\n| gRPC | `{}` |\n| exit code of `caxton` | {} |\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        grpc_name(&error),
        exit_code(code),
    );
    if let Some(note) = note(code) {
        let _ = write!(page, "\n{note}\n");
    }
    if let Some(example) = example(code) {
        let _ = write!(page, "\n## Example\n\n{example}\n");
    }
    page
}

/// The HTTP status: its class's, but for the one code whose class has no status that says it.
fn status(code: Code, error: &ApiError) -> StatusCode {
    match code {
        Code::MethodUnknown => StatusCode::METHOD_NOT_ALLOWED,
        _ => error.http_status(),
    }
}

/// gRPC's own name of its status code.
fn grpc_name(error: &ApiError) -> String {
    let mut name = String::new();
    for (at, c) in format!("{:?}", error.grpc_code()).char_indices() {
        if at > 0 && c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// What the CLI ends with: 1 failed, 2 usage, 3 not found, 4 refused, 5 unreachable.
fn exit_code(code: Code) -> u8 {
    match (code, code.class()) {
        (Code::Usage, _) => 2,
        (Code::ServerUnreachable, _) => 5,
        (_, Class::NotFound) => 3,
        (_, Class::Unauthenticated | Class::Forbidden | Class::TooLarge | Class::Limited) => 4,
        _ => 1,
    }
}

fn note(code: Code) -> Option<&'static str> {
    Some(match code.class() {
        Class::Limited | Class::Unavailable => {
            "The answer has `Retry-After` (gRPC: `RetryInfo`) where the server knows when to try again."
        }
        Class::Invalid if code == Code::MessageMalformed => {
            "`fields` in the answer names every faulty parameter, not only the first."
        }
        _ => return None,
    })
}

/// A short example, for the codes that people meet first.
fn example(code: Code) -> Option<String> {
    let (request, detail) = match code {
        Code::PerformativeUnknown => (
            "POST /v1/messages\n{\"performative\": \"reqest\", \"receiver\": [{\"name\": \"echo\"}]}",
            "performative: `reqest` is not a communicative act; did you mean `request`?",
        ),
        Code::FieldUnknown => (
            "POST /v1/messages\n{\"performative\": \"request\", \"reciever\": [{\"name\": \"echo\"}]}",
            "unknown field `reciever`; did you mean `receiver`?",
        ),
        Code::ReceiverUnknown => (
            "POST /v1/messages\n{\"performative\": \"request\", \"receiver\": [{\"name\": \"nobody\"}]}",
            "there is no agent nobody@default",
        ),
        Code::AgentNotFound => ("GET /v1/agents/nobody", "there is no agent nobody"),
        Code::Unauthenticated => ("GET /v1/agents", "the request has no key"),
        Code::RouteUnknown => ("GET /v2/agents", "nothing is at /v2/agents"),
        _ => return None,
    };
    let error = ApiError::new(code, detail);
    let mut problem = serde_json::to_value(error.problem()).ok()?;
    // The cure stands above; the ids are of one call only.
    problem.as_object_mut()?.shift_remove("cure");
    let problem = serde_json::to_string_pretty(&problem).ok()?;
    Some(format!(
        "```http\n{request}\n```\n\n```json\n{problem}\n```"
    ))
}
