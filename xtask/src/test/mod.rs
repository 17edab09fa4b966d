//! `cargo xtask test`: every test of the repository, and an honest account of those not run.
//!
//! Two passes of `cargo test`. The first runs what needs nothing but Rust, and shows which tests are
//! ignored because they need a program. Those programs, and no others, are then found or installed,
//! and the second pass runs their tests by name. What is left is listed with its reason. The last
//! line is always `N passed, N failed, N skipped`.

mod tally;

use crate::{repo, tools};
use anyhow::{Context, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use tally::Tally;

/// Tests that did not run, each with why. Two binaries may have tests of one name.
type Reasons = Vec<(String, String)>;

pub fn run(args: &[String]) -> anyhow::Result<()> {
    let (ours, for_cargo) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (args.get(..at), args.get(at + 1..)),
        None => (Some(args), None),
    };
    let mut yes = false;
    for arg in ours.unwrap_or_default() {
        match arg.as_str() {
            "--yes" => yes = true,
            other => bail!("unknown option {other}; what follows `--` goes to cargo test"),
        }
    }
    let for_cargo: Vec<&str> = for_cargo
        .unwrap_or_default()
        .iter()
        .map(String::as_str)
        .collect();

    println!("# tests that need nothing but Rust");
    let mut total = cargo_test(&for_cargo, &BTreeSet::new(), &BTreeMap::new())?;
    let mut reasons = Reasons::new();
    second_pass(&mut total, &mut reasons, &for_cargo, yes)?;
    report(&total, &reasons)
}

/// Provides the programs that ignored tests ask for and runs those tests; `reasons` gets, for each
/// test still not run, why.
fn second_pass(
    total: &mut Tally,
    reasons: &mut Reasons,
    for_cargo: &[&str],
    yes: bool,
) -> anyhow::Result<()> {
    let wanted: BTreeSet<String> = total
        .ignored
        .iter()
        .filter_map(|(_, reason)| tools::needs(reason))
        .flatten()
        .map(str::to_string)
        .collect();
    let mut variables = BTreeMap::new();
    let mut missing: BTreeMap<String, String> = BTreeMap::new();
    if !wanted.is_empty() {
        println!("\n# programs that further tests need");
        let workshop = tools::Workshop::open(yes)?;
        for name in wanted {
            let provided = tools::by_name(&name)
                .with_context(|| format!("xtask knows no program called {name}"))
                .and_then(|tool| tool.provide(&workshop));
            match provided {
                Ok(found) => {
                    println!("{name}: ready");
                    variables.extend(found);
                }
                Err(error) => {
                    println!("{name}: {error:#}");
                    missing.insert(name, format!("{error:#}"));
                }
            }
        }
    }
    let mut runnable = BTreeSet::new();
    for (test, reason) in &total.ignored {
        let Some(names) = tools::needs(reason) else {
            reasons.push((test.clone(), reason.clone()));
            continue;
        };
        match names
            .iter()
            .find_map(|name| missing.get(*name).map(|why| format!("{name}: {why}")))
        {
            Some(why) => reasons.push((test.clone(), why)),
            None => {
                runnable.insert(test.clone());
            }
        }
    }
    if runnable.is_empty() {
        return Ok(());
    }
    println!("\n# tests that need these programs");
    let second = cargo_test(for_cargo, &runnable, &variables)?;
    total.add_second_pass(&runnable, &second, reasons);
    Ok(())
}

/// One `cargo test` over the workspace, shown as it goes. `exactly` names ignored tests to run
/// instead of the ordinary ones.
fn cargo_test(
    for_cargo: &[&str],
    exactly: &BTreeSet<String>,
    variables: &tools::VariableMap,
) -> anyhow::Result<Tally> {
    let mut command = repo::cargo()?;
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(for_cargo);
    if !exactly.is_empty() {
        // `--tests` leaves doc tests out: none of them needs a program.
        command
            .args(["--tests", "--", "--ignored", "--exact"])
            .args(exactly);
    }
    command.envs(variables).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo")?;
    let stdout = child.stdout.take().context("cargo's output is piped")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).split(b'\n') {
        // A test may print bytes that are no text.
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        tally.read(&line);
    }
    let status = child.wait().context("cannot wait for cargo")?;
    tally.finish(status.success());
    Ok(tally)
}

fn report(total: &Tally, reasons: &Reasons) -> anyhow::Result<()> {
    if !reasons.is_empty() {
        println!("\n# could not run");
        for (test, reason) in reasons {
            println!("{test}: {reason}");
        }
    }
    if !total.failures.is_empty() {
        println!("\n# failed");
        for failure in &total.failures {
            println!("{failure}");
        }
    }
    println!();
    println!(
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    );
    if total.failed > 0 {
        // The account above is the message; nothing may come after its last line.
        std::process::exit(1);
    }
    Ok(())
}
