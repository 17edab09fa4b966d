//! One REST call: its context, and the path, query and body it binds to a request's fields.
//!
//! Nothing is guessed: a parameter or field the operation does not know is refused by name, and so
//! is one that is given twice with different values.

use axum::body::{Body, HttpBody};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use caxton_core::Code;
use caxton_core::error::shown;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::query::{FromQuery, Query};
use crate::context::TRACEPARENT;
use crate::{ApiError, CallContext, json};

/// The path's parameters as axum matched them.
pub type Path = Result<RawPathParams, RawPathParamsRejection>;

/// What a call has to say besides its context. Apart from it, because a body that is still being
/// read cannot be shared between threads, and the context is.
#[derive(Debug)]
pub struct Input {
    path: RawPathParams,
    query: Query,
    headers: HeaderMap,
    body: Body,
    bytes_max: usize,
}

/// Opens a call; the body is not read yet.
///
/// `Err` is the finished refusal.
// A response is large, and is what both sides want.
#[allow(clippy::result_large_err)]
pub(crate) fn open(
    method: &'static str,
    path: Path,
    request: Request,
    bytes_max: usize,
) -> Result<(CallContext, Input), Response> {
    let (parts, body) = request.into_parts();
    let uri = &parts.uri;
    let context = CallContext::read(method, Some(uri), &parts.headers, parts.extensions).map_err(
        |mut error| {
            error.instance = Some(uri.path().into());
            let trace = parts.headers.get(&TRACEPARENT);
            let trace = trace.and_then(|it| it.to_str().ok()?.get(3..35));
            error.trace_id = trace.map(Into::into);
            error.into_response()
        },
    )?;
    let refuse = |error: ApiError| context.complete(error).into_response();
    let path = path.map_err(|_| {
        refuse(ApiError::new(
            Code::ParameterMalformed,
            "the path is not UTF-8",
        ))
    })?;
    let query = Query::read(parts.uri.query().unwrap_or_default()).map_err(refuse)?;
    Ok((
        context,
        Input {
            path,
            query,
            headers: parts.headers,
            body,
            bytes_max,
        },
    ))
}

/// Ends a call with its answer.
pub(crate) fn finish(context: &CallContext, answer: Result<Response, ApiError>) -> Response {
    answer.unwrap_or_else(|error| context.complete(error).into_response())
}

// Every method takes `&mut self`: a shared borrow held across an await would need `Sync`.
impl Input {
    /// Takes `follow` from the query: true asks for the stream in place of the list.
    pub(crate) fn follow(&mut self) -> Result<bool, ApiError> {
        let mut follow = false;
        self.query.bind("follow", "follow", &mut follow)?;
        Ok(follow)
    }

    /// Binds a query parameter, named as in JSON or as in the proto file.
    pub(crate) fn query<T: FromQuery>(
        &mut self,
        json: &str,
        proto: &str,
        field: &mut T,
    ) -> Result<(), ApiError> {
        self.query.bind(json, proto, field)
    }

    /// Refuses what is left in the query.
    pub(crate) fn query_end(&mut self) -> Result<(), ApiError> {
        self.query.end()
    }

    /// Binds a variable of the path. The body may repeat it, but not contradict it.
    pub(crate) fn path(
        &mut self,
        json: &str,
        proto: &str,
        field: &mut String,
    ) -> Result<(), ApiError> {
        let Some((_, value)) = self.path.iter().find(|(name, _)| *name == proto) else {
            // The route and the binding are generated from one template.
            return Err(ApiError::new(
                Code::Internal,
                format!("the route has no `{json}`"),
            ));
        };
        if !field.is_empty() && *field != value {
            let what = format!(
                "is `{}` in the body and `{}` in the path",
                shown(field),
                shown(value)
            );
            let error = ApiError::new(Code::ParameterMalformed, format!("`{json}` {what}"));
            return Err(error.with_field(json, what));
        }
        value.clone_into(field);
        Ok(())
    }

    /// Reads the body, which must be there.
    pub(crate) async fn body<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        let bytes = self.bytes().await?;
        if bytes.is_empty() {
            return Err(ApiError::new(
                Code::JsonMalformed,
                "the request has no body",
            ));
        }
        json::read(&bytes)
    }

    /// Reads the body; none is an empty object.
    pub(crate) async fn body_or_default<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        let bytes = self.bytes().await?;
        json::read(if bytes.is_empty() { b"{}" } else { &bytes })
    }

    async fn bytes(&mut self) -> Result<Bytes, ApiError> {
        self.is_plain()?;
        let body = std::mem::take(&mut self.body);
        let too_large = || {
            let detail = format!("the body is larger than {} bytes", self.bytes_max);
            ApiError::new(Code::BodyTooLarge, detail)
        };
        // Refused by its announced length before a byte of it is read.
        let announced = self.headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
        // A body that is wrapped does not say how long it is.
        let announced = announced.unwrap_or(body.size_hint().lower());
        if usize::try_from(announced).unwrap_or(usize::MAX) > self.bytes_max {
            return Err(too_large());
        }
        let read = Limited::new(body, self.bytes_max).collect().await;
        let bytes = read
            .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => too_large(),
                None => ApiError::new(Code::JsonMalformed, "the body ended before it was complete"),
            })?
            .to_bytes();
        if !bytes.is_empty() {
            self.is_json()?;
        }
        Ok(bytes)
    }

    /// The body must be sent as it is: what a few bytes unpack to would be found out by unpacking them.
    fn is_plain(&self) -> Result<(), ApiError> {
        match self.headers.get(header::CONTENT_ENCODING) {
            None => Ok(()),
            Some(coding) if coding == "identity" => Ok(()),
            Some(coding) => {
                let coding = shown(&String::from_utf8_lossy(coding.as_bytes()));
                let detail = format!("the body is packed (`{coding}`); send it as it is");
                let error = ApiError::new(Code::ParameterMalformed, detail)
                    .with_field("content-encoding", "packed bodies are not taken");
                Err(error.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
            }
        }
    }

    /// The body must say that it is JSON: a form a browser sends across sites cannot.
    fn is_json(&self) -> Result<(), ApiError> {
        let given = self
            .headers
            .get(header::CONTENT_TYPE)
            .map(|it| it.to_str().unwrap_or("?"));
        let media = given
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        let media = media.to_ascii_lowercase();
        if media == "application/json"
            || media.starts_with("application/") && media.ends_with("+json")
        {
            return Ok(());
        }
        let given = given.map_or_else(|| "no type".to_owned(), |it| format!("`{}`", shown(it)));
        let detail = format!("the body has {given}; send it with `content-type: application/json`");
        let error =
            ApiError::new(Code::ParameterMalformed, detail).with_field("content-type", given);
        Err(error.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
    }
}
