//! Start, stop, drain, remove.

use crate::mailbox::{Item, Mailbox};
use crate::port::store::Op;
use crate::router::plan::{Origin, Plan};
use crate::router::{AgentEntry, Shared};
use caxton_core::error::{Code, Error};
use caxton_core::lifecycle::{Phase, Refused, Step};
use std::sync::Arc;

impl Shared {
    /// Loaded or Stopped -> Running, where its `init` succeeds. A running agent stays as it is.
    pub(crate) async fn start(self: &Arc<Self>, entry: &Arc<AgentEntry>) -> Result<(), Error> {
        let _changing = self.changing(entry).await?;
        match entry.phase() {
            Phase::Running => return Ok(()),
            phase @ (Phase::Unloaded | Phase::Draining) => {
                return Err(Refused {
                    phase,
                    step: Step::Start,
                }
                .into());
            }
            Phase::Loaded | Phase::Stopped => {}
        }
        let deployed = entry.deployed();
        let program = self.program(entry, &deployed).await?;
        // As a deployment does: whoever starts it is told, not whoever writes to it later.
        self.try_init(&*program, entry.id(), &deployed.manifest)
            .await?;
        self.record(entry, Phase::Running, None).await?;
        entry.step(Step::Start)?;
        self.claim_all(entry);
        tracing::info!(agent = %entry.id(), "started");
        Ok(())
    }

    /// Running -> Draining, and Stopped when the last message is handled.
    pub(crate) async fn drain(self: &Arc<Self>, entry: &Arc<AgentEntry>) -> Result<(), Error> {
        let _changing = self.changing(entry).await?;
        match entry.phase() {
            Phase::Draining | Phase::Stopped => return Ok(()),
            Phase::Running => {}
            phase => {
                return Err(Refused {
                    phase,
                    step: Step::Drain,
                }
                .into());
            }
        }
        self.record(entry, Phase::Draining, None).await?;
        entry.step(Step::Drain)?;
        tracing::info!(agent = %entry.id(), queued = entry.queued(), "draining");
        self.finish_drained(entry);
        Ok(())
    }

    /// Waits beside for the last message and then stops the agent.
    pub(crate) fn finish_drained(self: &Arc<Self>, entry: &Arc<AgentEntry>) {
        let (shared, entry) = (Arc::clone(self), Arc::clone(entry));
        self.tasks.clone().spawn_until_stop("drain", async move {
            loop {
                let mut settled = std::pin::pin!(entry.settling());
                settled.as_mut().enable();
                if entry.phase() != Phase::Draining {
                    return;
                }
                if entry.is_settled() {
                    break;
                }
                settled.await;
            }
            let Ok(_changing) = shared.changing(&entry).await else {
                return;
            };
            if entry.phase() != Phase::Draining {
                return;
            }
            if let Err(error) = shared.record(&entry, Phase::Stopped, None).await {
                tracing::warn!(agent = %entry.id(), %error, "the end of draining could not be recorded");
            }
            if entry.step(Step::Finish).is_ok() {
                shared.let_workers_go(&entry);
                tracing::info!(agent = %entry.id(), "drained and stopped");
            }
        });
    }

    /// Running or Draining -> Stopped once the messages being handled are; queued durable messages
    /// wait for the next start, transient ones are refused to their senders.
    pub(crate) async fn stop(self: &Arc<Self>, entry: &Arc<AgentEntry>) -> Result<(), Error> {
        let _changing = self.changing(entry).await?;
        self.stop_locked(entry).await
    }

    async fn stop_locked(self: &Arc<Self>, entry: &Arc<AgentEntry>) -> Result<(), Error> {
        match entry.phase() {
            Phase::Stopped => return Ok(()),
            Phase::Running => {
                self.record(entry, Phase::Stopped, None).await?;
                entry.step(Step::Drain)?;
            }
            Phase::Draining => self.record(entry, Phase::Stopped, None).await?,
            phase => {
                return Err(Refused {
                    phase,
                    step: Step::Drain,
                }
                .into());
            }
        }
        entry.step(Step::Finish)?;
        self.let_workers_go(entry);
        if !self.wait_quiet(entry).await {
            tracing::warn!(agent = %entry.id(), "a handler was cut off; its message waits");
            entry.cut();
            self.wait_quiet(entry).await;
        }
        let error = Error::new(
            Code::ReceiverStopped,
            format!("agent {} was stopped", entry.id()),
        );
        for mailbox in entry.mailboxes() {
            let refused = mailbox.empty(|item| !item.durable);
            self.give_up(entry, &mailbox, refused, &error).await?;
        }
        tracing::info!(agent = %entry.id(), queued = entry.queued(), "stopped");
        Ok(())
    }

    /// Removes the agent, stopping it first. Messages nobody handled become dead letters.
    pub(crate) async fn remove(self: &Arc<Self>, entry: &Arc<AgentEntry>) -> Result<(), Error> {
        let _changing = self.changing(entry).await?;
        if matches!(entry.phase(), Phase::Running | Phase::Draining) {
            self.stop_locked(entry).await?;
        }
        // What is committed for it after it is gone would be lost.
        if !self.wait_quiet(entry).await {
            return Err(Error::new(
                Code::StorageBusy,
                format!("messages of agent {} are still being written", entry.id()),
            )
            .retry_after(self.options.stop_wait));
        }
        let error = Error::new(
            Code::ReceiverUnknown,
            format!("agent {} was removed", entry.id()),
        );
        for mailbox in entry.mailboxes() {
            let left = mailbox.empty(|_| true);
            self.give_up(entry, &mailbox, left, &error).await?;
        }
        let id = entry.id();
        self.commit(
            &id.tenant,
            vec![Op::AgentRemove {
                agent: id.name.clone(),
            }],
        )
        .await?;
        entry.step(Step::Unload)?;
        self.deregister(id);
        self.timers.forget(id);
        self.waiters.remove_calls(id, |_| true);
        self.services.logs.forget(id);
        self.services.guest_metrics.forget(id);
        tracing::info!(agent = %id, "removed");
        Ok(())
    }

    /// Buries durable messages and tells the senders of all. Where that cannot be committed, they are
    /// back in the mailbox.
    async fn give_up(
        self: &Arc<Self>,
        entry: &AgentEntry,
        mailbox: &Mailbox,
        items: Vec<Item>,
        error: &Error,
    ) -> Result<(), Error> {
        if items.is_empty() {
            return Ok(());
        }
        let mut plan = Plan::default();
        for item in &items {
            let origin = if item.durable {
                Origin::Durable
            } else {
                Origin::Transient
            };
            if item.durable {
                plan.ops.push(Op::CallsRemove {
                    mailbox: mailbox.id().clone(),
                    message: item.message.id,
                });
                plan.bury(
                    self,
                    &item.message,
                    mailbox.id().clone(),
                    item.attempts,
                    error,
                );
            }
            plan.tell_failure(self, &item.message, entry.id(), error, origin);
            plan.end_turn(self, &item.message, entry.id(), error).await;
        }
        let outcome = plan.carry_out(self, &entry.id().tenant).await;
        if outcome.is_err() {
            mailbox.put_back(items.into_iter());
        }
        outcome
    }

    pub(super) fn let_workers_go(&self, entry: &AgentEntry) {
        for mailbox in entry.mailboxes() {
            mailbox.nudge();
        }
    }

    /// Waits until no message is being handled or written, `stop_wait` at most; says whether it came to that.
    pub(super) async fn wait_quiet(&self, entry: &AgentEntry) -> bool {
        let clock = &self.services.clock;
        let mut late = clock.sleep_until(clock.now().plus(self.options.stop_wait));
        loop {
            let mut settled = std::pin::pin!(entry.settling());
            settled.as_mut().enable();
            if entry.is_quiet() {
                return true;
            }
            tokio::select! {
                biased;
                () = settled => {}
                () = &mut late => return false,
            }
        }
    }
}
