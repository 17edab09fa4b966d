//! A shortcut for what most of a stream is: events that differ in one text alone.
//!
//! A reader of JSON that has read the same bytes is in the same state. So when an event begins with
//! the bytes that stood before the text in an earlier one, and ends with those that stood after it, the
//! text between, if it is one whole JSON string, is all that is new: nothing else needs reading again.

use caxton_core::model::ModelEvent;

/// Learns from events that were read whole, and answers later ones.
#[derive(Debug, Default)]
pub struct Template {
    prefix: Vec<u8>,
    suffix: Vec<u8>,
    make: Option<fn(String) -> ModelEvent>,
    /// Times it was learnt without having been of use.
    idle: u8,
}

/// Where in an event its text stands, quotes left out, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    from: usize,
    to: usize,
    make: fn(String) -> ModelEvent,
}

impl Slot {
    /// The place of a text that was lent from the event. `None` where it was not: it had escapes.
    pub fn of(data: &[u8], text: &str, make: fn(String) -> ModelEvent) -> Option<Self> {
        let range = data.as_ptr_range();
        let inner = text.as_bytes().as_ptr_range();
        if inner.start <= range.start || inner.end >= range.end {
            return None;
        }
        let from = inner.start.addr() - range.start.addr();
        Some(Self {
            from,
            to: from + text.len(),
            make,
        })
    }
}

/// Learning is given up where events always differ elsewhere, too.
const IDLE_MAX: u8 = 8;
/// What is longer is no small event.
const FRAME_BYTES_MAX: usize = 4 << 10;

impl Template {
    /// The event, if it is the known one with another text.
    pub fn apply(&mut self, data: &[u8]) -> Option<ModelEvent> {
        let make = self.make?;
        let rest = data.strip_prefix(&*self.prefix)?;
        let text = rest.strip_suffix(&*self.suffix)?;
        let plain = |byte: &u8| *byte != b'"' && *byte != b'\\' && *byte >= 0x20;
        let text = if text.iter().all(plain) {
            std::str::from_utf8(text).ok()?.to_owned()
        } else {
            // With its quotes: the frame's last and first byte.
            let to = data.len() - self.suffix.len() + 1;
            let quoted = data.get(self.prefix.len() - 1..to)?;
            serde_json::from_slice(quoted).ok()?
        };
        self.idle = 0;
        // An empty text is no event; whoever reads all of it decides.
        (!text.is_empty()).then(|| make(text))
    }

    /// What was learnt holds no longer.
    pub fn forget(&mut self) {
        self.make = None;
    }

    /// Remembers an event that is nothing but this text.
    pub fn learn(&mut self, data: &[u8], slot: Option<Slot>) {
        let Some(slot) = slot else { return };
        let frame = data.len() - (slot.to - slot.from);
        if self.idle >= IDLE_MAX || frame > FRAME_BYTES_MAX {
            self.make = None;
            return;
        }
        let (Some(prefix), Some(suffix)) = (data.get(..slot.from), data.get(slot.to..)) else {
            return;
        };
        if prefix.last() != Some(&b'"') || suffix.first() != Some(&b'"') {
            return;
        }
        self.idle += 1;
        self.prefix.clear();
        self.prefix.extend_from_slice(prefix);
        self.suffix.clear();
        self.suffix.extend_from_slice(suffix);
        self.make = Some(slot.make);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn learnt(data: &str, text: &str) -> Template {
        let at = data.find(text).unwrap();
        let mut template = Template::default();
        let slot = Slot::of(
            data.as_bytes(),
            &data[at..at + text.len()],
            ModelEvent::Text,
        );
        template.learn(data.as_bytes(), slot);
        template
    }

    #[test]
    fn only_another_text_in_the_same_frame_is_answered() {
        let mut template = learnt(r#"{"a":1,"t":"old","z":2}"#, "old");
        let mut check = |data: &str, expected: Option<&str>| {
            let found = template.apply(data.as_bytes());
            let expected = expected.map(|text| ModelEvent::Text(text.to_owned()));
            assert_eq!(found, expected, "{data}");
        };
        check(r#"{"a":1,"t":"new","z":2}"#, Some("new"));
        check(r#"{"a":1,"t":"é😀","z":2}"#, Some("é😀"));
        check(r#"{"a":1,"t":"l\n\"q\"\u00e9","z":2}"#, Some("l\n\"q\"é"));
        check(r#"{"a":2,"t":"new","z":2}"#, None);
        check(r#"{"a":1,"t":"new","z":3}"#, None);
        // More than one string between.
        check(r#"{"a":1,"t":"x","u":"y","z":2}"#, None);
        check(r#"{"a":1,"t":"x\","z":2}"#, None);
        check(r#"{"a":1,"t":"","z":2}"#, None);
        // The two ends may not overlap.
        check(r#"{"a":1,"t":""#, None);
        check("{\"a\":1,\"t\":\"\u{1}\",\"z\":2}", None);
    }

    #[test]
    fn a_text_that_was_not_lent_teaches_nothing() {
        let mut template = Template::default();
        let own = String::from("elsewhere");
        assert!(Slot::of(b"{}", &own, ModelEvent::Text).is_none());
        template.learn(b"{}", None);
        assert_eq!(template.apply(b"{}"), None);
    }
}
