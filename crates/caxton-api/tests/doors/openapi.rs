//! The OpenAPI document: as it was reviewed, and true.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use caxton_api::error::{FieldProblem, Problem, ReplyProblem};
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fake::Fake;
use crate::router;

fn document() -> Value {
    serde_json::from_str(caxton_api::OPENAPI).unwrap()
}

/// Path, verb and operation of everything in the document.
fn routes() -> Vec<(String, String, Value)> {
    let document = document();
    let mut paths = document["paths"].as_object().unwrap().clone();
    // No operation of the contract: the gateway's own, and tried there.
    assert!(paths.remove("/v1/ws").is_some());
    paths
        .into_iter()
        .flat_map(|(path, verbs)| {
            let verbs = verbs.as_object().unwrap().clone();
            verbs
                .into_iter()
                .map(move |(verb, operation)| (path.clone(), verb, operation))
        })
        // Nor are those of the compatible doors.
        .filter(|(_, _, operation)| !["openai", "anthropic"].contains(&tag(operation)))
        .collect()
}

fn tag(operation: &Value) -> &str {
    operation["tags"][0].as_str().unwrap()
}

#[test]
fn operations_have_ids_of_their_own() {
    let document = document();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|verbs| verbs.as_object().unwrap().values());
    let mut seen = BTreeSet::new();
    for operation in operations {
        let id = operation["operationId"].as_str().unwrap();
        assert!(seen.insert(id.to_owned()), "{id}");
        let tags = document["tags"].as_array().unwrap();
        assert!(tags.iter().any(|it| it["name"] == tag(operation)), "{id}");
    }
    assert!(seen.contains("createChatCompletion") && seen.contains("createMessage"));
}

/// The ids of all operations.
pub fn operations() -> BTreeSet<String> {
    routes()
        .iter()
        .map(|(_, _, it)| it["operationId"].as_str().unwrap().to_owned())
        .collect()
}

/// The least that fits a schema: what is required, and no more.
fn least(schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return least(&document()["components"]["schemas"][name]);
    }
    match schema["type"].as_str() {
        Some("object") => {
            let needed = schema["required"].as_array().into_iter().flatten();
            let fields = needed.map(|name| {
                let name = name.as_str().unwrap();
                (name.to_owned(), least(&schema["properties"][name]))
            });
            Value::Object(fields.collect())
        }
        Some("array") => json!([least(&schema["items"])]),
        Some("string") if schema["format"] == "date-time" => json!("2026-11-22T00:00:00Z"),
        Some("string") => json!("x"),
        Some("integer") => json!(1),
        Some("boolean") => json!(true),
        _ => json!({}),
    }
}

/// Each documented operation is routed, and answers with a documented status.
#[tokio::test]
async fn every_documented_operation_answers_as_documented() {
    for (path, verb, operation) in routes() {
        let path = path
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        let fake = Arc::new(Fake::default());
        let request = Request::builder()
            .method(verb.to_uppercase().as_str())
            .uri(&path)
            .header("content-type", "application/json")
            .body(Body::from(match operation.get("requestBody") {
                Some(body) => least(&body["content"]["application/json"]["schema"]).to_string(),
                None => String::new(),
            }))
            .unwrap();
        let response = router(&fake, Default::default())
            .oneshot(request)
            .await
            .unwrap();
        let documented = &operation["responses"][response.status().as_str()];
        assert!(
            documented.is_object(),
            "{verb} {path}: {}",
            response.status()
        );
        let media = response
            .headers()
            .get("content-type")
            .map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(
            media.is_some(),
            documented.get("content").is_some(),
            "{verb} {path}"
        );
        if let Some(media) = media {
            let content = &documented["content"];
            // Bytes of the users' own are of any type.
            let any = content.get("*/*").is_some();
            assert!(
                any || content.get(&media).is_some(),
                "{verb} {path}: {media}"
            );
        }
        let seen = fake.take();
        let method = seen[0].0.method.rsplit('/').next().unwrap();
        assert!(
            method.eq_ignore_ascii_case(operation["operationId"].as_str().unwrap()),
            "{method}"
        );
    }
}

/// Answers have the fields their schemas have.
#[tokio::test]
async fn answers_fit_their_schemas() {
    let schemas = document()["components"]["schemas"].clone();
    let mut compared = 0;
    for (path, verb, operation) in routes() {
        let path = path.replace(['{', '}'], "");
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) else {
            continue;
        };
        if verb != "get" {
            continue;
        }
        let request = Request::get(path).body(Body::empty()).unwrap();
        let router = router(&Arc::new(Fake::default()), Default::default());
        let body = router.oneshot(request).await.unwrap().into_body();
        let answer: Value =
            serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        fits(&answer, &schemas[name], &schemas, name);
        compared += 1;
    }
    assert!(compared >= 10, "{compared}");
}

/// A value against a schema, as far as our schemas go.
fn fits(value: &Value, schema: &Value, schemas: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
        return fits(value, &schemas[name], schemas, &format!("{place}/{name}"));
    }
    match schema["type"]
        .as_str()
        .unwrap_or_else(|| panic!("{place}: {schema}"))
    {
        "object" => {
            let object = value
                .as_object()
                .unwrap_or_else(|| panic!("{place}: {value}"));
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    object.contains_key(required.as_str().unwrap()),
                    "{place}: no {required}"
                );
            }
            for (name, value) in object {
                let inner = match schema.get("properties") {
                    Some(properties) => &properties[name],
                    None => &schema["additionalProperties"],
                };
                assert!(!inner.is_null(), "{place}: {name} has no schema");
                fits(value, inner, schemas, &format!("{place}.{name}"));
            }
        }
        "array" => {
            let items = value
                .as_array()
                .unwrap_or_else(|| panic!("{place}: {value}"));
            items
                .iter()
                .for_each(|item| fits(item, &schema["items"], schemas, place));
        }
        "string" => assert!(value.is_string(), "{place}: {value}"),
        "integer" => assert!(value.is_u64(), "{place}: {value}"),
        "boolean" => assert!(value.is_boolean(), "{place}: {value}"),
        other => panic!("{place}: {other}"),
    }
}

#[test]
fn the_problem_has_its_schema() {
    let problem = Problem {
        r#type: String::new(),
        title: String::new(),
        status: 400,
        detail: String::new(),
        instance: Some(String::new()),
        code: "CX-1001".to_owned(),
        trace_id: Some(String::new()),
        cure: Some(String::new()),
        fields: vec![FieldProblem {
            field: String::new(),
            detail: String::new(),
        }],
        reply: Some(Box::new(ReplyProblem {
            id: String::new(),
            performative: "refuse".to_owned(),
            content: Some(String::new()),
            content_base64: Some(String::new()),
            encoding: Some(String::new()),
            truncated: true,
        })),
        session_id: Some(String::new()),
        turn_id: Some(String::new()),
    };
    let schemas = document()["components"]["schemas"].clone();
    let problem = serde_json::to_value(problem).unwrap();
    fits(&problem, &schemas["Problem"], &schemas, "Problem");
    let names: BTreeSet<&String> = problem.as_object().unwrap().keys().collect();
    let documented: BTreeSet<&String> = schemas["Problem"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(names, documented);
}

#[test]
fn every_operation_says_which_permission_it_needs() {
    let document = document();
    for operation in caxton_api::OPERATIONS {
        let variables = |path: &str| {
            let part = |it: &str| {
                if it.starts_with('{') {
                    "{}".to_owned()
                } else {
                    it.to_owned()
                }
            };
            path.split('/').map(part).collect::<Vec<_>>()
        };
        let paths = document["paths"].as_object().unwrap();
        let mut found = paths
            .iter()
            .filter(|(path, _)| variables(path) == variables(operation.path));
        let (_, verbs) = found.next().unwrap();
        let described = &verbs[operation.verb];
        assert_eq!(
            described["x-caxton-permission"], operation.permission,
            "{}",
            operation.method
        );
        let text = described["description"].as_str().unwrap();
        assert!(text.contains(operation.permission), "{text}");
    }
}

#[test]
fn the_contracts_routes_are_there() {
    let routes: BTreeSet<String> = routes()
        .iter()
        .map(|(path, verb, _)| format!("{verb} {path}"))
        .collect();
    for route in [
        "post /v1/agents",
        "get /v1/agents",
        "get /v1/agents/{agent}",
        "delete /v1/agents/{agent}",
        "put /v1/agents/{agent}",
        "post /v1/agents/{agent}/start",
        "post /v1/agents/{agent}/stop",
        "post /v1/agents/{agent}/drain",
        "get /v1/agents/{agent}/logs",
        "post /v1/messages",
        "get /v1/messages",
        "get /v1/messages/{message}",
        "get /v1/messages/stream",
        "get /v1/deadLetters",
        "get /v1/deadLetters/{deadLetter}",
        "get /v1/conversations",
        "get /v1/conversations/{conversation}",
        "post /v1/chat",
        "get /v1/sessions",
        "post /v1/sessions",
        "get /v1/sessions/{session}",
        "delete /v1/sessions/{session}",
        "post /v1/sessions/{session}/reset",
        "get /v1/sessions/{session}/messages",
    ] {
        assert!(routes.contains(route), "{route}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_everything_is_described() {
    let document = document();
    let mut stack = vec![&document];
    while let Some(value) = stack.pop() {
        if let Some(reference) = value["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        if let Some(properties) = value["properties"].as_object() {
            for (name, property) in properties {
                assert_ne!(property["description"], json!(null), "{name} in {value}");
                assert_ne!(property["description"], json!(""), "{name} in {value}");
            }
        }
        match value {
            Value::Object(object) => stack.extend(object.values()),
            Value::Array(items) => stack.extend(items),
            _ => {}
        }
    }
}
