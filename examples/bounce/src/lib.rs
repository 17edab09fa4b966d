//! An agent that sends every message back to whoever it came from: a ball that two of these throw to
//! each other flies until the server's hop limit ends it.
//!
//! It is what the bench measures messages between agents with, and a way to see the hop limit.

use caxton_agent::{Agent, Message, Performative};

struct Bounce;

impl Agent for Bounce {
    fn handle(message: Message) -> Result<(), String> {
        match message.performative {
            // What the platform says about a message is not a ball.
            Performative::Failure | Performative::NotUnderstood => {}
            _ => {
                back(message).send()?;
            }
        }
        Ok(())
    }
}

caxton_agent::export!(Bounce);

/// The same content as a fact, to where the message came from.
fn back(message: Message) -> Message {
    message.into_reply(Performative::Inform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ball_goes_back_as_it_came() {
        let mut ball = Message::new(Performative::Request).content([0_u8, 0xff]);
        ball.sender = Some("thrower@default".into());
        ball.conversation_id = Some("game".to_owned());
        let returned = back(ball.clone());
        assert_eq!(returned.performative, Performative::Inform);
        assert_eq!(returned.content, ball.content);
        assert_eq!(returned.conversation_id, ball.conversation_id);
        let receivers: Vec<_> = returned.receivers.iter().map(|to| &to.name).collect();
        assert_eq!(receivers, ["thrower@default"]);
    }
}
