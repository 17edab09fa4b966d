//! What is written for the providers, and what our recorded streams say they write, judged by the
//! types of the providers' own Python packages: readings of the protocols that are not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use caxton_engine::port::model::ProviderKind;
use caxton_llm::Table;
use caxton_llm::translate::{self, Traits};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{DIALECTS, requests, streams};

/// Streams that are not what the provider itself would write: other servers', or broken ones.
const FOREIGN: &[&str] = &[
    "openai_chat-azure",
    "openai_chat-error",
    "openai_chat-gemini",
    "openai_chat-half_json",
    "openai_chat-html",
    "openai_chat-mistral",
    "openai_chat-nameless",
    "anthropic-unknown",
];

#[test]
#[ignore = "needs model-sdks"]
fn the_providers_own_packages_take_our_requests_and_their_streams() {
    let mut lines = String::new();
    let table = Table::read(None).unwrap();
    let kinds = [
        ProviderKind::Anthropic,
        ProviderKind::OpenaiChat,
        ProviderKind::OpenaiResponses,
    ];
    for ((dialect, provider), kind) in DIALECTS.into_iter().zip(kinds) {
        for model in [
            "claude-opus-5",
            "claude-haiku-4-5",
            "gpt-5.1",
            "gpt-4o",
            "o3",
            "other",
        ] {
            for (name, request) in requests() {
                let traits = Traits {
                    official: true,
                    ..table.traits(kind, model)
                };
                let outgoing = translate::request(dialect, &request, model, &traits);
                let body: Value = serde_json::from_slice(&outgoing.body).unwrap();
                let line = json!({"dialect": provider, "name": format!("{name} {model}"), "request": body});
                writeln!(lines, "{line}").unwrap();
            }
        }
    }
    for (dialect, name, bytes) in streams() {
        if FOREIGN.contains(&&*name) {
            continue;
        }
        let (_, provider) = DIALECTS.into_iter().find(|(it, _)| *it == dialect).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let events: Vec<Value> = data
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .filter(|event: &Value| {
                !(provider == "anthropic" && (event["type"] == "ping" || event["type"] == "error"))
            })
            .collect();
        writeln!(
            lines,
            "{}",
            json!({"dialect": provider, "name": name, "events": events})
        )
        .unwrap();
    }
    let python = std::env::var_os("CAXTON_TEST_MODEL_SDKS").expect("run `cargo xtask test`");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/models.py");
    let mut judge = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    judge
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let told = judge.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(told.status.success(), "{out}\n{err}");
    assert!(out.starts_with("ok "), "{out}");
}
