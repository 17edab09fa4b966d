//! A whole server under requests made from its own OpenAPI document, good and bad.

use crate::support::Home;
use std::process::Command;

#[test]
#[ignore = "needs schemathesis"]
fn no_request_made_from_the_document_is_a_server_error() {
    let schemathesis = std::env::var_os("CAXTON_TEST_SCHEMATHESIS").expect("cargo xtask test");
    let home = Home::new();
    let server = home.serve();
    home.deploy("echo");
    let key = std::fs::read_to_string(home.data().join("admin.key")).unwrap();
    let auth = format!("Authorization: Bearer {}", key.trim());
    let document = format!("{}/openapi.json", server.url());
    let args = [
        "run",
        &document,
        "-H",
        &auth,
        "--checks",
        "not_a_server_error,content_type_conformance,status_code_conformance",
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "30",
        "--seed",
        "7",
        "--request-timeout",
        "30",
        "--suppress-health-check",
        "all",
        // A stream has no end to wait for.
        "--exclude-path-regex",
        "stream$",
    ];
    let ran = Command::new(schemathesis)
        .args(args)
        .current_dir(home.path())
        .env("PYTHONUTF8", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}");
    // It did ask: thousands of requests, and the server is as well as before.
    let mut numbers = told.lines().filter_map(|line| {
        let (count, _) = line.trim().split_once(" generated")?;
        count
            .rsplit(' ')
            .next()?
            .replace(',', "")
            .parse::<u64>()
            .ok()
    });
    let asked = numbers.next().unwrap_or_else(|| panic!("{told}"));
    assert!(asked > 500, "{asked}: {told}");
    assert_eq!(home.json(&["server", "status"])["state"], "ready");
    assert_eq!(server.terminate(), Some(0));
}
