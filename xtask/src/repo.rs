//! Where the repository is, and how its tasks start other programs in it.

use anyhow::{Context, bail};
use std::path::PathBuf;
use std::process::Command;

/// The repository's root folder, whatever folder the command was started from.
pub fn root() -> anyhow::Result<PathBuf> {
    // Cargo sets this when it runs us; it stays right when the checkout is moved after the build.
    if let Some(manifest_dir) = std::env::var_os("CARGO_MANIFEST_DIR")
        && let Some(root) = PathBuf::from(manifest_dir).parent()
    {
        return Ok(root.to_path_buf());
    }
    let mut dir = std::env::current_dir().context("cannot tell the current folder")?;
    while !dir.join("xtask/Cargo.toml").is_file() {
        if !dir.pop() {
            bail!("run this inside the repository");
        }
    }
    Ok(dir)
}

/// A cargo command that runs in the repository's root, with the cargo that started us.
pub fn cargo() -> anyhow::Result<Command> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()?);
    // Set for this process by `cargo run`; a nested cargo and what it builds must not see them.
    for name in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
        "CARGO_PKG_VERSION",
    ] {
        command.env_remove(name);
    }
    Ok(command)
}

/// The absolute path of a program on `PATH`, if it is there.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}
