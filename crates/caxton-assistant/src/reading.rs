//! What a message asks of an assistant, by its act. Two assistants that answered every `inform` would
//! answer each other for ever: what is no question is a turn only where somebody at a door says it.

use caxton_core::error::Error;
use caxton_core::session::{ASK_LANGUAGE, Ask};
use caxton_core::{Message, Performative};

/// What is done about a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reading {
    /// A turn of the session that the message is of.
    Ask(Ask),
    /// Acknowledged, and nothing else.
    Silence,
    /// Answered with `not-understood` and this reason.
    NotUnderstood(String),
}

/// Reads a message.
pub(crate) fn read(message: &Message) -> Reading {
    use Performative as P;
    let acl = &message.acl;
    let outside = message.sender().is_some_and(|it| it.name.is_outside());
    match acl.performative {
        P::Request | P::QueryIf | P::QueryRef => {}
        P::Inform | P::Confirm | P::Disconfirm | P::InformIf | P::InformRef if outside => {}
        act if act.expects_answer() => {
            let text = format!("an assistant answers request, query-if and query-ref, not {act}");
            return Reading::NotUnderstood(text);
        }
        _ => return Reading::Silence,
    }
    let plain = acl.language.as_deref() != Some(ASK_LANGUAGE);
    if plain && acl.text().is_none() {
        return Reading::NotUnderstood("the content is no text in UTF-8".to_owned());
    }
    match Ask::of(acl.language.as_deref(), &acl.content) {
        Ok(ask) => Reading::Ask(ask),
        Err(Error { code, detail, .. }) => Reading::NotUnderstood(format!("{code} {detail}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::{Acl, AgentId, MessageId, TenantId, Timestamp, TraceContext};

    fn message(act: Performative, sender: &str, language: Option<&str>, content: &[u8]) -> Message {
        let tenant = TenantId::default_tenant();
        let mut acl = Acl::new(act).content(content.to_vec());
        acl.sender = Some(AgentId::parse(sender, &tenant).unwrap().into());
        acl.language = language.map(str::to_owned);
        let trace = TraceContext {
            trace_id: [1; 16],
            span_id: [1; 8],
            sampled: false,
        };
        Message {
            id: MessageId::MIN,
            tenant,
            trace,
            parent: None,
            hop: 0,
            waiting: None,
            created: Timestamp::from_us(0),
            acl,
        }
    }

    #[test]
    fn questions_are_turns_and_answers_are_not_answered() {
        for act in Performative::ALL {
            let name = |sender| match read(&message(act, sender, None, b"hi")) {
                Reading::Ask(_) => "ask",
                Reading::Silence => "silence",
                Reading::NotUnderstood(_) => "not understood",
            };
            use Performative as P;
            let (agent, outside) = match act {
                P::Request | P::QueryIf | P::QueryRef => ("ask", "ask"),
                P::Inform | P::Confirm | P::Disconfirm | P::InformIf | P::InformRef => {
                    ("silence", "ask")
                }
                P::Agree | P::Failure | P::NotUnderstood | P::Refuse | P::RejectProposal => {
                    ("silence", "silence")
                }
                _ => ("not understood", "not understood"),
            };
            assert_eq!((name("b"), name("key.x")), (agent, outside), "{act}");
        }
    }

    #[test]
    fn contents_are_asks_or_text() {
        let ask = Ask::Reset { summarize: true };
        let content = ask.to_content().unwrap();
        let read = |language, content: &[u8]| {
            super::read(&message(Performative::Request, "key.x", language, content))
        };
        assert_eq!(read(Some(ASK_LANGUAGE), &content), Reading::Ask(ask));
        assert!(matches!(
            read(Some("en"), &content),
            Reading::Ask(Ask::Say(_))
        ));
        assert!(matches!(
            read(Some(ASK_LANGUAGE), b"{}"),
            Reading::NotUnderstood(_)
        ));
        assert!(matches!(read(None, b"\xff"), Reading::NotUnderstood(_)));
    }
}
