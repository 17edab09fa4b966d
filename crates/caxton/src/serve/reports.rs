//! The audit's reports as files: `FOLDER/CHAIN/FROM.json` and `.md`, a folder for each chain.

use crate::folder::write_private;
use caxton_core::audit::Summary;
use caxton_core::error::{Code, Error};
use caxton_engine::audit::{ReportKeeper, ReportName};
use caxton_engine::port::Answer;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The folder of the platform's own chain; no tenant is called so.
const PLATFORM: &str = "_platform";

/// Reports in a folder.
#[derive(Debug)]
pub struct ReportFiles {
    dir: PathBuf,
}

impl ReportFiles {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Without its ending.
    fn path(&self, name: &ReportName) -> PathBuf {
        let chain = match name.tenant.is_platform() {
            true => PLATFORM,
            false => name.tenant.as_str(),
        };
        // Colons are no part of a file's name everywhere.
        let from = name.from.to_string().replace(':', "");
        self.dir.join(chain).join(from)
    }

    fn write(&self, name: &ReportName, report: &Summary) -> io::Result<()> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let json = serde_json::to_vec_pretty(report)?;
        // The JSON last: a report whose JSON is there is there wholly.
        write_private(&path.with_extension("md"), report.markdown().as_bytes())?;
        write_private(&path.with_extension("json"), &json)
    }
}

impl ReportKeeper for ReportFiles {
    fn has(&self, name: &ReportName) -> bool {
        self.path(name).with_extension("json").exists()
    }

    fn keep<'a>(
        &'a self,
        name: &'a ReportName,
        report: &'a Summary,
    ) -> Answer<'a, Result<(), Error>> {
        let write = || self.write(name, report);
        Box::pin(async move {
            tokio::task::block_in_place(write).map_err(|error| {
                let path = self.path(name);
                let detail = format!("{}: {error}", path.with_extension("json").display());
                Error::new(Code::StorageFailed, detail)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::{TenantId, Timestamp};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_report_is_kept_as_two_files_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let files = ReportFiles::new(dir.path().join("reports"));
        let name = ReportName {
            tenant: TenantId::parse("acme").unwrap(),
            from: Timestamp::parse_rfc3339("2026-11-22T05:00:00Z").unwrap(),
        };
        assert!(!files.has(&name));
        let report = Summary::new("acme", Some(name.from), None);
        files.keep(&name, &report).await.unwrap();
        assert!(files.has(&name));
        let path = dir.path().join("reports/acme/2026-11-22T050000Z.json");
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(
            (&json["tenant"], &json["entries"]),
            (&"acme".into(), &0.into())
        );
        let text = std::fs::read_to_string(path.with_extension("md")).unwrap();
        assert!(text.starts_with("# Audit of acme\n"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = ReportName {
            tenant: TenantId::platform(),
            ..name
        };
        assert!(!files.has(&other));
        files.keep(&other, &report).await.unwrap();
        assert!(dir.path().join("reports/_platform").is_dir());
    }
}
