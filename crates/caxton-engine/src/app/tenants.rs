//! Tenants: create, list, show, update, suspend, resume, remove.

use super::App;
use crate::directory::{TenantChange, TenantDraft, TenantRecord, TenantState};
use crate::opctx::OpCtx;
use crate::port::store::{Page, PageRequest};
use caxton_core::TenantId;
use caxton_core::error::Error;
use caxton_core::grant::Permission;

impl App {
    /// Makes a tenant. Errors: `CX-4011` the id is taken or was once.
    pub async fn tenant_create(
        &self,
        ctx: &OpCtx,
        draft: TenantDraft,
    ) -> Result<TenantRecord, Error> {
        ctx.authorize_platform(Permission::PlatformWrite)?;
        self.refuse_when_draining()?;
        let target = format!("tenants/{}", draft.id);
        let work = self.directory.tenant_create(draft);
        let platform = TenantId::platform();
        self.act(ctx, &platform, "tenant.create", target, work)
            .await
    }

    /// In the order of ids.
    pub async fn tenant_list(
        &self,
        ctx: &OpCtx,
        page: &PageRequest,
    ) -> Result<Page<TenantRecord>, Error> {
        ctx.authorize_platform(Permission::PlatformRead)?;
        self.directory.tenants(page).await
    }

    /// Refuses a tenant that is not there, so that nothing is begun in its name.
    pub async fn tenant_ensure(&self, id: &TenantId) -> Result<(), Error> {
        self.directory.tenant(id).await.map(drop)
    }

    /// Refuses a tenant for which no work is done now. Errors: `CX-4010`, `CX-4012`.
    pub async fn tenant_ensure_active(&self, id: &TenantId) -> Result<(), Error> {
        self.directory.ensure_active(id).await
    }

    /// The platform sees every tenant, a tenant itself.
    pub async fn tenant_show(&self, ctx: &OpCtx, id: &TenantId) -> Result<TenantRecord, Error> {
        ctx.authorize_of(Permission::TenantRead, Permission::PlatformRead, id)?;
        Ok((*self.directory.tenant(id).await?).clone())
    }

    pub async fn tenant_update(
        &self,
        ctx: &OpCtx,
        id: &TenantId,
        change: TenantChange,
    ) -> Result<TenantRecord, Error> {
        ctx.authorize_platform(Permission::PlatformWrite)?;
        let (app, own) = (self.clone(), id.clone());
        let work = self.whole(async move { app.directory.tenant_update(&own, change).await });
        let target = format!("tenants/{id}");
        let platform = TenantId::platform();
        self.act(ctx, &platform, "tenant.update", target, work)
            .await
    }

    /// Stops the tenant's agents where they are and refuses its keys; its data stays.
    pub async fn tenant_suspend(&self, ctx: &OpCtx, id: &TenantId) -> Result<TenantRecord, Error> {
        ctx.authorize_platform(Permission::PlatformWrite)?;
        let target = format!("tenants/{id}");
        let (app, id) = (self.clone(), id.clone());
        let work = self.whole(async move {
            let record = app
                .directory
                .tenant_turn(&id, TenantState::Suspended)
                .await?;
            app.shared.rest_tenant(&id).await;
            Ok(record)
        });
        let platform = TenantId::platform();
        self.act(ctx, &platform, "tenant.suspend", target, work)
            .await
    }

    /// Ends a suspension: the agents go on with what waits for them.
    pub async fn tenant_resume(&self, ctx: &OpCtx, id: &TenantId) -> Result<TenantRecord, Error> {
        ctx.authorize_platform(Permission::PlatformWrite)?;
        let target = format!("tenants/{id}");
        let (app, id) = (self.clone(), id.clone());
        let work = self.whole(async move {
            let record = app.directory.tenant_turn(&id, TenantState::Active).await?;
            app.shared.wake_tenant(&id);
            Ok(record)
        });
        let platform = TenantId::platform();
        self.act(ctx, &platform, "tenant.resume", target, work)
            .await
    }

    /// Ends a tenant: its agents stop, its data goes, its id is never used again.
    pub async fn tenant_remove(&self, ctx: &OpCtx, id: &TenantId) -> Result<(), Error> {
        ctx.authorize_platform(Permission::PlatformWrite)?;
        let target = format!("tenants/{id}");
        let (app, id) = (self.clone(), id.clone());
        let work = self.whole(async move {
            app.directory
                .tenant_turn(&id, TenantState::Removing)
                .await?;
            app.shared.rest_tenant(&id).await;
            app.jobs.forget_tenant(&id);
            app.shared.forget_tenant(&id).await;
            app.quotas.forget(&id);
            app.directory.finish_removing(&id).await
        });
        let platform = TenantId::platform();
        self.act(ctx, &platform, "tenant.remove", target, work)
            .await
    }
}
