//! The compatible doors in the OpenAPI document. Their shapes are their providers', so that they come
//! from a file that is kept by hand, and not from the contract; the gateway's tests compare the two.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const FILE: &str = include_str!("compatible.json");

/// Adds routes, schemas and tags.
pub fn add(
    paths: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
    tags: &mut BTreeSet<String>,
) {
    let file: Value = serde_json::from_str(FILE).expect("compatible.json is JSON");
    for (name, schema) in object(&file["schemas"]) {
        let before = schemas.insert(name.clone(), schema.clone());
        assert!(before.is_none(), "there is a schema {name} already");
    }
    for family in file["families"].as_array().expect("a list") {
        let tag = text(&family["tag"]);
        tags.insert(tag.to_owned());
        for (nth, root) in family["roots"]
            .as_array()
            .expect("a list")
            .iter()
            .enumerate()
        {
            for (path, verbs) in object(&family["operations"]) {
                let into = paths.entry(format!("{}{path}", text(root)));
                let into = into.or_insert_with(|| json!({}));
                for (verb, given) in object(verbs) {
                    into[verb] = operation(family, given, nth);
                }
            }
        }
    }
}

fn operation(family: &Value, given: &Value, nth: usize) -> Value {
    let (id, permission) = (text(&given["id"]), text(&given["permission"]));
    let content =
        |name: &Value| json!({"schema": {"$ref": format!("#/components/schemas/{}", text(name))}});
    let mut parameters = given["parameters"].as_array().expect("a list").clone();
    parameters.push(header("Tenant"));
    let mut answer = json!({"application/json": content(&given["answer"])});
    let streams = given["streams"].as_bool().expect("a flag");
    if streams {
        parameters.extend(["IdempotencyKey", "LastEventId"].map(header));
        answer["text/event-stream"] = json!({"schema": {
            "type": "string",
            "description": "With `stream`: the provider's own events, each with an `id`.",
        }});
    }
    let mut out = json!({
        "tags": [family["tag"]],
        "operationId": if nth == 0 { id.to_owned() } else { format!("{id}Alias") },
        "summary": given["summary"],
        "description": format!("{} `docs/compatible-doors.md` tells what is done and what is not.\n\nNeeds the \
            permission `{permission}`; to ask a model without an assistant `models:use` too.", text(&given["summary"])),
        "x-caxton-permission": permission,
        "parameters": parameters,
        "responses": {
            "200": {"description": "The answer.", "content": answer},
            "default": {
                "description": "Refused or failed, in the provider's envelope.",
                "content": {"application/json": content(&family["error"])},
            },
        },
    });
    if !given["request"].is_null() {
        out["requestBody"] = json!({
            "required": true,
            "content": {"application/json": content(&given["request"])},
        });
    }
    out
}

fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
