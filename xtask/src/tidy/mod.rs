//! `cargo xtask tidy`: the house rules as a test.
//!
//! What a machine can check is not left to reviewers. Each rule is one file here: a pure function
//! from the repository's files to findings, with a test that shows it failing. Rules read files
//! only, so that the whole set takes about a second and can run before every commit.

mod coverage;
mod coverage_ids;
mod error_codes;
mod evidence;
mod file_names;
mod floors;
mod headers;
mod homes;
mod ignored;
mod length;
mod links;
mod machine;
mod manifest;
mod purity;
mod source;
mod spawn;
mod tree;
mod unfinished;
mod waiting;

use crate::repo;
use anyhow::bail;
use tree::Tree;

/// What a rule says about one place.
#[derive(Debug)]
pub struct Finding {
    /// Relative to the repository's root.
    path: String,
    /// From 1; 0 when the finding is about the whole file.
    line: usize,
    text: String,
    severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// The tree is not tidy.
    Error,
    /// Worth a look; fails nothing.
    Note,
}

impl Finding {
    fn error(path: &str, line: usize, text: impl Into<String>) -> Finding {
        Finding {
            path: path.into(),
            line,
            text: text.into(),
            severity: Severity::Error,
        }
    }

    fn note(path: &str, line: usize, text: impl Into<String>) -> Finding {
        Finding {
            path: path.into(),
            line,
            text: text.into(),
            severity: Severity::Note,
        }
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[(&str, Rule)] = &[
    ("floors", floors::check),
    ("homes", homes::check),
    ("purity", purity::check),
    ("headers", headers::check),
    ("length", length::check),
    ("file-names", file_names::check),
    ("waiting", waiting::check),
    ("unfinished", unfinished::check),
    ("ignored", ignored::check),
    ("error-codes", error_codes::check),
    ("spawn", spawn::check),
    ("machine", machine::check),
    ("coverage", coverage::check),
    ("links", links::check),
];

pub fn run(_args: &[String]) -> anyhow::Result<()> {
    let tree = Tree::read(&repo::root()?)?;
    let mut errors = 0_usize;
    for (name, rule) in RULES {
        for finding in rule(&tree) {
            let kind = match finding.severity {
                Severity::Error => "error",
                Severity::Note => "note",
            };
            errors += usize::from(finding.severity == Severity::Error);
            let place = match finding.line {
                0 => finding.path,
                line => format!("{}:{line}", finding.path),
            };
            println!("{kind}[{name}] {place}: {}", finding.text);
        }
    }
    if errors > 0 {
        bail!("not tidy: {errors} errors in {} files", tree.len());
    }
    println!("tidy: {} rules over {} files", RULES.len(), tree.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Checks a rule on an invented tree: the places of its errors, as `path:line`.
    #[track_caller]
    pub fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
        let findings = rule(&Tree::of(files));
        let places: Vec<String> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| format!("{}:{}", finding.path, finding.line))
            .collect();
        assert_eq!(places, expected, "{findings:#?}");
    }

    #[test]
    fn the_house_is_tidy() {
        let tree = Tree::read(&repo::root().unwrap()).unwrap();
        let errors: Vec<String> = RULES
            .iter()
            .flat_map(|(name, rule)| rule(&tree).into_iter().map(move |finding| (name, finding)))
            .filter(|(_, finding)| finding.severity == Severity::Error)
            .map(|(name, f)| format!("[{name}] {}:{}: {}", f.path, f.line, f.text))
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
    }
}
