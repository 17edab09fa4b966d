//! Tenants: create, list, get, update, suspend, resume, delete.

use caxton_api::wkt::Empty;
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::TenantId;
use caxton_core::error::Code;
use caxton_engine::directory::{Storage, TenantChange, TenantDraft};

use super::{Api, page};
use crate::convert::tenant::tenant;

pub(super) async fn create(
    api: &Api,
    call: &CallContext,
    request: v1::CreateTenantRequest,
) -> Result<v1::Tenant, ApiError> {
    let ctx = api.open(call).await?;
    let draft = TenantDraft {
        id: TenantId::parse(&request.id)?,
        display_name: request.display_name.clone(),
        storage: Storage::parse(&request.storage)?,
    };
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { Ok(tenant(&app.tenant_create(&inner, draft).await?)) };
    api.create(&ctx, call, &request, work).await
}

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListTenantsRequest,
) -> Result<v1::ListTenantsResponse, ApiError> {
    let ctx = api.open(call).await?;
    let page = page::request(request.page_size, &request.page_token);
    let found = api.within(&ctx, api.app().tenant_list(&ctx, &page)).await?;
    Ok(v1::ListTenantsResponse {
        tenants: found.rows.iter().map(tenant).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    api: &Api,
    call: &CallContext,
    request: &v1::GetTenantRequest,
) -> Result<v1::Tenant, ApiError> {
    let ctx = api.open(call).await?;
    let id = named(&request.tenant)?;
    let found = api.within(&ctx, api.app().tenant_show(&ctx, &id)).await?;
    Ok(tenant(&found))
}

pub(super) async fn update(
    api: &Api,
    call: &CallContext,
    request: v1::UpdateTenantRequest,
) -> Result<v1::Tenant, ApiError> {
    let ctx = api.open(call).await?;
    let id = named(&request.tenant)?;
    let change = TenantChange {
        display_name: request.display_name,
        storage: request.storage.as_deref().map(Storage::parse).transpose()?,
    };
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.tenant_update(&inner, &id, change).await };
    Ok(tenant(&api.settle(&ctx, call.method, work).await?))
}

pub(super) async fn suspend(
    api: &Api,
    call: &CallContext,
    request: &v1::SuspendTenantRequest,
) -> Result<v1::Tenant, ApiError> {
    let ctx = api.open(call).await?;
    let id = named(&request.tenant)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.tenant_suspend(&inner, &id).await };
    Ok(tenant(&api.settle(&ctx, call.method, work).await?))
}

pub(super) async fn resume(
    api: &Api,
    call: &CallContext,
    request: &v1::ResumeTenantRequest,
) -> Result<v1::Tenant, ApiError> {
    let ctx = api.open(call).await?;
    let id = named(&request.tenant)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.tenant_resume(&inner, &id).await };
    Ok(tenant(&api.settle(&ctx, call.method, work).await?))
}

pub(super) async fn delete(
    api: &Api,
    call: &CallContext,
    request: &v1::DeleteTenantRequest,
) -> Result<Empty, ApiError> {
    let ctx = api.open(call).await?;
    let id = named(&request.tenant)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.tenant_remove(&inner, &id).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(Empty {})
}

/// A tenant in a path. What cannot be one's id is not there, either.
pub(super) fn named(text: &str) -> Result<TenantId, ApiError> {
    TenantId::parse(text).map_err(|_| {
        let shown = caxton_core::error::shown(text);
        ApiError::new(Code::TenantNotFound, format!("there is no tenant {shown}"))
    })
}
