//! An agent, tried as a tool: the question goes to it in the name of whoever tries, as every call from
//! outside does, with the same permission and quota.

use super::App;
use crate::host::{Outlet, WaitingCall};
use crate::jobs::Call;
use crate::opctx::{OpCtx, TenantScope};
use crate::port::Answer;
use crate::port::store::CallId;
use caxton_core::agent::{MailboxId, MailboxKey};
use caxton_core::error::{Code, Error};
use caxton_core::lifecycle::Phase;
use caxton_core::{Acl, AgentId, Message};
use std::sync::Arc;
use std::time::Duration;

/// Asks in a person's name, where an agent's own question leaves through the router.
#[derive(Debug)]
struct Asking {
    app: App,
    ctx: OpCtx,
}

impl Outlet for Asking {
    fn call(&self, call: WaitingCall) -> Answer<'_, Result<Arc<Message>, Error>> {
        Box::pin(async move {
            let timeout = call.deadline.since(self.app.now());
            let asked = question(call.request.acl, timeout)?;
            let done = self.app.agent_invoke(&self.ctx, asked, None).await?;
            Ok(done.reply)
        })
    }

    fn timers(&self, _: &MailboxId, _: &str) -> (usize, bool) {
        (0, false)
    }

    fn stands(&self, agent: &AgentId) -> bool {
        let entry = self.app.entry(agent);
        entry.is_ok_and(|entry| entry.phase() == Phase::Running)
    }
}

fn question(acl: Acl, timeout: Duration) -> Result<Call, Error> {
    let [to] = acl.receivers.as_slice() else {
        return Err(Error::new(Code::Internal, "a question is to one agent"));
    };
    Ok(Call {
        agent: to.id.name.clone(),
        acl,
        timeout,
        attempts_max: 1,
    })
}

impl App {
    /// What [`crate::tools::Prepared::asking`] wants of a question that a person asks.
    pub(super) fn tool_question(
        &self,
        ctx: &OpCtx,
        scope: &TenantScope,
        me: &AgentId,
        acl: Acl,
        timeout: Duration,
    ) -> Result<(Arc<dyn Outlet>, WaitingCall, Duration), Error> {
        let deadline = self.now().plus(timeout);
        let request = self.call_message(ctx, &question(acl, timeout)?, deadline)?;
        let call = WaitingCall {
            scope: scope.clone(),
            id: CallId {
                mailbox: MailboxId {
                    agent: me.clone(),
                    key: MailboxKey::Agent,
                },
                message: request.id,
                index: 0,
            },
            request: Message::clone(&request),
            durable: false,
            replay: false,
            deadline,
        };
        let asking = Asking {
            app: self.clone(),
            ctx: ctx.clone(),
        };
        Ok((Arc::new(asking), call, timeout))
    }
}
