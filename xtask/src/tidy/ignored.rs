//! An ignored test says why, and one that needs a program says so in the words `cargo xtask test`
//! understands: `#[ignore = "needs node"]`. That command then finds or installs the program and
//! runs the test, or lists it as skipped.

use crate::tidy::{Finding, tree::Tree};
use crate::tools;

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        for (number, line) in source.lines() {
            // The reason is a literal, blanked in the code and present in the text.
            let Some((_, attribute)) = line.code.split_once("#[ignore") else {
                continue;
            };
            if !attribute.trim_start().starts_with('=') {
                let text = "ignored without a reason: write `#[ignore = \"why\"]`";
                findings.push(Finding::error(path, number, text));
                continue;
            }
            let reason = line.text.split('"').nth(1).unwrap_or_default();
            for name in tools::needs(reason).into_iter().flatten() {
                if tools::by_name(name).is_none() {
                    let text = format!("needs `{name}`, which xtask/src/tools.rs cannot provide");
                    findings.push(Finding::error(path, number, text));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    #[test]
    fn an_ignored_test_says_why() {
        check_rule(
            check,
            &[("a.rs", "#[test]\n#[ignore]\nfn a() {}\n")],
            &["a.rs:2"],
        );
        check_rule(
            check,
            &[("a.rs", "#[test]\n#[ignore = \"an hour long\"]\n")],
            &[],
        );
    }

    #[test]
    fn what_it_needs_is_known() {
        check_rule(check, &[("a.rs", "#[ignore = \"needs node\"]\n")], &[]);
        check_rule(
            check,
            &[("a.rs", "#[ignore = \"needs node, abacus\"]\n")],
            &["a.rs:1"],
        );
    }
}
