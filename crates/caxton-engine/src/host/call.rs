//! Calls that wait. Such a call cannot sit in an outbox that leaves after the handler returned: it
//! leaves at once through the [`Outlet`], journalled where the caller is durable, and the handler
//! parks. A handler that is tried again makes the same calls in the same order and gets the recorded
//! answers; an undecided call leaves again as the same message, which the receiver knows by its id.

use super::Host;
use crate::opctx::TenantScope;
use crate::port::Answer;
use crate::port::store::CallId;
use caxton_core::error::{Code, Error};
use caxton_core::{Acl, AgentId, MailboxId, Message, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// The way out for waiting calls; the router implements it.
pub trait Outlet: Send + Sync + fmt::Debug {
    /// Sends the request and waits for its answer until the deadline.
    fn call(&self, call: WaitingCall) -> Answer<'_, Result<Arc<Message>, Error>>;

    /// How many timers a mailbox has set, and whether one of this name is among them.
    fn timers(&self, mailbox: &MailboxId, name: &str) -> (usize, bool);

    /// Whether an agent runs now.
    fn stands(&self, agent: &AgentId) -> bool;
}

/// A call about to leave.
#[derive(Clone, Debug)]
pub struct WaitingCall {
    pub scope: TenantScope,
    pub id: CallId,
    pub request: Message,
    /// Journal it, because the caller's delivery is durable.
    pub durable: bool,
    /// Look for a record of it first.
    pub replay: bool,
    pub deadline: Timestamp,
}

impl Host {
    /// Sends a message to one receiver and waits for the answer. `timeout` zero means the agent's
    /// `wait_timeout_ms_max`, which also bounds all waiting of one handler together.
    pub async fn call(&mut self, acl: Acl, timeout: Duration) -> Result<Arc<Message>, Error> {
        self.charge()?;
        let (mut call, wait) = self.question(acl, timeout)?;
        // What was handled before this message, by the same lane, leaves first: the worker commits
        // it when the handler waits for the first time.
        wait_once().await;
        let begun = self.inner.services.clock.now();
        call.deadline = begun.plus(wait);
        let answer = self.inner.services.outlet.call(call).await;
        self.inner.used.waited += self.inner.services.clock.now().since(begun);
        answer
    }

    /// A call about to leave, checked, counted and stamped, and how long it may wait.
    pub(super) fn question(
        &mut self,
        mut acl: Acl,
        timeout: Duration,
    ) -> Result<(WaitingCall, Duration), Error> {
        let limits = &self.inner.manifest.limits;
        let Some(current) = self.inner.current.as_ref() else {
            return Err(Error::new(
                Code::CallNotAllowed,
                "there is no message to answer inside init",
            ));
        };
        if acl.receivers.len() != 1 {
            return Err(Error::new(
                Code::CallNotAllowed,
                format!("a call has one receiver, this one {}", acl.receivers.len()),
            ));
        }
        if self.inner.used.calls >= limits.calls_per_message_max {
            return Err(Error::new(
                Code::HostCallLimit,
                format!(
                    "more than {} calls for one message",
                    limits.calls_per_message_max
                ),
            ));
        }
        let left = limits.wait_timeout().saturating_sub(self.inner.used.waited);
        let wait = if timeout.is_zero() {
            left
        } else {
            timeout.min(left)
        };
        let id = CallId {
            mailbox: self.inner.mailbox.clone(),
            message: current.message,
            index: self.inner.used.calls,
        };
        let waiting: Arc<[MailboxId]> = current
            .waiting
            .iter()
            .flat_map(|chain| chain.iter().cloned())
            .chain([self.inner.mailbox.clone()])
            .collect();
        let replay = current.replay || current.attempt > 1;
        if acl.reply_with.is_none() {
            acl.reply_with = Some(format!("{}.{}", id.message, id.index));
        }
        super::send::may_speak(&acl)?;
        self.check(&acl)?;
        let request = self.stamp(acl, Some(waiting));
        self.inner.used.calls += 1;
        self.inner.effects.calls = self.inner.used.calls;
        let now = self.inner.services.clock.now();
        let call = WaitingCall {
            scope: self.inner.scope.clone(),
            id,
            request,
            durable: self.is_durable(),
            replay,
            deadline: now.plus(wait),
        };
        Ok((call, wait))
    }
}

/// Pending at the first poll, ready at the second.
pub(super) async fn wait_once() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
