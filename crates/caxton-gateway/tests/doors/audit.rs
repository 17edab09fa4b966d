//! The audit at the doors: what is written, who reads it, and what happens when it cannot be written.

use std::sync::atomic::Ordering;

use caxton_core::Code;
use caxton_core::audit::Verifier;
use caxton_engine::audit::check_signature;
use serde_json::{Value, json};

use crate::support::{World, guard};

fn rows(listed: &Value) -> Vec<(&str, &str)> {
    let entries = listed["entries"].as_array().unwrap().iter();
    entries
        .map(|it| {
            (
                it["action"].as_str().unwrap(),
                it["outcome"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn acts_denials_and_failures_are_written() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (_, admin) = world.key("acme", "admin", &[]).await;
    let (viewer_id, viewer) = world.key("acme", "viewer", &[]).await;
    let denied = world
        .as_key(&viewer, "DELETE", "/v1/agents/a", Value::Null)
        .await;
    denied.problem(403, Code::PermissionDenied);
    let failed = crate::support::agent("a", "no such component", "");
    let failed = world.as_key(&admin, "POST", "/v1/agents", failed).await;
    assert!(failed.status.is_client_error(), "{failed:?}");
    let listed = world
        .as_key(&admin, "GET", "/v1/audit", Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(
        rows(&listed),
        [
            ("agent.deploy", "failed"),
            ("agent.deploy", "permitted"),
            ("caxton.v1.CaxtonManagement/DeleteAgent", "denied"),
            ("key.create", "permitted"),
            ("key.create", "permitted"),
        ]
    );
    // The platform made the keys, for the tenant; the tenant's own acts are for nobody else.
    let behalf = |at: usize| listed["entries"][at]["behalf"].as_str().unwrap_or_default();
    let behalves: Vec<&str> = (0..5).map(behalf).collect();
    assert_eq!(behalves, ["", "", "", "tenant:acme", "tenant:acme"]);
    let entry = &listed["entries"][2];
    assert_eq!(entry["actor"], format!("key:{viewer_id}"));
    assert_eq!(
        (&entry["code"], &entry["target"]),
        (&json!("CX-4003"), &json!("/v1/agents/a"))
    );
    assert_eq!(entry["traceId"].as_str().unwrap().len(), 32);
    // A viewer may not read it, and another tenant has a chain of its own.
    let refused = world.as_key(&viewer, "GET", "/v1/audit", Value::Null).await;
    refused.problem(403, Code::PermissionDenied);
    world.tenant("other").await;
    let (_, other) = world.key("other", "admin", &[]).await;
    let listed = world
        .as_key(&other, "GET", "/v1/audit", Value::Null)
        .await
        .json();
    assert_eq!(rows(&listed), [("key.create", "permitted")]);
    let refused = world
        .as_key(&other, "GET", "/v1/audit?platform=true", Value::Null)
        .await;
    refused.problem(403, Code::PermissionDenied);
}

#[tokio::test]
async fn filters_and_pages() {
    let world = World::new().await;
    for name in 0..5 {
        let body = json!({"name": format!("k{name}"), "role": "viewer"});
        world.post("/v1/keys", body).await.is(201);
    }
    let given = json!({"subject": "user:https://id.example|jo", "role": "viewer"});
    world.post("/v1/roleAssignments", given).await.is(201);
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let path = format!("/v1/audit?action=key.&pageSize=2&pageToken={token}");
        let page = world.get(&path).await.is(200).json();
        seen.extend(
            page["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["sequence"].as_str().unwrap().to_owned()),
        );
        token = page["nextPageToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["5", "4", "3", "2", "1"]);
    let roles = world.get("/v1/audit?action=role.").await.json();
    let target = roles["entries"][0]["target"].as_str().unwrap();
    assert!(
        target.starts_with("roleAssignments/person:"),
        "people by pseudonym: {target}"
    );
    assert!(!roles.to_string().contains("jo\""), "{roles}");
    let none = world
        .get("/v1/audit?until=2001-01-01T00:00:00Z")
        .await
        .json();
    assert_eq!(none["entries"], json!([]));
    world
        .get("/v1/audit?from=yesterday")
        .await
        .problem(400, Code::TimeMalformed);
    world
        .get("/v1/audit?outcome=maybe")
        .await
        .problem(400, Code::ParameterMalformed);
    let forged = format!("/v1/audit?pageToken={}", "0".repeat(32));
    world
        .get(&forged)
        .await
        .problem(400, Code::ParameterMalformed);
    let missing = world
        .call("DELETE", "/v1/audit/persons/person%3A00", "")
        .await;
    missing.problem(404, Code::PersonNotFound);
    let person = target
        .split_whitespace()
        .next()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let erase = format!("/v1/audit/persons/{}", person.replace(':', "%3A"));
    world.call("DELETE", &erase, "").await.is(204);
    world
        .call("DELETE", &erase, "")
        .await
        .problem(404, Code::PersonNotFound);
}

#[tokio::test]
async fn an_export_verifies() {
    let world = World::new().await;
    for name in 0..3 {
        let body = json!({"name": format!("k{name}"), "role": "viewer"});
        world.post("/v1/keys", body).await.is(201);
    }
    let head = world.get("/v1/audit/head").await.is(200).json();
    assert_eq!(head["sequence"], "3");
    let mut lines = world.events("/v1/audit/export", None).await;
    let mut verifier = Verifier::default();
    while let Some(event) = guard(lines.next()).await {
        verifier
            .line(event.data["line"].as_str().unwrap(), &check_signature)
            .unwrap();
    }
    let report = verifier.finish(head["publicKey"].as_str()).unwrap();
    assert_eq!(report.entries, 3);
    assert_eq!(report.head.hash.to_string(), head["hash"].as_str().unwrap());
}

#[tokio::test]
async fn what_cannot_be_audited_is_refused() {
    let world = World::new().await;
    let (id, key) = world.key("default", "viewer", &[]).await;
    world.store_broken.store(true, Ordering::SeqCst);
    let refused = world.call("DELETE", &format!("/v1/keys/{id}"), "").await;
    refused.problem(503, Code::AuditUnavailable);
    let told = world.get("/readyz/audit?verbose").await.is(200).text;
    let expected = "[!]audit degraded: its last entry could not be written";
    assert!(told.starts_with(expected), "{told}");
    world.store_broken.store(false, Ordering::SeqCst);
    world
        .as_key(&key, "GET", "/v1/agents", Value::Null)
        .await
        .is(200);
    world
        .call("DELETE", &format!("/v1/keys/{id}"), "")
        .await
        .is(204);
    let listed = world.get("/v1/audit").await.json();
    assert_eq!(
        rows(&listed),
        [("key.revoke", "permitted"), ("key.create", "permitted")]
    );
}
