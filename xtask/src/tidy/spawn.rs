//! Tasks start only through the engine's task module, where they get a name, a supervisor and a
//! cancellation, and where the simulator can own them.

use crate::tidy::{Finding, tree::Tree};

/// Files that may call the runtime's own spawn, each with its reason.
const ALLOWED: &[(&str, &str)] = &[
    (
        "crates/caxton-engine/src/task.rs",
        "the one task module itself",
    ),
    (
        "crates/caxton-gateway/src/api/tools.rs",
        "reads a description of endpoints on the blocking pool; the request waits for it",
    ),
    (
        "crates/caxton-tools/src/builtin/fetch/mod.rs",
        "makes pages readable on the blocking pool, a bounded number at a time",
    ),
    (
        "crates/caxton-tools/src/census.rs",
        "reads /proc on the blocking pool, one look at a time",
    ),
    (
        "crates/caxton-wasm/src/compile/mod.rs",
        "waits for a compiler on the blocking pool, a bounded number at a time",
    ),
    (
        "crates/caxton-wasm/src/loader.rs",
        "validates and loads code on the blocking pool; nothing outlives the call",
    ),
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        let allowed = ALLOWED.iter().any(|(file, _)| *file == path);
        if allowed || !path.starts_with("crates/") {
            continue;
        }
        let mut tokio_task_in_scope = false;
        for (number, line) in source.shipped() {
            let code = &line.code;
            tokio_task_in_scope |= code.contains("use tokio::task;");
            let imported = tokio_task_in_scope && code.contains(" task::spawn");
            if code.contains("tokio::spawn") || code.contains("tokio::task::spawn") || imported {
                let text = "spawn through caxton_engine::task: named, supervised, cancelled";
                findings.push(Finding::error(path, number, text));
            }
        }
    }
    findings
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
    fn tasks_start_in_one_place() {
        let path = "crates/caxton-gateway/src/a.rs";
        check_code(path, "tokio::spawn(work);", true);
        check_code(path, "use tokio::spawn;", true);
        check_code(path, "let t = tokio::task::spawn_blocking(work);", true);
        check_code(path, "use tokio::task; fn a() { task::spawn(work); }", true);
        check_code(path, "let t = task::spawn(\"name\", work);", false);
        check_code(
            "crates/caxton-engine/src/task.rs",
            "tokio::spawn(work);",
            false,
        );
        check_code(
            "crates/caxton-gateway/tests/a.rs",
            "tokio::spawn(work);",
            false,
        );
    }

    #[test]
    fn every_exception_has_a_reason() {
        for (path, reason) in ALLOWED {
            assert!(reason.split_whitespace().count() > 2, "{path}");
        }
    }
}
