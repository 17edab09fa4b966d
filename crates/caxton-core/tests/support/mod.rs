//! Arbitrary messages and inputs for the tests of the two forms.

// Each test is a crate of its own and uses a part of this.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

pub mod fixpoint;
pub mod mutate;

use caxton_core::message::Contact;
use caxton_core::{Acl, AgentId, ConversationId, Identifier, Performative, TenantId, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The tenant that bare names mean in the tests.
pub fn home() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// Values drawn from a strategy, the same for the same seed.
pub fn samples<S: Strategy>(strategy: S, seed: u64, count: usize) -> Vec<S::Value> {
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// Everything of a message, contacts too: identifiers are equal by name alone, so `==` on messages
/// would not see a lost address.
pub fn whole(acl: &Acl) -> serde_json::Value {
    serde_json::to_value(acl).unwrap()
}

/// Pieces that a careless reader or writer trips over.
const PIECES: [&str; 36] = [
    "a",
    "Z",
    "7",
    " ",
    "  ",
    "\"",
    "\\",
    "\\\"",
    "\\\\",
    "\\n",
    "\n",
    "\r\n",
    "\t",
    "(",
    ")",
    "()",
    ":",
    ":content",
    "#",
    "#3\"",
    "'",
    "@",
    "-",
    "+",
    ".",
    "1e9",
    "-12",
    "0.5",
    "20261122T050922049Z",
    "set",
    "agent-identifier",
    "é",
    "日本",
    "🦀",
    "{\"k\":1}",
    "\u{2028}",
];

/// Text from odd pieces.
pub fn odd_text(pieces: impl Into<std::ops::Range<usize>>) -> impl Strategy<Value = String> {
    vec(select(PIECES.to_vec()), pieces.into()).prop_map(|pieces| pieces.concat())
}

/// A text that `Acl::validate` takes for a token: no control characters, 1 to 255 bytes.
pub fn token() -> impl Strategy<Value = String> {
    let odd = odd_text(1..8).prop_map(|text| text.replace(char::is_control, ""));
    prop_oneof![
        3 => odd,
        1 => "[a-z][a-z0-9-]{0,20}",
        1 => "[^\\p{C}]{1,40}",
        1 => "[0-9+.eE@#-][0-9a-zA-Z.+-]{0,20}",
    ]
    .prop_filter("empty", |text| !text.is_empty())
}

/// A user parameter's value: any text, empty and with control characters too.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        odd_text(0..8),
        any::<String>(),
        token(),
        Just("ends in a backslash\\".to_owned()),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        odd_text(0..40).prop_map(String::into_bytes),
        any::<String>().prop_map(String::into_bytes),
        vec(any::<u8>(), 0..200),
        odd_text(0..5).prop_map(|text| (text + "\\").into_bytes()),
    ]
}

pub fn agent() -> impl Strategy<Value = AgentId> {
    let name = "[A-Za-z][A-Za-z0-9_-]{0,8}(\\.[A-Za-z0-9_-]{1,6})?";
    let tenant = select(vec!["acme", "default", "t-1"]);
    (name, tenant)
        .prop_map(|(name, tenant)| AgentId::parse(&format!("{name}@{tenant}"), &home()).unwrap())
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        "http://[a-z]{1,8}:[0-9]{2,4}/acc",
        "[!-~]{1,20}",
        Just("iiop://x/(y)\"\\".to_owned()),
    ]
}

fn identifier() -> impl Strategy<Value = Identifier> {
    let plain = agent().prop_map(Identifier::new);
    plain.prop_recursive(3, 8, 2, |inner| {
        (agent(), vec(address(), 0..3), vec(inner, 0..3)).prop_map(|(id, addresses, resolvers)| {
            let bare = addresses.is_empty() && resolvers.is_empty();
            let contact = Contact {
                addresses,
                resolvers,
            };
            Identifier {
                id,
                contact: (!bare).then(|| Box::new(contact)),
            }
        })
    })
}

/// A set of agents: none twice.
fn agents(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Identifier>> {
    vec(identifier(), count).prop_map(|mut agents| {
        let mut seen = std::collections::HashSet::new();
        agents.retain(|agent| seen.insert(agent.id.clone()));
        agents
    })
}

/// A time of years 0 to 9999, to the millisecond: what the string form can say.
pub fn time() -> impl Strategy<Value = Timestamp> {
    let first = Timestamp::parse_rfc3339("0000-01-01T00:00:00Z").unwrap();
    let last = Timestamp::parse_rfc3339("9999-12-30T00:00:00Z").unwrap();
    (first.as_us() / 1000..last.as_us() / 1000).prop_map(|ms| Timestamp::from_us(ms * 1000))
}

fn user_parameters(
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = Vec<(String, String)>> {
    vec(("[Xx]-[A-Za-z0-9._-]{1,12}", value), 0..4).prop_map(|mut parameters| {
        let mut seen = std::collections::HashSet::new();
        parameters.retain(|(name, _)| seen.insert(name.to_ascii_lowercase()));
        parameters
    })
}

/// Any message that `Acl::validate` passes.
pub fn acl() -> impl Strategy<Value = Acl> {
    let agents = (option::of(identifier()), agents(1..4), agents(0..3));
    let tokens = (
        option::of(token()),
        option::of(token()),
        option::of(token()),
        option::of(token()),
        option::of(token()),
        option::of(token()),
        option::of(token()),
    );
    let rest = (content(), option::of(time()), user_parameters(value()));
    (select(Performative::ALL.to_vec()), agents, tokens, rest).prop_map(
        |(act, (sender, receivers, reply_to), tokens, (content, reply_by, user_parameters))| {
            let (language, encoding, ontology, protocol, conversation, reply_with, in_reply_to) =
                tokens;
            let mut acl = Acl::new(act);
            acl.sender = sender;
            acl.receivers = receivers;
            acl.reply_to = reply_to;
            acl.content = content.into();
            acl.language = language;
            acl.encoding = encoding;
            acl.ontology = ontology;
            acl.protocol = protocol;
            acl.conversation_id = conversation.map(|id| ConversationId::parse(&id).unwrap());
            acl.reply_with = reply_with;
            acl.in_reply_to = in_reply_to;
            acl.reply_by = reply_by;
            acl.user_parameters = user_parameters;
            acl
        },
    )
}
