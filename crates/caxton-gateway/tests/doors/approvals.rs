//! Approvals, at the doors.

use caxton_core::error::Code;
use serde_json::{Value, json};

use crate::support::World;
use crate::tools::{http, waiting};

#[tokio::test]
async fn a_person_agrees_to_exactly_one_call() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (_, key) = world.key("acme", "admin", &[]).await;
    world
        .as_key(&key, "POST", "/v1/tools", http("theirs"))
        .await
        .is(201);
    let id = waiting(&world, &key).await;
    let path = format!("/v1/approvals/{id}");
    let shown = world
        .as_key(&key, "GET", &path, Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(shown["tool"], "theirs");
    assert_eq!(shown["agent"], "handy");
    assert_eq!(shown["state"], "pending");
    assert_eq!(shown["arguments"]["city"], "Bern");
    let digest = shown["digest"].as_str().unwrap();
    assert_eq!(digest.len(), 64);

    let approve = format!("{path}/approve");
    let other = json!({"digest": "0".repeat(64)});
    world
        .as_key(&key, "POST", &approve, other)
        .await
        .problem(409, Code::ApprovalMismatch);
    let no_digest = json!({"digest": "xyz"});
    let problem = world
        .as_key(&key, "POST", &approve, no_digest)
        .await
        .problem(400, Code::ParameterMalformed);
    assert_eq!(problem["fields"][0]["field"], "digest");
    let (_, viewer) = world.key("acme", "viewer", &[]).await;
    world
        .as_key(&viewer, "POST", &approve, json!({}))
        .await
        .problem(403, Code::PermissionDenied);

    let agreed = json!({"digest": digest, "note": "go on"});
    let agreed = world
        .as_key(&key, "POST", &approve, agreed)
        .await
        .is(200)
        .json();
    assert_eq!(
        (&agreed["state"], &agreed["note"]),
        (&json!("approved"), &json!("go on"))
    );
    assert!(!agreed["decidedBy"].as_str().unwrap().is_empty());
    for verb in ["approve", "deny"] {
        let path = format!("{path}/{verb}");
        let again = world.as_key(&key, "POST", &path, json!({}));
        again.await.problem(409, Code::ApprovalDecided);
    }
    // The call is made.
    loop {
        let listed = world
            .as_key(&key, "GET", "/v1/toolCalls?agent=handy", Value::Null)
            .await
            .is(200)
            .json();
        let call = &listed["toolCalls"][0];
        if call["outcome"] == "ok" {
            assert_eq!(call["approval"], id);
            break;
        }
        tokio::task::yield_now().await;
    }
    let listed = world
        .as_key(&key, "GET", "/v1/approvals", Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(listed["approvals"].as_array().unwrap().len(), 1);
    let pending = world
        .as_key(&key, "GET", "/v1/approvals?state=pending", Value::Null)
        .await
        .json();
    assert_eq!(pending["approvals"], json!([]));
    let problem = world
        .as_key(&key, "GET", "/v1/approvals?state=odd", Value::Null)
        .await
        .problem(400, Code::ParameterMalformed);
    assert_eq!(problem["fields"][0]["field"], "state");
    world
        .as_key(&key, "GET", "/v1/approvals/none", Value::Null)
        .await
        .problem(404, Code::ApprovalNotFound);
}
