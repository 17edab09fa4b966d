//! `caxton doctor`: what on this machine, in the data folder and at the server wants attention.

use super::output::{Column, Output};
use super::{Global, target};
use crate::config::Sources;
use crate::failure::{Failure, Outcome};
use caxton_api::v1::GetServerStatusRequest;
use serde_json::json;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// `ok`, `warn` or `fail`.
    verdict: &'static str,
    detail: String,
}

pub async fn run(global: &Global, output: &Output) -> Outcome {
    let findings = [
        configuration(global),
        folder(global),
        key(global),
        mappings(),
        server(global).await,
    ];
    let rows = findings.iter().map(|finding| {
        vec![
            finding.what.to_owned(),
            finding.verdict.to_owned(),
            finding.detail.clone(),
        ]
    });
    let rows = rows.collect();
    let checks: Vec<_> = findings
        .iter()
        .map(|finding| json!({"check": finding.what, "verdict": finding.verdict, "detail": finding.detail}))
        .collect();
    let names: Vec<String> = findings
        .iter()
        .map(|finding| finding.what.to_owned())
        .collect();
    let columns = [
        Column::Text("CHECK"),
        Column::Text("VERDICT"),
        Column::Text("DETAIL"),
    ];
    output.list(&json!({ "checks": checks }), &columns, rows, &names)?;
    match findings.iter().any(|finding| finding.verdict == "fail") {
        true => Err(Failure::silent()),
        false => Ok(()),
    }
}

fn finding(what: &'static str, verdict: &'static str, detail: impl Into<String>) -> Finding {
    Finding {
        what,
        verdict,
        detail: detail.into(),
    }
}

fn configuration(global: &Global) -> Finding {
    match Sources::of_process(None, super::serve::flags(global)).resolve() {
        Ok(_) => finding("configuration", "ok", "valid"),
        Err(failure) => finding("configuration", "fail", failure.what()),
    }
}

fn folder(global: &Global) -> Finding {
    match target::folder(global) {
        Err(failure) => finding("data folder", "fail", failure.what()),
        Ok(folder) if folder.path().is_dir() => {
            finding("data folder", "ok", folder.path().display().to_string())
        }
        Ok(folder) => finding(
            "data folder",
            "ok",
            format!(
                "{} is not there yet; `caxton serve` makes it",
                folder.path().display()
            ),
        ),
    }
}

fn key(global: &Global) -> Finding {
    let Ok(folder) = target::folder(global) else {
        return finding("admin key", "warn", "there is no data folder to look in");
    };
    match folder.key() {
        Err(failure) => finding("admin key", "fail", failure.what()),
        Ok(None) => finding("admin key", "ok", "none yet; `caxton serve` makes it"),
        Ok(Some(_)) if folder.key_is_exposed() => finding(
            "admin key",
            "warn",
            "others than its owner can read it: chmod 600 it",
        ),
        Ok(Some(_)) => finding("admin key", "ok", "kept for its owner alone"),
    }
}

/// A sandbox takes some mappings, and Linux gives a process so many.
fn mappings() -> Finding {
    let Ok(text) = std::fs::read_to_string("/proc/sys/vm/max_map_count") else {
        return finding("memory mappings", "ok", "no limit that is known");
    };
    let mappings: u64 = text.trim().parse().unwrap_or(0);
    let sandboxes = caxton_wasm::instances_max(u32::MAX, Some(mappings));
    finding(
        "memory mappings",
        "ok",
        format!(
            "{mappings} a process, room for about {sandboxes} live sandboxes (vm.max_map_count)"
        ),
    )
}

async fn server(global: &Global) -> Finding {
    let client = match target::client(global) {
        Ok(client) => client,
        Err(failure) => return finding("server", "warn", failure.what()),
    };
    match client.get_server_status(&GetServerStatusRequest {}).await {
        Ok(status) if status.state == "ready" => finding(
            "server",
            "ok",
            format!("{} {} is ready", client.server(), status.version),
        ),
        Ok(status) => finding(
            "server",
            "warn",
            format!(
                "{} is {}: {}",
                client.server(),
                status.state,
                status.reason.unwrap_or_default()
            ),
        ),
        Err(error) => {
            let failure = Failure::from(error);
            let verdict = match failure.exit() {
                crate::failure::Exit::Unreachable => "warn",
                _ => "fail",
            };
            finding("server", verdict, failure.what())
        }
    }
}
