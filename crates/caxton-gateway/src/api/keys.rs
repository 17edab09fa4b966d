//! API keys: create, list, get, rotate, delete.

use std::time::Duration;

use caxton_api::wkt::Empty;
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::error::Code;
use caxton_core::grant::Role;
use caxton_engine::directory::{KeyDraft, OVERLAP_MAX};

use super::{Api, page};
use crate::convert::key::key;
use crate::convert::time;

/// How long a rotated key's old secret works where the request does not say.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn create(
    api: &Api,
    call: &CallContext,
    request: v1::CreateKeyRequest,
) -> Result<v1::CreateKeyResponse, ApiError> {
    let ctx = api.open(call).await?;
    let expires = request.expire_time.map(|at| {
        time::core(at).ok_or_else(|| {
            let what = "is outside of the years 1 to 9999";
            ApiError::new(Code::ParameterMalformed, format!("`expireTime` {what}"))
                .with_field("expireTime", what)
        })
    });
    let draft = KeyDraft {
        name: request.name.clone(),
        role: Role::parse(&request.role)?,
        scopes: request.scopes.clone(),
        expires: expires.transpose()?,
        platform: request.platform,
    };
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move {
        let (made, text) = app.key_create(&inner, draft).await?;
        Ok(v1::CreateKeyResponse {
            key: Some(key(&made)),
            secret: text.expose(),
        })
    };
    api.create_secret(&ctx, call, &request, work).await
}

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListKeysRequest,
) -> Result<v1::ListKeysResponse, ApiError> {
    let ctx = api.open(call).await?;
    let page = page::request(request.page_size, &request.page_token);
    let found = api.app().key_list(&ctx, request.platform, &page);
    let found = api.within(&ctx, found).await?;
    Ok(v1::ListKeysResponse {
        keys: found.rows.iter().map(key).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    api: &Api,
    call: &CallContext,
    request: &v1::GetKeyRequest,
) -> Result<v1::Key, ApiError> {
    let ctx = api.open(call).await?;
    let found = api.app().key_show(&ctx, &request.key);
    Ok(key(&api.within(&ctx, found).await?))
}

pub(super) async fn rotate(
    api: &Api,
    call: &CallContext,
    request: v1::RotateKeyRequest,
) -> Result<v1::RotateKeyResponse, ApiError> {
    let ctx = api.open(call).await?;
    let overlap = match request.overlap.as_str() {
        "" => OVERLAP,
        text => caxton_api::duration::parse_within(text, OVERLAP_MAX).map_err(|error| {
            let what = error.to_string();
            ApiError::new(Code::ParameterMalformed, format!("`overlap`: {what}"))
                .with_field("overlap", what)
        })?,
    };
    let (app, inner) = (api.app().clone(), ctx.clone());
    let id = request.key.clone();
    let work = async move {
        let (rotated, text) = app.key_rotate(&inner, &id, overlap).await?;
        Ok(v1::RotateKeyResponse {
            key: Some(key(&rotated)),
            secret: text.expose(),
        })
    };
    api.create_secret(&ctx, call, &request, work).await
}

pub(super) async fn delete(
    api: &Api,
    call: &CallContext,
    request: v1::DeleteKeyRequest,
) -> Result<Empty, ApiError> {
    let ctx = api.open(call).await?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.key_revoke(&inner, &request.key).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(Empty {})
}
