//! Jobs: submit, list, show, follow, cancel, remove.

use super::App;
use crate::jobs::{Call, Following, Job, JobRecord};
use crate::limits::Unit;
use crate::opctx::OpCtx;
use crate::port::store::{Page, PageRequest};
use caxton_core::MessageId;
use caxton_core::error::Error;
use caxton_core::grant::Permission;
use std::sync::Arc;

impl App {
    /// Keeps a job and gives it to its agent. When this returns it is on disk.
    ///
    /// Errors: `CX-2020` no such agent, `CX-3042` too many jobs, and those of a send that do not pass
    /// by themselves.
    pub async fn job_submit(&self, ctx: &OpCtx, call: Call) -> Result<Job, Error> {
        ctx.authorize(Permission::AgentInvoke)?;
        self.refuse_when_draining()?;
        // The platform's own may look into a suspended tenant; nothing answers them there.
        self.directory.ensure_active(&ctx.tenant).await?;
        let deadline = self.now().plus(call.timeout);
        let message = self.call_message(ctx, &call, deadline)?;
        let key = super::limits::key_of(&ctx.principal);
        let one = self
            .quotas
            .reserve(&ctx.tenant, key.as_deref(), Unit::Messages, 1, self.now())
            .await?;
        let by = ctx.principal.to_string();
        let (jobs, own) = (Arc::clone(&self.jobs), call);
        let work = async move { jobs.submit(&own, message, by, deadline).await };
        let job = self.whole(work).await?;
        one.settle(1);
        Ok(job)
    }

    pub async fn job_show(&self, ctx: &OpCtx, id: MessageId) -> Result<Job, Error> {
        let scope = ctx.authorize(Permission::JobRead)?;
        self.jobs.show(&scope, id).await
    }

    /// Newest first, without their answers.
    pub async fn job_list(
        &self,
        ctx: &OpCtx,
        page: &PageRequest,
    ) -> Result<Page<JobRecord>, Error> {
        let scope = ctx.authorize(Permission::JobRead)?;
        self.jobs.list(&scope, page).await
    }

    /// What happens to a job, after an event of this start of the server or from the first at hand.
    pub async fn job_follow(
        &self,
        ctx: &OpCtx,
        id: MessageId,
        after: Option<u64>,
    ) -> Result<Following, Error> {
        let scope = ctx.authorize(Permission::JobRead)?;
        self.jobs.follow(&scope, id, after).await
    }

    /// Stops waiting for a job's answer. One that is over is left as it is. Gives the job.
    pub async fn job_cancel(&self, ctx: &OpCtx, id: MessageId) -> Result<Job, Error> {
        let scope = ctx.authorize(Permission::JobWrite)?;
        self.jobs.show(&scope, id).await?;
        let jobs = Arc::clone(&self.jobs);
        let work = self.whole(async move { jobs.cancel(&scope, id).await });
        let target = format!("jobs/{id}");
        self.act(ctx, &ctx.tenant, "job.cancel", target, work).await
    }

    /// Cancels a job that is not over; forgets one that is.
    pub async fn job_remove(&self, ctx: &OpCtx, id: MessageId) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::JobWrite)?;
        self.jobs.show(&scope, id).await?;
        let jobs = Arc::clone(&self.jobs);
        let work = self.whole(async move { jobs.remove(&scope, id).await });
        let target = format!("jobs/{id}");
        self.act(ctx, &ctx.tenant, "job.remove", target, work).await
    }

    /// The start of this server that events of jobs are counted in.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.0
    }
}
