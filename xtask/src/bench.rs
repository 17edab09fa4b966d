//! `cargo xtask bench [NAME…]`: how fast Caxton is, against its peers in the same run.
//!
//! This builds the bench for release, sees that the peers are there, and starts it; what is measured
//! and how stands in `bench/` and in `docs/performance.md`. `fresh` is apart: it times what somebody
//! waits for who clones the repository, and is so expensive that it only runs when it is named.

use crate::{repo, tools};
use anyhow::{Context, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const USAGE: &str = "\
Usage: cargo xtask bench [--yes] [--dist] [OPTIONS] [NAME…]

  (nothing)   every row, against its peers
  NAME…       some groups of rows; --list tells the names
  fresh       instead: a fresh clone to talking agents, nothing built before (many minutes)
  --dist      build as what is packed is built, in place of `--release` (many minutes)
  --yes       install a missing peer (Debian's erlang-base) with apt-get; as root it is anyway

What else is given goes to the bench: --quick, --rounds N, --out DIR, --stem NAME, --list.
";

/// The peers that are no Rust, and the groups of rows they are in.
const PEERS: &[(&str, &[&str])] = &[
    ("erlang", &["wasm"]),
    ("nginx", &["gateway"]),
    ("litellm", &["gateway"]),
];

/// Runs the command; see [`USAGE`].
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let yes = args.iter().any(|arg| arg == "--yes");
    let profile = match args.iter().any(|arg| arg == "--dist") {
        true => "--profile=dist",
        false => "--release",
    };
    let rest: Vec<&String> = args
        .iter()
        .filter(|arg| !["--yes", "--dist"].contains(&arg.as_str()))
        .collect();
    if rest.iter().any(|arg| *arg == "--help" || *arg == "-h") {
        print!("{USAGE}");
        return Ok(());
    }
    if let [only] = rest.as_slice()
        && *only == "fresh"
    {
        return fresh();
    }
    ensure!(
        !rest.iter().any(|arg| *arg == "fresh"),
        "`fresh` runs alone: everything else would make it wait\n\n{USAGE}"
    );
    // The rows that measure a process of its own start the server's binary beside the bench's.
    let built = repo::cargo()?
        .args(["build", profile, "--quiet", "--package", "caxton"])
        .status()
        .context("cannot run cargo")?;
    ensure!(built.success(), "the server does not build ({built})");
    let mut command = repo::cargo()?;
    command
        .args(["run", profile, "--quiet", "--package", "caxton-bench", "--"])
        .args(&rest);
    let workshop = tools::Workshop::open(yes)?;
    for (peer, groups) in PEERS {
        // A peer is only looked for where a row of its is asked for.
        let all = rest.iter().all(|arg| arg.starts_with('-'));
        if !all && !rest.iter().any(|arg| groups.contains(&arg.as_str())) {
            continue;
        }
        let tool = tools::by_name(peer).with_context(|| format!("xtask knows no {peer}"))?;
        match tool.provide(&workshop) {
            Ok(variables) => {
                command.envs(variables);
            }
            Err(error) => println!("{peer}: {error:#}; the rows against it are left out"),
        }
    }
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "the bench failed ({status})");
    Ok(())
}

/// A clone of what is committed, built with an empty target folder and shown with `try`.
fn fresh() -> anyhow::Result<()> {
    let root = repo::root()?;
    let folder = std::env::temp_dir().join(format!("caxton-fresh-{}", std::process::id()));
    let clone = folder.join("caxton");
    let cleared = Clearing(folder.clone());
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let mut git = Command::new("git");
    git.args(["clone", "--quiet"]).arg(&root).arg(&clone);
    let cloned = timed("clone", &mut git)?;

    let built = timed(
        "build",
        cargo_in(&clone, &folder)?.args(["build", "--release", "--timings"]),
    )?;
    let caxton = folder.join("target/release/caxton");
    let mut tour = Command::new(caxton);
    tour.arg("try").current_dir(&clone).stdout(Stdio::null());
    let tried = timed("try", &mut tour)?;

    let whole = cloned + built + tried;
    println!(
        "\nfresh clone to talking agents: {} (goal: 10 minutes)",
        told(whole)
    );
    println!(
        "  clone {}, build {}, try {}",
        told(cloned),
        told(built),
        told(tried)
    );
    println!("  the time to download dependencies is in it only where they were not there already");
    let heaviest = heaviest(&folder.join("target/cargo-timings"))?;
    println!("\nwhat weighs, in seconds of one core:");
    for (name, seconds) in heaviest.iter().take(15) {
        println!("{seconds:>8.1}  {name}");
    }
    drop(cleared);
    Ok(())
}

fn cargo_in(clone: &Path, folder: &Path) -> anyhow::Result<Command> {
    let mut command = repo::cargo()?;
    command
        .current_dir(clone)
        .env("CARGO_TARGET_DIR", folder.join("target"));
    Ok(command)
}

/// Removes the clone and what was built in it, however it ended.
struct Clearing(PathBuf);

impl Drop for Clearing {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left: {error}", self.0.display());
        }
    }
}

fn timed(what: &str, command: &mut Command) -> anyhow::Result<Duration> {
    println!("# {what}");
    let begun = Instant::now();
    let status = command.status().with_context(|| format!("cannot {what}"))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    Ok(begun.elapsed())
}

fn told(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// The units of cargo's own report, the longest first.
fn heaviest(folder: &Path) -> anyhow::Result<Vec<(String, f64)>> {
    let report = folder.join("cargo-timing.html");
    let text = fs::read_to_string(&report).with_context(|| format!("read {}", report.display()))?;
    let mut units = units(&text);
    ensure!(!units.is_empty(), "{} names no units", report.display());
    units.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(units)
}

/// Names and durations of the JSON inside the report: `"name": "x", … "target": " (y)", …
/// "duration": 1.2`, one object a unit.
fn units(report: &str) -> Vec<(String, f64)> {
    let field = |unit: &str, name: &str| -> Option<String> {
        let (_, rest) = unit.split_once(&format!("\"{name}\":"))?;
        let value = rest.split([',', '\n', '}']).next()?;
        Some(value.trim().trim_matches('"').to_owned())
    };
    let Some((_, data)) = report.split_once("const UNIT_DATA =") else {
        return Vec::new();
    };
    let objects = data
        .split("];")
        .next()
        .unwrap_or_default()
        .split('{')
        .skip(1);
    objects
        .filter_map(|unit| {
            let seconds = field(unit, "duration")?.parse().ok()?;
            let target = field(unit, "target").unwrap_or_default();
            let name = format!(
                "{} {}{target}",
                field(unit, "name")?,
                field(unit, "version")?
            );
            Some((name, seconds))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_from_cargos_report() {
        let report = r#"<script>
const UNIT_DATA = [
  { "duration": 0.4, "features": ["a", "b"], "i": 0, "mode": "todo", "name": "x", "target": "",
    "version": "1.0.0" },
  {
    "duration": 12.5, "i": 1, "name": "y", "target": " build script", "version": "0.2.0"
  }
];
const CONCURRENCY_DATA = [{"t": 1}];
</script>"#;
        let expected = [("x 1.0.0", 0.4), ("y 0.2.0 build script", 12.5)];
        let expected = expected.map(|(name, seconds)| (name.to_owned(), seconds));
        assert_eq!(units(report), expected);
    }

    #[test]
    fn times_are_told_as_minutes_and_seconds() {
        assert_eq!(told(Duration::from_secs(605)), "10:05");
    }
}
