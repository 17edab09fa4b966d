//! Error codes. Every error that leaves the process carries a [`Code`], whose row in [`TABLE`] tells
//! title, cause, cure and class; each door maps the class once, and `docs/errors/` has a page each.

use crate::key::without_secrets;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What kind of answer an error is. Doors map it: REST status, gRPC status, exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request is malformed. 400, `INVALID_ARGUMENT`, exit 1, or 2 where a command's argument is.
    Invalid,
    /// No or no valid credential. 401, `UNAUTHENTICATED`, exit 4.
    Unauthenticated,
    /// The credential does not allow it. 403, `PERMISSION_DENIED`, exit 4.
    Forbidden,
    /// No such thing (or not this tenant's). 404, `NOT_FOUND`, exit 3.
    NotFound,
    /// The thing's state does not allow it. 409, `FAILED_PRECONDITION`, exit 1.
    Conflict,
    /// Past a size limit. 413, `RESOURCE_EXHAUSTED`, exit 4.
    TooLarge,
    /// Well-formed, but its content cannot be used. 422, `INVALID_ARGUMENT`, exit 1.
    Unusable,
    /// Past a rate, queue or quota limit; try later. 429, `RESOURCE_EXHAUSTED`, exit 4.
    Limited,
    /// A defect of the server. 500, `INTERNAL`, exit 1.
    Internal,
    /// The server cannot just now; try later. 503, `UNAVAILABLE`, exit 1.
    Unavailable,
    /// Time ran out. 504, `DEADLINE_EXCEEDED`, exit 1.
    Timeout,
}

/// One row of the table of codes.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    pub code: &'static str,
    pub class: Class,
    pub title: &'static str,
    pub cause: &'static str,
    pub cure: &'static str,
}

/// Declares the codes: a macro, so that a code, its row and the enum cannot drift apart.
macro_rules! codes {
    ($($name:ident $code:literal $class:ident $title:literal; $cause:literal; $cure:literal.)*) => {
        /// A stable error code, `CX-####`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($name),* }

        /// Every code, in order.
        pub const TABLE: &[(Code, Info)] = &[$((Code::$name, Info {
            code: $code, class: Class::$class, title: $title, cause: $cause, cure: $cure,
        })),*];

        impl Code {
            /// The code's text, `CX-####`.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $code),* } }
            /// What kind of answer it is.
            pub const fn class(self) -> Class { match self { $(Self::$name => Class::$class),* } }
            /// A short name of the error, the same each time it occurs.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title),* } }
        }
    };
}

include!("error/codes.rs");

impl Code {
    /// The row of a `CX-####`, in any case.
    pub fn find(text: &str) -> Option<&'static Info> {
        TABLE
            .iter()
            .map(|(_, info)| info)
            .find(|info| info.code.eq_ignore_ascii_case(text))
    }

    /// The code whose text this is.
    pub fn parse(text: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|(_, info)| info.code == text)
            .map(|(code, _)| *code)
    }

    /// Cause, cure and the rest.
    pub fn info(self) -> Option<&'static Info> {
        Self::find(self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal or failure with its code: what every use case answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    /// What happened this time: lower case, no full stop, no secrets.
    pub detail: String,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
    /// The faulty fields, where the input had several faults: (field, what is wrong).
    pub fields: Vec<(String, String)>,
}

impl Error {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after: None,
            fields: Vec::new(),
        }
    }

    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    #[must_use]
    pub fn with_fields(mut self, fields: Vec<(String, String)>) -> Self {
        self.fields = fields;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.code.title(), self.detail)
    }
}

impl std::error::Error for Error {}

/// A foreign text, made fit to stand in an error: 60 characters at most, control characters escaped, and
/// of an API key nothing but its id.
pub fn shown(text: &str) -> String {
    shown_up_to(text, 60).into_owned()
}

/// The same with a limit of its own, in characters of the text.
pub fn shown_up_to(text: &str, chars_max: usize) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    let text = match without_secrets(text) {
        Cow::Borrowed(text) if text.len() <= chars_max && text.bytes().all(plain) => {
            return Cow::Borrowed(text);
        }
        text => text,
    };
    let cut = text.chars().take(chars_max);
    let mut out: String = cut.flat_map(char::escape_debug).collect();
    if text.chars().nth(chars_max).is_some() {
        out.push('…');
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_complete() {
        let mut seen = HashSet::new();
        for (code, info) in TABLE {
            assert!(seen.insert(info.code), "{} stands twice", info.code);
            assert!(
                info.code.len() == 7 && info.code.starts_with("CX-"),
                "{}",
                info.code
            );
            assert!(
                !info.cause.is_empty() && !info.cure.is_empty(),
                "{}",
                info.code
            );
            assert_eq!(Code::parse(info.code), Some(*code));
        }
    }

    #[test]
    fn foreign_text_is_shortened_and_escaped() {
        assert_eq!(shown("a\0\r\n"), "a\\0\\r\\n");
        assert!(shown(&"x".repeat(10_000)).chars().count() <= 61);
    }
}
