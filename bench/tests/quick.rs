//! Every row works: a smoke run of all of them. What it measures means nothing and is not looked at.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::process::Command;

/// Rows whose peer is a program that may be missing here; the run says that it was left out.
const MAY_BE_SKIPPED: &[&str] = &["wasm", "deploy", "gateway", "server"];

#[test]
fn every_row_runs_and_has_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_caxton-bench"))
        .args(["--quick", "--stem", "smoke", "--out"])
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let json = std::fs::read_to_string(folder.path().join("smoke.json")).unwrap();
    let report: Value = serde_json::from_str(&json).unwrap();
    for skipped in report["skipped"].as_array().unwrap() {
        let group = skipped["group"].as_str().unwrap();
        assert!(MAY_BE_SKIPPED.contains(&group), "{skipped}");
    }
    let rows = report["rows"].as_array().unwrap();
    for row in rows {
        let numbers = ["ours", "peer"]
            .into_iter()
            .filter(|side| !row[*side].is_null());
        for side in numbers {
            let median = row[side]["median"].as_f64().unwrap_or(f64::NAN);
            assert!(median.is_finite() && median > 0.0, "{side} of {row}");
        }
        assert!(row["ours"].is_object() && row["work"] != "", "{row}");
        assert!(row["met"].is_boolean() || row["goal"] == "none", "{row}");
    }
    let listed = Command::new(env!("CARGO_BIN_EXE_caxton-bench"))
        .arg("--list")
        .output()
        .unwrap();
    for line in String::from_utf8(listed.stdout).unwrap().lines() {
        let group = line.split_whitespace().next().unwrap();
        let skipped = report["skipped"].as_array().unwrap();
        assert!(
            rows.iter().chain(skipped).any(|row| row["group"] == group),
            "{group} has no row"
        );
    }
    let plot = std::fs::read_to_string(folder.path().join("smoke.svg")).unwrap();
    assert!(plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>"));
}
