//! `docs/coverage.md` has one row for every criterion, and every evidence it names exists; so does that
//! of the security review's rows.
//!
//! The list of ids lives in `coverage_ids`, so that a row cannot be lost by editing the page.

use crate::tidy::coverage_ids;
use crate::tidy::{Finding, evidence, tree::Tree};
use std::collections::BTreeMap;

const PAGE: &str = "docs/coverage.md";
/// Attacks, and the tests that show what they get.
const REVIEW: &str = "docs/security-tools.md";
/// The evidence cell of a line that nothing proves yet.
const OPEN: &str = "open";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(PAGE) else {
        return vec![Finding::error(PAGE, 0, "the coverage page is missing")];
    };
    let mut findings = Vec::new();
    let expected = coverage_ids::all();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let Some((id, evidence)) = row(line) else {
            continue;
        };
        if let Some(first) = seen.insert(id, number) {
            let text = format!("{id} stands in line {first} already");
            findings.push(Finding::error(PAGE, number, text));
        } else if !expected.iter().any(|known| known == id) {
            findings.push(Finding::error(
                PAGE,
                number,
                format!("{id} is no known criterion"),
            ));
        }
        for fault in cell_faults(tree, evidence) {
            findings.push(Finding::error(PAGE, number, format!("{id}: {fault}")));
        }
    }
    for id in expected.iter().filter(|id| !seen.contains_key(id.as_str())) {
        findings.push(Finding::error(PAGE, 0, format!("{id} has no row")));
    }
    findings.extend(review(tree));
    findings
}

/// What is wrong with the evidence of the review.
fn review(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in tree.text(REVIEW).unwrap_or_default().lines().enumerate() {
        let rows = row(line).filter(|(attack, _)| *attack != "attack");
        for fault in rows
            .into_iter()
            .flat_map(|(_, cell)| cell_faults(tree, cell))
        {
            findings.push(Finding::error(REVIEW, index + 1, fault));
        }
    }
    findings
}

/// Id and evidence of a row `| id | text | evidence |`; `None` for headings, rules and prose.
fn row(line: &str) -> Option<(&str, &str)> {
    let inner = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
    let (id, rest) = inner.split_once('|')?;
    let (_, evidence) = rest.rsplit_once('|')?;
    let id = id.trim();
    let heading = id == "id" || id.starts_with('-');
    (!heading).then(|| (id, evidence.trim()))
}

/// What is wrong with an evidence cell: it is `open`, or every code span in it must exist.
fn cell_faults(tree: &Tree, cell: &str) -> Vec<String> {
    if cell == OPEN {
        return Vec::new();
    }
    let items: Vec<&str> = cell
        .split('`')
        .enumerate()
        .filter(|(n, _)| n % 2 == 1)
        .map(|(_, item)| item)
        .collect();
    if items.is_empty() {
        return vec![format!("neither `{OPEN}` nor evidence in code spans")];
    }
    items
        .into_iter()
        .filter_map(|item| evidence::fault(tree, item))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(change: impl Fn(&str) -> String) -> String {
        let rows: String = coverage_ids::all().iter().map(|id| change(id)).collect();
        format!("# Coverage\n\n| id | line | evidence |\n|---|---|---|\n{rows}")
    }

    #[track_caller]
    fn check_page(text: &str, expected: &[&str]) {
        let findings = check(&Tree::of(&[(PAGE, text), ("docs/a.md", "# A\n")]));
        let texts: Vec<&str> = findings.iter().map(|finding| &*finding.text).collect();
        assert_eq!(texts, expected);
    }

    fn open(id: &str) -> String {
        format!("| {id} | a line with a \\| in it | open |\n")
    }

    #[test]
    fn every_criterion_has_one_row() {
        check_page(&page(open), &[]);
        let lost = page(|id| {
            if id == "001-AC2" {
                String::new()
            } else {
                open(id)
            }
        });
        check_page(&lost, &["001-AC2 has no row"]);
        let twice = page(|id| {
            if id == "M1" {
                open(id).repeat(2)
            } else {
                open(id)
            }
        });
        let first = twice
            .lines()
            .position(|line| line.starts_with("| M1 "))
            .unwrap_or_default()
            + 1;
        check_page(&twice, &[&format!("M1 stands in line {first} already")]);
        let invented = page(open) + &open("051-AC1");
        check_page(&invented, &["051-AC1 is no known criterion"]);
    }

    #[test]
    fn evidence_exists() {
        let with = |cell: &'static str| {
            page(move |id| {
                if id == "M1" {
                    format!("| M1 | x | {cell} |\n")
                } else {
                    open(id)
                }
            })
        };
        check_page(&with("`docs/a.md`, and by hand"), &[]);
        check_page(
            &with("`docs/a.md#a`; `docs/gone.md`"),
            &["M1: docs/gone.md does not exist"],
        );
        check_page(
            &with("surely"),
            &["M1: neither `open` nor evidence in code spans"],
        );
        check_page(
            &with(""),
            &["M1: neither `open` nor evidence in code spans"],
        );
    }

    #[test]
    fn evidence_of_the_review_exists() {
        let review = "| attack | answer | shown by |\n|---|---|---|\n\
            | a | no | `docs/a.md` |\n| b | `CX-1001` | `docs/gone.md` |\n";
        let page = page(open);
        let tree = [
            (PAGE, page.as_str()),
            ("docs/a.md", "# A\n"),
            (REVIEW, review),
        ];
        let findings = check(&Tree::of(&tree));
        let found: Vec<(usize, &str)> = findings.iter().map(|it| (it.line, &*it.text)).collect();
        assert_eq!(found, [(4, "docs/gone.md does not exist")]);
    }

    #[test]
    fn a_missing_page_is_found() {
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
