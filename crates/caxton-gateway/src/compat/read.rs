//! Reading what foreign clients send: by name, leniently where their own servers are lenient, and
//! with the place of what is wrong. What nobody asks for is kept, for whoever speaks that dialect.

use caxton_api::ApiError;
use caxton_core::error::{Code, shown};
use caxton_core::model::{AnswerForm, Dialect, Extra, Image, Part};
use serde_json::{Map, Value};

/// The fields of an object, taken one by one.
#[derive(Debug)]
pub(super) struct Fields {
    map: Map<String, Value>,
    /// Where the object stands, for messages: empty for the whole body.
    at: String,
}

/// What is wrong, and where.
pub(crate) fn wrong(at: &str, what: impl AsRef<str>) -> ApiError {
    let what = what.as_ref();
    ApiError::new(Code::ParameterMalformed, format!("`{at}` {what}")).with_field(at, what)
}

impl Fields {
    pub(super) fn new(map: Map<String, Value>, at: &str) -> Self {
        let at = at.to_owned();
        Self { map, at }
    }

    pub(super) fn of(value: Value, at: &str) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self::new(map, at)),
            _ => Err(wrong(at, "is no object")),
        }
    }

    /// Where a field stands.
    pub(super) fn place(&self, name: &str) -> String {
        match self.at.as_str() {
            "" => name.to_owned(),
            at => format!("{at}.{name}"),
        }
    }

    /// A field; null is none.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(&self.place(name), "is no string")),
        }
    }

    pub(super) fn text_needed(&mut self, name: &str) -> Result<String, ApiError> {
        self.text(name)?
            .ok_or_else(|| wrong(&self.place(name), "is missing"))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        Ok(self.flag_given(name)?.unwrap_or(false))
    }

    pub(super) fn flag_given(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(&self.place(name), "is neither true nor false")),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(wrong(&self.place(name), "is no number")),
            },
        }
    }

    pub(super) fn count(&mut self, name: &str) -> Result<Option<u32>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64().and_then(|it| u32::try_from(it).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(wrong(&self.place(name), "is no whole number from 0 up")),
            },
        }
    }

    /// A list; none is empty.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Value>, ApiError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(wrong(&self.place(name), "is no list")),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Fields>, ApiError> {
        let at = self.place(name);
        self.take(name).map(|it| Fields::of(it, &at)).transpose()
    }

    /// A text, or a list of texts.
    /// The fields of an object among these, which stays.
    pub(super) fn inner(&self, name: &str) -> Result<Option<Fields>, ApiError> {
        let given = self.map.get(name).filter(|it| !it.is_null());
        let inner = given.map(|it| Self::of(it.clone(), &self.place(name)));
        inner.transpose()
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, ApiError> {
        let at = self.place(name);
        let text = |value: Value| match value {
            Value::String(text) => Ok(text),
            _ => Err(wrong(&at, "is neither a string nor a list of strings")),
        };
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.into_iter().map(text).collect(),
            Some(one) => Ok(vec![text(one)?]),
        }
    }

    /// Refuses a field that asks for what this server does not do.
    pub(super) fn refuse(&mut self, name: &str, asks: fn(&Value) -> bool) -> Result<(), ApiError> {
        match self.map.get(name) {
            Some(value) if !value.is_null() && asks(value) => Err(wrong(
                &self.place(name),
                "asks for what this server does not do",
            )),
            _ => Ok(()),
        }
    }

    /// The form that a field asks the answer to have; the field stays, for a provider that speaks the
    /// dialect. `inner` is where a dialect has the schema and what belongs to it.
    pub(super) fn form(
        &self,
        name: &str,
        inner: Option<&str>,
    ) -> Result<Option<AnswerForm>, ApiError> {
        let Some(value) = self.map.get(name).filter(|it| !it.is_null()) else {
            return Ok(None);
        };
        let place = self.place(name);
        let mut form = Self::of(value.clone(), &place)?;
        match form.text_needed("type")?.as_str() {
            "text" => return Ok(None),
            "json_object" => return Ok(Some(AnswerForm::default())),
            "json_schema" => {}
            _ => {
                let what = "is none of text, json_object, json_schema";
                return Err(wrong(&form.place("type"), what));
            }
        }
        if let Some(inner) = inner {
            let missing = wrong(&form.place(inner), "is missing");
            form = form.object(inner)?.ok_or(missing)?;
        }
        let schema = form.take("schema").filter(|it| !it.is_null());
        if schema.as_ref().is_some_and(|it| !it.is_object()) {
            return Err(wrong(&form.place("schema"), "is no JSON Schema"));
        }
        Ok(Some(AnswerForm {
            schema,
            name: form.text("name")?,
            description: form.text("description")?,
            strict: form.flag_given("strict")?,
        }))
    }

    /// What nobody took.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.map
    }

    /// The same of a piece of a request; null is none.
    pub(super) fn extra(mut self, dialect: Dialect) -> Option<Extra> {
        self.map.retain(|_, value| !value.is_null());
        (!self.map.is_empty()).then_some((dialect, self.map))
    }
}

/// The body of a request: an object.
pub(super) fn body(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::new(
            Code::JsonMalformed,
            "the body is no JSON object",
        )),
        Err(error) => {
            let detail = format!("the body is no JSON: {error}");
            Err(ApiError::new(Code::JsonMalformed, detail))
        }
    }
}

/// A tool's arguments as clients repeat them: JSON text. What is none stays text.
pub(super) fn arguments(text: String) -> Value {
    match text.trim() {
        "" => Value::Object(Map::new()),
        json => serde_json::from_str(json).unwrap_or(Value::String(text)),
    }
}

/// An image's address: `data:` is taken apart, anything else is for the provider to fetch.
pub(crate) fn image(url: &str, at: &str) -> Result<Part, ApiError> {
    let Some(rest) = url.strip_prefix("data:") else {
        if url.starts_with("https://") || url.starts_with("http://") {
            let image = Image::Url(url.to_owned());
            return Ok(Part::Image { image });
        }
        let what = format!("is no http, https or data address: `{}`", shown(url));
        return Err(wrong(at, what));
    };
    let parts = rest
        .split_once(',')
        .and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data)));
    let Some((media_type, data)) = parts else {
        return Err(wrong(at, "is no `data:TYPE;base64,…`"));
    };
    base64(media_type, data, at)
}

/// An image in the message.
pub(crate) fn base64(media_type: &str, data: &str, at: &str) -> Result<Part, ApiError> {
    use base64::Engine as _;
    if !media_type.starts_with("image/") {
        let what = format!("has the type `{}`, which is no image's", shown(media_type));
        return Err(wrong(at, what));
    }
    let standard = base64::engine::general_purpose::STANDARD;
    if standard.decode(data).is_err() {
        return Err(wrong(at, "is no base64"));
    }
    let (media_type, data) = (media_type.to_owned(), data.to_owned());
    let image = Image::Data { media_type, data };
    Ok(Part::Image { image })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn images_are_addresses_or_data() {
        let check = |url: &str, expected: Result<Value, &str>| {
            let found = image(url, "u").map(|part| serde_json::to_value(part).unwrap());
            match expected {
                Ok(value) => assert_eq!(found.unwrap(), value, "{url}"),
                Err(what) => {
                    let error = found.unwrap_err().detail;
                    assert!(error.contains(what), "{url}: {error}");
                }
            }
        };
        check(
            "https://a/b.png",
            Ok(json!({"type": "image", "url": "https://a/b.png"})),
        );
        let data = json!({"type": "image", "data": {"media_type": "image/png", "data": "aGk="}});
        check("data:image/png;base64,aGk=", Ok(data));
        check("data:image/png;base64,a", Err("no base64"));
        check("data:text/plain;base64,aGk=", Err("no image"));
        check("data:image/png,aGk=", Err("no `data:"));
        check("file:///etc/passwd", Err("no http"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let check = |name: &str, value: Value, what: &str| {
            let mut fields = Fields::of(json!({ name: value }), "a").unwrap();
            let error = match name {
                "text" => fields.text_needed(name).unwrap_err(),
                "flag" => fields.flag(name).unwrap_err(),
                "count" => fields.count(name).unwrap_err(),
                "list" => fields.list(name).unwrap_err(),
                _ => fields.texts(name).unwrap_err(),
            };
            assert_eq!(error.fields[0].0, format!("a.{name}"));
            assert!(error.detail.contains(what), "{error}");
        };
        check("text", Value::Null, "missing");
        check("text", json!(1), "no string");
        check("flag", json!("yes"), "neither true nor false");
        check("count", json!(-1), "no whole number");
        check("count", json!(1.5), "no whole number");
        check("list", json!({}), "no list");
        check("texts", json!([1]), "neither a string nor");
    }

    #[test]
    fn arguments_are_json_or_stay_text() {
        assert_eq!(arguments("{\"a\":1}".to_owned()), json!({"a": 1}));
        assert_eq!(arguments(String::new()), json!({}));
        assert_eq!(arguments("{oops".to_owned()), json!("{oops"));
    }
}
