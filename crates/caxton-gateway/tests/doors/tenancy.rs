//! Tenants and their keys: their life, and the wall between them.

use caxton_core::{Code, TenantId};
use caxton_engine::port::Store as _;
use caxton_engine::port::memory::MemoryStore;
use serde_json::{Value, json};

use crate::support::{World, agent, guard, request};

#[tokio::test]
async fn a_tenants_life() {
    let world = World::new().await;
    let made = world.post("/v1/tenants", json!({"id": "acme", "displayName": "Acme"}));
    let made = made.await.is(201).json();
    assert_eq!(made["id"], "acme");
    assert_eq!(
        (&made["state"], &made["storage"]),
        (&json!("active"), &json!("shared"))
    );
    let again = world.post("/v1/tenants", json!({"id": "acme"})).await;
    again.problem(409, Code::TenantExists);
    for bad in ["", "Acme", "a/b", "$platform", "-a"] {
        let refused = world.post("/v1/tenants", json!({"id": bad})).await;
        refused.problem(400, Code::TenantIdMalformed);
    }
    let wrong = json!({"id": "b", "storage": "cloud"});
    let refused = world.post("/v1/tenants", wrong).await;
    refused.problem(400, Code::ParameterMalformed);

    let listed = world.get("/v1/tenants").await.is(200).json();
    let ids: Vec<&Value> = listed["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert_eq!(ids, ["acme", "default"]);
    let page = world.get("/v1/tenants?pageSize=1").await.json();
    assert_eq!(page["tenants"][0]["id"], "acme");
    let token = page["nextPageToken"].as_str().unwrap();
    let page = world
        .get(&format!("/v1/tenants?pageSize=1&pageToken={token}"))
        .await
        .json();
    assert_eq!(page["tenants"][0]["id"], "default");
    assert_eq!(page["nextPageToken"], "");

    let renamed = json!({"displayName": "Acme Ltd"}).to_string();
    let renamed = world
        .call("PATCH", "/v1/tenants/acme", &renamed)
        .await
        .is(200)
        .json();
    assert_eq!(renamed["displayName"], "Acme Ltd");
    assert_eq!(world.get("/v1/tenants/acme").await.json(), renamed);
    let same = world.call("PATCH", "/v1/tenants/acme", "{}").await.is(200);
    assert_eq!(same.json(), renamed, "nothing changed, its time neither");

    for storage in ["dedicated", "shared"] {
        let moved = json!({ "storage": storage }).to_string();
        let moved = world.call("PATCH", "/v1/tenants/acme", &moved).await;
        assert_eq!(moved.is(200).json()["storage"], storage);
    }
    let own = world.post("/v1/tenants", json!({"id": "own", "storage": "dedicated"}));
    assert_eq!(own.await.is(201).json()["storage"], "dedicated");
    world.call("DELETE", "/v1/tenants/own", "").await.is(204);

    world.call("DELETE", "/v1/tenants/acme", "").await.is(204);
    world
        .get("/v1/tenants/acme")
        .await
        .problem(404, Code::TenantNotFound);
    let again = world.call("DELETE", "/v1/tenants/acme", "").await;
    again.problem(404, Code::TenantNotFound);
    let again = world.post("/v1/tenants", json!({"id": "acme"})).await;
    again.problem(409, Code::TenantExists);
    let default = world.call("DELETE", "/v1/tenants/default", "").await;
    default.problem(409, Code::TenantProtected);
}

#[tokio::test]
async fn a_removed_tenant_leaves_nothing() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (_, key) = world.key("acme", "admin", &[]).await;
    world
        .as_key(&key, "POST", "/v1/agents", agent("a", "echo", ""))
        .await
        .is(201);
    let said = world
        .as_key(&key, "POST", "/v1/messages?wait=20s", request("a", "x"))
        .await;
    said.is(200);
    world.call("DELETE", "/v1/tenants/acme", "").await.is(204);
    let refused = world.as_key(&key, "GET", "/v1/agents", Value::Null).await;
    refused.problem(401, Code::Unauthenticated);
    let headers = [("caxton-tenant", "acme")];
    let gone = world.call_with("GET", "/v1/agents", "", &headers).await;
    gone.problem(404, Code::TenantNotFound);
}

#[tokio::test]
async fn a_suspended_tenant_rests_and_goes_on() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (_, key) = world.key("acme", "admin", &[]).await;
    world
        .as_key(&key, "POST", "/v1/agents", agent("a", "echo", ""))
        .await
        .is(201);
    let suspended = world
        .post("/v1/tenants/acme/suspend", json!({}))
        .await
        .is(200)
        .json();
    assert_eq!(suspended["state"], "suspended");
    let refused = world.as_key(&key, "GET", "/v1/agents", Value::Null).await;
    refused.problem(403, Code::TenantSuspended);
    // The platform may look, and what it sends waits.
    let headers = [("caxton-tenant", "acme")];
    let body = request("a", "later").to_string();
    world
        .call_with("POST", "/v1/messages", &body, &headers)
        .await
        .is(202);
    let listed = world
        .call_with("GET", "/v1/messages?agent=a", "", &headers)
        .await
        .json();
    assert_eq!(
        listed["messages"].as_array().unwrap().len(),
        1,
        "nothing answers: {listed}"
    );
    // Where it would wait for an answer it is told at once.
    for asked in ["/v1/agents/a/invoke", "/v1/agents/a/jobs"] {
        let body = json!({"content": "now"}).to_string();
        let refused = world.call_with("POST", asked, &body, &headers).await;
        refused.problem(403, Code::TenantSuspended);
    }
    // An agent that comes into it now rests as well.
    world
        .call_with(
            "POST",
            "/v1/agents",
            &agent("late", "echo", "").to_string(),
            &headers,
        )
        .await
        .is(201);
    let body = request("late", "soon").to_string();
    world
        .call_with("POST", "/v1/messages", &body, &headers)
        .await
        .is(202);
    let listed = world
        .call_with("GET", "/v1/messages?agent=late", "", &headers)
        .await
        .json();
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1, "{listed}");
    world
        .post("/v1/tenants/acme/resume", json!({}))
        .await
        .is(200);
    let answered = async {
        loop {
            let listed = world
                .as_key(&key, "GET", "/v1/messages?agent=a", Value::Null)
                .await;
            if listed.is(200).json()["messages"].as_array().unwrap().len() == 2 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    guard(answered).await;
}

#[tokio::test]
async fn a_keys_life() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (id, key) = world.key("acme", "developer", &["agents:*"]).await;
    assert!(key.starts_with(&format!("cx_key_{id}_")), "{key}");
    let listed = world.as_key(&key, "GET", "/v1/agents", Value::Null).await;
    assert_eq!(listed.is(200).json()["agents"], json!([]));
    let narrowed = world.as_key(&key, "GET", "/v1/messages", Value::Null).await;
    narrowed.problem(403, Code::PermissionDenied);

    let headers = [("caxton-tenant", "acme")];
    let path = format!("/v1/keys/{id}");
    let shown = world.call_with("GET", &path, "", &headers).await.is(200);
    assert!(!shown.text.contains(key.rsplit('_').next().unwrap()));
    let shown = shown.json();
    assert_eq!(shown["creator"], "admin");
    assert!(shown["lastUsedTime"].is_string(), "{shown}");
    assert_eq!(
        shown["permissions"],
        json!([
            "agents:read",
            "agents:operate",
            "agents:write",
            "agents:invoke"
        ])
    );
    // In the tenant it is not of, it is not there.
    world.get(&path).await.problem(404, Code::KeyNotFound);

    let rotate = format!("{path}/rotate");
    let rotated = world
        .call_with("POST", &rotate, "{}", &headers)
        .await
        .is(200)
        .json();
    let newer = rotated["secret"].as_str().unwrap().to_owned();
    assert!(rotated["key"]["overlapEndTime"].is_string());
    for key in [&key, &newer] {
        world
            .as_key(key, "GET", "/v1/agents", Value::Null)
            .await
            .is(200);
    }
    // A month at most.
    let too_long = json!({"overlap": "31d"}).to_string();
    let refused = world.call_with("POST", &rotate, &too_long, &headers).await;
    let told = refused.problem(400, Code::ParameterMalformed);
    assert!(
        told["detail"].as_str().unwrap().contains("30 days"),
        "{told}"
    );
    let month = json!({"overlap": "30d"}).to_string();
    let rotated = world
        .call_with("POST", &rotate, &month, &headers)
        .await
        .is(200)
        .json();
    let newer = rotated["secret"].as_str().unwrap().to_owned();
    let at_once = json!({"overlap": "0s"}).to_string();
    let rotated = world
        .call_with("POST", &rotate, &at_once, &headers)
        .await
        .is(200)
        .json();
    let newest = rotated["secret"].as_str().unwrap().to_owned();
    for gone in [&key, &newer] {
        let refused = world.as_key(gone, "GET", "/v1/agents", Value::Null).await;
        refused.problem(401, Code::Unauthenticated);
    }
    world
        .as_key(&newest, "GET", "/v1/agents", Value::Null)
        .await
        .is(200);
    world.call_with("DELETE", &path, "", &headers).await.is(204);
    let refused = world
        .as_key(&newest, "GET", "/v1/agents", Value::Null)
        .await;
    refused.problem(401, Code::Unauthenticated);
    let again = world.call_with("DELETE", &path, "", &headers).await;
    again.problem(404, Code::KeyNotFound);
}

#[tokio::test]
async fn odd_keys_are_refused_alike() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (id, key) = world.key("acme", "admin", &[]).await;
    let (_, other) = world.key("acme", "admin", &[]).await;
    let (secret, others) = (
        key.rsplit('_').next().unwrap(),
        other.rsplit('_').next().unwrap(),
    );
    let odd = [
        key[..key.len() - 1].to_owned(),
        format!("{key}0"),
        format!("cx_key_{id}_{others}"),
        format!("cx_adm_{id}_{secret}"),
        format!("cx_pub_{id}_{secret}"),
        key.to_uppercase(),
        format!("cx_key_{}_{secret}", "0".repeat(id.len())),
        "cx_key__".to_owned(),
    ];
    let mut answers: Vec<Value> = Vec::new();
    for odd in odd {
        let refused = world.as_key(&odd, "GET", "/v1/agents", Value::Null).await;
        let mut problem = refused.problem(401, Code::Unauthenticated);
        problem["traceId"] = Value::Null;
        answers.push(problem);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn nobody_mints_more_than_it_has() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (_, narrow) = world
        .key("acme", "admin", &["keys:*", "agents:read", "roles:*"])
        .await;
    let mint = async |role: &str, scopes: Value| {
        let body = json!({"name": "x", "role": role, "scopes": scopes});
        world.as_key(&narrow, "POST", "/v1/keys", body).await
    };
    mint("admin", json!([]))
        .await
        .problem(403, Code::GrantExceeded);
    mint("viewer", json!([]))
        .await
        .problem(403, Code::GrantExceeded);
    mint("developer", json!(["agents:*"]))
        .await
        .problem(403, Code::GrantExceeded);
    mint("developer", json!(["agents:read"])).await.is(201);
    let platform =
        json!({"name": "x", "role": "viewer", "scopes": ["agents:read"], "platform": true});
    let platform = world.as_key(&narrow, "POST", "/v1/keys", platform).await;
    platform.problem(403, Code::PermissionDenied);
    let assign = json!({"subject": "user:https://id.example|u", "role": "viewer"});
    let assign = world
        .as_key(&narrow, "POST", "/v1/roleAssignments", assign)
        .await;
    assign.problem(403, Code::GrantExceeded);
    // Rotating a wider key would hand over its secret.
    let (wide, _) = world.key("acme", "admin", &[]).await;
    let rotated = world
        .as_key(
            &narrow,
            "POST",
            &format!("/v1/keys/{wide}/rotate"),
            json!({}),
        )
        .await;
    rotated.problem(403, Code::GrantExceeded);
    // What the operation itself decided is written down, as what was decided before it is.
    let headers = [("caxton-tenant", "acme")];
    let denied = world
        .call_with("GET", "/v1/audit?outcome=denied", "", &headers)
        .await
        .is(200)
        .json();
    let told = |entry: &Value| format!("{} {}", entry["action"], entry["code"]).replace('"', "");
    let told: Vec<String> = denied["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(told)
        .collect();
    let minted = "caxton.v1.Keys/CreateKey CX-4006";
    assert_eq!(
        told,
        [
            "caxton.v1.Keys/RotateKey CX-4006",
            "caxton.v1.Roles/CreateRoleAssignment CX-4006",
            "caxton.v1.Keys/CreateKey CX-4003",
            minted,
            minted,
            minted,
        ]
    );
    mint("root", json!([]))
        .await
        .problem(400, Code::RoleUnknown);
    mint("viewer", json!(["all"]))
        .await
        .problem(400, Code::ScopeUnknown);
}

#[tokio::test]
async fn a_platform_key_acts_where_it_says() {
    let world = World::new().await;
    world.tenant("acme").await;
    let body = json!({"name": "ops", "role": "operator", "platform": true});
    let made = world.post("/v1/keys", body).await.is(201).json();
    let key = made["secret"].as_str().unwrap().to_owned();
    assert!(key.starts_with("cx_adm_"), "{key}");
    assert_eq!(made["key"]["tenant"], "");
    world
        .as_key(&key, "GET", "/v1/tenants/acme", Value::Null)
        .await
        .is(200);
    let refused = world
        .as_key(&key, "POST", "/v1/tenants", json!({"id": "b"}))
        .await;
    refused.problem(403, Code::PermissionDenied);
    let listed = world.get("/v1/keys?platform=true").await.is(200).json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
    assert_eq!(world.get("/v1/keys").await.json()["keys"], json!([]));
    let id = made["key"]["id"].as_str().unwrap();
    world
        .call("DELETE", &format!("/v1/keys/{id}"), "")
        .await
        .is(204);
    let refused = world.as_key(&key, "GET", "/v1/tenants", Value::Null).await;
    refused.problem(401, Code::Unauthenticated);
}

#[tokio::test]
async fn roles_are_given_and_taken() {
    let world = World::new().await;
    let subject = "user:https://id.example/realms/a|jo";
    let given = json!({"subject": subject, "role": "viewer"});
    let given = world
        .post("/v1/roleAssignments", given)
        .await
        .is(201)
        .json();
    assert_eq!(
        (&given["id"], &given["role"]),
        (&json!(subject), &json!("viewer"))
    );
    let path = format!(
        "/v1/roleAssignments/{}",
        subject
            .replace(':', "%3A")
            .replace('/', "%2F")
            .replace('|', "%7C")
    );
    assert_eq!(world.get(&path).await.is(200).json(), given);
    let more = json!({"subject": subject, "role": "admin"});
    world.post("/v1/roleAssignments", more).await.is(201);
    let listed = world.get("/v1/roleAssignments").await.json();
    assert_eq!(listed["roleAssignments"].as_array().unwrap().len(), 1);
    assert_eq!(listed["roleAssignments"][0]["role"], "admin");
    world.call("DELETE", &path, "").await.is(204);
    world
        .get(&path)
        .await
        .problem(404, Code::RoleAssignmentNotFound);
    let gone = world.call("DELETE", &path, "").await;
    gone.problem(404, Code::RoleAssignmentNotFound);
    for wrong in ["", "jo", "key:abc", "user:jo"] {
        let body = json!({"subject": wrong, "role": "viewer"});
        world.post("/v1/roleAssignments", body).await.is(400);
    }
    let roles = world.get("/v1/roles").await.is(200).json();
    assert_eq!(roles["roles"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (id, key) = world.key("acme", "viewer", &[]).await;
    let (_, other) = world.key("acme", "viewer", &[]).await;
    let mut ends = world.events_as(&key, "/v1/messages/stream", None).await;
    let mut stays = world.events_as(&other, "/v1/messages/stream", None).await;
    let headers = [("caxton-tenant", "acme")];
    world
        .call_with("DELETE", &format!("/v1/keys/{id}"), "", &headers)
        .await
        .is(204);
    let last = guard(ends.next()).await.unwrap();
    assert_eq!(
        last.data["code"],
        Code::Unauthenticated.as_str(),
        "{last:?}"
    );
    assert!(guard(ends.next()).await.is_none());
    // The other goes on, until its tenant rests.
    world
        .post("/v1/tenants/acme/suspend", json!({}))
        .await
        .is(200);
    let last = guard(stays.next()).await.unwrap();
    assert_eq!(last.data["code"], Code::TenantSuspended.as_str());
}

#[tokio::test]
async fn a_rotated_key_ends_what_its_older_secrets_opened() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (id, key) = world.key("acme", "viewer", &[]).await;
    let headers = [("caxton-tenant", "acme")];
    let rotate = async |body: Value| {
        let path = format!("/v1/keys/{id}/rotate");
        let body = body.to_string();
        let rotated = world.call_with("POST", &path, &body, &headers);
        let rotated = rotated.await.is(200).json();
        rotated["secret"].as_str().unwrap_or_default().to_owned()
    };
    let mut first = world.events_as(&key, "/v1/messages/stream", None).await;
    rotate(json!({"overlap": "1h"})).await;
    // Its secret is good for an hour yet, and so is the stream; the next rotation ends both.
    rotate(json!({"overlap": "1h"})).await;
    let last = guard(first.next()).await.unwrap();
    assert_eq!(last.data["code"], Code::Unauthenticated.as_str());
    assert!(guard(first.next()).await.is_none());
}

#[tokio::test]
async fn no_key_outlives_the_key_that_made_it() {
    let world = World::new().await;
    world.tenant("acme").await;
    let headers = [("caxton-tenant", "acme")];
    let soon = json!({"name": "soon", "role": "admin", "expireTime": "2999-01-01T00:00:00Z"});
    let made = world
        .call_with("POST", "/v1/keys", &soon.to_string(), &headers)
        .await
        .is(201)
        .json();
    let key = made["secret"].as_str().unwrap();
    let mint = async |expires: Value| {
        let body = json!({"name": "x", "role": "viewer", "expireTime": expires});
        world.as_key(key, "POST", "/v1/keys", body).await
    };
    mint(Value::Null).await.problem(403, Code::GrantExceeded);
    let later = json!("2999-01-02T00:00:00Z");
    mint(later).await.problem(403, Code::GrantExceeded);
    mint(json!("2998-12-31T00:00:00Z")).await.is(201);
    // Rotated twice with the same idempotency key it is rotated once.
    let id = made["key"]["id"].as_str().unwrap();
    let headers = [("caxton-tenant", "acme"), ("idempotency-key", "once")];
    let path = format!("/v1/keys/{id}/rotate");
    let rotate = async || {
        let rotated = world.call_with("POST", &path, "{}", &headers).await;
        rotated.is(200).json()["secret"].clone()
    };
    assert_eq!(rotate().await, rotate().await);
}

#[tokio::test]
async fn a_look_at_a_tenant_that_is_not_there_leaves_nothing() {
    let world = World::new().await;
    for what in ["usage", "quota", "limits"] {
        let path = format!("/v1/tenants/nosuch/{what}");
        let missing = world.get(&path).await;
        missing.problem(404, Code::TenantNotFound);
    }
    let kept = MemoryStore::open(world.disk.clone()).tenants().await;
    let nosuch = |it: &TenantId| it.as_str() == "nosuch";
    assert!(!kept.unwrap().iter().any(nosuch));
}
