//! The data folder: whether a server could work in it.

use super::{Finding, fail, failed, ok, warn};
use crate::cli::output::size;
use crate::folder::Folder;
use caxton_store::{SHARED_FILE, TENANTS_DIR};
use rustix::fs::{Access, access, statvfs};
use std::path::{Path, PathBuf};

/// Less free disk than this fails soon: a backup is as large as the data, and a log is kept meanwhile.
const DISK_BYTES_WARN: u64 = 1 << 30;
const DISK_BYTES_FAIL: u64 = 64 << 20;
/// Databases up to this size are read whole: some seconds.
const CHECK_BYTES_MAX: u64 = 1 << 30;
/// Tenants' own files that are looked at.
const FILES_MAX: usize = 100;

pub(super) fn folder(folder: &Folder) -> Finding {
    const WHAT: &str = "data folder";
    let path = folder.path();
    let shown = path.display();
    let there = nearest_there(path);
    let writable = access(there, Access::WRITE_OK | Access::EXEC_OK);
    match (there == path, writable) {
        _ if path.exists() && !path.is_dir() => fail(
            WHAT,
            format!("{shown} is no folder"),
            "name another with --data, or move the file away",
        ),
        (true, Ok(())) => ok(WHAT, shown.to_string()),
        (false, Ok(())) => ok(
            WHAT,
            format!("{shown} is not there yet; `caxton serve` makes it"),
        ),
        (_, Err(error)) => fail(
            WHAT,
            format!("{} cannot be written: {error}", there.display()),
            "run this as the user of the server, give that user the folder (chown), or name another with --data",
        ),
    }
}

pub(super) fn disk(folder: &Folder) -> Finding {
    const WHAT: &str = "disk";
    const CURE: &str = "make room on this disk, or move the data folder to a larger one";
    let free = match statvfs(nearest_there(folder.path())) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => return warn(WHAT, format!("cannot be asked: {error}"), ""),
    };
    let detail = format!("{} free", size(free));
    match free {
        ..DISK_BYTES_FAIL => fail(WHAT, detail, CURE),
        DISK_BYTES_FAIL..DISK_BYTES_WARN => warn(WHAT, detail, CURE),
        _ => ok(WHAT, detail),
    }
}

pub(super) fn database(folder: &Folder) -> Finding {
    const WHAT: &str = "database";
    const CURE: &str = "stop the server and bring back a backup: `caxton backup list`, `caxton backup restore NAME`; docs/storage.md tells more";
    let files = files(folder);
    if files.is_empty() {
        return ok(WHAT, "none yet; `caxton serve` makes it");
    }
    let (mut bytes, mut skipped) = (0, 0);
    for file in &files {
        match caxton_store::look(file, CHECK_BYTES_MAX) {
            Ok(found) => {
                bytes += found.bytes;
                skipped += usize::from(!found.pages_read);
            }
            Err(error) => return fail(WHAT, error.to_string(), CURE),
        }
    }
    let detail = match files.len() {
        1 => size(bytes),
        files => format!("{} in {files} files", size(bytes)),
    };
    match skipped {
        0 => ok(WHAT, format!("{detail}, whole: every page was read")),
        _ => ok(
            WHAT,
            format!(
                "{detail}, opens; {skipped} too large to be read here: `caxton backup create`, then `caxton backup verify NAME` reads all"
            ),
        ),
    }
}

pub(super) fn admin_key(folder: &Folder) -> Finding {
    const WHAT: &str = "admin key";
    match folder.key() {
        Err(failure) => failed(WHAT, &failure),
        Ok(None) => ok(WHAT, "none yet; `caxton serve` makes it"),
        Ok(Some(_)) if folder.exposed().contains(&folder.key_path()) => warn(
            WHAT,
            "others than its owner can read it",
            format!(
                "chmod 600 {}, and rotate it if others did: `caxton key list --platform`, `caxton key rotate ID`",
                folder.key_path().display()
            ),
        ),
        Ok(Some(_)) => ok(WHAT, "kept for its owner alone"),
    }
}

/// The other secrets of the folder.
pub(super) fn secret_files(folder: &Folder) -> Finding {
    const WHAT: &str = "secret files";
    let key = folder.key_path();
    let exposed = folder.exposed().into_iter().filter(|path| *path != key);
    let exposed: Vec<String> = exposed.map(|path| path.display().to_string()).collect();
    match exposed.is_empty() {
        true => ok(WHAT, "kept for their owner alone"),
        false => warn(
            WHAT,
            format!("others than their owner can read {}", exposed.join(", ")),
            format!("chmod 600 {}", exposed.join(" ")),
        ),
    }
}

/// The path, or the first folder above it that is there.
fn nearest_there(path: &Path) -> &Path {
    let there = path.ancestors().find(|it| it.exists());
    match there {
        Some(there) if !there.as_os_str().is_empty() => there,
        _ => Path::new("."),
    }
}

/// The database that tenants share, and those of tenants with one of their own.
pub(super) fn files(folder: &Folder) -> Vec<PathBuf> {
    let own = std::fs::read_dir(folder.join(TENANTS_DIR))
        .into_iter()
        .flatten();
    let own = own.flatten().map(|entry| entry.path());
    let own = own.filter(|path| path.extension().is_some_and(|it| it == "db"));
    let shared = Some(folder.join(SHARED_FILE)).filter(|path| path.exists());
    shared.into_iter().chain(own).take(FILES_MAX).collect()
}
