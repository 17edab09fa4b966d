//! API keys: create, list, show, rotate, revoke. And who somebody with a credential is.

use super::App;
use crate::directory::{Identity, KeyDraft, KeyRecord};
use crate::opctx::OpCtx;
use crate::port::store::{Page, PageRequest};
use caxton_core::error::{Code, Error};
use caxton_core::grant::{self, Permission, Permissions, Principal, Subject};
use caxton_core::key::KeyText;
use caxton_core::{TenantId, Timestamp};
use std::time::Duration;

impl App {
    /// The holder of `admin.key`.
    pub fn identify_admin(&self) -> Identity {
        self.directory.identify_admin()
    }

    /// Who an API key belongs to. Errors: `CX-4001`, the same for every key that is not good.
    pub async fn identify_key(&self, text: &str) -> Result<Identity, Error> {
        self.directory.identify_key(text).await
    }

    /// Who somebody is that another authority vouches for. Errors: `CX-4003` without a role.
    pub async fn identify_subject(
        &self,
        tenant: &TenantId,
        subject: Subject,
        vouched: Option<Permissions>,
        expires: Option<Timestamp>,
    ) -> Result<Identity, Error> {
        let identified = self
            .directory
            .identify_subject(tenant, subject, vouched, expires);
        identified.await
    }

    /// The tenant an identity acts in: its own; one of the platform acts where it says, or in
    /// `default`. Errors: `CX-4010` for one that is not there or not its own, `CX-4012`.
    pub async fn tenant_of(
        &self,
        principal: &Principal,
        named: Option<TenantId>,
    ) -> Result<TenantId, Error> {
        let own = match principal {
            Principal::Member(member) if !member.tenant.is_platform() => Some(&member.tenant),
            _ => None,
        };
        let tenant = match (own, named) {
            (Some(own), Some(named)) if *own != named => {
                let detail = format!("there is no tenant {named}");
                return Err(Error::new(Code::TenantNotFound, detail));
            }
            (Some(own), _) => own.clone(),
            (None, named) => named.unwrap_or_else(TenantId::default_tenant),
        };
        match self.directory.ensure_active(&tenant).await {
            // The platform's own may still look after it.
            Err(error) if error.code == Code::TenantSuspended && own.is_none() => Ok(tenant),
            Err(error) => Err(error),
            Ok(()) => Ok(tenant),
        }
    }

    /// Makes a key; its text is given here and never again. Errors: `CX-4006` it would have more than
    /// the caller, `CX-4009` too many.
    pub async fn key_create(
        &self,
        ctx: &OpCtx,
        draft: KeyDraft,
    ) -> Result<(KeyRecord, KeyText), Error> {
        let scope = ctx.authorize(Permission::KeyWrite)?;
        self.refuse_when_draining()?;
        let narrowed = grant::scopes(&draft.scopes)?;
        let (tenant, role) = match draft.platform {
            true => {
                ctx.authorize_platform(Permission::PlatformWrite)?;
                (TenantId::platform(), draft.role.platform_permissions())
            }
            false => (scope.tenant().clone(), draft.role.permissions()),
        };
        ctx.ensure_has(role.and(narrowed))?;
        let (maker, expires) = (&ctx.principal, draft.expires);
        self.directory.ensure_outlived(maker, expires).await?;
        let by = ctx.principal.to_string();
        let target = format!("keys {:?} {}", draft.name, draft.role);
        let work = self.directory.key_create(&tenant, draft, &by);
        self.act(ctx, &tenant, "key.create", target, work).await
    }

    /// In the order of public ids; the platform's keys where `platform` says so.
    pub async fn key_list(
        &self,
        ctx: &OpCtx,
        platform: bool,
        page: &PageRequest,
    ) -> Result<Page<KeyRecord>, Error> {
        let tenant = self.key_tenant(ctx, Permission::KeyRead, platform)?;
        self.directory.keys(&tenant, page).await
    }

    pub async fn key_show(&self, ctx: &OpCtx, id: &str) -> Result<KeyRecord, Error> {
        let tenant = self.home_of(ctx, Permission::KeyRead, id).await?;
        self.directory.key(&tenant, id).await
    }

    /// Gives a key another secret; the one before works until `overlap` has passed.
    pub async fn key_rotate(
        &self,
        ctx: &OpCtx,
        id: &str,
        overlap: Duration,
    ) -> Result<(KeyRecord, KeyText), Error> {
        let tenant = self.home_of(ctx, Permission::KeyWrite, id).await?;
        // Whoever rotates a key holds it afterwards.
        let key = self.directory.key(&tenant, id).await?;
        ctx.ensure_has(key.permissions())?;
        let work = self.directory.key_rotate(&tenant, id, overlap);
        let target = format!("keys/{id}");
        self.act(ctx, &tenant, "key.rotate", target, work).await
    }

    /// Ends a key at once; the streams it opened end within a second.
    pub async fn key_revoke(&self, ctx: &OpCtx, id: &str) -> Result<(), Error> {
        let tenant = self.home_of(ctx, Permission::KeyWrite, id).await?;
        // Nothing is written of what is not there.
        self.directory.key(&tenant, id).await?;
        let work = self.directory.key_revoke(&tenant, id);
        let target = format!("keys/{id}");
        self.act(ctx, &tenant, "key.revoke", target, work).await
    }

    fn key_tenant(
        &self,
        ctx: &OpCtx,
        permission: Permission,
        platform: bool,
    ) -> Result<TenantId, Error> {
        let scope = ctx.authorize(permission)?;
        if !platform {
            return Ok(scope.tenant().clone());
        }
        ctx.authorize_platform(Permission::PlatformWrite)?;
        Ok(TenantId::platform())
    }

    /// Where a key that the caller may touch belongs: its tenant, or for the platform's own the
    /// platform, if the key is there.
    async fn home_of(
        &self,
        ctx: &OpCtx,
        permission: Permission,
        id: &str,
    ) -> Result<TenantId, Error> {
        let scope = ctx.authorize(permission)?;
        if ctx.authorize_platform(Permission::PlatformWrite).is_ok() {
            let platform = TenantId::platform();
            if self.directory.key(&platform, id).await.is_ok() {
                return Ok(platform);
            }
        }
        Ok(scope.tenant().clone())
    }
}

impl OpCtx {
    /// Nobody can give what it does not have.
    pub(crate) fn ensure_has(&self, wanted: Permissions) -> Result<(), Error> {
        let Principal::Member(member) = &self.principal else {
            return Ok(());
        };
        if member.permissions.contains(wanted) {
            return Ok(());
        }
        let missing = wanted.iter().filter(|it| !member.permissions.has(*it));
        let missing: Vec<&str> = missing.map(Permission::as_str).collect();
        let detail = format!("{} has not itself: {}", self.principal, missing.join(", "));
        Err(Error::new(Code::GrantExceeded, detail))
    }
}
