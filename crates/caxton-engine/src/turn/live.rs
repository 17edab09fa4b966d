//! One turn, as it runs.

use super::NewTurn;
use super::kept::{Chunk, TurnRecord, TurnState};
use super::told::{Numbered, Told};
use caxton_core::error::{Code, Error};
use caxton_core::model::Tokens;
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

#[derive(Default)]
struct State {
    events: Told,
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
    /// It has ended.
    closed: Notify,
    cancel: CancellationToken,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({} of {})", self.id, self.tenant)
    }
}

impl Turn {
    pub(super) fn new(new: NewTurn, events: Told, next: u64, created: Timestamp) -> Self {
        let state = State {
            bytes: events.after(0).map(|(_, event)| event.bytes()).sum(),
            written: events.last_id().unwrap_or(0),
            ended: events.last().is_some_and(TurnEvent::is_last),
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
            closed: Notify::new(),
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
        match state.events.last() {
            Some(TurnEvent::Completed(_)) => TurnState::Completed,
            Some(TurnEvent::Failed(_)) => TurnState::Failed,
            _ => TurnState::Running,
        }
    }

    /// What is kept of it while it runs.
    pub(crate) fn record(&self) -> TurnRecord {
        TurnRecord {
            id: self.id,
            session: self.session.clone(),
            agent: self.agent.clone(),
            key: self.key.clone(),
            state: self.state(),
            created: self.created,
            ended: None,
            entries: 0,
        }
    }

    /// The tokens it took and the money it cost, once it has ended.
    pub(crate) fn spent(&self) -> Option<(Tokens, u64)> {
        let state = self.state.lock();
        match state.events.last()? {
            TurnEvent::Completed(outcome) => Some((outcome.usage, outcome.cost_micros)),
            TurnEvent::Failed(failure) => Some((failure.usage, failure.cost_micros)),
            _ => None,
        }
    }

    /// Whether something of an answer was said.
    pub fn has_spoken(&self) -> bool {
        self.state.lock().events.has_spoken()
    }

    /// Whoever handles its message says so, once: `false` where it has ended already.
    pub(crate) fn handle(&self) -> bool {
        let mut state = self.state.lock();
        state.handled = true;
        !state.ended
    }

    /// Whoever handled its message does not any more.
    pub(super) fn put_down(&self) {
        self.state.lock().handled = false;
    }

    /// Adds an event. Errors: `CX-7025` past the bytes that a turn may have; what ends a turn is
    /// taken nevertheless, and nothing after it.
    pub fn emit(&self, event: TurnEvent) -> Result<(), Error> {
        let ended = {
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
            state.events.push(id, event);
            if state.ended {
                state.events.close();
            }
            state.ended
        };
        self.changed.notify_waiters();
        if ended {
            self.closed.notify_waiters();
        }
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
        let events: Vec<_> = owned(state.events.after(before)).collect();
        let turn = self.id;
        let chunk = (!events.is_empty()).then_some(Chunk { turn, events })?;
        state.written = state.next - 1;
        Some((before, chunk))
    }

    /// The same with a last event that nobody hears of before it is written: [`Turn::emit`] must
    /// follow with it, under the id it has here, or the turn goes on as if nothing had been.
    pub(crate) fn closing(&self, last: &TurnEvent) -> Chunk {
        let state = self.state.lock();
        let events = owned(state.events.after(state.written));
        Chunk {
            turn: self.id,
            events: events.chain([(state.next, last.clone())]).collect(),
        }
    }

    pub(crate) fn write_again(&self, from: u64) {
        let mut state = self.state.lock();
        state.written = state.written.min(from);
    }

    /// Whether an event of this id may have been told: a crash may have taken some that were.
    pub(crate) fn may_have_told(&self, id: u64) -> bool {
        id < self.state.lock().next
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

fn owned(events: impl Iterator<Item = Numbered>) -> impl Iterator<Item = (u64, TurnEvent)> {
    events.map(|(id, event)| (id, Arc::unwrap_or_clone(event)))
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

    /// Completes when the turn has ended, read or not.
    pub async fn ended(&self) {
        let mut closed = std::pin::pin!(self.turn.closed.notified());
        closed.as_mut().enable();
        if !self.turn.has_ended() {
            closed.await;
        }
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
                let new = state.events.after(self.after);
                let left = new.len();
                let batch: Vec<Numbered> = new.take(BATCH_EVENTS_MAX).collect();
                self.over = state.ended && batch.len() == left;
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
