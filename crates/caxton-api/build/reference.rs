//! Writes the API reference, `docs/reference.md`, from the same descriptors: each operation with its
//! routes, parameters and answers, and each message with its fields. Its text is the comments of the
//! proto files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::model::{Body, Contract, Operation, is_empty};
use crate::openapi::{field_comment, is_required, message_comment, path, tag};

const HEAD: &str = "# API reference

Generated from `proto/caxton/v1/`: every operation on both doors, and every message. How they are used,
with examples, is in [api.md](api.md); errors are in [errors/](errors/README.md).

In JSON, names are written as here, 64-bit numbers and times (RFC 3339) are strings, bytes are base64.
On gRPC they have the names and numbers of the proto files.
";

/// The whole text.
pub fn text(contract: &Contract) -> String {
    let mut text = HEAD.to_owned();
    let mut resources: BTreeMap<String, Vec<&Operation>> = BTreeMap::new();
    let operations = contract.services.iter().flat_map(|it| &it.operations);
    for operation in operations {
        resources.entry(tag(operation)).or_default().push(operation);
    }
    for (resource, operations) in &resources {
        let _ = write!(text, "\n## {resource}\n");
        for operation in operations {
            self::operation(operation, &mut text);
        }
    }
    text.push_str("\n## Messages\n");
    for (name, message) in messages(contract) {
        let _ = write!(text, "\n### {name}\n\n{}\n", message_comment(&message));
        fields(message.fields(), &mut text);
    }
    text
}

fn operation(operation: &Operation, text: &mut String) {
    let http = &operation.http;
    let _ = write!(
        text,
        "\n### {}\n\n`{} {}` · `{}`\n\n{}\n",
        operation.name,
        http.verb.to_uppercase(),
        path(operation),
        operation.full_name,
        operation.comment
    );
    fields(http.path_fields.iter().cloned(), text);
    fields(http.query.iter().cloned(), text);
    let body = match &http.body {
        Body::None => None,
        Body::All => Some(operation.request.clone()),
        Body::Field(field) => match field.kind() {
            Kind::Message(message) => Some(message),
            _ => None,
        },
    };
    if let Some(body) = body.filter(|it| !is_empty(it)) {
        let _ = write!(text, "\nBody: {}.\n", link(&body));
    }
    let answer = match (operation.streams, is_empty(&operation.response)) {
        (true, _) => {
            let rest = &operation.rest;
            let events = match &rest.event_name {
                Some(field) => format!("events named by `{}`", field.json_name()),
                None => format!("events `{}`", rest.event),
            };
            format!("a stream of {}, as {events}", link(&operation.response))
        }
        (false, true) => format!("{}, without a body", operation.rest.status),
        (false, false) if operation.rest.raw.is_some() => {
            let message = link(&operation.response);
            format!(
                "{} its bytes on REST, {message} on gRPC",
                operation.rest.status
            )
        }
        (false, false) => format!("{} {}", operation.rest.status, link(&operation.response)),
    };
    let _ = write!(text, "\nAnswers {answer}.\n");
    if operation.rest.creates {
        text.push_str("\nTakes `Idempotency-Key`.\n");
    }
}

fn fields(fields: impl Iterator<Item = FieldDescriptor>, text: &mut String) {
    let mut fields = fields.peekable();
    if fields.peek().is_none() {
        return;
    }
    text.push_str("\n| field | type | what |\n|---|---|---|\n");
    for field in fields {
        let needed = if is_required(&field) {
            "Required. "
        } else {
            ""
        };
        // A table has one line a row.
        let what = field_comment(&field).replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {} | {needed}{what} |",
            field.json_name(),
            kind(&field)
        );
    }
}

fn kind(field: &FieldDescriptor) -> String {
    if field.is_map() {
        return "map of strings".to_owned();
    }
    let one = match field.kind() {
        Kind::String => "string".to_owned(),
        Kind::Bytes => "bytes".to_owned(),
        Kind::Bool => "bool".to_owned(),
        Kind::Uint32 | Kind::Int32 => "number".to_owned(),
        Kind::Uint64 | Kind::Int64 => "64-bit number".to_owned(),
        Kind::Double | Kind::Float => "number".to_owned(),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => "time".to_owned(),
            "google.protobuf.Struct" => "JSON object".to_owned(),
            "google.protobuf.Value" => "JSON".to_owned(),
            _ => link(&message),
        },
        other => panic!("{}: no words for {other:?}", field.full_name()),
    };
    match field.is_list() {
        true => format!("list of {one}"),
        false => one,
    }
}

fn link(message: &MessageDescriptor) -> String {
    let name = message.name();
    format!("[{name}](#{})", name.to_lowercase())
}

/// Every message that an operation takes or gives, and those in them.
fn messages(contract: &Contract) -> BTreeMap<String, MessageDescriptor> {
    let mut found = BTreeMap::new();
    let operations = contract.services.iter().flat_map(|it| &it.operations);
    let mut waiting: Vec<_> = operations
        .flat_map(|it| [it.request.clone(), it.response.clone()])
        .collect();
    while let Some(message) = waiting.pop() {
        let ours = message.full_name().starts_with("caxton.v1.") && !message.is_map_entry();
        if !ours || found.contains_key(message.name()) {
            continue;
        }
        waiting.extend(message.fields().filter_map(|field| match field.kind() {
            Kind::Message(inner) => Some(inner),
            _ => None,
        }));
        found.insert(message.name().to_owned(), message);
    }
    found
}
