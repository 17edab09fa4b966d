//! The beginning of a job.

use super::live::Live;
use super::record::{Delivery, JobRecord, JobState, OpenJob, record_id};
use super::{Call, Job, Jobs, verdict};
use crate::breakers::Admitted;
use crate::documents;
use crate::port::store::Op;
use crate::router::plan::{Origin, Plan};
use crate::router::taps::Tap;
use caxton_core::error::{Code, Error};
use caxton_core::manifest::Durability;
use caxton_core::{AgentId, Message, Timestamp};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A question on its way, and who waits for the answer.
pub(super) struct Asked {
    pub(super) answer: oneshot::Receiver<Arc<Message>>,
    /// Among the waiters.
    pub(super) key: u64,
    /// The agent has it: with what the breaker wants to know in the end.
    pub(super) taken: Option<Admitted>,
}

impl Jobs {
    /// Keeps a job, and gives its message to the agent. Where that refuses, the job waits and
    /// tries again; where it refuses for good, so does this, and nothing is kept.
    ///
    /// Errors: `CX-3042` too many jobs, those of a send.
    pub(crate) async fn submit(
        self: &Arc<Self>,
        call: &Call,
        message: Arc<Message>,
        by: String,
        deadline: Timestamp,
    ) -> Result<Job, Error> {
        let sender = message
            .sender()
            .cloned()
            .ok_or_else(|| Error::new(Code::Internal, "a stamped message has no sender"))?;
        let record = JobRecord {
            id: message.id,
            agent: call.agent.clone(),
            by,
            sender: sender.name,
            state: JobState::Submitted,
            conversation: message.acl.conversation_id.clone(),
            created: message.created,
            started: None,
            ended: None,
            deadline,
            attempts: 0,
            attempts_max: call.attempts_max,
            error: None,
            reply_bytes: 0,
        };
        let clock = Arc::clone(&self.shared.services.clock);
        let live = Arc::new(Live::new(record, Delivery::Waiting, message, clock));
        self.open(&live)?;
        // Whatever happens from here on, it is either kept and runs, or closed again.
        let guard = Opening {
            jobs: self,
            live: &live,
            kept: false,
        };
        let asked = self.begin(&live).await?;
        guard.keep();
        self.kept.more(&live.tenant, 1, 0);
        let (jobs, own) = (Arc::clone(self), Arc::clone(&live));
        let tasks = &self.shared.tasks;
        tasks.spawn_until_stop("job", async move { jobs.run(&own, asked).await });
        Ok(live.job())
    }

    /// Takes a place among the tenant's open jobs.
    fn open(&self, live: &Arc<Live>) -> Result<(), Error> {
        let mut open = self.open.lock();
        let of_tenant = open.entry(live.tenant.clone()).or_default();
        if of_tenant.len() >= self.options.open_max {
            let detail = format!("{} jobs of the tenant are not over", of_tenant.len());
            let error = Error::new(Code::JobsTooMany, detail);
            return Err(error.retry_after(self.options.retry_max));
        }
        of_tenant.insert(live.message.id, Arc::clone(live));
        drop(open);
        self.counted.open.inc();
        self.tap(live);
        Ok(())
    }

    pub(super) fn tap(&self, live: &Arc<Live>) {
        let tap: Arc<dyn Tap> = Arc::<Live>::clone(live);
        self.shared.taps.set(live.message.id, live.who(), tap);
    }

    /// Gives the place back.
    pub(super) fn close(&self, live: &Live) {
        self.shared.taps.remove(live.message.id);
        let mut open = self.open.lock();
        let Some(of_tenant) = open.get_mut(&live.tenant) else {
            return;
        };
        if of_tenant.remove(&live.message.id).is_some() {
            self.counted.open.dec();
        }
        if of_tenant.is_empty() {
            open.remove(&live.tenant);
        }
    }

    /// Commits the job with its message, or without it where the agent refuses it yet.
    async fn begin(self: &Arc<Self>, live: &Arc<Live>) -> Result<Asked, Error> {
        let mut asked = self.wait_for(live, false);
        let outcome = match self.give(live, &asked, true).await {
            Ok(admitted) => {
                asked.taken = Some(admitted);
                Ok(())
            }
            Err(error) if may_wait(&error) && live.may_try_again() => {
                let mut plan = Plan::default();
                plan.ops = beginning(live, Delivery::Waiting)?;
                plan.carry_out_whole(&self.shared, &live.tenant).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(asked),
            Err(error) => {
                self.shared.waiters.remove(&live.who(), asked.key);
                Err(error)
            }
        }
    }

    /// Registers whoever waits for the answer, before the question can leave.
    pub(super) fn wait_for(&self, live: &Live, left: bool) -> Asked {
        let (sender, answer) = oneshot::channel();
        let message = Arc::clone(&live.message);
        let call = Some(live.call());
        let waiters = &self.shared.waiters;
        let key = waiters.add(&live.who(), message, call, Some(sender), left);
        Asked {
            answer,
            key,
            taken: None,
        }
    }

    /// Gives the message to the agent, `first` with all that keeps the job.
    pub(super) async fn give(
        self: &Arc<Self>,
        live: &Arc<Live>,
        asked: &Asked,
        first: bool,
    ) -> Result<Admitted, Error> {
        let agent = AgentId::new(live.tenant.clone(), live.job().record.agent);
        live.tried();
        let admitted = self.admit(&agent)?;
        let durability = self.shared.agent(&agent).map(|entry| {
            let deployed = entry.deployed_ref();
            deployed.manifest.delivery.durability
        });
        let delivery = match durability {
            Some(Durability::Durable) => Delivery::Durable,
            _ => Delivery::Transient,
        };
        let mut plan = Plan::default();
        plan.ops = match first {
            true => beginning(live, delivery)?,
            false => vec![open_job(live, delivery)?],
        };
        let sent = match plan.send(&self.shared, &live.message, Origin::Door) {
            Ok(()) => {
                plan.question = Some((live.who(), asked.key));
                plan.carry_out_whole(&self.shared, &live.tenant).await
            }
            Err(error) => Err(error),
        };
        // A refusal that comes before the agent has seen the message says nothing of its health.
        sent?;
        live.delivered(delivery);
        Ok(admitted)
    }
}

/// The writes that keep a job which is not over.
fn beginning(live: &Live, delivery: Delivery) -> Result<Vec<Op>, Error> {
    let record = live.job().record;
    let begin = Op::CallBegin {
        call: live.call(),
        request: Arc::clone(&live.message),
    };
    let put = documents::put(&record_id(record.id), &record)?;
    Ok(vec![put, open_job(live, delivery)?, begin])
}

pub(super) fn open_job(live: &Live, delivery: Delivery) -> Result<Op, Error> {
    let id = live.message.id;
    let open = OpenJob {
        id,
        delivery,
        started: live.job().record.started,
    };
    documents::put(&record_id(id), &open)
}

/// Whether a job may wait for a refusal to pass.
pub(super) fn may_wait(error: &Error) -> bool {
    verdict::may_pass(error) || error.code == Code::AgentUnavailable
}

/// A job that is not kept yet.
struct Opening<'a> {
    jobs: &'a Jobs,
    live: &'a Live,
    kept: bool,
}

impl Opening<'_> {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.jobs.close(self.live);
            self.live.abandon();
        }
    }
}
