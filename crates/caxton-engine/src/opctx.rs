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
}

impl OpCtx {
    pub fn new(tenant: TenantId, principal: Principal, trace: TraceContext) -> Self {
        Self {
            tenant,
            principal,
            trace,
            deadline: None,
            idempotency_key: None,
        }
    }

    /// The one place that decides; the answer is the only way to a tenant's data.
    pub fn authorize(&self, permission: Permission) -> Result<TenantScope, Error> {
        if self.principal.may(permission, &self.tenant) {
            return Ok(TenantScope {
                tenant: self.tenant.clone(),
            });
        }
        Err(Error::new(
            Code::PermissionDenied,
            format!("{permission:?} is not permitted in tenant {}", self.tenant),
        ))
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
