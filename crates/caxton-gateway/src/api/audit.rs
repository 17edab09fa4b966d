//! The audit: list, head, export, trim, erase.

use caxton_api::wkt::Empty;
use caxton_api::{ApiError, ApiStream, CallContext, v1};
use caxton_core::Timestamp;
use caxton_core::audit::Outcome;
use caxton_core::error::{Code, shown};
use caxton_engine::audit::{AuditFilter, AuditRow};
use futures::StreamExt;

use super::{Api, page};
use crate::convert::time::wire;

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListAuditEntriesRequest,
) -> Result<v1::ListAuditEntriesResponse, ApiError> {
    let ctx = api.open(call).await?;
    let filter = AuditFilter {
        actor: request.actor.clone(),
        action: request.action.clone(),
        target: request.target.clone(),
        outcome: outcome(&request.outcome)?,
        from: time("from", &request.from)?,
        until: time("until", &request.until)?,
    };
    let page = page::request(request.page_size, &request.page_token);
    let found = api.app().audit_list(&ctx, request.platform, &filter, &page);
    let found = api.within(&ctx, found).await?;
    Ok(v1::ListAuditEntriesResponse {
        entries: found.rows.iter().map(entry).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn head(
    api: &Api,
    call: &CallContext,
    request: &v1::GetAuditHeadRequest,
) -> Result<v1::AuditHead, ApiError> {
    let ctx = api.open(call).await?;
    let found = api.app().audit_head(&ctx, request.platform);
    let signed = api.within(&ctx, found).await?;
    Ok(v1::AuditHead {
        sequence: signed.sequence,
        hash: signed.hash.to_string(),
        signature: signed.signature,
        public_key: signed.public_key,
    })
}

pub(super) async fn export(
    api: &Api,
    call: &CallContext,
    request: &v1::ExportAuditRequest,
) -> Result<ApiStream<v1::AuditLine>, ApiError> {
    let ctx = api.open(call).await?;
    let place = api.streams().place()?;
    let found = api.app().audit_export(&ctx, request.platform);
    let lines = api.within(&ctx, found).await?;
    let lines = lines.map(|line| {
        let line = line.map_err(super::refused)?;
        Ok(v1::AuditLine { line })
    });
    Ok(api.hold(call, &ctx, place, lines))
}

pub(super) async fn trim(
    api: &Api,
    call: &CallContext,
    request: v1::TrimAuditRequest,
) -> Result<v1::TrimAuditResponse, ApiError> {
    let ctx = api.open(call).await?;
    let Some(before) = time("before", &request.before)? else {
        let what = "is missing";
        let error = ApiError::new(Code::ParameterMalformed, format!("`before` {what}"));
        return Err(error.with_field("before", what));
    };
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.audit_trim(&inner, request.platform, before).await };
    let entries = api.settle(&ctx, call.method, work).await?;
    Ok(v1::TrimAuditResponse { entries })
}

pub(super) async fn erase(
    api: &Api,
    call: &CallContext,
    request: v1::ErasePersonRequest,
) -> Result<Empty, ApiError> {
    let ctx = api.open(call).await?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.audit_erase(&inner, &request.person).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(Empty {})
}

fn outcome(text: &str) -> Result<Option<Outcome>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    Outcome::parse(text).map(Some).ok_or_else(|| {
        let what = "is none of permitted, denied, failed";
        let detail = format!("`outcome` {what}: `{}`", shown(text));
        ApiError::new(Code::ParameterMalformed, detail).with_field("outcome", what)
    })
}

/// A time of a request; empty is none.
pub(super) fn time(field: &str, text: &str) -> Result<Option<Timestamp>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let time = Timestamp::parse_rfc3339(text);
    time.map(Some).map_err(|error| {
        let detail = error.detail.clone();
        ApiError::from(error).with_field(field, detail)
    })
}

fn entry(row: &AuditRow) -> v1::AuditEntry {
    let event = &row.entry.event;
    v1::AuditEntry {
        sequence: row.entry.sequence,
        time: Some(wire(event.time)),
        actor: event.actor.clone(),
        person: row.person.clone().unwrap_or_default(),
        action: event.action.clone(),
        target: event.target.clone(),
        outcome: event.outcome.as_str().to_owned(),
        code: event.code.clone(),
        trace_id: event.trace_id.clone(),
        previous: row.entry.previous.to_string(),
        hash: row.entry.hash.to_string(),
        behalf: Some(event.behalf.clone()).filter(|it| !it.is_empty()),
    }
}
