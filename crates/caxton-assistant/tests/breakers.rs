//! A tool that is ill is left alone, tried again, and asked on; of all of it the log and the metrics tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use caxton_core::breaker::State;
use caxton_core::error::{Code, Error};
use caxton_core::tool::{Effect, ToolId, ToolName};
use caxton_engine::OpCtx;
use caxton_engine::app::{ToolCallDone, TryCall};
use caxton_engine::port::NativeRuntime;
use caxton_engine::port::tool::{ToolAnswer, ToolFault, ToolFaultKind};
use parking_lot::Mutex;
use serde_json::json;
use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Once};
use std::time::Duration;
use support::hands::{function, tool};
use support::*;

/// What `mail.read` does when it is called.
#[derive(Clone, Copy)]
enum Health {
    Well,
    /// It cannot be reached.
    Gone,
    /// It never answers.
    Hangs,
    /// It answers that it is ill, and for how many seconds it wants to be left alone.
    Overloaded(u64),
    /// It fails in its own terms.
    Says,
}

struct Ward {
    world: World,
    hands: Arc<Hands>,
    health: Arc<Mutex<Health>>,
}

impl Ward {
    async fn new() -> Self {
        listen();
        let health = Arc::new(Mutex::new(Health::Well));
        let seen = Arc::clone(&health);
        let hands = Arc::new(Hands::new(move |asked| {
            let now = match asked.target.name.as_str() {
                "mail" => *seen.lock(),
                _ => Health::Well,
            };
            Box::pin(async move {
                match now {
                    Health::Well => Ok(ToolAnswer::text("done")),
                    Health::Gone => {
                        let why = "connection refused";
                        Err(ToolFault::new(ToolFaultKind::Unavailable, why))
                    }
                    Health::Hangs => futures::future::pending().await,
                    Health::Overloaded(seconds) => Ok(ToolAnswer {
                        ill: Some(Duration::from_secs(seconds)),
                        ..ToolAnswer::error("HTTP 503")
                    }),
                    Health::Says => Ok(ToolAnswer::error("HTTP 404")),
                }
            })
        }));
        let native = NativeRuntime::default();
        let world = World::with_hands(native, Arc::clone(&hands), |_| vec![text("hi")]).await;
        for (name, is_mcp) in [("mail", false), ("post", true)] {
            let functions = [function("read", Effect::Reads)];
            hands.offers.lock().clone_from(&functions.to_vec());
            let tool = tool(name, &functions, is_mcp);
            world.app.tool_register(&ctx(), tool).await.unwrap();
        }
        Self {
            world,
            hands,
            health,
        }
    }

    fn is(&self, health: Health) {
        *self.health.lock() = health;
    }

    async fn read(&self, tool: &str) -> Result<ToolCallDone, Error> {
        let call = TryCall {
            id: ToolId::parse(&format!("{tool}.read")).unwrap(),
            arguments: json!({}),
            session: None,
        };
        self.world.app.tool_call(&ctx(), call).await
    }

    async fn fails(&self, code: Code) -> Option<Duration> {
        let error = self.read("mail").await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
        error.retry_after
    }

    fn state(&self, ctx: &OpCtx) -> State {
        let name = ToolName::parse("mail").unwrap();
        self.world.app.tool_breaker(ctx, &name).unwrap().state
    }

    fn metric(&self, line: &str) -> f64 {
        let families = self.world.app.metrics().registry.gather();
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&families)
            .unwrap();
        let found = text.lines().find_map(|it| it.strip_prefix(line));
        found.expect(line).trim().parse().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_ill_is_left_alone_and_tried_again() {
    let ward = Ward::new().await;
    assert_eq!(ward.metric(r#"caxton_breakers_open{of="tool"}"#), 0.0);
    ward.is(Health::Gone);
    for _ in 0..5 {
        ward.fails(Code::ToolUnavailable).await;
    }
    let wait = ward.fails(Code::ToolLeftAlone).await.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(5));
    assert_eq!(ward.hands.made().len(), 5, "it was called all the same");
    assert_eq!(ward.state(&ctx()), State::Open);
    assert_eq!(ward.metric(r#"caxton_breakers_open{of="tool"}"#), 1.0);
    assert_eq!(
        ward.metric(r#"caxton_breaker_refused_total{of="tool"}"#),
        1.0
    );
    // Others are none of its business.
    ward.read("post").await.unwrap();
    // A trial that fails: twice as long.
    ward.world.pass(Duration::from_secs(6)).await;
    ward.fails(Code::ToolUnavailable).await;
    let wait = ward.fails(Code::ToolLeftAlone).await.unwrap();
    assert!(wait > Duration::from_secs(9) && wait <= Duration::from_secs(10));
    // And one that does not.
    ward.world.pass(Duration::from_secs(11)).await;
    ward.is(Health::Well);
    for _ in 0..3 {
        ward.read("mail").await.unwrap();
    }
    assert_eq!(ward.state(&ctx()), State::Closed);
    assert_eq!(ward.metric(r#"caxton_breakers_open{of="tool"}"#), 0.0);
    for (state, times) in [("open", 2.0), ("half-open", 2.0), ("closed", 1.0)] {
        let line = format!(r#"caxton_breaker_changes_total{{of="tool",state="{state}"}}"#);
        assert_eq!(ward.metric(&line), times, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_well_again_is_called_within_half_a_minute() {
    let ward = Ward::new().await;
    ward.is(Health::Gone);
    for _ in 0..5 {
        ward.fails(Code::ToolUnavailable).await;
    }
    // However long it was ill.
    for _ in 0..12 {
        let wait = ward.fails(Code::ToolLeftAlone).await.unwrap();
        assert!(wait <= Duration::from_secs(30), "{wait:?}");
        ward.world.pass(wait).await;
        ward.fails(Code::ToolUnavailable).await;
    }
    let wait = ward.fails(Code::ToolLeftAlone).await.unwrap();
    ward.is(Health::Well);
    ward.world.pass(wait).await;
    ward.read("mail").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tool_says_itself_for_how_long() {
    let ward = Ward::new().await;
    ward.is(Health::Overloaded(60));
    for _ in 0..5 {
        assert!(ward.read("mail").await.unwrap().answer.is_error);
    }
    let wait = ward.fails(Code::ToolLeftAlone).await.unwrap();
    assert!(wait > Duration::from_secs(55) && wait <= Duration::from_secs(60));
    // Another one by its name now is asked at once.
    ward.is(Health::Well);
    let other = tool("mail", &[function("read", Effect::Reads)], false);
    ward.world.app.tool_replace(&ctx(), other).await.unwrap();
    ward.read("mail").await.unwrap();
    assert_eq!(ward.metric(r#"caxton_breakers_open{of="tool"}"#), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_fails_in_its_own_terms_is_called_on_and_what_hangs_is_not() {
    let ward = Ward::new().await;
    ward.is(Health::Says);
    for _ in 0..9 {
        assert!(ward.read("mail").await.unwrap().answer.is_error);
    }
    ward.is(Health::Hangs);
    for _ in 0..5 {
        ward.fails(Code::ToolTimeout).await;
    }
    ward.fails(Code::ToolLeftAlone).await;
}

thread_local! {
    /// What was logged on this thread, which is one test's alone.
    static HEARD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes down what is logged, by threads.
struct Listener;

impl io::Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        HEARD.with_borrow_mut(|heard| heard.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One for all tests of this file, before the first of them logs: what is logged where nobody listens is
/// not made the next time either.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(|| Listener)
            .init();
    });
}

#[tokio::test(start_paused = true)]
async fn changes_are_logged() {
    let ward = Ward::new().await;
    ward.is(Health::Gone);
    for _ in 0..5 {
        ward.fails(Code::ToolUnavailable).await;
    }
    ward.is(Health::Well);
    ward.world.pass(Duration::from_secs(6)).await;
    ward.read("mail").await.unwrap();
    let heard = HEARD.with_borrow(|heard| String::from_utf8(heard.clone()).unwrap());
    let changes: Vec<&str> = heard
        .lines()
        .filter(|line| line.contains("circuit breaker changed"))
        .collect();
    for (line, state) in changes.iter().zip(["open", "half-open", "closed"]) {
        for part in [
            r#"of="tool""#,
            r#"name="mail""#,
            r#"whose="default""#,
            &format!(r#"state="{state}""#),
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    assert_eq!(changes.len(), 3, "{heard}");
}
