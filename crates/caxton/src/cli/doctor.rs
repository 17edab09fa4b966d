//! `caxton doctor`: what on this machine, in the data folder and at the server wants attention, and what
//! to do about it. It looks, and changes nothing.

mod data;
mod machine;
mod reach;

use super::Global;
use super::output::{Column, Output, printable};
use super::target;
use crate::config::{Config, Sources};
use crate::failure::{Failure, Outcome};
use serde_json::{Value, json};

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    verdict: Verdict,
    detail: String,
    /// What to do; empty where there is nothing to be done.
    cure: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// It works, and may not for long.
    Warn,
    /// It keeps the server from working.
    Fail,
}

impl Verdict {
    fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

pub async fn run(global: &Global, output: &Output) -> Outcome {
    let config = Sources::of_process(None, super::serve::flags(global)).resolve();
    let mut findings = vec![configuration(&config)];
    let config = config.ok().map(|(config, _)| config);
    let folder = target::folder(global).ok();
    if let Some(folder) = &folder {
        findings.push(data::folder(folder));
        findings.push(data::disk(folder));
        findings.push(data::database(folder));
        findings.push(data::admin_key(folder));
        findings.push(data::secret_files(folder));
        findings.push(machine::clock(folder));
    }
    findings.push(machine::open_files(folder.as_ref()));
    findings.push(machine::mappings());
    if let Some(config) = &config {
        findings.push(reach::certificate(config));
    }
    findings.extend(reach::server(global, config.as_ref()).await);
    tell(&findings, output)?;
    match findings.iter().any(|it| it.verdict == Verdict::Fail) {
        true => Err(Failure::silent()),
        false => Ok(()),
    }
}

fn tell(findings: &[Finding], output: &Output) -> Outcome {
    let rows = findings.iter().map(|it| {
        let verdict = it.verdict.text().to_owned();
        vec![it.what.to_owned(), verdict, it.detail.clone()]
    });
    let rows = rows.collect();
    let checks: Vec<Value> = findings.iter().map(document).collect();
    let names: Vec<String> = findings.iter().map(|it| it.what.to_owned()).collect();
    let columns = ["CHECK", "VERDICT", "DETAIL"].map(Column::Text);
    output.list(&json!({ "checks": checks }), &columns, rows, &names)?;
    if output.is_table() {
        for it in findings.iter().filter(|it| !it.cure.is_empty()) {
            output.note(&format!("{}: {}", it.what, printable(&it.cure)));
        }
    }
    Ok(())
}

fn document(it: &Finding) -> Value {
    let mut document = json!({"check": it.what, "verdict": it.verdict.text(), "detail": it.detail});
    if let (Some(document), false) = (document.as_object_mut(), it.cure.is_empty()) {
        document.insert("cure".to_owned(), Value::String(it.cure.clone()));
    }
    document
}

fn ok(what: &'static str, detail: impl Into<String>) -> Finding {
    Finding {
        what,
        verdict: Verdict::Ok,
        detail: detail.into(),
        cure: String::new(),
    }
}

fn warn(what: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Finding {
    Finding {
        what,
        verdict: Verdict::Warn,
        detail: detail.into(),
        cure: cure.into(),
    }
}

fn fail(what: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Finding {
    Finding {
        verdict: Verdict::Fail,
        ..warn(what, detail, cure)
    }
}

/// What a failure says, and its own advice or that of its code.
fn failed(what: &'static str, failure: &Failure) -> Finding {
    fail(what, failure.what(), failure.cure())
}

fn configuration<T>(resolved: &Outcome<(Config, T)>) -> Finding {
    match resolved {
        Ok(_) => ok("configuration", "valid"),
        Err(failure) => failed("configuration", failure),
    }
}
