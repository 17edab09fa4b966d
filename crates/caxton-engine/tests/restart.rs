//! What survives a crash: agents, messages, state, timers, waiting calls.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use bytes::Bytes;
use caxton_core::Performative;
use caxton_core::lifecycle::Phase;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use support::*;

#[tokio::test(start_paused = true)]
async fn agents_come_back_as_they_stood_with_their_state() {
    let mut world = World::new(Cast::default().with("count", count)).await;
    world.deploy("runs", "count").await;
    world.deploy("stopped", "count").await;
    world
        .app
        .agent_stop(&ctx(), &name("stopped"))
        .await
        .unwrap();
    world
        .app
        .agent_deploy(&ctx(), package("loaded", "count", |_| {}), false)
        .await
        .unwrap();
    world.ask(request("runs", "x")).await.unwrap();
    world.crash().await;
    let phase = |text: &str| world.app.agent_show(&ctx(), &name(text)).unwrap().phase;
    assert_eq!(
        (phase("runs"), phase("stopped"), phase("loaded")),
        (Phase::Running, Phase::Stopped, Phase::Loaded)
    );
    assert_eq!(
        world.ask(request("runs", "x")).await.unwrap().acl.text(),
        Some("2")
    );
}

#[tokio::test(start_paused = true)]
async fn an_accepted_message_is_handled_after_the_crash_and_once() {
    let open = Arc::new(AtomicU32::new(0));
    let gate = Arc::clone(&open);
    let cast = Cast::default().with("count", move |host, message| {
        let gate = Arc::clone(&gate);
        async move {
            if gate.load(Ordering::SeqCst) == 0 {
                std::future::pending::<()>().await;
            }
            count(host, message).await
        }
    });
    let mut world = World::new(cast).await;
    world.deploy("count", "count").await;
    for _ in 0..10 {
        world.send(request("count", "x")).await.unwrap();
    }
    // The first hangs in its handler; the crash must not wait for it.
    tokio::task::yield_now().await;
    open.store(1, Ordering::SeqCst);
    let stop = tokio::time::timeout(Duration::from_secs(1), world.crash());
    assert!(
        stop.await.is_ok(),
        "a handler that hangs does not hold the stop"
    );
    world.settle().await;
    assert_eq!(
        world.ask(request("count", "x")).await.unwrap().acl.text(),
        Some("11")
    );
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_stopped_agent_wait_for_it() {
    let mut world = World::new(Cast::default().with("count", count)).await;
    world.deploy("count", "count").await;
    world.break_store(false);
    world.app.agent_stop(&ctx(), &name("count")).await.unwrap();
    world.app.agent_start(&ctx(), &name("count")).await.unwrap();
    world.send(request("count", "x")).await.unwrap();
    world.app.agent_stop(&ctx(), &name("count")).await.unwrap();
    world.crash().await;
    world.app.agent_start(&ctx(), &name("count")).await.unwrap();
    world.settle().await;
    assert_eq!(
        world.ask(request("count", "x")).await.unwrap().acl.text(),
        Some("2")
    );
}

#[tokio::test(start_paused = true)]
async fn a_timer_fires_once_although_the_server_was_down() {
    let fired = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&fired);
    let cast = Cast::default().with("clock", move |mut host, message| {
        if message.acl.performative == Performative::Request {
            host.timer_set("tick", Duration::from_secs(60), Bytes::from_static(b"now"))
                .unwrap();
            host.timer_set("gone", Duration::from_secs(60), Bytes::new())
                .unwrap();
            host.timer_cancel("gone").unwrap();
        } else {
            log.lock().push((
                message.acl.in_reply_to.clone(),
                message.acl.ontology.clone(),
            ));
        }
        async move { (host, Ok(())) }
    });
    let mut world = World::new(cast).await;
    world.deploy("clock", "clock").await;
    world.send(request("clock", "set")).await.unwrap();
    world.settle().await;
    world.crash().await;
    world.pass(Duration::from_secs(59)).await;
    assert!(fired.lock().is_empty());
    world.pass(Duration::from_secs(2)).await;
    let expected = (Some("tick".to_owned()), Some("caxton.timer".to_owned()));
    assert_eq!(*fired.lock(), std::slice::from_ref(&expected));
    world.crash().await;
    world.pass(Duration::from_secs(120)).await;
    assert_eq!(*fired.lock(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_is_replayed_and_its_receiver_handles_it_once() {
    let crash_now = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&crash_now);
    let tries = Arc::new(AtomicU32::new(0));
    let tried = Arc::clone(&tries);
    let cast = Cast::default()
        .with("count", count)
        .with("caller", move |mut host, message| {
            let (told, tried) = (Arc::clone(&told), Arc::clone(&tried));
            async move {
                if message.acl.performative != Performative::Request {
                    return (host, Ok(()));
                }
                let answer = host
                    .call(request("count", "one"), Duration::ZERO)
                    .await
                    .unwrap();
                let first = tried.fetch_add(1, Ordering::SeqCst) == 0;
                if first {
                    told.notify_one();
                    std::future::pending::<()>().await;
                }
                let reply = message
                    .acl
                    .reply(Performative::Inform)
                    .content(answer.acl.content.clone());
                host.send(reply).unwrap();
                (host, Ok(()))
            }
        });
    let mut world = World::new(cast).await;
    world.deploy("count", "count").await;
    world.deploy("caller", "caller").await;
    let id = world.send(request("caller", "go")).await.unwrap();
    crash_now.notified().await;
    world.crash().await;
    world.settle().await;
    assert_eq!(tries.load(Ordering::SeqCst), 2, "the handler ran again");
    let trace = world.app.message_trace(&ctx(), id).await.unwrap();
    let answer = trace.iter().find(|row| {
        row.message
            .sender()
            .is_some_and(|s| s.name.as_str() == "caller")
            && row.message.acl.performative == Performative::Inform
    });
    assert_eq!(
        answer.unwrap().message.acl.text(),
        Some("1"),
        "the recorded answer"
    );
    assert_eq!(
        world.ask(request("count", "x")).await.unwrap().acl.text(),
        Some("2"),
        "counted once"
    );
}
