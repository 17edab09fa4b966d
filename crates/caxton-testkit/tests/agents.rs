//! The shipped agents on a whole server, through its doors: durable counts, every host interface,
//! hot reload, the lifecycle, and leaving memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_api::v1::{
    DeleteAgentRequest, DrainAgentRequest, ListLogsRequest, LogEntry, StartAgentRequest,
    StopAgentRequest, WatchLogsRequest, WatchMessagesRequest,
};
use caxton_testkit::server::{Example, Said, TestServer, draft, text_of};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

fn inform(content: &str) -> Said {
    Said::new("inform", content)
}

#[tokio::test]
async fn echo_answers_as_fipa_has_it() {
    let server = TestServer::start().await;
    server.deploy(&Example::load("echo")).await;
    let mut asked = draft("request", "echo", "good day · 🙂");
    asked.language = Some("en".to_owned());
    asked.ontology = Some("greetings".to_owned());
    asked.protocol = Some("fipa-request".to_owned());
    asked.conversation_id = Some("c-1".to_owned());
    asked.reply_with = Some("r-1".to_owned());
    let answer = server.converse(asked).await.unwrap();
    assert_eq!(answer.performative, "inform");
    assert_eq!(text_of(&answer), "good day · 🙂");
    assert_eq!(answer.sender.unwrap().name, "echo@default");
    assert_eq!(answer.receiver[0].name, "admin@default");
    assert_eq!(answer.in_reply_to.as_deref(), Some("r-1"));
    assert_eq!(answer.conversation_id.as_deref(), Some("c-1"));
    assert_eq!(answer.protocol.as_deref(), Some("fipa-request"));
    assert_eq!(answer.language.as_deref(), Some("en"));
    assert_eq!(answer.ontology.as_deref(), Some("greetings"));
    // What it does not do is told, and an answer is not answered.
    assert_eq!(
        server.say("subscribe", "echo", "x").await.performative,
        "not-understood"
    );
    let said = server.conversation("c-1").await;
    let acts: Vec<&str> = said.iter().map(|it| it.performative.as_str()).collect();
    assert_eq!(acts, ["request", "inform"]);
    assert_eq!(said[0].deliveries[0].state, "handled");
}

#[tokio::test]
async fn a_count_is_exact_over_a_restart_and_crashes() {
    let mut server = TestServer::start().await;
    server.deploy(&Example::load("counter")).await;
    let mut sum = 0;
    for round in 1..=3 {
        for n in 1..=25 {
            server.tell("counter", &format!("add {n}")).await.unwrap();
            sum += n;
        }
        // All acknowledged, few handled. A restart handles them first, a crash leaves them for later.
        match round {
            2 => server.restart().await,
            _ => server.kill().await,
        }
        let got = server.say("query-ref", "counter", "get").await;
        assert_eq!(got, inform(&sum.to_string()), "round {round}");
    }
    assert_eq!(server.dead_letters("counter").await, []);
}

#[tokio::test]
async fn a_crash_amid_sending_loses_nothing_that_was_acknowledged() {
    const SENDS: usize = 64;
    const UNTIL_THE_CRASH: usize = 20;
    let mut server = TestServer::start().await;
    server.deploy(&Example::load("counter")).await;
    let acknowledged = {
        let client = server.client().clone();
        let (told, mut heard) = tokio::sync::mpsc::channel(SENDS);
        let sending: Vec<_> = (0..SENDS)
            .map(|_| {
                let (client, told) = (client.clone(), told.clone());
                tokio::spawn(async move {
                    let request = caxton_api::v1::SendMessageRequest {
                        message: Some(draft("request", "counter", "add 1")),
                        wait: String::new(),
                    };
                    let sent = client.send_message(&request).await.is_ok();
                    told.send(()).await.unwrap();
                    sent
                })
            })
            .collect();
        for _ in 0..UNTIL_THE_CRASH {
            heard.recv().await.unwrap();
        }
        server.kill().await;
        let mut acknowledged = 0;
        for sent in sending {
            acknowledged += usize::from(sent.await.unwrap());
        }
        acknowledged
    };
    assert!(acknowledged >= UNTIL_THE_CRASH, "{acknowledged}");
    let got = server.say("query-ref", "counter", "get").await;
    let count: usize = got.content.parse().unwrap();
    // One that was not acknowledged may have reached the disk all the same.
    assert!(
        (acknowledged..=SENDS).contains(&count),
        "{acknowledged} acknowledged, {count} counted"
    );
}

#[tokio::test]
async fn the_probe_sees_every_host_interface() {
    let server = TestServer::start().await;
    server.deploy(&Example::load("echo")).await;
    server
        .deploy(&Example::load("probe").version("3.1.4"))
        .await;

    let (one, two) = (
        server.ask("probe", "random 16").await,
        server.ask("probe", "random 16").await,
    );
    assert_eq!((one.content.len(), two.content.len()), (32, 32));
    assert_ne!(one, two);

    let time: i64 = server.ask("probe", "time").await.content.parse().unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let apart = i128::from(time).abs_diff(i128::try_from(now.as_micros()).unwrap());
    assert!(apart < 3_600_000_000, "{apart} us apart");

    assert_eq!(server.ask("probe", "me").await, inform("probe@default"));
    assert_eq!(server.ask("probe", "version").await, inform("3.1.4"));

    for (ask, answer) in [
        ("state set k/1 one", inform("done")),
        ("state set k/2 two", inform("done")),
        ("state set other x", inform("done")),
        ("state get k/1", inform("one")),
        ("state keys k/", inform("k/1\nk/2")),
        ("state keys k/ k/1", inform("k/2")),
        ("state keys k/ k/0 1", inform("k/1")),
        ("state delete k/1", inform("done")),
        ("state get k/1", Said::new("failure", "no such key")),
        ("state keys", inform("k/2\nother")),
        ("call echo hello", inform("hello")),
        ("metric sales 3", inform("done")),
        ("metric sales 4", inform("done")),
        ("gauge depth 2.5", inform("done")),
    ] {
        assert_eq!(server.ask("probe", ask).await, answer, "{ask}");
    }
    let labels = "{agent=\"probe\",tenant=\"default\"}";
    let sales = format!("caxton_guest_sales_total{labels}");
    assert_eq!(server.metric(&sales).await, 7.0);
    let depth = format!("caxton_guest_depth{labels}");
    assert_eq!(server.metric(&depth).await, 2.5);
}

#[tokio::test]
async fn an_agent_knows_its_delivery_and_its_trace() {
    let server = TestServer::start().await;
    server.deploy(&Example::load("probe")).await;
    let mut asked = draft("request", "probe", "delivery");
    asked.conversation_id = Some("c-delivery".to_owned());
    let answer = server.converse(asked).await.unwrap();
    let asked = &server.conversation("c-delivery").await[0];
    let text = text_of(&answer);
    let told: Vec<&str> = text.split(' ').collect();
    assert_eq!(told[..3], [asked.id.as_str(), "1", asked.trace_id.as_str()]);
    assert_eq!(answer.trace_id, asked.trace_id);
    assert_eq!(answer.parent_id.as_deref(), Some(asked.id.as_str()));
}

#[tokio::test]
async fn a_timer_fires_and_tells_who_set_it() {
    let mut server = TestServer::start().await;
    server.deploy(&Example::load("probe")).await;
    let mut asked = draft("request", "probe", "timer tea 1 it is ready");
    asked.conversation_id = Some("c-tea".to_owned());
    let mut stream = server
        .client()
        .watch_messages(&WatchMessagesRequest {
            conversation_id: "c-tea".to_owned(),
            ..WatchMessagesRequest::default()
        })
        .await
        .unwrap();
    server.send(asked).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let message = stream.next().await.expect("the stream goes on").unwrap();
        heard.push(text_of(&message));
    }
    assert_eq!(heard, ["timer tea 1 it is ready", "done", "it is ready"]);

    // A cancelled one does not fire; one that is set outlives a crash.
    let asked = server.ask("probe", "timer late 3600000 never").await;
    assert_eq!(asked, inform("done"));
    assert_eq!(
        server.ask("probe", "timer-cancel late").await,
        inform("done")
    );
    let mut asked = draft("request", "probe", "timer after 200 the crash");
    asked.conversation_id = Some("c-after".to_owned());
    assert_eq!(text_of(&server.converse(asked).await.unwrap()), "done");
    server.kill().await;
    server
        .eventually("the timer fires after the crash", async |server| {
            let said = server.conversation("c-after").await;
            said.iter()
                .any(|it| text_of(it) == "the crash")
                .then_some(())
        })
        .await;
}

#[tokio::test]
async fn what_an_agent_logs_can_be_read_and_followed() {
    let server = TestServer::start().await;
    server.deploy(&Example::load("probe")).await;
    server.deploy(&Example::load("trespass")).await;
    for (level, text) in [
        ("info", "high tide"),
        ("warn", "low tide"),
        ("error", "no tide"),
    ] {
        server.ask("probe", &format!("log {level} {text}")).await;
    }
    let list = async |agent: &str, level: &str| {
        let request = ListLogsRequest {
            agent: agent.to_owned(),
            level: level.to_owned(),
            ..ListLogsRequest::default()
        };
        let entries = server.client().list_logs(&request).await.unwrap().entries;
        let line = |entry: LogEntry| (entry.level, entry.text);
        entries.into_iter().map(line).collect::<Vec<_>>()
    };
    let line = |level: &str, text: &str| (level.to_owned(), text.to_owned());
    assert_eq!(
        list("probe", "").await,
        [
            line("info", "high tide"),
            line("warn", "low tide"),
            line("error", "no tide")
        ]
    );
    assert_eq!(
        list("probe", "warn").await,
        [line("warn", "low tide"), line("error", "no tide")]
    );
    // What a guest prints is its log as well.
    server.ask("trespass", "stdout printed").await;
    let printed = list("trespass", "").await;
    assert!(
        printed.iter().any(|(_, text)| text == "printed"),
        "{printed:?}"
    );

    let follow = WatchLogsRequest {
        agent: "probe".to_owned(),
        tail: 1,
        level: String::new(),
    };
    let mut stream = server.client().watch_logs(&follow).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().text, "no tide");
    server.ask("probe", "log debug spring tide").await;
    let next = stream.next().await.unwrap().unwrap();
    assert_eq!(
        (next.level.as_str(), next.text.as_str()),
        ("debug", "spring tide")
    );
    assert!(next.message_id.is_some(), "the message in hand: {next:?}");
}

#[tokio::test]
async fn hot_reload_under_load_loses_and_doubles_nothing() {
    const SENDS: usize = 200;
    let server = TestServer::start().await;
    server.deploy(&Example::load("counter")).await;
    let mut answers: FuturesUnordered<_> =
        (0..SENDS).map(|_| server.ask("counter", "add 1")).collect();
    let mut counts = Vec::new();
    for version in ["1.1.0", "1.2.0", "2.0.0"] {
        for _ in 0..SENDS / 4 {
            counts.push(answers.next().await.unwrap());
        }
        let updated = Example::load("counter").version(version);
        assert_eq!(server.update(&updated).await.unwrap().version, version);
    }
    counts.extend(answers.collect::<Vec<_>>().await);
    let mut counts: Vec<usize> = counts
        .into_iter()
        .map(|said| said.content.parse().unwrap())
        .collect();
    // Each add was answered with a count of its own: none was lost, none counted twice.
    counts.sort_unstable();
    assert_eq!(counts, (1..=SENDS).collect::<Vec<_>>());
    let agent = server.agent("counter").await;
    assert_eq!(
        (agent.version.as_str(), agent.state.as_str()),
        ("2.0.0", "running")
    );
    let got = server.say("query-ref", "counter", "get").await;
    assert_eq!(got, inform(&SENDS.to_string()));
}

#[tokio::test]
async fn a_new_version_that_is_refused_leaves_the_old_one_running() {
    let server = TestServer::start().await;
    server
        .deploy(&Example::load("probe").version("1.0.0"))
        .await;
    let broken = Example::load("probe")
        .version("2.0.0")
        .with_component("not wasm");
    let refused = server.update(&broken).await.unwrap_err();
    assert_eq!(refused.code(), Some("CX-2003"));
    assert_eq!(server.ask("probe", "version").await, inform("1.0.0"));
    let good = Example::load("probe").version("2.0.0");
    server.update(&good).await.unwrap();
    assert_eq!(server.ask("probe", "version").await, inform("2.0.0"));
}

#[tokio::test]
async fn an_agent_stops_starts_drains_and_goes() {
    let mut server = TestServer::start().await;
    server.deploy(&Example::load("counter")).await;
    let agent = || "counter".to_owned();
    assert_eq!(server.ask("counter", "add 1").await, inform("1"));

    let stop = StopAgentRequest { agent: agent() };
    assert_eq!(
        server.client().stop_agent(&stop).await.unwrap().state,
        "stopped"
    );
    let refused = server.tell("counter", "add 1").await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (Some(409), Some("CX-3002"))
    );
    // As it stood before the restart, it stands after it.
    server.restart().await;
    assert_eq!(server.agent("counter").await.state, "stopped");

    let start = StartAgentRequest { agent: agent() };
    assert_eq!(
        server.client().start_agent(&start).await.unwrap().state,
        "running"
    );
    for _ in 0..50 {
        server.tell("counter", "add 1").await.unwrap();
    }
    let drain = DrainAgentRequest {
        agent: agent(),
        timeout: "30s".to_owned(),
    };
    assert_eq!(
        server.client().drain_agent(&drain).await.unwrap().state,
        "stopped"
    );
    assert_eq!(
        server
            .agent("counter")
            .await
            .stats
            .unwrap()
            .mailbox_messages,
        0
    );
    server.client().start_agent(&start).await.unwrap();
    let got = server.say("query-ref", "counter", "get").await;
    assert_eq!(
        got,
        inform("51"),
        "what waited was handled before it stopped"
    );

    let gone = DeleteAgentRequest { agent: agent() };
    server.client().delete_agent(&gone).await.unwrap();
    let refused = server.client().delete_agent(&gone).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (Some(404), Some("CX-2020"))
    );
    // The name is free, and its state went with it.
    server.deploy(&Example::load("counter")).await;
    assert_eq!(server.say("query-ref", "counter", "get").await, inform("0"));
}

#[tokio::test]
async fn an_idle_agent_leaves_memory_and_is_back_with_its_next_message() {
    let server = TestServer::start().await;
    server.deploy(&Example::load("counter")).await;
    let stays = Example::load("echo").named("stays");
    assert_eq!(server.ask("counter", "add 5").await, inform("5"));
    server.is_idle().await;
    let left = server.metric("caxton_instances_retired_total").await;
    assert!(left >= 1.0, "{left}");
    let made = server.metric("caxton_activations_total").await;
    assert_eq!(server.ask("counter", "add 5").await, inform("10"));
    assert_eq!(server.metric("caxton_activations_total").await, made + 1.0);

    // A resident one stays, and is the same instance whenever it answers.
    server
        .deploy(&stays.with(|manifest| manifest.instance.resident = true))
        .await;
    server.ask("stays", "a").await;
    let made = server.metric("caxton_activations_total").await;
    let alone = async |server: &TestServer| {
        (server.metric("caxton_mailboxes_live").await == 1.0).then_some(())
    };
    server
        .eventually("only the resident one stays", alone)
        .await;
    server.ask("stays", "b").await;
    assert_eq!(server.metric("caxton_activations_total").await, made);
}
