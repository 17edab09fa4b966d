//! Whether a change of the contract breaks clients that were made from what it was.
//!
//! The document in `docs/openapi.json` and the descriptors in `proto/contract.binpb` are the contract
//! as it was last reviewed. A change that only adds is taken over with `UPDATE=1`; one that breaks is
//! refused by name, unless `UPDATE=breaking` says that it is meant (before a first release, or with a
//! new version of the package).

use std::collections::BTreeMap;

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorSet, ServiceDescriptorProto,
};
use serde_json::{Value, json};

/// Everything of a contract that clients rely on, by its full name.
#[derive(Default)]
struct Contract {
    messages: BTreeMap<String, DescriptorProto>,
    enums: BTreeMap<String, EnumDescriptorProto>,
    services: BTreeMap<String, ServiceDescriptorProto>,
}

impl Contract {
    fn of(set: &FileDescriptorSet) -> Self {
        let mut contract = Self::default();
        let ours = set.file.iter().filter(|it| it.package() == "caxton.v1");
        for file in ours {
            for message in &file.message_type {
                contract.message("caxton.v1", message);
            }
            for it in &file.enum_type {
                let name = format!("caxton.v1.{}", it.name());
                contract.enums.insert(name, it.clone());
            }
            for it in &file.service {
                let name = format!("caxton.v1.{}", it.name());
                contract.services.insert(name, it.clone());
            }
        }
        contract
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.message(&name, nested);
        }
        for it in &message.enum_type {
            self.enums
                .insert(format!("{name}.{}", it.name()), it.clone());
        }
        self.messages.insert(name, message.clone());
    }
}

/// What in `new` breaks a client made from `old`.
fn descriptor_breaks(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Vec<String> {
    let (old, new) = (Contract::of(old), Contract::of(new));
    let mut breaks = Vec::new();
    for (name, message) in &old.messages {
        let Some(now) = new.messages.get(name) else {
            breaks.push(format!("message {name} is gone"));
            continue;
        };
        for field in &message.field {
            let what = format!("field {name}.{} ({})", field.name(), field.number());
            let same = now.field.iter().find(|it| it.number() == field.number());
            match same {
                None => breaks.push(format!("{what} is gone")),
                Some(it) if it.name() != field.name() => {
                    breaks.push(format!("{what} is called {}", it.name()));
                }
                Some(it)
                    if (
                        it.r#type(),
                        it.type_name(),
                        it.label(),
                        it.proto3_optional(),
                    ) != (
                        field.r#type(),
                        field.type_name(),
                        field.label(),
                        field.proto3_optional(),
                    ) =>
                {
                    breaks.push(format!("{what} is of another type"));
                }
                Some(_) => {}
            }
        }
    }
    for (name, it) in &old.enums {
        let now = new.enums.get(name);
        for value in &it.value {
            let kept = now.is_some_and(|now| now.value.contains(value));
            if !kept {
                breaks.push(format!("value {name}.{} is gone", value.name()));
            }
        }
    }
    for (name, service) in &old.services {
        let now = new.services.get(name);
        for method in &service.method {
            let what = format!("method {name}/{}", method.name());
            let same = now.and_then(|it| it.method.iter().find(|it| it.name() == method.name()));
            match same {
                None => breaks.push(format!("{what} is gone")),
                Some(it)
                    if (it.input_type(), it.output_type(), it.server_streaming())
                        != (
                            method.input_type(),
                            method.output_type(),
                            method.server_streaming(),
                        ) =>
                {
                    breaks.push(format!("{what} takes or gives something else"));
                }
                Some(_) => {}
            }
        }
    }
    breaks
}

/// What in the document `new` breaks a client made from `old`.
fn document_breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut breaks = Vec::new();
    for (path, verb, operation) in operations(old) {
        let what = format!("{} {path}", verb.to_uppercase());
        let now = &new["paths"][&path][&verb];
        if now.is_null() {
            breaks.push(format!("{what} is gone"));
            continue;
        }
        if now["operationId"] != operation["operationId"] {
            breaks.push(format!("{what} has another operationId"));
        }
        parameters(
            &what,
            &operation["parameters"],
            &now["parameters"],
            &mut breaks,
        );
        let body = |it: &Value| it["requestBody"]["required"] == true;
        if body(now) && !body(&operation) {
            breaks.push(format!("{what} needs a body"));
        }
        let answers = operation["responses"].as_object().into_iter().flatten();
        for (status, answer) in answers.filter(|(status, _)| status.starts_with('2')) {
            let again = &now["responses"][status];
            if again.is_null() {
                breaks.push(format!("{what} answers {status} no more"));
            } else if again["content"] != answer["content"] {
                breaks.push(format!("{what} answers {status} with something else"));
            }
        }
    }
    let schemas = old["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten();
    for (name, schema) in schemas {
        let now = &new["components"]["schemas"][name];
        schema_breaks(&format!("schema {name}"), schema, now, &mut breaks);
    }
    breaks
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, verbs) in document["paths"].as_object().into_iter().flatten() {
        for (verb, operation) in verbs.as_object().into_iter().flatten() {
            found.push((path.clone(), verb.clone(), operation.clone()));
        }
    }
    found
}

fn parameters(what: &str, old: &Value, new: &Value, breaks: &mut Vec<String>) {
    let list = |it: &Value| it.as_array().cloned().unwrap_or_default();
    let key = |it: &Value| (it["in"].clone(), it["name"].clone(), it["$ref"].clone());
    let (old, new) = (list(old), list(new));
    let named = |it: &Value| match it["name"].as_str() {
        Some(name) => name.to_owned(),
        None => it["$ref"].to_string(),
    };
    for parameter in &old {
        match new.iter().find(|it| key(it) == key(parameter)) {
            // A parameter that is not known is refused.
            None => breaks.push(format!("{what}: parameter {} is gone", named(parameter))),
            Some(now) if now["schema"] != parameter["schema"] => {
                let name = named(parameter);
                breaks.push(format!("{what}: parameter {name} is of another type"));
            }
            Some(_) => {}
        }
    }
    for parameter in new.iter().filter(|it| it["required"] == true) {
        let before = old.iter().find(|it| key(it) == key(parameter));
        if !before.is_some_and(|it| it["required"] == true) {
            breaks.push(format!(
                "{what}: parameter {} is required",
                named(parameter)
            ));
        }
    }
}

fn schema_breaks(what: &str, old: &Value, new: &Value, breaks: &mut Vec<String>) {
    if new.is_null() {
        breaks.push(format!("{what} is gone"));
        return;
    }
    for key in ["type", "format", "$ref", "items", "oneOf", "anyOf"] {
        if old[key] != new[key] {
            breaks.push(format!("{what} is of another type"));
            return;
        }
    }
    let list = |it: &Value| it.as_array().cloned().unwrap_or_default();
    for value in list(&old["enum"]) {
        if !list(&new["enum"]).contains(&value) && !new["enum"].is_null() {
            breaks.push(format!("{what}: {value} is gone"));
        }
    }
    for name in list(&new["required"]) {
        if !list(&old["required"]).contains(&name) {
            breaks.push(format!("{what}: {name} is required"));
        }
    }
    for (name, property) in old["properties"].as_object().into_iter().flatten() {
        let now = &new["properties"][name];
        schema_breaks(&format!("{what}.{name}"), property, now, breaks);
    }
}

fn update() -> Option<String> {
    std::env::var("UPDATE").ok()
}

/// The contract that was reviewed, after it was taken over where that is asked for and allowed.
#[track_caller]
fn reviewed(file: &str, now: &[u8], breaks: impl Fn(&[u8]) -> Vec<String>) {
    let path = format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"));
    let known = std::fs::read(&path).unwrap_or_default();
    let found = match known.is_empty() {
        true => Vec::new(),
        false => breaks(&known),
    };
    let allowed = update().as_deref() == Some("breaking");
    assert!(
        found.is_empty() || allowed,
        "the change breaks clients:\n  {}\nkeep what was there, or run with UPDATE=breaking",
        found.join("\n  ")
    );
    if update().is_some() {
        std::fs::write(&path, now).unwrap();
        return;
    }
    assert!(
        known == now,
        "{file} differs from what proto/ now says, and breaks nobody; take it over with \
         `UPDATE=1 cargo test -p caxton-api` and review the difference"
    );
}

#[test]
fn the_document_is_the_one_in_docs_and_breaks_nobody() {
    let now: Value = serde_json::from_str(caxton_api::OPENAPI).unwrap();
    reviewed("docs/openapi.json", caxton_api::OPENAPI.as_bytes(), |old| {
        document_breaks(&serde_json::from_slice(old).unwrap(), &now)
    });
}

#[test]
fn the_descriptors_are_the_reviewed_ones_and_break_nobody() {
    let mut now = FileDescriptorSet::decode(caxton_api::FILE_DESCRIPTOR_SET).unwrap();
    for file in &mut now.file {
        // Comments are no part of what clients rely on.
        file.source_code_info = None;
    }
    reviewed("proto/contract.binpb", &now.encode_to_vec(), |old| {
        descriptor_breaks(&FileDescriptorSet::decode(old).unwrap(), &now)
    });
}

#[test]
fn the_reference_is_the_one_in_docs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference.md");
    let now = include_str!(concat!(env!("OUT_DIR"), "/reference.md"));
    if update().is_some() {
        std::fs::write(path, now).unwrap();
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        known == now,
        "docs/reference.md differs from what proto/ now says: run with UPDATE=1"
    );
}

/// A tool of others has its own idea of what breaks clients.
#[test]
#[ignore = "needs buf"]
fn buf_finds_no_break_either() {
    let buf = std::env::var_os("CAXTON_TEST_BUF").expect("run `cargo xtask test`");
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let home = std::env::temp_dir();
    let check = |against: &std::path::Path| {
        let mut command = std::process::Command::new(&buf);
        // Google's own files are not ours to keep.
        let config = r#"{"version": "v1", "breaking": {"use": ["FILE"], "ignore": ["google"]}}"#;
        command.args(["breaking", proto, "--config", config, "--against"]);
        command.arg(against);
        command.env("HOME", &home).output().unwrap()
    };
    let good = check(format!("{proto}/contract.binpb").as_ref());
    assert!(good.status.success(), "{good:?}");
    // It does look: a contract that had more is one that is broken.
    let mut more = FileDescriptorSet::decode(caxton_api::FILE_DESCRIPTOR_SET).unwrap();
    let mut messages = more.file.iter_mut().flat_map(|it| &mut it.message_type);
    let agent = messages.find(|it| it.name() == "Agent").unwrap();
    let mut field = agent.field[0].clone();
    (field.name, field.number) = (Some("gone".to_owned()), Some(99));
    field.json_name = Some("gone".to_owned());
    agent.field.push(field);
    let file = home.join(format!("caxton-{}.binpb", std::process::id()));
    std::fs::write(&file, more.encode_to_vec()).unwrap();
    let bad = check(&file);
    std::fs::remove_file(&file).unwrap();
    assert!(
        String::from_utf8_lossy(&bad.stdout).contains("gone"),
        "{bad:?}"
    );
}

#[test]
fn what_breaks_clients_of_grpc_is_found() {
    let old = FileDescriptorSet::decode(caxton_api::FILE_DESCRIPTOR_SET).unwrap();
    assert_eq!(descriptor_breaks(&old, &old), [""; 0]);
    let check = |change: &dyn Fn(&mut FileDescriptorSet), expected: &[&str]| {
        let mut new = old.clone();
        change(&mut new);
        let found = descriptor_breaks(&old, &new);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}: {expected}");
        }
    };
    fn message<'a>(set: &'a mut FileDescriptorSet, name: &str) -> &'a mut DescriptorProto {
        let mut messages = set.file.iter_mut().flat_map(|it| &mut it.message_type);
        messages.find(|it| it.name() == name).unwrap()
    }
    fn service(set: &mut FileDescriptorSet) -> &mut ServiceDescriptorProto {
        let mut services = set.file.iter_mut().flat_map(|it| &mut it.service);
        services.find(|it| it.name() == "CaxtonManagement").unwrap()
    }
    check(
        &|it| message(it, "AgentStats").name = Some("Stats".to_owned()),
        &["message caxton.v1.AgentStats is gone"],
    );
    check(
        &|it| drop(message(it, "AgentCapability").field.remove(0)),
        &["AgentCapability.name (1) is gone"],
    );
    check(
        &|it| message(it, "AgentCapability").field[0].name = Some("title".to_owned()),
        &["is called title"],
    );
    check(
        &|it| {
            message(it, "AgentCapability").field[0]
                .set_type(prost_types::field_descriptor_proto::Type::Bytes)
        },
        &["of another type"],
    );
    check(
        &|it| {
            message(it, "Agent").field[0]
                .set_label(prost_types::field_descriptor_proto::Label::Repeated)
        },
        &["of another type"],
    );
    check(&|it| drop(service(it).method.remove(0)), &["is gone"]);
    check(
        &|it| service(it).method[0].server_streaming = Some(true),
        &["something else"],
    );
    // What is only more breaks nobody.
    check(
        &|it| {
            let mut more = message(it, "AgentCapability").field[0].clone();
            (more.name, more.number) = (Some("more".to_owned()), Some(77));
            message(it, "AgentCapability").field.push(more);
            let mut method = service(it).method[0].clone();
            method.name = Some("DoMore".to_owned());
            service(it).method.push(method);
        },
        &[],
    );
}

#[test]
fn what_breaks_clients_of_rest_is_found() {
    let old: Value = serde_json::from_str(caxton_api::OPENAPI).unwrap();
    assert_eq!(document_breaks(&old, &old), [""; 0]);
    let check = |change: &dyn Fn(&mut Value), expected: &[&str]| {
        let mut new = old.clone();
        change(&mut new);
        let found = document_breaks(&old, &new);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}: {expected}");
        }
    };
    let remove = |it: &mut Value, name: &str| drop(it.as_object_mut().unwrap().remove(name));
    check(
        &|it| remove(&mut it["paths"], "/v1/messages/stream"),
        &["GET /v1/messages/stream is gone"],
    );
    check(
        &|it| remove(&mut it["paths"]["/v1/agents/{agent}"], "delete"),
        &["DELETE /v1/agents/{agent} is gone"],
    );
    check(
        &|it| it["paths"]["/v1/agents"]["get"]["operationId"] = "all".into(),
        &["operationId"],
    );
    check(
        &|it| {
            drop(
                it["paths"]["/v1/agents"]["get"]["parameters"]
                    .as_array_mut()
                    .unwrap()
                    .remove(0),
            )
        },
        &["parameter pageSize is gone"],
    );
    check(
        &|it| it["paths"]["/v1/agents"]["get"]["parameters"][2]["required"] = true.into(),
        &["is required"],
    );
    check(
        &|it| {
            it["paths"]["/v1/agents"]["get"]["parameters"][0]["schema"] = json!({"type": "string"})
        },
        &["another type"],
    );
    check(
        &|it| remove(&mut it["paths"]["/v1/messages"]["post"]["responses"], "202"),
        &["202 no more"],
    );
    let agent = |it: &mut Value| it["components"]["schemas"]["Agent"].take();
    check(&|it| drop(agent(it)), &["schema Agent is gone"]);
    check(
        &|it| {
            remove(
                &mut it["components"]["schemas"]["Agent"]["properties"],
                "version",
            )
        },
        &["Agent.version is gone"],
    );
    check(
        &|it| {
            it["components"]["schemas"]["Agent"]["properties"]["version"]["type"] = "integer".into()
        },
        &["Agent.version is of another type"],
    );
    check(
        &|it| {
            let name = json!(["zzz"]);
            it["components"]["schemas"]["AgentCapability"]["required"] = name;
        },
        &["\"zzz\" is required"],
    );
    check(
        &|it| {
            it["paths"]["/v1/more"] = json!({"get": {"operationId": "more"}});
            it["components"]["schemas"]["Agent"]["properties"]["more"] = json!({"type": "string"});
        },
        &[],
    );
}
