//! A cursor over the bytes of a message in string form: SC00070's lexical rules (2.3), and errors
//! that name the byte and what was expected there.

use crate::error::{Code, Error, shown};

/// Where the reader stands in the text.
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn slice(&self, from: usize) -> &'a [u8] {
        self.text.get(from..self.at).unwrap_or_default()
    }

    pub(super) fn skip_space(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    }

    /// The next byte that is not white space, without taking it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.rest().first().copied()
    }

    /// Takes the byte after white space, or refuses.
    pub(super) fn expect(&mut self, byte: u8, expected: &str) -> Result<(), Error> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.expected(expected))
    }

    /// Takes bytes as long as they satisfy the rule; no white space is skipped before them.
    pub(super) fn take_while(&mut self, rule: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest
            .iter()
            .position(|byte| !rule(*byte))
            .unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// Takes a run of bytes that are neither white space, control characters nor parentheses.
    pub(super) fn take_run(&mut self, expected: &str) -> Result<&'a str, Error> {
        self.skip_space();
        let from = self.at;
        let run = self.take_while(is_word_byte);
        if run.is_empty() {
            return Err(self.expected(expected));
        }
        as_text(run, from)
    }

    /// Takes a string in one of its two forms, as bytes.
    pub(super) fn take_string(&mut self) -> Result<Vec<u8>, Error> {
        match self.peek() {
            Some(b'"') => self.take_quoted(),
            Some(b'#') => self.take_prefixed().map(<[u8]>::to_vec),
            _ => Err(self.expected("a string, \"…\" or #<bytes>\"…")),
        }
    }

    /// `"…"`, where `\"` is the only escape: a backslash before anything else is a backslash.
    fn take_quoted(&mut self) -> Result<Vec<u8>, Error> {
        let from = self.at;
        self.at += 1;
        let mut out = Vec::new();
        loop {
            out.extend_from_slice(self.take_while(|byte| byte != b'"' && byte != b'\\'));
            match (self.rest().first(), self.rest().get(1)) {
                (Some(b'\\'), Some(b'"')) => {
                    out.push(b'"');
                    self.at += 2;
                }
                (Some(b'\\'), _) => {
                    out.push(b'\\');
                    self.at += 1;
                }
                (Some(_), _) => {
                    self.at += 1;
                    return Ok(out);
                }
                (None, _) => {
                    return Err(syntax(
                        from,
                        "the string that begins here has no closing `\"`",
                    ));
                }
            }
        }
    }

    /// `#<n>"` and then exactly n bytes, whatever they are.
    fn take_prefixed(&mut self) -> Result<&'a [u8], Error> {
        let from = self.at;
        self.at += 1;
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        // Nine digits reach past every limit of size and fit a usize of any width.
        let length = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.len() <= 9)
            .and_then(|digits| digits.parse::<usize>().ok());
        let Some(length) = length else {
            return Err(syntax(from, "expected a length of 1 to 9 digits after `#`"));
        };
        if self.rest().first() != Some(&b'"') {
            return Err(self.expected("`\"` after the length"));
        }
        self.at += 1;
        let Some(bytes) = self.rest().get(..length) else {
            let left = self.rest().len();
            let what = format!("a string of {length} bytes is announced and {left} are left");
            return Err(syntax(from, &what));
        };
        self.at += length;
        Ok(bytes)
    }

    /// Takes an expression (SC00070, 2.2) as text: a string's content, a word, number or time as
    /// it stands, and a parenthesised expression verbatim.
    pub(super) fn take_expression(&mut self, nesting_max: usize) -> Result<String, Error> {
        let from = {
            self.skip_space();
            self.at
        };
        match self.peek() {
            Some(b'"' | b'#') => into_text(self.take_string()?, from),
            Some(b'(') => {
                self.skip_group(nesting_max)?;
                as_text(self.slice(from), from).map(str::to_owned)
            }
            _ => self.take_atom().map(str::to_owned),
        }
    }

    /// A word, number or time.
    fn take_atom(&mut self) -> Result<&'a str, Error> {
        self.skip_space();
        let from = self.at;
        let run = self.take_run("a word, number, time, string or `(`")?;
        // SC00070 has no word begin with `@` either, but JADE sends such words.
        let wordlike = !run.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        if wordlike || is_number(run) || is_time_like(run) {
            return Ok(run);
        }
        let what = format!(
            "`{}` is not a word, which cannot begin with a digit or `-`; write it as a string",
            shown(run)
        );
        Err(syntax(from, &what))
    }

    /// Steps over `( … )`, checking what stands inside.
    fn skip_group(&mut self, nesting_max: usize) -> Result<(), Error> {
        let mut open = 0_usize;
        loop {
            match self.peek() {
                Some(b'(') if open == nesting_max => {
                    let what = format!("parentheses are nested deeper than {nesting_max}");
                    return Err(syntax(self.at, &what));
                }
                Some(b'(') => {
                    open += 1;
                    self.at += 1;
                }
                Some(b')') => {
                    open -= 1;
                    self.at += 1;
                    if open == 0 {
                        return Ok(());
                    }
                }
                Some(b'"' | b'#') => {
                    self.take_string()?;
                }
                Some(_) => {
                    self.take_atom()?;
                }
                None => return Err(self.expected("`)`")),
            }
        }
    }

    /// What was expected here and what stands here instead.
    pub(super) fn expected(&self, expected: &str) -> Error {
        let found = self.rest();
        let found = match found.first() {
            None => "the end of the text".to_owned(),
            Some(_) => {
                let head = found.get(..found.len().min(24)).unwrap_or_default();
                format!("`{}`", shown(&String::from_utf8_lossy(head)))
            }
        };
        syntax(self.at, &format!("expected {expected}, found {found}"))
    }
}

/// A refusal of the text's form at this byte.
pub(super) fn syntax(at: usize, what: &str) -> Error {
    Error::new(Code::AclSyntax, format!("at byte {at}: {what}"))
}

fn as_text(bytes: &[u8], at: usize) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| syntax(at, NOT_TEXT))
}

pub(super) fn into_text(bytes: Vec<u8>, at: usize) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| syntax(at, NOT_TEXT))
}

const NOT_TEXT: &str = "the value that begins here is not UTF-8; only content may be binary";

/// Whether a word may contain this byte, after its first.
pub(super) fn is_word_byte(byte: u8) -> bool {
    byte > 0x20 && byte != 0x7f && byte != b'(' && byte != b')'
}

/// SC00070's Integer and Float: a sign, digits with at most one dot, and an exponent.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_ok = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0 && exponent_ok
}

/// SC00070's DateTimeToken by its shape alone; whether it names a day is read elsewhere.
fn is_time_like(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    (17..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_what_only_begins_like_one() {
        for good in ["1", "-1", "+12", "1.5", "1.", ".5", "1e9", "-1.5E-3"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "-", ".", "1a", "1e", "1.2.3", "e5", "--1", "1e+"] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
