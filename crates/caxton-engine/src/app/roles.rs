//! Role assignments: give, list, show, take away.

use super::App;
use crate::directory::Assignment;
use crate::opctx::OpCtx;
use crate::port::store::{Page, PageRequest};
use caxton_core::error::Error;
use caxton_core::grant::{Permission, Role, Subject};

impl App {
    /// Gives a subject a role in the tenant, from now on. Errors: `CX-4006` it would have more than
    /// the caller, `CX-4009` too many.
    pub async fn role_assign(
        &self,
        ctx: &OpCtx,
        subject: &Subject,
        role: Role,
    ) -> Result<Assignment, Error> {
        let scope = ctx.authorize(Permission::RoleWrite)?;
        ctx.ensure_has(role.permissions())?;
        let by = ctx.principal.to_string();
        let person = self.audit.subject(scope.tenant(), subject).await?;
        let work = self.directory.assign(scope.tenant(), subject, role, &by);
        let target = format!("roleAssignments/{person} {role}");
        self.act(ctx, scope.tenant(), "role.assign", target, work)
            .await
    }

    /// In the order of subjects.
    pub async fn role_list(
        &self,
        ctx: &OpCtx,
        page: &PageRequest,
    ) -> Result<Page<Assignment>, Error> {
        let scope = ctx.authorize(Permission::RoleRead)?;
        self.directory.assignments(scope.tenant(), page).await
    }

    pub async fn role_show(&self, ctx: &OpCtx, subject: &str) -> Result<Assignment, Error> {
        let scope = ctx.authorize(Permission::RoleRead)?;
        self.directory.assignment(scope.tenant(), subject).await
    }

    /// Takes a role away, from now on. Nobody can take away more than it has.
    pub async fn role_unassign(&self, ctx: &OpCtx, subject: &Subject) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::RoleWrite)?;
        let there = self
            .directory
            .assignment(scope.tenant(), &subject.to_string())
            .await?;
        ctx.ensure_has(there.role.permissions())?;
        let person = self.audit.subject(scope.tenant(), subject).await?;
        let work = self.directory.unassign(scope.tenant(), subject);
        let target = format!("roleAssignments/{person}");
        self.act(ctx, scope.tenant(), "role.remove", target, work)
            .await
    }
}
