//! A plan: what one or more handled messages (or one at a door) lead to. It is gathered without
//! waiting, its durable part is committed as one unit, and then the rest of it happens. A plan that
//! is dropped gives back every place it reserved.

use super::Shared;
use super::entry::AgentEntry;
use super::waiters::Claim;
use crate::host::TimerEffect;
use crate::mailbox::{Item, Mailbox, SYSTEM_PLACES, Wake};
use crate::port::store::{DeadLetter, DeadLetterId, Op, Timer};
use crate::turn::{GivenUp, Turn, TurnState};
use caxton_core::error::{Code, Error};
use caxton_core::manifest::Durability;
use caxton_core::message::Identifier;
use caxton_core::quota::Limits;
use caxton_core::route::{self, Target};
use caxton_core::session::TurnEvent;
use caxton_core::{Acl, AgentId, AgentName, MailboxId, MailboxKey, Message, Performative};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A place in a mailbox, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    entry: Arc<AgentEntry>,
    mailbox: Arc<Mailbox>,
    open: bool,
}

impl Place {
    fn reserve(entry: Arc<AgentEntry>, mailbox: Arc<Mailbox>, messages_max: u32) -> Option<Self> {
        mailbox.reserve(messages_max).ok()?;
        Some(Self {
            entry,
            mailbox,
            open: true,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.open {
            self.mailbox.release();
            // Whoever waits for the last message may have waited for this one.
            self.entry.tell_settled();
        }
    }
}

#[derive(Debug)]
struct Arrival {
    place: Place,
    item: Item,
    /// The `Deliver` operation that journals it.
    op: Option<usize>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) ops: Vec<Op>,
    arrivals: Vec<Arrival>,
    answers: Vec<(Claim, Arc<Message>)>,
    /// The question of this plan, and who waits for its answer.
    pub(crate) question: Option<(AgentId, u64)>,
    timers: Vec<(MailboxId, TimerEffect)>,
    /// Turns that end.
    pub(crate) ends: Vec<(Arc<Turn>, TurnEvent)>,
    /// Its messages are not journalled, whatever their receivers' delivery is.
    passing: bool,
    seen: Vec<Arc<Message>>,
    /// What went to somebody outside who waits for something else, where anybody follows.
    said: Vec<Arc<Message>>,
}

/// Who sends: what decides how a refusal is told and what is journalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client at a door: a refusal is its answer.
    Door,
    /// A durable agent: what it sends is recorded, a refusal comes back as a `failure`.
    Durable,
    /// A transient agent: recorded only where a durable receiver needs it.
    Transient,
}

impl Plan {
    /// One whose messages are not journalled where `passing`.
    pub(crate) fn passing(passing: bool) -> Self {
        Self {
            passing,
            ..Self::default()
        }
    }

    /// Whether the store has to be asked.
    pub(crate) fn is_durable(&self) -> bool {
        !self.ops.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
            && self.arrivals.is_empty()
            && self.answers.is_empty()
            && self.timers.is_empty()
            && self.ends.is_empty()
            && self.seen.is_empty()
            && self.said.is_empty()
    }

    pub(crate) fn timer(&mut self, mailbox: &MailboxId, effect: TimerEffect) {
        self.ops.push(match &effect {
            TimerEffect::Set(timer) => Op::TimerPut(timer.clone()),
            TimerEffect::Cancel(name) => Op::TimerRemove {
                mailbox: mailbox.clone(),
                name: name.clone(),
            },
        });
        self.timers.push((mailbox.clone(), effect));
    }

    /// Plans a message to all its receivers. At a door the first refusal refuses the message; between
    /// agents each refusal is planned as a `failure` to the sender.
    pub(crate) fn send(
        &mut self,
        shared: &Shared,
        message: &Arc<Message>,
        origin: Origin,
    ) -> Result<(), Error> {
        let bytes = message.acl.bytes();
        let mut journal = Vec::new();
        let mut refused = Vec::new();
        let mut recorded = origin == Origin::Durable;
        let first = self.arrivals.len();
        for receiver in &message.acl.receivers {
            let receiver = &receiver.id;
            match self.place(shared, message, bytes, receiver) {
                Ok(Placed::Durable(mailbox)) => journal.push(mailbox),
                Ok(Placed::Transient) => {}
                Ok(Placed::Waiter { call }) => recorded |= call,
                Ok(Placed::Outside) => recorded |= origin == Origin::Door,
                Err(error) if origin == Origin::Door => {
                    self.arrivals.truncate(first);
                    self.restore_waiters(shared);
                    shared.metrics.refuse(error.code);
                    return Err(error);
                }
                Err(error) => refused.push((receiver, error)),
            }
        }
        if recorded || !journal.is_empty() {
            let op = self.ops.len();
            for arrival in self
                .arrivals
                .iter_mut()
                .skip(first)
                .filter(|arrival| arrival.item.durable)
            {
                if Arc::ptr_eq(&arrival.item.message, message) {
                    arrival.op = Some(op);
                }
            }
            self.ops.push(Op::Deliver {
                message: Arc::clone(message),
                mailboxes: journal,
            });
        }
        if shared.is_watched() {
            self.seen.push(Arc::clone(message));
        }
        // After the message is recorded with the mailboxes of those that take it: what is recorded
        // already is delivered to nobody.
        for (receiver, error) in refused {
            self.refuse(shared, message, receiver, &error, origin);
        }
        Ok(())
    }

    fn place(
        &mut self,
        shared: &Shared,
        message: &Arc<Message>,
        bytes: usize,
        receiver: &AgentId,
    ) -> Result<Placed, Error> {
        if receiver.tenant == message.tenant
            && let Some(claim) = shared.waiters.claim(receiver, message)
        {
            let call = claim.call.clone();
            if let Some(call) = &call {
                self.ops.push(Op::CallEnd {
                    call: call.clone(),
                    answer: Arc::clone(message),
                });
            }
            self.answers.push((claim, Arc::clone(message)));
            return Ok(Placed::Waiter {
                call: call.is_some(),
            });
        }
        if receiver.tenant == message.tenant && receiver.name.is_outside() {
            if shared.taps.any() {
                self.said.push(Arc::clone(message));
            }
            return Ok(Placed::Outside);
        }
        let entry = shared.agent(receiver);
        let deployed = entry.as_ref().map(|entry| entry.deployed_ref());
        let target = entry
            .as_ref()
            .zip(deployed.as_ref())
            .map(|(entry, deployed)| Target {
                phase: entry.phase(),
                manifest: &deployed.manifest,
            });
        let key = route::decide(message, bytes, receiver, target, shared.options.hops_max)?;
        let (Some(entry), Some(deployed)) = (&entry, &deployed) else {
            return Err(Error::new(
                Code::ReceiverUnknown,
                format!("there is no agent {receiver}"),
            ));
        };
        let limits = &deployed.manifest.limits;
        let mailbox = entry.mailbox(&key, limits.mailboxes_max)?;
        let places_max = places_max(message, limits);
        let Some(place) = Place::reserve(Arc::clone(entry), Arc::clone(&mailbox), places_max)
        else {
            entry.stats.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Error::new(
                Code::MailboxFull,
                format!(
                    "{} has {} unhandled messages",
                    mailbox.id(),
                    limits.mailbox_messages_max
                ),
            )
            .retry_after(super::RETRY_AFTER));
        };
        let durable = deployed.manifest.delivery.durability == Durability::Durable && !self.passing;
        let item = Item {
            message: Arc::clone(message),
            attempts: 0,
            durable,
            replay: false,
        };
        self.arrivals.push(Arrival {
            place,
            item,
            op: None,
        });
        Ok(if durable {
            Placed::Durable(mailbox.id().clone())
        } else {
            Placed::Transient
        })
    }

    /// Tells the sender by a `failure` of the platform, and keeps what could not be delivered as a
    /// dead letter where the sender is durable.
    fn refuse(
        &mut self,
        shared: &Shared,
        message: &Arc<Message>,
        receiver: &AgentId,
        error: &Error,
        origin: Origin,
    ) {
        shared.metrics.refuse(error.code);
        tracing::info!(tenant = %message.tenant, message = %message.id, %receiver, code = %error.code, "message refused");
        // Of another tenant's agent there is nothing to keep: a letter would be addressed to it.
        if origin == Origin::Durable && receiver.tenant == message.tenant {
            let mailbox = MailboxId {
                agent: receiver.clone(),
                key: MailboxKey::Agent,
            };
            self.bury(shared, message, mailbox, 0, error);
        }
        self.tell_failure(shared, message, receiver, error, origin);
        // A turn that was handed over to whoever does not take it.
        let turns = &shared.services.turns;
        let delivery = message.delivery_to(receiver);
        self.end(turns.given_up_at_hand(&message.tenant, delivery, error));
    }

    /// Gives a message up.
    pub(crate) fn bury(
        &mut self,
        shared: &Shared,
        message: &Arc<Message>,
        mailbox: MailboxId,
        attempts: u32,
        error: &Error,
    ) {
        shared.metrics.dead_letters.inc();
        let letter = DeadLetter {
            id: DeadLetterId {
                message: message.id,
                receiver: mailbox.agent.name.clone(),
            },
            mailbox,
            code: error.code.as_str().to_owned(),
            reason: error.detail.clone(),
            attempts,
            buried: shared.services.clock.now(),
        };
        self.ops.push(Op::Bury {
            letter,
            message: Arc::clone(message),
        });
    }

    /// Ends the turn of a message that nobody will handle any more, where it is of one.
    pub(crate) async fn end_turn(
        &mut self,
        shared: &Shared,
        message: &Message,
        receiver: &AgentId,
        error: &Error,
    ) {
        let (turns, delivery) = (&shared.services.turns, message.delivery_to(receiver));
        self.end(turns.given_up(&message.tenant, delivery, error).await);
    }

    fn end(&mut self, given_up: Result<Option<GivenUp>, Error>) {
        match given_up {
            Ok(Some(GivenUp { turn, last, ops })) => {
                self.ops.extend(ops);
                self.ends.push((turn, last));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a turn could not be ended"),
        }
    }

    /// Plans a `failure` from `ams` to whoever sent a message that was not delivered or handled.
    ///
    /// None is sent about the platform's own messages, about answers that nobody waits for, or at
    /// the end of a chain that ran too long: each would be the start of an endless exchange.
    pub(crate) fn tell_failure(
        &mut self,
        shared: &Shared,
        message: &Arc<Message>,
        receiver: &AgentId,
        error: &Error,
        origin: Origin,
    ) {
        let act = message.acl.performative;
        let from_platform = message
            .sender()
            .is_none_or(|sender| sender.name == AgentName::ams());
        let told = matches!(act, Performative::Failure | Performative::NotUnderstood);
        if from_platform || told || error.code == Code::HopLimit {
            return;
        }
        let mut acl = message.acl.reply(Performative::Failure);
        acl.sender = Some(Identifier::new(AgentId::ams(&message.tenant)));
        // A failure of delivery is the sender's to know, whoever the answer was to go to.
        acl.receivers = message.acl.sender.iter().cloned().collect();
        acl.ontology = Some("caxton.delivery".to_owned());
        acl.content = failure_content(message, receiver, error).into();
        let failure = Arc::new(shared.stamp_answer(message, acl));
        if let Err(lost) = self.send_own(shared, &failure, origin) {
            tracing::warn!(tenant = %message.tenant, message = %failure.id, code = %lost.code, "a failure could not be told");
        }
    }

    /// Sends a message of the platform itself: one receiver, and no failure about a failure.
    fn send_own(
        &mut self,
        shared: &Shared,
        message: &Arc<Message>,
        origin: Origin,
    ) -> Result<(), Error> {
        let Some(receiver) = message
            .acl
            .receivers
            .first()
            .map(|receiver| receiver.id.clone())
        else {
            return Ok(());
        };
        let first = self.arrivals.len();
        let placed = self.place(shared, message, message.acl.bytes(), &receiver)?;
        let (mailboxes, record) = match placed {
            Placed::Durable(mailbox) => (vec![mailbox], true),
            Placed::Transient => (Vec::new(), false),
            Placed::Waiter { call } => (Vec::new(), call || origin == Origin::Durable),
            Placed::Outside => (Vec::new(), origin == Origin::Durable),
        };
        if record {
            let op = self.ops.len();
            if let Some(arrival) = self.arrivals.get_mut(first) {
                arrival.op = Some(op);
            }
            self.ops.push(Op::Deliver {
                message: Arc::clone(message),
                mailboxes,
            });
        }
        if shared.is_watched() {
            self.seen.push(Arc::clone(message));
        }
        Ok(())
    }

    /// Commits the durable part, then lets the rest happen. On an error nothing has happened. In
    /// either case the plan is empty after.
    pub(crate) async fn carry_out(
        &mut self,
        shared: &Arc<Shared>,
        tenant: &caxton_core::TenantId,
    ) -> Result<(), Error> {
        let mut duplicates = Vec::new();
        if self.is_durable() {
            let held = self.hold_timers(shared).await;
            match shared.commit(tenant, std::mem::take(&mut self.ops)).await {
                Ok(committed) => duplicates = committed.duplicates,
                Err(error) => {
                    shared.metrics.commit_failures.inc();
                    self.restore_waiters(shared);
                    for timer in held {
                        shared.timers.set(timer);
                    }
                    *self = Self::default();
                    return Err(error);
                }
            }
        }
        self.happen(shared, &duplicates);
        Ok(())
    }

    /// Takes the timers that this plan sets or cancels out of the clock's reach until it is committed.
    async fn hold_timers(&self, shared: &Shared) -> Vec<Timer> {
        let mut held = Vec::new();
        for (mailbox, effect) in &self.timers {
            let name = match effect {
                TimerEffect::Set(timer) => &timer.name,
                TimerEffect::Cancel(name) => name,
            };
            held.extend(shared.timers.hold(mailbox, name).await);
        }
        held
    }

    /// The same for a caller who may go away meanwhile (a client that hangs up, a handler that is
    /// cut off): what is committed must also happen.
    pub(crate) async fn carry_out_whole(
        mut self,
        shared: &Arc<Shared>,
        tenant: &caxton_core::TenantId,
    ) -> Result<(), Error> {
        if !self.is_durable() {
            self.happen(shared, &[]);
            return Ok(());
        }
        let (done, outcome) = tokio::sync::oneshot::channel();
        let (own, tenant) = (Arc::clone(shared), tenant.clone());
        shared.tasks.spawn("carry out", async move {
            let _ = done.send(self.carry_out(&own, &tenant).await);
        });
        let lost = |_| Error::new(Code::Internal, "a commit was lost");
        outcome.await.map_err(lost)?
    }

    /// The part that cannot fail. The plan is empty after, and keeps its memory for the next.
    pub(crate) fn happen(&mut self, shared: &Arc<Shared>, duplicates: &[usize]) {
        if let Some((who, key)) = self.question.take() {
            shared.waiters.has_left(&who, key);
        }
        for mut arrival in self.arrivals.drain(..) {
            if arrival.op.is_some_and(|op| duplicates.contains(&op)) {
                shared.metrics.duplicates.inc();
                continue;
            }
            arrival.place.open = false;
            let place = &arrival.place;
            if place.mailbox.fill(arrival.item) == Wake::Start {
                shared.start_worker(&place.entry, &place.mailbox);
            }
        }
        for (mailbox, effect) in self.timers.drain(..) {
            shared.timers.apply(&mailbox, effect);
        }
        for (turn, last) in self.ends.drain(..) {
            shared.services.turns.close(&turn, last);
            let outcome = match turn.state() {
                TurnState::Completed => "completed",
                TurnState::Running | TurnState::Failed => "failed",
            };
            let turns = &shared.services.models.meters.turns;
            turns.with_label_values(&[outcome]).inc();
        }
        for message in self.seen.drain(..) {
            shared.show(message);
        }
        for message in self.said.drain(..) {
            shared.taps.said(&message);
        }
        for (claim, message) in self.answers.drain(..) {
            shared.waiters.complete(&claim, message);
        }
    }

    /// A commit that failed has answered nobody: whoever was claimed waits on.
    fn restore_waiters(&mut self, shared: &Shared) {
        for (claim, _) in self.answers.drain(..) {
            shared.waiters.release(&claim);
        }
    }
}

#[derive(Debug)]
enum Placed {
    Durable(MailboxId),
    Transient,
    Waiter { call: bool },
    Outside,
}

/// How many messages may be in a mailbox when this one comes.
pub(super) fn places_max(message: &Message, limits: &Limits) -> u32 {
    let own = message
        .sender()
        .is_some_and(|sender| sender.name.as_str() == caxton_core::agent::AMS);
    let spare = if own { SYSTEM_PLACES } else { 0 };
    limits.mailbox_messages_max.saturating_add(spare)
}

/// What the `failure` says: FIPA's failure holds the action and the reason.
fn failure_content(message: &Message, receiver: &AgentId, error: &Error) -> String {
    serde_json::json!({
        "message": message.id.to_string(),
        "performative": message.acl.performative.as_str(),
        "receiver": receiver.to_string(),
        "code": error.code.as_str(),
        "reason": error.detail,
    })
    .to_string()
}

impl Shared {
    /// A message of the platform that answers another.
    pub(crate) fn stamp_answer(&self, to: &Message, acl: Acl) -> Message {
        let span_id = self.services.entropy.word().to_be_bytes();
        let created = self.services.clock.now();
        Message {
            id: self.new_message_id_after(to.id, created),
            tenant: to.tenant.clone(),
            trace: to.trace.child(span_id),
            parent: Some(to.id),
            hop: to.hop.saturating_add(1),
            waiting: None,
            created,
            acl,
        }
    }
}
