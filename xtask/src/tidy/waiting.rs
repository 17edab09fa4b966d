//! Tests do not sleep: they wait for what they mean, or own the clock.

use crate::tidy::{Finding, tree::Tree};

/// Files whose sleeps pass in paused time, which the test or the simulator owns.
const PAUSED: &[&str] = &[
    "crates/caxton-engine/tests/faults.rs",
    "crates/caxton-gateway/src/door/patience.rs",
    "crates/caxton-testkit/src/sim/clock.rs",
    "crates/caxton-testkit/src/sim/disk.rs",
];

/// The rule's own file and the scanner's tests name what they forbid only inside literals, which
/// the scanner blanks.
const SLEEPS: &[&str] = &["thread::sleep", "time::sleep", "sleep("];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        if PAUSED.contains(&path) {
            continue;
        }
        for (number, line) in source.lines().filter(|(_, line)| line.test) {
            if SLEEPS.iter().any(|name| has_call(&line.code, name)) {
                let text = "a test sleeps: wait for the event, or advance a clock it owns";
                findings.push(Finding::error(path, number, text));
            }
        }
    }
    findings
}

/// Whether the code has the name as a whole: `oversleep(` and `fn sleep(` of a port's double are
/// something else.
fn has_call(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(start, _)| {
        let before = code.get(..start).unwrap_or_default();
        let defined = before.trim_end().ends_with("fn");
        let method = before.ends_with('.');
        let word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        !defined && !method && !word
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    #[track_caller]
    fn check_code(path: &str, code: &str, fails: bool) {
        let place = format!("{path}:1");
        let expected: &[&str] = if fails { &[&place] } else { &[] };
        check_rule(check, &[(path, code)], expected);
    }

    #[test]
    fn tests_do_not_sleep() {
        check_code("crates/a/tests/b.rs", "std::thread::sleep(LONG);", true);
        check_code(
            "crates/a/tests/b.rs",
            "tokio::time::sleep(LONG).await;",
            true,
        );
        check_code("crates/a/tests/b.rs", "sleep(LONG).await;", true);
        check_code(
            "crates/a/tests/b.rs",
            "tokio::time::advance(LONG).await;",
            false,
        );
        check_code(
            "crates/a/tests/b.rs",
            "clock.sleep(LONG).await; // not thread::sleep",
            false,
        );
    }

    #[test]
    fn shipped_code_may() {
        check_code(
            "crates/a/src/b.rs",
            "tokio::time::sleep(backoff).await;",
            false,
        );
    }
}
