//! Calls that a person must agree to, and calls over a restart: what acts is made once, as agreed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::error::Code;
use caxton_core::session::TurnEvent;
use caxton_core::tool::{Effect, ToolId, ToolName};
use caxton_core::{Acl, Performative};
use caxton_engine::port::NativeRuntime;
use caxton_engine::port::tool::{ToolAnswer, ToolFault, ToolFaultKind};
use caxton_engine::tools::{ApprovalState, ToolAsk, ToolOutcome, ToolPolicy};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use support::hands::{approvals, calls, decide, function, mail, obedient, pending, rules, tool};
use support::*;
use tokio::sync::Notify;

#[tokio::test(start_paused = true)]
async fn a_person_agrees_to_exactly_one_call_and_may_do_so_after_a_restart() {
    let hands = Arc::new(Hands::default());
    let native = NativeRuntime::default();
    let mut world = World::with_hands(native, Arc::clone(&hands), |asked| {
        match has_results(asked) {
            true => vec![text("it is sent")],
            false => vec![call(
                "1",
                "mail_send",
                json!({"to": "bob", "password": "p1"}),
            )],
        }
    })
    .await;
    mail(&world).await;
    let manifest = "turn_timeout_ms_max = 60000\n[tools]\nask = [\"mail.send\"]\n";
    world.assistant("a", manifest).await;
    let follow = world.start("a", "s", "send it").await;
    let turn = follow.turn().id();
    let asked = pending(&world).await;
    assert_eq!(
        asked.arguments,
        json!({"to": "bob", "password": "[redacted]"})
    );
    assert_eq!(asked.turn, Some(turn));
    world.crash().await;
    // Longer than the turn may take: a person's time is not the turn's.
    world.pass(Duration::from_secs(600)).await;
    assert!(hands.made().is_empty());
    let waiting = pending(&world).await;
    assert_eq!(waiting, asked);
    let mut other = asked.clone();
    other.digest = caxton_core::Digest::of(b"another call");
    let mismatch = decide(&world, &other, true).await;
    assert_eq!(mismatch.unwrap_err(), Code::ApprovalMismatch);
    decide(&world, &asked, true).await.unwrap();
    let told = world.follow(turn).await;
    let words = words(&told);
    assert_eq!(words.last().unwrap(), "completed End", "{words:?}");
    let required = told
        .iter()
        .filter(|it| matches!(it, TurnEvent::ApprovalRequired { .. }));
    assert_eq!(required.count(), 1);
    assert_eq!(hands.made(), ["mail.send"]);
    assert_eq!(hands.made.lock()[0].1["password"], "p1");
    let again = decide(&world, &asked, false).await;
    assert_eq!(again.unwrap_err(), Code::ApprovalDecided);
    let log = calls(&world).await;
    assert_eq!(log[0].approval.as_deref(), Some(asked.id.as_str()));
    assert!(log[0].waited_us >= 600_000_000);
    assert!(!log[0].arguments.to_string().contains("p1"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_denied_or_nobody_decides_on_or_that_is_given_up_is_not_made() {
    let hands = Arc::new(Hands::default());
    let native = NativeRuntime::default();
    let world = World::with_hands(native, Arc::clone(&hands), obedient).await;
    mail(&world).await;
    let manifest = "[tools]\nask = [\"mail.send\"]\napproval_timeout_ms_max = 30000\n";
    world.assistant("a", manifest).await;
    let follow = world.start("a", "denied", "call mail_send").await;
    decide(&world, &pending(&world).await, false).await.unwrap();
    let told = words(&events(follow).await);
    let said = told.iter().find(|it| it.starts_with("bad result"));
    let said = said.unwrap();
    assert!(
        said.contains("CX-8021") && said.contains("so I say"),
        "{said}"
    );

    let told = words(&world.chat("a", "expired", "call mail_send").await);
    assert!(told.iter().any(|it| it.contains("CX-8022")), "{told:?}");

    let follow = world.start("a", "cancelled", "call mail_send").await;
    let asked = pending(&world).await;
    let turn = follow.turn().id();
    world.app.turn_cancel(&ctx(), turn).await.unwrap();
    let told = words(&events(follow).await);
    assert_eq!(told.last().unwrap(), "failed CX-7023");
    let late = decide(&world, &asked, true).await;
    assert_eq!(late.unwrap_err(), Code::ApprovalDecided);
    let states = [
        ApprovalState::Denied,
        ApprovalState::Expired,
        ApprovalState::Withdrawn,
    ];
    for state in states {
        assert_eq!(approvals(&world, state).await.len(), 1, "{state:?}");
    }
    assert!(hands.made().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_acts_is_not_made_twice_by_a_restart() {
    let gate = Arc::new(Notify::new());
    let hands = Arc::new(Hands::new({
        let gate = Arc::clone(&gate);
        move |asked| {
            let gate = Arc::clone(&gate);
            Box::pin(async move {
                if asked.arguments["to"] == "slow" {
                    gate.notified().await;
                }
                Ok(ToolAnswer::text("sent"))
            })
        }
    }));
    let native = NativeRuntime::default();
    let mut world = World::with_hands(native, Arc::clone(&hands), |asked| {
        match (has_results(asked), newest(asked).as_str()) {
            // The server ends before the model has said what it makes of the result.
            (true, _) if asked.attempt == 1 => vec![text("well"), Play::Hang],
            (true, _) => vec![text("well")],
            (false, to) => vec![call("1", "mail_send", json!({"to": to}))],
        }
    })
    .await;
    mail(&world).await;
    world.assistant("a", "[tools]\nallow = [\"mail\"]\n").await;
    // The answer is known: the model gets it, and nothing is sent again.
    let follow = world.start("a", "s", "quick").await;
    let quick = follow.turn().id();
    while world.asked() < 2 {
        tokio::task::yield_now().await;
    }
    // On its way: nobody knows whether it took effect, and the model is told so.
    let follow = world.start("a", "t", "slow").await;
    let slow = follow.turn().id();
    while hands.made().len() < 2 {
        tokio::task::yield_now().await;
    }
    world.crash().await;
    let told = words(&world.follow(slow).await);
    assert!(told.iter().any(|it| it.contains("CX-8015")), "{told:?}");
    let told = words(&world.follow(quick).await);
    assert!(told.iter().any(|it| it == "result sent"), "{told:?}");
    assert_eq!(hands.made().len(), 2);
    let log = calls(&world).await;
    let outcomes: Vec<ToolOutcome> = log.iter().map(|it| it.outcome).collect();
    assert_eq!(outcomes, [ToolOutcome::Ok, ToolOutcome::Interrupted]);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_away_while_a_person_thought_is_not_done() {
    let hands = Arc::new(Hands::default());
    let native = NativeRuntime::default();
    let world = World::with_hands(native, Arc::clone(&hands), obedient).await;
    mail(&world).await;
    let manifest = "[tools]\nask = [\"mail.send\"]\n";
    world.assistant("a", manifest).await;
    let policy = |deny: &[&str], sandbox: bool| {
        let mut rules = rules(&[], &[], deny);
        rules.sandbox = sandbox;
        ToolPolicy {
            rules,
            hosts: Vec::new(),
        }
    };
    let name = ToolName::parse("mail").unwrap();
    for (case, expected) in [
        ("denied", "bad result CX-8006"),
        ("sandbox", "result [sandbox mode"),
        ("replaced", "bad result CX-8012"),
        ("removed", "bad result CX-8001"),
    ] {
        let follow = world.start("a", case, "call mail_send").await;
        let asked = pending(&world).await;
        let set = async |policy| world.app.tool_policy_set(&ctx(), policy).await.unwrap();
        match case {
            "denied" => drop(set(policy(&["mail.send"], false)).await),
            "sandbox" => drop(set(policy(&[], true)).await),
            "replaced" => {
                let functions = [function("send", Effect::Acts)];
                let other = tool("mail", &functions, false);
                world.app.tool_replace(&ctx(), other).await.unwrap();
            }
            _ => world.app.tool_remove(&ctx(), &name).await.unwrap(),
        }
        decide(&world, &asked, true).await.unwrap();
        let told = words(&events(follow).await);
        assert!(
            told.iter().any(|it| it.starts_with(expected)),
            "{case} {told:?}"
        );
        set(policy(&[], false)).await;
    }
    assert!(hands.made().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_made_and_failed_is_not_made_again_by_a_restart() {
    let hands = Arc::new(Hands::new(|_| {
        Box::pin(async {
            let kind = ToolFaultKind::Timeout;
            let detail = "no answer came".to_owned();
            Err(ToolFault { kind, detail })
        })
    }));
    let native = NativeRuntime::default();
    let mut world = World::with_hands(native, Arc::clone(&hands), |asked| {
        match (has_results(asked), asked.attempt) {
            (true, 1) => vec![text("well"), Play::Hang],
            (true, _) => vec![text("well")],
            (false, _) => vec![call("1", "mail_send", json!({"to": "ann"}))],
        }
    })
    .await;
    mail(&world).await;
    world.assistant("a", "[tools]\nallow = [\"mail\"]\n").await;
    let turn = world.start("a", "s", "write").await.turn().id();
    while world.asked() < 2 {
        tokio::task::yield_now().await;
    }
    world.crash().await;
    let told = words(&world.follow(turn).await);
    assert!(
        told.iter().any(|it| it.contains("no answer came")),
        "{told:?}"
    );
    assert_eq!(hands.made().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn receivers_of_one_message_have_no_call_in_common() {
    let hands = Arc::new(Hands::default());
    let runtime = ["r1", "r2"]
        .into_iter()
        .fold(NativeRuntime::default(), |runtime, name| {
            native(runtime, name, move |mut host, _| async move {
                let ask = ToolAsk {
                    id: ToolId::parse("mail.send").unwrap(),
                    arguments: json!({"to": name}),
                    timeout: Duration::ZERO,
                    cost_micros_max: None,
                };
                host.tool_call(ask).await.unwrap();
                (host, Ok(()))
            })
        });
    let world = World::with_hands(runtime, Arc::clone(&hands), |_| vec![text("hi")]).await;
    mail(&world).await;
    for name in ["r1", "r2"] {
        let rules = "[tools]\nallow = [\"mail.read\"]\nask = [\"mail.send\"]\n";
        let text = format!("name = \"{name}\"\n{rules}");
        let package = caxton_engine::app::Package {
            manifest: caxton_core::Manifest::parse(&text).unwrap(),
            component: Some(bytes::Bytes::copy_from_slice(name.as_bytes())),
        };
        world.app.agent_deploy(&ctx(), package, true).await.unwrap();
    }
    let both = Acl::new(Performative::Inform)
        .to(agent("r1"))
        .to(agent("r2"))
        .content("go");
    world.app.message_send(&ctx(), both, None).await.unwrap();
    let waiting = loop {
        let waiting = approvals(&world, ApprovalState::Pending).await;
        if waiting.len() == 2 {
            break waiting;
        }
        tokio::task::yield_now().await;
    };
    assert_ne!(waiting[0].id, waiting[1].id);
    // Each is agreed to for itself.
    for (n, approval) in waiting.iter().enumerate() {
        decide(&world, approval, true).await.unwrap();
        while hands.made().len() < n + 1 {
            tokio::task::yield_now().await;
        }
    }
    world.pass(Duration::from_secs(2)).await;
    let mut agents: Vec<_> = calls(&world)
        .await
        .iter()
        .map(|it| it.agent.clone())
        .collect();
    agents.sort();
    let named = |name| Some(caxton_core::AgentName::parse(name).unwrap());
    assert_eq!(agents, [named("r1"), named("r2")]);
}
