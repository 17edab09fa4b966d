//! What whoever follows a turn hears of a model's answer while it is written.

use crate::turn::BETWEEN;
use caxton_core::model::ModelEvent;
use caxton_core::session::TurnEvent;

/// One answer, as it is heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    /// Something was said in this turn before, and stands apart from what comes now.
    apart: bool,
}

impl Voice {
    pub(crate) const fn new(has_spoken: bool) -> Self {
        Self { apart: has_spoken }
    }

    pub(crate) const fn is_apart(self) -> bool {
        self.apart
    }

    /// What is told of a piece. Calls of tools are told when they are whole.
    pub(crate) fn hear(&mut self, event: &ModelEvent) -> Option<TurnEvent> {
        match event {
            ModelEvent::Text(text) if text.is_empty() => None,
            ModelEvent::Text(text) => {
                let apart = std::mem::replace(&mut self.apart, false);
                let before = if apart { BETWEEN } else { "" };
                let text = format!("{before}{text}");
                Some(TurnEvent::Text { text })
            }
            ModelEvent::Thinking(text) if !text.is_empty() => {
                let text = text.clone();
                Some(TurnEvent::Thinking { text })
            }
            ModelEvent::ThinkingSigned(signature) if !signature.is_empty() => {
                let signature = signature.clone();
                Some(TurnEvent::ThinkingSigned { signature })
            }
            ModelEvent::Other(part) => {
                let data = part.redacted()?.to_owned();
                Some(TurnEvent::ThinkingRedacted { data })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_in_two_steps_stands_apart_once() {
        let mut voice = Voice::new(true);
        let mut heard = String::new();
        for piece in ["", "a", "b"] {
            if let Some(TurnEvent::Text { text }) = voice.hear(&ModelEvent::Text(piece.into())) {
                heard.push_str(&text);
            }
        }
        assert_eq!(heard, "\n\nab");
        let mut first = Voice::new(false);
        let said = first.hear(&ModelEvent::Text("a".into()));
        assert_eq!(said, Some(TurnEvent::Text { text: "a".into() }));
        let thought = first.hear(&ModelEvent::Thinking("hm".into()));
        assert_eq!(thought, Some(TurnEvent::Thinking { text: "hm".into() }));
        let signed = first.hear(&ModelEvent::ThinkingSigned("x".into()));
        let signature = "x".into();
        assert_eq!(signed, Some(TurnEvent::ThinkingSigned { signature }));
        assert_eq!(first.hear(&ModelEvent::ThinkingSigned("".into())), None);
    }
}
