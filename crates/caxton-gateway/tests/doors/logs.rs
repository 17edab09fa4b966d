//! Agents' logs.

use caxton_core::Code;
use serde_json::Value;

use crate::support::World;

fn texts(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().unwrap();
    entries
        .iter()
        .map(|it| it["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_log_is_read_backwards_a_page_at_a_time() {
    let world = World::new().await;
    world.deploy("a", "chatty", "").await;
    world.ask("a", "1").await;
    let reply = world.ask("a", "2\u{1b}").await;
    let path = "/v1/agents/a/logs";
    let all = world.get(path).await.is(200).json();
    let expected = [
        "debug 1",
        "info 1",
        "error 1",
        "debug 2\\u{1b}",
        "info 2\\u{1b}",
        "error 2\\u{1b}",
    ];
    assert_eq!(texts(&all), expected);
    assert_eq!(all["nextPageToken"], "");
    let last = &all["entries"][5];
    assert_eq!(
        (&last["level"], &last["agent"]),
        (&"error".into(), &"a".into())
    );
    assert_eq!(last["messageId"], reply["parentId"]);
    let page = world
        .get(&format!("{path}?level=info&pageSize=3"))
        .await
        .json();
    assert_eq!(texts(&page), ["error 1", "info 2\\u{1b}", "error 2\\u{1b}"]);
    let token = page["nextPageToken"].as_str().unwrap();
    let page = world
        .get(&format!("{path}?level=info&pageSize=3&pageToken={token}"))
        .await
        .json();
    assert_eq!(
        (texts(&page), &page["nextPageToken"]),
        (vec!["info 1"], &"".into())
    );
    for query in ["level=loud", "pageToken=x", "follow=perhaps", "tail=3"] {
        let answer = world.get(&format!("{path}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_log_is_followed_and_resumed() {
    let world = World::new().await;
    world.deploy("a", "chatty", "").await;
    world.ask("a", "1").await;
    let mut events = world
        .events("/v1/agents/a/logs?follow=true&tail=1", None)
        .await;
    let first = events.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), &first.data["text"]),
        ("log", &"error 1".into())
    );
    assert_eq!(first.id, first.data["id"]);
    world.ask("a", "2").await;
    for text in ["debug 2", "info 2"] {
        assert_eq!(events.next().await.unwrap().data["text"], text);
    }
    drop(events);
    world.ask("a", "3").await;
    let path = "/v1/agents/a/logs/stream?level=info";
    let mut events = world.events(path, Some(&first.id)).await;
    for text in ["info 2", "error 2", "info 3", "error 3"] {
        assert_eq!(events.next().await.unwrap().data["text"], text);
    }
    world.ask("a", "4").await;
    assert_eq!(events.next().await.unwrap().data["text"], "info 4");
    let refused = world
        .call_with("GET", path, "", &[("last-event-id", "x")])
        .await;
    refused.problem(400, Code::ParameterMalformed);
    // Between two lines, behind the last one, of a time to come: there never was such a line. One from
    // before the first at hand may have been.
    let (time, number) = first.id.split_once('-').unwrap();
    let time: i64 = time.parse().unwrap();
    for never in [
        format!("{time}-{}9", number),
        format!("{}-1", time + 1_000_000_000),
        format!("{}-0", i64::MAX),
    ] {
        let headers = [("last-event-id", never.as_str())];
        let refused = world.call_with("GET", path, "", &headers).await;
        refused.problem(404, Code::ResumeLost);
    }
    let before = format!("{}-7", time - 1_000_000_000);
    let mut events = world.events(path, Some(&before)).await;
    assert_eq!(events.next().await.unwrap().data["text"], "info 1");
    let refused = world.get("/v1/agents/a/logs/stream?tail=1001").await;
    refused.problem(400, Code::ParameterMalformed);
}
