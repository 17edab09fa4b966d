//! `cargo xtask check`: what a change must pass besides its tests.
//!
//! Every gate runs even when an earlier one failed, so that one run tells everything.

use crate::{repo, tidy};
use anyhow::{Context, bail};
use std::process::{Command, Stdio};

type Gate = fn() -> anyhow::Result<()>;

pub fn run(_args: &[String]) -> anyhow::Result<()> {
    let gates: [(&str, Gate); 4] = [
        ("fmt", fmt),
        ("tidy", || tidy::run(&[])),
        ("deny", deny),
        ("clippy", clippy),
    ];
    let mut failed = Vec::new();
    for (name, gate) in gates {
        println!("# {name}");
        if let Err(error) = gate() {
            println!("{name}: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    println!("check: fmt, tidy, deny and clippy done");
    Ok(())
}

fn fmt() -> anyhow::Result<()> {
    succeed(repo::cargo()?.args(["fmt", "--all", "--check"]))
}

fn clippy() -> anyhow::Result<()> {
    let args = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    succeed(repo::cargo()?.args(args))
}

/// Licences, duplicate and banned crates, and sources are judged from the lock file. Advisories need
/// the public database: without network they are reported as not checked.
fn deny() -> anyhow::Result<()> {
    let Some(cargo_deny) = repo::find_program("cargo-deny") else {
        println!(
            "not checked: cargo-deny is missing; `cargo install cargo-deny --locked` brings it"
        );
        return Ok(());
    };
    let command = |checks: &[&str]| -> anyhow::Result<Command> {
        let mut command = Command::new(&cargo_deny);
        command
            .current_dir(repo::root()?)
            .args(["--log-level", "error", "check"])
            .args(checks);
        Ok(command)
    };
    succeed(&mut command(&["bans", "licenses", "sources"])?)?;

    let output = command(&["advisories"])?
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo-deny")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if database_is_missing(&said) {
        println!("advisories not checked: the database could not be fetched");
        return Ok(());
    }
    eprint!("{said}");
    bail!("an advisory applies")
}

/// Whether cargo-deny gave up before it compared anything.
fn database_is_missing(said: &str) -> bool {
    said.contains("advisory database") && !said.contains("error[vulnerability]")
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_database_is_excused() {
        assert!(database_is_missing(
            "failed to fetch advisory database https://…"
        ));
        assert!(!database_is_missing(
            "error[vulnerability]: x\n = the advisory database says"
        ));
        assert!(!database_is_missing("error: failed to parse deny.toml"));
    }
}
