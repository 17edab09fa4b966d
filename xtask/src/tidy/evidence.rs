//! Whether a piece of evidence named in `docs/coverage.md` exists.
//!
//! Forms: `path`, `path::test_name`, `path.md#heading`, `bench:NAME`. A test that is ignored for
//! good is no evidence; one that only waits for a program (`needs …`) is.

use crate::tidy::links;
use crate::tidy::source::Line;
use crate::tidy::tree::Tree;
use crate::tools;

const BENCHES: &str = "xtask/src/bench/";

/// Why this evidence does not hold, or `None` when it does.
pub fn fault(tree: &Tree, item: &str) -> Option<String> {
    if let Some(name) = item.strip_prefix("bench:") {
        let literal = format!("\"{name}\"");
        let known = tree.texts().any(|(path, text)| {
            (path.starts_with(BENCHES) || path == "xtask/src/bench.rs") && text.contains(&literal)
        });
        return (!known).then(|| format!("no bench is called {name}"));
    }
    if let Some((path, name)) = item.split_once("::") {
        return test_fault(tree, path, name);
    }
    if let Some((path, heading)) = item.split_once('#') {
        let text = tree.text(path);
        return match text {
            None => Some(format!("{path} does not exist")),
            Some(text) if links::has_heading(text, heading) => None,
            Some(_) => Some(format!("{path} has no heading #{heading}")),
        };
    }
    (!tree.exists(item)).then(|| format!("{item} does not exist"))
}

fn test_fault(tree: &Tree, path: &str, name: &str) -> Option<String> {
    // A test in a module is `path::module::name`; the file says the rest.
    let name = name.rsplit("::").next().unwrap_or(name);
    let Some(source) = tree.source(path) else {
        let found = tree.text(path).map(|text| text.contains(name));
        return match found {
            None => Some(format!("{path} does not exist")),
            Some(false) => Some(format!("{path} has no {name}")),
            Some(true) => None,
        };
    };
    let lines: Vec<&Line> = source.lines().map(|(_, line)| line).collect();
    let declaration = format!("fn {name}");
    let Some(index) = lines.iter().position(|line| {
        line.code
            .split_once(&declaration)
            .is_some_and(|(_, rest)| rest.starts_with(['(', '<']))
    }) else {
        return Some(format!("{path} has no function {name}"));
    };
    let attributes = lines.get(..index).unwrap_or_default().iter().rev();
    let ignored = attributes
        .take_while(|line| line.text.trim_start().starts_with(['#', '/']))
        .find(|line| line.code.contains("#[ignore"))?;
    let reason = ignored.text.split('"').nth(1).unwrap_or_default();
    tools::needs(reason)
        .is_none()
        .then(|| format!("{name} is ignored: it proves nothing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(item: &str, holds: bool) {
        let tree = Tree::of(&[
            (
                "crates/a/tests/b.rs",
                "#[test]\nfn runs() {}\n#[test]\n#[ignore = \"slow\"]\nfn never() {}\n\
                 #[test]\n#[ignore = \"needs node\"]\nfn with_node() {}\n// fn commented() {}\n",
            ),
            ("docs/c.md", "# One page\n"),
            ("web/d.test.ts", "test('opens', () => {})"),
            (
                "xtask/src/bench/mod.rs",
                "const BENCHES: &[&str] = &[\"router\"];",
            ),
        ]);
        let fault = fault(&tree, item);
        assert_eq!(fault.is_none(), holds, "{item}: {fault:?}");
    }

    #[test]
    fn a_test_exists_and_runs() {
        check("crates/a/tests/b.rs::runs", true);
        check("crates/a/tests/b.rs::tests::runs", true);
        check("crates/a/tests/b.rs::run", false);
        check("crates/a/tests/b.rs::commented", false);
        check("crates/a/tests/b.rs::never", false);
        check("crates/a/tests/b.rs::with_node", true);
        check("crates/a/tests/gone.rs::runs", false);
        check("web/d.test.ts::opens", true);
        check("web/d.test.ts::closes", false);
    }

    #[test]
    fn a_page_has_its_heading() {
        check("docs/c.md", true);
        check("docs/c.md#one-page", true);
        check("docs/c.md#two-pages", false);
        check("docs/gone.md", false);
    }

    #[test]
    fn a_bench_is_listed() {
        check("bench:router", true);
        check("bench:rout", false);
    }
}
