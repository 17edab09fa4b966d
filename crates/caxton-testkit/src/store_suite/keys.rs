//! State, timers and calls.

use super::Subject;
use super::build::*;
use bytes::Bytes;
use caxton_engine::port::store::{CallId, Op, Timer};
use std::sync::Arc;

pub async fn state_is_per_mailbox_and_key(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let (whole, lane) = (mailbox("t", "b"), mailbox("t", "b#talk"));
    let ops = vec![
        state_put(&whole, "k", "1"),
        state_put(&lane, "k", "2"),
        state_put(&whole, "k", "3"),
        state_put(&whole, "empty", ""),
        state_put(&whole, "gone", "x"),
        Op::StateRemove {
            mailbox: whole.clone(),
            key: "gone".into(),
        },
    ];
    commit(&*store, "t", ops).await;
    let cases = [
        (&whole, "k", Some("3")),
        (&lane, "k", Some("2")),
        (&whole, "empty", Some("")),
        (&whole, "gone", None),
        (&lane, "empty", None),
        (&mailbox("t", "c"), "k", None),
    ];
    for (mailbox, key, expected) in cases {
        let value = store.state(&t, mailbox, key).await.unwrap();
        assert_eq!(
            value.as_deref(),
            expected.map(str::as_bytes),
            "{mailbox} {key}"
        );
    }
    let big = Bytes::from(vec![7; 1 << 20]);
    let op = Op::StatePut {
        mailbox: whole.clone(),
        key: "big".into(),
        value: big.clone(),
    };
    commit(&*store, "t", vec![op]).await;
    assert_eq!(store.state(&t, &whole, "big").await.unwrap(), Some(big));
}

pub async fn state_keys_page_by_prefix(subject: Subject) {
    let store = subject.open();
    let b = mailbox("t", "b");
    // `%` and `_` mean something in SQL; letters past ASCII sort by their bytes.
    let keys = ["a", "p", "p%", "p_x", "pa", "pb", "pB", "pä", "q", "P1"];
    let ops = keys.iter().map(|key| state_put(&b, key, "v")).collect();
    commit(&*store, "t", ops).await;
    commit(&*store, "t", vec![state_put(&mailbox("t", "c"), "pz", "v")]).await;
    let check = async |prefix: &str, after: &str, rows_max: u32, expected: &[&str]| {
        let t = scope("t");
        let found = store.state_keys(&t, &b, prefix, after, rows_max).await;
        assert_eq!(found.unwrap(), expected, "{prefix:?} after {after:?}");
    };
    check("p", "", 99, &["p", "p%", "pB", "p_x", "pa", "pb", "pä"]).await;
    check("p", "", 2, &["p", "p%"]).await;
    check("p", "p%", 2, &["pB", "p_x"]).await;
    check("p", "pb", 99, &["pä"]).await;
    check("p", "z", 99, &[]).await;
    check("p%", "", 99, &["p%"]).await;
    check("", "p_", 3, &["p_x", "pa", "pb"]).await;
    check("zz", "", 9, &[]).await;
}

pub async fn timers_are_replaced_and_removed(subject: Subject) {
    let store = subject.open();
    let timer = |lane: &str, name: &str, due, origin| Timer {
        mailbox: mailbox("t", lane),
        name: name.to_owned(),
        due: at(due),
        content: Bytes::from_static(b"\0tick"),
        origin,
    };
    let ops = vec![
        Op::TimerPut(timer("b", "n", 10, Some(id(1)))),
        Op::TimerPut(timer("b#talk", "n", 20, None)),
        Op::TimerPut(timer("b", "gone", 5, None)),
        Op::TimerPut(timer("b", "n", 30, None)),
        Op::TimerRemove {
            mailbox: mailbox("t", "b"),
            name: "gone".into(),
        },
    ];
    commit(&*store, "t", ops).await;
    let mut found = subject.open().timers(&scope("t")).await.unwrap();
    found.sort_by_key(|timer| timer.due);
    let expected = [timer("b#talk", "n", 20, None), timer("b", "n", 30, None)];
    assert_eq!(found, expected);
}

fn call(index: u32) -> CallId {
    CallId {
        mailbox: mailbox("t", "b"),
        message: id(1),
        index,
    }
}

pub async fn a_call_stays_as_it_began(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let begin = |n| Op::CallBegin {
        call: call(0),
        request: Arc::new(message("t", n, "b", "c")),
    };
    let end = |n| Op::CallEnd {
        call: call(0),
        answer: Arc::new(message("t", n, "c", "b")),
    };
    commit(&*store, "t", vec![begin(2)]).await;
    commit(&*store, "t", vec![begin(3)]).await;
    let record = store.call(&t, &call(0)).await.unwrap().unwrap();
    assert_eq!(
        *record.request,
        message("t", 2, "b", "c"),
        "the first request"
    );
    assert_eq!(record.answer, None);
    let open = store.calls_open(&t).await.unwrap();
    assert_eq!(open, [(call(0), record)]);
    commit(&*store, "t", vec![end(4), end(5)]).await;
    let record = store.call(&t, &call(0)).await.unwrap().unwrap();
    let answer = record.answer.as_deref();
    assert_eq!(answer, Some(&message("t", 4, "c", "b")), "the first answer");
    assert!(store.calls_open(&t).await.unwrap().is_empty());
    assert_eq!(store.call(&t, &call(1)).await.unwrap(), None);
}

pub async fn calls_are_forgotten_together(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let other = CallId {
        message: id(2),
        ..call(0)
    };
    let ids = [call(0), call(1), other.clone()];
    let ops = ids.iter().map(|call| Op::CallBegin {
        call: call.clone(),
        request: Arc::new(message("t", 9, "b", "c")),
    });
    commit(&*store, "t", ops.collect()).await;
    assert_eq!(store.calls_open(&t).await.unwrap().len(), 3);
    let remove = Op::CallsRemove {
        mailbox: mailbox("t", "b"),
        message: id(1),
    };
    commit(&*store, "t", vec![remove]).await;
    let left = store.calls_open(&t).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0, other);
}
