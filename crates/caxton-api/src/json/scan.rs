//! The strict look at a JSON text (RFC 8259): its grammar, its nesting, its keys and its characters.
//!
//! It keeps its own stack, so that no text makes it recurse, and holds of the text only the keys of
//! the objects that are open.

use std::collections::HashSet;

use caxton_core::error::shown;

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
