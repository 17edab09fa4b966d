//! Who waits for an answer: calls of handlers, and clients at a door that said `wait`.
//!
//! An answer is matched by `in-reply-to` with the question's `reply-with`. Agents that forget
//! `in-reply-to` are common, so an answer without one is matched by its conversation if it comes from
//! the agent that was asked, after it was asked, and does not itself ask for something. `agree` only
//! announces an answer (SC00026) and is not one.
//!
//! Whoever waits stays here from before the question is committed until the answer is, and a
//! journalled call until its message is handled: a handler that is tried again takes its old place,
//! also while the answer is being committed.

use crate::port::store::CallId;
use caxton_core::{AgentId, Message, Performative};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

/// The user parameter that marks a message as progress of a longer work: the answer comes after it.
const PROGRESS: &str = "X-Progress";
/// Counters of those who wait: enough that a thousand callers leave most of them at zero.
const SLOTS: usize = 4096;

/// One that waits.
#[derive(Debug)]
struct Waiter {
    key: u64,
    reply_with: String,
    request: Arc<Message>,
    /// The journal's row of the call, if it has one.
    call: Option<CallId>,
    /// Absent while no handler waits: after a restart, or between two tries.
    answer: Option<oneshot::Sender<Arc<Message>>>,
    /// The question is committed.
    left: bool,
    /// An answer is being committed.
    claimed: bool,
}

/// A waiter that an answer was found for, until that is committed or not.
#[derive(Debug)]
pub(crate) struct Claim {
    who: AgentId,
    key: u64,
    /// The journal's row of the call, if it has one.
    pub(crate) call: Option<CallId>,
}

/// All that wait, by who waits.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_agent: Mutex<HashMap<AgentId, Vec<Waiter>>>,
    /// So that a message to nobody who waits costs one load.
    count: AtomicUsize,
    /// The same by the hash of the name: so that where many wait, a message to another costs no lock.
    slots: Slots,
    next_key: AtomicUsize,
}

#[derive(Debug)]
struct Slots([AtomicUsize; SLOTS]);

impl Default for Slots {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicUsize::new(0)))
    }
}

impl Slots {
    fn get(&self, index: usize) -> &AtomicUsize {
        let [first, ..] = &self.0;
        self.0.get(index).unwrap_or(first)
    }
}

impl Waiters {
    /// Registers a question before it is sent ([`Waiters::has_left`] follows), or one that left before
    /// a restart. A journalled call takes the place of its earlier try.
    pub(crate) fn add(
        &self,
        who: &AgentId,
        request: Arc<Message>,
        call: Option<CallId>,
        answer: Option<oneshot::Sender<Arc<Message>>>,
        left: bool,
    ) -> u64 {
        let reply_with = request.acl.reply_with.clone().unwrap_or_default();
        let mut by_agent = self.by_agent.lock();
        let list = by_agent.entry(who.clone()).or_default();
        let earlier = list
            .iter_mut()
            .find(|other| call.is_some() && other.call == call);
        if let Some(earlier) = earlier {
            earlier.reply_with = reply_with;
            earlier.request = request;
            earlier.answer = answer;
            earlier.left |= left;
            return earlier.key;
        }
        let key = self.next_key.fetch_add(1, Ordering::Relaxed) as u64;
        list.push(Waiter {
            key,
            reply_with,
            request,
            call,
            answer,
            left,
            claimed: false,
        });
        self.slots
            .get(self.slot(who))
            .fetch_add(1, Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
        key
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Where those who wait in this agent's name are counted.
    pub(crate) fn slot(&self, who: &AgentId) -> usize {
        let hash = foldhash::fast::FixedState::default().hash_one(who);
        (hash as usize) % SLOTS
    }

    /// Whether anybody may wait in the name of an agent of this slot.
    pub(crate) fn may_wait(&self, slot: usize) -> bool {
        self.slots.get(slot).load(Ordering::SeqCst) > 0
    }

    /// The question is committed: from now on it can be answered.
    pub(crate) fn has_left(&self, who: &AgentId, key: u64) {
        self.change(who, key, |waiter| waiter.left = true);
    }

    /// Forgets one that no longer waits.
    pub(crate) fn remove(&self, who: &AgentId, key: u64) {
        self.take_if(who, |waiter| waiter.key == key);
    }

    /// The handler is gone, maybe to come back: a journalled call keeps its place.
    pub(crate) fn abandon(&self, who: &AgentId, key: u64) {
        self.change(who, key, |waiter| waiter.answer = None);
        self.take_if(who, |waiter| waiter.key == key && waiter.call.is_none());
    }

    /// Forgets the calls of a message that is done with.
    pub(crate) fn remove_calls(&self, who: &AgentId, matches: impl Fn(&CallId) -> bool) {
        let done = |waiter: &Waiter| waiter.call.as_ref().is_some_and(&matches);
        while self.take_if(who, done).is_some() {}
    }

    /// The one that waits for this message, if any. [`Waiters::complete`] or [`Waiters::release`]
    /// must follow.
    pub(crate) fn claim(&self, who: &AgentId, message: &Message) -> Option<Claim> {
        if self.count.load(Ordering::SeqCst) == 0
            || is_announced(message)
            || !self.may_wait(self.slot(who))
        {
            return None;
        }
        let mut by_agent = self.by_agent.lock();
        let list = by_agent.get_mut(who)?;
        let fits = |waiter: &Waiter| !waiter.claimed && waiter.is_answered_by(message);
        // Two may wait with one token: first comes who asked the sender, if it was asked at all.
        let fitting = list.iter_mut().filter(|waiter| fits(waiter));
        let waiter = fitting.min_by_key(|waiter| !waiter.asked(message.sender()))?;
        waiter.claimed = true;
        Some(Claim {
            who: who.clone(),
            key: waiter.key,
            call: waiter.call.clone(),
        })
    }

    /// The answer is committed: hands it over. A waiter that has gone does not mind.
    pub(crate) fn complete(&self, claim: &Claim, answer: Arc<Message>) {
        let waiter = self.take_if(&claim.who, |waiter| waiter.key == claim.key);
        if let Some(sender) = waiter.and_then(|waiter| waiter.answer) {
            let _ = sender.send(answer);
        }
    }

    /// The answer could not be committed: it waits on.
    pub(crate) fn release(&self, claim: &Claim) {
        self.change(&claim.who, claim.key, |waiter| waiter.claimed = false);
    }

    fn change(&self, who: &AgentId, key: u64, change: impl FnOnce(&mut Waiter)) {
        let mut by_agent = self.by_agent.lock();
        let list = by_agent.get_mut(who).into_iter().flatten();
        if let Some(waiter) = list.filter(|waiter| waiter.key == key).last() {
            change(waiter);
        }
    }

    fn take_if(&self, who: &AgentId, matches: impl Fn(&Waiter) -> bool) -> Option<Waiter> {
        let mut by_agent = self.by_agent.lock();
        let list = by_agent.get_mut(who)?;
        let index = list.iter().position(matches)?;
        let waiter = list.remove(index);
        if list.is_empty() {
            by_agent.remove(who);
        }
        self.slots
            .get(self.slot(who))
            .fetch_sub(1, Ordering::SeqCst);
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
                self.left
                    && !message.acl.performative.asks()
                    && asked.conversation_id.is_some()
                    && asked.conversation_id == message.acl.conversation_id
                    && self.asked(message.sender())
            }
        }
    }

    /// Whether its question went to this agent.
    fn asked(&self, who: Option<&AgentId>) -> bool {
        let mut receivers = self.request.acl.receivers.iter();
        who.is_some_and(|who| receivers.any(|to| to.id == *who))
    }
}

/// Whether a message says itself that it is not the answer yet: an `agree`, or one that is marked as
/// progress.
fn is_announced(message: &Message) -> bool {
    let marked = |(name, _): &(String, String)| name.eq_ignore_ascii_case(PROGRESS);
    message.acl.performative == Performative::Agree
        || message.acl.user_parameters.iter().any(marked)
}
