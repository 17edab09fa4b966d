//! Messages: accepted once, handled in order, refused aloud, never lost.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use bytes::Bytes;
use caxton_core::manifest::Durability;
use caxton_core::{Acl, AgentId, Code, Performative, TenantId};
use caxton_engine::directory::{Storage, TenantDraft};
use caxton_engine::port::Clock as _;
use caxton_engine::port::native::failed;
use caxton_engine::port::store::{MessageFilter, PageRequest};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use support::*;

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_and_both_are_recorded() {
    let world = World::new(Cast::default().with("echo", echo)).await;
    world.deploy("echo", "echo").await;
    let reply = world.ask(request("echo", "hello")).await.unwrap();
    assert_eq!(reply.acl.text(), Some("hello"));
    assert_eq!(reply.acl.performative, Performative::Inform);
    assert_eq!(
        reply.trace.trace_id,
        ctx().trace.trace_id,
        "one trace through both"
    );
    assert_eq!(reply.hop, 1);
    world.settle().await;
    assert_eq!(world.recorded().await, 2);
    let trace = world.app.message_trace(&ctx(), reply.id).await.unwrap();
    assert_eq!(trace.len(), 2);
    assert_eq!(Some(trace[0].message.id), trace[1].message.parent);
    assert!(trace.iter().all(|row| row.open.is_empty()), "handled");
}

#[tokio::test(start_paused = true)]
async fn a_transient_exchange_never_touches_the_store() {
    let world = World::new(Cast::default().with("echo", echo)).await;
    let transient = |m: &mut caxton_core::Manifest| m.delivery.durability = Durability::Transient;
    world.deploy_with("echo", "echo", transient).await;
    let units = world.app.status().await.unwrap().store.units;
    assert_eq!(
        world.ask(request("echo", "hi")).await.unwrap().acl.text(),
        Some("hi")
    );
    assert_eq!(world.app.status().await.unwrap().store.units, units);
    assert_eq!(world.recorded().await, 0);
}

#[tokio::test(start_paused = true)]
async fn order_is_kept_from_one_sender() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let cast = Cast::default().with("log", move |host, message| {
        log.lock().push(message.acl.text().unwrap().to_owned());
        async move { (host, Ok(())) }
    });
    let world = World::new(cast).await;
    world.deploy("log", "log").await;
    for n in 0..500 {
        world.send(request("log", &n.to_string())).await.unwrap();
    }
    world.settle().await;
    assert_eq!(
        *seen.lock(),
        (0..500).map(|n| n.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_at_the_door_have_their_code() {
    let cast = Cast::default()
        .with("echo", echo)
        .with("hang", |host, _| async move {
            std::future::pending::<()>().await;
            (host, Ok(()))
        });
    let world = World::new(cast).await;
    world.deploy("echo", "echo").await;
    world
        .deploy_with("hang", "hang", |m| m.limits.mailbox_messages_max = 3)
        .await;
    let code = |result: Result<_, caxton_core::Error>| {
        result.map(|_: caxton_core::MessageId| ()).unwrap_err().code
    };
    assert_eq!(
        code(world.send(request("nobody", "")).await),
        Code::ReceiverUnknown
    );
    assert_eq!(
        code(world.send(request("echo@other", "")).await),
        Code::ReceiverUnknown
    );
    assert_eq!(
        code(
            world
                .send(caxton_core::Acl::new(Performative::Inform))
                .await
        ),
        Code::MessageMalformed
    );
    let big = "x".repeat((1 << 20) + 1);
    assert_eq!(
        code(world.send(request("echo", &big)).await),
        Code::MessageTooLarge
    );
    world.send(request("hang", "taken")).await.unwrap();
    // The first is being handled and has left the queue; three more fill it.
    tokio::task::yield_now().await;
    for _ in 0..3 {
        world.send(request("hang", "waits")).await.unwrap();
    }
    let full = world
        .send(request("hang", "one too many"))
        .await
        .unwrap_err();
    assert_eq!(full.code, Code::MailboxFull);
    assert!(full.retry_after.is_some());
    world.app.agent_stop(&ctx(), &name("echo")).await.unwrap();
    assert_eq!(
        code(world.send(request("echo", "")).await),
        Code::ReceiverStopped
    );
    assert_eq!(
        world.recorded().await,
        4,
        "what was refused is not recorded"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_message_is_tried_again_then_buried_and_told() {
    let tries = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&tries);
    let cast = Cast::default().with("bad", move |mut host, message| {
        counter.fetch_add(1, Ordering::SeqCst);
        // What it sends before it fails must never arrive.
        host.send(message.acl.reply(Performative::Agree)).unwrap();
        async move { (host, Err(failed("cannot"))) }
    });
    let world = World::new(cast).await;
    world
        .deploy_with("bad", "bad", |m| m.delivery.attempts_max = 3)
        .await;
    let answer = world.ask(request("bad", "x")).await.unwrap();
    assert_eq!(answer.acl.performative, Performative::Failure);
    assert_eq!(answer.sender().unwrap().to_string(), "ams@default");
    assert!(
        answer.acl.text().unwrap().contains("CX-3020"),
        "{:?}",
        answer.acl.text()
    );
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    let letters = world
        .app
        .dead_letter_list(&ctx(), &PageRequest::first(10))
        .await
        .unwrap()
        .rows;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].0.attempts, letters[0].0.code.as_str()),
        (3, "CX-3020")
    );
    assert_eq!(
        world.recorded().await,
        2,
        "the request and the failure, no agree"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_on_does_not_hold_up_what_comes_behind_it() {
    let cast = Cast::default().with("picky", |host, message| async move {
        match message.acl.text() {
            Some("bad") => (host, Err(failed("cannot"))),
            _ => echo(host, message).await,
        }
    });
    let world = World::new(cast).await;
    world
        .deploy_with("picky", "picky", |m| m.delivery.attempts_max = 3)
        .await;
    for _ in 0..10 {
        world.send(request("picky", "bad")).await.unwrap();
    }
    let begun = world.clock.now();
    let answer = world.ask(request("picky", "good")).await.unwrap();
    assert_eq!(answer.acl.performative, Performative::Inform);
    // Ten times 50 and 100 ms, and 50 ms behind each.
    let took = world.clock.now().since(begun);
    assert!(took <= Duration::from_millis(2_100), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_sent_again_once() {
    let broken = Arc::new(AtomicU32::new(1));
    let state = Arc::clone(&broken);
    let cast = Cast::default().with("flaky", move |host, message| {
        let broken = state.load(Ordering::SeqCst) == 1;
        async move {
            if broken {
                (host, Err(failed("broken")))
            } else {
                echo(host, message).await
            }
        }
    });
    let world = World::new(cast).await;
    world
        .deploy_with("flaky", "flaky", |m| m.delivery.attempts_max = 1)
        .await;
    world.ask(request("flaky", "x")).await.unwrap();
    broken.store(0, Ordering::SeqCst);
    let page = PageRequest::first(10);
    let id = world
        .app
        .dead_letter_list(&ctx(), &page)
        .await
        .unwrap()
        .rows[0]
        .0
        .id
        .clone();
    let resent = world.app.dead_letter_resend(&ctx(), &id).await.unwrap();
    world.settle().await;
    assert!(
        world
            .app
            .dead_letter_list(&ctx(), &page)
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    let row = world.app.message_show(&ctx(), resent).await.unwrap();
    assert_eq!(row.message.parent, Some(id.message));
    assert!(row.open.is_empty(), "handled this time");
    assert_eq!(
        world
            .app
            .dead_letter_resend(&ctx(), &id)
            .await
            .unwrap_err()
            .code,
        Code::DeadLetterNotFound
    );
}

#[tokio::test(start_paused = true)]
async fn between_agents_an_unknown_receiver_is_told_by_ams() {
    let told = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&told);
    let cast = Cast::default().with("lost", move |mut host, message| {
        let slot = Arc::clone(&slot);
        async move {
            match message.acl.performative {
                Performative::Request => {
                    let mut question = request("nobody", "are you there?");
                    question.reply_with = Some("q1".into());
                    host.send(question).unwrap();
                }
                _ => *slot.lock() = Some(Arc::clone(&message)),
            }
            (host, Ok(()))
        }
    });
    let world = World::new(cast).await;
    world.deploy("lost", "lost").await;
    world.send(request("lost", "go")).await.unwrap();
    world.settle().await;
    let failure = told.lock().clone().unwrap();
    assert_eq!(failure.acl.performative, Performative::Failure);
    assert_eq!(failure.acl.in_reply_to.as_deref(), Some("q1"));
    assert_eq!(failure.sender().unwrap().to_string(), "ams@default");
    assert!(failure.acl.text().unwrap().contains("CX-3001"));
    let letters = world
        .app
        .dead_letter_list(&ctx(), &PageRequest::first(10))
        .await
        .unwrap()
        .rows;
    assert_eq!(letters.len(), 1, "and nothing is lost: {letters:?}");
}

#[tokio::test(start_paused = true)]
async fn a_malformed_message_between_agents_is_not_understood() {
    let told = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&told);
    let cast = Cast::default().with("sloppy", move |mut host, message| {
        if message.acl.performative == Performative::Request {
            let error = host
                .send(caxton_core::Acl::new(Performative::Inform))
                .unwrap_err();
            assert_eq!(error.code, Code::MessageMalformed);
        } else {
            *slot.lock() = Some(Arc::clone(&message));
        }
        async move { (host, Ok(())) }
    });
    let world = World::new(cast).await;
    world.deploy("sloppy", "sloppy").await;
    world.send(request("sloppy", "go")).await.unwrap();
    world.settle().await;
    let answer = told.lock().clone().unwrap();
    assert_eq!(answer.acl.performative, Performative::NotUnderstood);
    assert!(answer.acl.text().unwrap().contains("CX-1010"));
}

#[tokio::test(start_paused = true)]
async fn agents_that_answer_each_other_for_ever_end_at_the_hop_limit() {
    let handled = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&handled);
    let cast = Cast::default().with("parrot", move |mut host, message| {
        counter.fetch_add(1, Ordering::SeqCst);
        host.send(message.acl.reply(Performative::Request).content("again"))
            .unwrap();
        async move { (host, Ok(())) }
    });
    let world = World::new(cast).await;
    world.deploy("parrot1", "parrot").await;
    world.deploy("parrot2", "parrot").await;
    let mut acl = request("parrot1", "go");
    acl.sender = Some(agent("parrot2").into());
    world.send(acl).await.unwrap();
    world.settle().await;
    assert_eq!(
        handled.load(Ordering::SeqCst),
        u32::from(caxton_core::route::HOPS_MAX) + 1
    );
    let letters = world
        .app
        .dead_letter_list(&ctx(), &PageRequest::first(10))
        .await
        .unwrap()
        .rows;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].0.code, "CX-3004");
}

#[tokio::test(start_paused = true)]
async fn a_trap_drops_its_own_effects_only() {
    let cast = Cast::default().with("count", |host, message| async move {
        if message.acl.text() == Some("panic") {
            panic!("as asked");
        }
        count(host, message).await
    });
    let world = World::new(cast).await;
    world
        .deploy_with("count", "count", |m| m.delivery.attempts_max = 1)
        .await;
    for content in ["a", "b", "panic", "c"] {
        world.send(request("count", content)).await.unwrap();
    }
    world.settle().await;
    assert_eq!(
        world.ask(request("count", "d")).await.unwrap().acl.text(),
        Some("4")
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_refuses_and_recovers_by_itself() {
    let world = World::new(Cast::default().with("count", count)).await;
    world.deploy("count", "count").await;
    assert_eq!(
        world.ask(request("count", "x")).await.unwrap().acl.text(),
        Some("1")
    );
    world.break_store(true);
    let refused = world.send(request("count", "x")).await.unwrap_err();
    assert_eq!(refused.code, Code::StorageFailed);
    assert!(
        world.app.agent_list(&ctx(), None, 10).is_ok(),
        "reads go on"
    );
    world.break_store(false);
    assert_eq!(
        world.ask(request("count", "x")).await.unwrap().acl.text(),
        Some("2")
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_after_handling_is_done_again_from_the_store() {
    let broken = Arc::new(Mutex::new(None::<Arc<World>>));
    let slot = Arc::clone(&broken);
    let first = Arc::new(AtomicU32::new(0));
    let cast = Cast::default().with("count", move |host, message| {
        if first.fetch_add(1, Ordering::SeqCst) == 0
            && let Some(world) = slot.lock().as_ref()
        {
            world.break_store(true);
        }
        count(host, message)
    });
    let world = Arc::new(World::new(cast).await);
    *broken.lock() = Some(Arc::clone(&world));
    world.deploy("count", "count").await;
    world.send(request("count", "x")).await.unwrap();
    world.pass(std::time::Duration::from_millis(200)).await;
    world.break_store(false);
    world.settle().await;
    assert_eq!(
        world.ask(request("count", "x")).await.unwrap().acl.text(),
        Some("2"),
        "counted once each"
    );
    broken.lock().take();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_during_the_commit_leaves_nothing_behind() {
    let world = World::new(Cast::default().with("count", count)).await;
    world.deploy("count", "count").await;
    let context = ctx();
    for _ in 0..20 {
        let send = world
            .app
            .message_send(&context, request("count", "x"), None);
        let mut send = std::pin::pin!(send);
        // One poll begins the commit; then the client is gone.
        let _ = futures::poll!(&mut send);
    }
    world.settle().await;
    let recorded = world
        .app
        .message_list(&ctx(), &Default::default(), &PageRequest::first(1000))
        .await
        .unwrap()
        .rows;
    assert!(
        recorded.iter().all(|row| row.open.is_empty()),
        "what was recorded is handled"
    );
    let requests = recorded
        .iter()
        .filter(|row| row.message.acl.performative == Performative::Request)
        .count();
    let next = world.ask(request("count", "x")).await.unwrap();
    assert_eq!(next.acl.text(), Some((requests + 1).to_string().as_str()));
    assert!(requests > 0, "some got through");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_would_go_to_another_tenant_is_told_and_holds_nobody_up() {
    let cast = Cast::default().with("echo", |mut host, message| async move {
        if message.acl.performative == Performative::Request {
            let answer = message.acl.reply(Performative::Inform).content("well");
            host.send(answer).unwrap();
        }
        (host, Ok(()))
    });
    let world = World::new(cast).await;
    world.deploy("echo", "echo").await;
    let elsewhere = TenantId::parse("other").unwrap();
    let mut asked = request("echo", "go");
    asked.reply_to = vec![AgentId::new(elsewhere, name("x")).into()];
    world.send(asked).await.unwrap();
    world.settle().await;
    let reply = world.ask(request("echo", "and now?")).await.unwrap();
    assert_eq!(reply.acl.text(), Some("well"));
    let page = PageRequest::first(10);
    let letters = world.app.dead_letter_list(&ctx(), &page).await.unwrap();
    assert!(letters.rows.is_empty(), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_sent_again_by_one_at_a_time() {
    let cast = Cast::default().with(
        "flaky",
        |host, _| async move { (host, Err(failed("broken"))) },
    );
    let world = World::new(cast).await;
    world
        .deploy_with("flaky", "flaky", |m| m.delivery.attempts_max = 1)
        .await;
    world.send(request("flaky", "x")).await.unwrap();
    world.settle().await;
    let page = PageRequest::first(10);
    let letters = world.app.dead_letter_list(&ctx(), &page).await.unwrap();
    let id = letters.rows[0].0.id.clone();
    let ctx = ctx();
    let resend = || world.app.dead_letter_resend(&ctx, &id);
    let (one, other) = tokio::join!(resend(), resend());
    let refused = [one, other].into_iter().filter_map(Result::err);
    let codes: Vec<Code> = refused.map(|error| error.code).collect();
    assert_eq!(codes, [Code::DeadLetterNotFound]);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_has_so_many_timers_and_no_more() {
    let cast = Cast::default().with("setter", |mut host, message| async move {
        let hour = Duration::from_secs(3600);
        let round = message.acl.text().unwrap();
        let mut refused = 0;
        for n in 0..100 {
            let set = host.timer_set(&format!("{round}-{n}"), hour, Bytes::new());
            refused += u32::from(set.is_err_and(|error| error.code == Code::TimerLimit));
        }
        let told = refused.to_string();
        host.send(message.acl.reply(Performative::Inform).content(told))
            .unwrap();
        (host, Ok(()))
    });
    let world = World::new(cast).await;
    world.deploy("setter", "setter").await;
    for (round, refused) in [
        ("a", "0"),
        ("b", "0"),
        ("c", "44"),
        ("a", "0"),
        ("d", "100"),
    ] {
        let reply = world.ask(request("setter", round)).await.unwrap();
        assert_eq!(reply.acl.text(), Some(refused), "{round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_disk_hangs_holds_up_its_own_timers_only() {
    let cast = Cast::default().with("alarm", |mut host, message| async move {
        if message.acl.performative == Performative::Request {
            host.timer_set("once", Duration::from_secs(1), Bytes::new())
                .unwrap();
        }
        (host, Ok(()))
    });
    let world = World::new(cast).await;
    let [hung, other] = ["hung", "other"].map(|id| TenantId::parse(id).unwrap());
    world.hang_timers(&hung);
    for tenant in [&hung, &other] {
        let draft = TenantDraft {
            id: tenant.clone(),
            display_name: String::new(),
            storage: Storage::Shared,
        };
        world.app.tenant_create(&ctx(), draft).await.unwrap();
        let ctx = ctx_of(tenant.clone());
        let alarm = package("alarm", "alarm", |_| {});
        world.app.agent_deploy(&ctx, alarm, true).await.unwrap();
        let set = Acl::new(Performative::Request).to(AgentId::parse("alarm", tenant).unwrap());
        world.app.message_send(&ctx, set, None).await.unwrap();
        // So that the one that hangs is due first.
        world.pass(Duration::from_millis(10)).await;
    }
    world.pass(Duration::from_secs(5)).await;
    for (tenant, fired) in [(hung, 0), (other, 1)] {
        let (filter, page) = (MessageFilter::default(), PageRequest::first(10));
        let ctx = ctx_of(tenant);
        let found = world.app.message_list(&ctx, &filter, &page).await.unwrap();
        let timers = found
            .rows
            .iter()
            .filter(|row| row.message.acl.ontology.as_deref() == Some("caxton.timer"));
        assert_eq!(timers.count(), fired, "{ctx:?}");
    }
}
