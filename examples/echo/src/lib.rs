//! An agent that answers with what it was sent: the least that is one.
//!
//! It must never answer an answer, or two echoes would talk until a hop limit stops them.

use caxton_agent::{Agent, Message, Performative};

struct Echo;

impl Agent for Echo {
    fn handle(message: Message) -> Result<(), String> {
        match message.performative {
            Performative::Request | Performative::QueryRef => echo(&message).send().map(drop)?,
            _ => message.answer_not_understood("an echo takes request and query-ref")?,
        }
        Ok(())
    }
}

caxton_agent::export!(Echo);

/// The same content, described by the same parameters, as a fact.
fn echo(message: &Message) -> Message {
    let mut reply = message
        .reply(Performative::Inform)
        .content(message.content.as_slice());
    reply.language.clone_from(&message.language);
    reply.encoding.clone_from(&message.encoding);
    reply.ontology.clone_from(&message.ontology);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_its_description_come_back_as_an_inform() {
        let message = Message::new(Performative::Request)
            .content([0_u8, 0xff])
            .encoding("raw")
            .language("none")
            .ontology("noise")
            .reply_with("r1");
        let reply = echo(&message);
        assert_eq!(reply.performative, Performative::Inform);
        assert_eq!(reply.content, message.content);
        assert_eq!(reply.encoding.as_deref(), Some("raw"));
        assert_eq!(reply.language.as_deref(), Some("none"));
        assert_eq!(reply.ontology.as_deref(), Some("noise"));
        assert_eq!(reply.in_reply_to.as_deref(), Some("r1"));
        assert!(
            echo(&Message::new(Performative::Request))
                .content
                .is_empty()
        );
    }
}
