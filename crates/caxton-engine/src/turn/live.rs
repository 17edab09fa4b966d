//! One turn, as it runs.

use super::NewTurn;
use super::kept::{Chunk, TurnState};
use caxton_core::error::{Code, Error};
use caxton_core::session::{SessionId, TurnEvent, TurnId};
use caxton_core::{AgentName, TenantId, Timestamp};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Bytes of events of one turn.
pub(crate) const TURN_BYTES_MAX: usize = 32 << 20;
/// Events given to a follower at a time.
const BATCH_EVENTS_MAX: usize = 64;

/// An event with its id, which grows within its turn.
pub type Numbered = (u64, Arc<TurnEvent>);

#[derive(Default)]
struct State {
    events: Vec<Numbered>,
    bytes: usize,
    next: u64,
    /// The id of the last event that is written down.
    written: u64,
    ended: bool,
    /// Its message is being handled.
    handled: bool,
}

/// A turn: what has happened in it, and whoever waits for more.
pub struct Turn {
    tenant: TenantId,
    id: TurnId,
    session: SessionId,
    agent: AgentName,
    key: Option<String>,
    passing: bool,
    created: Timestamp,
    state: Mutex<State>,
    changed: Notify,
    cancel: CancellationToken,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({} of {})", self.id, self.tenant)
    }
}

impl Turn {
    pub(super) fn new(new: NewTurn, events: Vec<Numbered>, next: u64, created: Timestamp) -> Self {
        let state = State {
            bytes: events.iter().map(|(_, event)| event.bytes()).sum(),
            written: events.last().map_or(0, |(id, _)| *id),
            ended: events.last().is_some_and(|(_, event)| event.is_last()),
            events,
            next,
            handled: false,
        };
        Self {
            tenant: new.tenant,
            id: new.id,
            session: new.session,
            agent: new.agent,
            key: new.key,
            passing: new.passing,
            created,
            state: Mutex::new(state),
            changed: Notify::new(),
            cancel: CancellationToken::new(),
        }
    }

    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub fn id(&self) -> TurnId {
        self.id
    }

    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// The assistant that the turn was given to.
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// Whose quota it counts in besides the tenant's.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// Nothing of it is kept but the accounts.
    pub fn is_passing(&self) -> bool {
        self.passing
    }

    pub fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// How it stands.
    pub(crate) fn state(&self) -> TurnState {
        let state = self.state.lock();
        match state.events.last().map(|(_, event)| &**event) {
            Some(TurnEvent::Completed(_)) => TurnState::Completed,
            Some(TurnEvent::Failed(_)) => TurnState::Failed,
            _ => TurnState::Running,
        }
    }

    /// Whether something of an answer was said.
    pub fn has_spoken(&self) -> bool {
        let state = self.state.lock();
        let said = |event: &TurnEvent| !matches!(event, TurnEvent::Started { .. });
        state.events.iter().any(|(_, event)| said(event))
    }

    /// Whoever handles its message says so, once: `false` where it has ended already.
    pub(crate) fn handle(&self) -> bool {
        let mut state = self.state.lock();
        state.handled = true;
        !state.ended
    }

    /// Adds an event. Errors: `CX-7025` past the bytes that a turn may have; what ends a turn is
    /// taken nevertheless, and nothing after it.
    pub fn emit(&self, event: TurnEvent) -> Result<(), Error> {
        {
            let mut state = self.state.lock();
            let begun = !state.events.is_empty() && matches!(event, TurnEvent::Started { .. });
            if state.ended || begun {
                return Ok(());
            }
            let bytes = event.bytes();
            if state.bytes + bytes > TURN_BYTES_MAX && !event.is_last() {
                return Err(Error::new(
                    Code::TurnLimit,
                    format!("the turn has more than {TURN_BYTES_MAX} bytes of events"),
                ));
            }
            state.bytes += bytes;
            state.ended = event.is_last();
            let id = state.next;
            state.next += 1;
            state.events.push((id, Arc::new(event)));
        }
        self.changed.notify_waiters();
        Ok(())
    }

    /// Asks the turn to end. One that nobody handles yet ends at once; `true` then.
    pub(crate) fn cancel(&self, last: TurnEvent) -> bool {
        self.cancel.cancel();
        let at_once = !self.state.lock().handled;
        if at_once {
            let _ = self.emit(last);
        }
        at_once
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Completes when the turn is cancelled.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// What is not written down, with the id to go back to if it cannot be. A turn that ends
    /// is written by whoever ends it as well, which does no harm: a chunk is known by its first id.
    pub(crate) fn unwritten(&self) -> Option<(u64, Chunk)> {
        let mut state = self.state.lock();
        let before = state.written;
        let from = state.events.partition_point(|(id, _)| *id <= before);
        let new = state.events.get(from..).filter(|new| !new.is_empty())?;
        let events = new.iter().map(|(id, event)| (*id, (**event).clone()));
        let chunk = Chunk {
            turn: self.id,
            events: events.collect(),
        };
        state.written = state.next - 1;
        Some((before, chunk))
    }

    /// The same with a last event that nobody hears of before it is written: [`Turn::emit`] must
    /// follow with it, under the id it has here, or the turn goes on as if nothing had been.
    pub(crate) fn closing(&self, last: &TurnEvent) -> Chunk {
        let state = self.state.lock();
        let from = state.events.partition_point(|(id, _)| *id <= state.written);
        let new = state.events.get(from..).unwrap_or_default();
        let events = new.iter().map(|(id, event)| (*id, (**event).clone()));
        Chunk {
            turn: self.id,
            events: events.chain([(state.next, last.clone())]).collect(),
        }
    }

    pub(crate) fn write_again(&self, from: u64) {
        let mut state = self.state.lock();
        state.written = state.written.min(from);
    }

    /// Follows the events after an id; 0: all of them.
    pub fn follow(self: &Arc<Self>, after: u64) -> Follow {
        Follow {
            turn: Arc::clone(self),
            after,
            over: false,
        }
    }
}

/// Somebody who reads a turn's events.
#[derive(Debug)]
pub struct Follow {
    turn: Arc<Turn>,
    after: u64,
    over: bool,
}

impl Follow {
    pub fn turn(&self) -> &Arc<Turn> {
        &self.turn
    }

    /// The next events, as many as there are up to a bound, at least one. `None`: the turn has ended
    /// and all was read.
    pub async fn next(&mut self) -> Option<Vec<Numbered>> {
        loop {
            if self.over {
                return None;
            }
            let turn = Arc::clone(&self.turn);
            let mut changed = std::pin::pin!(turn.changed.notified());
            changed.as_mut().enable();
            {
                let state = turn.state.lock();
                let from = state.events.partition_point(|(id, _)| *id <= self.after);
                let new = state.events.get(from..).unwrap_or_default();
                let batch: Vec<Numbered> = new.iter().take(BATCH_EVENTS_MAX).cloned().collect();
                self.over = state.ended && batch.len() == new.len();
                if let Some((id, _)) = batch.last() {
                    self.after = *id;
                    return Some(batch);
                }
                if self.over {
                    return None;
                }
            }
            changed.await;
        }
    }
}
