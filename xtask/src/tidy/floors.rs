//! Crates depend only downward, and adapters never on each other.
//!
//! The table is the floor plan of `ARCHITECTURE.md`. A crate that is not in it cannot be built
//! on: first decide on which floor it stands.

use crate::tidy::manifest::{self, Kind};
use crate::tidy::{Finding, tree::Tree};

const CORE: &[&str] = &["caxton-core"];
const ADAPTER: &[&str] = &["caxton-core", "caxton-engine"];
const ALL_BUT_TESTKIT: &[&str] = &[
    "caxton-api",
    "caxton-assistant",
    "caxton-cluster",
    "caxton-core",
    "caxton-engine",
    "caxton-gateway",
    "caxton-llm",
    "caxton-store",
    "caxton-tools",
    "caxton-wasm",
];
const ALL: &[&str] = &[
    "caxton",
    "caxton-api",
    "caxton-assistant",
    "caxton-cluster",
    "caxton-core",
    "caxton-engine",
    "caxton-gateway",
    "caxton-llm",
    "caxton-store",
    "caxton-tools",
    "caxton-wasm",
];

/// Each crate with the crates of this workspace it may be made of.
const FLOORS: &[(&str, &[&str])] = &[
    ("caxton", ALL_BUT_TESTKIT),
    ("caxton-testkit", ALL),
    (
        "caxton-gateway",
        &["caxton-core", "caxton-engine", "caxton-api"],
    ),
    ("caxton-api", CORE),
    ("caxton-store", ADAPTER),
    ("caxton-wasm", ADAPTER),
    ("caxton-llm", ADAPTER),
    ("caxton-tools", ADAPTER),
    ("caxton-assistant", ADAPTER),
    ("caxton-cluster", ADAPTER),
    ("caxton-engine", CORE),
    ("caxton-core", &[]),
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        let Some(name) = manifest::crate_of(path) else {
            continue;
        };
        let Some((_, allowed)) = FLOORS.iter().find(|(floor, _)| *floor == name) else {
            findings.push(Finding::error(
                path,
                0,
                format!("{name} stands on no floor; see floors"),
            ));
            continue;
        };
        let dependencies = match manifest::dependencies(text) {
            Ok(dependencies) => dependencies,
            Err(error) => {
                findings.push(Finding::error(path, 0, error));
                continue;
            }
        };
        for (dependency, kind) in dependencies {
            let ours = dependency == "caxton" || dependency.starts_with("caxton-");
            // Tests of any floor may use the test server and the conformance suites.
            let for_tests = kind == Kind::Dev && dependency == "caxton-testkit";
            if ours && !for_tests && !allowed.contains(&dependency.as_str()) {
                let text = format!("{name} may not depend on {dependency}: arrows only go down");
                findings.push(Finding::error(path, 0, text));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::check as check_rule;

    #[track_caller]
    fn check_one(name: &str, manifest: &str, fails: bool) {
        let path = format!("crates/{name}/Cargo.toml");
        let place = format!("{path}:0");
        let expected: &[&str] = if fails { &[&place] } else { &[] };
        check_rule(check, &[(&path, manifest)], expected);
    }

    #[test]
    fn arrows_only_go_down() {
        check_one(
            "caxton-engine",
            "[dependencies]\ncaxton-core.workspace = true",
            false,
        );
        check_one(
            "caxton-core",
            "[dependencies]\ncaxton-engine.workspace = true",
            true,
        );
        check_one(
            "caxton-engine",
            "[dev-dependencies]\ncaxton-store.workspace = true",
            true,
        );
        check_one(
            "caxton",
            "[dependencies]\ncaxton-testkit.workspace = true",
            true,
        );
        check_one(
            "caxton-api",
            "[build-dependencies]\ncaxton-engine.workspace = true",
            true,
        );
    }

    #[test]
    fn adapters_never_depend_on_each_other() {
        check_one(
            "caxton-store",
            "[dependencies]\ncaxton-wasm.workspace = true",
            true,
        );
        check_one(
            "caxton-assistant",
            "[dependencies]\ncaxton-llm.workspace = true",
            true,
        );
    }

    #[test]
    fn tests_may_use_the_testkit() {
        check_one(
            "caxton-store",
            "[dev-dependencies]\ncaxton-testkit.workspace = true",
            false,
        );
        check_one(
            "caxton-store",
            "[dependencies]\ncaxton-testkit.workspace = true",
            true,
        );
    }

    #[test]
    fn a_crate_without_a_floor_is_refused() {
        check_one("caxton-shared", "[dependencies]", true);
    }
}
