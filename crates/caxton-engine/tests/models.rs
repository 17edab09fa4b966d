//! Asking models, with a model that answers as a test says and paused time: failing over, honest
//! ends, ceilings, quotas and the ledger.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/stage.rs"]
mod stage;
mod support;

use caxton_core::error::Code;
use caxton_core::model::{
    ChatMessage, ModelFault, ModelFaultKind as Kind, ModelName, ModelRequest,
};
use caxton_core::session::TurnEvent;
use caxton_engine::models::CallOutcome;
use caxton_engine::port::Clock;
use caxton_engine::port::store::PageRequest;
use stage::*;
use std::sync::Arc;
use std::time::Duration;
use support::ctx;

#[tokio::test(start_paused = true)]
async fn an_answer_is_told_as_it_comes_and_accounted_as_the_provider_says() {
    let world = world().await;
    world.stage.plays("one/m", [good()]);
    let (said, end) = world.turn().await;
    let outcome = end.unwrap();
    assert_eq!(said, "hello");
    assert_eq!((outcome.usage.input, outcome.usage.output), (10, 5));
    assert_eq!(outcome.cost_micros, 10 + 2 * 5);
    world.pass(Duration::from_secs(1)).await;
    let ledger = world.ledger().await;
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].outcome, CallOutcome::Completed);
    assert_eq!(ledger[0].cost_micros, 20);
    assert!(!ledger[0].tokens.estimated && ledger[0].visible);
    assert_eq!(world.tokens_used().await, 15);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_word_failing_is_not_seen_and_is_tried_again() {
    let world = world().await;
    let broken = Play::Answer(vec![Step::Used(10, 0), Step::Break(Kind::Malformed)]);
    let cut = Play::Answer(vec![]);
    world.stage.plays("one/m", [broken, cut, good()]);
    let begun = world.clock.now();
    let (said, end) = world.turn().await;
    assert_eq!(said, "hello");
    assert!(end.is_ok());
    let took = world.clock.now().since(begun);
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_secs(2),
        "{took:?}"
    );
    assert_eq!(world.stage.asked().len(), 3);
    world.pass(Duration::from_secs(1)).await;
    let ledger = world.ledger().await;
    // What the first two tries took is counted with the rest, and said to be reckoned: the second was
    // left without a word of that.
    let asked = ModelRequest::new(vec![ChatMessage::user("hello")], 500).tokens_estimate();
    let input = ledger[0].tokens.input;
    assert_eq!((ledger[0].tries, input), (3, 20 + asked));
    assert!(ledger[0].tokens.estimated);
}

#[tokio::test(start_paused = true)]
async fn after_the_first_word_a_fault_is_told_and_nothing_is_said_twice() {
    for kind in [Kind::Cut, Kind::Server, Kind::Malformed] {
        let world = world().await;
        let broken = Play::Answer(vec![Step::Say("half"), Step::Break(kind)]);
        world.stage.plays("one/m", [broken]);
        let (said, end) = world.turn().await;
        assert_eq!(said, "half");
        let failure = end.unwrap_err();
        assert_eq!(failure.code, kind.code().as_str());
        assert_eq!(world.stage.asked().len(), 1);
        world.pass(Duration::from_secs(1)).await;
        let ledger = world.ledger().await;
        assert_eq!(
            ledger[0].outcome,
            CallOutcome::Failed(kind.as_str().to_owned())
        );
        assert!(ledger[0].tokens.estimated && ledger[0].tokens.output >= 1);
        assert_eq!(world.tokens_used().await, ledger[0].tokens.total());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_asks_to_wait_is_waited() {
    let world = world().await;
    let busy = ModelFault::new(Kind::RateLimited, "slow down");
    let busy = busy.with_retry_after(Some(Duration::from_secs(7)));
    world.stage.plays("one/m", [Play::Refuse(busy), good()]);
    let begun = world.clock.now();
    assert!(world.turn().await.1.is_ok());
    assert!(world.clock.now().since(begun) >= Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_asks_to_be_left_alone_is_by_every_turn() {
    let world = world().await;
    let busy = |seconds| {
        let fault = ModelFault::new(Kind::RateLimited, "slow down");
        Play::Refuse(fault.with_retry_after(Some(Duration::from_secs(seconds))))
    };
    world.stage.plays("one/m", [busy(100), busy(3_600), good()]);
    world.stage.plays("one/n", [good()]);
    let refused = async |left: u64| {
        let failure = world.turn().await.1.unwrap_err();
        assert_eq!(failure.code, Code::ModelRateLimited.as_str());
        assert_eq!(failure.retry_after_ms, Some(left * 1_000), "{failure:?}");
        assert_eq!(failure.usage.total(), 0);
    };
    refused(100).await;
    world.pass(Duration::from_secs(40)).await;
    refused(60).await;
    assert_eq!(world.stage.asked().len(), 1, "it was not asked again");
    // Another model of the provider has limits of its own.
    let other = ended(world.begin_with("one/n", "hello").await).await;
    assert!(other.1.is_ok());
    // Asked again when the time is over, it may name another, and is not believed for ever.
    world.pass(Duration::from_secs(60)).await;
    refused(3_600).await;
    world.pass(Duration::from_secs(120)).await;
    world.stage.plays("one/m", [busy(100), good()]);
    assert!(world.turn().await.1.is_ok());
    refused(100).await;
    // A person's word ends it.
    let word = caxton_core::breaker::Override::None;
    world
        .app
        .provider_override(&ctx(), "one", word)
        .await
        .unwrap();
    assert!(world.turn().await.1.is_ok());
    assert_eq!(world.stage.asked().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_call_before_and_after_the_first_word() {
    let world = world().await;
    let hang = Play::Answer(vec![Step::Hang]);
    world
        .stage
        .plays("one/m", [hang.clone(), hang.clone(), hang]);
    let (_, end) = world.turn().await;
    assert_eq!(end.unwrap_err().code, Code::ModelTimeout.as_str());
    let half = Play::Answer(vec![Step::Say("half"), Step::Hang]);
    let world = self::world().await;
    world.stage.plays("one/m", [half]);
    let begun = world.clock.now();
    let (said, end) = world.turn().await;
    assert_eq!(
        (said.as_str(), end.unwrap_err().code.as_str()),
        ("half", Code::ModelTimeout.as_str())
    );
    assert!(world.clock.now().since(begun) < Duration::from_secs(70));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_again_and_again_is_left_alone() {
    let world = world().await;
    world.stage.plays("one/m", vec![refuse(Kind::Auth); 5]);
    for _ in 0..5 {
        let end = world.turn().await.1;
        assert_eq!(end.unwrap_err().code, Code::ModelRefusedCredential.as_str());
    }
    let failure = world.turn().await.1.unwrap_err();
    assert_eq!(failure.code, Code::BreakerOpen.as_str());
    assert!(failure.retry_after_ms.unwrap() > 0);
    assert_eq!(world.stage.asked().len(), 5);
    let (_, breaker) = world.app.provider_show(&ctx(), "one").await.unwrap();
    assert_eq!(breaker.state, caxton_core::breaker::State::Open);
    world.pass(Duration::from_secs(6)).await;
    world.stage.plays("one/m", [good()]);
    assert!(world.turn().await.1.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_persons_word_on_a_provider_counts_more_than_its_breaker() {
    use caxton_core::breaker::{Override, State};
    let world = world().await;
    let say = async |word| {
        let said = world.app.provider_override(&ctx(), "one", word).await;
        said.unwrap();
    };
    let shown = async || world.app.provider_show(&ctx(), "one").await.unwrap().1;
    // Left alone, though nothing failed.
    say(Override::Open).await;
    let failure = world.turn().await.1.unwrap_err();
    assert_eq!(failure.code, Code::BreakerOpen.as_str());
    assert_eq!(shown().await.overridden, Override::Open);
    assert_eq!(world.stage.asked().len(), 0);
    // Asked on, though it fails.
    say(Override::Closed).await;
    world.stage.plays("one/m", vec![refuse(Kind::Auth); 9]);
    for _ in 0..9 {
        let failure = world.turn().await.1.unwrap_err();
        assert_eq!(failure.code, Code::ModelRefusedCredential.as_str());
    }
    assert_eq!(world.stage.asked().len(), 9);
    // Taken back, it judges by itself, from the beginning.
    say(Override::None).await;
    assert_eq!(shown().await.state, State::Closed);
    world.stage.plays("one/m", [good()]);
    assert!(world.turn().await.1.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_request_opens_no_breaker_and_is_not_repeated() {
    let world = world().await;
    world.stage.plays("one/m", vec![refuse(Kind::Invalid); 8]);
    for _ in 0..8 {
        let end = world.turn().await.1;
        assert_eq!(end.unwrap_err().code, Code::ModelRefusedRequest.as_str());
    }
    assert_eq!(world.stage.asked().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_at_the_last_tokens_never_use_more_than_there_is() {
    let world = world().await;
    world.quota(400).await;
    world.stage.plays("one/m", vec![good(); 100]);
    let mut turns = Vec::new();
    for _ in 0..100 {
        turns.push(world.begin().await);
    }
    let ends = futures::future::join_all(turns.into_iter().map(ended)).await;
    let went = ends.iter().filter(|(_, end)| end.is_ok()).count();
    for (_, end) in &ends {
        if let Err(failure) = end {
            assert_eq!(failure.code, Code::QuotaExceeded.as_str());
        }
    }
    assert!((1..100).contains(&went), "{went} went");
    for (_, most, _) in world.stage.asked.lock().iter() {
        assert!(*most <= 400, "a ceiling past the quota: {most}");
    }
    assert!(world.tokens_used().await <= 400);
    let counted: u64 = ends
        .iter()
        .filter_map(|(_, end)| end.as_ref().ok())
        .map(|outcome| outcome.usage.total())
        .sum();
    assert_eq!(world.tokens_used().await, counted);
}

/// Text of which each byte is a token, as no estimate has it.
#[tokio::test(start_paused = true)]
async fn what_a_provider_counts_past_the_estimate_was_set_aside() {
    const BYTES: u64 = 4_000;
    const QUOTA: u64 = 50_000;
    let world = world().await;
    world.quota(QUOTA).await;
    let dense = Play::Answer(vec![Step::Say("so"), Step::Used(BYTES, 5), Step::Done]);
    world.stage.plays("one/m", vec![dense; 100]);
    let text = "7".repeat(usize::try_from(BYTES).unwrap());
    let mut turns = Vec::new();
    for _ in 0..100 {
        turns.push(world.begin_with("one/m", &text).await);
    }
    let ends = futures::future::join_all(turns.into_iter().map(ended)).await;
    let went = ends.iter().filter(|(_, end)| end.is_ok()).count();
    assert!((8..=13).contains(&went), "{went} went");
    world.pass(Duration::from_secs(1)).await;
    let request = ModelRequest::new(vec![ChatMessage::user(text)], 500);
    let ledger = world.ledger().await;
    assert_eq!(ledger.len(), went);
    let mut past = 0;
    for row in &ledger {
        assert_eq!(row.tokens.total(), BYTES + 5);
        assert!(row.reserved_tokens <= request.tokens_most() + 500);
        let over = row.tokens.total().saturating_sub(row.reserved_tokens);
        // Only one that had less left than it may take, and then by half of its bytes at most.
        assert!(over == 0 || row.reserved_tokens < request.tokens_most() + 500);
        assert!(over <= BYTES / 2, "{over} past what was reserved");
        past += over;
    }
    let used = world.tokens_used().await;
    assert!(used <= QUOTA + past, "{used} used");
}

#[tokio::test(start_paused = true)]
async fn a_script_that_fails_says_nothing_of_the_others() {
    use caxton_core::breaker::{Override, State};
    let world = world().await;
    let turn = async |model: &str| {
        let end = ended(world.begin_with(model, "hello").await).await.1;
        end.map(drop).map_err(|failure| failure.code)
    };
    let shown = async || world.app.provider_show(&ctx(), "scripted").await.unwrap().1;
    let say = async |word| {
        let said = world.app.provider_override(&ctx(), "scripted", word).await;
        said.unwrap();
    };
    let open = Err(Code::BreakerOpen.as_str().to_owned());
    let refused = Err(Code::ModelRefusedCredential.as_str().to_owned());
    world
        .stage
        .plays("scripted/bad.json", vec![refuse(Kind::Auth); 20]);
    world.stage.plays("scripted/good.json", vec![good(); 20]);
    assert_eq!(shown().await.state, State::Closed);
    for _ in 0..5 {
        assert_eq!(turn("scripted/bad.json").await, refused);
    }
    assert_eq!(turn("scripted/bad.json").await, open);
    assert_eq!(turn("scripted/good.json").await, Ok(()));
    // Who looks at the provider sees that something of it is ill, and may say that it is not.
    assert_eq!(shown().await.state, State::Open);
    say(Override::None).await;
    assert_eq!(shown().await.state, State::Closed);
    assert_eq!(turn("scripted/bad.json").await, refused);
    // A person's word is on all scripts.
    say(Override::Open).await;
    assert_eq!(turn("scripted/good.json").await, open);
    say(Override::Closed).await;
    for _ in 0..9 {
        assert_eq!(turn("scripted/bad.json").await, refused);
    }
    assert_eq!(shown().await.overridden, Override::Closed);
    say(Override::None).await;
    assert_eq!(turn("scripted/good.json").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_turn_ends_at_once_and_its_call_is_accounted() {
    let world = world().await;
    world
        .stage
        .plays("one/m", [Play::Answer(vec![Step::Say("half"), Step::Hang])]);
    let mut follow = world.begin().await;
    let id = follow.turn().id();
    heard(&mut follow, 2).await;
    let begun = world.clock.now();
    world.app.turn_cancel(&ctx(), id).await.unwrap();
    let rest = follow.next().await.unwrap();
    let TurnEvent::Failed(failure) = &*rest[0].1 else {
        panic!("{rest:?}");
    };
    assert_eq!(failure.code, Code::TurnCancelled.as_str());
    assert!(world.clock.now().since(begun) < Duration::from_secs(1));
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.ledger().await[0].outcome, CallOutcome::Cancelled);
    // Once more changes nothing.
    world.app.turn_cancel(&ctx(), id).await.unwrap();
    assert!(follow.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_follower_may_leave_and_come_back_and_sees_each_event_once() {
    let world = world().await;
    world.stage.plays("one/m", [good()]);
    let follow = world.begin().await;
    let id = follow.turn().id();
    drop(follow);
    let mut all = Vec::new();
    let mut whole = world.app.turn_follow(&ctx(), id, 0).await.unwrap();
    while let Some(events) = whole.next().await {
        all.extend(events);
    }
    for (at, (after, _)) in all.iter().enumerate() {
        let mut rest = Vec::new();
        let mut follow = world.app.turn_follow(&ctx(), id, *after).await.unwrap();
        while let Some(events) = follow.next().await {
            rest.extend(events);
        }
        assert_eq!(rest, all[at + 1..]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_several_calls_is_in_the_ledger_at_its_own_time() {
    let world = world().await;
    let hangs = || Play::Answer(vec![Step::Say("half"), Step::Hang]);
    world
        .stage
        .plays("one/m", [hangs(), good(), hangs(), hangs()]);
    let open = async || {
        let ledger = world.ledger().await;
        let open = ledger.iter().filter(|it| it.outcome == CallOutcome::Open);
        (ledger.len(), open.count())
    };
    let _first = world.begin().await;
    assert!(world.turn().await.1.is_ok());
    world.pass(Duration::from_millis(6)).await;
    assert_eq!(open().await, (1, 0), "what is over is written at once");
    let _third = world.begin().await;
    world.pass(Duration::from_millis(5)).await;
    assert_eq!(open().await, (2, 1), "the first is due, the third is not");
    world.pass(Duration::from_millis(6)).await;
    assert_eq!(open().await, (3, 2));
    // Nobody waits any more, and then somebody does again.
    world.pass(Duration::from_secs(1)).await;
    let _fourth = world.begin().await;
    world.pass(Duration::from_millis(11)).await;
    assert_eq!(open().await, (4, 3));
}

#[tokio::test(start_paused = true)]
async fn what_a_kill_leaves_open_is_settled_once_with_an_estimate() {
    let world = world().await;
    world
        .stage
        .plays("one/m", [Play::Answer(vec![Step::Say("half"), Step::Hang])]);
    let mut follow = world.begin().await;
    heard(&mut follow, 2).await;
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.ledger().await[0].outcome, CallOutcome::Open);
    // The next server on the same disk: the first is fenced off, as one that was killed.
    let stage = Arc::new(Stage::default());
    let next = World {
        app: start(&world.disk, &world.clock, &stage).await,
        disk: world.disk.clone(),
        clock: Arc::clone(&world.clock),
        stage,
    };
    for _ in 0..2 {
        next.stage.plays("one/m", [good()]);
        assert!(next.turn().await.1.is_ok());
    }
    next.pass(Duration::from_secs(1)).await;
    let ledger = next.ledger().await;
    assert_eq!(ledger.len(), 3);
    assert_eq!(ledger[0].outcome, CallOutcome::Interrupted);
    assert!(ledger[0].tokens.estimated && ledger[0].tokens.input > 0);
    assert_eq!(next.tokens_used().await, ledger[0].tokens.total() + 30);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_lasts_is_in_the_ledger_before_it_is_over() {
    let world = world().await;
    let hangs = Play::Answer(vec![Step::Say("half"), Step::Hang]);
    world.stage.plays("one/m", [hangs]);
    let mut follow = world.begin().await;
    assert_eq!(world.stage.asked().len(), 1, "asked before anybody is told");
    heard(&mut follow, 2).await;
    assert!(world.ledger().await.is_empty());
    world.pass(Duration::from_millis(11)).await;
    assert_eq!(world.ledger().await[0].outcome, CallOutcome::Open);
    let id = follow.turn().id();
    world.app.turn_cancel(&ctx(), id).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    let ledger = world.ledger().await;
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].outcome, CallOutcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_the_server_accounts_for_calls_on_their_way() {
    let world = world().await;
    world
        .stage
        .plays("one/m", [Play::Answer(vec![Step::Say("half"), Step::Hang])]);
    let mut follow = world.begin().await;
    heard(&mut follow, 2).await;
    world.app.stop(Duration::from_secs(1)).await;
    let stage = Arc::new(Stage::default());
    let app = start(&world.disk, &world.clock, &stage).await;
    let page = PageRequest::first(10);
    let ledger = app.model_call_list(&ctx(), None, &page).await.unwrap().rows;
    assert_eq!(ledger[0].outcome, CallOutcome::Interrupted);
    assert!(
        ledger[0].tokens.output >= 1,
        "what was said is counted: {ledger:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_prompt_past_the_window_and_an_unknown_provider_are_refused() {
    let world = world().await;
    let long = ChatMessage::user("x".repeat(50_000));
    let request = ModelRequest::new(vec![long], 10);
    let model = ModelName::parse("one/m").unwrap();
    let ctx = ctx();
    let follow = world.app.turn_start_model(&ctx, model, request.clone());
    let (_, end) = ended(follow.await.unwrap()).await;
    assert_eq!(end.unwrap_err().code, Code::ContextTooLong.as_str());
    let model = ModelName::parse("nobody/m").unwrap();
    let refused = world.app.turn_start_model(&ctx, model, request).await;
    assert_eq!(refused.unwrap_err().code, Code::ProviderNotFound);
    assert!(world.stage.asked().is_empty());
    for (name, code) in [
        ("one", Code::PermissionDenied),
        ("nobody", Code::ProviderNotFound),
    ] {
        let refused = world.app.provider_remove(&ctx, name).await;
        assert_eq!(refused.unwrap_err().code, code, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_broken_streams_are_accounted_once_each() {
    const TURNS: usize = 1_000;
    let world = world().await;
    // Broken in every way there is, at every place; a few whole ones among them.
    let ways = [
        Play::Answer(vec![Step::Say("half"), Step::Break(Kind::Cut)]),
        Play::Answer(vec![Step::Say("half"), Step::Break(Kind::Malformed)]),
        Play::Answer(vec![
            Step::Say("ha"),
            Step::Used(40, 7),
            Step::Break(Kind::Server),
        ]),
        Play::Answer(vec![Step::Say("half")]),
        Play::Answer(vec![Step::Say("half"), Step::Hang]),
        refuse(Kind::Invalid),
        good(),
    ];
    let plays = (0..TURNS).map(|at| ways[at % ways.len()].clone());
    world.stage.plays("one/m", plays);
    let mut ends = Vec::new();
    for at in 0..TURNS {
        // Faults in a row would open the breaker, and a turn that is not asked is not what is meant.
        let none = caxton_core::breaker::Override::Closed;
        world
            .app
            .provider_override(&ctx(), "one", none)
            .await
            .unwrap();
        let follow = world.begin().await;
        if at % 3 == 0 {
            // A client that leaves at once does not change what is owed.
            let id = follow.turn().id();
            drop(follow);
            ends.push(ended(world.app.turn_follow(&ctx(), id, 0).await.unwrap()).await);
        } else {
            ends.push(ended(follow).await);
        }
    }
    world.pass(Duration::from_secs(1)).await;
    let ledger = world.ledger().await;
    assert_eq!(ledger.len(), TURNS);
    let ids: std::collections::HashSet<&str> = ledger.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), TURNS, "an entry each");
    assert!(ledger.iter().all(|it| it.outcome != CallOutcome::Open));
    let told: u64 = ends
        .iter()
        .map(|(_, end)| match end {
            Ok(outcome) => outcome.usage.total(),
            Err(failure) => failure.usage.total(),
        })
        .sum();
    let kept: u64 = ledger.iter().map(|it| it.tokens.total()).sum();
    assert_eq!(kept, told, "what turns say and what the ledger has");
    assert_eq!(world.tokens_used().await, kept, "and what the quota counts");
    let estimated = ledger.iter().filter(|it| it.tokens.estimated).count();
    assert!(
        estimated > TURNS / 2,
        "{estimated} say that they are reckoned"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_is_counted_though_nothing_of_an_answer_came() {
    // It had the whole question when it was left.
    let world = world().await;
    world.stage.plays("one/m", [Play::Answer(vec![Step::Hang])]);
    let mut follow = world.begin().await;
    let id = follow.turn().id();
    heard(&mut follow, 1).await;
    while world.stage.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    world.app.turn_cancel(&ctx(), id).await.unwrap();
    assert!(ended(follow).await.1.is_err());
    world.pass(Duration::from_secs(1)).await;
    let left = &world.ledger().await[0];
    assert_eq!(left.outcome, CallOutcome::Cancelled);
    assert!(left.tokens.input > 0 && left.tokens.estimated && left.cost_micros > 0);
    assert_eq!(world.tokens_used().await, left.tokens.total());
    // One that refuses has taken nothing.
    let world = self::world().await;
    world.stage.plays("one/m", [refuse(Kind::Auth)]);
    assert!(world.turn().await.1.is_err());
    world.pass(Duration::from_secs(1)).await;
    let refused = &world.ledger().await[0];
    assert_eq!((refused.tokens.total(), refused.cost_micros), (0, 0));
    assert_eq!(world.tokens_used().await, 0);
}
