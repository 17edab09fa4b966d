//! Writing requests and reading answers as JSON, without a tree in between where it is often done.

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;

/// A JSON object that is being written. What a request says is written first; what only one dialect
/// has comes last and never says anything twice.
#[derive(Debug)]
pub struct Fields {
    out: Vec<u8>,
    names: SmallVec<[&'static str; 16]>,
}

impl Fields {
    pub fn new() -> Self {
        Self {
            out: vec![b'{'],
            names: SmallVec::new(),
        }
    }

    pub fn put<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.names.push(name);
        self.write(name, value);
    }

    /// Writes it where there is one.
    pub fn put_some<T: Serialize>(&mut self, name: &'static str, value: Option<&T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// What the request leaves open and one dialect says.
    pub fn extra(&mut self, extra: Option<&Map<String, Value>>) {
        for (name, value) in extra.into_iter().flatten() {
            if !self.names.contains(&name.as_str()) {
                self.write(name, value);
            }
        }
    }

    fn write<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        let from = self.out.len();
        if from > 1 {
            self.out.push(b',');
        }
        let written = serde_json::to_writer(&mut self.out, name).and_then(|()| {
            self.out.push(b':');
            serde_json::to_writer(&mut self.out, value)
        });
        // Only a map with keys that are no texts cannot be written, and none is given here.
        if written.is_err() {
            self.out.truncate(from);
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}

/// A text that is lent where it has no escapes. (A bare `Option<Cow<str>>` never lends.)
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Text<'_> {
    pub fn into_owned(self) -> String {
        self.0.into_owned()
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// A count of tokens, from whatever a provider writes one as.
pub fn count<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    struct Count;
    impl<'de> Visitor<'de> for Count {
        type Value = u64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a count")
        }
        fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
            Ok(value.min(COUNT_MAX))
        }
        fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
            Ok(u64::try_from(value).unwrap_or(0).min(COUNT_MAX))
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        fn visit_f64<E>(self, value: f64) -> Result<u64, E> {
            // Such a cast saturates; what is no number is 0.
            Ok((value as u64).min(COUNT_MAX))
        }
        fn visit_unit<E>(self) -> Result<u64, E> {
            Ok(0)
        }
        fn visit_none<E>(self) -> Result<u64, E> {
            Ok(0)
        }
        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<u64, D::Error> {
            from.deserialize_any(self)
        }
    }
    from.deserialize_any(Count)
}

/// No call has as many tokens; sums of such counts cannot overflow.
const COUNT_MAX: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_request_says_is_never_said_twice() {
        let mut fields = Fields::new();
        fields.put("model", "m");
        fields.put_some("stop", None::<&u8>);
        let extra = json!({"model": "other", "seed": 7, "stop": ["x"]});
        fields.extra(extra.as_object());
        let text = String::from_utf8(fields.finish()).unwrap();
        assert_eq!(text, r#"{"model":"m","seed":7,"stop":["x"]}"#);
    }

    #[test]
    fn counts_are_read_from_whatever_they_are_written_as() {
        #[derive(Deserialize)]
        struct Has {
            #[serde(default, deserialize_with = "count")]
            n: u64,
        }
        let check = |text: &str, expected: u64| {
            let read: Has = serde_json::from_str(text).unwrap();
            assert_eq!(read.n, expected, "{text}");
        };
        check(r#"{"n": 3}"#, 3);
        check(r#"{"n": 3.7}"#, 3);
        check(r#"{"n": -3}"#, 0);
        check(r#"{"n": null}"#, 0);
        check("{}", 0);
        check(r#"{"n": 1e300}"#, COUNT_MAX);
        check(r#"{"n": 18446744073709551615}"#, COUNT_MAX);
    }
}
