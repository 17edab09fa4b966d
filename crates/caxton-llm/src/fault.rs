//! Errors of providers, in the status line, in a body, or in the middle of a stream.

use caxton_core::model::{ModelFault, ModelFaultKind};
use serde_json::Value;
use std::time::Duration;

/// What a provider says of an error, wherever in its answer it says so.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Said {
    pub message: String,
    /// `invalid_request_error`, `overloaded_error`, …
    pub kind: String,
    /// `context_length_exceeded`, …; some write a status here.
    pub code: String,
}

/// Most characters of a body that is no error of a known form.
const BODY_CHARS_MAX: usize = 200;

impl Said {
    /// Reads the body of an answer that is an error.
    pub fn of_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of(&value),
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                let text = text.trim();
                // A page for a browser says nothing that is worth a line.
                let message = if text.starts_with('<') { "" } else { text };
                Self {
                    message: message.chars().take(BODY_CHARS_MAX).collect(),
                    ..Self::default()
                }
            }
        }
    }

    /// Reads an error object, or what holds one.
    pub fn of(value: &Value) -> Self {
        let value = match value {
            // Google's compatible endpoint answers a list of one.
            Value::Array(items) => items.first().unwrap_or(value),
            _ => value,
        };
        let inner = match value.get("error") {
            Some(inner @ (Value::Object(_) | Value::String(_))) => inner,
            _ => value,
        };
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|name| inner.get(name));
            match found {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(other @ (Value::Array(_) | Value::Object(_))) => {
                    other.to_string().chars().take(BODY_CHARS_MAX).collect()
                }
                _ => String::new(),
            }
        };
        if let Value::String(message) = inner {
            return Self {
                message: message.clone(),
                ..Self::default()
            };
        }
        Self {
            message: text(&["message", "detail", "msg"]),
            kind: text(&["type", "status"]),
            code: text(&["code"]),
        }
    }

    /// The fault: by the status where there is one, made more exact by what was said.
    pub fn fault(&self, status: Option<u16>) -> ModelFault {
        let status = status.or_else(|| self.status());
        let kind = self.kind(status);
        let detail = if self.message.is_empty() {
            match status {
                Some(status) => format!("the provider answered {status} and did not say why"),
                None => "the provider broke off with an error and did not say why".to_owned(),
            }
        } else {
            self.message.clone()
        };
        let fault = ModelFault::new(kind, detail);
        match status {
            Some(status) => fault.with_status(status),
            None => fault,
        }
    }

    /// The status that an error inside a stream stands for.
    fn status(&self) -> Option<u16> {
        if let Ok(status @ 400..=599) = self.code.parse() {
            return Some(status);
        }
        let said = |names: &[&str]| names.contains(&&*self.kind) || names.contains(&&*self.code);
        let table: &[(&[&str], u16)] = &[
            (
                &[
                    "overloaded_error",
                    "overloaded",
                    "server_overloaded",
                    "engine_overloaded",
                ],
                529,
            ),
            (
                &[
                    "rate_limit_error",
                    "rate_limit_exceeded",
                    "tokens",
                    "requests",
                ],
                429,
            ),
            (&["insufficient_quota", "billing_error"], 402),
            (&["authentication_error", "invalid_api_key"], 401),
            (&["permission_error"], 403),
            (&["not_found_error", "model_not_found"], 404),
            (&["request_too_large"], 413),
            (
                &[
                    "invalid_request_error",
                    "context_length_exceeded",
                    "invalid_prompt",
                ],
                400,
            ),
            (&["timeout_error"], 504),
            (&["api_error", "server_error", "internal_server_error"], 500),
        ];
        let row = table.iter().find(|(names, _)| said(names));
        row.map(|(_, status)| *status)
    }

    fn kind(&self, status: Option<u16>) -> ModelFaultKind {
        let low = self.message.to_ascii_lowercase();
        let unpaid = self.code == "insufficient_quota"
            || self.kind == "insufficient_quota"
            || self.kind == "billing_error"
            || low.contains("credit balance is too low");
        match status {
            Some(400 | 402 | 403 | 429) if unpaid => ModelFaultKind::Unpaid,
            Some(400 | 413 | 422 | 429 | 500) if self.is_too_long(&low) => ModelFaultKind::TooLong,
            Some(401 | 403) => ModelFaultKind::Auth,
            Some(402) => ModelFaultKind::Unpaid,
            Some(404) => ModelFaultKind::NotFound,
            Some(408 | 504) => ModelFaultKind::Timeout,
            Some(413) => ModelFaultKind::TooLong,
            Some(429) => ModelFaultKind::RateLimited,
            Some(503 | 529) => ModelFaultKind::Overloaded,
            Some(300..=499) => ModelFaultKind::Invalid,
            _ => ModelFaultKind::Server,
        }
    }

    /// Whether the request did not fit, as the providers and the servers of open models say it.
    fn is_too_long(&self, low: &str) -> bool {
        /// Each with who says so.
        const WORDS: &[&str] = &[
            "prompt is too long",                // Anthropic
            "exceed context limit",              // Anthropic, prompt and max_tokens together
            "maximum context length",            // OpenAI, vLLM, Mistral
            "context window",                    // OpenAI Responses
            "maximum model length",              // vLLM
            "available context size",            // llama.cpp
            "context length exceeded",           // Ollama, LM Studio
            "exceeds the context length",        // LM Studio
            "reduce the length of the messages", // Groq
            "maximum number of tokens allowed",  // Gemini
            "input is too long",                 // Bedrock
            "maximum prompt length",             // xAI
            "tokens + `max_new_tokens` must be", // TGI, Together
            "request too large for",             // OpenAI, one request above the minute's tokens
        ];
        matches!(
            &*self.code,
            "context_length_exceeded" | "string_above_max_length"
        ) || matches!(
            &*self.kind,
            "request_too_large" | "exceed_context_size_error"
        ) || WORDS.iter().any(|words| low.contains(words))
    }
}

/// Takes the credential out of what a provider said, should it have repeated it.
pub fn redact(mut fault: ModelFault, secret: Option<&str>, after: Option<Duration>) -> ModelFault {
    /// A shorter one is found in ordinary words.
    const SECRET_BYTES_MIN: usize = 6;
    if let Some(secret) = secret.filter(|it| it.len() >= SECRET_BYTES_MIN)
        && fault.detail.contains(secret)
    {
        fault.detail = fault.detail.replace(secret, "…");
    }
    if fault.retry_after.is_none() {
        fault.retry_after = after;
    }
    fault
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, kind: ModelFaultKind, detail: &str) {
        let fault = Said::of_body(body.as_bytes()).fault(Some(status));
        assert_eq!((fault.kind, &*fault.detail), (kind, detail), "{body}");
        assert_eq!(fault.status, Some(status));
    }

    #[test]
    fn a_status_and_what_is_said_make_the_kind() {
        use ModelFaultKind as K;
        let none = |status| format!("the provider answered {status} and did not say why");
        check(
            401,
            r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
            K::Auth,
            "invalid x-api-key",
        );
        check(403, "", K::Auth, &none(403));
        check(
            404,
            r#"{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}"#,
            K::NotFound,
            "The model `x` does not exist",
        );
        check(
            404,
            r#"{"error":"model 'x' not found"}"#,
            K::NotFound,
            "model 'x' not found",
        );
        check(
            400,
            r#"{"error":{"message":"bad","type":"invalid_request_error","param":null,"code":null}}"#,
            K::Invalid,
            "bad",
        );
        check(
            422,
            r#"{"detail":[{"msg":"field required"}]}"#,
            K::Invalid,
            r#"[{"msg":"field required"}]"#,
        );
        check(
            429,
            r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#,
            K::RateLimited,
            "slow down",
        );
        check(
            429,
            r#"{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            K::Unpaid,
            "pay",
        );
        check(
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access"}}"#,
            K::Unpaid,
            "Your credit balance is too low to access",
        );
        check(
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            K::Overloaded,
            "Overloaded",
        );
        check(
            503,
            "<html><body>no</body></html>",
            K::Overloaded,
            &none(503),
        );
        check(500, "upstream\u{7} failed", K::Server, "upstream  failed");
        check(502, "{}", K::Server, &none(502));
        check(504, "", K::Timeout, &none(504));
        check(301, "", K::Invalid, &none(301));
        check(
            400,
            r#"[{"error":{"code":400,"message":"listed","status":"INVALID_ARGUMENT"}}]"#,
            K::Invalid,
            "listed",
        );
    }

    #[test]
    fn requests_that_do_not_fit_are_recognised_as_each_says_it() {
        for (status, body) in [
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 215000 tokens > 200000 maximum"}}"#,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"}}"#,
            ),
            (
                413,
                r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
            ),
            (
                400,
                r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}"#,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
            ),
            (413, ""),
        ] {
            let fault = Said::of_body(body.as_bytes()).fault(Some(status));
            assert_eq!(fault.kind, ModelFaultKind::TooLong, "{body}");
        }
    }

    #[test]
    fn an_error_in_a_stream_has_the_kind_it_would_have_had_as_a_status() {
        use ModelFaultKind as K;
        let check = |text: &str, kind: K| {
            let said = Said::of(&serde_json::from_str(text).unwrap());
            assert_eq!(said.fault(None).kind, kind, "{text}");
        };
        check(
            r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
            K::Overloaded,
        );
        check(r#"{"error":{"message":"x","code":502}}"#, K::Server);
        check(r#"{"error":{"message":"x","code":"429"}}"#, K::RateLimited);
        check(
            r#"{"type":"error","code":"rate_limit_exceeded","message":"x"}"#,
            K::RateLimited,
        );
        check(
            r#"{"error":{"message":"x","type":"server_error"}}"#,
            K::Server,
        );
        check(r#"{"error":"no words known"}"#, K::Server);
        check(
            r#"{"code":"context_length_exceeded","message":"x"}"#,
            K::TooLong,
        );
    }

    #[test]
    fn a_repeated_credential_is_taken_out() {
        let fault = ModelFault::new(ModelFaultKind::Auth, "no such key: sk-abcdef!");
        let fault = redact(fault, Some("sk-abcdef"), None);
        assert_eq!(fault.detail, "no such key: …!");
    }
}
