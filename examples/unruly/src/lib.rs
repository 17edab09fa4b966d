//! A tool that does everything a tool must not do, one function for each: what the sandbox is for.

use caxton_agent::tool::{Answer, Content, Function, Image, Tool};
use caxton_agent::{clock, log, random};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};

struct Unruly;

/// Every function, and what it does.
const FUNCTIONS: [(&str, &str); 12] = [
    ("panic", "Says why, and panics."),
    ("spin", "Computes for ever."),
    ("chatter", "Logs for ever."),
    ("mutter", "Logs `bytes` lines, each with its arguments, and answers."),
    ("grow", "Takes memory until there is none, and touches it."),
    ("flood", "Answers `bytes` bytes of text."),
    ("parts", "Answers `bytes` parts of one letter each."),
    ("babble", "Answers structured content that is no JSON."),
    ("paint", "Answers an image that is none."),
    ("refuse", "Answers that it failed."),
    ("remember", "Answers how often this instance was called."),
    ("look", "Answers the time and eight random bytes."),
];

const INPUT: &str =
    r#"{"type": "object", "properties": {"bytes": {"type": "integer", "minimum": 0}}}"#;

impl Tool for Unruly {
    fn functions() -> Vec<Function> {
        let function = |(name, about)| Function::new(name, about, INPUT);
        FUNCTIONS.map(function).to_vec()
    }

    fn call(name: &str, arguments: &str) -> Result<Answer, String> {
        match name {
            "panic" => fall(),
            "spin" => spin(),
            "chatter" => chatter(),
            "mutter" => mutter(arguments),
            "grow" => grow(),
            "flood" => Ok(Answer::text("x".repeat(bytes(arguments)?))),
            "parts" => Ok(Answer {
                content: vec![Content::Text("x".into()); bytes(arguments)?],
                structured: None,
            }),
            "babble" => Ok(Answer::text("").structured("{\"a\":")),
            "paint" => Ok(Answer {
                content: vec![Content::Image(Image {
                    media_type: "text/html".into(),
                    data: b"<script>".to_vec(),
                })],
                structured: None,
            }),
            "refuse" => Err("I will not".into()),
            "remember" => Ok(Answer::text(remember().to_string())),
            "look" => Ok(look()),
            other => Err(format!("there is no function `{other}`")),
        }
    }
}

caxton_agent::export_tool!(Unruly);

fn bytes(arguments: &str) -> Result<usize, String> {
    let arguments: Value = serde_json::from_str(arguments).map_err(|error| error.to_string())?;
    let bytes = arguments.get("bytes").and_then(Value::as_u64);
    let bytes = bytes.ok_or("`bytes` is missing")?;
    usize::try_from(bytes).map_err(|error| error.to_string())
}

#[allow(clippy::panic)]
fn fall() -> ! {
    log::info!("I am about to fall");
    panic!("as announced");
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn chatter() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = turns.wrapping_add(1);
        log::warn!("{turns} {}", "blah ".repeat(1_000));
    }
}

fn mutter(arguments: &str) -> Result<Answer, String> {
    for line in 0..bytes(arguments)? {
        log::info!("line {line} of {arguments}");
    }
    Ok(Answer::text("said"))
}

fn grow() -> ! {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1; 1 << 20]));
    }
}

fn remember() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

fn look() -> Answer {
    let mut text = clock::now_us().to_string();
    for byte in random::bytes(8) {
        text.push_str(&format!(" {byte}"));
    }
    Answer::text(text)
}
