//! The queue's rules, without a worker.
#![allow(clippy::unwrap_used)]

use super::*;
use caxton_core::{
    Acl, AgentId, MailboxKey, MessageId, Performative, TenantId, Timestamp, TraceContext,
};

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

fn take(mailbox: &Mailbox) -> (Taken, Vec<u8>) {
    let mut out = VecDeque::new();
    let taken = mailbox.take(10, &mut out, 5);
    (
        taken,
        out.iter()
            .map(|item| item.message.id.as_bytes()[0])
            .collect(),
    )
}

#[test]
fn the_first_message_starts_a_worker_and_the_next_do_not() {
    let mailbox = mailbox();
    assert_eq!(mailbox.push(item(1), 3), Ok(Wake::Start));
    assert_eq!(mailbox.push(item(2), 3), Ok(Wake::Nothing));
    assert_eq!(take(&mailbox), (Taken::Batch, vec![1, 2]));
    assert_eq!(take(&mailbox), (Taken::Empty, vec![]));
    assert_eq!(
        mailbox.push(item(3), 3),
        Ok(Wake::Nothing),
        "a parked worker is woken"
    );
    assert_eq!(take(&mailbox), (Taken::Batch, vec![3]));
}

#[test]
fn reserved_places_count() {
    let mailbox = mailbox();
    mailbox.reserve(2).unwrap();
    assert_eq!(mailbox.push(item(1), 2), Ok(Wake::Start));
    assert_eq!(mailbox.push(item(2), 2), Err(Full));
    assert_eq!(mailbox.reserve(2), Err(Full));
    mailbox.release();
    mailbox.reserve(2).unwrap();
    assert_eq!(mailbox.fill(item(3)), Wake::Nothing);
    assert_eq!(take(&mailbox), (Taken::Batch, vec![1, 3]));
}

#[test]
fn put_back_keeps_the_order() {
    let mailbox = mailbox();
    for n in 1..=3 {
        let _ = mailbox.push(item(n), 9).unwrap();
    }
    let mut batch = VecDeque::new();
    assert_eq!(mailbox.take(2, &mut batch, 5), Taken::Batch);
    mailbox.put_back(batch.into_iter());
    assert_eq!(take(&mailbox), (Taken::Batch, vec![1, 2, 3]));
}

#[test]
fn only_an_idle_worker_retires() {
    let mailbox = mailbox();
    let _ = mailbox.push(item(1), 9).unwrap();
    assert!(!mailbox.retire_if_idle(5), "busy");
    let _ = take(&mailbox);
    assert_eq!(take(&mailbox).0, Taken::Empty);
    assert!(!mailbox.retire_if_idle(4), "not long enough");
    mailbox.reserve(9).unwrap();
    assert!(!mailbox.retire_if_idle(5), "a message is on its way");
    mailbox.release();
    assert!(mailbox.retire_if_idle(5));
    assert_eq!(
        mailbox.push(item(2), 9),
        Ok(Wake::Nothing),
        "it comes before the worker ended"
    );
    assert_eq!(take(&mailbox), (Taken::Batch, vec![2]));
    assert_eq!(take(&mailbox).0, Taken::Empty, "and is not retired after");
    assert!(mailbox.retire_if_idle(5));
    assert_eq!(take(&mailbox).0, Taken::Retire);
    assert_eq!(mailbox.push(item(3), 9), Ok(Wake::Start));
}
