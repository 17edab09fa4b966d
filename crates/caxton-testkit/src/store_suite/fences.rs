//! Epochs, units that are all or nothing, and neighbours that do not suffer.

use super::Subject;
use super::build::*;
use caxton_core::Epoch;
use caxton_engine::port::StoreError;
use caxton_engine::port::store::{Op, Unit};
use std::sync::Arc;

pub async fn an_older_epoch_is_refused(subject: Subject) {
    let b = mailbox("t", "b");
    let put = |epoch, value| Unit {
        epoch,
        ..unit("t", vec![state_put(&b, "k", value)])
    };
    let old = subject.open();
    let first = old.begin_epoch().await.unwrap();
    assert!(first > Epoch(0));
    old.commit(put(first, "old")).await.unwrap();
    drop(old);
    let store = subject.open();
    let second = store.begin_epoch().await.unwrap();
    assert!(second > first);
    assert_eq!(
        refused(&*store, put(first, "late")).await,
        StoreError::Fenced
    );
    // The fenced unit's neighbours of the same moment are committed.
    let before = store.commit(put(second, "x"));
    let fenced = store.commit(put(first, "late"));
    let after = store.commit(put(second, "new"));
    assert!(before.await.is_ok());
    assert_eq!(fenced.await.unwrap_err(), StoreError::Fenced);
    assert!(after.await.is_ok());
    let value = store.state(&scope("t"), &b, "k").await.unwrap();
    assert_eq!(value.as_deref(), Some("new".as_bytes()));
    drop(store);
    // A restart keeps the fence.
    let store = subject.open();
    assert_eq!(
        refused(&*store, put(first, "late")).await,
        StoreError::Fenced
    );
    assert!(store.begin_epoch().await.unwrap() > second);
}

pub async fn a_unit_is_all_or_nothing(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let b = mailbox("t", "b");
    let whole = vec![
        deliver(said("t", 1, "talk"), std::slice::from_ref(&b)),
        state_put(&b, "k", "v"),
        Op::AgentPut(Box::new(record("b"))),
        // Of another tenant: the unit must not be.
        deliver(message("u", 2, "a", "b"), &[]),
    ];
    let error = refused(&*store, unit("t", whole)).await;
    assert!(matches!(error, StoreError::Failed(_)), "{error}");
    assert_eq!(store.message(&t, id(1)).await.unwrap(), None);
    assert_eq!(store.state(&t, &b, "k").await.unwrap(), None);
    assert!(store.agents(&t).await.unwrap().is_empty());
    assert!(store.mailboxes(&t, None).await.unwrap().is_empty());
    let talk = store.conversation(&t, &conversation("talk")).await.unwrap();
    assert_eq!(talk, None);
    let now = deliver(said("t", 1, "talk"), std::slice::from_ref(&b));
    assert!(commit(&*store, "t", vec![now]).await.duplicates.is_empty());
}

pub async fn a_foreign_unit_fails_alone(subject: Subject) {
    let store = subject.open();
    let (b, theirs) = (mailbox("t", "b"), mailbox("u", "b"));
    let foreign = [
        vec![state_put(&theirs, "k", "v")],
        vec![ack(&theirs, 1)],
        vec![deliver(message("u", 1, "a", "b"), &[])],
        vec![deliver(
            message("t", 1, "a", "b"),
            std::slice::from_ref(&theirs),
        )],
        vec![Op::Bury {
            letter: letter(&theirs, 1, at(1)),
            message: Arc::new(message("u", 1, "a", "b")),
        }],
    ];
    for (n, ops) in foreign.into_iter().enumerate() {
        let n = n as u64;
        let before = deliver(message("t", 10 + n, "a", "b"), std::slice::from_ref(&b));
        let after = deliver(message("t", 20 + n, "a", "b"), std::slice::from_ref(&b));
        let before = store.commit(unit("t", vec![before]));
        let bad = store.commit(unit("t", ops));
        let after = store.commit(unit("t", vec![after]));
        before.await.unwrap();
        assert!(matches!(bad.await, Err(StoreError::Failed(_))));
        after.await.unwrap();
    }
    let expected = [10, 20, 11, 21, 12, 22, 13, 23, 14, 24];
    assert_eq!(pending(&*store, "t", &b).await, expected);
    assert_eq!(pending(&*store, "u", &theirs).await, [0_u64; 0]);
}

pub async fn many_tasks_at_once(subject: Subject) {
    const TASKS: u64 = 16;
    const UNITS: u64 = 40;
    let store = subject.open();
    let tasks = (0..TASKS).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            let tenant = if task % 2 == 0 { "even" } else { "odd" };
            let lane = mailbox(tenant, &format!("agent-{task}"));
            for index in 0..UNITS {
                let n = task * UNITS + index;
                let op = deliver(said(tenant, n, "talk"), std::slice::from_ref(&lane));
                commit(&*store, tenant, vec![op]).await;
                // What was answered is read.
                let row = store.message(&scope(tenant), id(n)).await.unwrap();
                assert_eq!(row.unwrap().open.len(), 1);
            }
            let expected: Vec<u64> = (task * UNITS..(task + 1) * UNITS).collect();
            assert_eq!(pending(&*store, tenant, &lane).await, expected);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for tenant in ["even", "odd"] {
        let talk = store
            .conversation(&scope(tenant), &conversation("talk"))
            .await;
        assert_eq!(talk.unwrap().unwrap().messages, TASKS / 2 * UNITS);
    }
    store.verify().await.unwrap();
}
