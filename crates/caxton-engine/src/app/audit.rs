//! The audit: what acts write down, and what may be read of it.

use super::App;
use crate::audit::{Act, AuditExport, AuditFilter, AuditRow};
use crate::opctx::OpCtx;
use crate::port::store::{Page, PageRequest};
use caxton_core::audit::{Outcome, Signed};
use caxton_core::error::Error;
use caxton_core::grant::Permission;
use caxton_core::{TenantId, Timestamp};

impl App {
    /// Writes an act down and then does it; where it cannot be written it is not done. What was
    /// permitted and fails has a second entry that says so.
    pub(super) async fn act<T>(
        &self,
        ctx: &OpCtx,
        tenant: &TenantId,
        action: &'static str,
        target: String,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let act = Act::permitted(action, target.clone());
        self.audit.note(ctx, tenant, act).await?;
        let done = work.await;
        if let Err(error) = &done {
            let failed = Act {
                outcome: Outcome::Failed,
                code: Some(error.code),
                ..Act::permitted(action, target)
            };
            // Logged where it happens; the act's own error is what the caller must know.
            let _ = self.audit.note(ctx, tenant, failed).await;
        }
        done
    }

    /// Writes down that the context's principal was denied something, or that the platform looked
    /// into a tenant. Errors: `CX-4020`.
    pub async fn audit_note(&self, ctx: &OpCtx, act: Act<'_>) -> Result<(), Error> {
        self.audit.note(ctx, &ctx.tenant, act).await
    }

    /// Newest first; the platform's own chain where `platform` says so.
    pub async fn audit_list(
        &self,
        ctx: &OpCtx,
        platform: bool,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>, Error> {
        let tenant = chain_of(ctx, Permission::AuditRead, platform)?;
        self.audit.list(&tenant, filter, page).await
    }

    /// The whole chain, for checking elsewhere.
    pub async fn audit_export(&self, ctx: &OpCtx, platform: bool) -> Result<AuditExport, Error> {
        let tenant = chain_of(ctx, Permission::AuditRead, platform)?;
        self.audit.export(&tenant).await
    }

    /// The signed end of the chain.
    pub async fn audit_head(&self, ctx: &OpCtx, platform: bool) -> Result<Signed, Error> {
        let tenant = chain_of(ctx, Permission::AuditRead, platform)?;
        self.audit.signed_head(&tenant).await
    }

    /// Lets go of entries older than a time; a signed root stays. Answers how many went.
    pub async fn audit_trim(
        &self,
        ctx: &OpCtx,
        platform: bool,
        before: Timestamp,
    ) -> Result<u64, Error> {
        ctx.authorize_platform(Permission::PlatformWrite)?;
        let tenant = chain_of(ctx, Permission::AuditRead, platform)?;
        // What is to come would let go of the entry that says so.
        let before = before.min(self.now());
        let target = format!("before {before}");
        let work = self.audit.trim(&tenant, before);
        self.act(ctx, &tenant, "audit.trim", target, work).await
    }

    /// Forgets who a pseudonym of the chain is.
    pub async fn audit_erase(&self, ctx: &OpCtx, pseudonym: &str) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::RoleWrite)?;
        let work = self.audit.erase(scope.tenant(), pseudonym);
        let target = pseudonym.to_owned();
        self.act(ctx, scope.tenant(), "audit.erase", target, work)
            .await
    }
}

fn chain_of(ctx: &OpCtx, permission: Permission, platform: bool) -> Result<TenantId, Error> {
    if platform {
        ctx.authorize_platform(permission)?;
        return Ok(TenantId::platform());
    }
    Ok(ctx.authorize(permission)?.tenant().clone())
}
