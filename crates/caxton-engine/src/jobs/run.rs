//! A job on its way: tries to give its message to the agent, waits for the answer, and the one end.

use super::live::{Ended, Live, late};
use super::record::Delivery;
use super::submit::{Asked, may_wait};
use super::{Jobs, verdict};
use crate::supervise::Backoff;
use caxton_core::Timestamp;
use caxton_core::error::Error;
use std::sync::Arc;

impl Jobs {
    /// Sees a job to its end. Dropped with the server it leaves the job as it is kept.
    pub(super) async fn run(self: &Arc<Self>, live: &Arc<Live>, mut asked: Asked) {
        let ended = tokio::select! {
            biased;
            () = live.ended() => None,
            ended = self.outcome(live, &mut asked) => Some(ended),
        };
        let who = live.who();
        if let Some(ended) = ended {
            self.finish_in_the_end(live, ended).await;
        }
        self.shared.waiters.remove(&who, asked.key);
    }

    async fn outcome(self: &Arc<Self>, live: &Arc<Live>, asked: &mut Asked) -> Ended {
        let clock = &self.shared.services.clock;
        let deadline = live.deadline();
        if asked.taken.is_none()
            && live.delivery() == Delivery::Waiting
            && let Err(error) = self.give_in_the_end(live, asked, deadline).await
        {
            return Ended::Failed(error);
        }
        let late_at = clock.sleep_until(deadline);
        let answer = tokio::select! {
            biased;
            answer = &mut asked.answer => answer.map_err(|_| late()),
            () = late_at => Err(late()),
        };
        if let Some(admitted) = asked.taken.take() {
            let waited = deadline.since(live.message.created);
            let seen = answer.as_ref().map(Arc::as_ref);
            admitted.record(verdict::health(seen, waited));
        }
        match answer {
            Ok(reply) => Ended::Answered(reply),
            Err(error) => Ended::Failed(error),
        }
    }

    /// Tries until the agent has taken the message, as often and as long as the job may.
    async fn give_in_the_end(
        self: &Arc<Self>,
        live: &Arc<Live>,
        asked: &mut Asked,
        deadline: Timestamp,
    ) -> Result<(), Error> {
        let services = &self.shared.services;
        let mut backoff = Backoff::new(self.options.retry_first, self.options.retry_max);
        let mut wait = None;
        loop {
            let at = backoff.next(&*services.clock, &*services.entropy);
            let at = at.max(wait.map_or(at, |wait| services.clock.now().plus(wait)));
            services.clock.sleep_until(at.min(deadline)).await;
            self.counted.retries.inc();
            let error = match self.give(live, asked, false).await {
                Ok(admitted) => {
                    asked.taken = Some(admitted);
                    return Ok(());
                }
                Err(error) => error,
            };
            if !live.may_try_again() || !may_wait(&error) || services.clock.now() >= deadline {
                return Err(error);
            }
            // A mailbox empties faster than it says to strangers; a breaker knows its time.
            wait = error
                .retry_after
                .filter(|_| error.code == caxton_core::Code::AgentUnavailable);
        }
    }

    /// Keeps an end however long the store takes to be well again.
    pub(super) async fn finish_in_the_end(&self, live: &Live, ended: Ended) {
        let services = &self.shared.services;
        let options = &self.shared.options;
        let mut backoff = Backoff::new(options.backoff_first, options.backoff_max);
        while let Err(error) = self.finish(live, ended.clone()).await {
            tracing::warn!(job = %live.message.id, tenant = %live.tenant, %error, "a job's end could not be kept");
            let at = backoff.next(&*services.clock, &*services.entropy);
            services.clock.sleep_until(at).await;
        }
    }

    /// Ends a job, unless it is over: says whether this end is the one.
    pub(super) async fn finish(&self, live: &Live, ended: Ended) -> Result<bool, Error> {
        let mut over = live.over.lock().await;
        // Of a tenant that is gone nothing is written.
        if *over || live.is_abandoned() {
            return Ok(false);
        }
        let (record, ops) = live.end_with(&ended)?;
        self.shared.commit(&live.tenant, ops).await?;
        *over = true;
        let (state, bytes) = (record.state, record.reply_bytes);
        live.end(record, ended);
        self.close(live);
        self.kept.more(&live.tenant, 0, bytes);
        let ends = &self.counted.jobs;
        ends.with_label_values(&[state.as_str()]).inc();
        Ok(true)
    }
}
