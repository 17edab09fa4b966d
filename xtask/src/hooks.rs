//! `cargo xtask hooks`: puts the repository's git hooks where git looks for them.
//!
//! The installed hook is one line that runs the tracked script, so that the script's later versions
//! need no second installation, and git's configuration stays as the user left it.

use crate::repo;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const HOOKS: &[&str] = &["pre-commit"];
const MARK: &str = "# installed by cargo xtask hooks";

pub fn run(_args: &[String]) -> anyhow::Result<()> {
    let root = repo::root()?;
    let output = Command::new("git")
        .args(["rev-parse", "--git-path", "hooks"])
        .current_dir(&root)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!(
            "git found no repository here: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let hooks_dir = root.join(String::from_utf8(output.stdout)?.trim());
    for name in HOOKS {
        let path = install(&hooks_dir, name)?;
        println!("installed {}", path.display());
    }
    Ok(())
}

/// Writes one hook, replacing only one that an earlier run of this command wrote.
fn install(hooks_dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = hooks_dir.join(name);
    if path.exists() {
        let old = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if !old.contains(MARK) {
            bail!(
                "{} exists and is not ours; add `.githooks/{name}` to it yourself",
                path.display()
            );
        }
    }
    std::fs::create_dir_all(hooks_dir)?;
    let script = format!(
        "#!/bin/sh\n{MARK}\nexec \"$(git rev-parse --show-toplevel)/.githooks/{name}\" \"$@\"\n"
    );
    std::fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
    make_executable(&path)?;
    Ok(path)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// Elsewhere git starts hooks by their first line alone.
#[cfg(not(unix))]
fn make_executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn empty_dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("caxton-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    #[track_caller]
    fn git(dir: &Path, args: &[&str]) {
        // Inside a hook git sets these, and they would point at the real repository.
        let output = Command::new("git")
            .args(args)
            .current_dir(dir)
            .env_remove("GIT_DIR")
            .env_remove("GIT_INDEX_FILE")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {said}");
    }

    #[test]
    fn git_runs_the_tracked_script_before_a_commit() {
        let dir = empty_dir("hooks-run");
        std::fs::create_dir_all(dir.join(".githooks")).unwrap();
        // Installed twice, the second time over itself.
        git(&dir, &["init", "--quiet"]);
        install(&dir.join(".git/hooks"), "pre-commit").unwrap();
        install(&dir.join(".git/hooks"), "pre-commit").unwrap();
        let script = dir.join(".githooks/pre-commit");
        std::fs::write(&script, "#!/bin/sh\necho ran > ran\n").unwrap();
        make_executable(&script).unwrap();
        let who = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@localhost",
            "-c",
            "commit.gpgsign=false",
        ];
        let commit = ["commit", "--quiet", "--allow-empty", "--message", "x"];
        git(&dir, &[&who[..], &commit[..]].concat());
        assert_eq!(std::fs::read_to_string(dir.join("ran")).unwrap(), "ran\n");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn leaves_a_users_own_hook_alone() {
        let dir = empty_dir("hooks-own");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("pre-commit"), "#!/bin/sh\ntrue\n").unwrap();
        let error = install(&dir, "pre-commit").unwrap_err().to_string();
        assert!(error.contains("not ours"), "{error}");
        let kept = std::fs::read_to_string(dir.join("pre-commit")).unwrap();
        assert_eq!(kept, "#!/bin/sh\ntrue\n");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
