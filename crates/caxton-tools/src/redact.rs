//! A server that says again what it was asked with must not tell the tool's secret to a model, or to the
//! log. The secret is looked for as it is, and as servers write what they were sent: in base64, escaped
//! for an address or for JSON.

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use caxton_core::model::Part;
use caxton_core::tool::Function;
use caxton_engine::port::secrets::Secret;
use caxton_engine::port::tool::{ToolAnswer, ToolFault};
use serde_json::Value;
use std::fmt::Write as _;

/// Shorter secrets are not looked for: they would be found everywhere.
const SECRET_BYTES_MIN: usize = 6;
/// Shorter ones are not looked for in other shapes, of which some are shorter still.
const SHAPED_BYTES_MIN: usize = 8;
const INSTEAD: &str = "[redacted]";

/// What a secret may look like, the longest first: a longer shape may have a shorter one within.
#[derive(Clone)]
pub struct Redaction(Vec<String>);

impl Redaction {
    pub fn of(secret: Option<&Secret>) -> Self {
        let secret = secret.map(Secret::reveal).unwrap_or_default();
        let mut shapes = Vec::new();
        if secret.len() >= SECRET_BYTES_MIN {
            shapes.push(secret.to_owned());
        }
        if secret.len() >= SHAPED_BYTES_MIN {
            shapes.extend(base64(secret));
            shapes.extend(percent(secret));
            shapes.extend(json(secret));
        }
        shapes.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        shapes.dedup();
        Self(shapes)
    }

    pub fn text(&self, mut text: String) -> String {
        for shape in &self.0 {
            if text.contains(shape) {
                text = text.replace(shape, INSTEAD);
            }
        }
        text
    }

    pub fn answer(&self, mut answer: ToolAnswer) -> ToolAnswer {
        for part in &mut answer.parts {
            if let Part::Text { text } = part {
                *text = self.text(std::mem::take(text));
            }
        }
        answer.structured = answer.structured.map(|it| self.value(it));
        answer
    }

    pub fn fault(&self, mut fault: ToolFault) -> ToolFault {
        fault.detail = self.text(fault.detail);
        fault
    }

    pub fn function(&self, mut function: Function) -> Function {
        function.description = self.text(function.description);
        function.input = self.value(function.input);
        function.output = function.output.map(|it| self.value(it));
        function
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|it| self.value(it)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter();
                let fields = fields.map(|(name, it)| (self.text(name), self.value(it)));
                Value::Object(fields.collect())
            }
            other => other,
        }
    }
}

/// The characters that a secret alone decides, wherever in a longer text it begins: three bytes are four
/// characters, and there are three places to begin in them.
fn base64(secret: &str) -> Vec<String> {
    let mut shapes = Vec::new();
    for alphabet in [&STANDARD, &URL_SAFE] {
        for before in 0..3 {
            let whole = encoded(alphabet, before, secret);
            // Of its eight bits a byte gives six to one character, the rest to its neighbour.
            let (first, end) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
            shapes.extend(whole.get(first..end).map(str::to_owned));
        }
    }
    // By itself it is there whole.
    shapes.push(encoded(&STANDARD, 0, secret));
    shapes.push(encoded(&URL_SAFE, 0, secret));
    shapes
}

fn encoded(alphabet: &Alphabet, before: usize, secret: &str) -> String {
    let mut bytes = vec![0; before];
    bytes.extend(secret.bytes());
    GeneralPurpose::new(alphabet, NO_PAD).encode(bytes)
}

/// As RFC 3986 has it, as browsers do for a part of an address, and as they do for a form.
fn percent(secret: &str) -> Vec<String> {
    let mut shapes = Vec::new();
    for kept in ["-._~", "-._~!'()*", "-._*"] {
        let escaped = |upper: bool| {
            let mut text = String::new();
            for byte in secret.bytes() {
                let is_kept = byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte);
                let _ = match (is_kept, upper) {
                    (true, _) => write!(text, "{}", char::from(byte)),
                    (false, true) => write!(text, "%{byte:02X}"),
                    (false, false) => write!(text, "%{byte:02x}"),
                };
            }
            text
        };
        for text in [escaped(true), escaped(false)] {
            shapes.push(text.replace("%20", "+"));
            shapes.push(text);
        }
    }
    shapes
}

/// As most write it, and as some do who escape more than they must.
fn json(secret: &str) -> Vec<String> {
    let quoted = Value::from(secret).to_string();
    let plain = quoted.trim_start_matches('"');
    let plain = plain.strip_suffix('"').unwrap_or(plain);
    let escaped = |is: fn(char) -> bool| {
        let mut text = String::new();
        for it in plain.chars() {
            if !is(it) {
                text.push(it);
                continue;
            }
            for unit in it.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
        text
    };
    vec![
        plain.replace('/', "\\/"),
        escaped(|it| !it.is_ascii()),
        escaped(|it| matches!(it, '<' | '>' | '&')),
        plain.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

    const SECRET: &str = "k/é<y> \"&+?\u{3ff}1";

    #[track_caller]
    fn check(said: &str, expected: &str) {
        let redaction = Redaction::of(Some(&Secret::new(SECRET)));
        assert_eq!(redaction.text(said.to_owned()), expected, "{said}");
    }

    #[test]
    fn a_secret_is_found_in_whatever_shape_it_is_said_again() {
        check(&format!("<{SECRET}>"), "<[redacted]>");
        check("k%2F%C3%A9%3Cy%3E%20%22%26%2B%3F%CF%BF1", INSTEAD);
        check(
            "?key=k%2f%c3%a9%3cy%3e+%22%26%2b%3f%cf%bf1;",
            "?key=[redacted];",
        );
        check(&Value::from(SECRET).to_string(), "\"[redacted]\"");
        check("k\\/é<y> \\\"&+?\u{3ff}1", INSTEAD);
        check("k/\\u00e9<y> \\\"&+?\\u03ff1", INSTEAD);
        check("k/é\\u003cy\\u003e \\\"\\u0026+?\u{3ff}1", INSTEAD);
        check(&BASE64_STANDARD.encode(SECRET), INSTEAD);
        for before in ["", "a", "ab", "abc", "user:"] {
            for engine in [BASE64_STANDARD, BASE64_URL_SAFE] {
                let said = engine.encode(format!("{before}{SECRET}, and more"));
                let redaction = Redaction::of(Some(&Secret::new(SECRET)));
                let left = redaction.text(said.clone());
                assert!(left.contains(INSTEAD) && left.len() < said.len(), "{left}");
            }
        }
    }

    #[test]
    fn short_secrets_are_not_looked_for() {
        let text = |secret: &str, said: &str| {
            Redaction::of(Some(&Secret::new(secret))).text(said.to_owned())
        };
        assert_eq!(text("abcde", "abcde"), "abcde");
        assert_eq!(text("abcdef", "abcdef"), INSTEAD);
        assert_eq!(text("abcde/", "abcde%2F"), "abcde%2F");
        assert_eq!(Redaction::of(None).text("a".to_owned()), "a");
    }
}
