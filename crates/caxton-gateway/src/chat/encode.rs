//! A turn's events as server-sent events: what the contract's message is as JSON.

use bytes::Bytes;
use caxton_api::ApiError;
use caxton_api::rest::sse::ERROR_EVENT;
use caxton_core::session::TurnEvent;
use caxton_engine::turn::Numbered;
use std::io::Write as _;

use crate::compat::blocks::unnumbered;
use crate::convert::turn::{Followed, event, name};
use crate::turn::Encoder;

/// Writes a turn's events.
#[derive(Debug)]
pub(super) struct Events {
    of: Followed,
    /// The turn's id, as text.
    turn: String,
}

impl Events {
    pub(super) fn new(of: Followed) -> Self {
        let turn = of.turn.to_string();
        Self { of, turn }
    }

    fn write(&self, number: u64, it: &TurnEvent, out: &mut Vec<u8>) {
        let (turn, name) = (&self.turn, name(it));
        let _ = write!(out, "event: {name}\nid: {turn}.{number}\ndata: ");
        match it {
            // Most of all events: written without the message in between.
            TurnEvent::Text { text } | TurnEvent::Thinking { text } => {
                let head =
                    format_args!("{{\"id\":\"{turn}.{number}\",\"type\":\"{name}\",\"text\":");
                let _ = out.write_fmt(head);
                let _ = serde_json::to_writer(&mut *out, text);
                out.push(b'}');
            }
            it => {
                let _ = serde_json::to_writer(&mut *out, &event(&self.of, number, it));
            }
        }
        out.extend_from_slice(b"\n\n");
    }
}

impl Encoder for Events {
    fn batch(&mut self, events: &[Numbered]) -> Bytes {
        let mut out = Vec::new();
        for (number, it) in events {
            self.write(*number, it, &mut out);
        }
        out.into()
    }

    fn broken(error: &ApiError) -> Bytes {
        unnumbered(Some(ERROR_EVENT), &error.problem())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::MessageId;
    use caxton_core::session::SessionId;
    use std::sync::Arc;

    #[test]
    fn what_is_written_by_hand_is_the_contracts_json() {
        let id = MessageId::from_bytes([1; 16]);
        let of = Followed {
            turn: id,
            session: SessionId::of(id),
            trace_id: None,
        };
        let text = "\"é\n\u{1f600}\u{0}</script>".to_owned();
        for it in [
            TurnEvent::Text { text: text.clone() },
            TurnEvent::Thinking { text },
        ] {
            let message = serde_json::to_string(&event(&of, 7, &it)).unwrap();
            let name = name(&it);
            let expected = format!("event: {name}\nid: {id}.7\ndata: {message}\n\n");
            let written = Events::new(of.clone()).batch(&[(7, Arc::new(it))]);
            assert_eq!(std::str::from_utf8(&written).unwrap(), expected);
        }
    }
}
