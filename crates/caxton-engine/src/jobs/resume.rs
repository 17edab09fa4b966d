//! Jobs after a start: those that were not over go on.

use super::live::{Ended, Live};
use super::record::{Delivery, JobRecord, JobState, OpenJob, record_id};
use super::{Jobs, call_id};
use crate::documents;
use crate::port::store::{PAGE_ROWS_MAX, PageRequest};
use caxton_core::error::{Code, Error};
use caxton_core::{AgentId, TenantId};
use std::sync::Arc;

impl Jobs {
    /// Reads the jobs that were not over, before any agent works: so that none of what the agents do
    /// goes unseen. [`Jobs::go_on`] follows.
    pub(crate) async fn load(self: &Arc<Self>) -> Result<(), Error> {
        for tenant in self.shared.services.store.tenants().await? {
            let mut page = PageRequest::first(PAGE_ROWS_MAX);
            loop {
                let scope = Self::scope(&tenant);
                let open = self.documents.list::<OpenJob>(&scope, "", &page).await?;
                for open in open.rows {
                    self.load_one(&tenant, open).await?;
                }
                page.token = open.next;
                if page.token.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn load_one(
        self: &Arc<Self>,
        tenant: &TenantId,
        OpenJob {
            id,
            delivery,
            started,
        }: OpenJob,
    ) -> Result<(), Error> {
        let scope = Self::scope(tenant);
        let found = self.documents.get(&scope, &record_id(id)).await?;
        let record: Option<JobRecord> = found;
        let Some(mut record) = record.filter(|it| !it.state.is_final()) else {
            // It was cancelled while it was about to be tried again.
            let gone = vec![documents::remove::<OpenJob>(&record_id(id))];
            return self.documents.commit(&scope, gone).await;
        };
        if started.is_some() {
            (record.state, record.started) = (JobState::Running, started);
        }
        let who = AgentId::new(tenant.clone(), record.sender.clone());
        let store = &self.shared.services.store;
        let Some(call) = store.call(&scope, &call_id(&who, id)).await? else {
            tracing::error!(%tenant, job = %id, "a job that is not over has no call");
            return Ok(());
        };
        let clock = Arc::clone(&self.shared.services.clock);
        let live = Arc::new(Live::new(record, delivery, call.request, clock));
        let mut open = self.open.lock();
        let of_tenant = open.entry(tenant.clone()).or_default();
        of_tenant.insert(id, Arc::clone(&live));
        drop(open);
        self.counted.open.inc();
        self.tap(&live);
        Ok(())
    }

    /// Goes on with the jobs that [`Jobs::load`] read, now that the agents are back.
    pub(crate) async fn go_on(self: &Arc<Self>) -> Result<(), Error> {
        let live: Vec<Arc<Live>> = {
            let open = self.open.lock();
            open.values().flat_map(|it| it.values().cloned()).collect()
        };
        let count = live.len();
        for live in live {
            self.go_on_with(&live).await?;
        }
        if count > 0 {
            tracing::info!(jobs = count, "jobs that were not over go on");
        }
        Ok(())
    }

    async fn go_on_with(self: &Arc<Self>, live: &Arc<Live>) -> Result<(), Error> {
        let delivery = live.delivery();
        let left = delivery != Delivery::Waiting;
        // Registered before the journal is read: an answer between the two is seen by one of them.
        let mut asked = self.wait_for(live, left);
        let scope = Self::scope(&live.tenant);
        let store = &self.shared.services.store;
        let call = store.call(&scope, &live.call()).await?;
        let ended = match call {
            // Its tenant was removed while the server was down.
            None => {
                self.close(live);
                live.abandon();
                self.shared.waiters.remove(&live.who(), asked.key);
                return Ok(());
            }
            Some(call) => match call.answer {
                Some(answer) => Some(Ended::Answered(answer)),
                None if delivery == Delivery::Transient => {
                    let detail =
                        "the agent keeps its messages in memory, and the server was restarted";
                    Some(Ended::Failed(Error::new(Code::JobLost, detail)))
                }
                None => None,
            },
        };
        let (jobs, own) = (Arc::clone(self), Arc::clone(live));
        let task = async move {
            match ended {
                Some(ended) => {
                    jobs.finish_in_the_end(&own, ended).await;
                    jobs.shared.waiters.remove(&own.who(), asked.key);
                    asked.answer.close();
                }
                None => jobs.run(&own, asked).await,
            }
        };
        self.shared.tasks.spawn_until_stop("job", task);
        Ok(())
    }
}
