//! Streams cut, split and spoilt: the same bytes give the same events however they come, and no bytes
//! make a decoder panic or an answer out of half of one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::model::{ModelEvent, ModelFaultKind};
use support::{DIALECTS, decode, streams};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

#[test]
fn any_split_of_a_recorded_stream_gives_the_same_events() {
    let mut random = Random(1);
    for (dialect, name, bytes) in streams() {
        let whole = decode(dialect, [&*bytes]);
        assert_eq!(
            decode(dialect, bytes.chunks(1)),
            whole,
            "{name} byte by byte"
        );
        for _ in 0..50 {
            let mut pieces = Vec::new();
            let mut rest = &*bytes;
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(1 + random.below(rest.len().min(200)));
                pieces.push(piece);
                rest = tail;
            }
            assert_eq!(decode(dialect, pieces), whole, "{name}");
        }
    }
}

/// Line ends mean the same, whichever they are.
#[test]
fn line_ends_do_not_matter() {
    for (dialect, name, bytes) in streams() {
        let whole = decode(dialect, [&*bytes]);
        let text = String::from_utf8(bytes).unwrap();
        for end in ["\r\n", "\r"] {
            let other = text.replace('\n', end);
            assert_eq!(decode(dialect, [other.as_bytes()]), whole, "{name} {end:?}");
        }
    }
}

/// An answer cut anywhere is never taken for a whole one: either its end had come, or it is a fault.
#[test]
fn an_answer_cut_anywhere_is_never_taken_for_a_whole_one() {
    for (dialect, name, bytes) in streams() {
        let (whole, fault) = decode(dialect, [&*bytes]);
        if fault.is_some() {
            continue;
        }
        let said = |events: &[ModelEvent]| -> usize { events.iter().map(ModelEvent::bytes).sum() };
        for at in 0..bytes.len() {
            let (events, fault) = decode(dialect, [&bytes[..at]]);
            let finished = matches!(events.last(), Some(ModelEvent::Finished(_)));
            assert_eq!(finished, fault.is_none(), "{name} at {at}");
            if finished {
                assert_eq!(said(&events), said(&whole), "{name} at {at}");
            }
            let kind = fault.map(|it| it.kind);
            let known = [
                None,
                Some(ModelFaultKind::Cut),
                Some(ModelFaultKind::Malformed),
            ];
            assert!(known.contains(&kind), "{name} at {at}: {kind:?}");
        }
    }
}

#[test]
fn ten_thousand_spoilt_streams_never_panic_and_end_once() {
    let recorded = streams();
    let mut random = Random(2);
    for round in 0..10_000 {
        let (dialect, name, bytes) = &recorded[random.below(recorded.len())];
        // Sometimes a stream of another provider.
        let dialect = if round % 16 == 0 {
            DIALECTS[random.below(3)].0
        } else {
            *dialect
        };
        let mut spoilt = bytes.clone();
        for _ in 0..=random.below(6) {
            let at = random.below(spoilt.len());
            let to = (at + random.below(60)).min(spoilt.len());
            match random.below(6) {
                0 => spoilt[at] = random.next() as u8,
                1 => drop(spoilt.drain(at..to)),
                2 => {
                    let copy = spoilt[at..to].to_vec();
                    spoilt.splice(at..at, copy);
                }
                3 => spoilt.truncate(at),
                4 => {
                    let odd = [
                        &b"null"[..],
                        b"[]",
                        b"{}",
                        b"-1",
                        b"1e999",
                        b"\"\\ud800\"",
                        b"\n\n",
                        b"\r",
                    ];
                    let odd = odd[random.below(odd.len())].to_vec();
                    spoilt.splice(at..to, odd);
                }
                _ => {
                    let from = random.below(bytes.len());
                    let other = bytes[from..(from + 80).min(bytes.len())].to_vec();
                    spoilt.splice(at..at, other);
                }
            }
            if spoilt.is_empty() {
                spoilt.push(b'x');
            }
        }
        let (events, fault) = decode(dialect, [&*spoilt]);
        let ends = events
            .iter()
            .filter(|it| matches!(it, ModelEvent::Finished(_)))
            .count();
        assert_eq!(ends, usize::from(fault.is_none()), "{name} round {round}");
        assert!(
            ends == 0 || matches!(events.last(), Some(ModelEvent::Finished(_))),
            "{name} round {round}"
        );
        let mut other = translate_whole(dialect, &spoilt);
        other.truncate(1);
    }
}

/// The same bytes as an answer that is not streamed.
fn translate_whole(dialect: caxton_core::model::Dialect, bytes: &[u8]) -> Vec<ModelEvent> {
    let mut out = caxton_llm::wire::Events::new();
    let mut decoder = caxton_llm::translate::decoder(dialect);
    let json = bytes
        .iter()
        .position(|byte| *byte == b'{')
        .map_or(bytes, |at| &bytes[at..]);
    let end = json
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(json.len());
    let _ = decoder.whole(&json[..end], &mut out);
    out.into()
}
