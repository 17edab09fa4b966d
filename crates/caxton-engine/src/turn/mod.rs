//! Turns that run, and those that ended a moment ago: their events in order, for any number of
//! followers who may come late, leave and come back.
//!
//! A follower has no queue of its own: it reads the turn's events by their ids, so that a slow one
//! costs nothing and loses nothing. What a turn has said is written down once a second, all turns of
//! a tenant in one unit, and with its end; a follower finds it there after a restart.

mod kept;
mod live;
mod sessions;
mod told;

pub(crate) use kept::{Alias, Chunk};
pub use kept::{StoredResponse, TurnRecord, TurnState};
pub use live::{Follow, Turn};
pub(crate) use sessions::Sessions;
pub use told::Numbered;
use told::Told;

use crate::documents::{self, Documents};
use crate::opctx::TenantScope;
use crate::port::Clock;
use crate::port::store::{Op, PageRequest};
use caxton_core::error::{Code, Error};
use caxton_core::model::Tokens;
use caxton_core::session::{SessionId, TurnEvent, TurnFailure, TurnId};
use caxton_core::{AgentName, MessageId, TenantId, Timestamp};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Turns that run or wait at a time.
const TURNS_LIVE_MAX: usize = 100_000;
/// Turns that ended and are still at hand.
const TURNS_ENDED_MAX: usize = 4_096;
/// How long a turn stays at hand after its end.
const ENDED_LINGER: Duration = Duration::from_secs(60);
/// What is added to the ids of a turn that goes on after a restart: events that were seen and not
/// written down had ids, and none of them is given to another.
const RESTART_GAP: u64 = 1 << 20;
/// Chunks of events read of one turn: more than a turn's bytes can make.
const CHUNKS_MAX: u32 = 10_000;
/// Records read at a time.
const PAGE_ROWS: u32 = 100;
/// Pages of a tenant's turns that are looked through when a session is removed.
const SESSION_PAGES_MAX: u32 = 10_000;

type Place = (TenantId, TurnId);

#[derive(Debug, Default)]
struct Inner {
    turns: HashMap<Place, Arc<Turn>>,
    /// Messages of turns that were handed over.
    aliases: HashMap<(TenantId, MessageId), TurnId>,
    /// Ended, oldest first.
    ended: VecDeque<(Timestamp, Place)>,
}

/// The turns of a server.
pub(crate) struct Turns {
    documents: Documents,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turns({})", self.inner.lock().turns.len())
    }
}

/// What a turn is begun with.
#[derive(Clone, Debug)]
pub(crate) struct NewTurn {
    pub(crate) tenant: TenantId,
    pub(crate) id: TurnId,
    pub(crate) session: SessionId,
    pub(crate) agent: AgentName,
    /// Whose quota it counts in besides the tenant's.
    pub(crate) key: Option<String>,
    /// Nothing of it is kept but the accounts.
    pub(crate) passing: bool,
}

impl Turns {
    pub(crate) fn new(documents: Documents, clock: Arc<dyn Clock>) -> Self {
        Self {
            documents,
            clock,
            inner: Mutex::default(),
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "turns")
    }

    /// Begins a turn, or gives the one that has begun.
    pub(crate) fn begin(&self, new: NewTurn) -> Result<Arc<Turn>, Error> {
        let mut inner = self.inner.lock();
        let place = (new.tenant.clone(), new.id);
        if let Some(turn) = inner.turns.get(&place) {
            return Ok(Arc::clone(turn));
        }
        if inner.turns.len() >= TURNS_LIVE_MAX + TURNS_ENDED_MAX {
            return Err(Error::new(
                Code::Overloaded,
                format!("{TURNS_LIVE_MAX} turns run already"),
            )
            .retry_after(Duration::from_secs(1)));
        }
        let turn = Arc::new(Turn::new(new, Told::default(), 1, self.clock.now()));
        inner.turns.insert(place, Arc::clone(&turn));
        Ok(turn)
    }

    /// A turn that nobody began after all.
    pub(crate) fn forget(&self, turn: &Turn) {
        let place = (turn.tenant().clone(), turn.id());
        self.inner.lock().turns.remove(&place);
    }

    pub(crate) fn at_hand(&self, tenant: &TenantId, id: TurnId) -> Option<Arc<Turn>> {
        let place = (tenant.clone(), id);
        self.inner.lock().turns.get(&place).cloned()
    }

    /// A turn, at hand or from what was written down of it.
    pub(crate) async fn find(
        &self,
        tenant: &TenantId,
        id: TurnId,
    ) -> Result<Option<Arc<Turn>>, Error> {
        if let Some(turn) = self.at_hand(tenant, id) {
            return Ok(Some(turn));
        }
        let scope = Self::scope(tenant);
        let record: Option<TurnRecord> = self.documents.get(&scope, &id.to_string()).await?;
        let Some(record) = record else {
            return Ok(None);
        };
        let events = self.read(&scope, id).await?;
        let next = events.last_id().map_or(1, |id| id + 1);
        let next = match record.state {
            TurnState::Running => next + RESTART_GAP,
            _ => next,
        };
        let new = NewTurn {
            tenant: tenant.clone(),
            id,
            session: record.session,
            agent: record.agent,
            key: record.key,
            passing: false,
        };
        let turn = Arc::new(Turn::new(new, events, next, record.created));
        let mut inner = self.inner.lock();
        let place = (tenant.clone(), id);
        let turn = Arc::clone(inner.turns.entry(place.clone()).or_insert(turn));
        if turn.has_ended() {
            inner.ended.push_back((self.clock.now(), place));
        }
        Ok(Some(turn))
    }

    pub(crate) async fn record(
        &self,
        tenant: &TenantId,
        id: TurnId,
    ) -> Result<Option<TurnRecord>, Error> {
        let scope = Self::scope(tenant);
        self.documents.get(&scope, &id.to_string()).await
    }

    /// Another message goes on with a turn. Gives what is to be written of it.
    pub(crate) fn alias(
        &self,
        tenant: &TenantId,
        message: MessageId,
        turn: TurnId,
    ) -> Result<Op, Error> {
        let mut inner = self.inner.lock();
        inner.aliases.insert((tenant.clone(), message), turn);
        documents::put(&message.to_string(), &Alias { message, turn })
    }

    /// The turn that a message goes on with, if it does.
    pub(crate) async fn alias_of(
        &self,
        tenant: &TenantId,
        message: MessageId,
    ) -> Result<Option<TurnId>, Error> {
        let place = (tenant.clone(), message);
        if let Some(turn) = self.inner.lock().aliases.get(&place) {
            return Ok(Some(*turn));
        }
        let scope = Self::scope(tenant);
        let kept: Option<Alias> = self.documents.get(&scope, &message.to_string()).await?;
        Ok(kept.map(|alias| alias.turn))
    }

    /// What the turn took that was begun by a message, or went on with it: tokens, and money. Nothing
    /// where there was no turn, or it has not ended.
    pub(crate) async fn spent(
        &self,
        tenant: &TenantId,
        message: MessageId,
    ) -> Result<(Tokens, u64), Error> {
        let id = self.alias_of(tenant, message).await?.unwrap_or(message);
        let turn = self.find(tenant, id).await?;
        let spent = turn.and_then(|turn| turn.spent());
        Ok(spent.unwrap_or_default())
    }

    /// What forgets the turns of a session, as far as they are kept.
    pub(crate) async fn of_session(
        &self,
        scope: &TenantScope,
        session: &SessionId,
    ) -> Result<Vec<Op>, Error> {
        let mut ops = Vec::new();
        let mut asked = PageRequest::first(PAGE_ROWS);
        for _ in 0..SESSION_PAGES_MAX {
            let page = self.documents.list::<TurnRecord>(scope, "", &asked).await?;
            for record in page.rows.iter().filter(|it| it.session == *session) {
                ops.extend(self.forgetting(scope, record.id).await?);
            }
            let Some(token) = page.next else { break };
            asked.token = Some(token);
        }
        Ok(ops)
    }

    /// Lets the turns of a session go that ended and are still at hand: what was said in them is
    /// forgotten.
    pub(crate) fn let_session_go(&self, tenant: &TenantId, session: &SessionId) {
        self.let_go(|turn| turn.tenant() == tenant && turn.session() == session);
    }

    /// The same for one turn.
    pub(crate) fn let_turn_go(&self, tenant: &TenantId, id: TurnId) {
        self.let_go(|turn| turn.tenant() == tenant && turn.id() == id);
    }

    fn let_go(&self, of: impl Fn(&Turn) -> bool) {
        let mut inner = self.inner.lock();
        let Inner {
            turns,
            aliases,
            ended,
        } = &mut *inner;
        ended.retain(|(_, place)| {
            let gone = turns.get(place).is_some_and(|it| of(it));
            if gone {
                turns.remove(place);
            }
            !gone
        });
        aliases.retain(|(tenant, _), turn| turns.contains_key(&(tenant.clone(), *turn)));
    }

    /// Forgets turns that ended before a time, some at a time; `true`: there may be more. Their ids
    /// are in the order of their beginnings.
    pub(crate) async fn forget_before(
        &self,
        scope: &TenantScope,
        before: Timestamp,
    ) -> Result<bool, Error> {
        let asked = PageRequest::first(PAGE_ROWS);
        let mut ops = Vec::new();
        let mut turns = asked.clone();
        // Past those that have not ended: a page of them must not keep the rest for ever.
        while ops.is_empty() {
            let page = self.documents.list::<TurnRecord>(scope, "", &turns).await?;
            let old = |it: &&TurnRecord| it.ended.is_some_and(|at| at < before);
            for record in page.rows.iter().filter(old) {
                ops.extend(self.forgetting(scope, record.id).await?);
            }
            let newest = page.rows.last().map(|it| it.created);
            let Some(token) = page.next.filter(|_| newest.is_some_and(|at| at < before)) else {
                break;
            };
            turns.token = Some(token);
        }
        let page = self.documents.list::<Alias>(scope, "", &asked).await?;
        let before_ms = u64::try_from(before.as_us() / 1_000).unwrap_or(0);
        for alias in page.rows.iter().filter(|it| it.message.as_ms() < before_ms) {
            ops.push(documents::remove::<Alias>(&alias.message.to_string()));
        }
        if ops.is_empty() {
            return Ok(false);
        }
        self.documents.commit(scope, ops).await?;
        Ok(true)
    }

    /// What forgets one turn.
    async fn forgetting(&self, scope: &TenantScope, id: TurnId) -> Result<Vec<Op>, Error> {
        let events = self.chunks(scope, id).await?;
        let mut ops: Vec<Op> = events
            .iter()
            .map(|chunk| documents::remove::<Chunk>(&chunk.id()))
            .collect();
        ops.push(documents::remove::<TurnRecord>(&id.to_string()));
        Ok(ops)
    }

    async fn chunks(&self, scope: &TenantScope, id: TurnId) -> Result<Vec<Chunk>, Error> {
        let mut chunks = Vec::new();
        let mut asked = PageRequest::first(PAGE_ROWS);
        for _ in 0..CHUNKS_MAX / PAGE_ROWS {
            let prefix = Chunk::prefix(id);
            let page = self.documents.list::<Chunk>(scope, &prefix, &asked).await?;
            chunks.extend(page.rows);
            let Some(token) = page.next else { break };
            asked.token = Some(token);
        }
        Ok(chunks)
    }

    async fn read(&self, scope: &TenantScope, id: TurnId) -> Result<Told, Error> {
        let mut events = Told::default();
        for chunk in self.chunks(scope, id).await? {
            let after = events.last_id().unwrap_or(0);
            let new = chunk.events.into_iter().filter(|it| it.0 > after);
            new.for_each(|(id, event)| events.push(id, event));
        }
        Ok(events)
    }

    /// Whose quota a message counts in besides its tenant's: of the key that sent it, or of the key
    /// behind the turn in which an assistant asks it.
    pub(crate) fn key_behind(
        &self,
        tenant: &TenantId,
        sender: Option<&AgentName>,
        parent: Option<MessageId>,
    ) -> Option<String> {
        if let Some(id) = sender.and_then(|it| it.as_str().strip_prefix("key.")) {
            return Some(format!("key:{id}"));
        }
        let turn = self.of_message(tenant, parent?)?;
        turn.key().map(str::to_owned)
    }

    /// Whoever handled a message does not any more, and its turn waits: it ends at once when it is
    /// cancelled.
    pub(crate) fn put_down(&self, tenant: &TenantId, message: MessageId) {
        if let Some(turn) = self.of_message(tenant, message) {
            turn.put_down();
        }
    }

    /// The turn at hand that a message began or goes on with.
    fn of_message(&self, tenant: &TenantId, message: MessageId) -> Option<Arc<Turn>> {
        let inner = self.inner.lock();
        let alias = inner.aliases.get(&(tenant.clone(), message));
        let id = alias.copied().unwrap_or(message);
        inner.turns.get(&(tenant.clone(), id)).cloned()
    }

    /// The end of a turn whose message nobody will handle any more, and what is to be written of it.
    /// Nothing where the message is of no turn, or of one that has ended.
    pub(crate) async fn given_up(
        &self,
        tenant: &TenantId,
        message: MessageId,
        error: &Error,
    ) -> Result<Option<GivenUp>, Error> {
        if self.of_message(tenant, message).is_none() {
            let id = self.alias_of(tenant, message).await?.unwrap_or(message);
            let Some(turn) = self.find(tenant, id).await? else {
                return Ok(None);
            };
            return given_up(turn, error, self.clock.now());
        }
        self.given_up_at_hand(tenant, message, error)
    }

    /// The same for a turn at hand.
    pub(crate) fn given_up_at_hand(
        &self,
        tenant: &TenantId,
        message: MessageId,
        error: &Error,
    ) -> Result<Option<GivenUp>, Error> {
        match self.of_message(tenant, message) {
            Some(turn) => given_up(turn, error, self.clock.now()),
            None => Ok(None),
        }
    }

    /// A turn ends, and what is kept of it is written.
    pub(crate) fn close(&self, turn: &Turn, last: TurnEvent) {
        let _ = turn.emit(last);
        self.ended(turn);
    }

    /// Writes down that a turn ended which nobody handled.
    pub(crate) async fn keep_end(&self, turn: &Turn, state: TurnState) -> Result<(), Error> {
        if turn.is_passing() {
            return Ok(());
        }
        let (scope, id) = (Self::scope(turn.tenant()), turn.id().to_string());
        let Some(record) = self.documents.get::<TurnRecord>(&scope, &id).await? else {
            return Ok(());
        };
        let record = TurnRecord {
            state,
            ended: Some(self.clock.now()),
            ..record
        };
        let mut ops = vec![documents::put(&id, &record)?];
        if let Some((_, chunk)) = turn.unwritten() {
            ops.push(documents::put(&chunk.id(), &chunk)?);
        }
        self.documents.commit(&scope, ops).await
    }

    /// A turn has said its last: it stays at hand for a while.
    pub(crate) fn ended(&self, turn: &Turn) {
        let place = (turn.tenant().clone(), turn.id());
        self.inner.lock().ended.push_back((self.clock.now(), place));
    }

    /// Writes down what turns have said since the last time, and lets ended ones go.
    pub(crate) async fn flush(&self) {
        let (turns, now) = (self.sweep(), self.clock.now());
        let mut units: HashMap<TenantId, Vec<(Arc<Turn>, u64, Op)>> = HashMap::new();
        for turn in turns {
            if let Some((before, chunk)) = turn.unwritten() {
                let op = documents::put(&chunk.id(), &chunk);
                let Ok(op) = op else { continue };
                let rows = units.entry(turn.tenant().clone()).or_default();
                rows.push((turn, before, op));
            }
        }
        for (tenant, rows) in units {
            let ops = rows.iter().map(|(_, _, op)| op.clone()).collect();
            if let Err(error) = self.documents.commit(&Self::scope(&tenant), ops).await {
                tracing::warn!(%tenant, %error, %now, "turns were not written down");
                for (turn, before, _) in rows {
                    turn.write_again(before);
                }
            }
        }
    }

    /// Lets turns go that ended long ago; gives those at hand that keep something.
    fn sweep(&self) -> Vec<Arc<Turn>> {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        while let Some((at, place)) = inner.ended.front().cloned() {
            if inner.ended.len() <= TURNS_ENDED_MAX && now.since(at) < ENDED_LINGER {
                break;
            }
            inner.ended.pop_front();
            inner
                .aliases
                .retain(|(of, _), turn| (of, *turn) != (&place.0, place.1));
            inner.turns.remove(&place);
        }
        let kept = inner.turns.values().filter(|turn| !turn.is_passing());
        kept.cloned().collect()
    }

    /// Forgets a tenant that goes; its followers see their streams end.
    pub(crate) fn forget_tenant(&self, tenant: &TenantId) {
        let gone = Error::new(Code::TenantNotFound, "the tenant is gone");
        let mut inner = self.inner.lock();
        for turn in inner.turns.values().filter(|it| it.tenant() == tenant) {
            let _ = turn.emit(TurnEvent::Failed(failure(&gone)));
        }
        inner.turns.retain(|(of, _), _| of != tenant);
        inner.aliases.retain(|(of, _), _| of != tenant);
        inner.ended.retain(|(_, (of, _))| of != tenant);
    }

    /// Turns that have not ended.
    pub(crate) fn running(&self) -> usize {
        let inner = self.inner.lock();
        inner.turns.len().saturating_sub(inner.ended.len())
    }
}

/// A turn that is given up: its last event, and what is to be written of it before that is told.
#[derive(Debug)]
pub(crate) struct GivenUp {
    pub(crate) turn: Arc<Turn>,
    pub(crate) last: TurnEvent,
    pub(crate) ops: Vec<Op>,
}

fn given_up(turn: Arc<Turn>, error: &Error, now: Timestamp) -> Result<Option<GivenUp>, Error> {
    if turn.has_ended() {
        return Ok(None);
    }
    let last = TurnEvent::Failed(failure(error));
    let mut ops = Vec::new();
    if !turn.is_passing() {
        let record = TurnRecord {
            state: TurnState::Failed,
            ended: Some(now),
            ..turn.record()
        };
        ops.push(documents::put(&record.id.to_string(), &record)?);
        let chunk = turn.closing(&last);
        ops.push(documents::put(&chunk.id(), &chunk)?);
    }
    Ok(Some(GivenUp { turn, last, ops }))
}

/// An error as the end of a turn that cost nothing.
pub(crate) fn failure(error: &Error) -> TurnFailure {
    TurnFailure {
        code: error.code.to_string(),
        detail: error.detail.clone(),
        retry_after_ms: error
            .retry_after
            .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        usage: Tokens::default(),
        cost_micros: 0,
        calls: 0,
    }
}
