//! The adapter over an `Http` port that the test holds: what is sent, what is learnt, what broken
//! answers become.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use bytes::Bytes;
use caxton_core::model::{ModelEvent, ModelFault, ModelFaultKind, ModelReply, ModelRequest};
use caxton_core::{TenantId, Timestamp, TraceContext};
use caxton_engine::port::http::{HeaderValue, HttpAnswer, HttpFault, HttpRequest, Trust};
use caxton_engine::port::model::{Endpoint, Model as _, ModelCall, ProviderKind};
use caxton_engine::port::secrets::Secret;
use caxton_engine::port::{Answer, Http, ManualClock};
use caxton_llm::{Options, Providers, Table};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Piece = Result<Bytes, HttpFault>;

/// One answer: status, headers, pieces, and whether it hangs instead of ending.
struct Script {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    pieces: Vec<Piece>,
    hangs: bool,
}

#[derive(Default)]
struct Fake {
    answers: Mutex<VecDeque<Result<Script, HttpFault>>>,
    asked: Mutex<Vec<HttpRequest>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Http for Fake {
    fn send(&self, request: HttpRequest) -> Answer<'_, Result<HttpAnswer, HttpFault>> {
        self.asked.lock().unwrap().push(request);
        let next = self
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .expect("asked too often");
        let answer = next.map(|script| {
            let pieces = futures::stream::iter(script.pieces);
            let body = if script.hangs {
                pieces.chain(futures::stream::pending()).boxed()
            } else {
                pieces.boxed()
            };
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            HttpAnswer {
                status: script.status,
                headers: script.headers.iter().map(own).collect(),
                body,
            }
        });
        Box::pin(std::future::ready(answer))
    }
}

fn says(status: u16, body: &str) -> Result<Script, HttpFault> {
    Ok(Script {
        status,
        headers: Vec::new(),
        pieces: vec![Ok(Bytes::copy_from_slice(body.as_bytes()))],
        hangs: false,
    })
}

fn chat(text: &str) -> String {
    let chunk = |delta: &str, end: &str| {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":{end}}}]}}\n\n"
        )
    };
    let words: String = text
        .split_inclusive(' ')
        .map(|word| {
            chunk(
                &format!("\"content\":{}", serde_json::to_string(word).unwrap()),
                "null",
            )
        })
        .collect();
    format!("{words}{}data: [DONE]\n\n", chunk("", "\"stop\""))
}

struct World {
    fake: Arc<Fake>,
    providers: Providers,
    kind: ProviderKind,
    base_url: &'static str,
    trusted: bool,
    request: ModelRequest,
}

impl World {
    fn new(kind: ProviderKind, answers: Vec<Result<Script, HttpFault>>) -> Self {
        let fake = Arc::new(Fake::default());
        fake.answers.lock().unwrap().extend(answers);
        let http: Arc<dyn Http> = Arc::clone(&fake) as Arc<dyn Http>;
        let now = Timestamp::parse_rfc3339("2026-11-22T12:00:00Z").unwrap();
        let providers = Providers::new(Options {
            http,
            clock: Arc::new(ManualClock::new(now)),
            scripts_dir: None,
            table: Table::read(None).unwrap(),
        });
        Self {
            fake,
            providers,
            kind,
            base_url: "https://llm.example.org/v1",
            trusted: false,
            request: support::least(),
        }
    }

    fn call(&self) -> ModelCall {
        ModelCall {
            tenant: TenantId::default_tenant(),
            endpoint: Arc::new(Endpoint {
                provider: "p".to_owned(),
                kind: self.kind,
                base_url: self.base_url.to_owned(),
                secret: Some(Secret::new("sk-very-secret")),
                trusted: self.trusted,
            }),
            model: "m".to_owned(),
            request: Arc::new(self.request.clone()),
            key: "key-1".to_owned(),
            attempt: 1,
            scripts: None,
            trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                .unwrap(),
        }
    }

    /// The reply, the fault, and whether the rest hangs.
    async fn ask(&self) -> (ModelReply, Option<ModelFault>, bool) {
        let mut reply = ModelReply::default();
        let mut stream = match self.providers.stream(self.call()).await {
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

    fn body(&self, at: usize) -> Value {
        serde_json::from_slice(&self.fake.asked.lock().unwrap()[at].body).unwrap()
    }

    fn header(&self, at: usize, name: &str) -> Option<String> {
        let asked = self.fake.asked.lock().unwrap();
        let found = asked[at].headers.iter().find(|(it, _)| it == name)?;
        Some(match &found.1 {
            HeaderValue::Plain(text) => text.clone(),
            HeaderValue::Secret(prefix, secret) => format!("secret {prefix}{}", secret.reveal()),
        })
    }
}

#[tokio::test]
async fn a_request_goes_where_it_should_with_its_credential() {
    let check = |kind, base_url, url: &'static str, name: &'static str, value: &'static str| async move {
        let mut world = World::new(kind, vec![says(500, "")]);
        world.base_url = base_url;
        let (_, fault, _) = world.ask().await;
        assert_eq!(fault.unwrap().kind, ModelFaultKind::Server);
        assert_eq!(world.header(0, name).as_deref(), Some(value));
        assert_eq!(world.header(0, "idempotency-key").as_deref(), Some("key-1"));
        assert!(world.header(0, "traceparent").is_some());
        let asked = world.fake.asked.lock().unwrap();
        assert_eq!((asked[0].url.as_str(), asked[0].method), (url, "POST"));
        assert_eq!(asked[0].trust, Trust::Tenant(TenantId::default_tenant()));
    };
    let base = "https://llm.example.org/v1";
    check(
        ProviderKind::OpenaiChat,
        base,
        "https://llm.example.org/v1/chat/completions",
        "authorization",
        "secret Bearer sk-very-secret",
    )
    .await;
    check(
        ProviderKind::OpenaiResponses,
        base,
        "https://llm.example.org/v1/responses",
        "authorization",
        "secret Bearer sk-very-secret",
    )
    .await;
    for base in [base, "https://llm.example.org", "https://llm.example.org/"] {
        check(
            ProviderKind::Anthropic,
            base,
            "https://llm.example.org/v1/messages",
            "x-api-key",
            "secret sk-very-secret",
        )
        .await;
    }
    let mut world = World::new(ProviderKind::OpenaiChat, vec![says(500, "")]);
    world.trusted = true;
    world.ask().await;
    assert_eq!(world.fake.asked.lock().unwrap()[0].trust, Trust::Operator);
}

#[tokio::test]
async fn an_answer_streams_and_an_answer_that_does_not_is_read_all_the_same() {
    let world = World::new(
        ProviderKind::OpenaiChat,
        vec![
            says(200, &chat("Hello there")),
            says(
                200,
                r#" {"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}"#,
            ),
        ],
    );
    let (reply, fault, _) = world.ask().await;
    assert_eq!((reply.text().as_str(), fault), ("Hello there", None));
    let (reply, fault, _) = world.ask().await;
    assert_eq!((reply.text().as_str(), fault), ("Hello", None));
}

#[tokio::test]
async fn a_complete_answer_on_a_connection_that_stays_open_or_breaks_is_complete() {
    let open = |hangs, after: Vec<Piece>| {
        let mut pieces = vec![Ok(Bytes::from(chat("Hello")))];
        pieces.extend(after);
        Ok(Script {
            status: 200,
            headers: Vec::new(),
            pieces,
            hangs,
        })
    };
    let broken = || Err(HttpFault::Broken("reset".to_owned()));
    let world = World::new(
        ProviderKind::OpenaiChat,
        vec![open(true, vec![]), open(false, vec![broken()])],
    );
    // It is finished before the connection is: who waits on waits for that alone.
    let (reply, fault, hangs) = world.ask().await;
    assert_eq!(
        (reply.text().as_str(), reply.stop.is_some(), fault, hangs),
        ("Hello", true, None, true)
    );
    let (reply, fault, hangs) = world.ask().await;
    assert_eq!((reply.stop.is_some(), fault, hangs), (true, None, false));
}

#[tokio::test]
async fn broken_answers_are_faults() {
    let half = chat("Hello there");
    let half = &half[..half.len() / 2];
    let pieces = |pieces| {
        Ok(Script {
            status: 200,
            headers: Vec::new(),
            pieces,
            hangs: false,
        })
    };
    let endless = vec![Ok(Bytes::from(vec![b'x'; 1 << 20])); 1024];
    let endless_json = vec![Ok(Bytes::from(vec![b'{'; 1 << 20])); 1024];
    let cases = [
        (says(200, half), ModelFaultKind::Cut),
        (says(200, ""), ModelFaultKind::Malformed),
        (says(200, "<html>no</html>"), ModelFaultKind::Malformed),
        (says(200, "{\"half"), ModelFaultKind::Malformed),
        (says(200, "{}"), ModelFaultKind::Malformed),
        (
            pieces(vec![
                Ok(Bytes::from(half.to_owned())),
                Err(HttpFault::Broken("reset".to_owned())),
            ]),
            ModelFaultKind::Cut,
        ),
        (pieces(endless), ModelFaultKind::TooLarge),
        (pieces(endless_json), ModelFaultKind::TooLarge),
        (Err(HttpFault::ConnectTimeout), ModelFaultKind::Timeout),
        (
            Err(HttpFault::Connect("no".to_owned())),
            ModelFaultKind::Network,
        ),
        (
            Err(HttpFault::Refused("loopback".to_owned())),
            ModelFaultKind::Forbidden,
        ),
        (
            Err(HttpFault::Malformed("url".to_owned())),
            ModelFaultKind::Invalid,
        ),
    ];
    for (answer, kind) in cases {
        let world = World::new(ProviderKind::OpenaiChat, vec![answer]);
        let (reply, fault, hangs) = world.ask().await;
        assert_eq!(
            (fault.map(|it| it.kind), hangs, reply.stop),
            (Some(kind), false, None)
        );
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_wait_and_without_the_credential() {
    let limited = Ok(Script {
        status: 429,
        headers: vec![("retry-after", "7")],
        pieces: vec![Ok(Bytes::from(
            r#"{"error":{"message":"slow down, sk-very-secret"}}"#,
        ))],
        hangs: false,
    });
    let world = World::new(ProviderKind::OpenaiChat, vec![limited]);
    let fault = world.ask().await.1.unwrap();
    assert_eq!(
        (fault.kind, fault.status),
        (ModelFaultKind::RateLimited, Some(429))
    );
    assert_eq!(fault.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(fault.detail, "slow down, …");
}

#[tokio::test]
async fn what_a_server_refuses_is_left_out_and_remembered() {
    let world = World::new(
        ProviderKind::OpenaiChat,
        vec![
            says(
                400,
                r#"{"error":{"message":"Unknown parameter: 'stream_options'"}}"#,
            ),
            says(
                400,
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}"#,
            ),
            says(200, &chat("Hello")),
            says(200, &chat("Hello")),
        ],
    );
    let (reply, fault, _) = world.ask().await;
    assert_eq!((reply.text().as_str(), fault), ("Hello", None));
    let has = |at: usize| {
        let body = world.body(at);
        ["stream_options", "max_tokens", "max_completion_tokens"]
            .map(|name| body.get(name).is_some())
    };
    assert_eq!(has(0), [true, true, false]);
    assert_eq!(has(1), [false, true, false]);
    assert_eq!(has(2), [false, false, true]);
    // Another body is another request for whoever knows idempotency keys.
    assert_eq!(
        world.header(2, "idempotency-key").as_deref(),
        Some("key-1-2")
    );
    world.ask().await;
    assert_eq!(has(3), [false, false, true]);
    assert_eq!(world.header(3, "idempotency-key").as_deref(), Some("key-1"));
}

#[tokio::test]
async fn a_server_that_always_refuses_is_asked_so_often_and_no_more() {
    let refuse = || says(400, r#"{"error":{"message":"stream_options: no"}}"#);
    // Refused without the field as well: that was not the reason.
    let world = World::new(ProviderKind::OpenaiChat, vec![refuse(), refuse()]);
    let fault = world.ask().await.1.unwrap();
    assert_eq!(
        (fault.kind, fault.status),
        (ModelFaultKind::Invalid, Some(400))
    );
}

#[tokio::test]
async fn the_models_without_a_network_send_nothing() {
    let world = World::new(ProviderKind::Demo, Vec::new());
    let (reply, fault, _) = world.ask().await;
    assert!(fault.is_none() && reply.text().contains("not a language model"));
    let world = World::new(ProviderKind::Scripted, Vec::new());
    assert_eq!(world.ask().await.1.unwrap().kind, ModelFaultKind::Script);
}

#[tokio::test]
async fn events_come_as_soon_as_their_bytes_do() {
    let text = chat("one two");
    let at = text.find("two").unwrap() - 40;
    let first = Bytes::copy_from_slice(&text.as_bytes()[..at]);
    let answer = Ok(Script {
        status: 200,
        headers: Vec::new(),
        pieces: vec![Ok(first)],
        hangs: true,
    });
    let world = World::new(ProviderKind::OpenaiChat, vec![answer]);
    let mut stream = world.providers.stream(world.call()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(Some(event)) = stream.next().now_or_never() {
        seen.push(event.unwrap());
    }
    assert_eq!(seen.last(), Some(&ModelEvent::Text("one ".to_owned())));
}
