//! Each foreign library has its named home, so that replacing it touches one crate.
//!
//! Dev-dependencies are free except in core and engine, whose tests must not need an adapter's
//! library either; the testkit may use everything.

use crate::tidy::manifest::{self, Kind};
use crate::tidy::{Finding, tree::Tree};

/// A library's name, or its beginning with `*`, and the crates that may be made of it.
const HOMES: &[(&str, &[&str])] = &[
    ("wasmtime*", &["caxton-wasm"]),
    ("wasmparser", &["caxton-wasm"]),
    ("rusqlite", &["caxton-store"]),
    ("libsqlite3-sys", &["caxton-store"]),
    ("sqlx*", &[]),
    ("tokio-postgres", &["caxton-store"]),
    ("deadpool-postgres", &["caxton-store"]),
    // api: the generated REST mapping is an axum router over a trait, beside the types it maps.
    ("axum*", &["caxton-gateway", "caxton-api"]),
    ("tower-http", &["caxton-gateway"]),
    ("async-graphql*", &["caxton-gateway"]),
    ("clap*", &["caxton"]),
    ("mimalloc", &["caxton"]),
    (
        "tonic*",
        &["caxton-api", "caxton-gateway", "caxton-cluster"],
    ),
    (
        "prost*",
        &["caxton-api", "caxton-gateway", "caxton-cluster"],
    ),
    ("reqwest*", &["caxton-tools", "caxton-api"]),
    ("hyper*", &["caxton-tools", "caxton-api", "caxton-gateway"]),
    // tools: the client's side; gateway: the server's, over HTTP; the binary: the same over stdio.
    ("rmcp*", &["caxton-tools", "caxton-gateway", "caxton"]),
    ("dom_smoothie", &["caxton-tools"]),
    ("jsonschema", &["caxton-engine"]),
    // gateway: the server's side of TLS and the fetching of token keys; api: the client's side.
    (
        "rustls*",
        &[
            "caxton-api",
            "caxton-gateway",
            "caxton-tools",
            "caxton-cluster",
        ],
    ),
    // Ciphers of data at rest; TLS brings its own use of it.
    (
        "aws-lc-rs",
        &["caxton-store", "caxton-gateway", "caxton-wasm"],
    ),
    ("tokio-rustls", &["caxton-gateway", "caxton-cluster"]),
    ("x509-parser", &["caxton-gateway", "caxton-cluster"]),
    ("rcgen", &["caxton-gateway", "caxton-cluster"]),
    ("jsonwebtoken", &["caxton-gateway"]),
    ("rmcp", &["caxton-tools", "caxton-gateway"]),
    ("quinn", &["caxton-cluster"]),
    ("foca", &["caxton-cluster"]),
];

/// Floors whose tests, too, stay free of the libraries above.
const STRICT: &[&str] = &["caxton-core", "caxton-engine"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        let Some(name) = manifest::crate_of(path) else {
            continue;
        };
        if name == "caxton-testkit" {
            continue;
        }
        // A manifest that cannot be read is reported by the floors rule.
        for (dependency, kind) in manifest::dependencies(text).unwrap_or_default() {
            if kind == Kind::Dev && !STRICT.contains(&name) {
                continue;
            }
            let Some((_, homes)) = HOMES.iter().find(|(home, _)| matches(home, &dependency)) else {
                continue;
            };
            if !homes.contains(&name) {
                let text = format!("{dependency} does not live in {name} but in {homes:?}");
                findings.push(Finding::error(path, 0, text));
            }
        }
    }
    findings
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
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
    fn a_library_stays_at_home() {
        check_one(
            "caxton-wasm",
            "[dependencies]\nwasmtime-wasi.workspace = true",
            false,
        );
        check_one(
            "caxton-gateway",
            "[dependencies]\nwasmtime.workspace = true",
            true,
        );
        check_one("caxton", "[dependencies]\naxum.workspace = true", true);
        check_one(
            "caxton-store",
            "[dependencies]\nx = { package = \"sqlx\", version = \"1\" }",
            true,
        );
        check_one(
            "caxton-api",
            "[build-dependencies]\ntonic-prost-build.workspace = true",
            false,
        );
    }

    #[test]
    fn the_engines_tests_stay_free_of_adapters_too() {
        check_one(
            "caxton-engine",
            "[dev-dependencies]\nrusqlite.workspace = true",
            true,
        );
        check_one(
            "caxton-gateway",
            "[dev-dependencies]\nrusqlite.workspace = true",
            false,
        );
        check_one(
            "caxton-testkit",
            "[dependencies]\naxum.workspace = true",
            false,
        );
    }
}
