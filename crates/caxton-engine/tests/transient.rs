//! Transient agents among themselves: the short way of a message keeps every promise of the long one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use caxton_core::manifest::Durability;
use caxton_core::{Acl, Manifest, Message, Performative};
use caxton_engine::host::Host;
use caxton_engine::port::Fault;
use caxton_engine::port::native::failed;
use parking_lot::Mutex;
use std::sync::Arc;
use support::*;

/// What a recording agent got.
type Seen = Arc<Mutex<Vec<Arc<Message>>>>;

fn transient(manifest: &mut Manifest) {
    manifest.delivery.durability = Durability::Transient;
}

fn send(host: &mut Host, to: &str, text: &str) {
    let acl = Acl::new(Performative::Inform).to(agent(to));
    host.send(acl.content(text.to_owned())).unwrap();
}

/// Keeps everything it gets.
fn recording(seen: &Seen) -> impl Fn(&mut Host, &Arc<Message>) -> Result<(), Fault> + use<> {
    let seen = Arc::clone(seen);
    move |_, message| {
        seen.lock().push(Arc::clone(message));
        Ok(())
    }
}

/// Sends what it is told, a word to `log` each; keeps what comes back from the platform.
fn telling(failures: &Seen) -> impl Fn(&mut Host, &Arc<Message>) -> Result<(), Fault> + use<> {
    let failures = Arc::clone(failures);
    move |host, message| {
        if message.acl.performative == Performative::Failure {
            failures.lock().push(Arc::clone(message));
            return Ok(());
        }
        for word in message.acl.text().unwrap().split(' ') {
            send(host, "log", word);
        }
        Ok(())
    }
}

fn texts(seen: &Seen) -> Vec<String> {
    let seen = seen.lock();
    let text = |message: &Arc<Message>| message.acl.text().unwrap().to_owned();
    seen.iter().map(text).collect()
}

struct Pair {
    world: World,
    seen: Seen,
    failures: Seen,
}

/// `tell` and `log`, both transient.
async fn pair() -> Pair {
    let (seen, failures) = (Seen::default(), Seen::default());
    let cast = Cast::default()
        .with_prompt("tell", telling(&failures))
        .with_prompt("log", recording(&seen))
        .with("slow", |host, _| async move {
            std::future::pending::<()>().await;
            (host, Ok(()))
        })
        .with_prompt("loud", |host, message| {
            send(
                host,
                "tell",
                &format!("loud-{}", message.acl.text().unwrap()),
            );
            Ok(())
        });
    let world = World::new(cast).await;
    world.deploy_with("tell", "tell", transient).await;
    world.deploy_with("log", "log", transient).await;
    Pair {
        world,
        seen,
        failures,
    }
}

#[tokio::test(start_paused = true)]
async fn order_trace_hop_and_counters_are_kept() {
    let Pair { world, seen, .. } = pair().await;
    let words: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    world.send(request("tell", &words.join(" "))).await.unwrap();
    world.settle().await;
    assert_eq!(texts(&seen), words);
    for message in seen.lock().iter() {
        assert_eq!(message.hop, 1);
        assert_eq!(message.trace.trace_id, ctx().trace.trace_id);
        assert_ne!(message.trace.span_id, ctx().trace.span_id);
        assert_eq!(message.sender(), Some(&agent("tell")));
    }
    let log = world.app.agent_show(&ctx(), &name("log")).unwrap();
    assert_eq!((log.handled, log.queued), (300, 0));
    assert_eq!(world.app.message_totals(), (301, 301));
    assert_eq!(world.recorded().await, 0);
}

#[tokio::test(start_paused = true)]
async fn ids_are_in_the_order_of_cause_although_the_clock_stands() {
    let Pair { world, seen, .. } = pair().await;
    let first = world.send(request("tell", "a b c")).await.unwrap();
    let second = world.send(request("tell", "d")).await.unwrap();
    world.settle().await;
    let seen = seen.lock();
    let ids: Vec<_> = seen.iter().map(|message| message.id).collect();
    assert!(first < second && ids.is_sorted() && ids.len() == 4);
    for message in seen.iter() {
        assert!(
            message.parent.unwrap() < message.id,
            "caused by {first} or {second}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_is_told_to_the_sender() {
    let Pair {
        world, failures, ..
    } = pair().await;
    world.app.agent_remove(&ctx(), &name("log")).await.unwrap();
    let small = |manifest: &mut Manifest| {
        transient(manifest);
        manifest.limits.mailbox_messages_max = 2;
    };
    world.deploy_with("log", "slow", small).await;
    world.send(request("tell", "1")).await.unwrap();
    world.settle_busy().await;
    world.send(request("tell", "2 3 4 5")).await.unwrap();
    world.settle_busy().await;
    let codes = |message: &Arc<Message>| message.acl.text().unwrap().contains("CX-3003");
    assert_eq!(failures.lock().len(), 2, "one is handled, two have a place");
    assert!(failures.lock().iter().all(codes));
    let log = world.app.agent_show(&ctx(), &name("log")).unwrap();
    assert_eq!((log.refused, log.queued), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_sender_remembers_of_its_receiver_does_not_outlive_it() {
    let Pair {
        world,
        seen,
        failures,
    } = pair().await;
    world.deploy_with("second", "loud", transient).await;
    world.send(request("tell", "old")).await.unwrap();
    world.settle().await;
    assert_eq!(texts(&seen), ["old"]);

    world.app.agent_stop(&ctx(), &name("log")).await.unwrap();
    world.send(request("tell", "stopped")).await.unwrap();
    world.settle().await;
    assert!(failures.lock()[0].acl.text().unwrap().contains("CX-3002"));

    world.app.agent_start(&ctx(), &name("log")).await.unwrap();
    world.send(request("tell", "started")).await.unwrap();
    world.settle().await;
    assert_eq!(texts(&seen), ["old", "started"]);

    world.app.agent_remove(&ctx(), &name("log")).await.unwrap();
    world.send(request("tell", "removed")).await.unwrap();
    world.settle().await;
    assert!(failures.lock()[1].acl.text().unwrap().contains("CX-3001"));

    // Another agent of the same name, with a smaller limit that a new version takes away.
    let tiny = |manifest: &mut Manifest| {
        transient(manifest);
        manifest.limits.message_bytes_max = 256;
    };
    world.deploy_with("log", "log", tiny).await;
    let long = "x".repeat(300);
    world
        .send(request("tell", &format!("new {long}")))
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(texts(&seen), ["old", "started", "new"]);
    assert!(failures.lock()[2].acl.text().unwrap().contains("CX-1020"));
    let package = package("log", "log", transient);
    world
        .app
        .agent_update(&ctx(), &name("log"), package)
        .await
        .unwrap();
    world.send(request("tell", &long)).await.unwrap();
    world.settle().await;
    assert_eq!(texts(&seen).last(), Some(&long));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_what_goes_the_short_way() {
    let Pair { world, .. } = pair().await;
    world.send(request("tell", "unseen")).await.unwrap();
    world.settle().await;
    let mut watch = world
        .app
        .message_watch(&ctx(), Some(name("log")), None)
        .unwrap();
    world.send(request("tell", "seen")).await.unwrap();
    let message = watch.next().await.unwrap().unwrap();
    assert_eq!(message.acl.text(), Some("seen"));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_handler_that_panics_or_fails_harms_its_message_alone() {
    let seen = Seen::default();
    let keep = Arc::clone(&seen);
    let cast = Cast::default()
        .with_prompt("frail", move |_, message| match message.acl.text() {
            Some("panic") => panic!("as it was told"),
            Some("fail") => Err(failed("as it was told")),
            _ => {
                keep.lock().push(Arc::clone(message));
                Ok(())
            }
        })
        .with("echo", echo);
    let world = World::new(cast).await;
    let once = |manifest: &mut Manifest| {
        transient(manifest);
        manifest.delivery.attempts_max = 1;
    };
    world.deploy_with("frail", "frail", once).await;
    for text in ["1", "panic", "2", "fail", "3"] {
        world.send(request("frail", text)).await.unwrap();
    }
    world.settle().await;
    assert_eq!(texts(&seen), ["1", "2", "3"]);
    let view = world.app.agent_show(&ctx(), &name("frail")).unwrap();
    assert_eq!((view.handled, view.failed), (3, 2));
    assert_eq!(
        view.activations, 2,
        "a panic costs the instance, a failure does not"
    );
}
