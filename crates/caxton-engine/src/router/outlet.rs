//! Waiting calls, the router's side: journal, send, wait.

use super::plan::{Origin, Plan};
use super::{Shared, Way};
use crate::host::{Outlet, WaitingCall};
use crate::port::Answer;
use crate::port::store::{CallId, Op};
use caxton_core::error::{Code, Error};
use caxton_core::lifecycle::Phase;
use caxton_core::{AgentId, MailboxId, Message, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

    fn timers(&self, mailbox: &MailboxId, name: &str) -> (usize, bool) {
        match self.0.upgrade() {
            Some(shared) => shared.timers.of(mailbox, name),
            None => (0, false),
        }
    }

    fn stands(&self, agent: &AgentId) -> bool {
        let entry = self.0.upgrade().and_then(|shared| shared.agent(agent));
        entry.is_some_and(|entry| entry.phase() == Phase::Running)
    }
}

/// Whoever waits for an answer. Dropped before there is an outcome, the handler is gone.
struct Waiting<'a> {
    shared: &'a Shared,
    who: AgentId,
    key: u64,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.over {
            self.shared.waiters.remove(&self.who, self.key);
        } else {
            self.shared.waiters.abandon(&self.who, self.key);
        }
    }
}

/// A handler that waits, and keeps its instance meanwhile.
struct Caller<'a>(&'a AtomicUsize);

impl<'a> Caller<'a> {
    /// Counts one more; gives how many there are now.
    fn count(callers: &'a AtomicUsize) -> (Self, usize) {
        let now = callers.fetch_add(1, Ordering::SeqCst) + 1;
        (Self(callers), now)
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    async fn call(self: &Arc<Self>, call: WaitingCall) -> Result<Arc<Message>, Error> {
        self.metrics.calls.inc();
        let who = &call.id.mailbox.agent;
        let store = &self.services.store;
        let (_caller, callers) = Caller::count(&self.callers);
        if call.durable
            && call.replay
            && let Some(record) = store.call(&call.scope, &call.id).await?
        {
            if let Some(answer) = record.answer {
                return Ok(answer);
            }
            // It left before: its receiver has the question, and the answer may be on its way.
            let (sender, answer) = oneshot::channel();
            let id = Some(call.id.clone());
            let asked = Arc::clone(&record.request);
            let waiting = self.waiting(who, asked, id, sender, true);
            let record = store.call(&call.scope, &call.id).await?;
            if let Some(answer) = record.and_then(|record| record.answer) {
                return Ok(answer);
            }
            return waiting.outcome(answer, call.deadline).await;
        }
        // One instance at least must be left to those who do not wait, or nobody is ever answered.
        if callers >= self.options.mailboxes_live_max {
            return Err(Error::new(
                Code::CallersTooMany,
                format!(
                    "{} other handlers wait, and there may be {} instances",
                    callers - 1,
                    self.options.mailboxes_live_max
                ),
            )
            .retry_after(super::RETRY_AFTER));
        }
        let journal = call.durable.then(|| call.id.clone());
        self.ask(who, Arc::new(call.request), journal, call.deadline)
            .await
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
        let mut plan = Plan::default();
        if let Some(call) = journal.clone() {
            plan.ops.push(Op::CallBegin {
                call,
                request: Arc::clone(&request),
            });
        }
        // At a door's risk: a receiver that refuses is the caller's answer at once.
        plan.send(self, &request, Origin::Door)?;
        let (sender, answer) = oneshot::channel();
        let mut waiting = self.waiting(who, Arc::clone(&request), journal, sender, false);
        plan.question = Some((who.clone(), waiting.key));
        if let Err(error) = plan.carry_out_whole(self, &request.tenant).await {
            waiting.over = true;
            return Err(error);
        }
        waiting.outcome(answer, deadline).await
    }

    fn waiting(
        &self,
        who: &AgentId,
        request: Arc<Message>,
        call: Option<CallId>,
        sender: oneshot::Sender<Arc<Message>>,
        left: bool,
    ) -> Waiting<'_> {
        Waiting {
            shared: self,
            who: who.clone(),
            key: self.waiters.add(who, request, call, Some(sender), left),
            over: false,
        }
    }
}

impl Waiting<'_> {
    async fn outcome(
        mut self,
        mut answer: oneshot::Receiver<Arc<Message>>,
        deadline: Timestamp,
    ) -> Result<Arc<Message>, Error> {
        let late = self.shared.services.clock.sleep_until(deadline);
        let outcome = tokio::select! {
            biased;
            answered = &mut answer => answered.map_err(|_| Error::new(Code::Draining, "the engine has stopped")),
            () = late => Err(Error::new(
                Code::CallTimeout,
                "the message was accepted, but no answer came in time",
            )),
        };
        self.over = true;
        outcome
    }
}
