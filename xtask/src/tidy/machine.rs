//! No file names the machine it was written on: a developer's folders, or a package registry that
//! only that machine can reach.

use crate::tidy::{Finding, tree::Tree};

/// Beginnings of paths that exist on one machine only, in two pieces so that this file passes.
const FOLDERS: &[(&str, &str)] = &[
    ("/", "root/"),
    ("/", "work/"),
    ("/", "home/"),
    ("/", "Users/"),
    ("C:\\", "Users\\"),
];

/// Temporary files come from the system's own call; documents may show one folder by name.
const TEMPORARY: (&str, &str) = ("/", "tmp/");
const TEMPORARY_ALLOWED: &str = "caxton";

/// A lock file, how its lines name a registry, and the only ending such a line may have. npm is told
/// to leave the addresses out (`omit-lockfile-registry-resolved`), so there none is right.
const LOCKS: &[(&str, &str, Option<&str>)] = &[
    (
        "Cargo.lock",
        "source = \"registry+",
        Some("/crates.io-index\""),
    ),
    ("package-lock.json", "\"resolved\": \"http", None),
    ("uv.lock", "registry = \"http", None),
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            if let Some(fault) = folder(line).or_else(|| registry(path, line)) {
                findings.push(Finding::error(path, index + 1, fault));
            }
        }
    }
    findings
}

fn folder(line: &str) -> Option<String> {
    // Cheap first: nearly every line has neither separator followed by these.
    if !line.contains(['/', '\\']) {
        return None;
    }
    for (first, second) in FOLDERS {
        let name = format!("{first}{second}");
        if starts_a_path(line, &name).next().is_some() {
            return Some(format!("names a folder of one machine: {name}"));
        }
    }
    let name = format!("{}{}", TEMPORARY.0, TEMPORARY.1);
    let other = starts_a_path(line, &name).any(|rest| !rest.starts_with(TEMPORARY_ALLOWED));
    other.then(|| format!("ask the system for a temporary folder; in docs write {name}caxton"))
}

/// What follows each place where `name` begins a path, rather than continues one (`a/work/`).
fn starts_a_path<'a>(line: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(name).filter_map(move |(start, _)| {
        let before = line.get(..start)?.chars().next_back();
        let continues = before.is_some_and(|c| {
            c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | '~' | '*' | '>')
        });
        (!continues)
            .then(|| line.get(start + name.len()..))
            .flatten()
    })
}

fn registry(path: &str, line: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let (_, mark, public) = LOCKS.iter().find(|(name, _, _)| *name == file)?;
    let right = public.is_some_and(|end| line.trim_end().ends_with(end));
    (line.contains(mark) && !right).then(|| "names a registry others may not reach".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    #[track_caller]
    fn check_line(path: &str, line: &str, fails: bool) {
        let place = format!("{path}:1");
        let expected: &[&str] = if fails { &[&place] } else { &[] };
        check_rule(check, &[(path, line)], expected);
    }

    #[test]
    fn folders_of_one_machine_are_refused() {
        for (first, second) in FOLDERS {
            check_line("docs/a.md", &format!("see {first}{second}notes"), true);
        }
        check_line("docs/a.md", concat!("in /", "tmp/notes"), true);
        check_line("docs/a.md", concat!("`--data /", "tmp/caxton`"), false);
        check_line(
            "docs/a.md",
            concat!("sdk/", "work/notes and ~/", "work/x"),
            false,
        );
        check_line("docs/a.md", concat!("https://example.org/", "home/"), false);
    }

    #[test]
    fn registries_are_public() {
        let line = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        check_line("Cargo.lock", line, false);
        check_line(
            "Cargo.lock",
            "source = \"registry+https://mirror.example/index\"",
            true,
        );
        let line = "\"resolved\": \"https://mirror.example/left-pad.tgz\",";
        check_line("sdk/typescript/package-lock.json", line, true);
    }
}
