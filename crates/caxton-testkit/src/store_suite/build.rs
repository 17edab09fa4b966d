//! Short words for tests: tenants, mailboxes, messages and units.

use bytes::Bytes;
use caxton_core::{
    Acl, AgentId, AgentName, ConversationId, Epoch, MailboxId, MailboxKey, Manifest, Message,
    MessageId, Performative, TenantId, Timestamp, TraceContext,
};
use caxton_engine::opctx::TenantScope;
use caxton_engine::port::store::{AgentRecord, Committed, DeadLetter, DeadLetterId, Op, Unit};
use caxton_engine::port::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// The first second of 2027: every test's beginning of time.
pub const START: Timestamp = Timestamp::from_us(1_798_761_600_000_000);

pub fn scope(tenant: &str) -> TenantScope {
    TenantScope::system(TenantId::parse(tenant).unwrap(), "test")
}

/// `START` and so many milliseconds.
pub fn at(ms: u64) -> Timestamp {
    START.plus(Duration::from_millis(ms))
}

pub fn name(text: &str) -> AgentName {
    AgentName::parse(text).unwrap()
}

pub fn agent(tenant: &str, text: &str) -> AgentId {
    AgentId::new(TenantId::parse(tenant).unwrap(), name(text))
}

/// The mailbox of a whole agent (`"a"`) or of a conversation (`"a#c"`).
pub fn mailbox(tenant: &str, text: &str) -> MailboxId {
    let (agent_name, key) = text.split_once('#').unwrap_or((text, ""));
    MailboxId {
        agent: agent(tenant, agent_name),
        key: MailboxKey::parse(key).unwrap(),
    }
}

pub fn conversation(text: &str) -> ConversationId {
    ConversationId::parse(text).unwrap()
}

/// The id of message `n`, stamped `n` milliseconds after the start.
pub fn id(n: u64) -> MessageId {
    let mut random = [0_u8; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    MessageId::from_parts(at(n), random)
}

/// Message `n` of the tenant, from agent `from` to agent `to`, in a trace of its own.
pub fn message(tenant: &str, n: u64, from: &str, to: &str) -> Message {
    let mut acl = Acl::new(Performative::Request)
        .to(agent(tenant, to))
        .content(format!("content {n}"));
    acl.sender = Some(agent(tenant, from).into());
    let mut trace_id = [0xab; 16];
    trace_id[8..].copy_from_slice(&n.to_be_bytes());
    Message {
        id: id(n),
        tenant: TenantId::parse(tenant).unwrap(),
        trace: TraceContext {
            trace_id,
            span_id: [1; 8],
            sampled: true,
        },
        parent: None,
        hop: 0,
        waiting: None,
        created: at(n),
        acl,
    }
}

/// Message `n` from `a` to `b`, in a conversation.
pub fn said(tenant: &str, n: u64, conversation_id: &str) -> Message {
    let mut said = message(tenant, n, "a", "b");
    said.acl.conversation_id = Some(conversation(conversation_id));
    said
}

pub fn deliver(message: Message, mailboxes: &[MailboxId]) -> Op {
    Op::Deliver {
        message: Arc::new(message),
        mailboxes: mailboxes.to_vec(),
    }
}

pub fn ack(mailbox: &MailboxId, n: u64) -> Op {
    Op::Ack {
        mailbox: mailbox.clone(),
        message: id(n),
    }
}

pub fn state_put(mailbox: &MailboxId, key: &str, value: &str) -> Op {
    Op::StatePut {
        mailbox: mailbox.clone(),
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

pub fn letter(mailbox: &MailboxId, n: u64, buried: Timestamp) -> DeadLetter {
    DeadLetter {
        id: DeadLetterId {
            message: id(n),
            receiver: mailbox.agent.name.clone(),
        },
        mailbox: mailbox.clone(),
        code: "CX-1234".to_owned(),
        reason: "it trapped".to_owned(),
        attempts: 5,
        buried,
    }
}

pub fn record(text: &str) -> AgentRecord {
    AgentRecord {
        agent: name(text),
        manifest: Manifest::named(name(text)),
        digest: None,
        phase: caxton_core::lifecycle::Phase::Running,
        created: at(0),
        updated: at(1),
    }
}

/// A unit of the tenant, in the newest epoch there can be.
pub fn unit(tenant: &str, ops: Vec<Op>) -> Unit {
    Unit {
        scope: scope(tenant),
        epoch: Epoch(u64::MAX),
        ops,
    }
}

pub async fn commit(store: &dyn Store, tenant: &str, ops: Vec<Op>) -> Committed {
    store.commit(unit(tenant, ops)).await.unwrap()
}

pub async fn refused(store: &dyn Store, unit: Unit) -> StoreError {
    store.commit(unit).await.unwrap_err()
}

/// The numbers of the mailbox's unhandled messages, in order.
pub async fn pending(store: &dyn Store, tenant: &str, mailbox: &MailboxId) -> Vec<u64> {
    let rows = store.pending(&scope(tenant), mailbox, 1_000).await.unwrap();
    rows.iter().map(|row| number(&row.message)).collect()
}

/// The `n` of [`message`].
pub fn number(message: &Message) -> u64 {
    let since = message.created.since(START);
    u64::try_from(since.as_millis()).unwrap()
}
