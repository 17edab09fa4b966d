//! Reading a stream of server-sent events (WHATWG HTML, 9.2.6), as far as our server writes them.

use std::marker::PhantomData;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::ClientError;
use crate::rest::sse::ERROR_EVENT;

/// Longest line of a stream, in bytes.
const LINE_BYTES_MAX: usize = 64 << 20;

/// The items of a server stream.
#[derive(Debug)]
pub struct EventStream<T> {
    body: Incoming,
    lines: Lines,
    event: Event,
    last_event_id: Option<String>,
    silence: Duration,
    item: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> EventStream<T> {
    pub(super) fn new(body: Incoming, silence: Duration) -> Self {
        Self {
            body,
            lines: Lines::default(),
            event: Event::default(),
            last_event_id: None,
            silence,
            item: PhantomData,
        }
    }

    /// The id of the last item that had one: what to resume after.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// The next item; `None` where the server ended the stream. May be dropped and called again
    /// without losing anything. After an error there is nothing more to come.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        loop {
            match self.lines.next() {
                Ok(Some(line)) => {
                    if let Some(event) = self.event.take_line(&line) {
                        return Some(self.item(event));
                    }
                }
                Ok(None) => match timeout(self.silence, self.body.frame()).await {
                    Err(_) => return Some(Err(ClientError::TimedOut(self.silence))),
                    // An event without its empty line is incomplete, and the standard drops it.
                    Ok(None) => return None,
                    Ok(Some(Err(error))) => {
                        return Some(Err(ClientError::Interrupted(Box::new(error))));
                    }
                    Ok(Some(Ok(frame))) => {
                        if let Some(data) = frame.data_ref() {
                            self.lines.push(data);
                        }
                    }
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn item(&mut self, event: Event) -> Result<T, ClientError> {
        let misfit = |source: serde_json::Error| ClientError::Unexpected {
            what: "an event that does not fit the contract".to_owned(),
            source: Some(Box::new(source)),
        };
        if event.name == ERROR_EVENT {
            let problem = serde_json::from_str(&event.data).map_err(misfit)?;
            return Err(ClientError::Problem {
                problem: Box::new(problem),
                retry_after: None,
            });
        }
        let item = serde_json::from_str(&event.data).map_err(misfit)?;
        if event.id.is_some() {
            self.last_event_id = event.id;
        }
        Ok(item)
    }
}

/// Bytes as they come, taken out a line at a time.
#[derive(Debug, Default)]
struct Lines {
    bytes: BytesMut,
    /// Bytes already searched for a line's end.
    searched: usize,
}

impl Lines {
    fn push(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    fn next(&mut self) -> Result<Option<String>, ClientError> {
        let fresh = self.bytes.iter().skip(self.searched);
        let Some(more) = fresh.clone().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            if self.searched > LINE_BYTES_MAX {
                return Err(ClientError::unexpected("an event larger than 64 MiB"));
            }
            return Ok(None);
        };
        let mut line = self.bytes.split_to(self.searched + more);
        self.bytes.advance(1);
        self.searched = 0;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        match String::from_utf8(line.to_vec()) {
            Ok(line) => Ok(Some(line)),
            Err(_) => Err(ClientError::unexpected("an event that is not UTF-8")),
        }
    }
}

/// One event, as far as its lines have come.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: Option<String>,
    name: String,
    data: String,
}

impl Event {
    /// Takes a line; an empty one completes the event, if it has data.
    fn take_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(self);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "id" => self.id = Some(value.to_owned()),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // A comment (an empty field name), `retry`, or what a later version adds.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<Event> {
        let (mut lines, mut event, mut events) = (Lines::default(), Event::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk);
            while let Some(line) = lines.next().unwrap() {
                events.extend(event.take_line(&line));
            }
        }
        events
    }

    const STREAM: &[u8] = b": heartbeat\n\nevent: log\ndata: {\"a\":\xc3\xa9}\nid: 7\n\n\
        data:x\r\ndata: y\r\n\r\nevent: half";

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let event = |id: Option<&str>, name: &str, data: &str| Event {
            id: id.map(str::to_owned),
            name: name.to_owned(),
            data: data.to_owned(),
        };
        let expected = [
            event(Some("7"), "log", "{\"a\":é}"),
            event(None, "", "x\ny"),
        ];
        assert_eq!(events(&[STREAM]), expected);
        for cut in 0..STREAM.len() {
            let (a, b) = STREAM.split_at(cut);
            assert_eq!(events(&[a, b]), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(events(&bytes), expected);
    }
}
