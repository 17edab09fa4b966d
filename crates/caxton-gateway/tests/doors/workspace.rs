//! The files of a session: written by tools, listed and read at the doors.

use caxton_core::error::Code;
use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn files_of_a_session_are_listed_and_read_and_do_nothing_in_a_browser() {
    let world = World::new().await;
    let manifest = format!(
        "name = \"helper\"\nversion = \"1.0.0\"\n{}",
        crate::chat::ASSISTANT
    );
    world
        .post("/v1/agents", json!({ "manifest": manifest }))
        .await
        .is(201);
    let session = json!({"agent": "helper", "id": "s-1", "tools": {"deny": ["fetch"]}});
    let session = world.post("/v1/sessions", session).await.is(201).json();
    assert_eq!(
        session["tools"],
        json!({"allow": [], "ask": [], "deny": ["fetch"], "sandbox": false})
    );
    for (path, content) in [
        ("b.html", "<script>alert(1)</script>"),
        ("a/notes.txt", "hello"),
        ("c.md", "# c"),
    ] {
        let body = json!({"function": "write", "arguments": {"path": path, "content": content}, "sessionId": "s-1"});
        let done = world
            .post("/v1/tools/files/call", body)
            .await
            .is(200)
            .json();
        assert_eq!(done["isError"], false, "{done}");
    }
    let listed = world
        .get("/v1/sessions/s-1/files?pageSize=2")
        .await
        .is(200)
        .json();
    let paths = |listed: &Value| -> Vec<String> {
        let all = listed["files"].as_array().unwrap().iter();
        all.map(|it| it["path"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(paths(&listed), ["a/notes.txt", "b.html"]);
    let token = listed["nextPageToken"].as_str().unwrap();
    let rest = world
        .get(&format!("/v1/sessions/s-1/files?pageToken={token}"))
        .await
        .is(200)
        .json();
    assert_eq!(paths(&rest), ["c.md"]);
    assert_eq!(rest["nextPageToken"], "");
    let page = world.get("/v1/sessions/s-1/files/b.html").await.is(200);
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{page:?}"
    );
    assert!(
        page.header("content-security-policy")
            .starts_with("sandbox;"),
        "{page:?}"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.text, "<script>alert(1)</script>");
    assert_eq!(
        world
            .get("/v1/sessions/s-1/files/a/notes.txt")
            .await
            .is(200)
            .text,
        "hello"
    );
    world
        .get("/v1/sessions/s-1/files/none")
        .await
        .problem(404, Code::FileNotFound);
    world
        .get("/v1/sessions/s-1/files/..%2Fx")
        .await
        .problem(400, Code::FileNameMalformed);
    world
        .get("/v1/sessions/s-2/files")
        .await
        .problem(404, Code::SessionNotFound);
    world
        .get("/v1/sessions/s-2/files/b.html")
        .await
        .problem(404, Code::SessionNotFound);
}

/// Many at once write, replace and remove in one workspace: nothing is lost, and nothing is half there.
#[tokio::test]
async fn races_in_a_workspace_lose_nothing() {
    let world = World::new().await;
    let manifest = format!(
        "name = \"helper\"\nversion = \"1.0.0\"\n{}",
        crate::chat::ASSISTANT
    );
    let agent = json!({ "manifest": manifest });
    world.post("/v1/agents", agent).await.is(201);
    let session = json!({"agent": "helper", "id": "s-1"});
    world.post("/v1/sessions", session).await.is(201);
    let call = |function: &str, arguments: Value| {
        let body = json!({"function": function, "arguments": arguments, "sessionId": "s-1"});
        world.post("/v1/tools/files/call", body)
    };
    let own = (0..40).map(|at| {
        let path = format!("own/{at:02}.txt");
        call("write", json!({"path": path, "content": "x".repeat(at)}))
    });
    let same = (0..40).map(|at| {
        let content = format!("{at:02}").repeat(1_000);
        call("write", json!({"path": "same.txt", "content": content}))
    });
    let gone = (0..10).flat_map(|_| {
        let written = call("write", json!({"path": "gone.txt", "content": "here"}));
        [written, call("remove", json!({"path": "gone.txt"}))]
    });
    let done = futures::future::join_all(own.chain(same).chain(gone)).await;
    for (at, reply) in done.into_iter().enumerate() {
        // What was removed by somebody else a moment before is not there.
        if at < 80 || reply.status == 200 {
            reply.is(200);
        } else {
            reply.problem(404, Code::FileNotFound);
        }
    }
    let listed = world.get("/v1/sessions/s-1/files?pageSize=1000").await;
    let listed = listed.is(200).json();
    for file in listed["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        let read = world.get(&format!("/v1/sessions/s-1/files/{path}")).await;
        let text = read.is(200).text;
        assert_eq!(file["sizeBytes"], text.len().to_string(), "{file}");
        if path == "same.txt" {
            // One of those that were written, whole.
            assert_eq!(text, text[..2].repeat(1_000));
        }
    }
    let all = listed["files"].as_array().unwrap().iter();
    let own = all.filter(|it| it["path"].as_str().unwrap().starts_with("own/"));
    assert_eq!(own.count(), 40);
    let read = world.get("/v1/sessions/s-1/files/gone.txt").await;
    let is_listed = listed["files"].to_string().contains("gone.txt");
    assert_eq!(read.status.is_success(), is_listed);
}
