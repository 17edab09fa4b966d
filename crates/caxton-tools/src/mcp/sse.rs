//! Server-sent events of a stranger: each bounded before it is gathered.

use bytes::Bytes;
use caxton_engine::port::http::HttpFault;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use sse_stream::{Error, Sse, SseStream};

/// Why a stream was given up.
#[derive(Debug, thiserror::Error)]
#[error("an event has more than {0} bytes")]
pub struct EventTooLarge(usize);

/// Counts what of an unfinished event has come.
#[derive(Debug, Default)]
struct Meter {
    bytes: usize,
    /// The line that comes has something in it.
    in_line: bool,
}

impl Meter {
    /// Whether all of the events in this piece stay within the bound. An empty line ends an event;
    /// `\r\n` and `\n` alike, since a `\r` is no part of a line.
    fn takes(&mut self, piece: &[u8], bytes_max: usize) -> bool {
        for &byte in piece {
            match byte {
                b'\n' if !self.in_line => self.bytes = 0,
                b'\n' => self.in_line = false,
                b'\r' => {}
                _ => self.in_line = true,
            }
            self.bytes += 1;
            if self.bytes > bytes_max {
                return false;
            }
        }
        true
    }
}

/// The events of a body. `too_large` is called before a stream ends for that.
pub fn events(
    body: BoxStream<'static, Result<Bytes, HttpFault>>,
    bytes_max: usize,
    too_large: impl Fn() + Send + Sync + 'static,
) -> BoxStream<'static, Result<Sse, Error>> {
    let mut meter = Meter::default();
    let metered = body.map(move |piece| {
        let piece = piece.map_err(Box::<dyn std::error::Error + Send + Sync>::from)?;
        if !meter.takes(&piece, bytes_max) {
            too_large();
            return Err(Box::<dyn std::error::Error + Send + Sync>::from(
                EventTooLarge(bytes_max),
            ));
        }
        Ok(piece)
    });
    let metered = metered.map(|it| it.map_err(Boxed));
    SseStream::from_bytes_stream(metered).boxed()
}

/// A boxed error as an error.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Boxed(Box<dyn std::error::Error + Send + Sync>);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_are_bounded_and_streams_are_not() {
        let mut meter = Meter::default();
        for _ in 0..100 {
            assert!(meter.takes(b"data: 1\r\n\r\ndata: 2\n\n", 16));
        }
        assert!(!meter.takes(b"data: 12345678901", 16));
        let mut meter = Meter::default();
        assert!(meter.takes(b"data: 1\n", 16));
        assert!(!meter.takes(b"data: 2\ndata: 3\n", 16));
    }

    #[test]
    fn what_is_too_large_ends_the_stream() {
        let called = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&called);
        let pieces = ["data: a\n\n", "data: 12345678901234567890\n\n"];
        let body = futures::stream::iter(pieces.map(|it| Ok(Bytes::from(it)))).boxed();
        let events = events(body, 16, move || {
            seen.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        let found: Vec<_> = futures::executor::block_on(events.collect());
        assert_eq!(found[0].as_ref().unwrap().data.as_deref(), Some("a"));
        assert!(found[1].is_err());
        assert!(called.load(std::sync::atomic::Ordering::SeqCst));
    }
}
