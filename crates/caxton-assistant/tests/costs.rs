//! What tools cost, and what assistants cost that are asked as tools: in the quota of the tenant, and in
//! the ceiling of the turn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::session::TurnEvent;
use caxton_core::tool::Effect;
use caxton_engine::limits;
use caxton_engine::port::NativeRuntime;
use serde_json::json;
use std::sync::Arc;
use support::hands::{calls, function, obedient, tool};
use support::*;

#[tokio::test(start_paused = true)]
async fn a_tool_that_costs_counts_in_the_tenants_quota() {
    let hands = Arc::new(Hands::default());
    let native = NativeRuntime::default();
    let world = World::with_hands(native, Arc::clone(&hands), obedient).await;
    let mut dear = tool("mail", &[function("send", Effect::Acts)], false);
    dear.price_micros = 400;
    world.app.tool_register(&ctx(), dear).await.unwrap();
    world.assistant("a", "[tools]\nallow = [\"mail\"]\n").await;
    let quota = limits::Quota {
        cost_micros: Some(limits::QuotaLimit {
            limit: 1_000,
            period: limits::Period::Day,
            overage: limits::Overage::Refuse,
        }),
        ..limits::Quota::default()
    };
    let tenant = caxton_core::TenantId::default_tenant();
    world
        .app
        .quota_set(&ctx(), &tenant, "", quota)
        .await
        .unwrap();
    for session in ["a", "b", "c"] {
        world.chat("a", session, "call mail_send").await;
    }
    assert_eq!(hands.made().len(), 2);
    let costs: Vec<u64> = calls(&world)
        .await
        .iter()
        .map(|it| it.cost_micros)
        .collect();
    assert_eq!(costs, [400, 400, 0]);
    assert_eq!(calls(&world).await[2].code.as_deref(), Some("CX-4031"));
}

/// A mail tool of which each call costs so much.
async fn dear_mail(world: &World, price_micros: u64) {
    let mut dear = tool("mail", &[function("send", Effect::Acts)], false);
    dear.price_micros = price_micros;
    world.app.tool_register(&ctx(), dear).await.unwrap();
}

/// What the turn cost that was told of: money, and tokens.
fn took(told: &[TurnEvent]) -> (u64, u64) {
    match told.last().unwrap() {
        TurnEvent::Completed(it) => (it.cost_micros, it.usage.total()),
        TurnEvent::Failed(it) => (it.cost_micros, it.usage.total()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_pays_for_its_tools_and_no_more_than_it_may() {
    let hands = Arc::new(Hands::default());
    let native = NativeRuntime::default();
    let world = World::with_hands(native, Arc::clone(&hands), |asked| {
        match has_results(asked) {
            true => vec![text("as far as it went")],
            false => ["ann", "bob", "eve"]
                .iter()
                .map(|to| call(to, "mail_send", json!({"to": to})))
                .collect(),
        }
    })
    .await;
    dear_mail(&world, 400).await;
    let manifest = "turn_cost_micros_max = 1000\n[tools]\nallow = [\"mail\"]\n";
    world.assistant("a", manifest).await;
    let told = world.chat("a", "s", "write to all").await;
    assert_eq!(hands.made(), ["mail.send"; 2]);
    let words = words(&told);
    let refused: Vec<&String> = words
        .iter()
        .filter(|it| it.contains("bad result"))
        .collect();
    assert_eq!(
        refused,
        ["bad result CX-7025 the call costs 400 micros, and the turn has 200 left"]
    );
    assert_eq!(words.last().unwrap(), "completed End");
    assert_eq!(took(&told).0, 800);
    assert_eq!(world.session("s").await.cost_micros, 800);
}

#[tokio::test(start_paused = true)]
async fn an_assistant_that_is_asked_counts_in_the_turn_of_whoever_asked() {
    let world =
        World::new(
            |asked| match (asked.request.system.contains("dear"), has_results(asked)) {
                (true, false) => vec![call("1", "mail_send", json!({}))],
                (true, true) => vec![text("dearly bought")],
                (false, _) => {
                    let times = asked.request.messages.len();
                    vec![call(
                        "1",
                        "ask_dear",
                        json!({"message": format!("{times}")}),
                    )]
                }
            },
        )
        .await;
    dear_mail(&world, 30).await;
    world
        .assistant("dear", "[tools]\nallow = [\"mail\"]\n")
        .await;
    let manifest = "turn_cost_micros_max = 600\n[tools]\nallow = [\"agent:dear\"]\n";
    world.assistant("a", manifest).await;
    let told = world.chat("a", "s", "go on for ever").await;
    assert_eq!(words(&told).last().unwrap(), "failed CX-7025");
    // Each time two calls of the model of 110 tokens, and a mail: 250. The third is past 600.
    let own = 3 * 110;
    assert_eq!(took(&told), (750, 3 * 220 + own));
    let log = calls(&world).await;
    let of = |tool: &str| {
        let of = log.iter().filter(|it| it.tool.to_string() == tool);
        of.map(|it| it.cost_micros).collect::<Vec<u64>>()
    };
    assert_eq!(of("agent:dear"), [250; 3]);
    assert_eq!(of("mail.send"), [30; 3]);
}
