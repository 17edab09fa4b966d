//! Messages into mailboxes and out of them.

use super::Subject;
use super::build::*;
use caxton_engine::port::store::{DeliveryState, Op};

pub async fn pending_in_the_order_accepted(subject: Subject) {
    let store = subject.open();
    let b = mailbox("t", "b");
    // Ids are not in the order of acceptance: a message may be stamped before another and come later.
    for n in [5, 3, 9, 1] {
        let op = deliver(message("t", n, "a", "b"), std::slice::from_ref(&b));
        commit(&*store, "t", vec![op]).await;
    }
    let both = [7, 2].map(|n| deliver(message("t", n, "a", "b"), std::slice::from_ref(&b)));
    commit(&*store, "t", both.to_vec()).await;
    assert_eq!(pending(&*store, "t", &b).await, [5, 3, 9, 1, 7, 2]);
    let first = store.pending(&scope("t"), &b, 2).await.unwrap();
    let first: Vec<u64> = first.iter().map(|row| number(&row.message)).collect();
    assert_eq!(first, [5, 3]);
    let none = store.pending(&scope("t"), &b, 0).await.unwrap();
    assert!(none.is_empty());
}

pub async fn a_known_message_changes_nothing(subject: Subject) {
    let store = subject.open();
    let (b, c) = (mailbox("t", "b"), mailbox("t", "c"));
    let first = deliver(said("t", 1, "talk"), std::slice::from_ref(&b));
    let other = deliver(message("t", 2, "a", "b"), std::slice::from_ref(&b));
    let again = deliver(message("t", 1, "x", "c"), std::slice::from_ref(&c));
    // Within one unit.
    let ops = vec![first.clone(), again.clone(), other];
    assert_eq!(commit(&*store, "t", ops).await.duplicates, [1]);
    // In a later one, while it is pending, and once it is handled.
    assert_eq!(
        commit(&*store, "t", vec![again.clone()]).await.duplicates,
        [0]
    );
    let ops = vec![ack(&b, 1), again, first];
    assert_eq!(commit(&*store, "t", ops).await.duplicates, [1, 2]);
    assert_eq!(pending(&*store, "t", &b).await, [2]);
    assert_eq!(pending(&*store, "t", &c).await, [0_u64; 0]);
    let kept = store.message(&scope("t"), id(1)).await.unwrap().unwrap();
    assert_eq!(*kept.message, said("t", 1, "talk"));
    let talk = store.conversation(&scope("t"), &conversation("talk")).await;
    assert_eq!(talk.unwrap().unwrap().messages, 1, "counted once");
}

pub async fn one_message_in_many_mailboxes(subject: Subject) {
    let store = subject.open();
    let boxes = ["b", "c#talk", "c#other"].map(|text| mailbox("t", text));
    let mut to_all = boxes.to_vec();
    to_all.push(boxes[0].clone());
    commit(
        &*store,
        "t",
        vec![deliver(message("t", 1, "a", "b"), &to_all)],
    )
    .await;
    let outside = deliver(message("t", 2, "a", "z"), &[]);
    commit(&*store, "t", vec![outside]).await;
    for mailbox in &boxes {
        assert_eq!(pending(&*store, "t", mailbox).await, [1], "{mailbox}");
    }
    let mut counts = store.mailboxes(&scope("t"), None).await.unwrap();
    counts.sort();
    let mut expected: Vec<_> = boxes.iter().map(|mailbox| (mailbox.clone(), 1)).collect();
    expected.sort();
    assert_eq!(
        counts, expected,
        "named twice is once, and outside is nowhere"
    );
    let of_c = store.mailboxes(&scope("t"), Some(name("c"))).await.unwrap();
    assert_eq!(of_c.len(), 2);
    commit(&*store, "t", vec![ack(&boxes[1], 1)]).await;
    let row = store.message(&scope("t"), id(1)).await.unwrap().unwrap();
    let open: Vec<_> = row.open.iter().map(|status| &status.mailbox).collect();
    assert_eq!(open.len(), 2);
    assert!(open.contains(&&boxes[0]) && open.contains(&&boxes[2]));
    assert!(
        row.open
            .iter()
            .all(|status| status.state == DeliveryState::Pending)
    );
    let row = store.message(&scope("t"), id(2)).await.unwrap().unwrap();
    assert!(row.open.is_empty());
}

pub async fn acknowledged_messages_leave(subject: Subject) {
    let store = subject.open();
    let b = mailbox("t", "b");
    let ops = (1..=4).map(|n| deliver(message("t", n, "a", "b"), std::slice::from_ref(&b)));
    commit(&*store, "t", ops.collect()).await;
    commit(&*store, "t", vec![ack(&b, 2)]).await;
    assert_eq!(pending(&*store, "t", &b).await, [1, 3, 4]);
    // In the unit that delivers it.
    let ops = vec![
        deliver(message("t", 5, "a", "b"), std::slice::from_ref(&b)),
        ack(&b, 5),
        ack(&b, 1),
    ];
    commit(&*store, "t", ops).await;
    assert_eq!(pending(&*store, "t", &b).await, [3, 4]);
    commit(&*store, "t", vec![ack(&b, 3), ack(&b, 4)]).await;
    assert!(store.mailboxes(&scope("t"), None).await.unwrap().is_empty());
    let handled = store.message(&scope("t"), id(5)).await.unwrap().unwrap();
    assert!(handled.open.is_empty(), "it stays as history");
}

pub async fn attempts_are_kept(subject: Subject) {
    let store = subject.open();
    let b = mailbox("t", "b");
    let first = deliver(message("t", 1, "a", "b"), std::slice::from_ref(&b));
    commit(&*store, "t", vec![first]).await;
    let attempt = |attempts| Op::Attempt {
        mailbox: b.clone(),
        message: id(1),
        attempts,
    };
    for attempts in [1, 2] {
        commit(&*store, "t", vec![attempt(attempts)]).await;
        let store = subject.open();
        let rows = store.pending(&scope("t"), &b, 9).await.unwrap();
        assert_eq!(rows[0].attempts, attempts);
        let row = store.message(&scope("t"), id(1)).await.unwrap().unwrap();
        assert_eq!(row.open[0].attempts, attempts);
    }
}

pub async fn operations_on_what_is_not_there_do_nothing(subject: Subject) {
    let store = subject.open();
    let b = mailbox("t", "b");
    let call = caxton_engine::port::store::CallId {
        mailbox: b.clone(),
        message: id(1),
        index: 0,
    };
    let ops = vec![
        ack(&b, 1),
        Op::Attempt {
            mailbox: b.clone(),
            message: id(1),
            attempts: 3,
        },
        Op::DeadLetterRemove {
            id: letter(&b, 1, at(1)).id,
        },
        Op::StateRemove {
            mailbox: b.clone(),
            key: "k".into(),
        },
        Op::TimerRemove {
            mailbox: b.clone(),
            name: "n".into(),
        },
        Op::CallEnd {
            call: call.clone(),
            answer: message("t", 1, "b", "a").into(),
        },
        Op::CallsRemove {
            mailbox: b.clone(),
            message: id(1),
        },
        Op::AgentRemove { agent: name("b") },
    ];
    let done = commit(&*store, "t", ops).await;
    assert!(done.duplicates.is_empty());
    assert!(store.mailboxes(&scope("t"), None).await.unwrap().is_empty());
    assert_eq!(store.call(&scope("t"), &call).await.unwrap(), None);
    assert_eq!(store.message(&scope("t"), id(1)).await.unwrap(), None);
}

pub async fn units_of_one_task_keep_their_order(subject: Subject) {
    let store = subject.open();
    let b = mailbox("t", "b");
    // Submitted one after the other; none is waited for before all are.
    let answers: Vec<_> = (1..=200)
        .map(|n| deliver(message("t", n, "a", "b"), std::slice::from_ref(&b)))
        .map(|op| store.commit(unit("t", vec![op])))
        .collect();
    for answer in answers.into_iter().rev() {
        answer.await.unwrap();
    }
    let expected: Vec<u64> = (1..=200).collect();
    assert_eq!(pending(&*store, "t", &b).await, expected);
}

pub async fn everything_is_there_after_a_restart(subject: Subject) {
    let b = mailbox("t", "b");
    {
        let store = subject.open();
        let ops = vec![
            deliver(said("t", 1, "talk"), std::slice::from_ref(&b)),
            deliver(said("t", 2, "talk"), std::slice::from_ref(&b)),
            ack(&b, 1),
            state_put(&b, "k", "v"),
            Op::AgentPut(Box::new(record("b"))),
        ];
        commit(&*store, "t", ops).await;
    }
    let store = subject.open();
    let t = scope("t");
    assert!(store.tenants().await.unwrap().contains(t.tenant()));
    assert_eq!(pending(&*store, "t", &b).await, [2]);
    let value = store.state(&t, &b, "k").await.unwrap();
    assert_eq!(value.as_deref(), Some("v".as_bytes()));
    assert_eq!(store.agents(&t).await.unwrap(), [record("b")]);
    let again = deliver(said("t", 1, "talk"), std::slice::from_ref(&b));
    assert_eq!(commit(&*store, "t", vec![again]).await.duplicates, [0]);
    let new = deliver(said("t", 3, "talk"), std::slice::from_ref(&b));
    commit(&*store, "t", vec![new]).await;
    assert_eq!(pending(&*store, "t", &b).await, [2, 3]);
    let talk = store.conversation(&t, &conversation("talk")).await.unwrap();
    assert_eq!(talk.unwrap().messages, 3);
}
