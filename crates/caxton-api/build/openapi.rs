//! Writes the OpenAPI 3.1 document of the REST door from the same descriptors: what the router
//! takes and answers is what the document says, and the comments of the proto files are its text.

use std::collections::BTreeSet;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, Value as Reflected};
use serde_json::{Map, Value, json};

use crate::compatible;
use crate::model::{Body, Contract, Operation, Service, comment, is_empty};

const REQUIRED: i32 = 2;

/// The whole document.
pub fn document(contract: &Contract, version: &str) -> Value {
    let schemas = Schemas::new(contract);
    let mut paths = Map::new();
    let mut tags = BTreeSet::new();
    for service in &contract.services {
        for operation in &service.operations {
            tags.insert(tag(operation));
            let verb = operation.http.verb.clone();
            let path = paths.entry(path(operation)).or_insert_with(|| json!({}));
            let path = path.as_object_mut().expect("written above");
            path.insert(verb, self::operation(service, operation));
        }
    }
    paths.insert(SOCKET.to_owned(), json!({"get": socket()}));
    tags.insert("ws".to_owned());
    let mut schemas = schemas.write();
    compatible::add(&mut paths, &mut schemas, &mut tags);
    let tags: Vec<Value> = tags.into_iter().map(|name| json!({"name": name})).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Caxton",
            "version": version,
            "description": "Agents that exchange messages. 64-bit numbers are strings in JSON, as \
                proto3's mapping has it. An unknown field or query parameter is refused by name. \
                Errors are problem documents (RFC 9457) with a stable `code`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": headers(),
            "responses": {"Problem": {
                "description": "Refused or failed; `code` says why and `cure` what to do.",
                "headers": {"Retry-After": {
                    "description": "Seconds after which trying again may help.",
                    "schema": {"type": "integer"},
                }},
                "content": {"application/problem+json": {"schema": schema_ref("Problem")}},
            }},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "cx_…"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    })
}

fn operation(service: &Service, operation: &Operation) -> Value {
    let mut id = operation.name.clone();
    id[..1].make_ascii_lowercase();
    let mut out = json!({
        "tags": [tag(operation)],
        "operationId": id,
        "summary": summary(&operation.comment),
        "description": format!("{}\n\nNeeds the permission `{}`.", operation.comment, operation.permission),
        "x-caxton-permission": operation.permission,
        "parameters": parameters(operation),
    });
    let fields = out.as_object_mut().expect("written above");
    if let Some(body) = body(operation) {
        fields.insert("requestBody".to_owned(), body);
    }
    fields.insert("responses".to_owned(), responses(service, operation));
    out
}

/// Where streams come over a WebSocket.
const SOCKET: &str = "/v1/ws";

/// The WebSocket, as far as the document can tell of one: how it is opened.
fn socket() -> Value {
    json!({
        "tags": ["ws"],
        "operationId": "openSocket",
        "summary": "Open a WebSocket for streams",
        "description": "Open a WebSocket for streams. `{\"op\": \"subscribe\", \"id\": …, \"stream\": \
            \"messages\" | \"logs\", …}` with the stream's parameters begins one, and events come as \
            `{id, event, data, eventId}`; `docs/api.md` tells the frames.\n\nEach subscription needs \
            the permission of the operation whose stream it is.",
        "parameters": [
            {
                "name": "Upgrade", "in": "header", "required": true,
                "description": "The protocol to go on in.",
                "schema": {"type": "string", "enum": ["websocket"]},
            },
            {"$ref": "#/components/parameters/Tenant"},
        ],
        "responses": {
            "101": {"description": "It goes on as a WebSocket (RFC 6455)."},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    })
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let http = &operation.http;
    let parameter = |field: &FieldDescriptor, place: &str, required: bool| {
        json!({
            "name": field.json_name(),
            "in": place,
            "required": required,
            "description": field_comment(field),
            "schema": field_type(field),
        })
    };
    let mut parameters: Vec<Value> = http
        .path_fields
        .iter()
        .map(|field| parameter(field, "path", true))
        .collect();
    parameters.extend(
        http.query
            .iter()
            .map(|field| parameter(field, "query", false)),
    );
    if let Some(follow) = &operation.rest.follow {
        parameters.push(json!({
            "name": "follow",
            "in": "query",
            "required": false,
            "description": format!("Answer with the stream of `{follow}`, whose parameters then apply."),
            "schema": {"type": "boolean"},
        }));
    }
    let mut header = |name: &str| {
        parameters.push(json!({"$ref": format!("#/components/parameters/{name}")}));
    };
    header("Tenant");
    if operation.rest.creates {
        header("IdempotencyKey");
    }
    if operation.streams || operation.rest.streams_too.is_some() {
        header("LastEventId");
    }
    parameters
}

fn headers() -> Value {
    let header = |name: &str, description: &str| {
        json!({
            "name": name,
            "in": "header",
            "required": false,
            "description": description,
            "schema": {"type": "string"},
        })
    };
    json!({
        "Tenant": header(
            "Caxton-Tenant",
            "The tenant a platform key acts in. Default: `default`, and for other keys their own.",
        ),
        "IdempotencyKey": header(
            "Idempotency-Key",
            "Makes a repetition safe: the same key and body replays the first answer.",
        ),
        "LastEventId": header("Last-Event-ID", "Go on after this event."),
    })
}

fn body(operation: &Operation) -> Option<Value> {
    let (schema, required) = match &operation.http.body {
        Body::None => return None,
        Body::Field(field) => (field_type(field), true),
        Body::All => {
            let bound = &operation.http.path_fields;
            let fields: Vec<FieldDescriptor> = operation
                .request
                .fields()
                .filter(|field| !bound.contains(field))
                .collect();
            let required = fields.iter().any(is_required);
            let schema = if bound.is_empty() {
                schema_ref(operation.request.name())
            } else {
                object(&operation.request, &fields, true)
            };
            (schema, required)
        }
    };
    Some(json!({"required": required, "content": {"application/json": {"schema": schema}}}))
}

fn responses(service: &Service, operation: &Operation) -> Value {
    let schema = schema_ref(operation.response.name());
    let media = if operation.streams {
        "text/event-stream"
    } else {
        "application/json"
    };
    let content = json!({media: {"schema": schema}});
    let rest = &operation.rest;
    let mut responses = Map::new();
    if operation.streams {
        let named = match &rest.event_name {
            Some(field) => format!("after their `{}`", field.json_name()),
            None => format!("`{}`", rest.event),
        };
        let description = format!(
            "A stream of events named {named}; each one's data is the schema as JSON. A last event \
             `error` has a problem document.",
        );
        responses.insert(
            "200".to_owned(),
            json!({"description": description, "content": content}),
        );
    } else if rest.raw.is_some() {
        let bytes = json!({"*/*": {"schema": {"type": "string", "format": "binary"}}});
        let description = message_comment(&operation.response);
        let answer = json!({"description": description, "content": bytes});
        responses.insert(rest.status.to_string(), answer);
    } else if is_empty(&operation.response) {
        responses.insert(rest.status.to_string(), json!({"description": "Done."}));
    } else {
        let mut content = content;
        if let Some(follow) = rest.follow.as_ref().or(rest.streams_too.as_ref()) {
            let item = service.operation(follow).response.name().to_owned();
            content["text/event-stream"] = json!({"schema": schema_ref(&item)});
        }
        let description = message_comment(&operation.response);
        if let Some(field) = &rest.ok_with {
            let description = format!("{description} With `{}`.", field.json_name());
            responses.insert(
                "200".to_owned(),
                json!({"description": description, "content": content}),
            );
        }
        let answer = json!({"description": description, "content": content});
        responses.insert(rest.status.to_string(), answer);
    }
    responses.insert(
        "default".to_owned(),
        json!({"$ref": "#/components/responses/Problem"}),
    );
    Value::Object(responses)
}

/// The schemas of all messages, and which of them a request can hold.
struct Schemas {
    messages: Vec<MessageDescriptor>,
    in_requests: BTreeSet<String>,
}

impl Schemas {
    fn new(contract: &Contract) -> Self {
        let (mut messages, mut in_requests) = (Vec::new(), BTreeSet::new());
        let mut reached = BTreeSet::new();
        for operation in contract
            .services
            .iter()
            .flat_map(|service| &service.operations)
        {
            match &operation.http.body {
                Body::None => {}
                Body::Field(field) => {
                    if let Kind::Message(message) = field.kind() {
                        reach(&message, &mut in_requests, &mut Vec::new());
                        reach(&message, &mut reached, &mut messages);
                    }
                }
                Body::All => {
                    reach(&operation.request, &mut in_requests, &mut Vec::new());
                    if operation.http.path_fields.is_empty() {
                        reach(&operation.request, &mut reached, &mut messages);
                    }
                }
            }
            // What a raw answer is in is on gRPC only.
            if operation.rest.raw.is_none() {
                reach(&operation.response, &mut reached, &mut messages);
            }
        }
        messages.sort_by(|a, b| a.name().cmp(b.name()));
        Self {
            messages,
            in_requests,
        }
    }

    fn write(&self) -> Map<String, Value> {
        let mut schemas = Map::new();
        for message in &self.messages {
            let fields: Vec<FieldDescriptor> = message.fields().collect();
            let asked = self.in_requests.contains(message.full_name());
            let mut schema = object(message, &fields, asked);
            if message.full_name() == "caxton.v1.ChatRequest" {
                // As the chat door reads it: a text, or parts.
                let parts = json!({"type": "array", "items": schema_ref("MessagePart")});
                schema["properties"]["message"]["oneOf"] = json!([{"type": "string"}, parts]);
                schema["properties"]["message"]
                    .as_object_mut()
                    .expect("written above")
                    .remove("type");
            }
            schema["description"] = json!(message_comment(message));
            schemas.insert(message.name().to_owned(), schema);
        }
        schemas.insert("Problem".to_owned(), problem());
        schemas
    }
}

/// An object of these fields. One in requests refuses others; one in answers has all its
/// plain fields always, and may get more with a later version.
fn object(message: &MessageDescriptor, fields: &[FieldDescriptor], asked: bool) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let mut schema = field_type(field);
        schema["description"] = json!(field_comment(field));
        properties.insert(field.json_name().to_owned(), schema);
        if is_required(field) || (!asked && !field.supports_presence()) {
            required.push(field.json_name());
        }
    }
    let mut object = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    if asked {
        object["additionalProperties"] = json!(false);
    }
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let names: Vec<String> = oneof.fields().map(|it| it.json_name().to_owned()).collect();
        assert_eq!(
            names.len(),
            2,
            "{}: a oneof of two is all that is written",
            oneof.full_name()
        );
        object["not"] = json!({"required": names});
    }
    object
}

pub fn field_type(field: &FieldDescriptor) -> Value {
    if field.is_map() {
        return json!({"type": "object", "additionalProperties": {"type": "string"}});
    }
    let one = match field.kind() {
        Kind::String => json!({"type": "string"}),
        Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Uint32 => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
        Kind::Uint64 => json!({"type": "string", "pattern": "^[0-9]+$", "format": "uint64"}),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
            "google.protobuf.Struct" => json!({"type": "object"}),
            "google.protobuf.Value" => json!({}),
            _ => schema_ref(message.name()),
        },
        kind => panic!("{}: no schema for {kind:?}", field.full_name()),
    };
    if field.is_list() {
        json!({"type": "array", "items": one})
    } else {
        one
    }
}

/// Adds a message and all it holds, each once.
fn reach(
    message: &MessageDescriptor,
    names: &mut BTreeSet<String>,
    messages: &mut Vec<MessageDescriptor>,
) {
    let ours = message.full_name().starts_with("caxton.v1.") && !message.is_map_entry();
    if !ours || !names.insert(message.full_name().to_owned()) {
        return;
    }
    messages.push(message.clone());
    for field in message.fields() {
        if let Kind::Message(inner) = field.kind() {
            reach(&inner, names, messages);
        }
    }
}

/// The one schema without a proto message; `src/error.rs` has its twin, and a test compares them.
fn problem() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "properties": {
            "type": {
                "type": "string", "format": "uri-reference",
                "description": "A reference to the code's page.",
            },
            "title": text("The code's title, the same each time."),
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": text("What happened this time."),
            "instance": text("The path that was asked for."),
            "code": {"type": "string", "pattern": "^CX-[0-9]{4}$", "description": "The stable code."},
            "traceId": text("The trace of the call: 32 hex digits."),
            "cure": text("What to do about it."),
            "fields": {
                "type": "array",
                "description": "The faulty fields.",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": text("Its name, as in JSON."),
                        "detail": text("What is wrong with it."),
                    },
                    "required": ["field", "detail"],
                },
            },
            "reply": {
                "type": "object",
                "description": "The agent's answer, where it is what says no.",
                "properties": {
                    "id": text("The answer's message id."),
                    "performative": text("refuse, failure or not-understood."),
                    "content": text("What it says, 2048 bytes at most."),
                    "contentBase64": text("The same where it is no text."),
                    "encoding": text("Its media type."),
                    "truncated": {"type": "boolean", "description": "Whether it says more."},
                },
                "required": ["id", "performative"],
            },
            "sessionId": text("The session of the turn that failed, where one had begun."),
            "turnId": text("That turn."),
        },
        "required": ["type", "title", "status", "detail", "code"],
    })
}

/// The path with the JSON names of its variables.
pub fn path(operation: &Operation) -> String {
    let http = &operation.http;
    http.path_fields
        .iter()
        .fold(http.path.clone(), |path, field| {
            let json = format!("{{{}}}", field.json_name());
            path.replace(&format!("{{{}}}", field.name()), &json)
                .replace(&format!("{{*{}}}", field.name()), &json)
        })
}

/// The resource: what follows `/v1/`.
pub fn tag(operation: &Operation) -> String {
    operation
        .http
        .path
        .split('/')
        .nth(2)
        .expect("routes begin with /v1/")
        .to_owned()
}

/// The first sentence.
fn summary(comment: &str) -> String {
    let line = comment
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .replace('\n', " ");
    let sentence = line.split(". ").next().unwrap_or_default();
    sentence.trim_end_matches('.').to_owned()
}

fn schema_ref(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

pub fn message_comment(message: &MessageDescriptor) -> String {
    comment(&message.parent_file(), message.path())
}

pub fn field_comment(field: &FieldDescriptor) -> String {
    comment(&field.parent_message().parent_file(), field.path())
}

pub fn is_required(field: &FieldDescriptor) -> bool {
    let extension = field
        .parent_file()
        .parent_pool()
        .get_extension_by_name("google.api.field_behavior")
        .expect("google.api.field_behavior");
    let options = field.options();
    let behaviors = options.get_extension(&extension).into_owned();
    behaviors.as_list().is_some_and(|list| {
        list.iter()
            .any(|it| matches!(it, Reflected::EnumNumber(REQUIRED)))
    })
}
