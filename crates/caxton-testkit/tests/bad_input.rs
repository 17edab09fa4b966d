//! Agents that do wrong, on a whole server: each wrong ends with a clear error and its code, an echo
//! beside it answers, what it took is given back, and no message is lost.
//!
//! What the sandbox alone can show (every kind of trap, fuel to within 5 %, WASI call by call) is
//! tested in `caxton-wasm`; here is what users see of it through a door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_api::client::ClientError;
use caxton_api::v1::{
    CreateAgentRequest, DeleteDeadLetterRequest, GetAgentRequest, ListAgentsRequest,
    ResendDeadLetterRequest, StartAgentRequest,
};
use caxton_core::Manifest;
use caxton_testkit::server::{Example, Said, Setup, TestServer};

/// A server with an echo and the agent that does wrong.
async fn server() -> TestServer {
    with(Setup::default(), |_| {}).await
}

async fn with(setup: Setup, change: impl FnOnce(&mut Manifest)) -> TestServer {
    let server = TestServer::start_with(setup).await;
    server.deploy(&Example::load("echo")).await;
    server
        .deploy(&Example::load("misbehave").with(change))
        .await;
    server
}

fn inform(content: &str) -> Said {
    Said::new("inform", content)
}

/// Nobody suffered: the echo answers, the culprit too, and no instance stays behind.
async fn unharmed(server: &TestServer) {
    assert_eq!(
        server.ask("echo", "still there?").await,
        inform("still there?")
    );
    assert_eq!(server.ask("misbehave", "ok").await, inform("ok"));
    server.is_idle().await;
}

/// Asks for a wrong that ends the handler; gives the failure that tells so, which must be the
/// platform's and name the code.
async fn fails(server: &TestServer, wrong: &str, code: &str) -> String {
    let before = server.dead_letters("misbehave").await.len();
    let failure = server.ask("misbehave", wrong).await;
    assert_eq!(failure.performative, "failure", "{wrong}: {failure:?}");
    assert!(failure.content.contains(code), "{wrong}: {failure:?}");
    // Tried as often as the manifest says, then kept, so that it is not lost.
    let letters = server.dead_letters("misbehave").await;
    assert_eq!(letters.len(), before + 1, "{wrong}");
    assert_eq!(
        (letters[0].code.as_str(), letters[0].attempts),
        (code, 3),
        "{wrong}"
    );
    assert_eq!(
        caxton_testkit::server::text_of(letters[0].message.as_ref().unwrap()),
        wrong
    );
    failure.content
}

/// Asks for a wrong that the server refuses with a value, so that the handler goes on.
async fn refused(server: &TestServer, wrong: &str, code: &str) {
    let said = server.ask("misbehave", wrong).await;
    assert_eq!(said.performative, "failure", "{wrong}: {said:?}");
    assert!(said.content.starts_with(code), "{wrong}: {said:?}");
}

#[tokio::test]
async fn a_handler_that_ends_badly_is_tried_again_and_then_kept() {
    let server = server().await;
    for (wrong, code, word) in [
        ("trap", "CX-3021", "unreachable"),
        ("panic", "CX-3021", "unreachable"),
        ("recurse", "CX-3021", "stack"),
        ("loop", "CX-3022", "fuel_per_message_max"),
        ("fail because", "CX-3020", "because"),
        ("fail-big 1000000", "CX-3020", "xxx"),
    ] {
        let told = fails(&server, wrong, code).await;
        assert!(told.contains(word), "{wrong}: {told}");
        assert!(
            told.len() < 4096,
            "{wrong}: a failure of {} bytes",
            told.len()
        );
        unharmed(&server).await;
    }
    // One that fails only at first is handled, and is no dead letter.
    let before = server.dead_letters("misbehave").await.len();
    assert_eq!(server.ask("misbehave", "trap-until 3").await, inform("3"));
    assert_eq!(server.dead_letters("misbehave").await.len(), before);
}

#[tokio::test]
async fn a_panic_in_the_tenth_message_costs_that_message_only() {
    let server = server().await;
    for _ in 0..9 {
        assert_eq!(server.ask("misbehave", "ok").await, inform("ok"));
    }
    // What waits behind it is handled all the same.
    let asks = (10..=20).map(|n| {
        let (server, text) = (&server, if n == 10 { "panic" } else { "ok" });
        async move { server.ask("misbehave", text).await }
    });
    let said = futures::future::join_all(asks).await;
    assert_eq!(said[0].performative, "failure");
    assert!(said[1..].iter().all(|it| *it == inform("ok")), "{said:?}");
    let stats = server.agent("misbehave").await.stats.unwrap();
    assert_eq!((stats.messages_handled, stats.messages_failed), (19, 3));
    assert_eq!((stats.restarts, stats.instances), (3, 1));
    assert_eq!(stats.last_error_code.as_deref(), Some("CX-3021"));
    unharmed(&server).await;
}

#[tokio::test]
async fn an_agent_that_always_fails_pauses_between_its_tries_and_stops() {
    const MESSAGES: u64 = 4;
    let server = server().await;
    let doomed = Example::load("misbehave").named("doomed");
    server.deploy(&doomed).await;
    for _ in 0..MESSAGES {
        server.tell("doomed", "trap").await.unwrap();
    }
    let all_kept = async |server: &TestServer| {
        (server.dead_letters("doomed").await.len() as u64 == MESSAGES).then_some(())
    };
    server
        .eventually("every message is given up", all_kept)
        .await;
    for letter in server.dead_letters("doomed").await {
        assert_eq!(
            (letter.code.as_str(), letter.attempts),
            ("CX-3021", 3),
            "{letter:?}"
        );
    }
    unharmed(&server).await;
    // Three tries each and not one more: it does not restart for ever.
    let stats = server.agent("doomed").await.stats.unwrap();
    assert_eq!(
        (stats.messages_handled, stats.messages_failed),
        (0, 3 * MESSAGES)
    );
    assert_eq!(stats.mailbox_messages, 0);

    // A dead letter may be sent again, and fails again; or be removed for good.
    let letters = server.dead_letters("doomed").await;
    let resend = ResendDeadLetterRequest {
        dead_letter: letters[0].id.clone(),
    };
    server.client().resend_dead_letter(&resend).await.unwrap();
    server.eventually("it is given up again", all_kept).await;
    for letter in server.dead_letters("doomed").await {
        let gone = DeleteDeadLetterRequest {
            dead_letter: letter.id,
        };
        server.client().delete_dead_letter(&gone).await.unwrap();
    }
    assert_eq!(server.dead_letters("doomed").await, []);
}

#[tokio::test]
async fn an_agent_whose_init_goes_wrong_is_not_deployed() {
    let server = server().await;
    for (name, reason) in [
        ("bad-init-loop", "fuel"),
        ("bad-init-trap", "unreachable"),
        ("bad-init-panic", "unreachable"),
        ("bad-init-fail", "asked to fail in init"),
    ] {
        let error = server
            .try_deploy(&Example::load("misbehave").named(name))
            .await
            .unwrap_err();
        assert_eq!(
            (error.status(), error.code()),
            (Some(422), Some("CX-2010")),
            "{name}"
        );
        let detail = &error.problem().unwrap().detail;
        assert!(detail.contains(reason), "{name}: {detail}");
        // Nothing of it is left, and the name is free.
        let request = GetAgentRequest {
            agent: name.to_owned(),
        };
        let gone = server.client().get_agent(&request).await.unwrap_err();
        assert_eq!(gone.code(), Some("CX-2020"), "{name}");
        unharmed(&server).await;
    }
    // Taking memory until it is refused is allowed: within its limits an agent may do as it likes.
    let hungry = Example::load("misbehave")
        .named("bad-init-memory")
        .with(|it| it.limits.fuel_per_message_max = 10_000_000_000);
    server.deploy(&hungry).await;
    assert_eq!(server.ask("bad-init-memory", "ok").await, inform("ok"));
    unharmed(&server).await;
    let agents = server
        .client()
        .list_agents(&ListAgentsRequest::default())
        .await
        .unwrap();
    let names: Vec<_> = agents.agents.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["bad-init-memory", "echo", "misbehave"]);
}

#[tokio::test]
async fn an_agent_that_cannot_begin_is_kept_but_not_started() {
    let server = server().await;
    let broken = Example::load("misbehave").named("bad-init-fail");
    let request = CreateAgentRequest {
        manifest: broken.manifest.to_toml(),
        component: Some(broken.component.clone()),
        start: Some(false),
    };
    let created = server.client().create_agent(&request).await.unwrap();
    assert_eq!(created.state, "loaded");
    let agent = "bad-init-fail".to_owned();
    let start = StartAgentRequest { agent };
    let error = server.client().start_agent(&start).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(422), Some("CX-2010")));
    let detail = &error.problem().unwrap().detail;
    assert!(detail.contains("asked to fail in init"), "{detail}");
    // It stands as before: it takes no message, and so loses none.
    assert_eq!(server.agent("bad-init-fail").await.state, "loaded");
    let refused = server.tell("bad-init-fail", "ok").await.unwrap_err();
    assert_eq!(refused.code(), Some("CX-3002"));
    assert_eq!(server.dead_letters("bad-init-fail").await, []);
    unharmed(&server).await;
}

#[tokio::test]
async fn too_much_of_anything_is_refused_with_its_code() {
    let more = |it: &mut Manifest| it.limits.fuel_per_message_max = 10_000_000_000;
    let server = with(Setup::default(), more).await;
    // Memory: it gets what it may have, and then none.
    let taken: u64 = server
        .ask("misbehave", "memory")
        .await
        .content
        .parse()
        .unwrap();
    assert!((1..=64).contains(&taken), "{taken} MiB");
    refused(&server, "log 100000000", "no-memory").await;
    refused(&server, "state-big 2000000", "CX-3026").await;
    refused(&server, "state-many 40 1000000", "CX-3025").await;
    refused(&server, "reply-big 2000000", "CX-1020").await;
    for (odd, code) in [
        ("no-receiver", "CX-1010"),
        ("nul", "CX-1002"),
        ("traversal", "CX-1002"),
        ("long", "CX-1002"),
        ("parameter", "CX-1010"),
        ("receivers", "CX-1010"),
    ] {
        refused(&server, &format!("send-odd {odd}"), code).await;
    }
    // Ten thousand host calls are work and no wrong.
    assert_eq!(
        server.ask("misbehave", "hostcalls 10000").await,
        inform("10000")
    );
    // Of ten thousand metrics it keeps as many as an agent may have; the rest is counted.
    assert_eq!(
        server.ask("misbehave", "metrics 10000").await,
        inform("10000")
    );
    let dropped = server.metric("caxton_guest_metrics_dropped_total").await;
    assert_eq!(
        dropped,
        10_000.0 - caxton_core::quota::GUEST_METRICS_MAX as f64
    );
    assert_eq!(
        server.dead_letters("misbehave").await,
        [],
        "refusals are values"
    );
    unharmed(&server).await;
}

#[tokio::test]
async fn a_log_line_of_a_hundred_megabytes_is_cut() {
    let roomy = |it: &mut Manifest| {
        it.limits.memory_bytes_max = 256 << 20;
        it.limits.fuel_per_message_max = 100_000_000_000;
        it.limits.handle_timeout_ms_max = 600_000;
    };
    let server = with(Setup::default(), roomy).await;
    assert_eq!(
        server.ask("misbehave", "log 100000000").await,
        inform("100000000")
    );
    let log = server.get("/v1/agents/misbehave/logs").await;
    assert!(log.body.len() < 64 << 10, "{} bytes of log", log.body.len());
    let line = log.json()["entries"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        line.starts_with("xxxx") && line.contains("cut"),
        "{}",
        &line[line.len() - 60..]
    );
    unharmed(&server).await;
}

#[tokio::test]
async fn a_full_mailbox_says_when_to_come_again() {
    const PLACES: u32 = 3;
    let few = |it: &mut Manifest| it.limits.mailbox_messages_max = PLACES;
    let server = with(Setup::default(), few).await;
    server
        .deploy(&Example::load("misbehave").named("mute"))
        .await;
    // It waits for an answer that does not come, and its mailbox fills behind it.
    let mut accepted = vec![
        server
            .tell("misbehave", "sleep-call mute 1000")
            .await
            .unwrap(),
    ];
    let error = loop {
        match server.tell("misbehave", "silent").await {
            Ok(id) => accepted.push(id),
            Err(error) => break error,
        }
        assert!(
            accepted.len() <= PLACES as usize + 1,
            "more than it may hold"
        );
    };
    assert_eq!((error.status(), error.code()), (Some(429), Some("CX-3003")));
    let ClientError::Problem { retry_after, .. } = error else {
        panic!("{error:?}");
    };
    assert!(
        retry_after.is_some_and(|wait| !wait.is_zero()),
        "{retry_after:?}"
    );
    assert_eq!(server.ask("echo", "meanwhile").await, inform("meanwhile"));
    // What was accepted is handled; then there is room again.
    let handled = async |server: &TestServer| {
        let stats = server.agent("misbehave").await.stats.unwrap();
        (stats.messages_handled == accepted.len() as u64).then_some(())
    };
    server
        .eventually("all that was accepted is handled", handled)
        .await;
    unharmed(&server).await;
}

#[tokio::test]
async fn a_flood_stops_at_the_others_mailbox_and_nothing_of_it_vanishes() {
    const PLACES: u32 = 100;
    const FLOOD: usize = 500;
    let server = server().await;
    let victim = Example::load("counter").named("victim");
    server
        .deploy(&victim.with(|it| it.limits.mailbox_messages_max = PLACES))
        .await;
    // More than one handler may send: none of it leaves.
    let told = fails(&server, "flood victim 2000", "CX-3020").await;
    assert!(told.contains("CX-3025"), "{told}");
    assert_eq!(
        server.agent("victim").await.stats.unwrap().messages_handled,
        0
    );
    // As much as it may send, but more than the other may hold: the rest comes back.
    let said = server
        .ask("misbehave", &format!("flood victim {FLOOD}"))
        .await;
    assert_eq!(said, inform(&FLOOD.to_string()));
    let accounted = async |server: &TestServer| {
        let handled = server.agent("victim").await.stats.unwrap().messages_handled as usize;
        let letters = server.dead_letters("victim").await;
        assert!(
            letters.iter().all(|it| it.code == "CX-3003"),
            "{:?}",
            letters[0]
        );
        (handled + letters.len() == FLOOD).then_some((handled, letters.len()))
    };
    let (handled, kept) = server
        .eventually("each is handled or kept", accounted)
        .await;
    assert!(
        handled >= PLACES as usize && kept > 0,
        "{handled} handled, {kept} kept"
    );
    assert_eq!(server.say("query-ref", "victim", "get").await, inform("0"));
    unharmed(&server).await;
}

#[tokio::test]
async fn agents_that_ask_each_other_for_ever_end_at_the_hop_limit() {
    let server = server().await;
    server
        .deploy(&Example::load("misbehave").named("other"))
        .await;
    server.tell("misbehave", "pingpong other").await.unwrap();
    let last = async |server: &TestServer| {
        let mut letters = server.dead_letters("misbehave").await;
        letters.extend(server.dead_letters("other").await);
        letters.into_iter().next()
    };
    let letter = server.eventually("the chain ends", last).await;
    assert_eq!((letter.code.as_str(), letter.attempts), ("CX-3004", 0));
    let hops = u32::from(caxton_core::route::HOPS_MAX);
    assert_eq!(letter.message.unwrap().hop, hops + 1);
    let mut pings = 0;
    for name in ["misbehave", "other"] {
        let told = server.say("query-ref", name, "pings").await;
        pings += told.content.parse::<u32>().unwrap();
    }
    // The first has hop 0 and the last that is delivered the limit.
    assert_eq!(pings, hops + 1);
    assert_eq!(
        server
            .metric("caxton_messages_refused_total{code=\"CX-3004\"}")
            .await,
        1.0
    );
    unharmed(&server).await;
}

#[tokio::test]
async fn a_call_in_a_circle_is_refused_and_one_in_a_line_is_not() {
    let server = server().await;
    for name in ["b", "c"] {
        server.deploy(&Example::load("misbehave").named(name)).await;
    }
    let line = server
        .ask("misbehave", "call b call c call echo hello")
        .await;
    assert_eq!(line, inform("hello"));
    for circle in [
        "call b call misbehave ok",
        "call misbehave ok",
        "call b call c call b ok",
    ] {
        let said = server.ask("misbehave", circle).await;
        assert_eq!(said.performative, "failure", "{circle}");
        assert!(said.content.contains("CX-3005"), "{circle}: {said:?}");
    }
    let nobody = server.ask("misbehave", "call nobody ok").await;
    assert!(nobody.content.contains("CX-3001"), "{nobody:?}");
    let late = server.ask("misbehave", "sleep-call b 20").await;
    assert!(late.content.starts_with("CX-3006"), "{late:?}");
    unharmed(&server).await;
}

#[tokio::test]
async fn what_wasi_could_give_is_not_there() {
    let server = server().await;
    server.deploy(&Example::load("trespass")).await;
    assert!(
        std::env::vars().count() > 0,
        "there is an environment to be seen"
    );
    for nothing in ["env", "args", "files"] {
        assert_eq!(
            server.ask("trespass", nothing).await,
            inform(""),
            "{nothing}"
        );
    }
    // The server's own port is open: whoever could connect at all would get through.
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    for reach in [
        format!("connect {port}"),
        "listen 0".to_owned(),
        "resolve localhost".to_owned(),
    ] {
        let said = server.ask("trespass", &reach).await;
        assert_eq!(said.performative, "failure", "{reach}: {said:?}");
        assert!(
            !said.content.contains("CX-"),
            "WASI itself refuses: {said:?}"
        );
    }
    // Ending the process ends its own instance.
    let said = server.ask("trespass", "exit").await;
    assert_eq!(said.performative, "failure");
    assert!(said.content.contains("CX-3021"), "{said:?}");
    assert_eq!(server.ask("trespass", "env").await, inform(""));
    unharmed(&server).await;
}
