//! `caxton backup restore`: a backup takes the place of a stopped server's data.

use super::refused;
use crate::cli::output::Output;
use crate::failure::{Failure, Outcome};
use crate::folder::Folder;
use caxton_core::error::Code;
use caxton_store::{LockError, SHARED_FILE, TENANTS_DIR};
use serde_json::json;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What SQLite keeps beside a database.
const SIDE_FILES: [&str; 3] = ["", "-wal", "-shm"];

/// Key files of a data folder, which are in no backup, and what a server without them does.
const KEYS: [(&str, &str); 3] = [
    ("admin.key", "it makes another admin key"),
    (
        "master.key",
        "secrets of tenants' providers and tools cannot be opened (CX-7030)",
    ),
    (
        "audit.key",
        "the audit is signed by another key from then on",
    ),
];

/// Verifies and copies the backup first; only then is the present data moved aside. The server's
/// lock is held all the while, so that none starts in between.
pub fn run(backup: &Path, folder: &Folder, output: &Output) -> Outcome {
    folder.create()?;
    let _lock = caxton_store::lock_data_dir(folder.path()).map_err(|error| match error {
        LockError::Held { .. } => Failure::new(Code::DataLocked, error.to_string())
            .with_hint("stop the server first; a restore replaces what it works on"),
        LockError::Failed { .. } => Failure::plain(error.to_string()),
    })?;
    let stamp = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let draft = folder.join(&format!("restoring-{stamp}"));
    let info = caxton_store::restore(backup, &draft).map_err(|error| {
        // Nothing of it is of use, and nothing else was touched.
        let _ = std::fs::remove_dir_all(&draft);
        refused(error)
    })?;
    let aside = folder.join(&format!("replaced-{stamp}"));
    let kept = swap(folder, &draft, &aside).map_err(|error| {
        Failure::plain("the restored files cannot be put in place")
            .because(error.to_string())
            .with_hint(format!(
                "they are in {}, what was there in {}",
                draft.display(),
                aside.display()
            ))
    })?;
    if kept {
        output.note(&format!("what was there is kept in {}", aside.display()));
    }
    for (key, what) in KEYS {
        if !folder.join(key).exists() {
            output.note(&format!(
                "warning: no backup has {key}, and the folder has none: bring it back from a copy before the server \
                 starts, or {what}"
            ));
        }
    }
    let data = json!({
        "backup": super::document(&info, backup),
        "replaced": kept.then_some(&aside),
    });
    output.answer(&data, &info.name, || {
        format!("{} restored into {}\n", info.name, folder.path().display())
    })
}

/// Moves the present data aside and the restored data in; says whether there was any.
fn swap(folder: &Folder, draft: &Path, aside: &Path) -> std::io::Result<bool> {
    let shared = SIDE_FILES.map(|suffix| format!("{SHARED_FILE}{suffix}"));
    let present: Vec<&str> = shared
        .iter()
        .map(String::as_str)
        .chain([TENANTS_DIR])
        .filter(|name| folder.join(name).exists())
        .collect();
    if !present.is_empty() {
        std::fs::create_dir(aside)?;
    }
    for name in &present {
        std::fs::rename(folder.join(name), aside.join(name))?;
    }
    // The shared file last: until it is there, the folder is not a whole database.
    let mut restored: Vec<_> = std::fs::read_dir(draft)?.collect::<Result<_, _>>()?;
    restored.sort_by_key(|entry| entry.file_name() == SHARED_FILE);
    for entry in restored {
        std::fs::rename(entry.path(), folder.path().join(entry.file_name()))?;
    }
    std::fs::remove_dir(draft)?;
    Ok(!present.is_empty())
}
