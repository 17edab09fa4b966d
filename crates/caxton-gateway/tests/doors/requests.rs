//! The log of requests: what is in it, what is not, and how it is found.

use caxton_core::error::Code;
use serde_json::{Value, json};

use crate::support::{World, request};

#[tokio::test]
async fn every_call_of_somebody_known_is_there() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (id, key) = world.key("acme", "admin", &[]).await;
    let (_, other) = world.key("default", "admin", &[]).await;
    let headers = [
        ("authorization", ""),
        ("x-api-key", key.as_str()),
        ("x-request-id", "mine-1"),
    ];
    let sent = request("nobody", "the secret of the content").to_string();
    let path = "/v1/messages?wait=1s";
    world.call_with("POST", path, &sent, &headers).await.is(404);
    world
        .as_key("cx_key_nobodys", "GET", "/v1/agents", Value::Null)
        .await
        .is(401);
    let mut client = world.grpc().await;
    let asked = caxton_api::v1::GetAgentRequest {
        agent: "nobody".into(),
    };
    let mut asked = tonic::Request::new(asked);
    asked
        .metadata_mut()
        .insert("x-api-key", key.parse().unwrap());
    client.get_agent(asked).await.unwrap_err();
    let listed = world
        .as_key(&key, "GET", "/v1/requests", Value::Null)
        .await
        .is(200);
    assert!(
        !listed.text.contains("secret")
            && !listed.text.contains(&key)
            && !listed.text.contains("wait=")
    );
    let listed = listed.json();
    let rows: Vec<(&str, u64)> = listed["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["operation"].as_str().unwrap(),
                it["status"].as_u64().unwrap(),
            )
        })
        .collect();
    // The newest first; what the platform did in the tenant too, and nobody's not at all.
    assert_eq!(
        rows,
        [
            ("caxton.v1.CaxtonManagement/GetAgent", 404),
            ("caxton.v1.CaxtonManagement/SendMessage", 404),
            ("caxton.v1.Keys/CreateKey", 201),
        ]
    );
    let sent = &listed["requests"][1];
    assert_eq!(
        (&sent["id"], &sent["path"]),
        (&json!("mine-1"), &json!("/v1/messages"))
    );
    assert_eq!(sent["actor"], format!("key:{id}"));
    assert_eq!(sent["traceId"].as_str().unwrap().len(), 32);
    assert_ne!(sent["durationUs"], "0");
    let others = world
        .as_key(&other, "GET", "/v1/requests", Value::Null)
        .await
        .json();
    assert!(!others.to_string().contains("mine-1"), "another tenant's");
}

#[tokio::test]
async fn it_is_searched_and_paged() {
    let world = World::new().await;
    for n in 0..7 {
        let id = format!("r-{n}");
        let headers = [("x-request-id", id.as_str())];
        let path = if n % 2 == 0 {
            "/v1/agents"
        } else {
            "/v1/agents/nobody"
        };
        world.call_with("GET", path, "", &headers).await;
        // Several blocks.
        if n % 3 == 0 {
            world.app.flush().await;
        }
    }
    world.app.flush().await;
    let find = async |query: &str| -> Vec<String> {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!(
                "/v1/requests?{query}&pageSize=2&until=2100-01-01T00:00:00Z&operation=Agent&pageToken={token}"
            );
            let path = if query.contains("operation") {
                path.replace("&operation=Agent", "")
            } else {
                path
            };
            let page = world.get(&path).await.is(200).json();
            let ids = page["requests"].as_array().unwrap().iter();
            seen.extend(ids.map(|it| it["id"].as_str().unwrap().to_owned()));
            token = page["nextPageToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                return seen;
            }
        }
    };
    assert_eq!(find("status=404").await, ["r-5", "r-3", "r-1"]);
    assert_eq!(find("status=4").await, ["r-5", "r-3", "r-1"]);
    assert_eq!(
        find("operation=ListAgents").await,
        ["r-6", "r-4", "r-2", "r-0"]
    );
    assert_eq!(find("id=r-4&operation=").await, ["r-4"]);
    assert_eq!(find("actor=key:none").await, [""; 0]);
    assert_eq!(find("status=404&from=2100-01-01T00:00:00Z").await, [""; 0]);
    world.get("/v1/requests?from=now").await.is(400);
    world.get("/v1/requests?pageToken=00").await.is(400);
}

#[tokio::test]
async fn a_key_in_a_path_is_written_down_nowhere() {
    let world = World::new().await;
    let (id, key) = world.key("default", "viewer", &[]).await;
    let secret = key.rsplit('_').next().unwrap();
    let path = format!("/v1/keys/{key}");
    let missing = world.call("DELETE", &path, "").await;
    let denied = world.as_key(&key, "DELETE", &path, Value::Null).await;
    for problem in [
        missing.problem(404, Code::KeyNotFound),
        denied.problem(403, Code::PermissionDenied),
    ] {
        assert_eq!(problem["instance"], format!("/v1/keys/cx_key_{id}_…"));
        assert!(!problem.to_string().contains(secret), "{problem}");
    }
    for told in ["/v1/requests", "/v1/audit"] {
        let told = world.get(told).await.is(200).text;
        assert!(told.contains(&format!("/v1/keys/cx_key_{id}_…")), "{told}");
        assert!(!told.contains(secret), "{told}");
    }
}
