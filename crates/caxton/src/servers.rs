//! The servers that this user runs, wherever their data folders are, so that a command which is told an
//! address alone finds the folder behind it, and in it the key and the certificate.
//!
//! A note is a file named after the process, with the path of its data folder. It has no secret, and is
//! believed no further than the folder's own `server.json` bears it out.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::folder::{Folder, Running, write_private};

/// Notes that are looked at.
const NOTES_MAX: usize = 256;

/// The note of this process; it goes when this is dropped. One that stays behind, because the process
/// was killed, is taken away by the next server.
#[derive(Debug)]
pub struct Note(Option<PathBuf>);

impl Note {
    /// Notes that this process serves a data folder. Where that cannot be noted, commands need
    /// `--data`, and nothing else is lost.
    pub fn of(data: &Path) -> Self {
        Self(notes().and_then(|notes| Self::write(&notes, data)))
    }

    fn write(notes: &Path, data: &Path) -> Option<PathBuf> {
        let data = fs::canonicalize(data).ok()?;
        Folder::at(notes).create().ok()?;
        for (note, process_id) in kept(notes) {
            if !alive(process_id) {
                let _ = fs::remove_file(note);
            }
        }
        let note = notes.join(std::process::id().to_string());
        write_private(&note, data.as_os_str().as_bytes()).ok()?;
        Some(note)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(note) = &self.0 {
            let _ = fs::remove_file(note);
        }
    }
}

/// The data folder of this user's server at an address, and the server as it wrote itself down there.
pub fn at(url: &str) -> Option<(Folder, Running)> {
    find(&notes()?, url)
}

fn find(notes: &Path, url: &str) -> Option<(Folder, Running)> {
    kept(notes).find_map(|(note, process_id)| {
        let folder = Folder::at(PathBuf::from(std::ffi::OsString::from_vec(
            fs::read(note).ok()?,
        )));
        let running = folder.running()?;
        let same = running.process_id == process_id && running.is_at(url);
        (same && running.is_alive()).then_some((folder, running))
    })
}

fn kept(notes: &Path) -> impl Iterator<Item = (PathBuf, u32)> {
    let files = fs::read_dir(notes).into_iter().flatten().flatten();
    files.take(NOTES_MAX).filter_map(|file| {
        let process_id = file.file_name().to_str()?.parse().ok()?;
        Some((file.path(), process_id))
    })
}

fn alive(process_id: u32) -> bool {
    let running = Running {
        url: String::new(),
        certificate: None,
        process_id,
        version: String::new(),
    };
    running.is_alive()
}

/// `$XDG_STATE_HOME/caxton/servers`, or `~/.local/state/caxton/servers`; none without a home.
fn notes() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| value != OsStr::new(""));
    let state = of("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(of("HOME")?).join(".local/state")));
    Some(state?.join("caxton/servers"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const URL: &str = "http://127.0.0.1:1";

    fn announced(data: &Path, process_id: u32) {
        let running = Running {
            url: URL.to_owned(),
            certificate: None,
            process_id,
            version: "1".to_owned(),
        };
        Folder::at(data).announce(&running).unwrap();
    }

    #[test]
    fn a_server_is_found_by_its_address_while_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let (notes, data) = (dir.path().join("notes"), dir.path().join("data"));
        Folder::at(&data).create().unwrap();
        let note = Note(Note::write(&notes, &data));
        assert!(find(&notes, URL).is_none(), "the folder says nothing of it");
        announced(&data, std::process::id());
        let (folder, _) = find(&notes, URL).unwrap();
        assert_eq!(folder.path(), fs::canonicalize(&data).unwrap());
        assert!(find(&notes, "http://127.0.0.1:2").is_none());
        // This machine by its other names, and no other scheme.
        assert!(find(&notes, "http://localhost:1").is_some());
        assert!(find(&notes, "http://[::1]:1").is_some());
        assert!(find(&notes, "https://localhost:1").is_none());
        assert!(find(&notes, "http://localhost.example:1").is_none());
        drop(note);
        assert!(find(&notes, URL).is_none());
    }

    #[test]
    fn what_a_killed_server_left_is_not_believed_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (notes, data) = (dir.path().join("notes"), dir.path().join("data"));
        for folder in [&notes, &data] {
            Folder::at(folder).create().unwrap();
        }
        // Above the largest id Linux gives a process.
        let gone = 1 << 30;
        announced(&data, gone);
        let left = notes.join(gone.to_string());
        fs::write(&left, data.as_os_str().as_bytes()).unwrap();
        assert!(find(&notes, URL).is_none());
        let _note = Note(Note::write(&notes, &data));
        assert!(!left.exists());
    }
}
