//! How fast Caxton is, against peers that do the same work in the same run.
//!
//! `cargo xtask bench` builds and starts this; `docs/performance.md` tells the method and the last
//! results. Nothing here is shipped, and nothing here fails because of a number: a row that misses
//! its goal says so.

mod measure;
/// The server's own packing of messages, so that a sandbox without limits differs in the limits alone.
#[path = "../../crates/caxton-wasm/src/packed.rs"]
#[allow(dead_code)]
#[rustfmt::skip]
mod packed;
mod peers;
mod report;
mod rows;
mod world;

use anyhow::{Context as _, bail};
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;

/// The server's own allocator, for all contestants of this process alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The hidden command that makes this process a compiler of components, as the server's binary has it.
pub const COMPILE_WORKER: &str = "compile-worker";

/// The hidden command that makes this process the one whose memory is measured.
pub const IDLE_PROBE: &str = "idle-probe";

/// The hidden command that makes this process a provider of models.
pub const PROVIDER: &str = "provider";

/// The hidden command that makes this process a proxy that does nothing but pass on.
pub const PROXY: &str = "proxy";

const USAGE: &str = "\
Usage: caxton-bench [OPTIONS] [NAME…]

  --quick        a smoke run: every row with next to no work; its numbers mean nothing
  --rounds N     rounds that count (default 5; quick: 1); one more is run before them and dropped
  --ours         without the peers, to be profiled
  --out DIR      where the JSON and the plot go (default bench/results)
  --stem NAME    what they are called there (default: the time)
  --list         the names there are
";

/// How a run is to be.
#[derive(Debug)]
pub struct Run {
    pub quick: bool,
    pub rounds: usize,
    /// Without the peers: for profiles.
    pub ours_only: bool,
    /// A folder for databases and other files, on the file system that is measured.
    pub scratch: PathBuf,
}

impl Run {
    /// So much work, or next to none in a smoke run.
    pub fn scaled(&self, work: usize) -> usize {
        if self.quick {
            (work / 200).clamp(1, 20)
        } else {
            work
        }
    }
}

fn main() -> ExitCode {
    if std::env::args()
        .nth(1)
        .is_some_and(|arg| arg == COMPILE_WORKER)
    {
        return caxton_wasm::compile::worker_main();
    }
    let result = match std::env::args().nth(1) {
        Some(arg) if arg == IDLE_PROBE => probe(),
        Some(arg) if arg == PROVIDER => provide(),
        Some(arg) if arg == PROXY => pass_on(),
        _ => run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("caxton-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn probe() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(2);
    let agents = args.next().context("how many agents")?.parse()?;
    let folder = PathBuf::from(args.next().context("which folder")?);
    let runtime = tokio::runtime::Runtime::new().context("start tokio")?;
    runtime.block_on(rows::idle::probe(agents, &folder))
}

fn provide() -> anyhow::Result<()> {
    let address = std::env::args().nth(2).context("which address")?.parse()?;
    let runtime = tokio::runtime::Runtime::new().context("start tokio")?;
    runtime.block_on(peers::proxies::provide(address))
}

fn pass_on() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(2);
    let address = args.next().context("which address")?.parse()?;
    let provider = args.next().context("which provider")?.parse()?;
    let runtime = tokio::runtime::Runtime::new().context("start tokio")?;
    runtime.block_on(peers::proxies::pass_on(address, provider))
}

fn run() -> anyhow::Result<()> {
    let Some(arguments) = Arguments::read(std::env::args().skip(1))? else {
        return Ok(());
    };
    // Of this process: what a run that was killed left behind is nobody else's.
    let scratch = arguments
        .out
        .join(format!("scratch-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).with_context(|| format!("make {}", scratch.display()))?;
    let run = Run {
        quick: arguments.quick,
        rounds: arguments.rounds,
        ours_only: arguments.ours_only,
        scratch: scratch.clone(),
    };
    let mut report = Report::new(run.rounds, run.quick);
    let runtime = tokio::runtime::Runtime::new().context("start tokio")?;
    for (name, _, runner) in rows::GROUPS {
        let asked = arguments.names.is_empty() || arguments.names.iter().any(|asked| asked == name);
        if asked && let Err(error) = runtime.block_on(runner(&run, &mut report)) {
            report.skip(name, format!("{error:#}"));
        }
    }
    report.finish();
    println!("{}", report.table());
    report.write(&arguments.out, &arguments.stem(&report))?;
    let _ = std::fs::remove_dir_all(scratch);
    Ok(())
}

struct Arguments {
    quick: bool,
    rounds: usize,
    ours_only: bool,
    out: PathBuf,
    stem: Option<String>,
    names: Vec<String>,
}

impl Arguments {
    /// `None` where they only asked for something to be shown.
    fn read(mut args: impl Iterator<Item = String>) -> anyhow::Result<Option<Self>> {
        let mut read = Self {
            quick: false,
            rounds: 0,
            ours_only: false,
            out: PathBuf::from("bench/results"),
            stem: None,
            names: Vec::new(),
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--quick" => read.quick = true,
                "--ours" => read.ours_only = true,
                "--rounds" => read.rounds = value()?.parse().context("--rounds wants a number")?,
                "--out" => read.out = value()?.into(),
                "--stem" => read.stem = Some(value()?),
                "--help" | "-h" => {
                    print!("{USAGE}");
                    return Ok(None);
                }
                "--list" => {
                    for (name, about, _) in rows::GROUPS {
                        println!("{name:<12} {about}");
                    }
                    return Ok(None);
                }
                name if rows::GROUPS.iter().any(|(known, ..)| *known == name) => {
                    read.names.push(arg);
                }
                other => bail!("there is no row or option `{other}`\n\n{USAGE}"),
            }
        }
        if read.rounds == 0 {
            read.rounds = if read.quick { 1 } else { 5 };
        }
        Ok(Some(read))
    }

    fn stem(&self, report: &Report) -> String {
        let time = || report.began.replace(':', "-");
        self.stem.clone().unwrap_or_else(time)
    }
}
