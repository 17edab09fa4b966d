//! Lists: order, filters and pages.

use super::Subject;
use super::build::*;
use caxton_core::Performative;
use caxton_core::conversation::Conversation;
use caxton_engine::port::store::{
    DeadLetterId, DeliveryState, MessageFilter, Op, Page, PageRequest,
};
use caxton_engine::port::{Store, StoreError};
use std::future::Future;
use std::sync::Arc;

/// Reads a whole list in pages of `rows_max`; every page but the last must be full.
async fn all<T, F>(rows_max: u32, mut page: impl FnMut(PageRequest) -> F) -> Vec<T>
where
    F: Future<Output = Result<Page<T>, StoreError>>,
{
    let mut rows = Vec::new();
    let mut request = PageRequest::first(rows_max);
    loop {
        let found = page(request).await.unwrap();
        let (count, next) = (found.rows.len(), found.next);
        rows.extend(found.rows);
        let Some(token) = next else {
            return rows;
        };
        assert_eq!(count, rows_max as usize, "a page before the last is full");
        request = PageRequest {
            rows_max,
            token: Some(token),
        };
    }
}

/// The numbers of the matching messages, the same in pages of every size.
async fn numbers(store: &dyn Store, filter: &MessageFilter) -> Vec<u64> {
    let t = scope("t");
    let read = |rows_max| {
        all(rows_max, |page| {
            let t = t.clone();
            async move { store.messages(&t, filter, &page).await }
        })
    };
    let whole = read(1_000).await;
    let whole: Vec<u64> = whole.iter().map(|row| number(&row.message)).collect();
    for rows_max in [1, 2, 3] {
        let paged = read(rows_max).await;
        let paged: Vec<u64> = paged.iter().map(|row| number(&row.message)).collect();
        assert_eq!(paged, whole, "in pages of {rows_max}");
    }
    whole
}

async fn record_all(store: &dyn Store, messages: Vec<caxton_core::Message>) {
    for message in messages {
        commit(store, "t", vec![deliver(message, &[])]).await;
    }
}

pub async fn messages_newest_first(subject: Subject) {
    let store = subject.open();
    let sent = [4, 1, 3, 2, 5].map(|n| message("t", n, "a", "b"));
    record_all(&*store, sent.to_vec()).await;
    let found = numbers(&*store, &MessageFilter::default()).await;
    assert_eq!(found, [5, 2, 3, 1, 4], "by acceptance");
    let found = numbers(&*subject.open(), &MessageFilter::default()).await;
    assert_eq!(found, [5, 2, 3, 1, 4], "after a restart");
}

pub async fn messages_of_a_conversation_oldest_first(subject: Subject) {
    let store = subject.open();
    let mut sent: Vec<_> = [6, 2, 8, 4].map(|n| said("t", n, "talk")).to_vec();
    sent.insert(1, said("t", 3, "other"));
    sent.insert(3, message("t", 5, "a", "b"));
    record_all(&*store, sent).await;
    let of = |text: &str| MessageFilter {
        conversation: Some(conversation(text)),
        ..MessageFilter::default()
    };
    assert_eq!(numbers(&*store, &of("talk")).await, [6, 2, 8, 4]);
    assert_eq!(numbers(&*store, &of("other")).await, [3]);
    assert_eq!(numbers(&*store, &of("none")).await, [0_u64; 0]);
    // A page's token still holds when messages came meanwhile.
    let t = scope("t");
    let first = store
        .messages(&t, &of("talk"), &PageRequest::first(3))
        .await;
    let token = first.unwrap().next;
    record_all(&*store, vec![said("t", 9, "talk")]).await;
    let page = PageRequest { rows_max: 9, token };
    let rest = store.messages(&t, &of("talk"), &page).await.unwrap();
    let rest: Vec<u64> = rest.rows.iter().map(|row| number(&row.message)).collect();
    assert_eq!(rest, [4, 9]);
}

pub async fn messages_of_a_trace_oldest_first(subject: Subject) {
    let store = subject.open();
    let mut sent: Vec<_> = (1..=6).map(|n| message("t", n, "a", "b")).collect();
    let trace_id = sent[2].trace.trace_id;
    sent[0].trace.trace_id = trace_id;
    sent[5].trace.trace_id = trace_id;
    record_all(&*store, sent).await;
    let of = |trace_id| MessageFilter {
        trace_id: Some(trace_id),
        ..MessageFilter::default()
    };
    assert_eq!(numbers(&*store, &of(trace_id)).await, [1, 3, 6]);
    assert_eq!(numbers(&*store, &of([0; 16])).await, [0_u64; 0]);
}

pub async fn messages_of_an_agent(subject: Subject) {
    let store = subject.open();
    let mut foreign = message("t", 6, "x", "y");
    foreign.acl.receivers.push(agent("other", "seller").into());
    let mut second = message("t", 5, "x", "y");
    second.acl.receivers.push(agent("t", "seller").into());
    let sent = vec![
        message("t", 1, "seller", "buyer"),
        message("t", 2, "buyer", "seller"),
        message("t", 3, "buyer", "buyer"),
        message("t", 4, "seller", "seller"),
        second,
        foreign,
    ];
    record_all(&*store, sent).await;
    let of = |text| MessageFilter {
        agent: Some(name(text)),
        ..MessageFilter::default()
    };
    assert_eq!(numbers(&*store, &of("seller")).await, [5, 4, 2, 1]);
    assert_eq!(numbers(&*store, &of("buyer")).await, [3, 2, 1]);
    assert_eq!(numbers(&*store, &of("Seller")).await, [0_u64; 0]);
}

pub async fn filters_together(subject: Subject) {
    let store = subject.open();
    let mut sent: Vec<_> = (1..=4).map(|n| said("t", n, "talk")).collect();
    sent[1].acl.receivers = vec![agent("t", "c").into()];
    sent[3].acl.receivers = vec![agent("t", "c").into()];
    let trace_id = sent[3].trace.trace_id;
    sent.push(message("t", 5, "a", "c"));
    sent[4].trace.trace_id = trace_id;
    record_all(&*store, sent).await;
    let mut filter = MessageFilter {
        conversation: Some(conversation("talk")),
        agent: Some(name("c")),
        trace_id: None,
    };
    assert_eq!(numbers(&*store, &filter).await, [2, 4]);
    filter.trace_id = Some(trace_id);
    assert_eq!(numbers(&*store, &filter).await, [4]);
    filter.conversation = None;
    assert_eq!(numbers(&*store, &filter).await, [4, 5]);
    filter.agent = Some(name("b"));
    assert_eq!(numbers(&*store, &filter).await, [0_u64; 0]);
}

pub async fn conversations_are_folds(subject: Subject) {
    let store = subject.open();
    let mut sent: Vec<_> = (1..=5).map(|n| said("t", n, "talk")).collect();
    sent[1].acl.protocol = Some("fipa-request".into());
    sent[2].acl.performative = Performative::Agree;
    sent[3].acl.receivers.push(agent("t", "z").into());
    sent[4].acl.performative = Performative::Inform;
    let mut expected = Conversation::begin(&sent[0]).unwrap();
    sent[1..].iter().for_each(|message| expected.add(message));
    // Two in one unit, the others one by one, the last after a restart.
    let ops = sent[..2].iter().map(|m| deliver(m.clone(), &[])).collect();
    commit(&*store, "t", ops).await;
    record_all(&*store, sent[2..4].to_vec()).await;
    let store = subject.open();
    record_all(&*store, sent[4..].to_vec()).await;
    let id = conversation("talk");
    let found = store.conversation(&scope("t"), &id).await.unwrap();
    assert_eq!(found, Some(expected));
    let none = store.conversation(&scope("t"), &conversation("x")).await;
    assert_eq!(none.unwrap(), None);
}

pub async fn conversations_by_activity(subject: Subject) {
    let store = subject.open();
    let talks = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "b")];
    record_all(&*store, talks.map(|(n, c)| said("t", n, c)).to_vec()).await;
    // The same time as "b": ordered by id.
    let mut late = said("t", 6, "e");
    late.created = at(5);
    record_all(&*store, vec![late]).await;
    for rows_max in [1, 2, 9] {
        let t = scope("t");
        let found = all(rows_max, |page| {
            let (store, t) = (&store, &t);
            async move { store.conversations(t, &page).await }
        });
        let ids: Vec<String> = found.await.iter().map(|c| c.id.to_string()).collect();
        assert_eq!(ids, ["e", "b", "d", "c", "a"]);
    }
}

pub async fn dead_letters_bury_and_list(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let boxes = ["b", "c", "b#talk"].map(|text| mailbox("t", text));
    let sent = message("t", 1, "a", "b");
    let other = message("t", 2, "a", "b");
    let ops = vec![
        deliver(sent.clone(), &boxes[..2]),
        deliver(other.clone(), &boxes[2..]),
    ];
    commit(&*store, "t", ops).await;
    let bury = |mailbox: usize, n: u64, buried: u64, message: &caxton_core::Message| Op::Bury {
        letter: letter(&boxes[mailbox], n, at(buried)),
        message: Arc::new(message.clone()),
    };
    let ops = vec![
        bury(0, 1, 50, &sent),
        bury(1, 1, 50, &sent),
        bury(2, 2, 40, &other),
    ];
    commit(&*store, "t", ops).await;
    assert!(store.mailboxes(&t, None).await.unwrap().is_empty());
    for rows_max in [1, 2, 9] {
        let found = all(rows_max, |page| {
            let (store, t) = (&store, &t);
            async move { store.dead_letters(t, &page).await }
        });
        let found: Vec<_> = found
            .await
            .into_iter()
            .map(|(l, m)| (l, number(&m)))
            .collect();
        let expected = [(1, 1, 50), (0, 1, 50), (2, 2, 40)]
            .map(|(mailbox, n, buried)| (letter(&boxes[mailbox], n, at(buried)), n));
        assert_eq!(found, expected);
    }
    let row = store.message(&t, id(1)).await.unwrap().unwrap();
    assert_eq!(
        row.open,
        [0, 1].map(|index: usize| letter(&boxes[index], 1, at(50)).status())
    );
    assert_eq!(row.open[0].state, DeliveryState::Dead);
    assert_eq!(row.open[0].error.as_deref(), Some("CX-1234: it trapped"));
    // Burying again replaces; removing forgets.
    let again = bury(0, 1, 60, &sent);
    commit(&*store, "t", vec![again]).await;
    let letter_id = DeadLetterId {
        message: id(1),
        receiver: name("b"),
    };
    let found = store.dead_letter(&t, &letter_id).await.unwrap().unwrap();
    assert_eq!(found.0.buried, at(60));
    let remove = Op::DeadLetterRemove {
        id: letter_id.clone(),
    };
    commit(&*store, "t", vec![remove]).await;
    assert_eq!(store.dead_letter(&t, &letter_id).await.unwrap(), None);
    let row = store.message(&t, id(1)).await.unwrap().unwrap();
    assert_eq!(row.open.len(), 1);
}

pub async fn a_letter_without_a_record_is_recorded(subject: Subject) {
    let store = subject.open();
    let b = mailbox("t", "b");
    let lost = said("t", 1, "talk");
    let bury = Op::Bury {
        letter: letter(&b, 1, at(1)),
        message: Arc::new(lost.clone()),
    };
    commit(&*store, "t", vec![bury]).await;
    let row = store.message(&scope("t"), id(1)).await.unwrap().unwrap();
    assert_eq!(*row.message, lost);
    let talk = store.conversation(&scope("t"), &conversation("talk")).await;
    assert_eq!(talk.unwrap().unwrap().messages, 1);
    let again = deliver(lost, std::slice::from_ref(&b));
    assert_eq!(commit(&*store, "t", vec![again]).await.duplicates, [0]);
}

pub async fn forged_tokens_are_refused(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    for n in 1..=4 {
        let text = format!("talk {n}");
        let bury = Op::Bury {
            letter: letter(&mailbox("t", "b"), n, at(n)),
            message: Arc::new(said("t", n, &text)),
        };
        commit(&*store, "t", vec![bury.clone()]).await;
        let theirs = Op::Bury {
            letter: letter(&mailbox("u", "b"), n, at(n)),
            message: Arc::new(said("u", n, &text)),
        };
        commit(&*store, "u", vec![theirs]).await;
    }
    let filter = MessageFilter::default();
    let first = PageRequest::first(2);
    let messages = store
        .messages(&t, &filter, &first)
        .await
        .unwrap()
        .next
        .unwrap();
    let talks = store.conversations(&t, &first).await.unwrap().next.unwrap();
    let letters = store.dead_letters(&t, &first).await.unwrap().next.unwrap();
    let theirs = store.messages(&scope("u"), &filter, &first).await.unwrap();
    let mut edited = messages.clone();
    edited.replace_range(4..5, if &edited[4..5] == "0" { "1" } else { "0" });
    let forged = [
        String::new(),
        "zz".into(),
        "00".repeat(400),
        edited,
        theirs.next.unwrap(),
    ];
    let page = |token: &String| PageRequest {
        rows_max: 2,
        token: Some(token.clone()),
    };
    let bad = Err(StoreError::BadToken);
    for token in forged.iter().chain([&talks, &letters]) {
        let found = store.messages(&t, &filter, &page(token)).await;
        assert_eq!(found.map(|page| page.rows.len()), bad, "{token}");
    }
    for token in forged.iter().chain([&messages, &letters]) {
        let found = store.conversations(&t, &page(token)).await;
        assert_eq!(found.map(|page| page.rows.len()), bad, "{token}");
    }
    for token in forged.iter().chain([&messages, &talks]) {
        let found = store.dead_letters(&t, &page(token)).await;
        assert_eq!(found.map(|page| page.rows.len()), bad, "{token}");
    }
    let narrower = MessageFilter {
        agent: Some(name("b")),
        ..MessageFilter::default()
    };
    let found = store.messages(&t, &narrower, &page(&messages)).await;
    assert_eq!(found.map(|page| page.rows.len()), bad, "of another filter");
    // The true ones still work.
    assert!(store.messages(&t, &filter, &page(&messages)).await.is_ok());
    assert!(store.conversations(&t, &page(&talks)).await.is_ok());
    assert!(store.dead_letters(&t, &page(&letters)).await.is_ok());
}
