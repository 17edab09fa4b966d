//! Tenants see nothing of each other, whatever the method, even where all their ids are the same.

use super::Subject;
use super::build::*;
use bytes::Bytes;
use caxton_core::Digest;
use caxton_engine::port::Store;
use caxton_engine::port::store::{
    CallId, LogName, LogRange, MessageFilter, Op, PageRequest, RecordKind, Timer,
};
use std::sync::Arc;

fn call(tenant: &str) -> CallId {
    CallId {
        mailbox: mailbox(tenant, "b"),
        message: id(1),
        index: 0,
    }
}

const NOTE: RecordKind = RecordKind("note");

/// The same ids in every tenant; the contents say whose they are.
pub(super) async fn fill(store: &dyn Store, tenant: &str) {
    let b = mailbox(tenant, "b");
    let mut first = said(tenant, 1, "talk");
    first.acl.content = Bytes::copy_from_slice(tenant.as_bytes());
    let mut agent = record("b");
    agent.manifest.description = tenant.to_owned();
    let ops = vec![
        deliver(first.clone(), std::slice::from_ref(&b)),
        Op::Bury {
            letter: letter(&b, 2, at(2)),
            message: Arc::new(said(tenant, 2, "talk")),
        },
        state_put(&b, "k", tenant),
        Op::TimerPut(Timer {
            mailbox: b.clone(),
            name: "n".into(),
            due: at(9),
            content: Bytes::copy_from_slice(tenant.as_bytes()),
            origin: Some(id(1)),
        }),
        Op::CallBegin {
            call: call(tenant),
            request: Arc::new(first),
        },
        Op::AgentPut(Box::new(agent)),
        Op::ArtifactPut {
            digest: Digest([1; 32]),
            bytes: Bytes::copy_from_slice(tenant.as_bytes()),
        },
        Op::RecordPut {
            kind: NOTE,
            id: "r".into(),
            body: Bytes::copy_from_slice(tenant.as_bytes()),
        },
        Op::LogPut {
            log: LogName::of("notes"),
            index: 7,
            body: Bytes::copy_from_slice(tenant.as_bytes()),
        },
    ];
    let done = commit(store, tenant, ops).await;
    assert!(
        done.duplicates.is_empty(),
        "{tenant} is the first to have it"
    );
}

/// Everything of `fill` is there, once, and is this tenant's.
pub(super) async fn check_full(store: &dyn Store, tenant: &str) {
    let s = scope(tenant);
    let b = mailbox(tenant, "b");
    let own = Bytes::copy_from_slice(tenant.as_bytes());
    let agents = store.agents(&s).await.unwrap();
    assert_eq!(agents.len(), 1);
    assert_eq!(agents[0].manifest.description, tenant);
    let artifact = store.artifact(&s, Digest([1; 32])).await.unwrap();
    assert_eq!(artifact.as_ref(), Some(&own));
    let boxes = store.mailboxes(&s, None).await.unwrap();
    assert_eq!(boxes, [(b.clone(), 1)]);
    assert_eq!(store.mailboxes(&s, Some(name("b"))).await.unwrap(), boxes);
    let pending = store.pending(&s, &b, 9).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].message.acl.content, own);
    assert_eq!(pending[0].message.tenant, *s.tenant());
    assert_eq!(store.state(&s, &b, "k").await.unwrap().as_ref(), Some(&own));
    let keys = store.state_keys(&s, &b, "", "", 9).await.unwrap();
    assert_eq!(keys, ["k"]);
    let timers = store.timers(&s).await.unwrap();
    assert_eq!(timers.len(), 1);
    assert_eq!((&timers[0].mailbox, &timers[0].content), (&b, &own));
    let record = store.record(&s, NOTE, "r").await.unwrap();
    assert_eq!(record.as_ref(), Some(&own));
    let log = LogName::of("notes");
    let entries = store.log(&s, &log, LogRange::ALL, 9).await.unwrap();
    assert_eq!(entries, [(7, own.clone())]);
    let begun = store.call(&s, &call(tenant)).await.unwrap().unwrap();
    assert_eq!(begun.request.acl.content, own);
    assert_eq!(store.calls_open(&s).await.unwrap().len(), 1);
    let row = store.message(&s, id(1)).await.unwrap().unwrap();
    assert_eq!(row.message.acl.content, own);
    check_lists(store, tenant).await;
}

async fn check_lists(store: &dyn Store, tenant: &str) {
    let s = scope(tenant);
    let page = PageRequest::first(9);
    let trace_id = message(tenant, 1, "a", "b").trace.trace_id;
    let filters = [
        (MessageFilter::default(), 2),
        (
            MessageFilter {
                agent: Some(name("b")),
                ..MessageFilter::default()
            },
            2,
        ),
        (
            MessageFilter {
                conversation: Some(conversation("talk")),
                ..MessageFilter::default()
            },
            2,
        ),
        (
            MessageFilter {
                trace_id: Some(trace_id),
                ..MessageFilter::default()
            },
            1,
        ),
    ];
    for (filter, expected) in filters {
        let found = store.messages(&s, &filter, &page).await.unwrap().rows;
        assert_eq!(found.len(), expected, "{filter:?}");
        assert!(found.iter().all(|row| row.message.tenant == *s.tenant()));
    }
    let talks = store.conversations(&s, &page).await.unwrap().rows;
    assert_eq!(talks.len(), 1);
    assert_eq!(talks[0].messages, 2);
    assert!(
        talks[0]
            .participants
            .iter()
            .all(|agent| agent.tenant == *s.tenant())
    );
    let talk = store.conversation(&s, &conversation("talk")).await.unwrap();
    assert_eq!(talk.unwrap(), talks[0]);
    let letters = store.dead_letters(&s, &page).await.unwrap().rows;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].1.tenant, *s.tenant());
    let found = store.dead_letter(&s, &letters[0].0.id).await.unwrap();
    assert_eq!(found.unwrap().1.tenant, *s.tenant());
}

pub(super) async fn check_empty(store: &dyn Store, tenant: &str) {
    let s = scope(tenant);
    let b = mailbox(tenant, "b");
    let page = PageRequest::first(9);
    assert!(store.agents(&s).await.unwrap().is_empty());
    assert_eq!(store.artifact(&s, Digest([1; 32])).await.unwrap(), None);
    assert!(store.mailboxes(&s, None).await.unwrap().is_empty());
    assert!(
        store
            .mailboxes(&s, Some(name("b")))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.pending(&s, &b, 9).await.unwrap().is_empty());
    assert_eq!(store.state(&s, &b, "k").await.unwrap(), None);
    assert!(
        store
            .state_keys(&s, &b, "", "", 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.timers(&s).await.unwrap().is_empty());
    assert_eq!(store.call(&s, &call(tenant)).await.unwrap(), None);
    assert!(store.calls_open(&s).await.unwrap().is_empty());
    assert_eq!(store.record(&s, NOTE, "r").await.unwrap(), None);
    let log = LogName::of("notes");
    let entries = store.log(&s, &log, LogRange::ALL, 9).await.unwrap();
    assert!(entries.is_empty());
    assert_eq!(store.message(&s, id(1)).await.unwrap(), None);
    let filter = MessageFilter::default();
    let found = store.messages(&s, &filter, &page).await.unwrap();
    assert!(found.rows.is_empty() && found.next.is_none());
    assert!(
        store
            .conversations(&s, &page)
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    let talk = store.conversation(&s, &conversation("talk")).await.unwrap();
    assert_eq!(talk, None);
    assert!(store.dead_letters(&s, &page).await.unwrap().rows.is_empty());
    let letter_id = letter(&b, 2, at(2)).id;
    assert_eq!(store.dead_letter(&s, &letter_id).await.unwrap(), None);
    assert_eq!(store.forget_messages(&s, at(1_000), 9).await.unwrap(), 0);
}

pub async fn the_same_ids_in_two_tenants(subject: Subject) {
    let store = subject.open();
    let tenants = ["t", "u", "t-2"];
    for tenant in tenants {
        fill(&*store, tenant).await;
    }
    for tenant in tenants {
        check_full(&*store, tenant).await;
    }
    let store = subject.open();
    for tenant in tenants {
        check_full(&*store, tenant).await;
    }
    let known = store.tenants().await.unwrap();
    let mut known: Vec<&str> = known.iter().map(|tenant| tenant.as_str()).collect();
    assert!(known.is_sorted(), "{known:?}");
    known.retain(|tenant| tenants.contains(tenant));
    assert_eq!(known, ["t", "t-2", "u"]);
}

/// A scope with a foreign mailbox in hand finds nothing: not the other's rows, nor its own under
/// the same name.
pub async fn a_scope_reads_only_its_own(subject: Subject) {
    let store = subject.open();
    fill(&*store, "t").await;
    fill(&*store, "u").await;
    let t = scope("t");
    let theirs = mailbox("u", "b");
    assert!(store.pending(&t, &theirs, 9).await.unwrap().is_empty());
    assert_eq!(store.state(&t, &theirs, "k").await.unwrap(), None);
    let keys = store.state_keys(&t, &theirs, "", "", 9).await.unwrap();
    assert!(keys.is_empty());
    assert_eq!(store.call(&t, &call("u")).await.unwrap(), None);
}

pub async fn an_unknown_tenant_is_empty(subject: Subject) {
    let store = subject.open();
    for tenant in ["t", "nobody"] {
        check_empty(&*store, tenant).await;
    }
    fill(&*store, "u").await;
    for tenant in ["t", "nobody"] {
        check_empty(&*store, tenant).await;
    }
    let known = store.tenants().await.unwrap();
    let nobody = scope("nobody");
    assert!(!known.contains(nobody.tenant()), "asking makes no tenant");
}

pub async fn removing_touches_one_tenant(subject: Subject) {
    let store = subject.open();
    fill(&*store, "t").await;
    fill(&*store, "u").await;
    let b = mailbox("t", "b");
    let ops = vec![
        ack(&b, 1),
        Op::DeadLetterRemove {
            id: letter(&b, 2, at(2)).id,
        },
        Op::StateRemove {
            mailbox: b.clone(),
            key: "k".into(),
        },
        Op::TimerRemove {
            mailbox: b.clone(),
            name: "n".into(),
        },
        Op::CallsRemove {
            mailbox: b.clone(),
            message: id(1),
        },
        Op::AgentRemove { agent: name("b") },
    ];
    commit(&*store, "t", ops).await;
    assert_eq!(
        store
            .forget_messages(&scope("t"), at(100), 9)
            .await
            .unwrap(),
        2
    );
    assert!(store.agents(&scope("t")).await.unwrap().is_empty());
    check_full(&*store, "u").await;
}
