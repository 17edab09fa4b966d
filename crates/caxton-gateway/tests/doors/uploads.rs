//! Agents as multipart.

use bytes::Bytes;
use caxton_core::Code;
use serde_json::Value;

use crate::support::{Reply, World, agent};

const MEDIA: &str = "multipart/form-data; boundary=cut";
const MANIFEST: &str = "name = \"a\"\nversion = \"1.0.0\"\n";

fn form(parts: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in parts {
        text.push_str(&format!(
            "--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    text + "--cut--\r\n"
}

async fn upload(world: &World, method: &str, path: &str, parts: &[(&str, &str)]) -> Reply {
    let media = [("content-type", MEDIA)];
    world.call_with(method, path, &form(parts), &media).await
}

#[tokio::test]
async fn an_upload_is_what_its_json_is() {
    let (one, other) = (World::new().await, World::new().await);
    let parts = [("manifest", MANIFEST), ("component", "echo")];
    let uploaded = upload(&one, "POST", "/v1/agents", &parts).await.is(201);
    assert_eq!(uploaded.header("content-type"), "application/json");
    let posted = other.post("/v1/agents", agent("a", "echo", "")).await;
    let without_times = |mut it: Value| {
        let agent = it.as_object_mut().unwrap();
        assert!(agent.remove("createTime").is_some() && agent.remove("updateTime").is_some());
        it
    };
    assert_eq!(
        without_times(uploaded.json()),
        without_times(posted.is(201).json())
    );
    let parts = [
        ("start", "false"),
        ("manifest", MANIFEST),
        ("component", "deaf"),
    ];
    let put = upload(&one, "PUT", "/v1/agents/a", &parts).await.is(200);
    assert_eq!(put.json()["state"], "running");
    let (path, chunks) = (
        "/v1/agents",
        vec![Bytes::from(form(&[
            ("manifest", "name = \"b\""),
            ("component", "echo"),
            ("start", "false"),
        ]))],
    );
    let chunked = one.post_chunked(path, chunks, MEDIA).await.is(201);
    assert_eq!(chunked.json()["state"], "loaded");
}

#[tokio::test]
async fn what_is_wrong_with_an_upload_is_told() {
    let world = World::new().await;
    let check = async |parts: &[(&str, &str)], code: Code, says: &str| {
        let answer = upload(&world, "POST", "/v1/agents", parts).await;
        let problem = answer.problem(400, code);
        assert!(problem.to_string().contains(says), "{problem}");
    };
    check(&[("component", "echo")], Code::ManifestMalformed, "name").await;
    check(
        &[("manifest", MANIFEST)],
        Code::ComponentMissing,
        "component",
    )
    .await;
    check(&[("manifst", MANIFEST)], Code::FieldUnknown, "manifst").await;
    let twice = [("manifest", MANIFEST), ("manifest", MANIFEST)];
    check(&twice, Code::ParameterMalformed, "more than once").await;
    let start = [("manifest", MANIFEST), ("start", "perhaps")];
    check(&start, Code::ParameterMalformed, "perhaps").await;
    check(&[("x", ""); 20], Code::FieldUnknown, "`x`").await;
    let cut = "--cut\r\ncontent-disposition: form-data; name=\"manifest\"\r\n\r\nname";
    for (media, body) in [
        (MEDIA, cut),
        ("multipart/form-data", cut),
        (MEDIA, "rubbish"),
    ] {
        let headers = [("content-type", media)];
        let answer = world.call_with("POST", "/v1/agents", body, &headers).await;
        answer.problem(400, Code::ParameterMalformed);
    }
    let elsewhere = upload(&world, "POST", "/v1/messages", &[("x", "y")]).await;
    elsewhere.problem(415, Code::ParameterMalformed);
    let missing = [("manifest", "name = \"nobody\""), ("component", "echo")];
    let answer = upload(&world, "PUT", "/v1/agents/nobody", &missing).await;
    answer.problem(404, Code::AgentNotFound);
}

#[tokio::test]
async fn an_upload_too_large_is_413_with_and_without_its_length() {
    let world = World::with(|options| options.rest.upload_bytes_max = 10_000).await;
    let large = "x".repeat(20_000);
    let parts = [("manifest", MANIFEST), ("component", large.as_str())];
    let answer = upload(&world, "POST", "/v1/agents", &parts).await;
    answer.problem(413, Code::BodyTooLarge);
    let body = form(&parts);
    let chunks = body
        .as_bytes()
        .chunks(1000)
        .map(Bytes::copy_from_slice)
        .collect();
    let answer = world.post_chunked("/v1/agents", chunks, MEDIA).await;
    answer.problem(413, Code::BodyTooLarge);
}
