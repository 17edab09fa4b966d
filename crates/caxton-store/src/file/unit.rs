//! A unit made ready for the writer: what costs time and needs no database, the encoding of bodies,
//! is done by whoever commits, not by the one thread that writes.

use crate::codec;
use crate::file::tail::Terms;
use caxton_core::MailboxId;
use caxton_engine::port::StoreError;
use caxton_engine::port::store::{Op, Unit};

#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) unit: Unit,
    /// One per operation that writes a message, in order.
    pub(crate) bodies: Vec<Encoded>,
    /// What the unit counts as against the queue's bound.
    pub(crate) bytes: usize,
    /// Mailboxes that get a message.
    pub(crate) deliveries: usize,
}

#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) body: Vec<u8>,
    pub(crate) terms: Terms,
}

/// What a row costs besides its content: keys, and the queue's own bookkeeping.
const OP_BYTES: usize = 128;

impl Prepared {
    pub(crate) fn new(unit: Unit) -> Result<Self, StoreError> {
        unit.check()?;
        let mut bodies = Vec::new();
        let (mut bytes, mut deliveries) = (0, 0);
        for op in &unit.ops {
            let (message, mailboxes) = match op {
                Op::Deliver { message, mailboxes } => (message, once_each(mailboxes)),
                Op::Bury { message, .. } => (message, Vec::new()),
                Op::CallBegin { request, .. } => (request, Vec::new()),
                Op::CallEnd { answer, .. } => (answer, Vec::new()),
                other => {
                    bytes += OP_BYTES + content_bytes(other);
                    continue;
                }
            };
            let body = codec::write_body(message, &mailboxes)
                .map_err(|error| StoreError::Failed(format!("message {}: {error}", message.id)))?;
            bytes += OP_BYTES + body.len();
            deliveries += mailboxes.len();
            let terms = Terms::of(message);
            bodies.push(Encoded { body, terms });
        }
        Ok(Self {
            unit,
            bodies,
            bytes,
            deliveries,
        })
    }
}

/// A mailbox named twice has the message once.
fn once_each(mailboxes: &[MailboxId]) -> Vec<&MailboxId> {
    let mut once: Vec<&MailboxId> = Vec::with_capacity(mailboxes.len());
    for mailbox in mailboxes {
        if !once.contains(&mailbox) {
            once.push(mailbox);
        }
    }
    once
}

fn content_bytes(op: &Op) -> usize {
    match op {
        Op::StatePut { key, value, .. } => key.len() + value.len(),
        Op::TimerPut(timer) => timer.content.len(),
        Op::ArtifactPut { bytes, .. } => bytes.len(),
        Op::RecordPut { body, .. } | Op::LogPut { body, .. } => body.len(),
        _ => 0,
    }
}
