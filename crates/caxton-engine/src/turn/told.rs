//! The events of one turn, packed. Nearly all of them are a few letters of text, and a turn stays at
//! hand for a while after its end: each as an event of its own would take some 200 bytes for them.

use caxton_core::session::TurnEvent;
use std::sync::Arc;

/// An event with its id, which grows within its turn.
pub type Numbered = (u64, Arc<TurnEvent>);

/// Events in the order of their ids.
#[derive(Default)]
pub(super) struct Told {
    entries: Vec<Entry>,
    /// What all texts say, one after the other.
    texts: String,
}

struct Entry {
    id: u64,
    what: What,
}

enum What {
    Text(Span),
    Thinking(Span),
    Other(Arc<TurnEvent>),
}

/// A part of the texts. A turn has no more bytes than 32 bits count
/// ([`TURN_BYTES_MAX`](super::live::TURN_BYTES_MAX)).
#[derive(Clone, Copy)]
struct Span {
    from: u32,
    bytes: u32,
}

impl Told {
    pub(super) fn push(&mut self, id: u64, event: TurnEvent) {
        let what = match event {
            TurnEvent::Text { text } => What::Text(self.keep(&text)),
            TurnEvent::Thinking { text } => What::Thinking(self.keep(&text)),
            event => What::Other(Arc::new(event)),
        };
        self.entries.push(Entry { id, what });
    }

    fn keep(&mut self, text: &str) -> Span {
        let count = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let from = count(self.texts.len());
        self.texts.push_str(text);
        Span {
            from,
            bytes: count(text.len()),
        }
    }

    /// Gives back the room for more: nothing comes after.
    pub(super) fn close(&mut self) {
        self.entries.shrink_to_fit();
        self.texts.shrink_to_fit();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn last_id(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.id)
    }

    /// The last event, where it is no text.
    pub(super) fn last(&self) -> Option<&TurnEvent> {
        match &self.entries.last()?.what {
            What::Other(event) => Some(event),
            What::Text(_) | What::Thinking(_) => None,
        }
    }

    /// Whether anything was told but that the turn has begun.
    pub(super) fn has_spoken(&self) -> bool {
        self.entries.iter().any(|entry| match &entry.what {
            What::Other(event) => !matches!(**event, TurnEvent::Started { .. }),
            What::Text(_) | What::Thinking(_) => true,
        })
    }

    /// The events after an id.
    pub(super) fn after(&self, id: u64) -> impl ExactSizeIterator<Item = Numbered> {
        let from = self.entries.partition_point(|entry| entry.id <= id);
        let new = self.entries.get(from..).unwrap_or_default();
        new.iter().map(|entry| (entry.id, self.event(&entry.what)))
    }

    fn event(&self, what: &What) -> Arc<TurnEvent> {
        match what {
            What::Other(event) => Arc::clone(event),
            What::Text(span) => Arc::new(TurnEvent::Text {
                text: self.text(*span),
            }),
            What::Thinking(span) => Arc::new(TurnEvent::Thinking {
                text: self.text(*span),
            }),
        }
    }

    fn text(&self, Span { from, bytes }: Span) -> String {
        let from = from as usize;
        let text = self.texts.get(from..from + bytes as usize);
        text.unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_told_is_read_as_it_was_told() {
        let notice = TurnEvent::Notice { text: "n".into() };
        let text = |text: &str| TurnEvent::Text { text: text.into() };
        let thought = TurnEvent::Thinking { text: "hm".into() };
        let all = [text("é"), thought, text(""), notice.clone(), text("b😀")];
        let mut told = Told::default();
        assert!(told.is_empty() && !told.has_spoken() && told.last_id().is_none());
        for (n, event) in (1..).zip(&all) {
            // Ids may leave gaps.
            told.push(n * 10, event.clone());
        }
        told.close();
        let read = |after| -> Vec<(u64, TurnEvent)> {
            let new = told.after(after);
            new.map(|(id, event)| (id, (*event).clone())).collect()
        };
        let expected: Vec<_> = (1..).map(|n| n * 10).zip(all).collect();
        assert_eq!(read(0), expected);
        assert_eq!(read(29), expected.get(2..).unwrap());
        assert_eq!(read(30), expected.get(3..).unwrap());
        assert_eq!(told.after(30).len(), 2);
        assert_eq!(read(50), []);
        assert_eq!((told.last_id(), told.last()), (Some(50), None));
        told.push(60, notice.clone());
        assert_eq!(told.last(), Some(&notice));
    }
}
