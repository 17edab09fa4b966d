//! `caxton backup`: create and list on the running server; verify and restore where the files are.
//!
//! Restoring replaces the data of a stopped server, so it works on the folder and not through a
//! server. What it replaces is kept beside it.

mod restore;

use super::output::{Column, Output, ago, fields, size};
use super::{Global, block, page_size, target};
use crate::failure::{Failure, Outcome};
use crate::serve::BACKUPS;
use caxton_api::client::{Client, RESPONSE_TIMEOUT};
use caxton_api::v1::{
    Backup, CreateBackupRequest, GetBackupRequest, ListBackupsRequest, ListBackupsResponse,
};
use caxton_core::error::Code;
use caxton_engine::port::store::BackupInfo;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Copying a large store takes its time.
const BACKUP_WAIT: Duration = Duration::from_secs(3600);

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Take a backup while the server runs.
    Create,
    /// List backups, the newest first; without a server, those in the data folder.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show a backup of the running server: whether it is complete, how large, its checksum.
    Show(Named),
    /// Read a backup from end to end and compare its checksums. Needs no server.
    Verify(Which),
    /// Put a backup in the place of the data folder's data. The server must be stopped.
    Restore(Which),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The backup's id.
    backup: String,
}

#[derive(Debug, Args)]
pub struct Which {
    /// A backup's name in the data folder, or a path to one.
    backup: PathBuf,
}

pub fn run(command: BackupCommand, global: &Global, output: &Output) -> Outcome {
    match command {
        BackupCommand::Create => block(create(target::client(global)?, output)),
        BackupCommand::List(args) => {
            // A stopped server's backups are listed too: that is when one looks for them.
            let here = target::folder(global)
                .ok()
                .filter(|_| global.server.is_none());
            match here.filter(|folder| !folder.running().is_some_and(|here| here.is_alive())) {
                Some(folder) => list_local(&folder.join(BACKUPS), output),
                None => block(list(target::client(global)?, args, output)),
            }
        }
        BackupCommand::Show(Named { backup }) => {
            let client = target::client(global)?;
            block(async {
                let backup = client.get_backup(&GetBackupRequest { backup }).await?;
                output.answer(&backup, &backup.id, || text(&backup))
            })
        }
        BackupCommand::Verify(which) => {
            let path = path(which, global)?;
            let info = caxton_store::verify_backup(&path).map_err(refused)?;
            let data = document(&info, &path);
            output.answer(&data, &info.name, || {
                format!("{} is whole: {}\n", info.name, size(info.bytes))
            })
        }
        BackupCommand::Restore(which) => {
            let folder = target::folder(global)?;
            restore::run(&path(which, global)?, &folder, output)
        }
    }
}

/// A name means a backup in the data folder; anything with a slash, or that exists, is a path.
fn path(which: Which, global: &Global) -> Outcome<PathBuf> {
    if which.backup.components().count() > 1 || which.backup.is_absolute() {
        return Ok(which.backup);
    }
    let named = target::folder(global)?.join(BACKUPS).join(&which.backup);
    if !named.exists() && which.backup.exists() {
        return Ok(which.backup);
    }
    Ok(named)
}

async fn create(client: Client, output: &Output) -> Outcome {
    let client = client.with_response_timeout(RESPONSE_TIMEOUT + BACKUP_WAIT);
    let backup = client.create_backup(&CreateBackupRequest {}).await?;
    output.answer(&backup, &backup.id, || text(&backup))
}

async fn list(client: Client, args: ListArgs, output: &Output) -> Outcome {
    let mut request = ListBackupsRequest::default();
    let mut data = ListBackupsResponse::default();
    while data.backups.len() < args.limit {
        request.page_size = page_size(args.limit, data.backups.len());
        let page = client.list_backups(&request).await?;
        data.backups.extend(page.backups);
        data.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let columns = [
        Column::Text("ID"),
        Column::Text("STATE"),
        Column::Text("SIZE"),
        Column::Text("TAKEN"),
        Column::Text("PATH"),
    ];
    let rows = data.backups.iter().map(|backup| {
        vec![
            backup.id.clone(),
            backup.state.clone(),
            size(backup.size_bytes),
            ago(backup.create_time.as_ref()),
            backup.path.clone(),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = data
        .backups
        .iter()
        .map(|backup| backup.id.clone())
        .collect();
    if names.is_empty() && output.is_table() {
        output.note("no backups; `caxton backup create` takes one");
        return Ok(());
    }
    output.list(&data, &columns, rows, &names)
}

fn list_local(dir: &std::path::Path, output: &Output) -> Outcome {
    let mut found = caxton_store::list_backups(dir).map_err(refused)?;
    found.reverse();
    if found.is_empty() && output.is_table() {
        output.note(&format!("no backups in {}", dir.display()));
        return Ok(());
    }
    let columns = [
        Column::Text("ID"),
        Column::Text("SIZE"),
        Column::Text("TAKEN"),
        Column::Text("PATH"),
    ];
    let rows = found.iter().map(|info| {
        vec![
            info.name.clone(),
            size(info.bytes),
            info.created.to_string(),
            dir.join(&info.name).display().to_string(),
        ]
    });
    let rows = rows.collect();
    let documents: Vec<_> = found
        .iter()
        .map(|info| document(info, &dir.join(&info.name)))
        .collect();
    let names: Vec<String> = found.iter().map(|info| info.name.clone()).collect();
    let data = json!({ "backups": documents, "nextPageToken": "" });
    output.list(&data, &columns, rows, &names)
}

/// The same shape as the server's own `Backup`.
fn document(info: &BackupInfo, path: &std::path::Path) -> serde_json::Value {
    json!({
        "id": info.name,
        "sizeBytes": info.bytes.to_string(),
        "sha256": info.sha256.to_string(),
        "schemaVersion": info.schema_version,
        "path": path,
        "createTime": info.created.to_string(),
    })
}

fn text(backup: &Backup) -> String {
    fields(&[
        ("backup", backup.id.clone()),
        ("state", backup.state.clone()),
        ("size", size(backup.size_bytes)),
        ("sha256", backup.sha256.clone()),
        ("path", backup.path.clone()),
    ])
}

fn refused(error: caxton_store::BackupError) -> Failure {
    let error = crate::serve::backup_error(error);
    let missing = error.code == Code::BackupNotFound;
    let failure = Failure::from(error);
    if missing {
        return failure.with_hint("name a backup of `caxton backup list`, or a path");
    }
    failure
}
