//! The server: status, and backups.

use std::cmp::Reverse;
use std::sync::Arc;

use caxton_api::{ApiError, CallContext, v1};
use caxton_core::error::{Code, Error, shown};
use caxton_engine::OpCtx;
use caxton_engine::port::store::BackupInfo;

use super::agents::token_malformed;
use super::{Api, page};
use crate::convert::server::{Around, backup, status as convert};

/// Longest name of a backup, in bytes.
const NAME_BYTES_MAX: usize = 64;

pub(super) async fn status(api: &Api, call: &CallContext) -> Result<v1::ServerStatus, ApiError> {
    let ctx = api.open(call).await?;
    let status = api.within(&ctx, api.app().server_status(&ctx)).await?;
    let agents = api.app().agent_list(&ctx, None, usize::MAX)?;
    let around = Around {
        version: api.options().version.clone(),
        listen: api.listen(),
        draining: api.draining(),
        mailbox_messages: agents.iter().map(|view| view.queued).sum(),
    };
    Ok(convert(&status, around))
}

pub(super) async fn create_backup(
    api: &Api,
    call: &CallContext,
    request: v1::CreateBackupRequest,
) -> Result<v1::Backup, ApiError> {
    let ctx = api.open(call).await?;
    // The time, so that names sort as backups do: 20261122T050922049Z.
    let name = api.clock().now().to_fipa();
    let dir = api.options().backups_dir.clone();
    let (app, inner) = (api.app().clone(), ctx.clone());
    let turn = Arc::clone(&api.0.backing_up);
    api.create(&ctx, call, &request, async move {
        let _turn = turn
            .try_acquire()
            .map_err(|_| Error::new(Code::BackupBusy, "another backup is on its way"))?;
        tokio::fs::create_dir_all(&dir).await.map_err(|error| {
            Error::new(Code::StorageFailed, format!("the backups' folder: {error}"))
        })?;
        let path = dir.join(&name);
        let info = app.backup_create(&inner, &path).await?;
        Ok(backup(&info, &path, true))
    })
    .await
}

pub(super) async fn list_backups(
    api: &Api,
    call: &CallContext,
    request: &v1::ListBackupsRequest,
) -> Result<v1::ListBackupsResponse, ApiError> {
    let ctx = api.open(call).await?;
    let mut all = backups(api, &ctx).await?;
    if !request.page_token.is_empty() {
        // The token is the last backup given; it may be gone since, but its place is not.
        let last = place(&request.page_token).ok_or_else(token_malformed)?;
        all.retain(|info| order(info) > last);
    }
    let rows = page::rows(request.page_size) as usize;
    let more = all.len() > rows;
    all.truncate(rows);
    let last = all.last().filter(|_| more);
    let next_page_token = last.map(token).unwrap_or_default();
    let dir = &api.options().backups_dir;
    let shown = all
        .iter()
        .map(|info| backup(info, &dir.join(&info.name), true));
    Ok(v1::ListBackupsResponse {
        backups: shown.collect(),
        next_page_token,
    })
}

pub(super) async fn get_backup(
    api: &Api,
    call: &CallContext,
    request: &v1::GetBackupRequest,
) -> Result<v1::Backup, ApiError> {
    let ctx = api.open(call).await?;
    let info = find(api, &ctx, &request.backup).await?;
    let path = api.options().backups_dir.join(&info.name);
    Ok(backup(&info, &path, true))
}

pub(super) async fn verify_backup(
    api: &Api,
    call: &CallContext,
    request: &v1::VerifyBackupRequest,
) -> Result<v1::VerifyBackupResponse, ApiError> {
    let ctx = api.open(call).await?;
    let info = find(api, &ctx, &request.backup).await?;
    let verified = api.within(&ctx, api.0.backups.verify(info.name)).await?;
    let path = api.options().backups_dir.join(&verified.backup.name);
    let ok = verified.problems.is_empty();
    Ok(v1::VerifyBackupResponse {
        backup: Some(backup(&verified.backup, &path, ok)),
        ok,
        problems: verified.problems,
    })
}

/// Every backup, the newest first.
async fn backups(api: &Api, ctx: &OpCtx) -> Result<Vec<BackupInfo>, ApiError> {
    ctx.authorize(caxton_core::grant::Permission::ServerRead)?;
    let mut all = api.within(ctx, api.0.backups.list()).await?;
    all.sort_by_key(order);
    Ok(all)
}

/// The backup of this name: looked up among those there are, so that no name is ever a path.
async fn find(api: &Api, ctx: &OpCtx, name: &str) -> Result<BackupInfo, ApiError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
    if !fits {
        let detail = format!(
            "`{}` is no backup's id: [A-Za-z0-9._-]{{1,64}}",
            shown(name)
        );
        return Err(ApiError::new(Code::IdMalformed, detail));
    }
    let all = backups(api, ctx).await?;
    let found = all.into_iter().find(|info| info.name == name);
    found.ok_or_else(|| ApiError::new(Code::BackupNotFound, format!("there is no backup {name}")))
}

/// The newest first; of one time by name.
fn order(info: &BackupInfo) -> (Reverse<i64>, String) {
    (Reverse(info.created.as_us()), info.name.clone())
}

fn token(info: &BackupInfo) -> String {
    format!("{}:{}", info.created.as_us(), info.name)
}

fn place(token: &str) -> Option<(Reverse<i64>, String)> {
    let (at, name) = token.split_once(':')?;
    Some((Reverse(at.parse().ok()?), name.to_owned()))
}
