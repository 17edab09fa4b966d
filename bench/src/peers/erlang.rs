//! Erlang's processes, found by name in an ETS table for each message: `bench/erlang/bounce.erl`. The
//! virtual machine is a process of its own that measures itself, after a warm-up.

use crate::measure::{Contestant, PER_CPU_S, PER_S, Scores};
use crate::world::HOPS;
use anyhow::{Context as _, bail, ensure};
use futures::future::BoxFuture;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set by `cargo xtask bench`, which installs Erlang where it may.
const VARIABLE: &str = "CAXTON_TEST_ERL";

/// A compiled script and the virtual machine that runs it.
#[derive(Clone, Debug)]
pub struct Erlang {
    erl: PathBuf,
    code: PathBuf,
}

impl Erlang {
    /// Finds Erlang and compiles the script into a folder.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let erl = match std::env::var_os(VARIABLE) {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from("erl"),
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("erlang/bounce.erl");
        let output = Command::new(erl.with_file_name("erlc"))
            .arg("-o")
            .arg(folder)
            .arg(&script)
            .output()
            .context("Erlang is missing (Debian's erlang-base); `cargo xtask bench` installs it as root or with --yes")?;
        ensure!(
            output.status.success(),
            "erlc: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(Self {
            erl,
            code: folder.to_path_buf(),
        })
    }
}

/// Pairs of processes with some messages between each.
#[derive(Debug)]
pub struct Pairs {
    pub name: &'static str,
    pub erlang: Erlang,
    /// Options of the virtual machine.
    pub flags: &'static [&'static str],
    pub pairs: usize,
    pub balls: usize,
    pub waves: usize,
}

impl Contestant for Pairs {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let numbers = [
                self.pairs,
                self.balls,
                usize::from(HOPS),
                self.waves,
                self.waves.div_ceil(5),
            ];
            let output = Command::new(&self.erlang.erl)
                .args(self.flags)
                .args(["-noinput", "-pa"])
                .arg(&self.erlang.code)
                .args(["-run", "bounce", "main"])
                .args(numbers.map(|number| number.to_string()))
                .output()
                .context("run erl")?;
            let said = String::from_utf8_lossy(&output.stdout);
            ensure!(output.status.success(), "erl: {said}");
            let numbers: Vec<f64> = said
                .split_whitespace()
                .filter_map(|number| number.parse().ok())
                .collect();
            let [messages, wall_us, cpu_us] = numbers.as_slice() else {
                bail!("erl said: {said}");
            };
            // The machine's own measure is of whole milliseconds; a smoke run may take none.
            Ok(Scores::from([
                (PER_CPU_S, messages * 1e6 / cpu_us.max(1000.0)),
                (PER_S, messages * 1e6 / wall_us.max(1.0)),
            ]))
        })
    }
}
