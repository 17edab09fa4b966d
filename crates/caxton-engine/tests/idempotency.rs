//! Idempotency keys: what a restart finds of them, and what is forgotten.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use caxton_core::TenantId;
use caxton_core::error::Code;
use caxton_engine::idempotency::{ANSWER_BYTES_MAX, Begun, Claim};
use caxton_engine::port::Store as _;
use caxton_engine::port::memory::MemoryStore;
use caxton_engine::port::store::{RecordKind, RecordRange};
use caxton_engine::{App, OpCtx, Options, TenantScope};
use std::time::Duration;
use support::{Cast, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn ctx(tenant: &str, key: &str) -> OpCtx {
    OpCtx {
        tenant: TenantId::parse(tenant).unwrap(),
        idempotency_key: Some(key.to_owned()),
        ..support::ctx()
    }
}

async fn begin(app: &App, tenant: &str, key: &str, body: &str) -> Result<Begun, Code> {
    let ctx = ctx(tenant, key);
    let begun = app.idempotency_begin(&ctx, ("Send", body.as_bytes()));
    begun.await.map(Option::unwrap).map_err(|error| error.code)
}

async fn first(app: &App, tenant: &str, key: &str, body: &str) -> Claim {
    match begin(app, tenant, key, body).await {
        Ok(Begun::First(claim)) => claim,
        other => panic!("{other:?}"),
    }
}

async fn answer(app: &App, key: &str, answer: &[u8]) {
    let claim = first(app, "default", key, "body").await;
    claim.answered(Bytes::copy_from_slice(answer)).await;
}

#[track_caller]
fn replays(begun: Result<Begun, Code>, wanted: &[u8]) {
    match begun {
        Ok(Begun::Replay(answer)) => assert_eq!(answer, wanted),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refuses(begun: Result<Begun, Code>, code: Code) {
    assert_eq!(begun.map(|_| ()), Err(code));
}

/// Keys and rows under the time that a tenant has in the store.
async fn rows(world: &World) -> (usize, usize) {
    let store = MemoryStore::open(world.disk.clone());
    let scope = TenantScope::system(TenantId::default_tenant(), "test");
    let count = async |kind| {
        let kind = RecordKind(kind);
        store
            .records(&scope, kind, RecordRange::default(), 1000)
            .await
            .unwrap()
            .len()
    };
    (count("idempotency").await, count("idempotency-age").await)
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_outlives_the_server() {
    let mut world = World::new(Cast::default()).await;
    answer(&world.app, "k", b"answer").await;
    for _ in 0..2 {
        replays(begin(&world.app, "default", "k", "body").await, b"answer");
        let other = begin(&world.app, "default", "k", "another body").await;
        refuses(other, Code::IdempotencyMismatch);
        // Another tenant's key of the same name is another key.
        first(&world.app, "acme", "k", "another body")
            .await
            .freed()
            .await;
        world.crash().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_in_progress_when_the_server_died_is_not_done_again() {
    let mut world = World::new(Cast::default()).await;
    let claim = first(&world.app, "default", "k", "body").await;
    refuses(
        begin(&world.app, "default", "k", "body").await,
        Code::IdempotencyBusy,
    );
    refuses(
        begin(&world.app, "default", "k", "another body").await,
        Code::IdempotencyMismatch,
    );
    world.crash().await;
    for _ in 0..2 {
        refuses(
            begin(&world.app, "default", "k", "body").await,
            Code::IdempotencyLost,
        );
        refuses(
            begin(&world.app, "default", "k", "another body").await,
            Code::IdempotencyMismatch,
        );
    }
    drop(claim);
    // Not for ever: after its time it is a key like any other.
    world.clock.advance(DAY + Duration::from_secs(1));
    answer(&world.app, "k", b"later").await;
    replays(begin(&world.app, "default", "k", "body").await, b"later");
    assert_eq!(rows(&world).await, (1, 1));
}

#[tokio::test(start_paused = true)]
async fn work_that_broke_midway_is_not_done_again() {
    let world = World::new(Cast::default()).await;
    drop(first(&world.app, "default", "k", "body").await);
    refuses(
        begin(&world.app, "default", "k", "body").await,
        Code::IdempotencyLost,
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_frees_the_key_also_after_a_restart() {
    let mut world = World::new(Cast::default()).await;
    first(&world.app, "default", "k", "body")
        .await
        .freed()
        .await;
    world.crash().await;
    assert_eq!(rows(&world).await, (0, 0));
    first(&world.app, "default", "k", "another body")
        .await
        .freed()
        .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_that_cannot_be_written_down() {
    let world = World::new(Cast::default()).await;
    world.break_store(true);
    let refused = begin(&world.app, "default", "k", "body").await.unwrap_err();
    world.break_store(false);
    assert!(refused.as_str().starts_with("CX-5"), "{refused}");
    // It has left no trace.
    first(&world.app, "default", "k", "another body")
        .await
        .freed()
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_written_is_lost_and_not_given_twice() {
    let world = World::new(Cast::default()).await;
    let claim = first(&world.app, "default", "k", "body").await;
    world.break_store(true);
    claim.answered(Bytes::from_static(b"answer")).await;
    world.break_store(false);
    refuses(
        begin(&world.app, "default", "k", "body").await,
        Code::IdempotencyLost,
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_is_forgotten_in_time() {
    let world = World::new(Cast::default()).await;
    answer(&world.app, "k", b"answer").await;
    world.clock.advance(DAY);
    replays(begin(&world.app, "default", "k", "body").await, b"answer");
    world.clock.advance(Duration::from_micros(1));
    answer(&world.app, "l", b"answer").await;
    assert_eq!(
        rows(&world).await,
        (1, 1),
        "the old one goes when another comes"
    );
    first(&world.app, "default", "k", "another body")
        .await
        .freed()
        .await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_bounded_and_the_oldest_go() {
    let options = Options {
        idempotency_keys_max: 250,
        ..Options::default()
    };
    let mut world = World::with_options(Cast::default(), options).await;
    for n in 0..250 {
        world.clock.advance(Duration::from_secs(1));
        answer(&world.app, &format!("k{n}"), b"x").await;
    }
    assert_eq!(rows(&world).await, (250, 250));
    // Counted anew by another server on the same data.
    world.crash().await;
    world.clock.advance(Duration::from_secs(1));
    answer(&world.app, "one more", b"x").await;
    // 250 / 64 = 3 more than the one that must go.
    assert_eq!(rows(&world).await, (247, 247));
    first(&world.app, "default", "k3", "another body")
        .await
        .freed()
        .await;
    replays(begin(&world.app, "default", "k4", "body").await, b"x");
    replays(begin(&world.app, "default", "one more", "body").await, b"x");
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_and_the_oldest_go() {
    let options = Options {
        idempotency_bytes_max: 10,
        ..Options::default()
    };
    let world = World::with_options(Cast::default(), options).await;
    for key in ["a", "b", "c"] {
        world.clock.advance(Duration::from_secs(1));
        answer(&world.app, key, b"four").await;
    }
    answer(&world.app, "d", b"").await;
    first(&world.app, "default", "a", "another body")
        .await
        .freed()
        .await;
    replays(begin(&world.app, "default", "b", "body").await, b"four");
    replays(begin(&world.app, "default", "c", "body").await, b"four");
}

#[tokio::test(start_paused = true)]
async fn an_answer_too_large_to_keep_is_said_to_be() {
    let world = World::new(Cast::default()).await;
    answer(&world.app, "k", &vec![0; ANSWER_BYTES_MAX + 1]).await;
    refuses(
        begin(&world.app, "default", "k", "body").await,
        Code::IdempotencyLost,
    );
    answer(&world.app, "l", &vec![7; ANSWER_BYTES_MAX]).await;
    replays(
        begin(&world.app, "default", "l", "body").await,
        &vec![7; ANSWER_BYTES_MAX],
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_key_is_refused_and_none_is_none() {
    let world = World::new(Cast::default()).await;
    let long = begin(&world.app, "default", &"k".repeat(256), "body").await;
    refuses(long, Code::ParameterMalformed);
    let none = OpCtx {
        idempotency_key: None,
        ..ctx("default", "")
    };
    let begun = world.app.idempotency_begin(&none, ("Send", b"")).await;
    assert!(begun.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn of_many_at_once_one_is_the_first() {
    let world = World::new(Cast::default()).await;
    let all = (0..50).map(|_| begin(&world.app, "default", "k", "body"));
    let begun = futures::future::join_all(all).await;
    let firsts = begun.iter().filter(|it| it.is_ok()).count();
    assert_eq!(firsts, 1);
    for other in begun.into_iter().filter(Result::is_err) {
        refuses(other, Code::IdempotencyBusy);
    }
}
