//! From the tree to [`Acl`], field by field. Every fault is collected, so that one answer tells
//! all that is to be mended.

use super::strict;
use crate::agent::AgentId;
use crate::error::{Code, Error, shown};
use crate::id::ConversationId;
use crate::manifest::nearest;
use crate::message::{Acl, Contact, Identifier, Performative};
use crate::tenant::TenantId;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::{Map, Value};

/// The fields of a message's body.
const FIELDS: [&str; 15] = [
    "performative",
    "receiver",
    "sender",
    "replyTo",
    "content",
    "contentBase64",
    "language",
    "encoding",
    "ontology",
    "protocol",
    "conversationId",
    "replyWith",
    "inReplyTo",
    "replyBy",
    "userParameters",
];
/// The fields of an agent identifier.
const IDENTIFIER_FIELDS: [&str; 3] = ["name", "addresses", "resolvers"];
/// Most faults that one answer names.
const FAULTS_MAX: usize = 32;

/// Standard and URL-safe base64, padded or not: proto3's JSON mapping takes all four.
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

pub(super) fn read(text: &[u8], home: &TenantId) -> Result<Acl, Error> {
    let Value::Object(mut body) = strict::parse(text)? else {
        let detail = "a message is a JSON object with the field `performative`";
        return Err(Error::new(Code::MessageMalformed, detail));
    };
    let mut reader = Reader {
        home,
        faults: Vec::new(),
    };
    reader.refuse_unknown(&body, &FIELDS, "");
    let acl = reader.acl(&mut body);
    match (acl, reader.faults.is_empty()) {
        (Some(acl), true) => Ok(acl),
        _ => Err(reader.into_error()),
    }
}

struct Reader<'a> {
    home: &'a TenantId,
    /// Code, field, what is wrong.
    faults: Vec<(Code, String, String)>,
}

impl Reader<'_> {
    /// The message, or `None` where there is no act to begin one with.
    fn acl(&mut self, body: &mut Map<String, Value>) -> Option<Acl> {
        let performative = match self.text(body, "performative") {
            Some(act) => self.value("performative", Performative::parse(&act)),
            None => {
                if self.faults.iter().all(|fault| fault.1 != "performative") {
                    self.fault(Code::MessageMalformed, "performative", "is missing");
                }
                None
            }
        };
        // Goes on without an act, for the sake of the other fields' faults.
        let mut acl = Acl::new(performative.unwrap_or(Performative::NotUnderstood));
        acl.sender = take(body, "sender").and_then(|value| self.identifier("sender", value));
        acl.receivers = self.identifiers("receiver", take(body, "receiver"));
        acl.reply_to = self.identifiers("replyTo", take(body, "replyTo"));
        acl.content = self.content(body);
        acl.language = self.text(body, "language");
        acl.encoding = self.text(body, "encoding");
        acl.ontology = self.text(body, "ontology");
        acl.protocol = self.text(body, "protocol");
        acl.reply_with = self.text(body, "replyWith");
        acl.in_reply_to = self.text(body, "inReplyTo");
        acl.conversation_id = self
            .text(body, "conversationId")
            .and_then(|text| self.value("conversationId", ConversationId::parse(&text)));
        acl.reply_by = self
            .text(body, "replyBy")
            .and_then(|text| self.value("replyBy", Timestamp::parse_rfc3339(&text)));
        acl.user_parameters = self.user_parameters(take(body, "userParameters"));
        performative.map(|_| acl)
    }

    fn content(&mut self, body: &mut Map<String, Value>) -> Bytes {
        let text = self.text(body, "content");
        let base64 = self.text(body, "contentBase64");
        match (text, base64) {
            (Some(_), Some(_)) => {
                let what = "stands beside `content`; a message has one of the two";
                self.fault(Code::MessageMalformed, "contentBase64", what);
                Bytes::new()
            }
            (Some(text), None) => text.into(),
            (None, Some(text)) => {
                let engine = if text.contains(['-', '_']) {
                    &BASE64_URL
                } else {
                    &BASE64
                };
                match engine.decode(text) {
                    Ok(bytes) => bytes.into(),
                    Err(error) => {
                        let what = format!("is not base64: {error}").to_lowercase();
                        self.fault(Code::MessageMalformed, "contentBase64", &what);
                        Bytes::new()
                    }
                }
            }
            (None, None) => Bytes::new(),
        }
    }

    fn identifiers(&mut self, field: &str, value: Option<Value>) -> Vec<Identifier> {
        match value {
            None => Vec::new(),
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .filter_map(|(index, item)| self.identifier(&format!("{field}[{index}]"), item))
                .collect(),
            Some(other) => {
                self.wrong_type(
                    field,
                    "an array of objects such as {\"name\": \"b\"}",
                    &other,
                );
                Vec::new()
            }
        }
    }

    fn identifier(&mut self, field: &str, value: Value) -> Option<Identifier> {
        let mut body = match value {
            Value::Object(body) => body,
            other => {
                self.wrong_type(field, "an object such as {\"name\": \"b\"}", &other);
                return None;
            }
        };
        self.refuse_unknown(&body, &IDENTIFIER_FIELDS, &format!("{field}."));
        let addresses = self.addresses(&format!("{field}.addresses"), take(&mut body, "addresses"));
        let resolvers =
            self.identifiers(&format!("{field}.resolvers"), take(&mut body, "resolvers"));
        let name_field = format!("{field}.name");
        let id = match take(&mut body, "name") {
            Some(Value::String(name)) => {
                self.value(&name_field, AgentId::parse(&name, self.home))?
            }
            Some(other) => {
                self.wrong_type(&name_field, "a string", &other);
                return None;
            }
            None => {
                self.fault(Code::MessageMalformed, &name_field, "is missing");
                return None;
            }
        };
        let bare = addresses.is_empty() && resolvers.is_empty();
        let contact = Contact {
            addresses,
            resolvers,
        };
        Some(Identifier {
            id,
            contact: (!bare).then(|| Box::new(contact)),
        })
    }

    fn addresses(&mut self, field: &str, value: Option<Value>) -> Vec<String> {
        let items = match value {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.wrong_type(field, "an array of strings", &other);
                return Vec::new();
            }
        };
        let mut addresses = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(address) => addresses.push(address),
                other => self.wrong_type(&format!("{field}[{index}]"), "a string", &other),
            }
        }
        addresses
    }

    fn user_parameters(&mut self, value: Option<Value>) -> Vec<(String, String)> {
        let body = match value {
            None => return Vec::new(),
            Some(Value::Object(body)) => body,
            Some(other) => {
                self.wrong_type("userParameters", "an object of strings", &other);
                return Vec::new();
            }
        };
        let mut parameters = Vec::with_capacity(body.len());
        for (name, value) in body {
            match value {
                Value::String(value) => parameters.push((name, value)),
                other => {
                    let field = format!("userParameters.{}", shown(&name));
                    self.wrong_type(&field, "a string", &other);
                }
            }
        }
        parameters
    }

    /// Takes a field that holds a string.
    fn text(&mut self, body: &mut Map<String, Value>, field: &str) -> Option<String> {
        match take(body, field)? {
            Value::String(text) => Some(text),
            other => {
                self.wrong_type(field, "a string", &other);
                None
            }
        }
    }

    fn refuse_unknown(&mut self, body: &Map<String, Value>, known: &[&str], path: &str) {
        for name in body.keys().filter(|name| !known.contains(&name.as_str())) {
            let near = nearest(name, known.iter().copied())
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            let field = format!("{path}{}", shown(name));
            self.fault(
                Code::FieldUnknown,
                &field,
                &format!("is not a field of this{near}"),
            );
        }
    }

    /// A parsed value, or its error as a fault of the field.
    fn value<T>(&mut self, field: &str, parsed: Result<T, Error>) -> Option<T> {
        parsed
            .map_err(|error| self.fault(error.code, field, &error.detail))
            .ok()
    }

    fn wrong_type(&mut self, field: &str, expected: &str, found: &Value) {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        let what = format!("must be {expected}, not {found}");
        self.fault(Code::MessageMalformed, field, &what);
    }

    fn fault(&mut self, code: Code, field: &str, what: &str) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push((code, field.to_owned(), what.to_owned()));
        }
    }

    fn into_error(self) -> Error {
        let code = self
            .faults
            .first()
            .map_or(Code::MessageMalformed, |fault| fault.0);
        let detail = self
            .faults
            .iter()
            .map(|(_, field, what)| format!("{field}: {what}"))
            .collect::<Vec<_>>()
            .join("; ");
        let fields = self
            .faults
            .into_iter()
            .map(|(_, field, what)| (field, what))
            .collect();
        Error::new(code, detail).with_fields(fields)
    }
}

/// Takes a field out of its object; `null` is as good as absent.
fn take(body: &mut Map<String, Value>, field: &str) -> Option<Value> {
    body.get_mut(field)
        .map(Value::take)
        .filter(|value| !value.is_null())
}
