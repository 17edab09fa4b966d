//! The shipped examples through the sandbox and its host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::quota::Limits;
use caxton_core::{Acl, ConversationId, Identifier, Performative, Timestamp};
use support::{agent_id, example, handle, message, prepare};

#[tokio::test]
async fn an_echo_answers_with_every_parameter_it_was_asked_with() {
    let agent = prepare(example("echo"), Limits::default()).await.unwrap();
    let (mut behavior, host) = agent.start().await.unwrap();
    let mut asked = Acl::new(Performative::Request)
        .to(agent.id.clone())
        .content(&[0_u8, 0xff, b'x'][..]);
    asked.sender = Some(agent_id("tester").into());
    asked.reply_with = Some("r1".into());
    asked.protocol = Some("fipa-request".into());
    asked.conversation_id = ConversationId::parse("c1").ok();
    asked.language = Some("text".into());
    asked.encoding = Some("raw".into());
    asked.ontology = Some("noise".into());
    asked.reply_by = Some(Timestamp::from_us(17));
    asked.user_parameters = vec![("X-a".into(), "ä".into())];
    let (_, sent) = handle(&mut behavior, host, message(asked.clone())).await;
    let sent = sent.unwrap();
    let [reply] = sent.as_slice() else {
        panic!("one reply, not {sent:?}");
    };
    assert_eq!(reply.acl.performative, Performative::Inform);
    assert_eq!(
        reply.acl.receivers,
        vec![Identifier::new(agent_id("tester"))]
    );
    assert_eq!(reply.sender(), Some(&agent.id));
    assert_eq!(reply.acl.content, asked.content);
    assert_eq!(reply.acl.in_reply_to.as_deref(), Some("r1"));
    assert_eq!(reply.acl.conversation_id, asked.conversation_id);
    assert_eq!(reply.acl.language, asked.language);
}
