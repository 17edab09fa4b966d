//! Reading JSON from strangers: a strict look at the text first, then the message.
//!
//! RFC 8259 leaves open what a repeated key or half a surrogate pair means, and readers differ, so
//! that two of them can see two different requests in one text. Such texts are refused, with the
//! place. So is nesting no request needs, before any reader recurses into it.

use std::collections::HashSet;

use caxton_core::Code;
use caxton_core::error::shown;
use serde::de::DeserializeOwned;

use crate::ApiError;

/// Deepest nesting of arrays and objects.
pub const DEPTH_MAX: usize = 64;

/// What is wrong with a JSON text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct Fault {
    /// Bytes before the fault.
    pub offset: usize,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What is wrong with a JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// The text does not follow the grammar.
    #[error("{0}")]
    Syntax(&'static str),
    /// More than [`DEPTH_MAX`] arrays and objects inside each other.
    #[error("nested deeper than {DEPTH_MAX}")]
    Depth,
    /// One object has a key twice; escapes are resolved first.
    #[error("the key `{0}` a second time")]
    DuplicateKey(String),
    /// Half of a surrogate pair, which is no character.
    #[error("half of a surrogate pair")]
    LoneSurrogate,
}

/// Reads a message strictly.
///
/// # Errors
/// `JsonMalformed` with the place; `FieldUnknown` names the field and the nearest known one;
/// `ParameterMalformed` for a value of the wrong type.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    check(text)
        .map_err(|fault| ApiError::new(Code::JsonMalformed, format!("the body has {fault}")))?;
    serde_json::from_slice(text).map_err(|error| misfit(&error.to_string()))
}

/// Checks that a text is one JSON value, within the limits and without ambiguity.
///
/// # Errors
/// The first [`Fault`].
pub fn check(text: &[u8]) -> Result<(), Fault> {
    let text = std::str::from_utf8(text).map_err(|error| Fault {
        offset: error.valid_up_to(),
        kind: FaultKind::Utf8,
    })?;
    Scan {
        text: text.as_bytes(),
        at: 0,
        open: Vec::new(),
    }
    .document()
}

/// An error for a name that is not known, with the nearest that is.
pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> ApiError {
    let name = shown(name);
    let detail = match nearest(&name, known) {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("unknown {what} `{name}`; none is known here"),
        None => format!("unknown {what} `{name}`; known are {}", known.join(", ")),
    };
    ApiError::new(Code::FieldUnknown, detail).with_field(name, format!("unknown {what}"))
}

/// Turns serde's text into an error that names the field. serde has no structured errors; the two
/// texts read here are fixed in `serde::de::Error`, and a test holds them.
fn misfit(text: &str) -> ApiError {
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let (name, rest) = rest.split_once('`').unwrap_or((rest, ""));
        // Each field is listed by its proto name too; JSON has the other.
        let known: Vec<&str> = rest
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|it| !it.contains('_'))
            .collect();
        return unknown("field", name, &known);
    }
    if let Some(rest) = text.strip_prefix("duplicate field `") {
        let name = shown(rest.split('`').next().unwrap_or_default());
        // No key stands twice in a text that passed `check`: these are two names of one thing.
        let detail = format!("`{name}` and another field of the body exclude each other");
        return ApiError::new(Code::ParameterMalformed, detail)
            .with_field(name, "excluded by another field");
    }
    ApiError::new(
        Code::ParameterMalformed,
        format!("the body does not fit: {text}"),
    )
}

/// The known name at most two edits away and at most a third of its letters, ignoring case.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase().replace('_', "");
    known
        .iter()
        .map(|known| (edits(&name, &known.to_lowercase()), *known))
        .filter(|(edits, known)| *edits <= 2 && edits * 3 <= known.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, known)| known)
}

/// Levenshtein's distance, a row at a time.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (above, y) in row.iter_mut().skip(1).zip(&b) {
            let cost = diagonal + usize::from(x != *y);
            diagonal = *above;
            left = cost.min(left + 1).min(diagonal + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A cursor over the text and the containers that are open, innermost last.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    open: Vec<Container>,
}

enum Container {
    Array,
    Object(HashSet<String>),
}

impl Scan<'_> {
    fn document(mut self) -> Result<(), Fault> {
        self.space();
        loop {
            // A value begins here, unless the value is a container: then its first item does.
            if self.value()? {
                continue;
            }
            if !self.after_value()? {
                break;
            }
        }
        self.space();
        if self.at < self.text.len() {
            return Err(self.syntax("text after the value"));
        }
        Ok(())
    }

    /// Reads a scalar, an empty container, or the opening of a container up to its first value;
    /// true in the last case.
    fn value(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            Some(b'{') => {
                self.enter(Container::Object(HashSet::new()))?;
                if self.take(b'}') {
                    self.open.pop();
                    return Ok(false);
                }
                self.key()?;
                Ok(true)
            }
            Some(b'[') => {
                self.enter(Container::Array)?;
                if self.take(b']') {
                    self.open.pop();
                    return Ok(false);
                }
                Ok(true)
            }
            Some(b'"') => self.string(None).map(|()| false),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(_) => Err(self.syntax("no value where one should begin")),
            None => Err(self.syntax("an end before its end")),
        }
    }

    /// Closes what ends here; true where another value follows.
    fn after_value(&mut self) -> Result<bool, Fault> {
        loop {
            self.space();
            let in_object = match self.open.last() {
                None => return Ok(false),
                Some(container) => matches!(container, Container::Object(_)),
            };
            if self.take(b',') {
                self.space();
                if in_object {
                    self.key()?;
                }
                return Ok(true);
            }
            if !self.take(if in_object { b'}' } else { b']' }) {
                return Err(self.syntax(match self.peek() {
                    Some(_) => "neither a comma nor a closing bracket",
                    None => "an end before its end",
                }));
            }
            self.open.pop();
        }
    }

    fn enter(&mut self, container: Container) -> Result<(), Fault> {
        if self.open.len() >= DEPTH_MAX {
            return Err(self.fault(FaultKind::Depth));
        }
        self.open.push(container);
        self.at += 1;
        self.space();
        Ok(())
    }

    fn key(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let mut key = String::new();
        self.string(Some(&mut key))?;
        if let Some(Container::Object(keys)) = self.open.last_mut()
            && !keys.insert(key.clone())
        {
            let kind = FaultKind::DuplicateKey(shown(&key));
            return Err(Fault {
                offset: start,
                kind,
            });
        }
        self.space();
        if !self.take(b':') {
            return Err(self.syntax("no colon after a key"));
        }
        self.space();
        Ok(())
    }

    /// Reads a string; its characters go to `into` where one is given.
    fn string(&mut self, mut into: Option<&mut String>) -> Result<(), Fault> {
        if !self.take(b'"') {
            return Err(self.syntax("no string where one should begin"));
        }
        loop {
            let plain = self.at;
            while self
                .peek()
                .is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))
            {
                self.at += 1;
            }
            if let (Some(into), Some(run)) = (into.as_deref_mut(), self.text.get(plain..self.at)) {
                // Cut at ASCII, so whole characters: the text is UTF-8.
                into.push_str(&String::from_utf8_lossy(run));
            }
            if self.take(b'"') {
                return Ok(());
            }
            if !self.take(b'\\') {
                return Err(match self.peek() {
                    Some(_) => self.syntax("a control character inside a string"),
                    None => self.syntax("a string without an end"),
                });
            }
            let letter = self.escape()?;
            if let Some(into) = into.as_deref_mut() {
                into.push(letter);
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char, Fault> {
        let letter = match self.peek() {
            Some(b'u') => return self.unicode(),
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.syntax("an escape JSON does not have")),
        };
        self.at += 1;
        Ok(letter)
    }

    /// Reads `uXXXX`, or the two of a surrogate pair.
    fn unicode(&mut self) -> Result<char, Fault> {
        let start = self.at.saturating_sub(1);
        let lone = Fault {
            offset: start,
            kind: FaultKind::LoneSurrogate,
        };
        let first = self.hex()?;
        let point = match first {
            0xD800..=0xDBFF => {
                if !(self.take(b'\\') && self.peek() == Some(b'u')) {
                    return Err(lone);
                }
                let second = self.hex()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(lone);
                }
                0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            _ => first,
        };
        char::from_u32(point).ok_or(lone)
    }

    /// Reads `u` and four hex digits.
    fn hex(&mut self) -> Result<u32, Fault> {
        self.at += 1;
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.syntax("no four hex digits after \\u"));
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.syntax("no digit where one should stand"))
        } else {
            Ok(())
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<bool, Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.syntax("no value where one should begin"));
        }
        self.at += word.len();
        Ok(false)
    }

    fn space(&mut self) {
        while self
            .peek()
            .is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn syntax(&self, what: &'static str) -> Fault {
        self.fault(FaultKind::Syntax(what))
    }

    fn fault(&self, kind: FaultKind) -> Fault {
        Fault {
            offset: self.at,
            kind,
        }
    }
}

#[cfg(test)]
mod tests;
