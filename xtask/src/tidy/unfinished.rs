//! Nothing is left for later inside the code: what is not built is an error with a code, or absent.

use crate::tidy::{Finding, tree::Tree};

const UNFINISHED: &[&str] = &["todo!", "unimplemented!"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        for (number, line) in source.lines() {
            if let Some(name) = UNFINISHED.iter().find(|name| line.code.contains(**name)) {
                let text = format!("`{name}`: finish it, or leave the door out");
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

    #[test]
    fn nothing_is_left_for_later() {
        check_rule(check, &[("a.rs", "fn a() {\n  todo!()\n}\n")], &["a.rs:2"]);
        check_rule(
            check,
            &[("a.rs", "fn a() { unimplemented!(\"b\") }\n")],
            &["a.rs:1"],
        );
        check_rule(
            check,
            &[("a.rs", "// todo! is refused\nlet a = \"todo!\";\n")],
            &[],
        );
    }
}
