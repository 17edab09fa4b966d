//! Waiting calls, the router's side: journal, send, wait.

use super::plan::{Origin, Plan};
use super::{Shared, Way};
use crate::host::{Outlet, WaitingCall};
use crate::port::Answer;
use crate::port::store::{CallId, Op};
use caxton_core::error::{Code, Error};
use caxton_core::{AgentId, Message, Timestamp};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Outlet for Way {
    fn call(&self, call: WaitingCall) -> Answer<'_, Result<Arc<Message>, Error>> {
        let shared = self.0.upgrade();
        Box::pin(async move {
            match shared {
                Some(shared) => shared.call(call).await,
                None => Err(Error::new(Code::Draining, "the engine has stopped")),
            }
        })
    }
}

/// Waits no more when dropped, whatever ended the wait.
struct Waiting<'a> {
    shared: &'a Shared,
    who: AgentId,
    key: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.waiters.remove(&self.who, self.key);
    }
}

impl Shared {
    async fn call(self: &Arc<Self>, call: WaitingCall) -> Result<Arc<Message>, Error> {
        self.metrics.calls.inc();
        let mut request = Arc::new(call.request);
        if call.durable && call.replay {
            let read = self.services.store.call(&call.scope, &call.id);
            if let Some(record) = read.await? {
                if let Some(answer) = record.answer {
                    return Ok(answer);
                }
                request = record.request;
            }
        }
        let who = call.id.mailbox.agent.clone();
        let journal = call.durable.then(|| call.id.clone());
        self.ask(&who, request, journal, call.deadline).await
    }

    /// Sends a question and waits for its answer. The answer may come before this returns from
    /// sending, so the question is registered first.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        who: &AgentId,
        request: Arc<Message>,
        journal: Option<CallId>,
        deadline: Timestamp,
    ) -> Result<Arc<Message>, Error> {
        let (sender, mut answer) = oneshot::channel();
        let mut plan = Plan::default();
        if let Some(call) = journal.clone() {
            plan.ops.push(Op::CallBegin {
                call,
                request: Arc::clone(&request),
            });
        }
        // At a door's risk: a receiver that refuses is the caller's answer at once.
        plan.send(self, &request, Origin::Door)?;
        let key = self
            .waiters
            .add(who, Arc::clone(&request), journal, Some(sender));
        let _waiting = Waiting {
            shared: self,
            who: who.clone(),
            key,
        };
        plan.carry_out_whole(self, &request.tenant).await?;
        let late = self.services.clock.sleep_until(deadline);
        tokio::select! {
            biased;
            answered = &mut answer => answered.map_err(|_| Error::new(Code::Draining, "the engine has stopped")),
            () = late => Err(Error::new(
                Code::CallTimeout,
                format!("message {} was accepted, but no answer came in time", request.id),
            )),
        }
    }
}
