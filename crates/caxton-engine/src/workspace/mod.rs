//! Workspaces: the files of a session, or of an agent. They lie in the store, under names that are
//! text: there is no folder to climb out of, no link to follow, and no race to win, because a name is
//! looked up by (tenant, workspace, name) and is changed together with the list of all names.

pub(crate) mod functions;

pub use functions::{CANVAS, CANVAS_FOLDER, FILES};

use crate::documents::{self, Document, Documents};
use crate::opctx::TenantScope;
use crate::port::Clock;
use crate::port::store::{Op, RecordKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use caxton_core::Timestamp;
use caxton_core::error::{Code, Error, shown};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Files of one workspace.
pub const FILES_MAX: usize = 500;
/// Bytes of all of them.
pub const WORKSPACE_BYTES_MAX: u64 = 16 << 20;
/// Longest name, in bytes.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Locks that workspaces share while they change.
const LOCKS: usize = 256;

/// What is known of a file besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    pub path: String,
    pub media_type: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    pub bytes: u64,
    pub updated: Timestamp,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub view: FileView,
    pub bytes: Bytes,
}

/// The files of a workspace.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    files: BTreeMap<String, FileView>,
}

impl Document for Index {
    const KIND: RecordKind = RecordKind("workspace");
}

#[derive(Debug, Serialize, Deserialize)]
struct Body {
    /// Base64.
    data: String,
}

impl Document for Body {
    const KIND: RecordKind = RecordKind("workspace-file");
}

pub(crate) struct Workspaces {
    documents: Documents,
    clock: Arc<dyn Clock>,
    changing: Vec<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Workspaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workspaces")
    }
}

/// A name as it is kept. Errors: `CX-8031`.
pub(crate) fn name(path: &str) -> Result<&str, Error> {
    let plain = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && !segment
                .chars()
                .any(|c| c.is_control() || "\\:*?\"<>|".contains(c))
    };
    if path.len() <= FILE_NAME_BYTES_MAX && path.split('/').all(plain) {
        return Ok(path);
    }
    Err(Error::new(
        Code::FileNameMalformed,
        format!("`{}` is not a relative path of plain segments", shown(path)),
    ))
}

impl Workspaces {
    pub(crate) fn new(documents: Documents, clock: Arc<dyn Clock>) -> Self {
        Self {
            documents,
            clock,
            changing: (0..LOCKS).map(|_| tokio::sync::Mutex::default()).collect(),
        }
    }

    async fn changing(
        &self,
        scope: &TenantScope,
        workspace: &str,
    ) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let bytes = scope.tenant().as_str().bytes().chain(workspace.bytes());
        let sum = bytes.fold(7_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        Some(self.changing.get(sum % LOCKS)?.lock().await)
    }

    async fn index(&self, scope: &TenantScope, workspace: &str) -> Result<Index, Error> {
        let found = self.documents.get(scope, workspace).await?;
        Ok(found.unwrap_or_default())
    }

    /// All files of a workspace, by name.
    pub(crate) async fn list(
        &self,
        scope: &TenantScope,
        workspace: &str,
    ) -> Result<Vec<FileView>, Error> {
        let index = self.index(scope, workspace).await?;
        Ok(index.files.into_values().collect())
    }

    /// Errors: `CX-8030`, `CX-8031`.
    pub(crate) async fn read(
        &self,
        scope: &TenantScope,
        workspace: &str,
        path: &str,
    ) -> Result<File, Error> {
        let path = name(path)?;
        let not_found = || {
            let detail = format!("there is no file `{}`", shown(path));
            Error::new(Code::FileNotFound, detail)
        };
        let mut index = self.index(scope, workspace).await?;
        let view = index.files.remove(path).ok_or_else(not_found)?;
        let id = place(workspace, path);
        let body: Option<Body> = self.documents.get(scope, &id).await?;
        let bytes = STANDARD.decode(body.ok_or_else(not_found)?.data);
        let damaged = |_| Error::new(Code::StorageDamaged, "a file kept is no base64");
        Ok(File {
            view,
            bytes: bytes.map_err(damaged)?.into(),
        })
    }

    /// Writes a file, whole. Errors: `CX-8031`, `CX-8032`.
    pub(crate) async fn write(
        &self,
        scope: &TenantScope,
        workspace: &str,
        file: NewFile<'_>,
    ) -> Result<FileView, Error> {
        let path = name(file.path)?;
        let full = |detail: String| Err(Error::new(Code::WorkspaceFull, detail));
        if file.bytes.len() > FILE_BYTES_MAX {
            return full(format!("a file has at most {FILE_BYTES_MAX} bytes"));
        }
        let _one = self.changing(scope, workspace).await;
        let mut index = self.index(scope, workspace).await?;
        let view = FileView {
            path: path.to_owned(),
            media_type: file.media_type.to_owned(),
            title: file.title.to_owned(),
            bytes: file.bytes.len() as u64,
            updated: self.clock.now(),
        };
        index.files.insert(path.to_owned(), view.clone());
        if index.files.len() > FILES_MAX {
            return full(format!("a workspace has at most {FILES_MAX} files"));
        }
        let all: u64 = index.files.values().map(|it| it.bytes).sum();
        if all > WORKSPACE_BYTES_MAX {
            return full(format!(
                "a workspace has at most {WORKSPACE_BYTES_MAX} bytes"
            ));
        }
        let body = Body {
            data: STANDARD.encode(file.bytes),
        };
        let ops = vec![
            documents::put(workspace, &index)?,
            documents::put(&place(workspace, path), &body)?,
        ];
        self.documents.commit(scope, ops).await?;
        Ok(view)
    }

    /// Errors: `CX-8030`, `CX-8031`.
    pub(crate) async fn remove(
        &self,
        scope: &TenantScope,
        workspace: &str,
        path: &str,
    ) -> Result<(), Error> {
        let path = name(path)?;
        let _one = self.changing(scope, workspace).await;
        let mut index = self.index(scope, workspace).await?;
        if index.files.remove(path).is_none() {
            let detail = format!("there is no file `{}`", shown(path));
            return Err(Error::new(Code::FileNotFound, detail));
        }
        let ops = vec![
            documents::put(workspace, &index)?,
            documents::remove::<Body>(&place(workspace, path)),
        ];
        self.documents.commit(scope, ops).await
    }

    /// Removes a workspace with all its files.
    pub(crate) async fn clear(&self, scope: &TenantScope, workspace: &str) -> Result<(), Error> {
        let ops = self.removal(scope, workspace).await?;
        match ops.is_empty() {
            true => Ok(()),
            false => self.documents.commit(scope, ops).await,
        }
    }

    /// What removes a workspace with all its files.
    pub(crate) async fn removal(
        &self,
        scope: &TenantScope,
        workspace: &str,
    ) -> Result<Vec<Op>, Error> {
        let index = self.index(scope, workspace).await?;
        if index.files.is_empty() {
            return Ok(Vec::new());
        }
        let files = index.files.keys();
        let files = files.map(|path| documents::remove::<Body>(&place(workspace, path)));
        let own = documents::remove::<Index>(workspace);
        Ok(files.chain([own]).collect())
    }
}

/// A file to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewFile<'a> {
    pub(crate) path: &'a str,
    pub(crate) media_type: &'a str,
    pub(crate) title: &'a str,
    pub(crate) bytes: &'a [u8],
}

fn place(workspace: &str, path: &str) -> String {
    // A workspace's name has no second slash, so that no two places are the same.
    format!("{workspace}/{path}")
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_never_lead_out() {
        for good in ["a", "a/b.txt", "canvas/page.html", "ä ö/ü", "...", "a..b"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            ".",
            "./a",
            "a\0b",
            "a\\..\\b",
            "C:x",
            "a\nb",
            &"x".repeat(256),
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
