//! Tools, their calls and what is permitted, at the doors.

use caxton_core::error::Code;
use serde_json::{Value, json};

use crate::support::{World, agent, request};

/// An HTTP tool with a function of its own name, and others.
pub fn http(name: &str) -> Value {
    let function = |name: &str, effect: &str| {
        json!({
            "name": name,
            "description": format!("What {name} does."),
            "inputSchema": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "pin": {"type": "string", "writeOnly": true},
                },
                "additionalProperties": false,
            },
            "method": "POST",
            "path": format!("/{name}"),
            "effect": effect,
        })
    };
    json!({
        "name": name,
        "description": "A tool of a test.",
        "http": {
            "baseUrl": "https://api.example.com/v1",
            "auth": {"type": "header", "name": "x-key"},
            "functions": [
                function(name, "reads"),
                function("fails", "reads"),
                function("trips", "reads"),
                function("paints", "reads"),
                function("changes", "acts"),
            ],
        },
        "secret": "s3cret-of-the-tool",
    })
}

/// Lets an agent ask for a call that a person must agree to, and gives the approval's id.
pub async fn waiting(world: &World, key: &str) -> String {
    let manifest = "[tools]\nask = [\"theirs\"]\n";
    world
        .as_key(key, "POST", "/v1/agents", agent("handy", "handy", manifest))
        .await
        .is(201);
    let said = request("handy", r#"theirs {"city": "Bern", "pin": "1234"}"#);
    world
        .as_key(key, "POST", "/v1/messages", said)
        .await
        .is(202);
    loop {
        let listed = world
            .as_key(key, "GET", "/v1/approvals?state=pending", Value::Null)
            .await;
        let listed = listed.is(200).json();
        if let Some(id) = listed["approvals"][0]["id"].as_str() {
            return id.to_owned();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_list_of_tools_pages_through_the_tenants_and_the_servers() {
    let world = World::new().await;
    for name in ["a", "b"] {
        world.post("/v1/tools", http(name)).await.is(201);
    }
    let names = |page: &Value| {
        let tools = page["tools"].as_array().unwrap().iter();
        let names = tools.map(|it| it["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let all = world.get("/v1/tools").await.is(200).json();
    let all = names(&all);
    assert!(all.len() > 3 && all[..2] == ["a", "b"], "{all:?}");
    for size in 1..=all.len() {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/tools?pageSize={size}&pageToken={token}");
            let page = world.get(&path).await.is(200).json();
            let found = names(&page);
            assert!((1..=size).contains(&found.len()), "{size}: {page}");
            seen.extend(found);
            token = page["nextPageToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, all, "{size}");
    }
    let made_up = world.get("/v1/tools?pageToken=00").await;
    assert_eq!(made_up.status, 400);
}

#[tokio::test]
async fn a_tool_is_registered_shown_replaced_and_removed() {
    let world = World::new().await;
    let made = world.post("/v1/tools", http("weather")).await.is(201);
    assert!(!made.text.contains("s3cret"), "{}", made.text);
    let made = made.json();
    assert_eq!(
        (&made["kind"], &made["hasSecret"]),
        (&json!("http"), &json!(true))
    );
    assert_eq!(made["functions"][0]["id"], "weather");
    assert_eq!(made["functions"][1]["id"], "weather.fails");
    assert_eq!(made["functions"][0]["state"], "agreed");
    assert_eq!(
        made["http"]["auth"],
        json!({"type": "header", "name": "x-key"})
    );
    assert_eq!(made["http"]["functions"][4]["effect"], "acts");
    let shown = world.get("/v1/tools/weather").await.is(200).json();
    assert_eq!(shown, made);
    world
        .post("/v1/tools", http("weather"))
        .await
        .problem(409, Code::ToolExists);

    let mut other = http("weather");
    other.as_object_mut().unwrap().remove("name");
    other.as_object_mut().unwrap().remove("secret");
    other["priceMicros"] = json!("250");
    let replaced = world
        .call("PUT", "/v1/tools/weather", &other.to_string())
        .await
        .is(200)
        .json();
    assert_eq!(replaced["priceMicros"], "250");
    // The same address keeps its secret; another never gets it.
    assert_eq!(replaced["hasSecret"], true);
    other["http"]["baseUrl"] = json!("https://other.example.com");
    let moved = world
        .call("PUT", "/v1/tools/weather", &other.to_string())
        .await
        .is(200)
        .json();
    assert_eq!(moved["hasSecret"], false);

    let listed = world.get("/v1/tools").await.is(200).json();
    let names: Vec<&str> = listed["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"weather") && names.contains(&"files"),
        "{names:?}"
    );
    world.call("DELETE", "/v1/tools/weather", "").await.is(204);
    for (verb, path) in [
        ("GET", "/v1/tools/weather"),
        ("DELETE", "/v1/tools/weather"),
        ("GET", "/v1/tools/weather/calls"),
        ("POST", "/v1/tools/weather/refresh"),
        ("POST", "/v1/tools/weather/accept"),
        ("POST", "/v1/tools/weather/call"),
        ("GET", "/v1/tools/..%2Fescape"),
    ] {
        world
            .call(verb, path, "")
            .await
            .problem(404, Code::ToolNotFound);
    }
    world
        .call("DELETE", "/v1/tools/files", "")
        .await
        .problem(403, Code::PermissionDenied);
}

#[tokio::test]
async fn what_is_wrong_with_a_definition_is_named() {
    let world = World::new().await;
    let check = async |change: fn(&mut Value), field: &str| {
        let mut tool = http("weather");
        change(&mut tool);
        let problem = world
            .post("/v1/tools", tool)
            .await
            .problem(400, Code::ToolMalformed);
        if !field.is_empty() {
            assert_eq!(problem["fields"][0]["field"], field, "{problem}");
        }
    };
    check(|it| it["name"] = json!("Weather!"), "name").await;
    check(|it| it["name"] = json!("agent"), "name").await;
    check(
        |it| drop(it.as_object_mut().unwrap().remove("http")),
        "http",
    )
    .await;
    check(|it| it["mcp"] = json!({"url": "https://x.example"}), "http").await;
    check(|it| it["http"]["baseUrl"] = json!(""), "http.baseUrl").await;
    check(|it| it["http"]["baseUrl"] = json!("ftp://x"), "").await;
    check(
        |it| it["http"]["auth"] = json!({"type": "magic"}),
        "http.auth.type",
    )
    .await;
    check(
        |it| it["http"]["auth"] = json!({"type": "header"}),
        "http.auth.name",
    )
    .await;
    check(
        |it| it["http"]["functions"][0]["effect"] = json!("maybe"),
        "http.functions[0].effect",
    )
    .await;
    check(
        |it| it["http"]["functions"][1]["name"] = json!("a b"),
        "http.functions[1].name",
    )
    .await;
    check(
        |it| it["http"]["functions"][2]["places"] = json!({"city": "cookie"}),
        "http.functions[2].places.city",
    )
    .await;
    check(
        |it| it["http"]["functions"][0]["path"] = json!("/{nobody}"),
        "",
    )
    .await;
    check(|it| it["http"]["openapi"] = json!("{}"), "http.functions").await;
    check(|it| it["http"]["only"] = json!(["a"]), "http.only").await;
    let unknown = json!({"name": "x", "shell": {"command": "rm"}});
    world
        .post("/v1/tools", unknown)
        .await
        .problem(400, Code::FieldUnknown);
    let program = json!({"name": "x", "mcp": {"program": "sh"}});
    let status = world.post("/v1/tools", program).await.status.as_u16();
    assert!(
        [400, 403].contains(&status),
        "a tenant runs no programs: {status}"
    );
}

#[tokio::test]
async fn an_openapi_document_becomes_functions() {
    let world = World::new().await;
    let of = |document: &str| json!({"name": "pets", "http": {"openapi": document, "auth": {"type": "bearer"}}});
    world
        .post("/v1/tools", of("bad"))
        .await
        .problem(400, Code::ToolMalformed);
    let made = world.post("/v1/tools", of("{}")).await.is(201).json();
    assert_eq!(made["functions"][0]["id"], "pets.listPets");
    assert_eq!(made["http"]["baseUrl"], "https://pets.example");
    assert_eq!(made["http"].get("openapi"), None);
}

#[tokio::test]
async fn a_function_is_called_and_its_call_stands_in_the_log_without_its_secrets() {
    let world = World::new().await;
    world.post("/v1/tools", http("weather")).await.is(201);
    let asked = json!({"arguments": {"city": "Bern", "pin": "1234"}});
    let done = world
        .post("/v1/tools/weather/call", asked)
        .await
        .is(200)
        .json();
    assert_eq!(done["isError"], false);
    assert_eq!(done["structured"]["arguments"]["city"], "Bern");
    assert_eq!(done["call"]["outcome"], "ok");
    assert_eq!(
        done["call"]["arguments"],
        json!({"city": "Bern", "pin": "[redacted]"})
    );
    let id = done["call"]["id"].as_str().unwrap().to_owned();
    let shown = world.get(&format!("/v1/toolCalls/{id}")).await.is(200);
    assert!(!shown.text.contains("1234"), "{}", shown.text);
    assert_eq!(shown.json()["traceId"].as_str().unwrap().len(), 32);

    let call = async |function: &str, arguments: Value| {
        let body = json!({"function": function, "arguments": arguments});
        world.post("/v1/tools/weather/call", body).await
    };
    let failed = call("fails", json!({})).await.is(200).json();
    assert_eq!(
        (&failed["isError"], &failed["call"]["outcome"]),
        (&json!(true), &json!("error"))
    );
    call("trips", json!({}))
        .await
        .problem(403, Code::EgressRefused);
    call("nothing", json!({}))
        .await
        .problem(404, Code::ToolNotFound);
    call("weather", json!({"town": "Bern"}))
        .await
        .problem(422, Code::ToolArguments);
    let painted = call("paints", json!({})).await.is(200).json();
    assert_eq!(painted["content"][0]["mediaType"], "image/png");
    let body = json!({"arguments": ["Bern"]}).to_string();
    world
        .call("POST", "/v1/tools/weather/call", &body)
        .await
        .problem(400, Code::ParameterMalformed);

    let listed = world.get("/v1/tools/weather/calls").await.is(200).json();
    let outcomes: Vec<&str> = listed["toolCalls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["outcome"].as_str().unwrap())
        .collect();
    for outcome in ["ok", "error", "failed"] {
        assert!(outcomes.contains(&outcome), "{outcomes:?}");
    }
    // Page by page, each once.
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let page = world
            .get(&format!("/v1/toolCalls?pageSize=2&pageToken={token}"))
            .await
            .is(200)
            .json();
        let rows = page["toolCalls"].as_array().unwrap();
        assert!(rows.len() <= 2);
        seen.extend(rows.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        token = page["nextPageToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    let mut each = seen.clone();
    each.dedup();
    assert_eq!(each, seen);
    assert!(
        seen.contains(&id) && seen.len() >= outcomes.len(),
        "{seen:?}"
    );
    let none = world.get("/v1/toolCalls?agent=nobody").await.is(200).json();
    assert_eq!(none["toolCalls"], json!([]));
    world
        .get("/v1/toolCalls/none")
        .await
        .problem(404, Code::ToolCallNotFound);
}

#[tokio::test]
async fn a_repeated_call_with_a_key_is_made_once() {
    let world = World::new().await;
    world.post("/v1/tools", http("weather")).await.is(201);
    let body = json!({"arguments": {"city": "Bern"}}).to_string();
    let keyed = [("idempotency-key", "once")];
    let path = "/v1/tools/weather/call";
    let first = world
        .call_with("POST", path, &body, &keyed)
        .await
        .is(200)
        .json();
    let again = world
        .call_with("POST", path, &body, &keyed)
        .await
        .is(200)
        .json();
    assert_eq!(first["call"]["id"], again["call"]["id"]);
    world.call_with("POST", path, "{}", &keyed).await.is(422);
    let listed = world.get("/v1/tools/weather/calls").await.is(200).json();
    assert_eq!(listed["toolCalls"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_tenant_permits_is_kept_and_holds() {
    let world = World::new().await;
    world.post("/v1/tools", http("weather")).await.is(201);
    let silent = world.get("/v1/toolPolicy").await.is(200).json();
    assert_eq!(
        silent,
        json!({"allow": [], "ask": [], "deny": [], "sandbox": false, "egressAllow": []})
    );
    let policy = json!({"allow": [], "ask": ["files.write"], "deny": ["weather.fails"], "sandbox": false, "egressAllow": ["*.example.com"]});
    let set = world
        .call("PUT", "/v1/toolPolicy", &policy.to_string())
        .await
        .is(200)
        .json();
    assert_eq!(set, policy);
    assert_eq!(world.get("/v1/toolPolicy").await.json(), policy);
    let denied = json!({"function": "fails"});
    world
        .post("/v1/tools/weather/call", denied)
        .await
        .problem(403, Code::ToolDenied);
    let bad = json!({"deny": ["weather.fails", "a b"]}).to_string();
    let problem = world
        .call("PUT", "/v1/toolPolicy", &bad)
        .await
        .problem(400, Code::ToolPatternMalformed);
    assert_eq!(problem["fields"][0]["field"], "deny[1]");
    assert_eq!(world.get("/v1/toolPolicy").await.json(), policy);
}

#[tokio::test]
async fn a_tool_that_could_never_be_called_says_so_when_it_is_registered() {
    let world = World::new().await;
    let policy = |hosts: &[&str]| json!({"egressAllow": hosts}).to_string();
    let set = async |hosts: &[&str]| {
        let set = world.call("PUT", "/v1/toolPolicy", &policy(hosts)).await;
        set.is(200);
    };
    set(&["*.example.org"]).await;
    let mcp = json!({"name": "remote", "mcp": {"url": "https://mcp.example.com/mcp"}});
    for (tool, host) in [
        (http("weather"), "api.example.com"),
        (mcp, "mcp.example.com"),
    ] {
        let refused = world.post("/v1/tools", tool).await;
        let problem = refused.problem(403, Code::EgressRefused);
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(host) && detail.contains("tenant lets"),
            "{detail}"
        );
    }
    set(&["api.example.com"]).await;
    let made = world
        .post("/v1/tools", http("weather"))
        .await
        .is(201)
        .json();
    assert_eq!(made["hosts"], json!(["api.example.com"]));
    assert_eq!(made["unreached"], "");
    // What comes to be out of reach is shown as that, and not called.
    set(&["*.example.org"]).await;
    let shown = world.get("/v1/tools/weather").await.is(200).json();
    let why = shown["unreached"].as_str().unwrap();
    assert!(why.contains("api.example.com"), "{why}");
    let listed = world.get("/v1/tools").await.is(200).json();
    let of = |name: &str| {
        let all = listed["tools"].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).unwrap().clone()
    };
    assert_eq!(of("weather")["unreached"], why);
    assert_eq!(of("files")["hosts"], json!([]));
}

#[tokio::test]
async fn an_agent_is_called_as_a_tool_by_whoever_may_ask_it() {
    let world = World::new().await;
    world.deploy("echo", "echo", "").await;
    let (_, key) = world.key("default", "developer", &[]).await;
    let (_, calls) = world.key("default", "developer", &["tools:call"]).await;
    let ask = json!({"arguments": {"message": "hello there"}});
    let path = "/v1/tools/agent:echo/call";
    let done = world.as_key(&key, "POST", path, ask.clone()).await.is(200);
    let done = done.json();
    assert_eq!(done["content"][0]["text"], "hello there");
    assert_eq!(done["call"]["tool"], "agent:echo");
    assert_eq!(done["call"]["kind"], "agent");
    assert_eq!(done["call"]["outcome"], "ok");
    // To call tools is not to ask agents.
    let refused = world.as_key(&calls, "POST", path, ask.clone()).await;
    refused.problem(403, Code::PermissionDenied);
    let nobody = "/v1/tools/agent:nobody/call";
    let missing = world.as_key(&key, "POST", nobody, ask.clone()).await;
    missing.problem(404, Code::AgentNotFound);
    let wrong = world
        .as_key(&key, "POST", path, json!({"arguments": {}}))
        .await;
    wrong.problem(422, Code::ToolArguments);
    let policy = json!({"deny": ["agent:echo"]}).to_string();
    world.call("PUT", "/v1/toolPolicy", &policy).await.is(200);
    let denied = world.as_key(&key, "POST", path, ask).await;
    denied.problem(403, Code::ToolDenied);
}

#[tokio::test]
async fn what_a_tool_logs_is_kept_with_its_call_and_without_secrets() {
    let world = World::new().await;
    world.post("/v1/tools", http("weather")).await.is(201);
    let paints = json!({"function": "paints", "arguments": {"city": "Bern", "pin": "4711"}});
    let done = world.post("/v1/tools/weather/call", paints).await.is(200);
    let told = json!(["info painted with {\"city\":\"Bern\",\"pin\":\"[redacted]\"}"]);
    assert_eq!(done.json()["call"]["log"], told);
    // Nor does the reason why arguments do not fit repeat one.
    let wrong = json!({"function": "paints", "arguments": {"pin": ["hunter2"]}});
    let told = world.post("/v1/tools/weather/call", wrong).await;
    told.problem(422, Code::ToolArguments);
    let kept = world.get("/v1/tools/weather/calls").await.is(200);
    assert!(kept.text.contains("painted with"), "{}", kept.text);
    for secret in ["4711", "hunter2"] {
        assert!(!kept.text.contains(secret), "{}", kept.text);
    }
}

#[tokio::test]
async fn a_tool_that_describes_itself_otherwise_has_to_be_agreed_to_again() {
    let world = World::new().await;
    let mcp = json!({"name": "remote", "mcp": {"url": "https://mcp.example.com/mcp"}});
    let made = world.post("/v1/tools", mcp).await.is(201).json();
    assert_eq!(made["functions"][0]["state"], "agreed");
    let changed = world
        .post("/v1/tools/remote/refresh", json!({}))
        .await
        .is(200)
        .json();
    assert_eq!(changed["functions"][0]["state"], "changed");
    let call = json!({"function": "say"});
    world
        .post("/v1/tools/remote/call", call.clone())
        .await
        .problem(409, Code::ToolChanged);
    let accepted = world
        .post("/v1/tools/remote/accept", json!({}))
        .await
        .is(200)
        .json();
    assert_eq!(accepted["functions"][0]["state"], "agreed");
    world.post("/v1/tools/remote/call", call).await.is(200);
}
