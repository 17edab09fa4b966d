//! Events as they go over the wire, written from a turn's beginning each time.
//!
//! A dialect's events are not one to one with a turn's, and what the next one looks like may depend
//! on those before. So a stream that goes on after `Last-Event-ID` is encoded again from its first
//! event, and only what comes after that id is written: the same bytes as without the break.

use bytes::Bytes;
use caxton_core::session::TurnId;
use serde::Serialize;
use serde_json::Value;

/// Events, numbered within their turn, as bytes.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// `<turn>.`
    prefix: String,
    written: u64,
    /// Events that the client has.
    seen: u64,
    out: Vec<u8>,
}

impl Blocks {
    /// Leaves out the first `seen` events.
    pub(crate) fn new(turn: TurnId, seen: u64) -> Self {
        Self {
            prefix: format!("{turn}."),
            written: 0,
            seen,
            out: Vec::new(),
        }
    }

    /// Events written, those left out too.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// One event with its name, where the dialect names events.
    pub(crate) fn event(&mut self, name: Option<&str>, data: &impl Serialize) {
        if !self.begin(name) {
            return;
        }
        // What the doors write is made of strings and numbers: it is JSON always.
        let _ = serde_json::to_writer(&mut self.out, data);
        self.out.extend_from_slice(b"\n\n");
    }

    /// One event whose data is this text, on one line.
    pub(crate) fn text(&mut self, data: &str) {
        if self.begin(None) {
            self.out.extend_from_slice(data.as_bytes());
            self.out.extend_from_slice(b"\n\n");
        }
    }

    /// Whether the client has not seen it; its head then.
    fn begin(&mut self, name: Option<&str>) -> bool {
        use std::io::Write as _;
        self.written += 1;
        if self.written <= self.seen {
            return false;
        }
        if let Some(name) = name {
            self.out.extend_from_slice(b"event: ");
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'\n');
        }
        self.out.extend_from_slice(b"id: ");
        self.out.extend_from_slice(self.prefix.as_bytes());
        let _ = write!(self.out, "{}\ndata: ", self.written);
        true
    }

    /// All that was written since the last time.
    pub(crate) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }
}

/// The place that an event's id names: the turn, and the number within it.
pub(crate) fn place(id: &str) -> Option<(TurnId, u64)> {
    let (turn, number) = id.rsplit_once('.')?;
    Some((TurnId::parse(turn).ok()?, number.parse().ok()?))
}

/// Sets a field of an object.
pub(super) fn put(into: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = into {
        fields.insert(name.to_owned(), value);
    }
}

/// One block that has no id: a stream does not go on behind it.
pub(crate) fn unnumbered(name: Option<&str>, data: &impl Serialize) -> Bytes {
    let mut out = Vec::new();
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    let _ = serde_json::to_writer(&mut out, data);
    out.extend_from_slice(b"\n\n");
    out.into()
}
