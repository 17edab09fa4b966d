//! Who may do what: every operation of the contract, asked for by every role. And the wall: every
//! operation on things of another tenant answers as on things that never were.

use std::fmt::Write as _;

use caxton_api::{OPERATIONS, Operation};
use caxton_core::grant::{Permission, Role};
use serde_json::{Value, json};

use crate::support::{World, agent, request};

/// Asks for an operation with something in place of its variables.
async fn ask(world: &World, key: &str, operation: &Operation, path: &str) -> (u16, String) {
    let verb = operation.verb.to_uppercase();
    let body = match operation.verb {
        "get" | "delete" => Value::Null,
        _ => json!({}),
    };
    if operation.streams && operation.verb == "get" {
        // Only whether it opens; then it is left.
        return world.status_of(key, path).await;
    }
    let reply = world.as_key(key, &verb, path, body).await;
    let code = serde_json::from_str(&reply.text).unwrap_or(Value::Null)["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (reply.status.as_u16(), code)
}

fn filled(path: &str, with: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { with } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

/// The answers of every role to every operation, as a table. It is checked in, so that a change of
/// who may do what is a change that somebody reads.
#[tokio::test]
async fn every_operation_by_every_role() {
    let world = World::new().await;
    world.tenant("acme").await;
    let mut keys = Vec::new();
    for role in Role::ALL {
        keys.push((
            role.to_string(),
            role.permissions(),
            world.key("acme", role.as_str(), &[]).await.1,
        ));
    }
    let (_, nothing) = world.key("acme", "viewer", &["keys:write"]).await;
    let mut table = String::new();
    for operation in OPERATIONS {
        let needed = Permission::parse(operation.permission);
        let needed = needed.unwrap_or_else(|| panic!("{}: unknown permission", operation.method));
        let path = filled(operation.path, "absent");
        let mut permitted = Vec::new();
        for (role, permissions, key) in &keys {
            let (status, code) = ask(&world, key, operation, &path).await;
            assert_ne!(status, 401, "{} {role}", operation.method);
            let denied = status == 403 && code == "CX-4003";
            assert_eq!(
                denied,
                !permissions.has(needed),
                "{} {role}: {status} {code}",
                operation.method
            );
            assert_ne!(status / 100, 5, "{} {role}: {code}", operation.method);
            if !denied {
                permitted.push(role.as_str());
            }
        }
        let (status, _) = ask(&world, &nothing, operation, &path).await;
        assert_eq!(status, 403, "{}: default deny", operation.method);
        let _ = writeln!(
            table,
            "{} {} [{}]",
            operation.method,
            needed.as_str(),
            permitted.join(" ")
        );
    }
    expect("tests/doors/access.txt", &table);
}

/// Each operation leaves a line in the log of requests, and each that is denied an entry in the audit,
/// whichever operation it is: a new one cannot be forgotten.
#[tokio::test]
async fn every_operation_is_logged_and_every_denial_audited() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (id, nothing) = world.key("acme", "viewer", &["keys:write"]).await;
    let (_, auditor) = world.key("acme", "admin", &[]).await;
    for operation in OPERATIONS {
        let path = filled(operation.path, "absent");
        let (status, _) = ask(&world, &nothing, operation, &path).await;
        assert_eq!(status, 403, "{}", operation.method);
    }
    let all = async |list: &str, of: &str| {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("{list}&pageSize=50&pageToken={token}");
            let page = world.as_key(&auditor, "GET", &path, Value::Null).await;
            let page = page.is(200).json();
            found.extend(page[of].as_array().unwrap().iter().cloned());
            token = page["nextPageToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                return found;
            }
        }
    };
    let logged = all(&format!("/v1/requests?actor=key:{id}"), "requests").await;
    let audited = all("/v1/audit?outcome=denied", "entries").await;
    for operation in OPERATIONS {
        let is_logged = logged
            .iter()
            .any(|it| it["operation"] == operation.method && it["status"] == 403);
        assert!(is_logged, "{} is not logged", operation.method);
        let is_audited = audited.iter().any(|it| {
            it["action"] == operation.method
                && it["actor"] == format!("key:{id}")
                && it["code"] == "CX-4003"
        });
        assert!(is_audited, "{} is not audited", operation.method);
    }
    assert_eq!(logged.len(), OPERATIONS.len());
    assert_eq!(audited.len(), OPERATIONS.len());
}

fn expect(file: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        kept, found,
        "{file} is not what is; UPDATE=1 writes it anew"
    );
}

/// Everything one tenant has, asked for with another tenant's key: each answer is the one for a
/// random id.
#[tokio::test]
async fn another_tenants_things_are_not_there() {
    let world = World::new().await;
    world.tenant("acme").await;
    world.tenant("other").await;
    let (own_key, acme) = world.key("acme", "admin", &[]).await;
    let (_, other) = world.key("other", "admin", &[]).await;
    let owned = Owned::make(&world, &acme, own_key).await;
    let headers_of = |tenant: &'static str| [("caxton-tenant", tenant)];
    for operation in OPERATIONS.iter().filter(|it| it.path.contains('{')) {
        for (real, random) in owned.pairs(operation.path) {
            let theirs = filled(operation.path, &real);
            let nobodys = filled(operation.path, &random);
            let mut seen = ask_whole(&world, &other, operation, &theirs, None).await;
            let mut expected = ask_whole(&world, &other, operation, &nobodys, None).await;
            level(&mut seen, &real);
            level(&mut expected, &random);
            assert_eq!(seen, expected, "{} {theirs}", operation.method);
            // Naming the tenant does not help.
            let named = ask_whole(
                &world,
                &other,
                operation,
                &theirs,
                Some(headers_of("acme")[0]),
            )
            .await;
            let never = ask_whole(
                &world,
                &other,
                operation,
                &theirs,
                Some(headers_of("nobody")[0]),
            )
            .await;
            let text = |mut it: (u16, Value)| {
                level(&mut it, &theirs);
                format!("{it:?}").replace("acme", "nobody")
            };
            assert_eq!(text(named), text(never), "{}", operation.method);
            // Nor does the other door.
            let seen = grpc::ask(&world, &other, operation, &real).await;
            let expected = grpc::ask(&world, &other, operation, &random).await;
            assert_eq!(
                seen.replace(&real, "ID"),
                expected.replace(&random, "ID"),
                "{} over gRPC",
                operation.method
            );
        }
    }
    // Nothing of it has changed, and the lists of the other are empty.
    owned.is_whole(&world, &acme).await;
    for (path, field) in [
        ("/v1/agents", "agents"),
        ("/v1/messages", "messages"),
        ("/v1/conversations", "conversations"),
        ("/v1/deadLetters", "deadLetters"),
        ("/v1/roleAssignments", "roleAssignments"),
        ("/v1/jobs", "jobs"),
        ("/v1/sessions", "sessions"),
        ("/v1/approvals", "approvals"),
    ] {
        let listed = world
            .as_key(&other, "GET", path, Value::Null)
            .await
            .is(200)
            .json();
        assert_eq!(
            listed[field].as_array().map_or(0, Vec::len),
            0,
            "{path}: {listed}"
        );
    }
    // What it tried itself is in its own log.
    let calls = world
        .as_key(&other, "GET", "/v1/toolCalls", Value::Null)
        .await
        .json();
    let mut calls = calls["toolCalls"].as_array().unwrap().iter();
    assert!(calls.all(|it| it["outcome"] == "denied" && it["code"] == "CX-8001"));
    let keys = world
        .as_key(&other, "GET", "/v1/keys", Value::Null)
        .await
        .json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
}

/// One of each thing that a tenant can have.
pub(crate) struct Owned {
    pub(crate) agent: String,
    pub(crate) message: String,
    pub(crate) conversation: String,
    dead_letter: String,
    key: String,
    assignment: String,
    pub job: String,
    session: String,
    pub(crate) turn: String,
    tool_call: String,
    approval: String,
}

impl Owned {
    pub(crate) async fn make(world: &World, key: &str, key_id: String) -> Self {
        world
            .as_key(key, "POST", "/v1/agents", agent("theirs", "echo", ""))
            .await
            .is(201);
        let broken = agent("broken", "broken", "[delivery]\nattempts_max = 1\n");
        world
            .as_key(key, "POST", "/v1/agents", broken)
            .await
            .is(201);
        let mut said = request("theirs", "x");
        said["conversationId"] = json!("talk-of-theirs");
        let sent = world
            .as_key(key, "POST", "/v1/messages?wait=20s", said)
            .await
            .is(200)
            .json();
        world
            .as_key(key, "POST", "/v1/messages", request("broken", "x"))
            .await
            .is(202);
        let dead_letter = loop {
            let listed = world
                .as_key(key, "GET", "/v1/deadLetters", Value::Null)
                .await
                .json();
            if let Some(id) = listed["deadLetters"][0]["id"].as_str() {
                break id.to_owned();
            }
            tokio::task::yield_now().await;
        };
        let provider = json!({"kind": "openai-chat", "baseUrl": "https://models.example/v1"});
        world
            .as_key(key, "PUT", "/v1/providers/theirs", provider)
            .await
            .is(200);
        let assignment = "cert:theirs".to_owned();
        let given = json!({"subject": assignment, "role": "viewer"});
        world
            .as_key(key, "POST", "/v1/roleAssignments", given)
            .await
            .is(201);
        let asked = json!({"content": "x"});
        let job = world
            .as_key(key, "POST", "/v1/agents/theirs/jobs", asked)
            .await
            .is(202)
            .json();
        let manifest = format!(
            "name = \"helper\"\nversion = \"1.0.0\"\n{}",
            crate::chat::ASSISTANT
        );
        let manifest = json!({ "manifest": manifest });
        world
            .as_key(key, "POST", "/v1/agents", manifest)
            .await
            .is(201);
        let mut said = crate::chat::say("hello");
        said["sessionId"] = json!("session-of-theirs-1");
        let answer = world.as_key(key, "POST", "/v1/chat", said).await;
        let turn = answer.is(200).json()["turnId"].as_str().unwrap().to_owned();
        let tool = crate::tools::http("theirs");
        world.as_key(key, "POST", "/v1/tools", tool).await.is(201);
        let called = json!({"arguments": {"city": "Bern"}});
        let called = world
            .as_key(key, "POST", "/v1/tools/theirs/call", called)
            .await
            .is(200)
            .json();
        let approval = crate::tools::waiting(world, key).await;
        Self {
            tool_call: called["call"]["id"].as_str().unwrap().to_owned(),
            approval,
            session: "session-of-theirs-1".to_owned(),
            turn,
            job: job["id"].as_str().unwrap().to_owned(),
            agent: "theirs".to_owned(),
            message: sent["id"].as_str().unwrap().to_owned(),
            conversation: "talk-of-theirs".to_owned(),
            dead_letter,
            key: key_id,
            assignment,
        }
    }

    /// What stands in a path's variable: theirs, and one of the same form that never was.
    fn pairs(&self, path: &str) -> Vec<(String, String)> {
        let never = |id: &str| -> String {
            let mut turned = id.to_owned();
            // The last character, so that the form stays.
            let last = turned.pop().unwrap();
            turned.push(if last == '0' { '1' } else { '0' });
            turned
        };
        let pair = |id: &str| vec![(id.to_owned(), never(id))];
        let variable = path.split('/').find(|part| part.starts_with('{')).unwrap();
        match variable {
            "{agent}" => vec![(self.agent.clone(), "nobodys".to_owned())],
            "{message}" => pair(&self.message),
            "{conversation}" => pair(&self.conversation),
            "{dead_letter}" => {
                let (id, receiver) = self.dead_letter.split_once(':').unwrap();
                vec![(
                    self.dead_letter.clone(),
                    format!("{}:{receiver}", never(id)),
                )]
            }
            "{job}" => pair(&self.job),
            "{session}" => pair(&self.session),
            "{turn}" => pair(&self.turn),
            "{key}" => pair(&self.key),
            "{role_assignment}" => vec![(self.assignment.clone(), "cert:nobody".to_owned())],
            "{tenant}" => vec![("acme".to_owned(), "nobody".to_owned())],
            "{provider}" => vec![("theirs".to_owned(), "nobodys".to_owned())],
            "{tool}" => vec![("theirs".to_owned(), "nobodys".to_owned())],
            "{call}" => pair(&self.tool_call),
            "{approval}" => pair(&self.approval),
            "{person}" => vec![("person:00".to_owned(), "person:11".to_owned())],
            // The platform's.
            "{backup}" => Vec::new(),
            other => panic!("{path}: what is {other} of a tenant? make one in Owned::make"),
        }
    }

    pub(crate) async fn is_whole(&self, world: &World, key: &str) {
        let letter = self.dead_letter.replace(':', "%3A");
        for path in [
            format!("/v1/agents/{}", self.agent),
            format!("/v1/messages/{}", self.message),
            format!("/v1/conversations/{}", self.conversation),
            format!("/v1/deadLetters/{letter}"),
            format!("/v1/jobs/{}", self.job),
            format!("/v1/keys/{}", self.key),
            format!("/v1/sessions/{}", self.session),
            format!("/v1/turns/{}", self.turn),
            format!("/v1/toolCalls/{}", self.tool_call),
            format!("/v1/approvals/{}", self.approval),
            "/v1/tools/theirs".to_owned(),
            "/v1/roleAssignments/cert%3Atheirs".to_owned(),
            "/v1/providers/theirs".to_owned(),
            "/v1/tenants/acme".to_owned(),
        ] {
            world.as_key(key, "GET", &path, Value::Null).await.is(200);
        }
        let agent = world
            .as_key(key, "GET", "/v1/agents/theirs", Value::Null)
            .await
            .json();
        assert_eq!(agent["state"], "running");
    }
}

async fn ask_whole(
    world: &World,
    key: &str,
    operation: &Operation,
    path: &str,
    header: Option<(&str, &str)>,
) -> (u16, Value) {
    let verb = operation.verb.to_uppercase();
    let body = match operation.verb {
        "get" | "delete" => String::new(),
        "put" => {
            let name = path.rsplit('/').next().unwrap();
            agent(name, "deaf", "").to_string()
        }
        _ => "{}".to_owned(),
    };
    let mut headers = vec![("authorization", ""), ("x-api-key", key)];
    headers.extend(header);
    let reply = world.call_with(&verb, path, &body, &headers).await;
    let text = serde_json::from_str(&reply.text).unwrap_or(json!(reply.text));
    (reply.status.as_u16(), text)
}

/// Takes out of an answer what must differ: the id asked for, the path and the trace.
fn level(answer: &mut (u16, Value), id: &str) {
    let text = answer.1.to_string().replace(id, "ID");
    answer.1 = serde_json::from_str(&text).unwrap();
    if let Some(problem) = answer.1.as_object_mut() {
        problem.remove("traceId");
        problem.remove("instance");
    }
}

/// Operations over gRPC by their names, with requests made from the contract's descriptors.
mod grpc {
    use super::{Operation, World};
    use bytes::{Buf, BufMut, Bytes};
    use prost_reflect::prost::Message as _;
    use prost_reflect::{DescriptorPool, DynamicMessage, Value};
    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
    use tonic::{Request, Status};

    /// Bytes as they are.
    #[derive(Default)]
    struct Raw;

    impl Codec for Raw {
        type Encode = Bytes;
        type Decode = Bytes;
        type Encoder = Self;
        type Decoder = Self;
        fn encoder(&mut self) -> Self {
            Self
        }
        fn decoder(&mut self) -> Self {
            Self
        }
    }

    impl Encoder for Raw {
        type Item = Bytes;
        type Error = Status;
        fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
            into.put(item);
            Ok(())
        }
    }

    impl Decoder for Raw {
        type Item = Bytes;
        type Error = Status;
        fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
            Ok(Some(from.copy_to_bytes(from.remaining())))
        }
    }

    /// The outcome in words: the status, or how large the answer is.
    pub(super) async fn ask(world: &World, key: &str, operation: &Operation, id: &str) -> String {
        let pool = DescriptorPool::decode(caxton_api::FILE_DESCRIPTOR_SET).unwrap();
        let (service, method) = operation.method.split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap();
        let method = service.methods().find(|it| it.name() == method).unwrap();
        let mut message = DynamicMessage::new(method.input());
        let variable = operation
            .path
            .split('/')
            .find_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        message.set_field_by_name(variable.unwrap(), Value::String(id.to_owned()));
        let mut request = Request::new(Bytes::from(message.encode_to_vec()));
        request
            .metadata_mut()
            .insert("x-api-key", key.parse().unwrap());
        let mut client = tonic::client::Grpc::new(world.channel().await);
        client.ready().await.unwrap();
        let path = format!("/{}", operation.method).parse().unwrap();
        let answer = if operation.streams {
            let opened = client.server_streaming(request, path, Raw).await;
            opened.map(|_| "a stream".to_owned())
        } else {
            let answered = client.unary(request, path, Raw).await;
            answered.map(|it| format!("{} bytes", it.into_inner().len()))
        };
        answer.unwrap_or_else(|status| format!("{:?}: {}", status.code(), status.message()))
    }
}
