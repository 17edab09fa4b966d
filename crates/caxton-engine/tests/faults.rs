//! What the simulator found, each in the smallest world that shows it: stores whose answers are lost,
//! commits that are refused at the wrong moment, refusals among several receivers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use bytes::Bytes;
use caxton_core::{Message, Performative, Timestamp};
use caxton_engine::host::Host;
use caxton_engine::port::memory::{CommitFault, MemoryDisk, MemoryStore};
use caxton_engine::port::native::failed;
use caxton_engine::port::store::{Op, StoreError, Unit};
use caxton_engine::port::{Clock, ManualClock, NativeProgram, NativeRuntime, SeededEntropy};
use caxton_engine::{App, Options, Ports};
use parking_lot::Mutex;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use support::*;

/// A server whose store asks `fault` about each unit.
async fn app<F, Fut>(
    handler: F,
    fault: impl Fn(&Unit) -> Option<CommitFault> + Send + Sync + 'static,
) -> (App, Arc<ManualClock>)
where
    F: Fn(Host, Arc<Message>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Handled> + Send + 'static,
{
    let start = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let clock = Arc::new(ManualClock::new(start));
    let program = NativeProgram::new(handler);
    let ports = Ports::new(
        Arc::new(MemoryStore::open(MemoryDisk::default()).with_faults(Box::new(fault))),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::new(SeededEntropy::new(1)),
        Arc::new(NativeRuntime::default().with(name("actor"), program)),
    );
    let app = App::start(ports, Options::default()).await.unwrap();
    for who in ["a", "b", "c"] {
        let package = package(who, "actor", |_| {});
        app.agent_deploy(&ctx(), package, true).await.unwrap();
    }
    (app, clock)
}

/// Lets paused time pass inside a handler.
async fn linger(time: Duration) {
    tokio::time::sleep_until(tokio::time::Instant::now() + time).await;
}

/// True once.
fn once() -> impl Fn() -> bool {
    let left = Mutex::new(true);
    move || std::mem::take(&mut *left.lock())
}

fn acks(unit: &Unit) -> usize {
    let acks = |op: &&Op| matches!(op, Op::Ack { .. });
    unit.ops.iter().filter(acks).count()
}

fn lost() -> Option<CommitFault> {
    let error = StoreError::Failed("the answer is lost".into());
    Some(CommitFault::LoseAnswer(error))
}

async fn send(app: &App, to: &str, content: &str) {
    let sent = app.message_send(&ctx(), request(to, content), None).await;
    sent.unwrap();
}

async fn pass(clock: &ManualClock) {
    let until = clock.now().plus(Duration::from_secs(5));
    clock.sleep_until(until).await;
}

async fn answer(app: &App, to: &str) -> String {
    let wait = Some(Duration::from_secs(60));
    let sent = app.message_send(&ctx(), request(to, "x"), wait).await;
    sent.unwrap().reply.unwrap().acl.text().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_not_done_again() {
    let first = once();
    let (app, clock) = app(count, move |unit| {
        (acks(unit) == 1 && first()).then(lost)?
    })
    .await;
    send(&app, "a", "x").await;
    pass(&clock).await;
    assert_eq!(answer(&app, "a").await, "2", "counted once each");
}

#[tokio::test(start_paused = true)]
async fn a_message_accepted_by_a_commit_whose_answer_is_lost_is_handled() {
    let first = once();
    let delivers = |unit: &Unit| matches!(unit.ops[..], [Op::Deliver { .. }]);
    let (app, clock) = app(count, move |unit| (delivers(unit) && first()).then(lost)?).await;
    send(&app, "a", "x").await;
    pass(&clock).await;
    assert_eq!(answer(&app, "a").await, "2");
}

#[tokio::test(start_paused = true)]
async fn one_receiver_that_refuses_does_not_cost_the_others_the_message() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let handler = move |mut host: Host, message: Arc<Message>| {
        let me = host.agent().name.to_string();
        if message.acl.performative == Performative::Request {
            log.lock().push(me.clone());
        }
        if me == "a" {
            let acl = request("nobody", "x").to(agent("b"));
            host.send(acl.to(agent("c"))).unwrap();
        }
        async move { (host, Ok(())) }
    };
    let (app, clock) = app(handler, |_| None).await;
    send(&app, "a", "x").await;
    pass(&clock).await;
    let mut seen = seen.lock().clone();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn order_is_kept_where_a_commit_fails_in_the_middle_of_a_batch() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let handler = move |host: Host, message: Arc<Message>| {
        let log = Arc::clone(&log);
        async move {
            let text = message.acl.text().unwrap().to_owned();
            match text.as_str() {
                // While it is slow, the others come to wait for one batch.
                "0" => linger(Duration::from_secs(1)).await,
                // It waits, so that the two before it are committed first; that is refused.
                "3" => tokio::task::yield_now().await,
                _ => {}
            }
            log.lock().push(text);
            (host, Ok(()))
        }
    };
    let first = once();
    let full = || Some(CommitFault::Refuse(StoreError::Full("full".into())));
    let (app, clock) = app(handler, move |unit| {
        (acks(unit) == 2 && first()).then(full)?
    })
    .await;
    for content in ["0", "1", "2", "3", "4"] {
        send(&app, "a", content).await;
    }
    pass(&clock).await;
    assert_eq!(*seen.lock(), ["0", "1", "2", "1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_does_not_overtake_what_its_lane_sent_before() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let handler = move |mut host: Host, message: Arc<Message>| {
        let log = Arc::clone(&log);
        async move {
            let me = host.agent().name.to_string();
            match (me.as_str(), message.acl.text().unwrap_or_default()) {
                // While it is slow, the other two come to wait for one batch.
                ("a", "slow") => linger(Duration::from_secs(1)).await,
                ("a", "send") => {
                    host.send(request("b", "sent")).unwrap();
                }
                ("a", "call") => {
                    let asked = request("b", "called");
                    host.call(asked, Duration::from_secs(1)).await.unwrap();
                }
                ("b", content) => {
                    log.lock().push(content.to_owned());
                    host.send(message.acl.reply(Performative::Inform)).unwrap();
                }
                _ => {}
            }
            (host, Ok(()))
        }
    };
    let (app, clock) = app(handler, |_| None).await;
    for content in ["slow", "send", "call"] {
        send(&app, "a", content).await;
    }
    pass(&clock).await;
    assert_eq!(*seen.lock(), ["sent", "called"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_cut_short_by_a_failed_commit_leaves_once() {
    let handler = |mut host: Host, message: Arc<Message>| async move {
        let me = host.agent().name.to_string();
        match me.as_str() {
            "a" if message.acl.performative == Performative::Request => {
                let answer = host.call(request("b", "x"), Duration::ZERO).await;
                let text = answer.unwrap().acl.text().unwrap().to_owned();
                let reply = message.acl.reply(Performative::Inform).content(text);
                host.send(reply).unwrap();
                (host, Ok(()))
            }
            "b" => count(host, message).await,
            _ => (host, Ok(())),
        }
    };
    let first = once();
    let full = || Some(CommitFault::Refuse(StoreError::Full("full".into())));
    let ours = |unit: &Unit| {
        let ack =
            |op: &Op| matches!(op, Op::Ack { mailbox, .. } if mailbox.agent.name == name("a"));
        unit.ops.iter().any(ack)
    };
    let (app, clock) = app(handler, move |unit| (ours(unit) && first()).then(full)?).await;
    assert_eq!(answer(&app, "a").await, "1");
    pass(&clock).await;
    assert_eq!(answer(&app, "b").await, "2", "asked once, and now");
}

#[tokio::test(start_paused = true)]
async fn a_request_in_the_conversation_of_a_call_is_not_its_answer() {
    let handler = |mut host: Host, message: Arc<Message>| async move {
        let me = host.agent().name.to_string();
        let text = message.acl.text().unwrap_or_default().to_owned();
        let talk = caxton_core::ConversationId::parse("talk").ok();
        match (me.as_str(), text.as_str()) {
            ("a", "x") => {
                let mut asked = request("b", "question");
                asked.conversation_id = talk;
                let answer = host.call(asked, Duration::ZERO).await.unwrap();
                let reply = message.acl.reply(Performative::Inform);
                host.send(reply.content(answer.acl.content.clone()))
                    .unwrap();
            }
            ("b", "question") => {
                let mut counter = request("a", "counter-question");
                counter.conversation_id = talk;
                host.send(counter).unwrap();
                let reply = message.acl.reply(Performative::Inform);
                host.send(reply.content("answer")).unwrap();
            }
            ("a", "counter-question") => {}
            _ if message.acl.performative == Performative::Request => {
                return (host, Err(failed("not expected")));
            }
            _ => {}
        }
        (host, Ok(()))
    };
    let (app, _) = app(handler, |_| None).await;
    assert_eq!(answer(&app, "a").await, "answer");
}

#[tokio::test(start_paused = true)]
async fn a_failure_now_and_then_is_not_a_failure_in_a_row() {
    let tries = Arc::new(Mutex::new(std::collections::HashMap::new()));
    let handler = move |host: Host, message: Arc<Message>| {
        let tries = Arc::clone(&tries);
        async move {
            let text = message.acl.text().unwrap().to_owned();
            let before = tries.lock().insert(message.id, ()).is_some();
            match text.as_str() {
                // While it is slow, the others come to wait for one batch.
                "slow" => linger(Duration::from_secs(1)).await,
                "bad" if !before => return (host, Err(failed("once"))),
                _ => {}
            }
            (host, Ok(()))
        }
    };
    let (app, clock) = app(handler, |_| None).await;
    send(&app, "a", "slow").await;
    for _ in 0..12 {
        send(&app, "a", "good").await;
        send(&app, "a", "bad").await;
    }
    let begun = clock.now();
    all_handled(&app, "a").await;
    // A second for the slow one, and twelve first pauses of 50 ms at most.
    let took = clock.now().since(begun);
    assert!(took <= Duration::from_millis(1_700), "{took:?}");
}

/// Waits until what was sent before is handled.
async fn all_handled(app: &App, who: &str) {
    let view = || app.agent_show(&ctx(), &name(who)).unwrap();
    while view().handled < 25 {
        linger(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_cannot_be_written_keeps_what_waits() {
    let open = Arc::new(Mutex::new(false));
    let gate = Arc::clone(&open);
    let handler = move |host: Host, message: Arc<Message>| {
        let gate = Arc::clone(&gate);
        async move {
            if !*gate.lock() {
                std::future::pending::<()>().await;
            }
            count(host, message).await
        }
    };
    let buries = |unit: &Unit| unit.ops.iter().any(|op| matches!(op, Op::Bury { .. }));
    let full = || Some(CommitFault::Refuse(StoreError::Full("full".into())));
    let (app, _) = app(handler, move |unit| buries(unit).then(full)?).await;
    for _ in 0..3 {
        send(&app, "a", "x").await;
    }
    let refused = app.agent_remove(&ctx(), &name("a")).await.unwrap_err();
    assert_eq!(refused.code, caxton_core::Code::StorageFull);
    *open.lock() = true;
    app.agent_start(&ctx(), &name("a")).await.unwrap();
    assert_eq!(answer(&app, "a").await, "4", "and none is lost");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_waited_for_a_removal_finds_the_agent_gone() {
    let handler = |host: Host, _| async move {
        std::future::pending::<()>().await;
        (host, Ok(()))
    };
    let (app, _) = app(handler, |_| None).await;
    // It hangs, so that the first removal takes its time.
    send(&app, "a", "x").await;
    tokio::task::yield_now().await;
    let (context, who) = (ctx(), name("a"));
    let update = app.agent_update(&context, &who, package("a", "actor", |_| {}));
    let (removed, again, updated) = tokio::join!(
        app.agent_remove(&context, &who),
        app.agent_remove(&context, &who),
        update
    );
    removed.unwrap();
    let gone = caxton_core::Code::AgentNotFound;
    assert_eq!(again.unwrap_err().code, gone);
    assert_eq!(updated.unwrap_err().code, gone);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_was_there_before_is_no_witness_of_a_commit() {
    let handler = |mut host: Host, message: Arc<Message>| async move {
        let always = Bytes::from_static(b"the same");
        host.state_set("always", always).unwrap();
        count(host, message).await
    };
    let tries = Mutex::new(0);
    let (app, clock) = app(handler, move |unit| {
        // The second message's commit fails, and nothing of it is written.
        if acks(unit) == 1 {
            *tries.lock() += 1;
            if *tries.lock() == 2 {
                let error = StoreError::Failed("nothing was written".into());
                return Some(CommitFault::Refuse(error));
            }
        }
        None
    })
    .await;
    for _ in 0..2 {
        send(&app, "a", "x").await;
        pass(&clock).await;
    }
    assert_eq!(answer(&app, "a").await, "3");
}
