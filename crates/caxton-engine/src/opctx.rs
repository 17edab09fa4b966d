//! Who asks for what, under which trace and deadline: the first argument of every use case. And the
//! proof of authorization that every `Store` method takes.

use caxton_core::error::{Code, Error};
use caxton_core::grant::{Permission, Principal};
use caxton_core::{TenantId, Timestamp, TraceContext};

/// The context of one operation. Doors build it once per request.
#[derive(Clone, Debug)]
pub struct OpCtx {
    pub tenant: TenantId,
    pub principal: Principal,
    pub trace: TraceContext,
    /// When the caller stops waiting.
    pub deadline: Option<Timestamp>,
    /// The caller's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The operation that was asked for, by its full name; empty where no door asked.
    pub operation: &'static str,
}

impl OpCtx {
    pub fn new(tenant: TenantId, principal: Principal, trace: TraceContext) -> Self {
        Self {
            tenant,
            principal,
            trace,
            deadline: None,
            idempotency_key: None,
            operation: "",
        }
    }

    /// The one place that decides; the answer is the only way to a tenant's data.
    pub fn authorize(&self, permission: Permission) -> Result<TenantScope, Error> {
        if self.principal.may(permission, &self.tenant) {
            return Ok(TenantScope {
                tenant: self.tenant.clone(),
            });
        }
        Err(self.denied(permission))
    }

    /// For what is the platform's and no tenant's: only the platform's own may.
    pub fn authorize_platform(&self, permission: Permission) -> Result<TenantScope, Error> {
        if self.principal.may(permission, &TenantId::platform()) {
            return Ok(TenantScope {
                tenant: TenantId::platform(),
            });
        }
        Err(self.denied(permission))
    }

    /// For what a tenant may of itself, and the platform of all. Whoever asks after a tenant that is
    /// not its own is told that there is none, as of one that never was.
    pub fn authorize_of(
        &self,
        own: Permission,
        platforms: Permission,
        tenant: &TenantId,
    ) -> Result<TenantScope, Error> {
        let scope = TenantScope {
            tenant: tenant.clone(),
        };
        if self.principal.is_platforms() {
            return match self.principal.may(platforms, tenant) {
                true => Ok(scope),
                false => Err(self.denied(platforms)),
            };
        }
        if !self.principal.may(own, &self.tenant) {
            return Err(self.denied(own));
        }
        if *tenant != self.tenant {
            let detail = format!("there is no tenant {tenant}");
            return Err(Error::new(Code::TenantNotFound, detail));
        }
        Ok(scope)
    }

    fn denied(&self, permission: Permission) -> Error {
        Error::new(
            Code::PermissionDenied,
            format!(
                "{} needs the permission {}",
                self.principal,
                permission.as_str()
            ),
        )
    }
}

/// Proof that somebody was allowed to touch this tenant's data. Only [`OpCtx::authorize`] mints it,
/// and [`TenantScope::system`] for the server's own work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantScope {
    tenant: TenantId,
}

impl TenantScope {
    /// The scope of work that no user asked for: restarts, timers, retries, retention. `task` is
    /// there to be read by whoever greps for it.
    pub fn system(tenant: TenantId, _task: &'static str) -> Self {
        Self { tenant }
    }

    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}
