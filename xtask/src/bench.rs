//! `cargo xtask bench [NAME ...]`: builds the benches in release mode and runs them. What they
//! measure, and against what, they say themselves: `cargo xtask bench --list`.

use crate::repo;
use anyhow::ensure;

pub fn run(args: &[String]) -> anyhow::Result<()> {
    let status = repo::cargo()?
        .args(["run", "--release", "--package", "caxton-bench", "--"])
        .args(args)
        .status()?;
    ensure!(status.success(), "the benches ended with {status}");
    Ok(())
}
