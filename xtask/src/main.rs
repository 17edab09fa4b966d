//! `cargo xtask COMMAND`: what one does with this repository beyond plain cargo.
//!
//! Written in Rust so that a machine with nothing but Rust can run it, and kept small because every
//! command begins by compiling it. Each command is one module with a `run`; this file only
//! dispatches.

mod bench;
mod check;
mod fixtures;
mod hooks;
mod repo;
mod test;
mod tidy;
mod tools;

use anyhow::bail;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test [--yes] [-- ARGS]  run every test; ARGS go to `cargo test`. --yes allows system packages
  check                   fmt, clippy, tidy and cargo-deny: what a change must pass besides tests
  tidy                    the house rules alone, in a second
  fixtures                build the example agents' components again; --help says how
  bench [NAME ...]        measure against peers, in release mode; --list shows what there is
  hooks                   install the git hook that runs fmt and tidy before each commit
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> anyhow::Result<()> {
    let Some((command, rest)) = args.split_first() else {
        print!("{USAGE}");
        return Ok(());
    };
    match command.as_str() {
        "test" => test::run(rest),
        "bench" => bench::run(rest),
        "check" => check::run(rest),
        "tidy" => tidy::run(rest),
        "fixtures" => fixtures::run(rest),
        "hooks" => hooks::run(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("unknown command `{other}`\n\n{USAGE}"),
    }
}
