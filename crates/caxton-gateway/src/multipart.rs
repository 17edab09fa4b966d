//! Agents as multipart: the parts `manifest`, `component` and `start` in place of one JSON object,
//! so that a component need not be base64. It answers as its JSON twin does.

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, RequestExt};
use bytes::Bytes;
use caxton_api::management::ManagementApi;
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::Code;
use caxton_core::error::shown;
use http::{Method, StatusCode, header};

use crate::api::Api;

/// Most parts of one request: more than there are names for is a mistake.
const PARTS_MAX: usize = 8;

/// What the parts say.
#[derive(Debug, Default)]
struct Upload {
    manifest: Option<String>,
    component: Option<Bytes>,
    start: Option<bool>,
}

/// Takes a multipart `POST /v1/agents` or `PUT /v1/agents/{agent}`; every other request goes on.
pub(crate) async fn take_upload(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_upload = matches!(*request.method(), Method::POST | Method::PUT)
        && request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|it| {
                it.as_bytes()
                    .to_ascii_lowercase()
                    .starts_with(b"multipart/")
            });
    if !is_upload {
        return next.run(request).await;
    }
    let route = request.extensions().get::<axum::extract::MatchedPath>();
    let route = route.map(|it| it.as_str().to_owned()).unwrap_or_default();
    let method = match (request.method(), route.as_str()) {
        (&Method::POST, "/v1/agents") => "caxton.v1.CaxtonManagement/CreateAgent",
        (&Method::PUT, "/v1/agents/{agent}") => "caxton.v1.CaxtonManagement/UpdateAgent",
        // The operation itself says what bodies it takes.
        _ => return next.run(request).await,
    };
    let path = request.extract_parts::<RawPathParams>().await.ok();
    let agent = path.as_ref().and_then(|path| path.iter().next());
    let agent = agent.map(|(_, name)| name.to_owned());
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let extensions = request.extensions().clone();
    let context = match CallContext::read(method, Some(&uri), &headers, extensions) {
        Ok(context) => context,
        Err(error) => return error.into_response(),
    };
    let answer = answer(&api, &context, agent, request).await;
    answer.unwrap_or_else(|error| context.complete(error).into_response())
}

async fn answer(
    api: &Api,
    context: &CallContext,
    agent: Option<String>,
    request: Request,
) -> Result<Response, ApiError> {
    if let Some(query) = request.uri().query().filter(|it| !it.is_empty()) {
        let detail = format!("the operation has no query: `{}`", shown(query));
        return Err(ApiError::new(Code::FieldUnknown, detail));
    }
    announced(&request, api.options().rest.upload_bytes_max)?;
    let upload = read(request).await?;
    let manifest = upload.manifest.unwrap_or_default();
    let (component, start) = (upload.component, upload.start);
    let (status, agent) = match agent {
        None => {
            let request = v1::CreateAgentRequest {
                manifest,
                component,
                start,
            };
            (
                StatusCode::CREATED,
                api.create_agent(context, request).await?,
            )
        }
        Some(agent) => {
            let request = v1::UpdateAgentRequest {
                agent,
                manifest,
                component,
                start,
            };
            (StatusCode::OK, api.update_agent(context, request).await?)
        }
    };
    Ok((status, Json(agent)).into_response())
}

/// Refuses by the announced length before a byte is read.
fn announced(request: &Request, bytes_max: usize) -> Result<(), ApiError> {
    use axum::body::HttpBody;
    let bytes = usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX);
    match bytes > bytes_max {
        true => Err(too_large(bytes_max)),
        false => Ok(()),
    }
}

fn too_large(bytes_max: usize) -> ApiError {
    let detail = format!("the body is larger than {bytes_max} bytes");
    ApiError::new(Code::BodyTooLarge, detail)
}

async fn read(request: Request) -> Result<Upload, ApiError> {
    let parts = Multipart::from_request(request, &()).await;
    let mut parts = parts.map_err(|error| malformed(error.body_text()))?;
    let mut upload = Upload::default();
    for _ in 0..PARTS_MAX {
        let Some(part) = parts.next_field().await.map_err(broken)? else {
            return Ok(upload);
        };
        take(&mut upload, part).await?;
    }
    Err(malformed(format!("more than {PARTS_MAX} parts")))
}

async fn take(upload: &mut Upload, part: Field<'_>) -> Result<(), ApiError> {
    let name = part.name().unwrap_or_default().to_owned();
    let twice = || {
        let error = ApiError::new(Code::ParameterMalformed, format!("part `{name}` twice"));
        Err(error.with_field(&name, "is given more than once"))
    };
    match name.as_str() {
        "manifest" => {
            let bytes = part.bytes().await.map_err(broken)?;
            let text = String::from_utf8(bytes.into())
                .map_err(|_| ApiError::new(Code::ManifestMalformed, "the manifest is not UTF-8"))?;
            if upload.manifest.replace(text).is_some() {
                return twice();
            }
        }
        "component" => {
            let bytes = part.bytes().await.map_err(broken)?;
            if upload.component.replace(bytes).is_some() {
                return twice();
            }
        }
        "start" => {
            let text = part.text().await.map_err(broken)?;
            let start = text.trim().parse().map_err(|_| {
                let what = "is neither true nor false";
                let detail = format!("`start` {what}: `{}`", shown(&text));
                ApiError::new(Code::ParameterMalformed, detail).with_field("start", what)
            })?;
            if upload.start.replace(start).is_some() {
                return twice();
            }
        }
        other => {
            let other = shown(other);
            let detail = format!("unknown part `{other}`; known are manifest, component, start");
            let error = ApiError::new(Code::FieldUnknown, detail);
            return Err(error.with_field(other, "unknown part"));
        }
    }
    Ok(())
}

fn broken(error: MultipartError) -> ApiError {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
            Code::BodyTooLarge,
            "the body is larger than an upload may be",
        ),
        _ => malformed(error.body_text()),
    }
}

fn malformed(what: impl std::fmt::Display) -> ApiError {
    let detail = format!("the multipart body cannot be read: {what}");
    ApiError::new(Code::ParameterMalformed, detail)
}
