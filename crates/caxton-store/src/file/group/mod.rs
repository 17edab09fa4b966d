//! What a group of units does to the database inside one transaction, and what of it the writer has
//! to remember once that transaction is committed. Nothing here commits.

mod plain;

use crate::codec;
use crate::error::Error;
use crate::file::Map;
use crate::file::inbox::{Change, Inbox};
use crate::file::known::{Known, Staged, Summary};
use crate::file::unit::{Encoded, Prepared};
use crate::rows;
use crate::sql;
use caxton_core::conversation::Conversation;
use caxton_core::{MailboxId, Message, MessageId, TenantId};
use caxton_engine::port::StoreError;
use caxton_engine::port::store::{Committed, DeadLetter, Op};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

/// One transaction at work.
pub(super) struct Group<'a> {
    conn: &'a Connection,
    known: &'a Known,
    /// As committed: what the group itself adds is in `staged`.
    inbox: &'a Inbox,
    pub(super) staged: Staged,
    /// The database's epoch.
    epoch: u64,
    /// Unhandled deliveries there may still be.
    deliveries_left: usize,
    hot: Hot<'a>,
}

/// The statements of every message, kept at hand for the length of a group.
struct Hot<'a> {
    message_insert: CachedStatement<'a>,
    inbox_insert: CachedStatement<'a>,
    inbox_delete: CachedStatement<'a>,
}

/// A mailbox's key columns.
fn key(mailbox: &MailboxId) -> (&str, &str) {
    (mailbox.agent.name.as_str(), mailbox.key.as_str())
}

impl<'a> Group<'a> {
    pub(super) fn new(
        conn: &'a Connection,
        known: &'a Known,
        inbox: &'a Inbox,
        epoch: u64,
        deliveries_max: usize,
    ) -> Result<Self, Error> {
        let hot = Hot {
            message_insert: conn.prepare_cached(sql::MESSAGE_INSERT)?,
            inbox_insert: conn.prepare_cached(sql::INBOX_INSERT)?,
            inbox_delete: conn.prepare_cached(sql::INBOX_DELETE)?,
        };
        Ok(Self {
            conn,
            known,
            inbox,
            staged: known.stage(),
            epoch,
            deliveries_left: deliveries_max.saturating_sub(inbox.deliveries()),
            hot,
        })
    }

    /// The transaction's connection, for savepoints around a unit.
    pub(super) fn conn(&self) -> &'a Connection {
        self.conn
    }

    /// Gives the changes, to be kept if the transaction is committed.
    pub(super) fn finish(self) -> Staged {
        self.staged
    }

    pub(super) fn apply(&mut self, prepared: &Prepared) -> Result<Committed, Error> {
        if prepared.unit.epoch.0 < self.epoch {
            return Err(Error::Store(StoreError::Fenced));
        }
        let mut done = Committed::default();
        if prepared.unit.ops.is_empty() {
            return Ok(done);
        }
        if prepared.deliveries > 0 && self.staged.inbox.len() >= self.deliveries_left {
            return Err(Error::Store(StoreError::Busy));
        }
        let tenant = self.tenant(prepared.unit.scope.tenant())?;
        let mut bodies = prepared.bodies.iter();
        for (index, op) in prepared.unit.ops.iter().enumerate() {
            let mut body = || {
                let missing = || StoreError::Failed("a unit without its bodies".to_owned());
                bodies.next().ok_or_else(missing)
            };
            match op {
                Op::Deliver { message, mailboxes } => {
                    if !self.deliver(tenant, message, mailboxes, body()?)? {
                        done.duplicates.push(index);
                    }
                }
                Op::Bury { letter, message } => self.bury(tenant, letter, message, body()?)?,
                Op::CallBegin { call, .. } => {
                    let (agent, mailbox) = key(&call.mailbox);
                    let id = call.message.as_bytes();
                    let row = params![tenant, agent, mailbox, id, call.index, body()?.body];
                    self.run(sql::CALL_BEGIN, row)?;
                }
                Op::CallEnd { call, .. } => {
                    let (agent, mailbox) = key(&call.mailbox);
                    let id = call.message.as_bytes();
                    let row = params![body()?.body, tenant, agent, mailbox, id, call.index];
                    self.run(sql::CALL_END, row)?;
                }
                other => self.apply_plain(tenant, other)?,
            }
        }
        Ok(done)
    }

    /// The number that stands for the tenant in this file.
    fn tenant(&mut self, id: &TenantId) -> Result<i64, Error> {
        let known = self.known.tenants.get(id);
        if let Some(number) = known.or_else(|| self.staged.tenants.get(id)) {
            return Ok(*number);
        }
        let before = i64::try_from(self.staged.tenants.len()).unwrap_or(i64::MAX);
        let number = self
            .known
            .tenant_last
            .saturating_add(before)
            .saturating_add(1);
        self.run(sql::TENANT_ADD, params![number, id.as_str(), 0])?;
        self.staged.tenants.insert(id.clone(), number);
        Ok(number)
    }

    /// Records the message unless it is; answers whether it did.
    fn deliver(
        &mut self,
        tenant: i64,
        message: &Message,
        mailboxes: &[MailboxId],
        encoded: &Encoded,
    ) -> Result<bool, Error> {
        let seq = self.staged.seq + 1;
        let row = params![tenant, message.id.as_bytes(), seq, encoded.body];
        if self.hot.message_insert.execute(row)? == 0 {
            return Ok(false);
        }
        self.staged.seq = seq;
        for mailbox in mailboxes {
            let (agent, lane) = key(mailbox);
            let row = params![tenant, seq, agent, lane];
            self.hot.inbox_insert.execute(row)?;
            self.staged.inbox.push(Change::Add {
                tenant,
                mailbox: mailbox.clone(),
                seq,
                attempts: 0,
            });
        }
        if !mailboxes.is_empty() {
            self.staged.sequences.push(((tenant, message.id), seq));
        }
        self.converse(tenant, message, seq)?;
        let terms = encoded.terms.clone();
        self.staged.messages.push((tenant, seq, terms));
        Ok(true)
    }

    /// Takes the message into its conversation's summary, which is written once for the group.
    fn converse(&mut self, tenant: i64, message: &Message, seq: i64) -> Result<(), Error> {
        let Some(id) = &message.acl.conversation_id else {
            return Ok(());
        };
        let staged = self.staged.conversations.entry(tenant).or_default();
        if let Some(summary) = staged.get_mut(id) {
            summary.conversation.add(message);
            summary.seq_last = seq;
            return Ok(());
        }
        let summary = match self.known.conversation(tenant, id) {
            Some(summary) => Some(summary.clone()),
            None => rows::conversation(self.conn, tenant, &message.tenant, id)?,
        };
        let summary = match summary {
            Some(mut summary) => {
                summary.conversation.add(message);
                summary.seq_last = seq;
                summary
            }
            None => match Conversation::begin(message) {
                Some(conversation) => Summary {
                    conversation,
                    seq_first: seq,
                    seq_last: seq,
                },
                None => return Ok(()),
            },
        };
        staged.insert(id.clone(), summary);
        Ok(())
    }

    /// Writes the summaries of all conversations that the group touched.
    pub(super) fn write_conversations(&self) -> Result<(), Error> {
        let names: Map<i64, &TenantId> = self
            .known
            .tenants
            .iter()
            .chain(&self.staged.tenants)
            .map(|(name, number)| (*number, name))
            .collect();
        let mut put = self.conn.prepare_cached(sql::CONVERSATION_PUT)?;
        for (tenant, talks) in &self.staged.conversations {
            let Some(home) = names.get(tenant) else {
                continue;
            };
            for (id, summary) in talks {
                let last = summary.conversation.last.as_us();
                let bytes = codec::write_conversation(&summary.conversation, home);
                let (first, newest) = (summary.seq_first, summary.seq_last);
                put.execute(params![tenant, id.as_str(), last, first, newest, bytes])?;
            }
        }
        Ok(())
    }

    /// The sequence of a recorded message.
    fn sequence(&self, tenant: i64, message: MessageId) -> Result<Option<i64>, Error> {
        let place = (tenant, message);
        if let Some(seq) = self.known.sequence(place) {
            return Ok(Some(seq));
        }
        // Rare: what a group both delivers and takes out.
        let mut staged = self.staged.sequences.iter().rev();
        if let Some((_, seq)) = staged.find(|(of, _)| *of == place) {
            return Ok(Some(*seq));
        }
        let mut get = self.conn.prepare_cached(sql::MESSAGE_SEQ)?;
        let row = params![tenant, message.as_bytes()];
        Ok(get.query_row(row, |row| row.get(0)).optional()?)
    }

    fn leave(&mut self, tenant: i64, mailbox: &MailboxId, message: MessageId) -> Result<(), Error> {
        let Some(seq) = self.sequence(tenant, message)? else {
            return Ok(());
        };
        self.staged.left.push((tenant, message));
        self.take_out(tenant, mailbox, seq)
    }

    fn take_out(&mut self, tenant: i64, mailbox: &MailboxId, seq: i64) -> Result<(), Error> {
        let (agent, lane) = key(mailbox);
        let row = params![tenant, seq, agent, lane];
        self.hot.inbox_delete.execute(row)?;
        self.staged.inbox.push(Change::Remove {
            tenant,
            mailbox: mailbox.clone(),
            seq,
        });
        Ok(())
    }

    fn bury(
        &mut self,
        tenant: i64,
        letter: &DeadLetter,
        message: &Message,
        encoded: &Encoded,
    ) -> Result<(), Error> {
        self.deliver(tenant, message, &[], encoded)?;
        self.leave(tenant, &letter.mailbox, letter.id.message)?;
        let row = params![
            tenant,
            letter.id.message.as_bytes(),
            letter.id.receiver.as_str(),
            letter.mailbox.key.as_str(),
            letter.code,
            letter.reason,
            letter.attempts,
            letter.buried.as_us(),
        ];
        self.run(sql::DEAD_LETTER_PUT, row)
    }
}

/// A number of the `meta` table; zero where it was never written.
pub(super) fn meta(conn: &Connection, key: &str) -> Result<i64, Error> {
    let mut get = conn.prepare_cached(sql::META_GET)?;
    let found = get.query_row([key], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(0))
}

pub(super) fn put_meta(conn: &Connection, key: &str, value: i64) -> Result<(), Error> {
    conn.prepare_cached(sql::META_PUT)?
        .execute(params![key, value])?;
    Ok(())
}
