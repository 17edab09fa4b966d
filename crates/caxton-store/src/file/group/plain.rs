//! The operations that record no message: each is a statement or two.

use super::{Group, key};
use crate::error::Error;
use crate::file::inbox::Change;
use crate::{rows, sql};
use bytes::Bytes;
use caxton_core::{AgentName, MailboxId, MessageId};
use caxton_engine::port::StoreError;
use caxton_engine::port::store::{AgentRecord, LogName, Op, Timer};
use rusqlite::params;

impl Group<'_> {
    /// The operations that write no message.
    pub(super) fn apply_plain(&mut self, tenant: i64, op: &Op) -> Result<(), Error> {
        match op {
            Op::Ack { mailbox, message } => self.leave(tenant, mailbox, *message),
            Op::Attempt {
                mailbox,
                message,
                attempts,
            } => self.attempt(tenant, mailbox, *message, *attempts),
            Op::DeadLetterRemove { id } => {
                let row = params![tenant, id.message.as_bytes(), id.receiver.as_str()];
                self.run(sql::DEAD_LETTER_REMOVE, row)
            }
            Op::StatePut {
                mailbox,
                key: name,
                value,
            } => {
                let (agent, mailbox) = key(mailbox);
                let row = params![tenant, agent, mailbox, name, value.as_ref()];
                self.run(sql::STATE_PUT, row)
            }
            Op::StateRemove { mailbox, key: name } => {
                let (agent, mailbox) = key(mailbox);
                self.run(sql::STATE_REMOVE, params![tenant, agent, mailbox, name])
            }
            Op::TimerPut(timer) => self.timer_put(tenant, timer),
            Op::TimerRemove { mailbox, name } => {
                let (agent, mailbox) = key(mailbox);
                self.run(sql::TIMER_REMOVE, params![tenant, agent, mailbox, name])
            }
            Op::CallsRemove { mailbox, message } => {
                let (agent, mailbox) = key(mailbox);
                let row = params![tenant, agent, mailbox, message.as_bytes()];
                self.run(sql::CALL_REMOVE, row)
            }
            Op::AgentPut(record) => self.agent_put(tenant, record),
            Op::AgentRemove { agent } => self.agent_remove(tenant, agent),
            Op::ArtifactPut { digest, bytes } => self.artifact_put(tenant, &digest.0, bytes),
            Op::RecordPut { kind, id, body } => {
                self.run(sql::RECORD_PUT, params![tenant, kind.0, id, body.as_ref()])
            }
            Op::RecordRemove { kind, id } => {
                self.run(sql::RECORD_REMOVE, params![tenant, kind.0, id])
            }
            Op::LogPut { log, index, body } => self.log_put(tenant, log, *index, body),
            Op::LogTrim { log, before } => {
                let row = params![tenant, log.kind, log.key, rows::position(*before)];
                self.run(sql::LOG_TRIM, row)
            }
            // `apply` has done them.
            Op::Deliver { .. } | Op::Bury { .. } | Op::CallBegin { .. } | Op::CallEnd { .. } => {
                Ok(())
            }
        }
    }

    pub(super) fn run(&self, statement: &str, row: impl rusqlite::Params) -> Result<(), Error> {
        self.conn.prepare_cached(statement)?.execute(row)?;
        Ok(())
    }

    fn attempt(
        &mut self,
        tenant: i64,
        mailbox: &MailboxId,
        message: MessageId,
        attempts: u32,
    ) -> Result<(), Error> {
        let Some(seq) = self.sequence(tenant, message)? else {
            return Ok(());
        };
        let (agent, lane) = key(mailbox);
        let row = params![attempts, tenant, seq, agent, lane];
        self.run(sql::INBOX_ATTEMPT, row)?;
        self.staged.inbox.push(Change::Attempt {
            tenant,
            mailbox: mailbox.clone(),
            seq,
            attempts,
        });
        Ok(())
    }

    fn agent_remove(&mut self, tenant: i64, agent: &AgentName) -> Result<(), Error> {
        for statement in [
            sql::AGENT_REMOVE,
            sql::STATE_AGENT_DELETE,
            sql::TIMER_AGENT_DELETE,
            sql::CALL_AGENT_DELETE,
        ] {
            self.run(statement, params![tenant, agent.as_str()])?;
        }
        let mut waiting = self.inbox.of_agent(tenant, agent);
        waiting.extend(self.staged.inbox.iter().filter_map(|change| match change {
            Change::Add {
                tenant: of,
                mailbox,
                seq,
                ..
            } if *of == tenant && mailbox.agent.name == *agent => Some((mailbox.clone(), *seq)),
            _ => None,
        }));
        for (mailbox, seq) in waiting {
            self.take_out(tenant, &mailbox, seq)?;
        }
        Ok(())
    }

    fn timer_put(&self, tenant: i64, timer: &Timer) -> Result<(), Error> {
        let (agent, mailbox) = key(&timer.mailbox);
        let row = params![
            tenant,
            agent,
            mailbox,
            timer.name,
            timer.due.as_us(),
            timer.content.as_ref(),
            timer.origin.as_ref().map(MessageId::as_bytes),
        ];
        self.run(sql::TIMER_PUT, row)
    }

    fn agent_put(&self, tenant: i64, record: &AgentRecord) -> Result<(), Error> {
        let (manifest, native) = rows::write_manifest(&record.manifest)?;
        let row = params![
            tenant,
            record.agent.as_str(),
            manifest,
            native,
            record.digest.as_ref().map(|digest| digest.0),
            record.phase.as_str(),
            record.created.as_us(),
            record.updated.as_us(),
        ];
        self.run(sql::AGENT_PUT, row)
    }

    fn log_put(&self, tenant: i64, log: &LogName, index: u64, body: &Bytes) -> Result<(), Error> {
        let position = rows::position(index);
        let row = params![tenant, log.kind, log.key, position, body.as_ref()];
        if self.conn.prepare_cached(sql::LOG_PUT)?.execute(row)? == 0 {
            return Err(Error::Store(StoreError::written_over(log, index)));
        }
        Ok(())
    }

    fn artifact_put(&self, tenant: i64, digest: &[u8; 32], bytes: &Bytes) -> Result<(), Error> {
        self.run(sql::ARTIFACT_PUT, params![tenant, digest, bytes.as_ref()])
    }
}
