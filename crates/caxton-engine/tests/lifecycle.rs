//! Deploy, hot reload, drain, stop, remove; idle agents leave memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use caxton_core::lifecycle::Phase;
use caxton_core::{Code, Performative};
use caxton_engine::Options;
use caxton_engine::port::store::PageRequest;
use std::time::Duration;
use support::*;

fn answering(
    version: &'static str,
) -> impl Fn(
    caxton_engine::host::Host,
    std::sync::Arc<caxton_core::Message>,
) -> std::pin::Pin<Box<dyn std::future::Future<Output = Handled> + Send>>
+ Send
+ Sync {
    move |mut host, message| {
        Box::pin(async move {
            tokio::task::yield_now().await;
            host.send(message.acl.reply(Performative::Inform).content(version))
                .unwrap();
            (host, Ok(()))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn hot_reload_under_load_loses_and_doubles_nothing() {
    let cast = Cast::default()
        .with("v1", answering("1"))
        .with("v2", answering("2"));
    let world = World::new(cast).await;
    world.deploy("a", "v1").await;
    let mut ids = Vec::new();
    for n in 0..400 {
        if n == 200 {
            world
                .app
                .agent_update(&ctx(), &name("a"), package("a", "v2", |_| {}))
                .await
                .unwrap();
        }
        ids.push(world.send(request("a", &n.to_string())).await.unwrap());
    }
    world.settle().await;
    let page = PageRequest::first(1000);
    let rows = world
        .app
        .message_list(&ctx(), &Default::default(), &page)
        .await
        .unwrap()
        .rows;
    let mut answers = (0, 0);
    for id in &ids {
        let replies: Vec<_> = rows
            .iter()
            .filter(|row| row.message.parent == Some(*id))
            .collect();
        assert_eq!(replies.len(), 1, "one answer each");
        match replies[0].message.acl.text() {
            Some("1") => answers.0 += 1,
            _ => answers.1 += 1,
        }
    }
    assert_eq!(answers.0 + answers.1, 400);
    assert!(
        answers.1 >= 200,
        "what came after the reload is the new version's: {answers:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn draining_handles_what_waits_and_takes_nothing_new() {
    let world = World::new(Cast::default().with("count", count)).await;
    world.deploy("count", "count").await;
    for _ in 0..50 {
        world.send(request("count", "x")).await.unwrap();
    }
    let view = world.app.agent_drain(&ctx(), &name("count")).await.unwrap();
    assert!(
        matches!(view.phase, Phase::Draining | Phase::Stopped),
        "{}",
        view.phase
    );
    assert_eq!(
        world.send(request("count", "x")).await.unwrap_err().code,
        Code::ReceiverStopped
    );
    world.settle().await;
    let view = world.app.agent_show(&ctx(), &name("count")).unwrap();
    assert_eq!((view.phase, view.handled), (Phase::Stopped, 50));
    world.app.agent_start(&ctx(), &name("count")).await.unwrap();
    assert_eq!(
        world.ask(request("count", "x")).await.unwrap().acl.text(),
        Some("51")
    );
}

#[tokio::test(start_paused = true)]
async fn steps_that_do_not_exist_are_refused_with_the_state() {
    let world = World::new(Cast::default().with("count", count)).await;
    world
        .app
        .agent_deploy(&ctx(), package("a", "count", |_| {}), false)
        .await
        .unwrap();
    let refused = world.app.agent_drain(&ctx(), &name("a")).await.unwrap_err();
    assert_eq!(refused.code, Code::AgentState);
    assert!(refused.detail.contains("loaded"), "{}", refused.detail);
    assert_eq!(
        world
            .try_deploy("a", "count", |_| {})
            .await
            .unwrap_err()
            .code,
        Code::AgentExists
    );
    assert_eq!(
        world
            .try_deploy("b", "unknown", |_| {})
            .await
            .unwrap_err()
            .code,
        Code::ComponentMalformed
    );
    assert_eq!(
        world.app.agent_show(&ctx(), &name("b")).unwrap_err().code,
        Code::AgentNotFound
    );
}

#[tokio::test(start_paused = true)]
async fn removing_gives_up_what_waits_and_frees_the_name() {
    let world = World::new(Cast::default().with("count", count)).await;
    world.deploy("a", "count").await;
    world.ask(request("a", "x")).await.unwrap();
    world.send(request("a", "y")).await.unwrap();
    world.app.agent_remove(&ctx(), &name("a")).await.unwrap();
    assert_eq!(
        world.app.agent_show(&ctx(), &name("a")).unwrap_err().code,
        Code::AgentNotFound
    );
    let letters = world
        .app
        .dead_letter_list(&ctx(), &PageRequest::first(10))
        .await
        .unwrap()
        .rows;
    let handled = world.recorded().await;
    assert!(letters.len() <= 1 && handled >= 2, "{letters:?}");
    world.deploy("a", "count").await;
    assert_eq!(
        world.ask(request("a", "x")).await.unwrap().acl.text(),
        Some("1"),
        "no old state"
    );
}

#[tokio::test(start_paused = true)]
async fn idle_instances_leave_memory_and_come_back() {
    let world = World::new(Cast::default().with("count", count)).await;
    world.deploy("idle", "count").await;
    world
        .deploy_with("resident", "count", |m| m.instance.resident = true)
        .await;
    world.ask(request("idle", "x")).await.unwrap();
    world.ask(request("resident", "x")).await.unwrap();
    assert_eq!(world.app.status().await.unwrap().mailboxes_live, 2);
    world.pass(Duration::from_secs(30)).await;
    assert_eq!(
        world.app.status().await.unwrap().mailboxes_live,
        1,
        "only the resident one stays"
    );
    assert_eq!(
        world.ask(request("idle", "x")).await.unwrap().acl.text(),
        Some("2")
    );
}

#[tokio::test(start_paused = true)]
async fn past_the_limit_of_live_instances_the_idle_make_room() {
    let options = Options {
        mailboxes_live_max: 2,
        ..Options::default()
    };
    let world = World::with_options(Cast::default().with("count", count), options).await;
    for n in 0..6 {
        world.deploy(&format!("a{n}"), "count").await;
    }
    for round in 1..=3 {
        for n in 0..6 {
            let reply = world.ask(request(&format!("a{n}"), "x")).await.unwrap();
            assert_eq!(reply.acl.text(), Some(round.to_string().as_str()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_place_gets_free_it_is_said_and_nothing_waits_for_ever() {
    let options = Options {
        mailboxes_live_max: 1,
        ..Options::default()
    };
    let world = World::with_options(Cast::default().with("count", count), options).await;
    world
        .deploy_with("resident", "count", |m| m.instance.resident = true)
        .await;
    world.ask(request("resident", "x")).await.unwrap();
    world.deploy("durable", "count").await;
    world
        .deploy_with("transient", "count", |m| {
            m.delivery.durability = caxton_core::manifest::Durability::Transient;
        })
        .await;
    let lost = world.send(request("durable", "x")).await.unwrap();
    let asker = ctx();
    let answer = world.app.message_send(
        &asker,
        request("transient", "x"),
        Some(Duration::from_secs(3600)),
    );
    let answer = answer.await.unwrap();
    let reply = answer.reply.expect("an answer");
    assert_eq!(reply.acl.performative, Performative::Failure);
    assert!(reply.acl.text().unwrap().contains("CX-6009"), "{reply:?}");
    world.pass(Duration::from_secs(3600)).await;
    let page = caxton_engine::port::store::PageRequest::first(10);
    let letters = world.app.dead_letter_list(&ctx(), &page).await.unwrap();
    assert_eq!(letters.rows.len(), 1);
    let (letter, message) = &letters.rows[0];
    assert_eq!(message.id, lost);
    assert_eq!(letter.attempts, 0, "it costs the message no try");
    let faults = world.app.metrics().faults.with_label_values(&["overload"]);
    assert!(faults.get() >= 2, "{}", faults.get());
    // The place is free again: all is as before.
    world
        .app
        .agent_stop(&ctx(), &name("resident"))
        .await
        .unwrap();
    let reply = world.ask(request("durable", "x")).await.unwrap();
    assert_eq!(reply.acl.text(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn conversations_have_lanes_of_their_own() {
    use caxton_core::manifest::MailboxMode;
    let cast = Cast::default().with("count", |host, message| async move {
        if message.acl.text() == Some("hang") {
            std::future::pending::<()>().await;
        }
        count(host, message).await
    });
    let world = World::new(cast).await;
    world
        .deploy_with("c", "count", |m| {
            m.delivery.mailbox = MailboxMode::Conversation
        })
        .await;
    let say = |conversation: &str, text: &str| {
        let mut acl = request("c", text);
        acl.conversation_id = caxton_core::ConversationId::parse(conversation).ok();
        acl
    };
    world.send(say("one", "hang")).await.unwrap();
    assert_eq!(
        world.ask(say("two", "x")).await.unwrap().acl.text(),
        Some("1")
    );
    assert_eq!(
        world.ask(say("two", "x")).await.unwrap().acl.text(),
        Some("2")
    );
    assert_eq!(
        world.ask(say("three", "x")).await.unwrap().acl.text(),
        Some("1"),
        "state is the conversation's"
    );
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_cut_off_and_its_message_waits() {
    let open = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let gate = std::sync::Arc::clone(&open);
    let cast = Cast::default().with("count", move |host, message| {
        let gate = std::sync::Arc::clone(&gate);
        async move {
            if !gate.load(std::sync::atomic::Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            count(host, message).await
        }
    });
    let world = World::new(cast).await;
    world.deploy("c", "count").await;
    let id = world.send(request("c", "x")).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(
        world
            .app
            .agent_stop(&ctx(), &name("c"))
            .await
            .unwrap()
            .phase,
        Phase::Stopped
    );
    assert_eq!(
        world.app.message_show(&ctx(), id).await.unwrap().open.len(),
        1,
        "it waits"
    );
    open.store(true, std::sync::atomic::Ordering::SeqCst);
    world.app.agent_start(&ctx(), &name("c")).await.unwrap();
    assert_eq!(
        world.ask(request("c", "x")).await.unwrap().acl.text(),
        Some("2")
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_noted_under_an_id_makes_no_tenant_of_it() {
    let mut world = World::new(Cast::default()).await;
    let nobody = caxton_core::TenantId::parse("nosuch").unwrap();
    let asked = caxton_engine::OpCtx {
        idempotency_key: Some("k".to_owned()),
        ..ctx_of(nobody.clone())
    };
    let begun = world.app.idempotency_begin(&asked, ("Send", b"body")).await;
    assert!(begun.unwrap().is_some());
    let kept = caxton_engine::port::MemoryStore::open(world.disk.clone());
    let tenants = caxton_engine::port::Store::tenants(&kept).await.unwrap();
    assert!(tenants.contains(&nobody), "{tenants:?}");
    world.crash().await;
    let shown = world.app.tenant_show(&ctx(), &nobody).await;
    assert_eq!(shown.unwrap_err().code, Code::TenantNotFound);
}
