//! Server-sent events, read piece by piece as the bytes come.
//!
//! What providers stream is hundreds of small events a reply, so an event that lies whole in one piece
//! is lent from it and never copied. Memory is bounded: an event past [`EVENT_BYTES_MAX`] is a fault as
//! soon as it is, however long it would have gone on. The grammar is that of the HTML standard (9.2.6:
//! lines end with LF, CR or CRLF, a byte order mark may stand first, `:` begins a comment), with one
//! leniency: an event at the very end counts without the empty line after it. `id` and `retry` mean
//! nothing here. Bytes are not looked at as text: who reads an event's data as JSON does that.

use memchr::memchr2;

/// Most bytes of one event's data, and of one line. A provider's last event may repeat the whole
/// answer, and what was asked.
pub const EVENT_BYTES_MAX: usize = 16 << 20;
/// Bytes of buffer that are kept from one event to the next.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// Bytes of an event's name that are kept: longer than any that means something.
const NAME_BYTES_MAX: usize = 64;

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Empty where the stream did not say.
    pub name: &'a [u8],
    /// The lines of data, joined by LF.
    pub data: &'a [u8],
}

/// A line or an event is larger than [`EVENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Reads events.
#[derive(Debug, Default)]
pub struct Reader {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The data of the event so far, where it could not be lent.
    data: Vec<u8>,
    /// Whether the event has data: it may be empty.
    has_data: bool,
    name: Vec<u8>,
    /// The last byte was CR: an LF right after it ends no further line.
    after_cr: bool,
    /// The stream's first bytes have been looked at for a byte order mark.
    begun: bool,
}

const MARK: &[u8] = b"\xef\xbb\xbf";

impl Reader {
    /// Takes the next bytes; gives each event that ends in them.
    ///
    /// # Errors
    /// [`TooLarge`], and what `on` answers: then the rest of the bytes is lost.
    pub fn feed<E: From<TooLarge>>(
        &mut self,
        mut piece: &[u8],
        mut on: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Data lent from this piece; moved to `self.data` when there is more of it, or no end.
        let mut lent: Option<&[u8]> = None;
        while !piece.is_empty() {
            if self.after_cr {
                self.after_cr = false;
                if let Some(rest) = piece.strip_prefix(b"\n") {
                    piece = rest;
                    continue;
                }
            }
            let Some(end) = memchr2(b'\n', b'\r', piece) else {
                self.keep(piece)?;
                break;
            };
            let (head, rest) = piece.split_at(end);
            self.after_cr = rest.first() == Some(&b'\r');
            piece = rest.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                let head = self.without_mark(head);
                self.line(head, &mut lent, &mut on)?;
            } else {
                self.keep(head)?;
                let line = std::mem::take(&mut self.line);
                let head = self.without_mark(&line);
                // A line from two pieces cannot be lent beyond this turn.
                let mut own = None;
                self.spill(&mut lent)?;
                self.line(head, &mut own, &mut on)?;
                self.spill(&mut own)?;
                self.line = line;
                self.line.clear();
                self.line.shrink_to(KEPT_BYTES_MAX);
            }
        }
        self.spill(&mut lent)?;
        Ok(())
    }

    /// The stream has ended: what was begun is whole.
    ///
    /// # Errors
    /// As [`Reader::feed`].
    pub fn end<E: From<TooLarge>>(
        &mut self,
        mut on: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.feed(b"\n", &mut on)?;
        self.feed(b"\n", &mut on)
    }

    /// One line, without its end.
    fn line<'p, E: From<TooLarge>>(
        &mut self,
        line: &'p [u8],
        lent: &mut Option<&'p [u8]>,
        on: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if line.is_empty() {
            return self.dispatch(lent, on);
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            self.data_line(without_space(value), lent)?;
        } else if let Some(value) = line.strip_prefix(b"event:") {
            self.name.clear();
            let value = without_space(value);
            let kept = value.get(..NAME_BYTES_MAX).unwrap_or(value);
            self.name.extend_from_slice(kept);
        } else if line == b"data" {
            self.data_line(b"", lent)?;
        }
        Ok(())
    }

    fn data_line<'p>(
        &mut self,
        value: &'p [u8],
        lent: &mut Option<&'p [u8]>,
    ) -> Result<(), TooLarge> {
        if !self.has_data {
            self.has_data = true;
            *lent = Some(value);
            return Ok(());
        }
        self.spill(lent)?;
        self.data.push(b'\n');
        self.add(value)
    }

    /// An empty line ends the event; one without data is none.
    fn dispatch<E>(
        &mut self,
        lent: &mut Option<&[u8]>,
        on: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let done = if self.has_data {
            on(Event {
                name: &self.name,
                data: lent.take().unwrap_or(&self.data),
            })
        } else {
            Ok(())
        };
        self.has_data = false;
        self.data.clear();
        self.data.shrink_to(KEPT_BYTES_MAX);
        self.name.clear();
        done
    }

    /// Keeps lent data past its piece.
    fn spill(&mut self, lent: &mut Option<&[u8]>) -> Result<(), TooLarge> {
        match lent.take() {
            Some(value) => self.add(value),
            None => Ok(()),
        }
    }

    fn add(&mut self, value: &[u8]) -> Result<(), TooLarge> {
        if self.data.len() + value.len() > EVENT_BYTES_MAX {
            return Err(TooLarge);
        }
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        if self.line.len() + part.len() > EVENT_BYTES_MAX {
            return Err(TooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn without_mark<'p>(&mut self, line: &'p [u8]) -> &'p [u8] {
        if self.begun {
            return line;
        }
        self.begun = true;
        line.strip_prefix(MARK).unwrap_or(line)
    }
}

fn without_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    type Read = Vec<(String, String)>;

    fn read(pieces: &[&[u8]]) -> Result<Read, TooLarge> {
        let mut reader = Reader::default();
        let mut found = Read::new();
        let mut on = |event: Event<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            found.push((text(event.name), text(event.data)));
            Ok(())
        };
        for piece in pieces {
            reader.feed(piece, &mut on)?;
        }
        reader.end(&mut on)?;
        Ok(found)
    }

    #[track_caller]
    fn check(stream: &str, expected: &[(&str, &str)]) {
        let own = |(name, data): &(&str, &str)| ((*name).to_owned(), (*data).to_owned());
        let expected: Read = expected.iter().map(own).collect();
        assert_eq!(read(&[stream.as_bytes()]).unwrap(), expected);
        // Each byte alone is the hardest split.
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes).unwrap(), expected, "byte by byte");
    }

    #[test]
    fn events_are_read_as_the_standard_has_them() {
        check("data: a\n\n", &[("", "a")]);
        check("event: e\ndata: a\n\n", &[("e", "a")]);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]);
        check("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]);
        check("data: a\ndata: b\ndata\n\n", &[("", "a\nb\n")]);
        check("data:a\n\ndata:  a\n\n", &[("", "a"), ("", " a")]);
        check(
            ": a comment\n\ndata: a\nid: 1\nretry: 2\nnonsense\n\n",
            &[("", "a")],
        );
        check("event: lost\n\ndata: a\n\n", &[("", "a")]);
        check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[("", "a")]);
        check("data:\n\n", &[("", "")]);
        check("data: é😀\n\n", &[("", "é😀")]);
    }

    #[test]
    fn the_last_event_needs_no_empty_line() {
        check("data: a", &[("", "a")]);
        check("data: a\n", &[("", "a")]);
        check("data: a\r", &[("", "a")]);
        check("data: a\r\n", &[("", "a")]);
        check("", &[]);
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_bound() {
        let piece = vec![b'x'; 1 << 20];
        let mut reader = Reader::default();
        let fed = (0..1024).find(|_| {
            let fed: Result<(), TooLarge> = reader.feed(&piece, |_| Ok(()));
            fed.is_err()
        });
        assert_eq!(fed, Some(EVENT_BYTES_MAX >> 20));
        assert!(reader.line.capacity() <= 2 * EVENT_BYTES_MAX);
        // Many lines of one event are bounded alike.
        let mut reader = Reader::default();
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        let fed = (0..1024).find(|_| {
            let fed: Result<(), TooLarge> = reader.feed(&line, |_| Ok(()));
            fed.is_err()
        });
        assert_eq!(fed, Some((EVENT_BYTES_MAX >> 20) - 1));
    }

    #[test]
    fn what_the_listener_refuses_ends_the_feeding() {
        let mut reader = Reader::default();
        let mut seen = 0;
        let fed = reader.feed(b"data: a\n\ndata: b\n\n", |_| {
            seen += 1;
            Err(TooLarge)
        });
        assert_eq!((fed, seen), (Err(TooLarge), 1));
    }

    proptest! {
        /// However the bytes are cut, the events are the same.
        #[test]
        fn any_split_gives_the_same_events(
            stream in "((data|event|id|:|x)(: ?|)[a-c é]{0,4}(\r\n|\n|\r)|\r\n|\n|\r){0,12}",
            cuts in proptest::collection::vec(0_usize..80, 0..8),
        ) {
            let whole = read(&[stream.as_bytes()]).unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(stream.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for at in cuts {
                pieces.push(&stream.as_bytes()[from..at]);
                from = at;
            }
            pieces.push(&stream.as_bytes()[from..]);
            prop_assert_eq!(read(&pieces).unwrap(), whole);
        }
    }
}
