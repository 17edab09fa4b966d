//! The wall over WebSocket: every stream there is, asked for what another tenant has, with that
//! tenant's key or its name: each answer is the one for what never was, and nothing of it comes.

use caxton_api::{FILE_DESCRIPTOR_SET, OPERATIONS};
use caxton_gateway::WEBSOCKET_STREAMS;
use prost_reflect::{DescriptorPool, Kind};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::access::Owned;
use crate::support::{World, agent, request};
use crate::websocket::Socket;

/// Streams of the contract that do not come over WebSocket, each with its reason here.
const ELSEWHERE: &[&str] = &[
    // A file with an end, not news; it is of the caller's tenant and names nothing else.
    "caxton.v1.Audit/ExportAudit",
    // A call that ends with its answer, and has a body; `access` asks it at both other doors.
    "caxton.v1.ExternalAgentRouter/StreamInvocation",
    // It says something, and is no subscription; the turn that it begins comes as `turn`.
    "caxton.v1.Sessions/Chat",
];

/// The texts of a stream's request in JSON that can name something of a tenant, each with theirs and
/// one of the same form that never was.
fn named(owned: &Owned, method: &str) -> Vec<(String, String, String)> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let (service, method) = method.split_once('/').unwrap();
    let service = pool.get_service_by_name(service).unwrap();
    let method = service.methods().find(|it| it.name() == method).unwrap();
    let asked = method.input();
    let texts = asked.fields().filter(|it| it.kind() == Kind::String);
    let names = texts.map(|it| it.json_name().to_owned());
    let pair = |name: &str| match name {
        "agent" => Some((owned.agent.clone(), "nobodys".to_owned())),
        "conversationId" => Some((owned.conversation.clone(), "talk-of-nobody".to_owned())),
        "job" => {
            let cut = owned.job.len() - 1;
            let last = if owned.job.ends_with('0') { "1" } else { "0" };
            Some((owned.job.clone(), format!("{}{last}", &owned.job[..cut])))
        }
        "turn" => Some((owned.turn.clone(), owned.message.clone())),
        // Name nothing.
        "level" | "after" => None,
        other => panic!("what is {other} of a tenant? tell it here"),
    };
    let pairs = names.filter_map(|name| pair(&name).map(|(a, b)| (name, a, b)));
    pairs.collect()
}

fn level(mut frame: Value, id: &str) -> Value {
    if let Some(error) = frame.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("traceId");
    }
    serde_json::from_str(&frame.to_string().replace(id, "ID")).unwrap()
}

#[tokio::test]
async fn another_tenants_things_come_over_no_socket() {
    let world = World::new().await;
    world.tenant("acme").await;
    world.tenant("other").await;
    let (own_key, acme) = world.key("acme", "admin", &[]).await;
    let (_, other) = world.key("other", "admin", &[]).await;
    let owned = Owned::make(&world, &acme, own_key).await;
    let mine = agent("mine", "echo", "");
    world
        .as_key(&other, "POST", "/v1/agents", mine)
        .await
        .is(201);

    // Naming the other tenant opens no socket, as naming none that is.
    let open = async |tenant: &str| {
        let headers = [("x-api-key", other.as_str()), ("caxton-tenant", tenant)];
        match Socket::with(&world, &headers).await.map_err(|it| *it) {
            Err(Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                let text = String::from_utf8(body).unwrap().replace(tenant, "ID");
                let mut problem: Value = serde_json::from_str(&text).unwrap();
                problem.as_object_mut().unwrap().remove("traceId");
                (answer.status().as_u16(), problem)
            }
            other => panic!("{:?}", other.map(drop)),
        }
    };
    let (theirs, nobodys) = (open("acme").await, open("nobody").await);
    assert_eq!(theirs, nobodys);
    assert_eq!(theirs.0, 404);

    let mut socket = Socket::with(&world, &[("x-api-key", &other)])
        .await
        .unwrap();
    let (mut tried, mut live) = (0, Vec::new());
    for operation in OPERATIONS.iter().filter(|it| it.streams) {
        let stream = WEBSOCKET_STREAMS
            .iter()
            .find(|(_, method)| *method == operation.method);
        let Some((stream, _)) = stream else {
            assert!(
                ELSEWHERE.contains(&operation.method),
                "{}",
                operation.method
            );
            continue;
        };
        let mut asks = named(&owned, operation.method);
        asks.push(("lastEventId".to_owned(), owned.message.clone(), {
            let cut = owned.message.len() - 1;
            let last = if owned.message.ends_with('0') {
                "1"
            } else {
                "0"
            };
            format!("{}{last}", &owned.message[..cut])
        }));
        for (field, theirs, nobodys) in asks {
            let mut answers = Vec::new();
            for (whose, value) in [("theirs", &theirs), ("nobodys", &nobodys)] {
                let id = format!("{stream}-{field}-{whose}");
                let mut frame = json!({"op": "subscribe", "id": id, "stream": stream});
                frame[field.as_str()] = json!(value);
                socket.say(frame).await;
                let heard = socket.hear().await;
                if heard["event"] == "subscribed" && field != "lastEventId" {
                    live.push(id.clone());
                }
                answers.push(level(level(heard, value), &id));
                tried += 1;
            }
            assert_eq!(answers[0], answers[1], "{stream} {field}");
        }
    }
    assert!(tried >= 8, "{tried}");
    assert!(
        !live.is_empty(),
        "some are filters, which open and bring nothing"
    );

    // What happens at the other tenant is heard by none of them; what happens here is.
    socket
        .subscribe("own", "messages", json!({"agent": "mine"}))
        .await;
    let mut said = request("theirs", "secret");
    said["conversationId"] = json!(owned.conversation);
    let path = "/v1/messages?wait=20s";
    world.as_key(&acme, "POST", path, said).await.is(200);
    for turn in ["1", "2"] {
        world
            .as_key(&other, "POST", path, request("mine", turn))
            .await
            .is(200);
        // The question and its answer.
        for _ in 0..2 {
            let mut heard = socket.hear().await;
            while heard["id"] != "own" {
                let whole = heard.to_string();
                assert!(
                    !whole.contains("secret") && !whole.contains("theirs@"),
                    "{whole}"
                );
                heard = socket.hear().await;
            }
            assert_eq!(heard["data"]["content"], turn, "{heard}");
        }
    }
    owned.is_whole(&world, &acme).await;
}
