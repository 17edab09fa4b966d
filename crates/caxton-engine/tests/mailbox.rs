//! The queue's rules, without a worker.
#![allow(clippy::unwrap_used)]

use caxton_core::{
    Acl, AgentId, MailboxId, MailboxKey, Message, MessageId, Performative, TenantId, Timestamp,
    TraceContext,
};
use caxton_engine::mailbox::{Full, Item, Mailbox, Taken, Wake};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

fn mailbox() -> Mailbox {
    let agent = AgentId::parse("a", &TenantId::default_tenant()).unwrap();
    Mailbox::new(MailboxId {
        agent,
        key: MailboxKey::Agent,
    })
}

fn item(n: u8) -> Item {
    let message = Message {
        id: MessageId::from_bytes([n; 16]),
        tenant: TenantId::default_tenant(),
        trace: TraceContext {
            trace_id: [1; 16],
            span_id: [1; 8],
            sampled: false,
        },
        parent: None,
        hop: 0,
        waiting: None,
        created: Timestamp::EPOCH,
        acl: Acl::new(Performative::Inform),
    };
    Item {
        message: Arc::new(message),
        attempts: 0,
        durable: false,
        replay: false,
    }
}

fn push(mailbox: &Mailbox, n: u8, messages_max: u32) -> Result<Wake, Full> {
    mailbox
        .push(item(n), messages_max)
        .map_err(|(full, _)| full)
}

/// Takes as the worker does, in sweep 5.
fn take(mailbox: &Mailbox) -> (Poll<Taken>, Vec<u8>) {
    let mut out = VecDeque::new();
    let taken = poll(mailbox, 10, &mut out);
    (taken, ids(out))
}

fn poll(mailbox: &Mailbox, messages_max: usize, out: &mut VecDeque<Item>) -> Poll<Taken> {
    let context = Context::from_waker(Waker::noop());
    mailbox.poll_take(&context, messages_max, out, 5)
}

fn ids(items: VecDeque<Item>) -> Vec<u8> {
    items
        .iter()
        .map(|item| item.message.id.as_bytes()[0])
        .collect()
}

const BATCH: Poll<Taken> = Poll::Ready(Taken::Batch);
const RETIRE: Poll<Taken> = Poll::Ready(Taken::Retire);

#[test]
fn the_first_message_starts_a_worker_and_the_next_do_not() {
    let mailbox = mailbox();
    assert_eq!(push(&mailbox, 1, 3), Ok(Wake::Start));
    assert_eq!(push(&mailbox, 2, 3), Ok(Wake::Nothing));
    assert_eq!(take(&mailbox), (BATCH, vec![1, 2]));
    assert_eq!(take(&mailbox), (Poll::Pending, vec![]));
    assert_eq!(
        push(&mailbox, 3, 3),
        Ok(Wake::Nothing),
        "a parked worker is woken"
    );
    assert_eq!(take(&mailbox), (BATCH, vec![3]));
}

#[test]
fn reserved_places_count() {
    let mailbox = mailbox();
    mailbox.reserve(2).unwrap();
    assert_eq!(push(&mailbox, 1, 2), Ok(Wake::Start));
    assert_eq!(push(&mailbox, 2, 2), Err(Full));
    assert_eq!(mailbox.reserve(2), Err(Full));
    mailbox.release();
    mailbox.reserve(2).unwrap();
    assert_eq!(mailbox.fill(item(3)), Wake::Nothing);
    assert_eq!(take(&mailbox), (BATCH, vec![1, 3]));
}

#[test]
fn put_back_keeps_the_order() {
    let mailbox = mailbox();
    for n in 1..=3 {
        let _ = push(&mailbox, n, 9).unwrap();
    }
    let mut batch = VecDeque::new();
    assert_eq!(poll(&mailbox, 2, &mut batch), BATCH);
    mailbox.put_back(batch.into_iter());
    assert_eq!(take(&mailbox), (BATCH, vec![1, 2, 3]));
}

#[test]
fn only_an_idle_worker_retires() {
    let mailbox = mailbox();
    let _ = push(&mailbox, 1, 9).unwrap();
    assert!(!mailbox.retire_if_idle(5), "busy");
    let _ = take(&mailbox);
    assert_eq!(take(&mailbox).0, Poll::Pending);
    assert!(!mailbox.retire_if_idle(4), "not long enough");
    mailbox.reserve(9).unwrap();
    assert!(!mailbox.retire_if_idle(5), "a message is on its way");
    mailbox.release();
    assert!(mailbox.retire_if_idle(5));
    assert_eq!(
        push(&mailbox, 2, 9),
        Ok(Wake::Nothing),
        "it comes before the worker ended"
    );
    assert_eq!(take(&mailbox), (BATCH, vec![2]));
    assert_eq!(take(&mailbox).0, Poll::Pending, "and is not retired after");
    assert!(mailbox.retire_if_idle(5));
    assert_eq!(take(&mailbox).0, RETIRE);
    assert_eq!(push(&mailbox, 3, 9), Ok(Wake::Start));
}

#[test]
fn a_nudge_is_not_lost_on_a_worker_that_is_about_to_park() {
    let mailbox = mailbox();
    mailbox.nudge();
    let _ = push(&mailbox, 1, 9).unwrap();
    assert_eq!(take(&mailbox).0, BATCH);
    // It handles the message, and has looked at the agent's state already.
    mailbox.nudge();
    assert_eq!(take(&mailbox).0, RETIRE);
    let _ = push(&mailbox, 2, 9).unwrap();
    assert_eq!(take(&mailbox).0, BATCH);
    assert_eq!(take(&mailbox).0, Poll::Pending, "one nudge, once");
}

#[test]
fn a_batch_is_bounded_and_in_order() {
    let mailbox = mailbox();
    for n in 1..=5 {
        let _ = push(&mailbox, n, 9).unwrap();
    }
    let mut out = VecDeque::new();
    assert_eq!(poll(&mailbox, 2, &mut out), BATCH);
    assert_eq!(ids(std::mem::take(&mut out)), [1, 2]);
    assert_eq!(poll(&mailbox, 3, &mut out), BATCH, "all the rest at once");
    assert_eq!(ids(out), [3, 4, 5]);
    assert_eq!(mailbox.accepted(), 5);
}

#[test]
fn a_parked_task_is_woken_once_for_many_messages() {
    struct Count(AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (mailbox, count) = (mailbox(), Arc::new(Count(AtomicUsize::new(0))));
    let _ = push(&mailbox, 1, 9).unwrap();
    let mut out = VecDeque::new();
    assert_eq!(poll(&mailbox, 9, &mut out), BATCH);
    let waker = Waker::from(Arc::clone(&count));
    let context = Context::from_waker(&waker);
    assert_eq!(
        mailbox.poll_take(&context, 9, &mut VecDeque::new(), 5),
        Poll::Pending
    );
    for n in 2..=4 {
        let _ = push(&mailbox, n, 9).unwrap();
    }
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}
