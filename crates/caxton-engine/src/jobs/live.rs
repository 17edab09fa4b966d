//! A job that is not over, in memory: what it is now, who follows it, and the lock that one end of it
//! wins.

use super::feed::Feed;
use super::record::{Delivery, JobError, JobRecord, JobState};
use super::{Job, call_id, verdict};
use crate::documents;
use crate::port::Clock;
use crate::port::store::{CallId, Op};
use crate::router::taps::{Seen, Tap};
use caxton_core::error::{Code, Error};
use caxton_core::{AgentId, Message, TenantId, Timestamp};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// How a job ends.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Answered(Arc<Message>),
    Failed(Error),
    Cancelled,
}

#[derive(Debug)]
struct Present {
    record: JobRecord,
    delivery: Delivery,
    reply: Option<Arc<Message>>,
}

pub(super) struct Live {
    pub(super) tenant: TenantId,
    pub(super) message: Arc<Message>,
    present: Mutex<Present>,
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
    /// Held while an end is being kept; true once one is.
    pub(super) over: tokio::sync::Mutex<bool>,
    ended: CancellationToken,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({})", self.message.id)
    }
}

impl Live {
    pub(super) fn new(
        record: JobRecord,
        delivery: Delivery,
        message: Arc<Message>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let feed = Arc::new(Feed::default());
        feed.push(clock.now(), record.state, None);
        Self {
            tenant: message.tenant.clone(),
            message,
            present: Mutex::new(Present {
                record,
                delivery,
                reply: None,
            }),
            feed,
            clock,
            over: tokio::sync::Mutex::new(false),
            ended: CancellationToken::new(),
        }
    }

    pub(super) fn job(&self) -> Job {
        let present = self.present.lock();
        Job {
            record: present.record.clone(),
            reply: present.reply.clone(),
        }
    }

    pub(super) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// In whose name the message left.
    pub(super) fn who(&self) -> AgentId {
        let sender = self.present.lock().record.sender.clone();
        AgentId::new(self.tenant.clone(), sender)
    }

    pub(super) fn call(&self) -> CallId {
        call_id(&self.who(), self.message.id)
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.present.lock().record.deadline
    }

    /// Completes when the job is over, or no longer this server's.
    pub(super) fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.ended.cancelled()
    }

    /// Counts one more try.
    pub(super) fn tried(&self) {
        self.present.lock().record.attempts += 1;
    }

    /// Whether there is a try left.
    pub(super) fn may_try_again(&self) -> bool {
        let record = &self.present.lock().record;
        record.attempts < record.attempts_max
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.present.lock().delivery
    }

    pub(super) fn delivered(&self, delivery: Delivery) {
        self.present.lock().delivery = delivery;
    }

    /// The job as it would be after this end, and the writes that keep it.
    pub(super) fn end_with(&self, ended: &Ended) -> Result<(JobRecord, Vec<Op>), Error> {
        let mut record = self.present.lock().record.clone();
        record.ended = Some(self.clock.now());
        let error = match ended {
            Ended::Answered(reply) => verdict::refused(reply),
            Ended::Failed(error) => Some(error.clone()),
            Ended::Cancelled => None,
        };
        record.state = match (ended, &error) {
            (Ended::Cancelled, _) => JobState::Cancelled,
            (_, Some(_)) => JobState::Failed,
            (_, None) => JobState::Complete,
        };
        record.error = error.map(|error| JobError {
            code: error.code.as_str().to_owned(),
            detail: error.detail,
        });
        let mut ops = Vec::with_capacity(4);
        if let Ended::Answered(reply) = ended {
            record.reply_bytes = reply.acl.content.len() as u64;
            record.started.get_or_insert(reply.created);
            ops.push(super::record::put_reply(record.id, reply)?);
        }
        let id = super::record_id(record.id);
        ops.insert(0, documents::put(&id, &record)?);
        ops.push(documents::remove::<super::OpenJob>(&id));
        let call = self.call();
        ops.push(Op::CallsRemove {
            mailbox: call.mailbox,
            message: call.message,
        });
        Ok((record, ops))
    }

    /// The end is kept: says so.
    pub(super) fn end(&self, record: JobRecord, ended: Ended) {
        let state = record.state;
        let mut present = self.present.lock();
        present.record = record;
        if let Ended::Answered(reply) = ended {
            present.reply = Some(reply);
        }
        drop(present);
        self.feed.push(self.clock.now(), state, None);
        self.abandon();
    }

    /// Whether everybody was sent home.
    pub(super) fn is_abandoned(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Sends everybody home who waits for it.
    pub(super) fn abandon(&self) {
        self.feed.end();
        self.ended.cancel();
    }
}

impl Tap for Live {
    fn see(&self, seen: Seen) {
        let now = self.clock.now();
        let mut present = self.present.lock();
        let record = &mut present.record;
        match seen {
            Seen::Begun if record.state == JobState::Submitted => {
                record.state = JobState::Running;
                record.started = Some(now);
                self.feed.push(now, JobState::Running, None);
            }
            Seen::Said(message) if !record.state.is_final() => {
                self.feed.push(now, record.state, Some(message));
            }
            Seen::Begun | Seen::Said(_) => {}
        }
    }

    fn taken(&self) -> Option<Op> {
        // Only what is durable is acknowledged. A start that does not find this cannot tell when the
        // agent began, which is no reason to fail.
        let due = !self.job().record.state.is_final();
        due.then(|| super::submit::open_job(self, Delivery::Durable).ok())?
    }
}

/// No answer came in time.
pub(super) fn late() -> Error {
    Error::new(
        Code::CallTimeout,
        "the agent has the message, but gave no answer in time",
    )
}
