//! Every error code has a page, and every page a code: a code without a cure helps nobody.

use crate::tidy::{Finding, tree::Tree};
use std::collections::BTreeMap;

const TABLE: &str = "crates/caxton-core/src/error.rs";
/// Where the table's parts would live if it outgrew one file.
const TABLE_PARTS: &str = "crates/caxton-core/src/error/";
const PAGES: &str = "docs/errors/";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let declared = declared(tree);
    let mut findings = Vec::new();
    for (code, (path, line)) in &declared {
        let page = format!("{PAGES}{code}.md");
        let text = tree.text(&page);
        if text.is_none() {
            findings.push(Finding::error(
                path,
                *line,
                format!("{code} has no page {page}"),
            ));
        } else if !text
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default()
            .contains(code)
        {
            findings.push(Finding::error(
                &page,
                1,
                format!("the first line must name {code}"),
            ));
        }
    }
    for path in tree.paths() {
        let name = path
            .strip_prefix(PAGES)
            .and_then(|name| name.strip_suffix(".md"));
        let Some(code) = name.filter(|name| name.starts_with("CX-")) else {
            continue;
        };
        if !declared.contains_key(code) {
            findings.push(Finding::error(
                path,
                0,
                format!("{code} is no code of {TABLE}"),
            ));
        }
    }
    findings
}

/// The codes that stand in literals of the table's shipped code, each with its first place.
fn declared(tree: &Tree) -> BTreeMap<String, (String, usize)> {
    let mut codes = BTreeMap::new();
    for (path, source) in tree.sources() {
        if path != TABLE && !path.starts_with(TABLE_PARTS) {
            continue;
        }
        for (number, line) in source.shipped() {
            if line.text.trim_start().starts_with("//") {
                continue;
            }
            for (start, _) in line.text.match_indices("\"CX-") {
                let code = line.text.get(start + 1..start + 8).unwrap_or_default();
                let digits = code.get(3..).unwrap_or_default();
                let closed = line
                    .text
                    .get(start + 8..)
                    .is_some_and(|rest| rest.starts_with('"'));
                if closed && digits.len() == 4 && digits.chars().all(|c| c.is_ascii_digit()) {
                    codes
                        .entry(code.to_string())
                        .or_insert((path.to_string(), number));
                }
            }
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    const DECLARES: &str = "// not \"CX-0009\"\nerror(\"CX-0001\");\nformat(\"CX-000\");\n";

    #[test]
    fn a_code_has_its_page() {
        let page = ("docs/errors/CX-0001.md", "# CX-0001: what\n");
        check_rule(check, &[(TABLE, DECLARES), page], &[]);
        check_rule(
            check,
            &[(TABLE, DECLARES)],
            &["crates/caxton-core/src/error.rs:2"],
        );
    }

    #[test]
    fn a_page_names_its_code() {
        let page = ("docs/errors/CX-0001.md", "# Another\n");
        check_rule(
            check,
            &[(TABLE, DECLARES), page],
            &["docs/errors/CX-0001.md:1"],
        );
    }

    #[test]
    fn a_page_has_its_code() {
        let page = ("docs/errors/CX-0002.md", "# CX-0002\n");
        let index = ("docs/errors/README.md", "# Errors\n");
        check_rule(
            check,
            &[(TABLE, ""), page, index],
            &["docs/errors/CX-0002.md:0"],
        );
    }
}
