//! Damaged messages: seeded, so that a failure can be had again from its printed seed.

use proptest::prelude::*;
use proptest::test_runner::TestRng;

/// Tokens of both forms, put in at random places.
const TOKENS: [&[u8]; 34] = [
    b"(",
    b")",
    b"\"",
    b"\\",
    b"\\\"",
    b"#",
    b"#5\"",
    b"#999999999\"",
    b"#00000000000001\"",
    b":",
    b" :content ",
    b" :receiver (set ",
    b" :X-a ",
    b" :reply-by ",
    b"20261122T050922049Z",
    b"20261122Z050912049",
    b"(agent-identifier :name a)",
    b" :resolvers (sequence ",
    b" :addresses (sequence ",
    b"a@b",
    b"\0",
    b"\xff",
    b"\xc3",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\\ud800",
    b"\\u0000",
    b"null",
    b"1e999",
    b"\"content\":",
    b"-0.0e-1",
];

/// Damages a message in one to four places; `other` is a second one to splice from.
pub fn mutate(rng: &mut TestRng, text: &[u8], other: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..=rng.random_range(0..4) {
        let at = rng.random_range(0..=text.len());
        match rng.random_range(0..7) {
            0 => {
                text.truncate(at);
            }
            1 => {
                let to = rng.random_range(at..=text.len());
                text.drain(at..to);
            }
            2 => {
                if let Some(byte) = text.get_mut(at) {
                    *byte = rng.random();
                }
            }
            3 => {
                let token = TOKENS[rng.random_range(0..TOKENS.len())];
                text.splice(at..at, token.iter().copied());
            }
            4 => {
                let from = rng.random_range(0..=other.len());
                let to = rng.random_range(from..=other.len());
                text.splice(at..at, other[from..to].iter().copied());
            }
            5 => {
                let to = rng.random_range(at..=text.len());
                let part = text[at..to].to_vec();
                text.splice(at..at, part);
            }
            _ => {
                let token = TOKENS[rng.random_range(0..TOKENS.len())];
                for _ in 0..rng.random_range(1..80) {
                    text.splice(at..at, token.iter().copied());
                }
            }
        }
    }
    text
}
