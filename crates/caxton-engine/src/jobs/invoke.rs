//! A call that waits for its answer.

use super::feed::Feed;
use super::record::JobState;
use super::{Call, Jobs, verdict};
use crate::router::taps::{Seen, Tap};
use crate::supervise::Backoff;
use caxton_core::error::{Code, Error};
use caxton_core::{AgentId, Message, MessageId, Timestamp};
use std::sync::Arc;

/// What an invocation came to.
#[derive(Clone, Debug)]
pub struct Invoked {
    pub id: MessageId,
    pub reply: Arc<Message>,
    /// Tries of giving the message to the agent.
    pub attempts: u32,
    /// Where the answer says no: what it means.
    pub refused: Option<Error>,
}

/// Tells a feed of what a tap hears.
struct Teller {
    feed: Arc<Feed>,
    clock: Arc<dyn crate::port::Clock>,
}

impl Tap for Teller {
    fn see(&self, seen: Seen) {
        let said = match seen {
            Seen::Begun => None,
            Seen::Said(message) => Some(message),
        };
        self.feed.push(self.clock.now(), JobState::Running, said);
    }
}

/// A tap that goes with whoever set it.
struct Tapping<'a>(&'a Jobs, MessageId);

impl Drop for Tapping<'_> {
    fn drop(&mut self) {
        self.0.shared.taps.remove(self.1);
    }
}

impl Jobs {
    /// Asks, and waits for the answer until `deadline`; tries again while a refusal may pass.
    pub(crate) async fn invoke(
        &self,
        call: &Call,
        message: Arc<Message>,
        deadline: Timestamp,
        feed: Option<&Arc<Feed>>,
    ) -> Result<Invoked, Error> {
        let began = self.shared.services.clock.now();
        let outcome = self.invoke_observed(call, message, deadline, feed).await;
        let took = self.shared.services.clock.now().since(began);
        self.counted.invocation_seconds.observe(took.as_secs_f64());
        let state = match &outcome {
            Ok(done) if done.refused.is_none() => JobState::Complete,
            _ => JobState::Failed,
        };
        let ends = &self.counted.invocations;
        ends.with_label_values(&[state.as_str()]).inc();
        if let Some(feed) = feed {
            feed.push(self.shared.services.clock.now(), state, None);
            feed.end();
        }
        outcome
    }

    async fn invoke_observed(
        &self,
        call: &Call,
        message: Arc<Message>,
        deadline: Timestamp,
        feed: Option<&Arc<Feed>>,
    ) -> Result<Invoked, Error> {
        let agent = AgentId::new(message.tenant.clone(), call.agent.clone());
        let who = message
            .sender()
            .cloned()
            .ok_or_else(|| Error::new(Code::Internal, "a stamped message has no sender"))?;
        let admitted = self.admit(&agent)?;
        let _tapping = feed.map(|feed| {
            let clock = Arc::clone(&self.shared.services.clock);
            feed.push(clock.now(), JobState::Submitted, None);
            let feed = Arc::clone(feed);
            let teller: Arc<dyn Tap> = Arc::new(Teller { feed, clock });
            self.shared.taps.set(message.id, who.clone(), teller);
            Tapping(self, message.id)
        });
        let (attempts, answer) = self.ask(call, &who, &message, deadline).await;
        let seen = answer.as_ref().map(Arc::as_ref);
        admitted.record(verdict::health(seen, call.timeout));
        let reply = answer?;
        Ok(Invoked {
            id: message.id,
            refused: verdict::refused(&reply),
            reply,
            attempts,
        })
    }

    async fn ask(
        &self,
        call: &Call,
        who: &AgentId,
        message: &Arc<Message>,
        deadline: Timestamp,
    ) -> (u32, Result<Arc<Message>, Error>) {
        let services = &self.shared.services;
        let mut backoff = Backoff::new(self.options.retry_first, self.options.retry_max);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let asked = self.shared.ask(who, Arc::clone(message), None, deadline);
            let answer = asked.await;
            let again = answer.as_ref().is_err_and(verdict::may_pass);
            if !again || attempts >= call.attempts_max {
                return (attempts, answer);
            }
            let at = backoff.next(&*services.clock, &*services.entropy);
            if at >= deadline {
                return (attempts, answer);
            }
            services.clock.sleep_until(at).await;
            self.counted.retries.inc();
        }
    }
}
