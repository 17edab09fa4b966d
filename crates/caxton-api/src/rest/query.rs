//! The query of a REST call, bound to a request's fields by their types.

use caxton_core::Code;
use caxton_core::error::shown;

use crate::{ApiError, json};

/// The pairs of a query not yet bound, and the names asked for.
#[derive(Debug, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<String>,
}

/// A field type that a query parameter can fill.
pub trait FromQuery {
    /// Reads one value into the field; `Err` says what is wrong. Called once for each value.
    ///
    /// # Errors
    /// What the value should have been.
    fn read(&mut self, value: &str) -> Result<(), &'static str>;

    /// True where the parameter may be given more than once.
    const REPEATS: bool = false;
}

impl FromQuery for String {
    fn read(&mut self, value: &str) -> Result<(), &'static str> {
        value.clone_into(self);
        Ok(())
    }
}

impl FromQuery for bool {
    fn read(&mut self, value: &str) -> Result<(), &'static str> {
        *self = value.parse().map_err(|_| "is neither true nor false")?;
        Ok(())
    }
}

impl FromQuery for u32 {
    fn read(&mut self, value: &str) -> Result<(), &'static str> {
        *self = value
            .parse()
            .map_err(|_| "is no whole number from 0 to 4294967295")?;
        Ok(())
    }
}

impl FromQuery for u64 {
    fn read(&mut self, value: &str) -> Result<(), &'static str> {
        *self = value
            .parse()
            .map_err(|_| "is no whole number from 0 to 2^64-1")?;
        Ok(())
    }
}

impl<T: FromQuery + Default> FromQuery for Option<T> {
    fn read(&mut self, value: &str) -> Result<(), &'static str> {
        self.insert(T::default()).read(value)
    }
}

impl<T: FromQuery + Default> FromQuery for Vec<T> {
    fn read(&mut self, value: &str) -> Result<(), &'static str> {
        let mut item = T::default();
        item.read(value)?;
        self.push(item);
        Ok(())
    }

    const REPEATS: bool = true;
}

impl Query {
    pub(super) fn read(query: &str) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        // The decoder writes U+FFFD where bytes are no UTF-8.
        if let Some((name, _)) = pairs.iter().find(|(name, value)| {
            name.contains(char::REPLACEMENT_CHARACTER)
                || value.contains(char::REPLACEMENT_CHARACTER)
        }) {
            let detail = format!("the query's `{}` is not UTF-8", shown(name));
            return Err(ApiError::new(Code::ParameterMalformed, detail));
        }
        Ok(Self {
            pairs,
            known: Vec::new(),
        })
    }

    pub(super) fn bind<T: FromQuery>(
        &mut self,
        json: &str,
        proto: &str,
        field: &mut T,
    ) -> Result<(), ApiError> {
        self.known.push(json.to_owned());
        let (mine, rest): (Vec<_>, Vec<_>) = self
            .pairs
            .drain(..)
            .partition(|(name, _)| name == json || name == proto);
        self.pairs = rest;
        let malformed = |what: String| {
            ApiError::new(
                Code::ParameterMalformed,
                format!("query parameter `{json}` {what}"),
            )
            .with_field(json, what)
        };
        if mine.len() > 1 && !T::REPEATS {
            return Err(malformed("is given more than once".to_owned()));
        }
        for (_, value) in mine {
            field
                .read(&value)
                .map_err(|what| malformed(format!("{what}: `{}`", shown(&value))))?;
        }
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), ApiError> {
        let Some((name, _)) = self.pairs.first() else {
            return Ok(());
        };
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        Err(json::unknown("query parameter", name, &known))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parameters_are_read_by_their_fields_types() {
        let query =
            "pageSize=7&conversation_id=a%2Bb+c&deep=true&big=18446744073709551615&t=x&t=y&o=1";
        let mut query = Query::read(query).unwrap();
        let (mut size, mut id, mut deep, mut big) = (0_u32, String::new(), false, 0_u64);
        let (mut tags, mut some, mut none) = (Vec::<String>::new(), None::<u32>, None::<bool>);
        query.bind("pageSize", "page_size", &mut size).unwrap();
        query
            .bind("conversationId", "conversation_id", &mut id)
            .unwrap();
        query.bind("deep", "deep", &mut deep).unwrap();
        query.bind("big", "big", &mut big).unwrap();
        query.bind("t", "t", &mut tags).unwrap();
        query.bind("o", "o", &mut some).unwrap();
        query.bind("n", "n", &mut none).unwrap();
        query.end().unwrap();
        assert_eq!((size, id.as_str(), deep, big), (7, "a+b c", true, u64::MAX));
        assert_eq!(
            (tags, some, none),
            (vec!["x".to_owned(), "y".to_owned()], Some(1), None)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |query: &str, expected: &str| {
            let bound = Query::read(query).and_then(|mut query| {
                query.bind("pageSize", "page_size", &mut 0_u32)?;
                query.end()
            });
            let error = bound.unwrap_err();
            assert!(error.detail.contains(expected), "{query}: {}", error.detail);
        };
        check("pageSize=-1", "`pageSize` is no whole number");
        check("pageSize=", "`pageSize` is no whole number");
        check("pageSize=1&page_size=2", "more than once");
        check("pagesize=1", "did you mean `pageSize`");
        check("nonsense", "`nonsense`");
        check("pageSize=%ff", "not UTF-8");
    }
}
