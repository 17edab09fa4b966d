//! Calls from outside: one that waits for its answer ([`invoke`]), and jobs, which are kept.
//!
//! A job is a message whose answer is journalled as a waiting call's is: the call, the job's record
//! and the message are committed as one unit, and the agent's answer in the unit that acknowledges the
//! message. So a job survives a kill wherever it strikes; a start reads the jobs that are not over and
//! goes on with them. Its message keeps its id, and an agent that loses nothing handles it once.
//!
//! Every open job has one [`Live`] in memory, and whatever ends it (the answer, its time, a person)
//! does so under one lock: one of them wins, and what it says is what is kept.

mod feed;
mod invoke;
mod live;
mod options;
mod record;
mod resume;
mod run;
mod submit;
mod sweep;
mod verdict;

pub use feed::{Event, Feed, FeedReader};
pub use invoke::Invoked;
pub use options::{
    ATTEMPTS_MAX, INVOKE_ATTEMPTS, INVOKE_TIMEOUT, JOB_ATTEMPTS, JOB_TIMEOUT, JOB_TIMEOUT_MAX,
    Options,
};
pub use record::{JobError, JobRecord, JobState};

use crate::breakers::{Admitted, Thing};
use crate::documents::{self, Documents};
use crate::opctx::TenantScope;
use crate::port::store::{CallId, Op, Page, PageRequest};
use crate::router::Shared;
use caxton_core::error::{Code, Error};
use caxton_core::{Acl, AgentId, AgentName, MailboxId, MailboxKey, Message, MessageId, TenantId};
use live::{Ended, Live};
use parking_lot::Mutex;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};
use record::{OpenJob, REPLY, read_reply, record_id};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use sweep::Kept;

/// What is asked of an agent from outside.
#[derive(Clone, Debug)]
pub struct Call {
    pub agent: AgentName,
    /// The message, without sender and receivers.
    pub acl: Acl,
    /// How long the answer is waited for.
    pub timeout: Duration,
    /// Tries of giving the message to the agent, the first included.
    pub attempts_max: u32,
}

/// A job as it stands, and its answer where it has one.
#[derive(Clone, Debug)]
pub struct Job {
    pub record: JobRecord,
    pub reply: Option<Arc<Message>>,
}

/// A job that is followed.
#[derive(Debug)]
pub struct Following {
    /// What has happened and will; none where the job is over.
    pub events: Option<FeedReader>,
}

/// Which jobs. All given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    pub agent: Option<AgentName>,
    pub state: Option<JobState>,
}

impl JobFilter {
    pub fn matches(&self, job: &JobRecord) -> bool {
        self.agent.as_ref().is_none_or(|it| *it == job.agent)
            && self.state.is_none_or(|it| it == job.state)
    }
}

#[derive(Debug)]
struct Counted {
    jobs: IntCounterVec,
    open: IntGauge,
    invocations: IntCounterVec,
    invocation_seconds: Histogram,
    retries: IntCounter,
}

/// All calls from outside. One a server.
#[derive(Debug)]
pub(crate) struct Jobs {
    shared: Arc<Shared>,
    documents: Documents,
    options: Options,
    /// In order, so that what is done to all is done in the same order for the same seed.
    open: Mutex<HashMap<TenantId, BTreeMap<MessageId, Arc<Live>>>>,
    kept: Kept,
    counted: Counted,
}

impl Jobs {
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, Error> {
        let options = shared.options.jobs.clone();
        let failed = |error: prometheus::Error| Error::new(Code::Internal, error.to_string());
        Ok(Self {
            shared: Arc::clone(shared),
            documents: Documents::new(Arc::clone(&shared.services.store), shared.epoch),
            options,
            open: Mutex::default(),
            kept: Kept::default(),
            counted: Counted::new(&shared.metrics.registry).map_err(failed)?,
        })
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "calls from outside")
    }

    /// Leave to call an agent that is there. Errors: `CX-3043`, with the time to wait.
    fn admit(&self, agent: &AgentId) -> Result<Admitted, Error> {
        let breakers = &self.shared.services.breakers;
        let admitted = breakers.admit(Thing::of_agent(agent));
        admitted.map_err(|left_alone| {
            let detail = format!(
                "calls of {agent} failed again and again; it is tried again at {}",
                left_alone.retry_at
            );
            Error::new(Code::AgentUnavailable, detail).retry_after(left_alone.wait)
        })
    }

    fn live(&self, tenant: &TenantId, id: MessageId) -> Option<Arc<Live>> {
        self.open.lock().get(tenant)?.get(&id).cloned()
    }

    /// Errors: `CX-3041`.
    pub(crate) async fn show(&self, scope: &TenantScope, id: MessageId) -> Result<Job, Error> {
        if let Some(live) = self.live(scope.tenant(), id) {
            return Ok(live.job());
        }
        let found = self.documents.get(scope, &record_id(id)).await?;
        let record: JobRecord = found.ok_or_else(|| missing(id))?;
        let store = &self.shared.services.store;
        let reply = store.record(scope, REPLY, &record_id(id)).await?;
        let reply = reply.as_ref().map(read_reply).transpose()?;
        Ok(Job { record, reply })
    }

    /// Newest first, without their answers.
    pub(crate) async fn list(
        &self,
        scope: &TenantScope,
        page: &PageRequest,
    ) -> Result<Page<JobRecord>, Error> {
        let mut found: Page<JobRecord> = self.documents.list(scope, "", page).await?;
        for row in &mut found.rows {
            if let Some(live) = self.live(scope.tenant(), row.id) {
                *row = live.job().record;
            }
        }
        Ok(found)
    }

    /// Ends a job that is not over. Gives it as it is then, which may be another end that was faster.
    pub(crate) async fn cancel(&self, scope: &TenantScope, id: MessageId) -> Result<Job, Error> {
        if let Some(live) = self.live(scope.tenant(), id) {
            self.finish(&live, Ended::Cancelled).await?;
            return Ok(live.job());
        }
        self.show(scope, id).await
    }

    /// Cancels a job that is not over; forgets one that is.
    pub(crate) async fn remove(&self, scope: &TenantScope, id: MessageId) -> Result<(), Error> {
        if let Some(live) = self.live(scope.tenant(), id)
            && self.finish(&live, Ended::Cancelled).await?
        {
            return Ok(());
        }
        let found = self.documents.get(scope, &record_id(id)).await?;
        let record: JobRecord = found.ok_or_else(|| missing(id))?;
        self.forget(scope.tenant(), &[record]).await
    }

    /// Follows a job: from its first event that is at hand, or after one of this start of the server.
    /// Errors: `CX-3041`, `CX-6007`.
    pub(crate) async fn follow(
        &self,
        scope: &TenantScope,
        id: MessageId,
        after: Option<u64>,
    ) -> Result<Following, Error> {
        let Some(live) = self.live(scope.tenant(), id) else {
            self.show(scope, id).await?;
            return Ok(Following { events: None });
        };
        let from = after.map(|it| it.saturating_add(1));
        let events = live.feed().read(from).ok_or_else(|| {
            let detail = format!("job {id} has no such event, or keeps it no longer");
            Error::new(Code::ResumeLost, detail)
        })?;
        Ok(Following {
            events: Some(events),
        })
    }

    /// Forgets what is in memory of a tenant that is being removed; nothing more is written of it.
    pub(crate) fn forget_tenant(&self, tenant: &TenantId) {
        let gone = self.open.lock().remove(tenant).unwrap_or_default();
        for (id, live) in gone {
            self.shared.taps.remove(id);
            live.abandon();
            self.counted.open.dec();
        }
        self.kept.forget(tenant);
    }

    async fn forget(&self, tenant: &TenantId, jobs: &[JobRecord]) -> Result<(), Error> {
        let gone = jobs.iter().flat_map(|job| {
            let id = record_id(job.id);
            let reply = Op::RecordRemove {
                kind: REPLY,
                id: id.clone(),
            };
            let open = documents::remove::<OpenJob>(&id);
            [documents::remove::<JobRecord>(&id), reply, open]
        });
        self.shared.commit(tenant, gone.collect()).await?;
        let bytes = jobs.iter().map(|it| it.reply_bytes).sum();
        self.kept.less(tenant, jobs.len() as u64, bytes);
        Ok(())
    }
}

/// The row of the journal that a job's answer is kept in until the job is over.
fn call_id(who: &AgentId, id: MessageId) -> CallId {
    CallId {
        mailbox: MailboxId {
            agent: who.clone(),
            key: MailboxKey::Agent,
        },
        message: id,
        index: 0,
    }
}

fn missing(id: MessageId) -> Error {
    Error::new(Code::JobNotFound, format!("there is no job {id}"))
}

impl Counted {
    fn new(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let ends = |name: &str, help: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["state"])?;
            for state in JobState::ALL.into_iter().filter(|it| it.is_final()) {
                counter.with_label_values(&[state.as_str()]);
            }
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let jobs = ends("caxton_jobs_total", "Jobs that are over, by how they ended")?;
        let invocations = ends(
            "caxton_invocations_total",
            "Invocations that are over, by how they ended",
        )?;
        let open = IntGauge::new("caxton_jobs_open", "Jobs that are not over")?;
        let retries = IntCounter::new(
            "caxton_call_retries_total",
            "Further tries of giving an agent a message from outside",
        )?;
        let invocation_seconds = Histogram::with_opts(
            HistogramOpts::new("caxton_invocation_seconds", "Invocations, from end to end")
                .buckets(prometheus::exponential_buckets(0.000_05, 4.0, 12)?),
        )?;
        registry.register(Box::new(open.clone()))?;
        registry.register(Box::new(retries.clone()))?;
        registry.register(Box::new(invocation_seconds.clone()))?;
        Ok(Self {
            jobs,
            open,
            invocations,
            invocation_seconds,
            retries,
        })
    }
}
