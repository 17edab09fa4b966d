//! What an endpoint's answer is to a model: text as text, JSON as text and, where the function says what
//! it looks like, as a value; a picture as a picture; of anything else, how much of what it is.

use crate::outward::{self, cut, read_whole, text};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use caxton_core::model::{Image, Part};
use caxton_core::tool::HttpFunction;
use caxton_engine::port::http::HttpAnswer;
use caxton_engine::port::tool::{ANSWER_BYTES_MAX, ToolAnswer, ToolCall, ToolFault, ToolFaultKind};
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;

/// Bytes of a failure's body that are told.
const ERROR_BYTES_MAX: usize = 4 << 10;
/// Headers that are told where a body is not asked for.
const HEADS: [&str; 6] = [
    "content-type",
    "content-length",
    "last-modified",
    "etag",
    "location",
    "retry-after",
];

/// Reads the answer, as far as it is of use.
pub async fn read(
    mut got: HttpAnswer,
    function: &HttpFunction,
    call: &ToolCall,
) -> Result<ToolAnswer, ToolFault> {
    let content_type = got.header("content-type").unwrap_or_default().to_owned();
    let media = media_type(&content_type);
    let encoding = got.header("content-encoding").unwrap_or("identity");
    if !encoding.eq_ignore_ascii_case("identity") {
        return Err(ToolFault::new(
            ToolFaultKind::Malformed,
            "the answer is compressed, which was not asked for",
        ));
    }
    if got.status >= 300 {
        return failure(got, &content_type, call).await;
    }
    if function.method == "HEAD" {
        return Ok(ToolAnswer::text(heads(&got)));
    }
    if media.starts_with("image/") && media != "image/svg+xml" {
        let data = read_whole(&mut got, ANSWER_BYTES_MAX).await?;
        let data = BASE64_STANDARD.encode(&data);
        let image = Image::Data {
            media_type: media,
            data,
        };
        return Ok(ToolAnswer {
            parts: vec![Part::Image { image }],
            ..ToolAnswer::default()
        });
    }
    if function.function.output.is_some() {
        return structured(&mut got, call).await;
    }
    if !is_text(&media) {
        return Ok(ToolAnswer::text(sized(&mut got, &media).await?));
    }
    let read = outward::read(&mut got, call.bytes_max).await?;
    if read.bytes.is_empty() {
        let text = format!("HTTP {}, with nothing in it", got.status);
        return Ok(ToolAnswer::text(text));
    }
    let text = text(&read.bytes, &content_type);
    Ok(ToolAnswer::text(cut(text, call.bytes_max, read.is_cut)))
}

/// The type without its parameters, in lower case.
pub fn media_type(content_type: &str) -> String {
    let media = content_type.split(';').next().unwrap_or_default();
    media.trim().to_ascii_lowercase()
}

/// A type that is text, or none, which is taken for text.
pub fn is_text(media: &str) -> bool {
    let named = [
        "",
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/x-ndjson",
        "application/javascript",
        "application/x-www-form-urlencoded",
        "application/problem+json",
    ];
    media.starts_with("text/")
        || named.contains(&media)
        || media.ends_with("+json")
        || media.ends_with("+xml")
}

/// It failed, in its own terms: the status, and the beginning of what it said.
async fn failure(
    mut got: HttpAnswer,
    content_type: &str,
    call: &ToolCall,
) -> Result<ToolAnswer, ToolFault> {
    let ill = ill(&got);
    let mut said = format!("HTTP {}", got.status);
    if let Some(wait) = got.header("retry-after") {
        let _ = write!(said, ", retry after {wait}");
    }
    if got.status < 400 {
        said.push_str(": it sends on elsewhere, and what acts is not sent on");
        return Ok(ToolAnswer::error(said));
    }
    let bytes_max = ERROR_BYTES_MAX.min(call.bytes_max);
    // A body that breaks off takes nothing from the status.
    let read = outward::read(&mut got, bytes_max).await;
    if let (Ok(read), true) = (read, is_text(&media_type(content_type))) {
        let text = text(&read.bytes, content_type);
        let _ = write!(said, "\n{}", cut(text, bytes_max, read.is_cut));
    }
    Ok(ToolAnswer {
        ill,
        ..ToolAnswer::error(said)
    })
}

/// For how long a server that is ill or overloaded wants to be left alone; zero where it does not say.
fn ill(got: &HttpAnswer) -> Option<Duration> {
    if got.status != 429 && got.status < 500 {
        return None;
    }
    // A date is not read: it would be believed of a clock that nobody knows.
    let seconds = got
        .header("retry-after")
        .and_then(|it| it.trim().parse().ok());
    Some(Duration::from_secs(seconds.unwrap_or(0)))
}

async fn structured(got: &mut HttpAnswer, call: &ToolCall) -> Result<ToolAnswer, ToolFault> {
    let bytes = read_whole(got, ANSWER_BYTES_MAX).await?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        let text = format!("the answer is no JSON, and a schema says what it looks like: {error}");
        ToolFault::new(ToolFaultKind::Malformed, text)
    })?;
    let text = cut(value.to_string(), call.bytes_max, false);
    Ok(ToolAnswer {
        structured: Some(value),
        ..ToolAnswer::text(text)
    })
}

/// How large it is; read only as far as it must be to know.
async fn sized(got: &mut HttpAnswer, media: &str) -> Result<String, ToolFault> {
    let declared = got.header("content-length").map(str::to_owned);
    let size = match declared {
        Some(size) => size,
        None => {
            let read = outward::read(got, ANSWER_BYTES_MAX).await?;
            let more = if read.is_cut { "more than " } else { "" };
            format!("{more}{}", read.bytes.len())
        }
    };
    Ok(format!("{size} bytes of {media}"))
}

fn heads(got: &HttpAnswer) -> String {
    let mut text = format!("HTTP {}", got.status);
    for name in HEADS {
        if let Some(value) = got.header(name) {
            let _ = write!(text, "\n{name}: {value}");
        }
    }
    text
}
