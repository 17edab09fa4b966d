//! No file is called after nothing: a name that could hold anything will.

use crate::tidy::{Finding, tree::Tree};

const NAMES: &[&str] = &[
    "common", "helper", "helpers", "manager", "misc", "shared", "util", "utils",
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.paths()
        .filter(|path| path.ends_with(".rs"))
        .filter_map(|path| {
            let name = path
                .trim_end_matches(".rs")
                .split('/')
                .find(|part| NAMES.contains(part))?;
            let text = format!("`{name}` says nothing: name the file after the one thing it does");
            Some(Finding::error(path, 0, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    #[test]
    fn a_name_says_something() {
        check_rule(
            check,
            &[("crates/a/src/utils.rs", "")],
            &["crates/a/src/utils.rs:0"],
        );
        check_rule(
            check,
            &[("crates/a/src/common/b.rs", "")],
            &["crates/a/src/common/b.rs:0"],
        );
        check_rule(
            check,
            &[("crates/a/src/router.rs", ""), ("docs/misc.md", "")],
            &[],
        );
    }
}
