//! Tenants as a whole: where their data is, how it moves, and that nothing of a removed one is left.

use super::Subject;
use super::build::*;
use super::walls::{check_empty, check_full, fill};
use caxton_core::TenantId;
use caxton_engine::opctx::TenantScope;
use caxton_engine::port::Store;
use caxton_engine::port::store::{MessageFilter, Op, PageRequest, Placement};
use std::sync::Arc;

/// Neighbours' data is looked at after each step. None of them is given a place by the suite's
/// subjects.
const MOVER: &str = "mover";
const NEIGHBOUR: &str = "neighbour";

async fn placement(store: &dyn Store, tenant: &str) -> Placement {
    store.placement(&scope(tenant)).await.unwrap()
}

async fn move_to(store: &dyn Store, tenant: &str, to: Placement) {
    store.move_tenant(&scope(tenant), to).await.unwrap();
    assert_eq!(placement(store, tenant).await, to);
}

async fn known(store: &dyn Store, tenant: &str) -> bool {
    let known = store.tenants().await.unwrap();
    known.iter().any(|id| id.as_str() == tenant)
}

pub async fn a_removed_tenant_is_gone_and_may_begin_anew(subject: Subject) {
    let mut store = subject.open();
    store
        .remove_tenant(&scope(MOVER))
        .await
        .expect("nothing to do");
    fill(&*store, NEIGHBOUR).await;
    for place in [Placement::Shared, Placement::Dedicated] {
        fill(&*store, MOVER).await;
        move_to(&*store, MOVER, place).await;
        store.remove_tenant(&scope(MOVER)).await.unwrap();
        assert!(!known(&*store, MOVER).await);
        assert_eq!(placement(&*store, MOVER).await, Placement::Shared);
        check_empty(&*store, MOVER).await;
        store
            .remove_tenant(&scope(MOVER))
            .await
            .expect("twice is once");
        check_full(&*store, NEIGHBOUR).await;
        drop(store);
        store = subject.open();
        check_empty(&*store, MOVER).await;
        check_full(&*store, NEIGHBOUR).await;
        // Who comes after begins with nothing: nothing of the removed one is known as a duplicate.
        fill(&*store, MOVER).await;
        check_full(&*store, MOVER).await;
        store.verify().await.unwrap();
        store.remove_tenant(&scope(MOVER)).await.unwrap();
        // A tenant that begins while another one's number is free must not get that.
        fill(&*store, place_name(place)).await;
        check_empty(&*store, MOVER).await;
        check_full(&*store, place_name(place)).await;
    }
    drop(store);
    let store = subject.open();
    check_empty(&*store, MOVER).await;
    check_full(&*store, NEIGHBOUR).await;
    store.verify().await.unwrap();
}

fn place_name(place: Placement) -> &'static str {
    match place {
        Placement::Shared => "after-shared",
        Placement::Dedicated => "after-dedicated",
    }
}

pub async fn a_tenant_moves_there_and_back(subject: Subject) {
    let mut store = subject.open();
    fill(&*store, NEIGHBOUR).await;
    fill(&*store, MOVER).await;
    let b = mailbox(MOVER, "b");
    let mut expected = vec![1];
    for round in 0..4 {
        let to = match round % 2 {
            0 => Placement::Dedicated,
            _ => Placement::Shared,
        };
        move_to(&*store, MOVER, to).await;
        move_to(&*store, MOVER, to).await;
        check_full_but(&*store, &expected).await;
        check_full(&*store, NEIGHBOUR).await;
        // It goes on there, after what was before, and knows what it knew.
        let n = 100 + round;
        let ops = vec![
            deliver(said(MOVER, n, "talk"), std::slice::from_ref(&b)),
            deliver(said(MOVER, 1, "talk"), std::slice::from_ref(&b)),
        ];
        assert_eq!(commit(&*store, MOVER, ops).await.duplicates, [1]);
        expected.push(n);
        assert_eq!(pending(&*store, MOVER, &b).await, expected);
        drop(store);
        store = subject.open();
        assert_eq!(placement(&*store, MOVER).await, to);
        assert!(known(&*store, MOVER).await);
        check_full_but(&*store, &expected).await;
        check_full(&*store, NEIGHBOUR).await;
        store.verify().await.unwrap();
        // A neighbour that begins after a move is nobody the store has seen.
        let late = format!("late-{round}");
        check_empty(&*store, &late).await;
        fill(&*store, &late).await;
        check_full(&*store, &late).await;
    }
    for n in [1, 101, 103] {
        commit(&*store, MOVER, vec![ack(&b, n)]).await;
    }
    assert_eq!(pending(&*store, MOVER, &b).await, [100, 102]);
    store.remove_tenant(&scope(MOVER)).await.unwrap();
    check_empty(&*store, MOVER).await;
    check_full(&*store, NEIGHBOUR).await;
}

/// What `fill` wrote, and these messages in the mailbox.
async fn check_full_but(store: &dyn Store, expected: &[u64]) {
    let s = scope(MOVER);
    let b = mailbox(MOVER, "b");
    assert_eq!(pending(store, MOVER, &b).await, expected);
    assert_eq!(store.agents(&s).await.unwrap().len(), 1);
    assert_eq!(store.timers(&s).await.unwrap().len(), 1);
    assert_eq!(store.calls_open(&s).await.unwrap().len(), 1);
    let value = store.state(&s, &b, "k").await.unwrap();
    assert_eq!(value.as_deref(), Some(MOVER.as_bytes()));
    let all = PageRequest::first(99);
    let letters = store.dead_letters(&s, &all).await.unwrap().rows;
    assert_eq!(letters.len(), 1);
    let talk = store.conversation(&s, &conversation("talk")).await.unwrap();
    assert_eq!(talk.unwrap().messages as usize, expected.len() + 1);
    let mut oldest_first: Vec<u64> = expected.to_vec();
    oldest_first.insert(1, 2);
    let filter = MessageFilter {
        conversation: Some(conversation("talk")),
        ..MessageFilter::default()
    };
    assert_eq!(numbers(store, &filter).await, oldest_first);
    oldest_first.reverse();
    assert_eq!(
        numbers(store, &MessageFilter::default()).await,
        oldest_first
    );
    let filter = MessageFilter {
        agent: Some(name("b")),
        ..MessageFilter::default()
    };
    assert_eq!(numbers(store, &filter).await, oldest_first);
}

/// The numbers of the messages found, by pages of two.
async fn numbers(store: &dyn Store, filter: &MessageFilter) -> Vec<u64> {
    let mut page = PageRequest::first(2);
    let mut found = Vec::new();
    loop {
        let rows = store.messages(&scope(MOVER), filter, &page).await.unwrap();
        found.extend(rows.rows.iter().map(|row| number(&row.message)));
        if rows.next.is_none() {
            return found;
        }
        page.token = rows.next;
    }
}

pub async fn a_place_may_be_given_before_there_is_data(subject: Subject) {
    let store = subject.open();
    assert_eq!(placement(&*store, MOVER).await, Placement::Shared);
    move_to(&*store, MOVER, Placement::Shared).await;
    move_to(&*store, MOVER, Placement::Dedicated).await;
    check_empty(&*store, MOVER).await;
    drop(store);
    let store = subject.open();
    assert_eq!(placement(&*store, MOVER).await, Placement::Dedicated);
    fill(&*store, MOVER).await;
    check_full(&*store, MOVER).await;
    move_to(&*store, "empty", Placement::Dedicated).await;
    move_to(&*store, "empty", Placement::Shared).await;
    fill(&*store, "empty").await;
    check_full(&*store, "empty").await;
}

/// Senders do not stop for a move: each sees its units done, once and in order.
pub async fn units_in_flight_survive_a_move(subject: Subject) {
    const EACH: u64 = 60;
    let store = subject.open();
    let mut senders = Vec::new();
    for sender in 0..6_u64 {
        let store = Arc::clone(&store);
        let tenant = if sender < 4 { MOVER } else { NEIGHBOUR };
        senders.push(tokio::spawn(async move {
            let to = mailbox(tenant, &format!("from-{sender}"));
            let mut answers = Vec::new();
            for n in 1..=EACH {
                let n = sender * 1_000 + n;
                let ops = vec![
                    deliver(said(tenant, n, "talk"), std::slice::from_ref(&to)),
                    state_put(&to, "count", &n.to_string()),
                ];
                answers.push(store.commit(unit(tenant, ops)));
                // Some wait for their answers, some are sent after one another.
                if n % 3 == 0 {
                    for answer in answers.drain(..) {
                        assert!(answer.await.unwrap().duplicates.is_empty());
                    }
                }
                // Reads go on, and see what was answered.
                if n % 9 == 0 {
                    let last = n.to_string();
                    let value = store.state(&scope(tenant), &to, "count").await.unwrap();
                    assert_eq!(value.as_deref(), Some(last.as_bytes()));
                }
            }
            for answer in answers {
                answer.await.unwrap();
            }
        }));
    }
    for round in 0..6 {
        let to = match round % 2 {
            0 => Placement::Dedicated,
            _ => Placement::Shared,
        };
        move_to(&*store, MOVER, to).await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    check_all_arrived(&*store, EACH).await;
    drop(store);
    check_all_arrived(&*subject.open(), EACH).await;
}

async fn check_all_arrived(store: &dyn Store, each: u64) {
    for sender in 0..6_u64 {
        let tenant = if sender < 4 { MOVER } else { NEIGHBOUR };
        let to = mailbox(tenant, &format!("from-{sender}"));
        let sent: Vec<u64> = (1..=each).map(|n| sender * 1_000 + n).collect();
        assert_eq!(pending(store, tenant, &to).await, sent);
        let value = store.state(&scope(tenant), &to, "count").await.unwrap();
        let last = sent[sent.len() - 1].to_string();
        assert_eq!(value.as_deref(), Some(last.as_bytes()));
    }
    let talk = store.conversation(&scope(MOVER), &conversation("talk"));
    assert_eq!(talk.await.unwrap().unwrap().messages, 4 * each);
    let all = numbers(store, &MessageFilter::default()).await;
    assert_eq!(all.len() as u64, 4 * each);
    store.verify().await.unwrap();
}

pub async fn the_platform_is_neither_moved_nor_removed(subject: Subject) {
    let store = subject.open();
    let platform = TenantScope::system(TenantId::platform(), "test");
    let put = Op::StatePut {
        mailbox: mailbox("t", "b"),
        key: "k".into(),
        value: "v".into(),
    };
    commit(&*store, "t", vec![put]).await;
    let moved = store.move_tenant(&platform, Placement::Dedicated).await;
    assert!(moved.is_err());
    assert!(store.remove_tenant(&platform).await.is_err());
}
