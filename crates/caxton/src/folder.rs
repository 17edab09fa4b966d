//! The data folder: where it is, and the small files in it by which a command on the same machine
//! finds the server and its key.
//!
//! `server.json` says where the running server listens; `admin.key` holds the platform admin key.
//! The databases in the folder are the store's and are not touched here.

use caxton_core::error::Code;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

const SERVER_FILE: &str = "server.json";
const KEY_FILE: &str = "admin.key";

/// Whoever reads one of these can act as somebody else: as the platform's administrator, or by what
/// others trust the server for.
const SECRET_FILES: &[&str] = &[KEY_FILE, "master.key", "audit.key", "code.key"];

/// The server that runs on a data folder, as it wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// `http://127.0.0.1:7070`.
    pub url: String,
    /// The server's own certificate, where it speaks TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    pub process_id: u32,
    pub version: String,
}

impl Running {
    /// Whether an address is the server's: this machine has several names for itself.
    pub fn is_at(&self, url: &str) -> bool {
        self.url == url || loopback(&self.url).is_some_and(|own| loopback(url) == Some(own))
    }
}

/// Scheme and port of an address on the loopback device.
fn loopback(url: &str) -> Option<(&str, &str)> {
    let (scheme, authority) = url.split_once("://")?;
    let (host, port) = authority.rsplit_once(':')?;
    let here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    here.then_some((scheme, port))
}

/// A data folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the folder, for its owner alone. One that exists keeps its permissions: they are its
    /// owner's to choose.
    pub fn create(&self) -> Outcome {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0);
        made.map_err(|error| self.failure("make the data folder", &self.0, &error))
    }

    /// The platform admin key, if the folder has one.
    pub fn key(&self) -> Outcome<Option<String>> {
        let path = self.join(KEY_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failure("read the admin key", &path, &error)),
        }
    }

    /// Where the admin key is kept.
    pub fn key_path(&self) -> PathBuf {
        self.join(KEY_FILE)
    }

    /// Keeps a new admin key, readable by its owner alone from the first moment.
    pub fn keep_key(&self, key: &str) -> Outcome {
        let path = self.join(KEY_FILE);
        write_private(&path, format!("{key}\n").as_bytes())
            .map_err(|error| self.failure("keep the admin key", &path, &error))
    }

    /// Makes a folder in it, for its owner alone.
    pub fn create_dir(&self, name: &str) -> Outcome {
        Self(self.join(name)).create()
    }

    /// Keeps a file that only its owner may read.
    pub fn keep_private(&self, name: &str, bytes: &[u8]) -> Outcome {
        let path = self.join(name);
        write_private(&path, bytes).map_err(|error| self.failure("write", &path, &error))
    }

    /// Those of its secret files that others than the owner may read.
    pub fn exposed(&self) -> Vec<PathBuf> {
        let all = SECRET_FILES.iter().map(|name| self.join(name));
        all.filter(|path| is_exposed(path)).collect()
    }

    /// The server on this folder, as it wrote itself down; it may be gone.
    pub fn running(&self) -> Option<Running> {
        serde_json::from_slice(&fs::read(self.join(SERVER_FILE)).ok()?).ok()
    }

    /// Writes down the server that runs.
    pub fn announce(&self, running: &Running) -> Outcome {
        let path = self.join(SERVER_FILE);
        let text = serde_json::to_vec_pretty(running).unwrap_or_default();
        write_private(&path, &text)
            .map_err(|error| self.failure("write the server's address", &path, &error))
    }

    /// The server ends.
    pub fn withdraw(&self) {
        // Nothing depends on it: a client sees that the process is gone.
        let _ = fs::remove_file(self.join(SERVER_FILE));
    }

    fn failure(&self, what: &str, path: &Path, error: &io::Error) -> Failure {
        Failure::plain(format!("cannot {what} {}", path.display()))
            .because(error.to_string())
            .with_hint("--data names the data folder; it must be yours to read and write")
    }
}

fn is_exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

impl Running {
    /// Whether its process still lives. A server that was killed leaves its file behind, and its
    /// port may since belong to somebody who must not be shown the key.
    pub fn is_alive(&self) -> bool {
        let pid = i32::try_from(self.process_id).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw);
        match pid.map(rustix::process::test_kill_process) {
            Some(Ok(())) => true,
            // It lives, and is somebody else's.
            Some(Err(error)) => error == rustix::io::Errno::PERM,
            None => false,
        }
    }
}

/// Writes a file that only its owner may read, so that a reader sees the old one or the new one.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let _ = fs::remove_file(&draft);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    // Until its folder is on disk, so is the old file, and what is written next may rely on the new one.
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    fs::File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

/// Where data lies when nobody says: `$XDG_DATA_HOME/caxton`, or `~/.local/share/caxton`.
pub fn default_path() -> Outcome<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(data) = of("XDG_DATA_HOME") {
        return Ok(PathBuf::from(data).join("caxton"));
    }
    let home = of("HOME").ok_or_else(|| {
        Failure::new(
            Code::ConfigInvalid,
            "there is no home folder to keep data in",
        )
        .with_hint("name a folder with --data or CAXTON_DATA")
    })?;
    Ok(PathBuf::from(home).join(".local/share/caxton"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_kept_for_its_owner_alone_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path().join("deep/data"));
        folder.create().unwrap();
        assert_eq!(folder.key().unwrap(), None);
        folder.keep_key("cx_adm_1_secret").unwrap();
        assert_eq!(folder.key().unwrap().as_deref(), Some("cx_adm_1_secret"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.join(KEY_FILE)), 0o600);
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(folder.exposed(), Vec::<PathBuf>::new());
        let open = fs::Permissions::from_mode(0o640);
        fs::set_permissions(folder.join(KEY_FILE), open).unwrap();
        assert_eq!(folder.exposed(), [folder.join(KEY_FILE)]);
    }

    #[test]
    fn a_server_that_is_gone_is_known_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        let here = Running {
            url: "http://127.0.0.1:1".to_owned(),
            certificate: None,
            process_id: std::process::id(),
            version: "1".to_owned(),
        };
        folder.announce(&here).unwrap();
        assert_eq!(folder.running(), Some(here.clone()));
        assert!(here.is_alive());
        // Above the largest id Linux gives a process.
        let gone = Running {
            process_id: 1 << 30,
            ..here
        };
        assert!(!gone.is_alive());
        folder.withdraw();
        assert_eq!(folder.running(), None);
    }
}
