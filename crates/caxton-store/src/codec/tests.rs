//! Every message reads back as it was written, and nothing else reads at all.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use caxton_core::conversation::Conversation;
use caxton_core::message::Contact;
use caxton_core::{
    Acl, AgentId, AgentName, ConversationId, Identifier, MailboxId, MailboxKey, Message, MessageId,
    Performative, TenantId, Timestamp, TraceContext,
};
use proptest::prelude::*;
use std::sync::Arc;

fn home() -> TenantId {
    TenantId::default_tenant()
}

fn agents() -> impl Strategy<Value = AgentId> {
    let tenant = prop_oneof![
        Just(home()),
        "[a-z]{1,9}".prop_map(|t| TenantId::parse(&t).unwrap())
    ];
    (tenant, "[a-z][a-z0-9-]{0,20}")
        .prop_map(|(tenant, name)| AgentId::new(tenant, AgentName::parse(&name).unwrap()))
}

fn identifiers() -> impl Strategy<Value = Identifier> {
    let leaf = agents().prop_map(Identifier::new);
    leaf.prop_recursive(3, 8, 3, |inner| {
        let resolvers = prop::collection::vec(inner, 0..3);
        let addresses = prop::collection::vec(".{0,20}", 0..3);
        (agents(), addresses, resolvers).prop_map(|(id, addresses, resolvers)| Identifier {
            id,
            contact: Some(Box::new(Contact {
                addresses,
                resolvers,
            })),
        })
    })
}

fn mailboxes() -> impl Strategy<Value = Vec<MailboxId>> {
    let key = prop::option::of("[a-zä]{1,20}");
    let mailbox = (agents(), key).prop_map(|(agent, key)| MailboxId {
        agent,
        key: MailboxKey::parse(&key.unwrap_or_default()).unwrap(),
    });
    prop::collection::vec(mailbox, 0..4)
}

type Texts = [Option<String>; 7];

fn acls() -> impl Strategy<Value = Acl> {
    let texts: [_; 7] = std::array::from_fn(|_| prop::option::of("[^\\p{Cc}]{1,30}"));
    let lists = prop::collection::vec(identifiers(), 0..3);
    let more = prop::collection::vec(identifiers(), 0..3);
    let parameters = prop::collection::vec(("X-[a-z]{1,5}", ".{0,20}"), 0..3);
    let content = prop::collection::vec(any::<u8>(), 0..400);
    let rest = (prop::option::of(any::<i64>()), parameters, content);
    let names = (prop::option::of(identifiers()), lists, more);
    (0..22_usize, names, texts, rest).prop_map(|(act, names, texts, rest)| {
        let (sender, receivers, reply_to) = names;
        let [
            language,
            encoding,
            ontology,
            protocol,
            conversation,
            reply_with,
            in_reply_to,
        ]: Texts = texts;
        Acl {
            performative: Performative::ALL[act],
            sender,
            receivers,
            reply_to,
            content: rest.2.into(),
            language,
            encoding,
            ontology,
            protocol,
            conversation_id: conversation.map(|id| ConversationId::parse(&id).unwrap()),
            reply_with,
            in_reply_to,
            reply_by: rest.0.map(Timestamp::from_us),
            user_parameters: rest.1,
        }
    })
}

fn messages() -> impl Strategy<Value = Message> {
    let stamped = (
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        any::<[u8; 8]>(),
        any::<bool>(),
        prop::option::of(any::<[u8; 16]>()),
        any::<u16>(),
        prop::option::of(mailboxes()),
        any::<i64>(),
    );
    (stamped, acls()).prop_map(|(stamped, acl)| {
        let (id, trace_id, span_id, sampled, parent, hop, waiting, created) = stamped;
        Message {
            id: MessageId::from_bytes(id),
            tenant: home(),
            trace: TraceContext {
                trace_id,
                span_id,
                sampled,
            },
            parent: parent.map(MessageId::from_bytes),
            hop,
            waiting: waiting.map(Arc::from),
            created: Timestamp::from_us(created),
            acl,
        }
    })
}

fn write_body(message: &Message, mailboxes: &[MailboxId]) -> Result<Vec<u8>, Malformed> {
    super::write_body(message, &mailboxes.iter().collect::<Vec<_>>())
}

/// `Identifier` is equal by name alone; what is written is also the contact.
fn shown(body: &Body) -> String {
    format!("{body:?}")
}

proptest! {
    #[test]
    fn messages_round_trip(message in messages(), mailboxes in mailboxes()) {
        let bytes = write_body(&message, &mailboxes).unwrap();
        let body = Body { message: Arc::new(message), mailboxes };
        let read = read_body(&bytes, &home()).unwrap();
        prop_assert_eq!(shown(&read), shown(&body));
    }

    /// The form is the only one: whatever reads, writes back to the same bytes. So no damage can
    /// hide in a part that is not looked at.
    #[test]
    fn damaged_messages_are_refused_or_differ(
        message in messages(),
        mailboxes in mailboxes(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let mut bytes = write_body(&message, &mailboxes).unwrap();
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        if let Ok(read) = read_body(&bytes, &home()) {
            prop_assert_eq!(write_body(&read.message, &read.mailboxes).unwrap(), bytes);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_body(&bytes, &home());
        let mut versioned = bytes;
        versioned.insert(0, 1);
        let _ = read_body(&versioned, &home());
        let _ = read_conversation(&versioned, "c", &home());
    }

    #[test]
    fn cut_messages_are_refused(message in messages(), at in any::<prop::sample::Index>()) {
        let bytes = write_body(&message, &[]).unwrap();
        prop_assert!(read_body(&bytes[..at.index(bytes.len())], &home()).is_err());
        let longer = [bytes.as_slice(), &[0]].concat();
        prop_assert!(read_body(&longer, &home()).is_err());
    }

    #[test]
    fn conversations_round_trip(first in acls(), all in prop::collection::vec(messages(), 1..4)) {
        let id = ConversationId::parse("c").unwrap();
        let mut begin = all[0].clone();
        begin.acl = Acl { conversation_id: Some(id), ..first };
        let mut summary = Conversation::begin(&begin).unwrap();
        all.iter().for_each(|message| summary.add(message));
        let bytes = write_conversation(&summary, &home());
        prop_assert_eq!(read_conversation(&bytes, "c", &home()).unwrap(), summary);
    }
}

#[test]
fn resolvers_nested_without_end_are_refused() {
    let agent = AgentId::parse("a", &home()).unwrap();
    let mut nested = Identifier::new(agent.clone());
    for _ in 0..=RESOLVER_DEPTH_MAX {
        nested = Identifier {
            id: agent.clone(),
            contact: Some(Box::new(Contact {
                addresses: vec![],
                resolvers: vec![nested],
            })),
        };
    }
    let mut acl = Acl::new(Performative::Inform);
    acl.receivers = vec![nested];
    let message = Message {
        id: MessageId::from_bytes([1; 16]),
        tenant: home(),
        trace: TraceContext {
            trace_id: [1; 16],
            span_id: [1; 8],
            sampled: false,
        },
        parent: None,
        hop: 0,
        waiting: None,
        created: Timestamp::EPOCH,
        acl,
    };
    assert!(write_body(&message, &[]).is_err());
}
