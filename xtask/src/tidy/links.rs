//! Relative links of every markdown file resolve, to the file and to the heading.

use crate::tidy::{Finding, tree::Tree};

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".md")) {
        for (number, target) in links(text) {
            if let Some(fault) = fault(tree, path, &target) {
                findings.push(Finding::error(path, number, fault));
            }
        }
    }
    findings
}

/// What is wrong with one link, if anything.
fn fault(tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") || target.is_empty() {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        from.to_string()
    } else {
        join(from, file)?
    };
    if !tree.exists(&path) {
        return Some(format!("{target} leads nowhere"));
    }
    if heading.is_empty() || !path.ends_with(".md") {
        return None;
    }
    let known = has_heading(tree.text(&path).unwrap_or_default(), heading);
    (!known).then(|| format!("{path} has no heading #{heading}"))
}

/// The path of a link as seen from a file; a link out of the repository is `None`, and not ours.
fn join(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = match link.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').collect(),
    };
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Every inline link's and reference's target with its line, outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code_spans(line);
        for (start, _) in line.match_indices("](") {
            let rest = line.get(start + 2..).unwrap_or_default();
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((number, target.trim_matches(['<', '>']).to_string()));
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            found.push((
                number,
                target.split(' ').next().unwrap_or_default().to_string(),
            ));
        }
    }
    found
}

/// The lines outside fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((index + 1, line))
    })
}

fn without_code_spans(line: &str) -> String {
    line.split('`')
        .enumerate()
        .filter(|(n, _)| n % 2 == 0)
        .map(|(_, part)| part)
        .collect()
}

/// Whether a markdown text has a heading of this anchor, as code hosts make anchors: lower case,
/// blanks to hyphens, punctuation gone.
pub fn has_heading(text: &str, anchor: &str) -> bool {
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .any(|(_, line)| {
            let title = line.trim_start_matches('#').trim();
            let slug: String = title
                .to_lowercase()
                .chars()
                .filter_map(|c| match c {
                    ' ' => Some('-'),
                    c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                    _ => None,
                })
                .collect();
            slug == anchor
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    #[track_caller]
    fn check_link(link: &str, fails: bool) {
        let text = format!("# Top\n\nsee [it]({link})\n");
        let files = [
            ("docs/a.md", &*text),
            ("docs/b.md", "# The `x` rule\n"),
            ("c/d.rs", ""),
        ];
        let expected: &[&str] = if fails { &["docs/a.md:3"] } else { &[] };
        check_rule(check, &files, expected);
    }

    #[test]
    fn links_lead_somewhere() {
        check_link("b.md", false);
        check_link("./b.md#the-x-rule", false);
        check_link("../c/d.rs", false);
        check_link("../c", false);
        check_link("/docs/b.md", false);
        check_link("#top", false);
        check_link("https://example.org/x", false);
        check_link("e.md", true);
        check_link("b.md#the-y-rule", true);
        check_link("#bottom", true);
    }

    #[test]
    fn references_count_and_code_does_not() {
        check_rule(check, &[("a.md", "[x]: gone.md\n")], &["a.md:1"]);
        check_rule(
            check,
            &[("a.md", "`[x](gone.md)`\n```\n[x](gone.md)\n```\n")],
            &[],
        );
    }
}
