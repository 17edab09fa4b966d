//! What it costs to read a reply of 200 streamed chunks, per provider, and to write a request:
//! `cargo run --release -p caxton-llm --example decode_speed`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use caxton_core::model::{ChatMessage, Dialect, ModelRequest};
use caxton_llm::sse::{Reader, TooLarge};
use caxton_llm::translate::{self, Traits};
use caxton_llm::wire::Events;
use std::hint::black_box;
use std::time::Instant;

const CHUNKS: usize = 200;
const ROUNDS: u32 = 2_000;

#[derive(Debug)]
struct Stop;

impl From<TooLarge> for Stop {
    fn from(_: TooLarge) -> Self {
        Self
    }
}

/// A stream as its provider writes it, each event a piece of its own.
fn stream(dialect: Dialect, padded: bool) -> Vec<Vec<u8>> {
    let words = [
        "The",
        " quick",
        " brown",
        " fox\\n",
        " jumps",
        " over",
        " the",
        " \\\"lazy\\\"",
        " dog",
        ".",
    ];
    let mut pieces = Vec::new();
    let mut put = |name: Option<&str>, data: String| {
        let name = name
            .map(|name| format!("event: {name}\n"))
            .unwrap_or_default();
        pieces.push(format!("{name}data: {data}\n\n").into_bytes());
    };
    match dialect {
        Dialect::OpenaiChat => {
            let chunk = |delta: String, end: &str, n: usize| {
                let pad = if padded {
                    format!(",\"obfuscation\":\"{}\"", "x".repeat(n % 9))
                } else {
                    String::new()
                };
                format!(
                    "{{\"id\":\"chatcmpl-BxY3\",\"object\":\"chat.completion.chunk\",\"created\":1795348804,\"model\":\"gpt-5-mini-2025-08-07\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\",\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"logprobs\":null,\"finish_reason\":{end}}}]{pad}}}"
                )
            };
            for n in 0..CHUNKS {
                put(
                    None,
                    chunk(
                        format!("\"content\":\"{}\"", words[n % words.len()]),
                        "null",
                        n,
                    ),
                );
            }
            put(None, chunk(String::new(), "\"stop\"", 1));
            put(None, "[DONE]".to_owned());
        }
        Dialect::Anthropic => {
            put(Some("message_start"), r#"{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":1}}}"#.to_owned());
            put(Some("content_block_start"), r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#.to_owned());
            for n in 0..CHUNKS {
                put(
                    Some("content_block_delta"),
                    format!(
                        "{{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}",
                        words[n % words.len()]
                    ),
                );
            }
            put(Some("message_delta"), r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#.to_owned());
            put(
                Some("message_stop"),
                r#"{"type":"message_stop"}"#.to_owned(),
            );
        }
        Dialect::OpenaiResponses => {
            put(
                Some("response.created"),
                r#"{"type":"response.created","response":{"id":"r","model":"m"}}"#.to_owned(),
            );
            for n in 0..CHUNKS {
                put(
                    Some("response.output_text.delta"),
                    format!(
                        "{{\"type\":\"response.output_text.delta\",\"sequence_number\":{n},\"item_id\":\"msg_6890\",\"output_index\":0,\"content_index\":0,\"delta\":\"{}\",\"logprobs\":[]}}",
                        words[n % words.len()]
                    ),
                );
            }
            put(
                Some("response.completed"),
                r#"{"type":"response.completed","response":{"status":"completed"}}"#.to_owned(),
            );
        }
    }
    pieces
}

fn decode(dialect: Dialect, pieces: &[Vec<u8>]) -> usize {
    let mut reader = Reader::default();
    let mut decoder = translate::decoder(dialect);
    let mut out = Events::new();
    let mut seen = 0;
    for piece in pieces {
        let fed: Result<(), Stop> = reader.feed(piece, |event| {
            decoder.event(event, &mut out).map_err(|_| Stop)
        });
        fed.unwrap();
        while let Some(event) = out.pop_front() {
            seen += usize::from(event.is_visible());
            black_box(event);
        }
    }
    seen
}

fn measure(name: &str, mut work: impl FnMut()) {
    for _ in 0..ROUNDS / 10 {
        work();
    }
    let mut best = u128::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        best = best.min(begun.elapsed().as_nanos() / u128::from(ROUNDS));
    }
    println!("{name}: {:.1} us", best as f64 / 1000.0);
}

fn main() {
    let all = [
        ("anthropic", Dialect::Anthropic, false),
        ("openai-chat", Dialect::OpenaiChat, false),
        ("openai-chat, padded", Dialect::OpenaiChat, true),
        ("openai-responses", Dialect::OpenaiResponses, false),
    ];
    for (name, dialect, padded) in all {
        let pieces = stream(dialect, padded);
        assert_eq!(decode(dialect, &pieces), CHUNKS);
        measure(&format!("{name}: {CHUNKS} chunks"), || {
            black_box(decode(dialect, &pieces));
        });
    }
    let mut messages = Vec::new();
    for n in 0..20 {
        messages.push(ChatMessage::user(format!(
            "question {n}: {}",
            "words ".repeat(40)
        )));
        messages.push(ChatMessage::assistant(format!(
            "answer {n}: {}",
            "words ".repeat(80)
        )));
    }
    let request = ModelRequest::new(messages, 1_000);
    for (name, dialect, _) in all.into_iter().filter(|(.., padded)| !padded) {
        measure(&format!("{name}: a request of 40 messages"), || {
            black_box(translate::request(
                dialect,
                &request,
                "m",
                &Traits::default(),
            ));
        });
    }
}
