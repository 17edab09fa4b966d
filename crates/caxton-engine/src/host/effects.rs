//! What a handler did, waiting for the commit.

use crate::port::store::{Op, Timer};
use crate::turn::Turn;
use bytes::Bytes;
use caxton_core::Message;
use caxton_core::session::TurnEvent;
use std::sync::Arc;

/// Everything one handler did through its host, besides waiting calls.
#[derive(Debug, Default)]
pub struct Effects {
    /// The outbox, in the order of sending.
    pub messages: Vec<Arc<Message>>,
    /// State writes; `None` removes. In order; a later write of a key replaces an earlier.
    pub state: Vec<(String, Option<Bytes>)>,
    pub timers: Vec<TimerEffect>,
    /// Records and logs of the server's own behaviors.
    pub ops: Vec<Op>,
    /// Turns that end with the commit, and how.
    pub ends: Vec<(Arc<Turn>, TurnEvent)>,
    /// Waiting calls made: their journal rows are to be forgotten.
    pub calls: u32,
}

/// A timer set or cancelled.
#[derive(Debug)]
pub enum TimerEffect {
    Set(Timer),
    Cancel(String),
}

impl Effects {
    /// Forgets all, and keeps the memory for the next.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.state.clear();
        self.timers.clear();
        self.ops.clear();
        self.ends.clear();
        self.calls = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.state.is_empty()
            && self.timers.is_empty()
            && self.ops.is_empty()
            && self.ends.is_empty()
            && self.calls == 0
    }
}
