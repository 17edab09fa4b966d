//! Every Rust file opens with `//!`: what it is, why it is so, what it must not do.
//!
//! A file that another one takes in by `include!` cannot have inner documentation; it opens with
//! `//` instead.

use crate::tidy::{Finding, tree::Tree};

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.sources()
        .filter(|(path, source)| {
            let first = source
                .lines()
                .map(|(_, line)| line.text.trim())
                .find(|l| !l.is_empty());
            let first = first.unwrap_or_default();
            let documented = first.starts_with("//! ");
            let included = first.starts_with("// ") && is_included(tree, path);
            !documented && !included
        })
        .map(|(path, _)| Finding::error(path, 1, "opens without `//!`: say what the file is for"))
        .collect()
}

fn is_included(tree: &Tree, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    tree.sources().any(|(_, source)| {
        source.lines().any(|(_, line)| {
            line.code.contains("include!(") && line.text.contains(&format!("{name}\""))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    #[test]
    fn a_file_says_what_it_is() {
        check_rule(check, &[("a.rs", "//! What it is.\nfn a() {}\n")], &[]);
        check_rule(check, &[("a.rs", "fn a() {}\n")], &["a.rs:1"]);
        check_rule(check, &[("a.rs", "//!\nfn a() {}\n")], &["a.rs:1"]);
        check_rule(check, &[("a.rs", "")], &["a.rs:1"]);
    }

    #[test]
    fn an_included_file_says_it_in_a_plain_comment() {
        let table = ("table.rs", "// What it is.\n");
        check_rule(
            check,
            &[table, ("a.rs", "//! A.\ninclude!(\"table.rs\");\n")],
            &[],
        );
        check_rule(check, &[table, ("a.rs", "//! A.\n")], &["table.rs:1"]);
    }
}
