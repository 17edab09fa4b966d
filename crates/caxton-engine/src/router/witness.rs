//! Finds out whether a commit whose answer was lost was written.
//!
//! A store that fails may have written the unit all the same. Whoever then goes on as if it had not
//! handles a message twice, or leaves one in the journal that no mailbox knows of. So one row that
//! the unit was to change is read back: a unit is written whole or not at all, and this server is
//! the only one that writes.

use super::Shared;
use crate::opctx::TenantScope;
use crate::port::store::{
    AgentRecord, DeadLetterId, DeliveryState, LogName, LogRange, Op, RecordKind, StoreError, Timer,
};
use crate::supervise::Backoff;
use bytes::Bytes;
use caxton_core::{AgentName, MailboxId, MessageId};

/// One row that tells whether a unit was written.
#[derive(Debug)]
pub(super) enum Witness {
    /// A message that only this unit records.
    Recorded(MessageId),
    Acked(MailboxId, MessageId),
    Tried(MailboxId, MessageId, u32),
    Buried(DeadLetterId),
    State(MailboxId, String, Option<Bytes>),
    TimerSet(Timer),
    TimerGone(MailboxId, String),
    Agent(Box<AgentRecord>),
    AgentGone(AgentName),
    Record(RecordKind, String, Option<Bytes>),
    Logged(LogName, u64, Bytes),
}

impl Witness {
    /// A row of a unit that can tell; none where nothing it does can be seen again. One that only this
    /// unit can have written comes first: a value may have been there before.
    pub(super) fn of(ops: &[Op]) -> Option<Self> {
        let sure = |op: &&Op| {
            matches!(
                op,
                Op::Deliver { .. } | Op::Ack { .. } | Op::Attempt { .. } | Op::Bury { .. }
            )
        };
        let first = ops.iter().filter(sure);
        first.chain(ops).find_map(|op| {
            Some(match op {
                Op::Deliver { message, .. } => Self::Recorded(message.id),
                Op::Ack { mailbox, message } => Self::Acked(mailbox.clone(), *message),
                Op::Attempt {
                    mailbox,
                    message,
                    attempts,
                } => Self::Tried(mailbox.clone(), *message, *attempts),
                Op::Bury { letter, .. } => Self::Buried(letter.id.clone()),
                Op::StatePut {
                    mailbox,
                    key,
                    value,
                } => Self::State(mailbox.clone(), key.clone(), Some(value.clone())),
                Op::StateRemove { mailbox, key } => Self::State(mailbox.clone(), key.clone(), None),
                Op::TimerPut(timer) => Self::TimerSet(timer.clone()),
                Op::TimerRemove { mailbox, name } => Self::TimerGone(mailbox.clone(), name.clone()),
                Op::AgentPut(record) => Self::Agent(record.clone()),
                Op::AgentRemove { agent } => Self::AgentGone(agent.clone()),
                Op::DeadLetterRemove { .. }
                | Op::CallBegin { .. }
                | Op::CallEnd { .. }
                | Op::CallsRemove { .. }
                | Op::ArtifactPut { .. }
                | Op::LogTrim { .. } => return None,
                Op::RecordPut { kind, id, body } => {
                    Self::Record(*kind, id.clone(), Some(body.clone()))
                }
                Op::RecordRemove { kind, id } => Self::Record(*kind, id.clone(), None),
                Op::LogPut { log, index, body } => Self::Logged(log.clone(), *index, body.clone()),
            })
        })
    }

    async fn says_written(&self, shared: &Shared, scope: &TenantScope) -> Result<bool, StoreError> {
        let store = &shared.services.store;
        Ok(match self {
            Self::Recorded(id) => store.message(scope, *id).await?.is_some(),
            Self::Acked(mailbox, id) => open(shared, scope, mailbox, *id).await?.is_none(),
            Self::Tried(mailbox, id, attempts) => {
                open(shared, scope, mailbox, *id).await? == Some(*attempts)
            }
            Self::Buried(id) => store.dead_letter(scope, id).await?.is_some(),
            Self::State(mailbox, key, value) => store.state(scope, mailbox, key).await? == *value,
            Self::TimerSet(timer) => store.timers(scope).await?.contains(timer),
            Self::TimerGone(mailbox, name) => {
                let timers = store.timers(scope).await?;
                !timers
                    .iter()
                    .any(|timer| timer.mailbox == *mailbox && timer.name == *name)
            }
            Self::Agent(record) => store.agents(scope).await?.contains(record),
            Self::AgentGone(name) => {
                let agents = store.agents(scope).await?;
                !agents.iter().any(|agent| agent.agent == *name)
            }
            Self::Record(kind, id, body) => store.record(scope, *kind, id).await? == *body,
            Self::Logged(log, index, body) => {
                let one = LogRange {
                    from: *index,
                    ..LogRange::ALL
                };
                let found = store.log(scope, log, one, 1).await?;
                found
                    .first()
                    .is_some_and(|it| it.0 == *index && it.1 == *body)
            }
        })
    }
}

/// The tries of a message that waits in a mailbox; none where it does not.
async fn open(
    shared: &Shared,
    scope: &TenantScope,
    mailbox: &MailboxId,
    id: MessageId,
) -> Result<Option<u32>, StoreError> {
    let recorded = shared.services.store.message(scope, id).await?;
    let open = recorded.into_iter().flat_map(|recorded| recorded.open);
    Ok(open
        .filter(|status| status.mailbox == *mailbox && status.state == DeliveryState::Pending)
        .map(|status| status.attempts)
        .next())
}

impl Shared {
    /// Whether the unit of this witness was written after all. Asks until the store can say, because
    /// nothing may go on before that; a server that stops gives up, and its next start reads it all.
    pub(super) async fn was_written(&self, scope: &TenantScope, witness: &Witness) -> bool {
        let mut backoff = Backoff::new(self.options.backoff_first, self.options.backoff_max);
        loop {
            match witness.says_written(self, scope).await {
                Ok(written) => return written,
                Err(error) => {
                    tracing::warn!(tenant = %scope.tenant(), %error, "what became of a commit cannot be read");
                }
            }
            let until = backoff.next(&*self.services.clock, &*self.services.entropy);
            tokio::select! {
                biased;
                () = self.services.clock.sleep_until(until) => {}
                () = self.tasks.stopped() => return false,
            }
        }
    }
}
