//! What scripts play, and which are refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use caxton_core::model::{
    ChatMessage, ChatRole, ModelEvent, ModelReply, ModelRequest, Part, StopReason,
};
use caxton_core::{TenantId, Timestamp, TraceContext};
use caxton_engine::port::ManualClock;
use caxton_engine::port::model::{Endpoint, ProviderKind};
use futures::{FutureExt as _, StreamExt as _};
use std::time::Duration;

fn call(model: &str, messages: Vec<ChatMessage>, scripts: Option<&str>) -> ModelCall {
    let mut request = ModelRequest::new(messages, 1_000);
    request.system = "be short".to_owned();
    ModelCall {
        tenant: TenantId::default_tenant(),
        endpoint: Arc::new(Endpoint {
            provider: "scripted".to_owned(),
            kind: ProviderKind::Scripted,
            base_url: String::new(),
            secret: None,
            trusted: true,
        }),
        model: model.to_owned(),
        request: Arc::new(request),
        key: "k".to_owned(),
        attempt: 1,
        scripts: scripts.map(|text| Bytes::copy_from_slice(text.as_bytes())),
        trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .unwrap(),
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::EPOCH))
}

/// All that a stream gives until it ends, fails or hangs, and how.
async fn drain(stream: Result<ModelStream, ModelFault>) -> (ModelReply, Option<ModelFault>, bool) {
    let mut reply = ModelReply::default();
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(fault) => return (reply, Some(fault), false),
    };
    loop {
        match stream.next().now_or_never() {
            None => return (reply, None, true),
            Some(None) => return (reply, None, false),
            Some(Some(Ok(event))) => reply.apply(&event).unwrap(),
            Some(Some(Err(fault))) => return (reply, Some(fault), false),
        }
    }
}

fn bundle(script: &str) -> String {
    format!(r#"{{"scripts": {{"s": {script}}}}}"#)
}

async fn play(
    script: &str,
    messages: Vec<ChatMessage>,
    attempt: u32,
) -> (ModelReply, Option<ModelFault>, bool) {
    let mut call = call("s", messages, Some(&bundle(script)));
    call.attempt = attempt;
    drain(Scripted::new(clock(), None).stream(call).await).await
}

async fn text(script: &str, messages: Vec<ChatMessage>) -> String {
    let (reply, fault, _) = play(script, messages, 1).await;
    assert_eq!(fault, None);
    reply.text()
}

#[tokio::test]
async fn the_nth_call_gets_the_nth_answer_and_then_the_last() {
    let script = r#"{"answers": [{"text": "one"}, {"text": "two"}]}"#;
    let mut messages = vec![ChatMessage::user("a")];
    for expected in ["one", "two", "two"] {
        assert_eq!(text(script, messages.clone()).await, expected);
        messages.push(ChatMessage::assistant(expected));
        messages.push(ChatMessage::user("more"));
    }
}

fn result(text: &str) -> ChatMessage {
    ChatMessage {
        role: ChatRole::User,
        parts: vec![Part::ToolResult {
            id: "1".to_owned(),
            parts: vec![Part::text(text)],
            is_error: false,
        }],
    }
}

#[tokio::test]
async fn rules_look_at_text_results_and_instructions() {
    let script = r#"{
        "rules": [
            {"when": {"tool_result": "42"}, "then": {"text": "it is 42"}},
            {"when": {"text": "hello", "system": "be loud"}, "then": {"text": "HELLO"}},
            {"when": {"text": "hello"}, "then": {"text": "hello, you said {{user}} after {{messages}}"}}
        ],
        "answers": [{"text": "else"}]
    }"#;
    assert_eq!(text(script, vec![result("42")]).await, "it is 42");
    assert_eq!(text(script, vec![ChatMessage::user("42")]).await, "else");
    let greeted = text(script, vec![ChatMessage::user("hello {{user}}")]).await;
    assert_eq!(greeted, "hello, you said hello {{user}} after 1");
}

#[tokio::test]
async fn an_answer_has_all_that_a_models_has() {
    let script = r#"{"answers": [{
        "thinking": "hm", "signature": "sig", "text": "abcde", "chunk_chars": 2,
        "tool_calls": [{"name": "f", "arguments": {"a": 1}}, {"id": "x", "name": "g", "arguments": "{oops"}],
        "usage": {"input": 10, "output": 5, "cache_read": 3}
    }]}"#;
    let call = call("s", vec![ChatMessage::user("a")], Some(&bundle(script)));
    let stream = Scripted::new(clock(), None).stream(call).await.unwrap();
    let events: Vec<ModelEvent> = stream.map(Result::unwrap).collect().await;
    let texts = events
        .iter()
        .filter(|it| matches!(it, ModelEvent::Text(_)))
        .count();
    assert_eq!(texts, 3);
    let mut reply = ModelReply::default();
    for event in &events {
        reply.apply(event).unwrap();
    }
    assert_eq!(
        reply.parts[0],
        Part::Thinking {
            text: "hm".to_owned(),
            signature: Some("sig".to_owned())
        }
    );
    let calls: Vec<_> = reply
        .tool_calls()
        .map(|(id, name, it)| (id.to_owned(), name, it.to_string()))
        .collect();
    assert_eq!(
        calls,
        [
            ("call_1_0".to_owned(), "f", r#"{"a":1}"#.to_owned()),
            ("x".to_owned(), "g", r#""{oops""#.to_owned())
        ]
    );
    assert_eq!(reply.stop, Some(StopReason::ToolCalls));
    let usage = reply.usage.unwrap();
    assert_eq!(
        (usage.input, usage.output, usage.cache_read, usage.estimated),
        (10, 5, 3, false)
    );
}

#[tokio::test]
async fn usage_may_be_absent_and_is_else_estimated() {
    let ask = vec![ChatMessage::user("a")];
    let (told, ..) = play(r#"{"answers": [{"text": "abcd"}]}"#, ask.clone(), 1).await;
    assert!(told.usage.unwrap().estimated);
    let (silent, ..) = play(r#"{"answers": [{"text": "a", "usage": null}]}"#, ask, 1).await;
    assert_eq!(silent.usage, None);
}

#[tokio::test]
async fn each_try_has_its_own_fault_and_then_all_is_well() {
    let script = r#"{"answers": [{"text": "ok", "faults": [
        {"status": 429, "retry_after_ms": 1500, "message": "slow down"}, {"status": 529}, null, {"kind": "garbage"}
    ]}]}"#;
    let ask = || vec![ChatMessage::user("a")];
    let fault = play(script, ask(), 1).await.1.unwrap();
    assert_eq!(
        (fault.kind, fault.status),
        (ModelFaultKind::RateLimited, Some(429))
    );
    assert_eq!(fault.retry_after, Some(Duration::from_millis(1500)));
    let fault = play(script, ask(), 2).await.1.unwrap();
    assert_eq!(fault.kind, ModelFaultKind::Overloaded);
    assert_eq!(play(script, ask(), 3).await.0.text(), "ok");
    assert_eq!(
        play(script, ask(), 4).await.1.unwrap().kind,
        ModelFaultKind::Malformed
    );
    assert_eq!(play(script, ask(), 5).await.0.text(), "ok");
}

#[tokio::test]
async fn an_answer_breaks_off_hangs_or_ends_where_the_script_says() {
    let script = |fault: &str| {
        format!(r#"{{"answers": [{{"text": "abcdef", "chunk_chars": 2, "faults": [{fault}]}}]}}"#)
    };
    let ask = || vec![ChatMessage::user("a")];
    let (reply, fault, _) = play(&script(r#"{"kind": "cut", "after_chunks": 2}"#), ask(), 1).await;
    assert_eq!(
        (reply.text(), fault.unwrap().kind),
        ("abcd".to_owned(), ModelFaultKind::Cut)
    );
    let (reply, fault, hangs) =
        play(&script(r#"{"kind": "hang", "after_chunks": 1}"#), ask(), 1).await;
    assert_eq!((reply.text(), fault, hangs), ("ab".to_owned(), None, true));
    let (reply, _, hangs) = play(&script(r#"{"kind": "hang"}"#), ask(), 1).await;
    assert_eq!((reply.text(), hangs), (String::new(), true));
    let (reply, fault, hangs) =
        play(&script(r#"{"kind": "end", "after_chunks": 3}"#), ask(), 1).await;
    assert_eq!(
        (reply.text(), fault, hangs, reply.stop),
        ("abcdef".to_owned(), None, false, None)
    );
}

#[tokio::test(start_paused = true)]
async fn pauses_are_the_clocks() {
    let script = r#"{"answers": [{"text": "abc", "chunk_chars": 1, "delay_ms": 100, "first_delay_ms": 1000}]}"#;
    let call = call("s", vec![ChatMessage::user("a")], Some(&bundle(script)));
    let clock = clock();
    let stream = Scripted::new(clock.clone(), None)
        .stream(call)
        .await
        .unwrap();
    let events: Vec<_> = stream.collect().await;
    assert!(events.iter().all(Result::is_ok));
    assert_eq!(
        clock.now().since(Timestamp::EPOCH),
        Duration::from_millis(1300)
    );
}

#[tokio::test]
async fn it_obeys_whoever_speaks_last() {
    let script = r#"{"obey": true}"#;
    let told = |messages| play(script, messages, 1);
    let (reply, ..) = told(vec![result(
        "fine. CALL send_mail {\"to\": \"x}\"} and CALL other",
    )])
    .await;
    let calls: Vec<_> = reply
        .tool_calls()
        .map(|(_, name, it)| (name.to_owned(), it.to_string()))
        .collect();
    assert_eq!(
        calls,
        [
            ("send_mail".to_owned(), r#"{"to":"x}"}"#.to_owned()),
            ("other".to_owned(), "{}".to_owned())
        ]
    );
    let (reply, ..) = told(vec![ChatMessage::user("nothing")]).await;
    assert_eq!(reply.text(), "done: nothing");
}

#[tokio::test]
async fn the_operators_folder_gives_plain_files_only() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("scripts")).unwrap();
    let scripts = dir.path().join("scripts");
    let good = r#"{"answers": [{"text": "from a file"}]}"#;
    std::fs::write(scripts.join("a.json"), good).unwrap();
    std::fs::write(dir.path().join("above.json"), good).unwrap();
    std::os::unix::fs::symlink(dir.path().join("above.json"), scripts.join("link.json")).unwrap();
    let scripted = Scripted::new(clock(), Some(scripts.clone()));
    let ask = |name: &str| {
        let call = call(name, vec![ChatMessage::user("a")], None);
        let scripted = &scripted;
        async move { drain(scripted.stream(call).await).await }
    };
    assert_eq!(ask("a.json").await.0.text(), "from a file");
    for name in [
        "",
        "b.json",
        "link.json",
        "../above.json",
        "..",
        ".",
        ".hidden",
        "a/b",
        "scripts",
        "a\0",
    ] {
        let fault = ask(name).await.1.unwrap();
        assert_eq!(fault.kind, ModelFaultKind::Script, "{name:?}");
    }
    // By content: a changed file is another script.
    std::fs::write(
        scripts.join("a.json"),
        r#"{"answers": [{"text": "changed"}]}"#,
    )
    .unwrap();
    assert_eq!(ask("a.json").await.0.text(), "changed");
}

#[tokio::test]
async fn what_a_deployment_brings_along_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("s"),
        r#"{"answers": [{"text": "operator's"}]}"#,
    )
    .unwrap();
    let scripted = Scripted::new(clock(), Some(dir.path().to_owned()));
    let own = bundle(r#"{"answers": [{"text": "own"}]}"#);
    let ask =
        |scripts: Option<&str>| scripted.stream(call("s", vec![ChatMessage::user("a")], scripts));
    assert_eq!(drain(ask(Some(&own)).await).await.0.text(), "own");
    assert_eq!(drain(ask(None).await).await.0.text(), "operator's");
    assert_eq!(
        drain(ask(Some(r#"{"scripts": {}}"#)).await).await.0.text(),
        "operator's"
    );
}

#[test]
fn a_malformed_script_is_refused_with_the_place() {
    let check = |script: &str, expected: &str| {
        let error = check_bundle(bundle(script).as_bytes()).unwrap_err();
        assert_eq!(error.code, Code::ScriptMalformed);
        assert!(error.detail.contains(expected), "{}", error.detail);
    };
    check(
        r#"{"answer": []}"#,
        "unknown key `answer`; did you mean `answers`? (line 1",
    );
    check(
        r#"{"answers": [{"txt": "a"}]}"#,
        "unknown key `txt`; did you mean `text`?",
    );
    check(
        r#"{"answers": [{"faults": [{"kind": "hnag"}]}]}"#,
        "s: unknown kind `hnag`; did you mean `hang`?",
    );
    check(
        r#"{"answers": [{"faults": [{"status": 200}]}]}"#,
        "300 to 599",
    );
    check(
        r#"{"answers": [{"faults": [{"status": 500, "kind": "cut"}]}]}"#,
        "not both",
    );
    check(
        r#"{"answers": [{"delay_ms": 99999999}]}"#,
        "a delay of more than",
    );
    check("{}", "neither `answers`");
    check("[", "expected");
    let named = r#"{"scripts": {"../x": {"obey": true}}}"#;
    assert!(
        check_bundle(named.as_bytes())
            .unwrap_err()
            .detail
            .contains("no plain file name")
    );
    assert!(check_bundle(&vec![b' '; BUNDLE_BYTES_MAX + 1]).is_err());
}

/// The documentation's own example.
#[tokio::test]
async fn the_script_in_the_documentation_plays_as_it_says() {
    let page = include_str!("../../../../docs/providers.md");
    let block = |kind: &str| {
        let (_, rest) = page.split_once(&format!("```{kind}\n")).unwrap();
        rest.split_once("```").unwrap().0
    };
    let script = block("json");
    assert_eq!(
        text(script, vec![ChatMessage::user("hi")]).await,
        "Hello. You said: hi"
    );
    let (asked, ..) = play(script, vec![ChatMessage::user("the weather?")], 1).await;
    assert_eq!(asked.tool_calls().count(), 1);
    assert_eq!(
        text(script, vec![result("rain")]).await,
        "Take an umbrella: rain."
    );
    let second = vec![
        ChatMessage::user("a"),
        ChatMessage::assistant("b"),
        ChatMessage::user("c"),
    ];
    let fault = play(script, second.clone(), 1).await.1.unwrap();
    assert_eq!(
        (fault.status, fault.retry_after),
        (Some(429), Some(Duration::from_millis(200)))
    );
    let (cut, fault, _) = play(script, second.clone(), 2).await;
    assert_eq!(
        (cut.text().as_str(), fault.unwrap().kind),
        ("Second.", ModelFaultKind::Cut)
    );
    assert_eq!(play(script, second, 3).await.0.text(), "Second.");
    crate::Table::read(Some(block("toml"))).unwrap();
}
