//! Taps: who follows what becomes of one message, without being part of it. A tap hears that the
//! message's handling has begun, and what is said in answer to it that is not the answer yet.
//!
//! Where nobody follows anything it costs one load.

use crate::port::store::Op;
use caxton_core::{AgentId, Message, MessageId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a tap hears.
#[derive(Debug)]
pub(crate) enum Seen {
    /// An agent has begun to handle the message; again after a failed try.
    Begun,
    /// An agent said this about it, and more is to come.
    Said(Arc<Message>),
}

/// Whoever follows a message. It must not wait.
pub(crate) trait Tap: Send + Sync {
    fn see(&self, seen: Seen);

    /// What is to be kept where the message is acknowledged, in the same unit.
    fn taken(&self) -> Option<Op> {
        None
    }
}

/// In whose name the message left, and who follows it.
type Set = (AgentId, Arc<dyn Tap>);

/// The taps there are, by the message they follow.
#[derive(Default)]
pub(crate) struct Taps {
    count: AtomicUsize,
    by_message: Mutex<HashMap<MessageId, Set>>,
}

impl fmt::Debug for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taps")
    }
}

impl Taps {
    /// Follows a message that is about to leave in this agent's name, with its id as `reply-with`.
    pub(crate) fn set(&self, id: MessageId, who: AgentId, tap: Arc<dyn Tap>) {
        if self.by_message.lock().insert(id, (who, tap)).is_none() {
            self.count.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn remove(&self, id: MessageId) {
        if self.by_message.lock().remove(&id).is_some() {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// A message's handling begins.
    pub(crate) fn begun(&self, message: &Message) {
        let found = self.by_message.lock().get(&message.id).cloned();
        if let Some((_, tap)) = found {
            tap.see(Seen::Begun);
        }
    }

    /// A message is about to be acknowledged: what its tap keeps of that.
    pub(crate) fn taken(&self, id: MessageId) -> Option<Op> {
        let found = self.any().then(|| self.by_message.lock().get(&id).cloned());
        found.flatten().and_then(|(_, tap)| tap.taken())
    }

    /// A message that nobody waited for went to somebody outside.
    pub(crate) fn said(&self, message: &Arc<Message>) {
        let answered = message.acl.in_reply_to.as_deref();
        let Some(Ok(id)) = answered.map(MessageId::parse) else {
            return;
        };
        let found = self.by_message.lock().get(&id).cloned();
        let Some((who, tap)) = found else {
            return;
        };
        if message.acl.receivers.iter().any(|to| to.id == who) {
            tap.see(Seen::Said(Arc::clone(message)));
        }
    }
}
