//! Approvals: what waits for a person, and what the person says.

use super::App;
use crate::opctx::OpCtx;
use crate::port::store::{Page, PageRequest};
use crate::tools::{Approval, ApprovalState, Decision};
use caxton_core::error::{Error, shown};
use caxton_core::grant::Permission;

impl App {
    /// Oldest first; those in a state where one is named.
    pub async fn approval_list(
        &self,
        ctx: &OpCtx,
        state: Option<ApprovalState>,
        page: &PageRequest,
    ) -> Result<Page<Approval>, Error> {
        let scope = ctx.authorize(Permission::ApprovalRead)?;
        let approvals = &self.shared.services.tools.approvals;
        approvals.list(&scope, state, page).await
    }

    /// Errors: `CX-8020`.
    pub async fn approval_show(&self, ctx: &OpCtx, id: &str) -> Result<Approval, Error> {
        let scope = ctx.authorize(Permission::ApprovalRead)?;
        self.shared.services.tools.approvals.find(&scope, id).await
    }

    /// Decides on a call, once; the call that waits goes on. Errors: `CX-8020`, `CX-8023`, `CX-8024`.
    pub async fn approval_decide(
        &self,
        ctx: &OpCtx,
        id: &str,
        decision: Decision,
    ) -> Result<Approval, Error> {
        let scope = ctx.authorize(Permission::ApprovalDecide)?;
        let action = match decision.approve {
            true => "approval.approve",
            false => "approval.deny",
        };
        let by = ctx.principal.agent_name().to_string();
        let approvals = &self.shared.services.tools.approvals;
        let work = approvals.decide(&scope, id, decision, by);
        let target = format!("approvals/{}", shown(id));
        self.act(ctx, scope.tenant(), action, target, work).await
    }
}
