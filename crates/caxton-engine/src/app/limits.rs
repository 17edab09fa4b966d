//! Rates, quotas and usage: show and set. And what every request and message takes of them.

use super::App;
use crate::limits::{Quota, RateSettings, RateState, Usage};
use crate::opctx::OpCtx;
use caxton_core::error::{Code, Error};
use caxton_core::grant::{Permission, Principal, Subject};
use caxton_core::{TenantId, Timestamp};
use std::sync::Arc;

impl App {
    /// Takes one request of all the rates it is held to, or of none. Answers where the tightest
    /// stands, or the one that refuses it ([`RateState::refusal`]). The holder of `admin.key` is held
    /// to none, nor is the server itself. Errors: those of reading what is set.
    pub async fn rate_take(
        &self,
        principal: &Principal,
        tenant: &TenantId,
        operation: &'static str,
    ) -> Result<Option<RateState>, Error> {
        let member = match principal {
            // Whoever sets the limits must be able to lift them.
            Principal::Member(member) if !principal.is_operator() => member,
            _ => return Ok(None),
        };
        let now = self.shared.services.clock.now();
        let taken = self.rates.take(tenant, &member.subject, operation, now);
        taken.await
    }

    /// The rates of every tenant that has no others.
    pub async fn rates_show(&self, ctx: &OpCtx) -> Result<RateSettings, Error> {
        ctx.authorize_platform(Permission::PlatformRead)?;
        self.settings(&TenantId::platform()).await
    }

    pub async fn rates_set(&self, ctx: &OpCtx, settings: RateSettings) -> Result<(), Error> {
        ctx.authorize_platform(Permission::PlatformWrite)?;
        let platform = TenantId::platform();
        let work = self.rates.set(&platform, settings);
        self.act(ctx, &platform, "limits.update", "limits".to_owned(), work)
            .await
    }

    /// What is set for one tenant.
    pub async fn tenant_rates_show(
        &self,
        ctx: &OpCtx,
        tenant: &TenantId,
    ) -> Result<RateSettings, Error> {
        ctx.authorize_of(Permission::TenantRead, Permission::PlatformRead, tenant)?;
        self.directory.tenant(tenant).await?;
        self.settings(tenant).await
    }

    pub async fn tenant_rates_set(
        &self,
        ctx: &OpCtx,
        tenant: &TenantId,
        settings: RateSettings,
    ) -> Result<(), Error> {
        ctx.authorize_platform(Permission::PlatformWrite)?;
        self.directory.tenant(tenant).await?;
        if settings.server.is_some() {
            let detail = "a tenant has no rate of the server".to_owned();
            let error = Error::new(Code::LimitMalformed, detail);
            return Err(error.with_fields(vec![("server".to_owned(), "is not a tenant's".into())]));
        }
        let work = self.rates.set(tenant, settings);
        let target = format!("tenants/{tenant}/limits");
        self.act(ctx, tenant, "limits.update", target, work).await
    }

    async fn settings(&self, tenant: &TenantId) -> Result<RateSettings, Error> {
        let found = self.rates.settings(tenant).await?;
        Ok(found.map(Arc::unwrap_or_clone).unwrap_or_default())
    }

    /// The quota of a tenant, or of one of its keys by public id.
    pub async fn quota_show(
        &self,
        ctx: &OpCtx,
        tenant: &TenantId,
        key: &str,
    ) -> Result<Quota, Error> {
        ctx.authorize_of(Permission::TenantRead, Permission::PlatformRead, tenant)?;
        let holder = self.holder(tenant, key).await?;
        Ok(Arc::unwrap_or_clone(
            self.quotas.quota(tenant, &holder).await?,
        ))
    }

    pub async fn quota_set(
        &self,
        ctx: &OpCtx,
        tenant: &TenantId,
        key: &str,
        quota: Quota,
    ) -> Result<(), Error> {
        ctx.authorize_platform(Permission::PlatformWrite)?;
        let holder = self.holder(tenant, key).await?;
        let work = self.quotas.set(tenant, &holder, quota);
        let target = format!("tenants/{tenant}/quota {holder}");
        self.act(ctx, tenant, "quota.update", target, work).await
    }

    /// What a tenant, or one of its keys, has used, and the quota it is held to.
    pub async fn usage_show(
        &self,
        ctx: &OpCtx,
        tenant: &TenantId,
        key: &str,
    ) -> Result<(Usage, Quota), Error> {
        ctx.authorize_of(Permission::UsageRead, Permission::PlatformRead, tenant)?;
        let holder = self.holder(tenant, key).await?;
        let now = self.shared.services.clock.now();
        let usage = self.quotas.usage(tenant, &holder, now).await?;
        let quota = self.quotas.quota(tenant, &holder).await?;
        Ok((usage, Arc::unwrap_or_clone(quota)))
    }

    /// Where a principal's tightest quota stands, for whoever was refused to know.
    pub async fn quota_tightest(
        &self,
        principal: &Principal,
        tenant: &TenantId,
    ) -> Result<Option<RateState>, Error> {
        let key = key_of(principal);
        let now = self.now();
        self.quotas.tightest(tenant, key.as_deref(), now).await
    }

    /// Whose count: the tenant's, or that of a key which must be there.
    async fn holder(&self, tenant: &TenantId, key: &str) -> Result<String, Error> {
        self.directory.tenant(tenant).await?;
        if key.is_empty() {
            return Ok(String::new());
        }
        let key = self.directory.key(tenant, key).await?;
        Ok(Subject::Key(key.id).to_string())
    }

    pub fn now(&self) -> Timestamp {
        self.shared.services.clock.now()
    }
}

/// Whom a principal's use is counted for besides its tenant: its key.
pub(super) fn key_of(principal: &Principal) -> Option<String> {
    match principal {
        Principal::Member(member) => match &member.subject {
            Subject::Key(_) if !member.tenant.is_platform() => Some(member.subject.to_string()),
            _ => None,
        },
        Principal::System { .. } => None,
    }
}
