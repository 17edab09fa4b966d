//! What is forgotten, what is not, and what the store says of itself.

use super::Subject;
use super::build::*;
use caxton_engine::port::Store;
use caxton_engine::port::store::{CallId, MessageFilter, Op, PageRequest};
use std::sync::Arc;

pub async fn old_handled_messages_are_forgotten(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let b = mailbox("t", "b");
    for n in 1..=10 {
        let op = deliver(said("t", n, "talk"), std::slice::from_ref(&b));
        commit(&*store, "t", vec![op, ack(&b, n)]).await;
    }
    assert_eq!(store.forget_messages(&t, at(1), 99).await.unwrap(), 0);
    assert_eq!(store.forget_messages(&t, at(8), 3).await.unwrap(), 3);
    let left = async || {
        let page = PageRequest::first(99);
        let filter = MessageFilter::default();
        let rows = store.messages(&t, &filter, &page).await.unwrap().rows;
        rows.iter()
            .map(|row| number(&row.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(left().await, [10, 9, 8, 7, 6, 5, 4], "the oldest go first");
    assert_eq!(store.forget_messages(&t, at(8), 99).await.unwrap(), 4);
    assert_eq!(left().await, [10, 9, 8]);
    assert_eq!(store.message(&t, id(7)).await.unwrap(), None);
    let filter = MessageFilter {
        conversation: Some(conversation("talk")),
        ..MessageFilter::default()
    };
    let page = store.messages(&t, &filter, &PageRequest::first(2)).await;
    let page = page.unwrap();
    assert_eq!(page.rows.len(), 2);
    assert_eq!(number(&page.rows[0].message), 8);
    assert_eq!(store.forget_messages(&t, at(99), 99).await.unwrap(), 3);
    assert_eq!(left().await, [0_u64; 0]);
    // And goes on as ever.
    commit(&*store, "t", vec![deliver(said("t", 11, "talk"), &[])]).await;
    assert_eq!(left().await, [11]);
}

pub async fn what_is_needed_is_kept(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let (b, c) = (mailbox("t", "b"), mailbox("t", "c#talk"));
    let call = CallId {
        mailbox: b.clone(),
        message: id(5),
        index: 0,
    };
    let request = message("t", 6, "b", "z");
    let answer = message("t", 7, "z", "b");
    let ops = vec![
        deliver(message("t", 1, "a", "b"), &[b.clone(), c.clone()]),
        ack(&b, 1),
        deliver(message("t", 2, "a", "b"), std::slice::from_ref(&b)),
        Op::Bury {
            letter: letter(&b, 2, at(2)),
            message: Arc::new(message("t", 2, "a", "b")),
        },
        deliver(message("t", 3, "a", "b"), &[]),
        deliver(message("t", 5, "a", "b"), &[]),
        deliver(request.clone(), &[]),
        deliver(answer.clone(), &[]),
        Op::CallBegin {
            call: call.clone(),
            request: Arc::new(request),
        },
        Op::CallEnd {
            call,
            answer: Arc::new(answer),
        },
    ];
    commit(&*store, "t", ops).await;
    assert_eq!(
        store.forget_messages(&t, at(99), 99).await.unwrap(),
        1,
        "only 3"
    );
    assert_eq!(store.message(&t, id(3)).await.unwrap(), None);
    for n in [1, 2, 5, 6, 7] {
        assert!(store.message(&t, id(n)).await.unwrap().is_some(), "{n}");
    }
    assert_eq!(pending(&*store, "t", &c).await, [1]);
    let free = vec![
        ack(&c, 1),
        Op::DeadLetterRemove {
            id: letter(&b, 2, at(2)).id,
        },
        Op::CallsRemove {
            mailbox: b.clone(),
            message: id(5),
        },
    ];
    commit(&*store, "t", free).await;
    assert_eq!(store.forget_messages(&t, at(99), 99).await.unwrap(), 5);
    store.verify().await.unwrap();
}

pub async fn conversations_without_messages_are_forgotten(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let b = mailbox("t", "b");
    // One said long ago, one of which a message waits, one that goes on, in two tenants.
    for tenant in ["t", "u"] {
        let c = mailbox(tenant, "b");
        let ops = vec![
            deliver(said(tenant, 1, "over"), &[]),
            deliver(said(tenant, 2, "waits"), std::slice::from_ref(&c)),
            deliver(said(tenant, 3, "goes on"), &[]),
            deliver(said(tenant, 50, "goes on"), &[]),
        ];
        commit(store.as_ref(), tenant, ops).await;
    }
    let forget = async |before, rows_max| {
        let forgotten = store.forget_conversations(&t, at(before), rows_max).await;
        forgotten.unwrap()
    };
    let talks = async |tenant| {
        let page = PageRequest::first(99);
        let page = store.conversations(&scope(tenant), &page).await.unwrap();
        let ids = page.rows.iter().map(|talk| talk.id.as_str().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(forget(40, 99).await, 0, "their messages are there");
    assert_eq!(store.forget_messages(&t, at(40), 99).await.unwrap(), 2);
    assert_eq!(forget(1, 99).await, 0, "none is that old");
    assert_eq!(forget(40, 0).await, 0);
    assert_eq!(forget(40, 99).await, 1);
    assert_eq!(talks("t").await, ["goes on", "waits"]);
    assert_eq!(talks("u").await, ["goes on", "waits", "over"]);
    commit(&*store, "t", vec![ack(&b, 2)]).await;
    assert_eq!(store.forget_messages(&t, at(99), 99).await.unwrap(), 2);
    assert_eq!(forget(99, 1).await, 1, "the oldest first");
    assert_eq!(talks("t").await, ["goes on"]);
    assert_eq!(forget(99, 1).await, 1);
    assert_eq!(forget(99, 1).await, 0);
    // An id that is used again begins anew.
    commit(&*store, "t", vec![deliver(said("t", 60, "over"), &[])]).await;
    let talk = store.conversation(&t, &conversation("over")).await.unwrap();
    assert_eq!(talk.unwrap().messages, 1);
    let store = subject.open();
    let page = PageRequest::first(99);
    assert_eq!(store.conversations(&t, &page).await.unwrap().rows.len(), 1);
    store.verify().await.unwrap();
}

pub async fn what_was_said_in_a_conversation_is_forgotten(subject: Subject) {
    let store = subject.open();
    let (t, talk) = (scope("t"), conversation("talk"));
    let b = mailbox("t", "b");
    for tenant in ["t", "u"] {
        let b = mailbox(tenant, "b");
        let mut ops: Vec<Op> = (1..=300)
            .map(|n| deliver(said(tenant, n, "talk"), &[]))
            .collect();
        ops.push(deliver(said(tenant, 301, "other"), &[]));
        // One that nobody could handle, and one that waits.
        ops.push(Op::Bury {
            letter: letter(&b, 302, at(302)),
            message: Arc::new(said(tenant, 302, "talk")),
        });
        ops.push(deliver(said(tenant, 303, "talk"), std::slice::from_ref(&b)));
        commit(&*store, tenant, ops).await;
    }
    let left = async |tenant: &str, of: &str| {
        let filter = MessageFilter {
            conversation: Some(conversation(of)),
            ..MessageFilter::default()
        };
        let page = PageRequest::first(999);
        let page = store.messages(&scope(tenant), &filter, &page).await;
        page.unwrap().rows.len()
    };
    let forget = async |rows_max| {
        store
            .forget_conversation(&t, &talk, rows_max)
            .await
            .unwrap()
    };
    assert_eq!(forget(7).await, 7);
    assert_eq!(left("t", "talk").await, 295);
    assert_eq!(
        store.message(&t, id(7)).await.unwrap(),
        None,
        "the oldest first"
    );
    assert_eq!(forget(999).await, 294);
    assert_eq!(forget(999).await, 0);
    assert_eq!(pending(&*store, "t", &b).await, [303], "it waits and stays");
    assert_eq!(left("t", "talk").await, 1);
    assert!(store.conversation(&t, &talk).await.unwrap().is_some());
    let page = PageRequest::first(9);
    assert!(store.dead_letters(&t, &page).await.unwrap().rows.is_empty());
    commit(&*store, "t", vec![ack(&b, 303)]).await;
    assert_eq!(forget(999).await, 1);
    assert_eq!(store.conversation(&t, &talk).await.unwrap(), None);
    assert_eq!(store.message(&t, id(303)).await.unwrap(), None);
    assert_eq!(left("t", "other").await, 1);
    assert_eq!(
        left("u", "talk").await,
        302,
        "another tenant's of that name"
    );
    // An id that is used again begins anew.
    commit(&*store, "t", vec![deliver(said("t", 400, "talk"), &[])]).await;
    let again = store.conversation(&t, &talk).await.unwrap().unwrap();
    assert_eq!(again.messages, 1);
    assert_eq!(
        store
            .forget_conversation(&t, &conversation("none"), 9)
            .await,
        Ok(0)
    );
    assert_eq!(
        store.forget_conversation(&scope("nobody"), &talk, 9).await,
        Ok(0)
    );
    let store = subject.open();
    assert_eq!(left_of(&*store, "t").await, [301, 400]);
    store.verify().await.unwrap();
}

/// All that a tenant has recorded, oldest first.
async fn left_of(store: &dyn Store, tenant: &str) -> Vec<u64> {
    let page = PageRequest::first(999);
    let rows = store.messages(&scope(tenant), &MessageFilter::default(), &page);
    let rows = rows.await.unwrap().rows;
    rows.iter().rev().map(|row| number(&row.message)).collect()
}

pub async fn status_counts_units(subject: Subject) {
    let store = subject.open();
    let before = store.status().await.unwrap();
    for n in 1..=3 {
        commit(&*store, "t", vec![deliver(said("t", n, "talk"), &[])]).await;
    }
    let after = store.status().await.unwrap();
    assert_eq!(after.units, before.units + 3);
    assert_eq!(after.failing, None);
    assert!(!after.kind.is_empty());
    store.verify().await.unwrap();
}
