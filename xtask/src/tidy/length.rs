//! Files stay readable in one sitting, and the two rooms where everything would gather stay within
//! their budgets. Tests do not count.

use crate::tidy::{Finding, tree::Tree};
use std::collections::BTreeMap;

/// Past this a file wants splitting.
const FILE_LINES_NOTE: usize = 600;
/// Past this it must be split.
const FILE_LINES_MAX: usize = 900;

/// A crate's folder and its budget in lines.
const BUDGETS: &[(&str, usize)] = &[
    ("crates/caxton-core/src/", 10_000),
    ("crates/caxton-engine/src/", 26_000),
];
/// Where a folder is a room, and what one may hold: past it, it becomes a crate.
const ROOMS: &str = "crates/caxton-engine/src/";
const ROOM_LINES_MAX: usize = 3_000;

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        let lines = source.shipped_count();
        if lines > FILE_LINES_MAX {
            let text = format!("{lines} lines without tests, limit {FILE_LINES_MAX}: split it");
            findings.push(Finding::error(path, 0, text));
        } else if lines > FILE_LINES_NOTE {
            let text = format!("{lines} lines without tests: it wants splitting");
            findings.push(Finding::note(path, 0, text));
        }
    }
    for (folder, budget) in BUDGETS {
        let lines: usize = tree
            .sources()
            .filter(|(path, _)| path.starts_with(folder))
            .map(|(_, source)| source.shipped_count())
            .sum();
        if lines > *budget {
            let text = format!("{lines} lines without tests, budget {budget}: move a room out");
            findings.push(Finding::error(folder, 0, text));
        }
    }
    findings.extend(rooms(tree));
    findings
}

fn rooms(tree: &Tree) -> Vec<Finding> {
    let mut rooms: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, source) in tree.sources() {
        let room = path
            .strip_prefix(ROOMS)
            .and_then(|rest| rest.split_once('/'));
        if let Some((room, _)) = room {
            *rooms.entry(room).or_default() += source.shipped_count();
        }
    }
    let over = rooms
        .into_iter()
        .filter(|(_, lines)| *lines > ROOM_LINES_MAX);
    let finding = |(room, lines)| {
        let text = format!("{lines} lines without tests, a room has {ROOM_LINES_MAX}: divide it");
        Finding::error(&format!("{ROOMS}{room}/"), 0, text)
    };
    over.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    #[test]
    fn a_long_file_is_refused_and_its_tests_are_free() {
        let limit = "a();\n".repeat(FILE_LINES_MAX);
        check_rule(check, &[("a.rs", &limit)], &[]);
        check_rule(check, &[("a.rs", &format!("{limit}b();\n"))], &["a.rs:0"]);
        let tested = format!("{limit}#[cfg(test)]\nmod tests {{\n}}\n");
        check_rule(check, &[("a.rs", &tested)], &[]);
    }

    #[test]
    fn a_longish_file_is_noted() {
        let tree = Tree::of(&[("a.rs", &"a();\n".repeat(FILE_LINES_NOTE + 1))]);
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn a_room_keeps_its_budget() {
        let file = "a();\n".repeat(800);
        let names: Vec<String> = (0..13)
            .map(|n| format!("crates/caxton-core/src/file_{n}.rs"))
            .collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*file)).collect();
        check_rule(check, &files, &["crates/caxton-core/src/:0"]);
    }

    #[test]
    fn a_room_of_the_engine_keeps_its_own() {
        let file = "a();\n".repeat(800);
        let names: Vec<String> = (0..4)
            .map(|n| format!("crates/caxton-engine/src/jobs/file_{n}.rs"))
            .collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*file)).collect();
        check_rule(check, &files[..3], &[]);
        check_rule(check, &files, &["crates/caxton-engine/src/jobs/:0"]);
    }
}
