//! Turns at the doors: begun once whatever is repeated, told as a stream or waited for.

mod begin;
mod body;
mod whole;

pub(crate) use begin::{Wanted, begin};
pub(crate) use body::{Encoder, Told, answer};
pub(crate) use whole::{opening, whole};

use axum::extract::Request;
use bytes::Bytes;
use caxton_api::ApiError;
use caxton_core::error::Code;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// Whether a request wants events by its `Accept`.
pub(crate) fn accepts_events(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut texts = accepts.filter_map(|it| it.to_str().ok());
    texts.any(|it| it.contains("text/event-stream"))
}

/// Reads a body of JSON.
pub(crate) async fn read(request: Request, bytes_max: usize) -> Result<Bytes, ApiError> {
    use axum::body::HttpBody;
    let too_large = || {
        let detail = format!("the body is larger than {bytes_max} bytes");
        ApiError::new(Code::BodyTooLarge, detail)
    };
    is_plain(request.headers())?;
    is_json(request.headers())?;
    let body = request.into_body();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(too_large());
    }
    let read = Limited::new(body, bytes_max).collect().await;
    let read = read.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => too_large(),
        None => ApiError::new(Code::JsonMalformed, "the body ended before it was complete"),
    })?;
    Ok(read.to_bytes())
}

/// The body must be sent as it is: what a few bytes unpack to would be found out by unpacking them.
fn is_plain(headers: &HeaderMap) -> Result<(), ApiError> {
    let coding = headers.get(header::CONTENT_ENCODING);
    if coding.is_none_or(|it| it == "identity") {
        return Ok(());
    }
    let detail = "the body is packed; send it as it is";
    let error = ApiError::new(Code::ParameterMalformed, detail)
        .with_field("content-encoding", "packed bodies are not taken");
    Err(error.with_status(http::StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

/// The body must say that it is JSON: a form a browser sends across sites cannot.
fn is_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "the body must come with `content-type: application/json`";
    let error = ApiError::new(Code::ParameterMalformed, detail).with_field("content-type", detail);
    Err(error.with_status(http::StatusCode::UNSUPPORTED_MEDIA_TYPE))
}
