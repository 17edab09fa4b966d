//! Core decides and does nothing else: no runtime, no I/O, no clock, no randomness, no threads.
//!
//! That is what lets its tests be tables, and the simulator own everything that happens.

use crate::tidy::manifest;
use crate::tidy::{Finding, tree::Tree};

const CORE: &str = "crates/caxton-core/";

/// Libraries core may not name, in tests neither.
const LIBRARIES: &[&str] = &[
    "async-std",
    "chrono",
    "crossbeam-channel",
    "futures",
    "getrandom",
    "mio",
    "rand",
    "smol",
    "tokio",
    "tokio-util",
    "ureq",
];

/// Code that reaches out of the function it stands in.
const REACHES_OUT: &[&str] = &[
    "SystemTime",
    "Instant",
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::io::stdout",
    "std::net",
    "std::process",
    "std::thread",
    "tokio::",
    "rand::",
    "getrandom",
    "Timestamp::now",
    "Zoned::now",
    "Uuid::new_v4",
    "Uuid::now_v",
    "println!",
    "eprintln!",
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let manifest_path = format!("{CORE}Cargo.toml");
    let manifest = tree.text(&manifest_path).unwrap_or_default();
    for (dependency, _) in manifest::dependencies(manifest).unwrap_or_default() {
        if LIBRARIES.contains(&dependency.as_str()) {
            let text = format!("core decides only: it has no use for {dependency}");
            findings.push(Finding::error(&manifest_path, 0, text));
        }
    }
    for (path, source) in tree.sources().filter(|(path, _)| path.starts_with(CORE)) {
        for (number, line) in source.shipped() {
            if let Some(name) = REACHES_OUT.iter().find(|name| has_name(&line.code, name)) {
                let text = format!("core decides only: `{name}` comes in as an argument");
                findings.push(Finding::error(path, number, text));
            }
        }
    }
    findings
}

/// Whether the code has this name, and not merely a longer one that ends or goes on alike.
fn has_name(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(start, _)| {
        let before = code.get(..start).and_then(|text| text.chars().next_back());
        let after = code
            .get(start + name.len()..)
            .and_then(|text| text.chars().next());
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let open_ended = name.ends_with(['_', ':', '!', 'v']);
        !word(before) && (open_ended || !word(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    #[track_caller]
    fn check_code(code: &str, fails: bool) {
        let expected: &[&str] = if fails {
            &["crates/caxton-core/src/a.rs:1"]
        } else {
            &[]
        };
        check_rule(check, &[("crates/caxton-core/src/a.rs", code)], expected);
    }

    #[test]
    fn core_reaches_for_nothing() {
        check_code("use std::time::{Duration, SystemTime};", true);
        check_code("let now = Instant::now();", true);
        check_code("let text = std::fs::read(path);", true);
        check_code("let id = Uuid::now_v7();", true);
        check_code("tokio::spawn(work);", true);
        check_code("struct Instance; struct InstantReply;", false);
        check_code("// no std::fs here", false);
        check_code("operand::of(x)", false);
        check_code("#[cfg(test)] mod tests { use std::fs; }", false);
    }

    #[test]
    fn other_crates_may() {
        check_rule(
            check,
            &[("crates/caxton-store/src/a.rs", "use std::fs;")],
            &[],
        );
    }

    #[test]
    fn core_has_no_runtime() {
        let manifest = "[dependencies]\ntokio.workspace = true";
        let path = "crates/caxton-core/Cargo.toml";
        check_rule(
            check,
            &[(path, manifest)],
            &["crates/caxton-core/Cargo.toml:0"],
        );
    }
}
