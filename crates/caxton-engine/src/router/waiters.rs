//! Who waits for an answer: calls of handlers, and clients at a door that said `wait`.
//!
//! An answer is matched by `in-reply-to` with the question's `reply-with`. Agents that forget
//! `in-reply-to` are common, so an answer without one is matched by its conversation if it comes from
//! the agent that was asked. `agree` only announces an answer (SC00026) and is not one.

use crate::port::store::CallId;
use caxton_core::{AgentId, Message, Performative};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

/// One that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) key: u64,
    reply_with: String,
    request: Arc<Message>,
    /// The journal's row of the call, if it has one.
    pub(crate) call: Option<CallId>,
    /// Absent after a restart, until the handler that made the call runs again.
    answer: Option<oneshot::Sender<Arc<Message>>>,
}

impl Waiter {
    /// Hands the answer over; a waiter that has gone does not mind.
    pub(crate) fn complete(self, answer: Arc<Message>) {
        if let Some(sender) = self.answer {
            let _ = sender.send(answer);
        }
    }
}

/// All that wait, by who waits.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_agent: Mutex<HashMap<AgentId, Vec<Waiter>>>,
    /// So that a message to nobody who waits costs one load.
    count: AtomicUsize,
    next_key: AtomicUsize,
}

impl Waiters {
    /// Registers a question before it is sent. A journalled call replaces the row that a restart
    /// left for it.
    pub(crate) fn add(
        &self,
        who: &AgentId,
        request: Arc<Message>,
        call: Option<CallId>,
        answer: Option<oneshot::Sender<Arc<Message>>>,
    ) -> u64 {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed) as u64;
        let reply_with = request.acl.reply_with.clone().unwrap_or_default();
        let waiter = Waiter {
            key,
            reply_with,
            request,
            call,
            answer,
        };
        let mut by_agent = self.by_agent.lock();
        let list = by_agent.entry(who.clone()).or_default();
        let before = list.len();
        if waiter.call.is_some() {
            list.retain(|other| other.call != waiter.call);
        }
        list.push(waiter);
        let after = list.len();
        self.count.fetch_add(after - before, Ordering::SeqCst);
        key
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Undoes a [`Waiters::claim`] whose answer could not be made durable.
    pub(crate) fn put_back(&self, who: &AgentId, waiter: Waiter) {
        self.by_agent
            .lock()
            .entry(who.clone())
            .or_default()
            .push(waiter);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets one that no longer waits.
    pub(crate) fn remove(&self, who: &AgentId, key: u64) {
        self.take_if(who, |waiter| waiter.key == key);
    }

    /// Forgets the calls of a message that is handled.
    pub(crate) fn remove_calls(&self, who: &AgentId, matches: impl Fn(&CallId) -> bool) {
        while self
            .take_if(who, |waiter| waiter.call.as_ref().is_some_and(&matches))
            .is_some()
        {}
    }

    /// The one that waits for this message, if any; it waits no more.
    pub(crate) fn claim(&self, who: &AgentId, message: &Message) -> Option<Waiter> {
        if self.count.load(Ordering::SeqCst) == 0 || message.acl.performative == Performative::Agree
        {
            return None;
        }
        self.take_if(who, |waiter| waiter.is_answered_by(message))
    }

    fn take_if(&self, who: &AgentId, matches: impl Fn(&Waiter) -> bool) -> Option<Waiter> {
        let mut by_agent = self.by_agent.lock();
        let list = by_agent.get_mut(who)?;
        let index = list.iter().position(matches)?;
        let waiter = list.swap_remove(index);
        if list.is_empty() {
            by_agent.remove(who);
        }
        self.count.fetch_sub(1, Ordering::SeqCst);
        Some(waiter)
    }
}

impl Waiter {
    fn is_answered_by(&self, message: &Message) -> bool {
        match &message.acl.in_reply_to {
            Some(token) => *token == self.reply_with,
            None => {
                let asked = &self.request.acl;
                asked.conversation_id.is_some()
                    && asked.conversation_id == message.acl.conversation_id
                    && message
                        .sender()
                        .is_some_and(|from| asked.receivers.iter().any(|to| to.id == *from))
            }
        }
    }
}
