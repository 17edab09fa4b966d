//! Timers. One fires as a message from the agent to itself, which [`fired`] recognises.

use crate::bindings::caxton::agent::timers;
use crate::{AgentId, Error, Message, Performative, identity};

/// The ontology of a timer's message.
pub const ONTOLOGY: &str = "caxton.timer";

/// Sets the timer of this name, replacing one of the same name.
///
/// # Errors
/// The name or the content is larger than the server allows, or the agent has too many timers.
pub fn set(name: &str, after_ms: u64, content: impl AsRef<[u8]>) -> Result<(), Error> {
    timers::set(name, after_ms, content.as_ref())
}

/// Takes a timer back; one that is not set is no error.
///
/// # Errors
/// The server refused or could not write.
pub fn cancel(name: &str) -> Result<(), Error> {
    timers::cancel(name)
}

/// The timer's name, where this message is one of the own timers firing. Another agent that copies
/// the form is not believed: the server sets the sender.
#[must_use]
pub fn fired(message: &Message) -> Option<&str> {
    if message.ontology.as_deref() != Some(ONTOLOGY) {
        return None;
    }
    fired_of(message, &identity::me())
}

fn fired_of<'a>(message: &'a Message, me: &AgentId) -> Option<&'a str> {
    let own = message.sender.as_ref() == Some(me);
    if own && message.performative == Performative::Inform {
        message.in_reply_to.as_deref()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_timer_is_believed() {
        let me = AgentId::new("buyer@t");
        let mut message = Message::new(Performative::Inform).ontology(ONTOLOGY);
        message.in_reply_to = Some("bids".into());
        assert_eq!(fired_of(&message, &me), None);
        message.sender = Some(AgentId::new("mallory@t"));
        assert_eq!(fired_of(&message, &me), None);
        message.sender = Some(me.clone());
        assert_eq!(fired_of(&message, &me), Some("bids"));
        message.performative = Performative::Request;
        assert_eq!(fired_of(&message, &me), None);
        // Decided before the host is asked who this is, which natively would abort.
        assert_eq!(fired(&Message::new(Performative::Inform)), None);
    }
}
