//! The worker of a mailbox: takes what waits, lets the behavior handle one message after the other,
//! commits what came of it as one unit, and goes on. It ends when the mailbox is idle for long, and
//! the instance leaves memory with it.
//!
//! What a handler did is committed together with the acknowledgement of its message, so a message is
//! handled again after a crash, or it is handled and all its effects are there. A fault drops the
//! effects of its own message only; what stood before it in the batch is committed.

use super::Shared;
use super::direct::Route;
use super::entry::AgentEntry;
use super::instance::Live;
use super::plan::{Origin, Plan};
use crate::host::{Effects, LogLevel};
use crate::mailbox::{Item, Mailbox, Taken, Wake};
use crate::port::behavior::{Fault, FaultKind};
use crate::port::store::{CallId, Op};
use crate::supervise::Backoff;
use caxton_core::error::Error;
use futures::FutureExt;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// How often a message is tried again because there is no place for an instance. With the default
/// pauses that is about two minutes; then it is a dead letter, or (transient) its sender is told.
const OVERLOAD_PAUSES_MAX: u32 = 12;

struct Worker {
    shared: Arc<Shared>,
    entry: Arc<AgentEntry>,
    mailbox: Arc<Mailbox>,
    live: Option<Live>,
    /// Taken from the mailbox, not yet handled.
    batch: VecDeque<Item>,
    /// Handled, not yet committed.
    done: Vec<Item>,
    /// What the last handler did; empty but for a moment.
    effects: Effects,
    /// What the handled messages lead to.
    plan: Plan,
    /// The agent it sent to last.
    route: Option<Route>,
    /// The last instance was lost to a fault.
    fell: bool,
    backoff: Backoff,
}

/// Says that the worker has left, however it ended.
struct Leaving(Arc<Shared>, Arc<AgentEntry>, Arc<Mailbox>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.worker_left(&self.2);
        self.1.tell_settled();
    }
}

/// A message whose handling had begun: the calls it made are on record.
fn again(item: Item) -> Item {
    Item {
        replay: true,
        ..item
    }
}

enum Next {
    Batch,
    /// Nothing came for long.
    Retire,
    /// The agent or the server stops.
    Stop,
}

enum Handled {
    /// The effects lie in the worker.
    Done,
    Failed(Fault),
    /// What was handled before this message could not be committed.
    CommitFailed,
    /// The agent or the server stops and does not wait for the handler.
    CutOff,
}

pub(super) async fn work(shared: Arc<Shared>, entry: Arc<AgentEntry>, mailbox: Arc<Mailbox>) {
    let _leaving = Leaving(
        Arc::clone(&shared),
        Arc::clone(&entry),
        Arc::clone(&mailbox),
    );
    let backoff = Backoff::new(shared.options.backoff_first, shared.options.backoff_max);
    let mut worker = Worker {
        shared,
        entry,
        mailbox,
        live: None,
        batch: VecDeque::new(),
        done: Vec::new(),
        effects: Effects::default(),
        plan: Plan::default(),
        route: None,
        fell: false,
        backoff,
    };
    worker.run().await;
}

impl Worker {
    async fn run(&mut self) {
        loop {
            match poll_fn(|context| self.poll_next(context)).await {
                Next::Batch => self.handle_batch().await,
                Next::Retire => {
                    if self.live.take().is_some() {
                        self.shared.metrics.retired.inc();
                    }
                    return;
                }
                Next::Stop => {
                    self.mailbox.leave();
                    // Started again just now: whoever did may have seen this worker still at it.
                    if self.may_work() && self.mailbox.claim() == Wake::Start {
                        continue;
                    }
                    return;
                }
            }
        }
    }

    fn may_work(&self) -> bool {
        self.entry.may_work() && !self.shared.tasks.stopping()
    }

    /// Takes a batch, or parks until there is one.
    fn poll_next(&mut self, context: &Context<'_>) -> Poll<Next> {
        if !self.may_work() {
            return Poll::Ready(Next::Stop);
        }
        let messages_max = self.shared.options.batch_messages_max;
        let sweep = self.shared.sweeps.load(Ordering::Relaxed);
        let (mailbox, batch) = (&self.mailbox, &mut self.batch);
        match mailbox.poll_take(context, messages_max, batch, sweep) {
            Poll::Ready(Taken::Batch) => Poll::Ready(Next::Batch),
            Poll::Ready(Taken::Retire) => Poll::Ready(Next::Retire),
            Poll::Pending => {
                self.entry.tell_settled();
                Poll::Pending
            }
        }
    }

    async fn handle_batch(&mut self) {
        self.mailbox.tally().batch_taken(self.batch.len());
        // Read before the version itself: one that comes between is then seen as newer.
        let generation = self.entry.generation();
        if self
            .live
            .as_ref()
            .is_none_or(|live| live.generation != generation)
            && !self.make_live(generation).await
        {
            return;
        }
        if let Some(host) = self.live.as_mut().and_then(|live| live.host.as_mut()) {
            host.begin_batch();
        }
        while let Some(item) = self.batch.pop_front() {
            // Handlers that never wait must not keep a thread from the others.
            tokio::task::consume_budget().await;
            if self.shared.taps.any() {
                self.shared.taps.begun(&item.message);
            }
            let handled = match self.handle_at_once(&item) {
                Some(handled) => handled,
                None => self.handle(&item).await,
            };
            match handled {
                Handled::Done => self.gather(item),
                Handled::Failed(fault) => return self.settle_then_fail(item, fault).await,
                Handled::CommitFailed => return self.start_over(Some(item)).await,
                // What the handler did is dropped with its instance.
                Handled::CutOff => {
                    let delivery = item.message.delivery_to(self.entry.id());
                    let turns = &self.shared.services.turns;
                    turns.put_down(&item.message.tenant, delivery);
                    return self.put_back(Some(again(item)));
                }
            }
            if !self.entry.may_work() || self.entry.generation() != generation {
                break;
            }
        }
        if self.settle().await {
            self.put_back(None);
        } else {
            self.start_over(None).await;
        }
    }

    /// Makes an instance of the present version; says whether messages can be handled now.
    async fn make_live(&mut self, generation: u64) -> bool {
        self.live = None;
        let activated = tokio::select! {
            biased;
            activated = self.shared.activate(&self.entry, self.mailbox.id(), generation) => activated,
            () = self.entry.cut_off() => {
                self.put_back(None);
                return false;
            }
            () = self.shared.tasks.stopped() => {
                self.put_back(None);
                return false;
            }
        };
        match activated {
            Ok(live) => {
                let restarts = u64::from(std::mem::take(&mut self.fell));
                self.entry
                    .stats
                    .restarts
                    .fetch_add(restarts, Ordering::Relaxed);
                self.live = Some(live);
            }
            Err(fault) => {
                if let Some(item) = self.batch.pop_front() {
                    self.failed(item, fault).await;
                }
            }
        }
        self.live.is_some()
    }

    /// Lets a behavior that never waits handle one message; `None` where this one may.
    fn handle_at_once(&mut self, item: &Item) -> Option<Handled> {
        let live = self.live.as_mut()?;
        let (behavior, host) = (&mut live.behavior, live.host.as_mut()?);
        host.begin_prompt(&item.message, item.attempts + 1, item.replay);
        if !item.durable {
            host.passes();
        }
        let handling = AssertUnwindSafe(|| behavior.handle_at_once(host, &item.message));
        let result = match std::panic::catch_unwind(handling) {
            Ok(result) => result?,
            Err(_) => Err(panicked()),
        };
        let Err(fault) = result else {
            host.finish(&mut self.effects);
            return Some(Handled::Done);
        };
        host.abandon();
        if fault.is_fatal() {
            self.live = None;
            self.fell = true;
        }
        Some(Handled::Failed(fault))
    }

    /// Lets the behavior handle one message. If it does not finish at once, what was handled before
    /// it is committed first, so that nobody's answer waits for a slow neighbour.
    async fn handle(&mut self, item: &Item) -> Handled {
        let Some(mut live) = self.live.take() else {
            return Handled::Failed(Fault::new(FaultKind::Internal, "no instance"));
        };
        let Some(mut host) = live.host.take() else {
            return Handled::Failed(Fault::new(FaultKind::Internal, "no host"));
        };
        host.begin(&item.message, item.attempts + 1, item.replay);
        if !item.durable {
            host.passes();
        }
        let outcome = {
            let handling = live.behavior.handle(host, Arc::clone(&item.message));
            let mut handling = std::pin::pin!(AssertUnwindSafe(handling).catch_unwind());
            match futures::poll!(&mut handling) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => {
                    // From before the commit, which may take long: who cuts meanwhile means this one.
                    let cut = self.entry.cut_off();
                    if !self.settle().await {
                        return Handled::CommitFailed;
                    }
                    tokio::select! {
                        biased;
                        outcome = handling => outcome,
                        () = cut => return Handled::CutOff,
                        () = self.shared.tasks.stopped() => return Handled::CutOff,
                    }
                }
            }
        };
        let Ok((mut host, result)) = outcome else {
            self.fell = true;
            return Handled::Failed(panicked());
        };
        self.mailbox.tally().burned(host.fuel());
        self.mailbox.tally().holds(host.memory());
        match result {
            Ok(()) => {
                host.finish(&mut self.effects);
                live.host = Some(host);
                self.live = Some(live);
                Handled::Done
            }
            Err(fault) => {
                host.abandon();
                self.fell = fault.is_fatal();
                if !fault.is_fatal() {
                    live.host = Some(host);
                    self.live = Some(live);
                }
                Handled::Failed(fault)
            }
        }
    }

    /// Adds what a handler did to the plan. Where nothing of the plan is durable it happens at once.
    fn gather(&mut self, item: Item) {
        let durable = self.live.as_ref().is_some_and(|live| live.durable);
        let origin = if durable {
            Origin::Durable
        } else {
            Origin::Transient
        };
        let effects = &mut self.effects;
        let prompt = !durable
            && !item.durable
            && effects.state.is_empty()
            && effects.timers.is_empty()
            && effects.ops.is_empty();
        for message in effects.messages.drain(..) {
            // What was planned before it leaves before it.
            let message = if prompt && self.plan.is_empty() {
                match self.shared.send_direct(&mut self.route, message) {
                    Ok(()) => continue,
                    Err(message) => message,
                }
            } else {
                message
            };
            // Between agents a refusal is planned as a `failure`, so that this cannot fail.
            if let Err(error) = self.plan.send(&self.shared, &message, origin) {
                tracing::error!(message = %message.id, code = %error.code, "refused twice");
            }
        }
        let mailbox = self.mailbox.id();
        if !effects.state.is_empty() {
            for (key, value) in effects.state.drain(..) {
                let mailbox = mailbox.clone();
                self.plan.ops.push(match value {
                    Some(value) => Op::StatePut {
                        mailbox,
                        key,
                        value,
                    },
                    None => Op::StateRemove { mailbox, key },
                });
            }
        }
        if !effects.timers.is_empty() {
            for timer in effects.timers.drain(..) {
                self.plan.timer(mailbox, timer);
            }
        }
        self.plan.ops.append(&mut effects.ops);
        self.plan.ends.append(&mut effects.ends);
        if durable && !item.durable {
            // A passing turn: nobody comes back to its lane.
            self.mailbox.nudge();
        }
        let calls = std::mem::take(&mut effects.calls);
        if item.durable {
            let message = item.message.id;
            if calls > 0 || item.replay {
                forget_calls(&self.shared, &mut self.plan, &self.mailbox, &item);
            }
            self.plan.ops.push(Op::Ack {
                mailbox: mailbox.clone(),
                message,
            });
            self.plan.ops.extend(self.shared.taps.taken(message));
        }
        if let Some(host) = self.live.as_mut().and_then(|live| live.host.as_mut()) {
            let took = host.time().since(item.message.created);
            self.mailbox.tally().message_handled(took);
        }
        if self.plan.is_durable() {
            self.done.push(item);
            return;
        }
        self.backoff.reset();
        if !self.plan.is_empty() {
            self.plan.happen(&self.shared, &[]);
        }
    }

    /// Commits what is planned. On an error the instance is given up, because its memory is ahead of
    /// the store, and the handled messages stay in `done`: [`Worker::start_over`] must follow.
    async fn settle(&mut self) -> bool {
        if self.plan.is_empty() {
            return true;
        }
        let tenant = &self.entry.id().tenant;
        match self.plan.carry_out(&self.shared, tenant).await {
            Ok(()) => {
                if let Some(host) = self.live.as_mut().and_then(|live| live.host.as_mut()) {
                    host.committed();
                }
                if !self.done.is_empty() {
                    self.backoff.reset();
                    self.done.clear();
                }
                true
            }
            Err(error) => {
                tracing::warn!(mailbox = %self.mailbox.id(), %error, "commit failed; trying again");
                self.live = None;
                false
            }
        }
    }

    /// After a commit that failed: everything goes back in its order, to be handled again.
    async fn start_over(&mut self, item: Option<Item>) {
        self.put_back(item.map(again));
        self.pause().await;
    }

    async fn settle_then_fail(&mut self, item: Item, fault: Fault) {
        if self.settle().await {
            self.failed(item, fault).await;
        } else {
            self.start_over(Some(item)).await;
        }
    }

    /// A try failed: the message is tried again after a pause, or given up on.
    async fn failed(&mut self, mut item: Item, fault: Fault) {
        // The server's own trouble is not the message's fault and costs it no try. Where there is no
        // place for an instance it must not wait for ever either: somebody ought to hear of it.
        let counts = !matches!(fault.kind, FaultKind::Internal | FaultKind::Overload);
        let crowded_out =
            fault.kind == FaultKind::Overload && self.backoff.in_row() >= OVERLOAD_PAUSES_MAX;
        item.attempts += u32::from(counts);
        item.replay = true;
        self.tell_fault(&item, &fault);
        let attempts_max = self.entry.deployed_ref().manifest.delivery.attempts_max;
        let over = crowded_out || counts && (!item.durable || item.attempts >= attempts_max);
        let mut plan = Plan::default();
        let mailbox = self.mailbox.id().clone();
        if over {
            let (shared, message) = (&self.shared, &item.message);
            let error = Error::from(fault);
            let origin = if item.durable {
                Origin::Durable
            } else {
                Origin::Transient
            };
            if item.durable {
                forget_calls(shared, &mut plan, &self.mailbox, &item);
                plan.bury(shared, message, mailbox, item.attempts, &error);
            }
            plan.tell_failure(shared, message, self.entry.id(), &error, origin);
            plan.end_turn(shared, message, self.entry.id(), &error)
                .await;
        } else if item.durable && counts {
            let (message, attempts) = (item.message.id, item.attempts);
            plan.ops.push(Op::Attempt {
                mailbox,
                message,
                attempts,
            });
        }
        let tenant = &self.entry.id().tenant;
        match plan.carry_out(&self.shared, tenant).await {
            Ok(()) => {
                self.put_back((!over).then_some(item));
                if over && counts {
                    // What is given up on has no say in when the next one is tried.
                    self.backoff.reset();
                    self.pause().await;
                    self.backoff.reset();
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(mailbox = %self.mailbox.id(), %error, "a failed try could not be recorded");
                item.attempts = item.attempts.saturating_sub(u32::from(counts));
                self.live = None;
                self.put_back(Some(item));
            }
        }
        self.pause().await;
    }

    /// Counts a failed try and writes it to the server's and the agent's log.
    fn tell_fault(&self, item: &Item, fault: &Fault) {
        let (message, id) = (&item.message, self.entry.id());
        let now = self.shared.services.clock.now();
        self.shared
            .metrics
            .faults
            .with_label_values(&[fault.kind.as_str()])
            .inc();
        self.entry.stats.failed.fetch_add(1, Ordering::Relaxed);
        self.entry.record_fault(now, fault.clone());
        tracing::warn!(
            tenant = %message.tenant, agent = %id, message = %message.id,
            trace = %message.trace.trace_id_hex(), attempt = item.attempts,
            kind = fault.kind.as_str(), detail = %fault.detail, "handling failed"
        );
        let line = format!(
            "{} {}: {}",
            fault.code(),
            fault.code().title(),
            fault.detail
        );
        self.shared
            .services
            .logs
            .append(id, now, LogLevel::Error, line, Some(message.id));
    }

    /// Gives what is handled but not committed, then this message, then the rest of the batch back to
    /// the mailbox.
    fn put_back(&mut self, item: Option<Item>) {
        if self.done.is_empty() && item.is_none() && self.batch.is_empty() {
            return;
        }
        let mut all: Vec<Item> = self.done.drain(..).map(again).collect();
        all.extend(item);
        all.extend(self.batch.drain(..));
        self.mailbox.put_back(all.into_iter());
    }

    async fn pause(&mut self) {
        let services = &self.shared.services;
        let until = self.backoff.next(&*services.clock, &*services.entropy);
        tokio::select! {
            biased;
            () = self.shared.tasks.stopped() => {}
            () = self.entry.cut_off() => {}
            () = services.clock.sleep_until(until) => {}
        }
    }
}

fn panicked() -> Fault {
    Fault::new(FaultKind::Trap, "the behavior panicked")
}

/// The message is done with: its calls, and whoever waits for their answers, are forgotten.
fn forget_calls(shared: &Shared, plan: &mut Plan, mailbox: &Mailbox, item: &Item) {
    let (mailbox, message) = (mailbox.id().clone(), item.message.id);
    let ours = |call: &CallId| call.message == message && call.mailbox == mailbox;
    shared.waiters.remove_calls(&mailbox.agent, ours);
    plan.ops.push(Op::CallsRemove { mailbox, message });
}
