//! A machine's clock that jumps by a minute, an hour or a day: nothing is let in twice over, and nobody is
//! kept out for longer than the limit itself says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use caxton_core::error::Code;
use caxton_core::grant::{Principal, Role};
use caxton_core::key::KeyText;
use caxton_core::limit::Rate;
use caxton_engine::directory::KeyDraft;
use caxton_engine::idempotency::Begun;
use caxton_engine::limits::RateSettings;
use caxton_engine::port::Clock as _;
use caxton_engine::{App, OpCtx};
use std::time::Duration;
use support::{Cast, World, ctx};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn draft(name: &str) -> KeyDraft {
    KeyDraft {
        name: name.to_owned(),
        role: Role::Developer,
        scopes: Vec::new(),
        expires: None,
        platform: false,
    }
}

async fn key(app: &App, draft: KeyDraft) -> (String, KeyText) {
    let (record, text) = app.key_create(&ctx(), draft).await.unwrap();
    (record.id, text)
}

async fn who(app: &App, key: &KeyText) -> Result<Principal, Code> {
    let found = app.identify_key(&key.expose()).await;
    found.map(|it| it.principal).map_err(|error| error.code)
}

#[tokio::test(start_paused = true)]
async fn a_rate_never_lets_more_through_than_its_burst_and_heals_within_it() {
    let world = World::new(Cast::default()).await;
    let (_, text) = key(&world.app, draft("robot")).await;
    let robot = who(&world.app, &text).await.unwrap();
    // Ten in ten seconds, five at once.
    let rates = RateSettings {
        key: Some(Rate::new(10, 10, 5).unwrap()),
        ..RateSettings::default()
    };
    world.app.rates_set(&ctx(), rates).await.unwrap();
    let burst = async || {
        let mut let_in = 0;
        for _ in 0..20 {
            let taken = world.app.rate_take(&robot, &ctx().tenant, "op").await;
            let_in += usize::from(taken.unwrap().unwrap().decision.allowed);
        }
        let_in
    };
    assert_eq!(burst().await, 5);
    for jump in [MINUTE, HOUR, DAY] {
        // Back: nothing is given away, and what was used up is there again after its ten seconds.
        world.clock.set_back(jump);
        assert_eq!(burst().await, 0, "{jump:?} back");
        world.clock.advance(Duration::from_secs(10));
        assert_eq!(burst().await, 5, "{jump:?} back, and ten seconds on");
        // Ahead: as if so much time had passed, which is a burst at most.
        world.clock.advance(jump);
        assert_eq!(burst().await, 5, "{jump:?} ahead");
        assert_eq!(burst().await, 0, "{jump:?} ahead, at once again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_lives_by_the_clock_as_it_is() {
    let world = World::new(Cast::default()).await;
    let app = &world.app;
    let soon = KeyDraft {
        expires: Some(world.clock.now().plus(HOUR)),
        ..draft("soon")
    };
    let (_, short) = key(app, soon).await;
    let (id, old) = key(app, draft("rotated")).await;
    let (_, new) = app.key_rotate(&ctx(), &id, HOUR).await.unwrap();
    let all = async || {
        let mut good = Vec::new();
        for key in [&short, &old, &new] {
            good.push(who(app, key).await.is_ok());
        }
        good
    };
    assert_eq!(all().await, [true, true, true]);
    world.clock.advance(HOUR + MINUTE);
    assert_eq!(all().await, [false, false, true]);
    // Put right by two minutes they have a minute left, and not a second more.
    world.clock.set_back(2 * MINUTE);
    assert_eq!(all().await, [true, true, true]);
    world.clock.advance(MINUTE);
    assert_eq!(all().await, [false, false, true]);
    // What was ended by somebody stays ended, whatever the clock says.
    app.key_revoke(&ctx(), &id).await.unwrap();
    world.clock.set_back(DAY);
    assert_eq!(all().await, [true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_replayed_on_either_side_of_a_jump() {
    let world = World::new(Cast::default()).await;
    let asked = OpCtx {
        idempotency_key: Some("k".to_owned()),
        ..ctx()
    };
    let begin = async || {
        let begun = world.app.idempotency_begin(&asked, ("Send", b"body"));
        begun.await.unwrap().unwrap()
    };
    let Begun::First(claim) = begin().await else {
        panic!("nobody asked before");
    };
    claim.answered(Bytes::from_static(b"answer")).await;
    let replays = async || matches!(begin().await, Begun::Replay(answer) if answer == "answer");
    for jump in [MINUTE, HOUR] {
        world.clock.set_back(jump);
        assert!(replays().await, "{jump:?} back");
        world.clock.advance(2 * jump);
        assert!(replays().await, "{jump:?} ahead");
        world.clock.set_back(jump);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_has_expired_is_not_given_another_secret() {
    let world = World::new(Cast::default()).await;
    let expires = Some(world.clock.now().plus(HOUR));
    let (id, _) = key(
        &world.app,
        KeyDraft {
            expires,
            ..draft("short")
        },
    )
    .await;
    assert!(world.app.key_rotate(&ctx(), &id, MINUTE).await.is_ok());
    world.pass(HOUR).await;
    let refused = world.app.key_rotate(&ctx(), &id, MINUTE).await;
    assert_eq!(refused.unwrap_err().code, Code::ParameterMalformed);
}
