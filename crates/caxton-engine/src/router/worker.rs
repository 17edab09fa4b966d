//! The worker of a mailbox: takes what waits, lets the behavior handle one message after the other,
//! commits what came of it as one unit, and goes on. It ends when the mailbox is idle for long, and
//! the instance leaves memory with it.
//!
//! What a handler did is committed together with the acknowledgement of its message, so a message is
//! handled again after a crash, or it is handled and all its effects are there. A fault drops the
//! effects of its own message only; what stood before it in the batch is committed.

use super::Shared;
use super::entry::{AgentEntry, Deployed};
use super::plan::{Origin, Plan};
use crate::host::{Effects, Host};
use crate::mailbox::{Item, Mailbox, Taken};
use crate::port::behavior::{Artifact, Behavior, Fault, FaultKind, Program};
use crate::port::store::{CallId, Op};
use crate::supervise::Backoff;
use caxton_core::error::{Code, Error};
use caxton_core::manifest::Durability;
use futures::FutureExt;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use tokio::sync::OwnedSemaphorePermit;

/// A live instance with the host that belongs to its mailbox.
struct Live {
    behavior: Box<dyn Behavior>,
    host: Option<Host>,
    /// The version it was made of.
    deployed: Arc<Deployed>,
    /// Its place among the live instances.
    _permit: Option<OwnedSemaphorePermit>,
}

struct Worker {
    shared: Arc<Shared>,
    entry: Arc<AgentEntry>,
    mailbox: Arc<Mailbox>,
    live: Option<Live>,
    batch: VecDeque<Item>,
    backoff: Backoff,
}

/// Says that the worker has left, however it ended.
struct Leaving(Arc<Shared>, Arc<AgentEntry>, Arc<Mailbox>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.worker_left(&self.2);
        self.1.settled.notify_waiters();
    }
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
        backoff,
    };
    worker.run().await;
}

impl Worker {
    async fn run(&mut self) {
        loop {
            if !self.entry.may_work() || self.shared.tasks.stopping() {
                return self.mailbox.leave();
            }
            let now = self.shared.services.clock.now();
            match self
                .mailbox
                .take(self.shared.options.batch_messages_max, &mut self.batch, now)
            {
                Taken::Batch => self.handle_batch().await,
                Taken::Retire => {
                    if self.live.take().is_some() {
                        self.shared.metrics.retired.inc();
                    }
                    return;
                }
                Taken::Empty => {
                    self.entry.settled.notify_waiters();
                    tokio::select! {
                        () = self.mailbox.woken() => {}
                        () = self.shared.tasks.stopped() => {}
                    }
                }
            }
        }
    }

    async fn handle_batch(&mut self) {
        let deployed = self.entry.deployed();
        let (entry, shared) = (Arc::clone(&self.entry), Arc::clone(&self.shared));
        let activated = tokio::select! {
            activated = self.activate(&deployed) => activated,
            () = entry.cut_off() => return self.put_back([]),
            () = shared.tasks.stopped() => return self.put_back([]),
        };
        if let Err(fault) = activated {
            let Some(item) = self.batch.pop_front() else {
                return;
            };
            return self.failed(item, fault, &deployed).await;
        }
        self.shared
            .metrics
            .batch_messages
            .observe(self.batch.len() as f64);
        let mut done: Vec<Item> = Vec::with_capacity(self.batch.len());
        let mut plan = Plan::default();
        while let Some(item) = self.batch.pop_front() {
            // Handlers that never wait must not keep a thread from the others.
            tokio::task::consume_budget().await;
            let outcome = self.handle(&item, &mut plan, &mut done).await;
            match outcome {
                Handled::Done(effects) => {
                    self.gather(&mut plan, &item, effects, &deployed);
                    done.push(item);
                    if !plan.is_durable() {
                        // Nothing to wait for: it leaves before the next message is handled.
                        plan.happen(&self.shared, &[]);
                        done.clear();
                    }
                }
                Handled::Failed(fault) => {
                    if self.settle(&mut plan, &mut done).await {
                        self.failed(item, fault, &deployed).await;
                    } else {
                        self.put_back([item]);
                    }
                    return;
                }
                Handled::CommitFailed => return self.put_back([item]),
                // The agent or the server stops and does not wait for this handler. What it did is
                // dropped with its instance; the message waits for the next start.
                Handled::CutOff => {
                    return self.put_back([Item {
                        replay: true,
                        ..item
                    }]);
                }
            }
            if !self.entry.may_work() || !Arc::ptr_eq(&self.entry.deployed(), &deployed) {
                break;
            }
        }
        if self.settle(&mut plan, &mut done).await {
            self.backoff.reset();
            self.put_back([]);
        }
    }

    /// Lets the behavior handle one message. If it does not finish at once, what was handled before
    /// it is committed first, so that nobody's answer waits for a slow neighbour.
    async fn handle(&mut self, item: &Item, plan: &mut Plan, done: &mut Vec<Item>) -> Handled {
        let Some(mut live) = self.live.take() else {
            return Handled::Failed(Fault::new(FaultKind::Internal, "no instance"));
        };
        let Some(mut host) = live.host.take() else {
            return Handled::Failed(Fault::new(FaultKind::Internal, "no host"));
        };
        host.begin(Arc::clone(&item.message), item.attempts + 1, item.replay);
        let outcome = {
            let handling = live.behavior.handle(host, Arc::clone(&item.message));
            let mut handling = std::pin::pin!(AssertUnwindSafe(handling).catch_unwind());
            match futures::poll!(&mut handling) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => {
                    if !plan.is_empty() && !self.settle(plan, done).await {
                        return Handled::CommitFailed;
                    }
                    tokio::select! {
                        biased;
                        outcome = handling => outcome,
                        () = self.entry.cut_off() => return Handled::CutOff,
                        () = self.shared.tasks.stopped() => return Handled::CutOff,
                    }
                }
            }
        };
        let Ok((mut host, result)) = outcome else {
            return Handled::Failed(Fault::new(FaultKind::Trap, "the behavior panicked"));
        };
        match result {
            Ok(()) => {
                let effects = host.finish();
                live.host = Some(host);
                self.live = Some(live);
                Handled::Done(effects)
            }
            Err(fault) => {
                host.abandon();
                if !fault.is_fatal() {
                    live.host = Some(host);
                    self.live = Some(live);
                }
                Handled::Failed(fault)
            }
        }
    }

    /// Adds what a handler did to the plan.
    fn gather(&self, plan: &mut Plan, item: &Item, effects: Effects, deployed: &Deployed) {
        let durable = deployed.manifest.delivery.durability == Durability::Durable;
        let origin = if durable {
            Origin::Durable
        } else {
            Origin::Transient
        };
        for message in &effects.messages {
            // Between agents a refusal is planned as a `failure`, so that this cannot fail.
            if let Err(error) = plan.send(&self.shared, message, origin) {
                tracing::error!(message = %message.id, code = %error.code, "refused twice");
            }
        }
        let mailbox = self.mailbox.id();
        for (key, value) in effects.state {
            plan.ops.push(match value {
                Some(value) => Op::StatePut {
                    mailbox: mailbox.clone(),
                    key,
                    value,
                },
                None => Op::StateRemove {
                    mailbox: mailbox.clone(),
                    key,
                },
            });
        }
        for timer in effects.timers {
            plan.timer(mailbox, timer);
        }
        if item.durable {
            if effects.calls > 0 || item.replay {
                self.forget_calls(plan, item);
            }
            plan.ops.push(Op::Ack {
                mailbox: mailbox.clone(),
                message: item.message.id,
            });
        }
        plan.handled += 1;
        self.entry.stats.handled.fetch_add(1, Ordering::Relaxed);
        let now = self.shared.services.clock.now();
        self.shared
            .metrics
            .message_seconds
            .observe(now.since(item.message.created).as_secs_f64());
    }

    /// The message is done with: its calls, and whoever waits for their answers, are forgotten.
    fn forget_calls(&self, plan: &mut Plan, item: &Item) {
        let (mailbox, message) = (self.mailbox.id().clone(), item.message.id);
        let ours = |call: &CallId| call.message == message && call.mailbox == mailbox;
        self.shared.waiters.remove_calls(&mailbox.agent, ours);
        plan.ops.push(Op::CallsRemove { mailbox, message });
    }

    /// Commits what is planned. On an error the messages are put back to be handled again by a fresh
    /// instance, because this one's memory is ahead of the store; then there is a pause.
    async fn settle(&mut self, plan: &mut Plan, done: &mut Vec<Item>) -> bool {
        if plan.is_empty() {
            done.clear();
            return true;
        }
        let tenant = &self.entry.id().tenant;
        match plan.carry_out(&self.shared, tenant).await {
            Ok(()) => {
                if let Some(host) = self.live.as_mut().and_then(|live| live.host.as_mut()) {
                    host.committed();
                }
                done.clear();
                true
            }
            Err(error) => {
                tracing::warn!(mailbox = %self.mailbox.id(), %error, "commit failed; trying again");
                self.live = None;
                let back = std::mem::take(done);
                self.put_back(back);
                self.pause().await;
                false
            }
        }
    }

    /// A try failed: the message is tried again after a pause, or given up on.
    async fn failed(&mut self, mut item: Item, fault: Fault, deployed: &Deployed) {
        let clock = &self.shared.services.clock;
        let message = Arc::clone(&item.message);
        // The server's own trouble is not the message's fault and costs it no try.
        let counts = fault.kind != FaultKind::Internal;
        item.attempts += u32::from(counts);
        item.replay = true;
        self.shared
            .metrics
            .faults
            .with_label_values(&[fault.kind.as_str()])
            .inc();
        self.entry.stats.failed.fetch_add(1, Ordering::Relaxed);
        self.entry.record_fault(clock.now(), fault.clone());
        tracing::warn!(
            tenant = %message.tenant, agent = %self.entry.id(), message = %message.id,
            trace = %message.trace.trace_id_hex(), attempt = item.attempts,
            kind = fault.kind.as_str(), detail = %fault.detail, "handling failed"
        );
        let line = format!(
            "{} {}: {}",
            fault.code(),
            fault.code().title(),
            fault.detail
        );
        let logs = &self.shared.services.logs;
        logs.append(
            self.entry.id(),
            clock.now(),
            crate::host::LogLevel::Error,
            line,
            Some(message.id),
        );
        let mut plan = Plan::default();
        let mailbox = self.mailbox.id().clone();
        let over =
            counts && (!item.durable || item.attempts >= deployed.manifest.delivery.attempts_max);
        if over {
            let error = Error::from(fault);
            let origin = if item.durable {
                Origin::Durable
            } else {
                Origin::Transient
            };
            if item.durable {
                self.forget_calls(&mut plan, &item);
                plan.bury(&self.shared, &message, mailbox, item.attempts, &error);
            }
            plan.tell_failure(&self.shared, &message, self.entry.id(), &error, origin);
        } else if item.durable && counts {
            plan.ops.push(Op::Attempt {
                mailbox,
                message: message.id,
                attempts: item.attempts,
            });
        }
        let tenant = &self.entry.id().tenant;
        match plan.carry_out(&self.shared, tenant).await {
            Ok(()) if over => self.put_back([]),
            Ok(()) => self.put_back([item]),
            Err(error) => {
                tracing::warn!(mailbox = %self.mailbox.id(), %error, "a failed try could not be recorded");
                item.attempts = item.attempts.saturating_sub(u32::from(counts));
                self.live = None;
                self.put_back([item]);
            }
        }
        self.pause().await;
    }

    /// Gives these messages, and the rest of the batch after them, back to the mailbox.
    fn put_back(&mut self, first: impl IntoIterator<Item = Item>) {
        let rest = std::mem::take(&mut self.batch);
        let all: Vec<Item> = first.into_iter().chain(rest).collect();
        self.mailbox.put_back(all.into_iter());
    }

    async fn pause(&mut self) {
        let until = self
            .backoff
            .next(&*self.shared.services.clock, &*self.shared.services.entropy);
        let stopped = self.shared.tasks.stopped();
        tokio::select! {
            () = self.shared.services.clock.sleep_until(until) => {}
            () = stopped => {}
            () = self.mailbox.woken(), if !self.entry.may_work() => {}
        }
    }

    /// Makes sure that an instance of the present version is there.
    async fn activate(&mut self, deployed: &Arc<Deployed>) -> Result<(), Fault> {
        if let Some(live) = &self.live {
            if Arc::ptr_eq(&live.deployed, deployed) && live.host.is_some() {
                return Ok(());
            }
            self.live = None;
        }
        let permit = self.shared.instance_permit().await;
        let begun = self.shared.services.clock.now();
        let program = self.shared.program(&self.entry, deployed).await?;
        let mut behavior = program.instantiate().await?;
        let services = Arc::clone(&self.shared.services);
        let manifest = Arc::clone(&deployed.manifest);
        let host = Host::new(services, self.mailbox.id().clone(), manifest);
        let init = AssertUnwindSafe(behavior.init(host)).catch_unwind();
        let Ok((host, result)) = init.await else {
            return Err(Fault::new(FaultKind::Init, "init panicked"));
        };
        result?;
        self.shared.metrics.activations.inc();
        self.entry.stats.activations.fetch_add(1, Ordering::Relaxed);
        let took = self.shared.services.clock.now().since(begun);
        self.shared
            .metrics
            .activation_seconds
            .observe(took.as_secs_f64());
        let deployed = Arc::clone(deployed);
        self.live = Some(Live {
            behavior,
            host: Some(host),
            deployed,
            _permit: permit,
        });
        Ok(())
    }
}

enum Handled {
    Done(Effects),
    Failed(Fault),
    CommitFailed,
    CutOff,
}

impl Shared {
    /// The version's compiled code; loaded from the store and compiled (or found in the code cache)
    /// at the first need.
    pub(crate) async fn program(
        &self,
        entry: &AgentEntry,
        deployed: &Deployed,
    ) -> Result<Arc<dyn Program>, Fault> {
        let load = || async {
            let internal = |error: Error| match error.code.class() {
                caxton_core::error::Class::Unavailable | caxton_core::error::Class::Limited => {
                    Fault::new(FaultKind::Internal, error.to_string())
                }
                _ => Fault::new(FaultKind::Init, error.to_string()),
            };
            let digest = deployed
                .digest
                .ok_or_else(|| Fault::new(FaultKind::Internal, "no code"))?;
            let scope = crate::opctx::TenantScope::system(
                entry.id().tenant.clone(),
                "load an agent's code",
            );
            let found = self.services.store.artifact(&scope, digest).await;
            let component = found
                .map_err(|error| internal(error.into()))?
                .ok_or_else(|| {
                    Fault::new(
                        FaultKind::Init,
                        format!(
                            "{}: component {digest} is not in the store",
                            Code::ComponentMissing
                        ),
                    )
                })?;
            let artifact = Artifact {
                agent: entry.id().clone(),
                manifest: Arc::clone(&deployed.manifest),
                component,
                digest,
            };
            self.runtime.prepare(artifact).await.map_err(internal)
        };
        deployed.program.get_or_try_init(load).await.cloned()
    }
}
