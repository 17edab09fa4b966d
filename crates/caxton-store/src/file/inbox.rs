//! Which messages wait in which mailbox. On disk deliveries stand in the order they were accepted, so
//! that writing them appends, whatever the number of tenants and mailboxes; the order by mailbox is
//! kept here, in memory, and read back when the file is opened. It costs some tens of bytes for each
//! unhandled delivery, and their number is bounded.

use super::Map;
use caxton_core::{AgentName, MailboxId};
use std::collections::BTreeMap;

/// Unhandled deliveries of one tenant, by mailbox: message sequence -> tries that failed.
type Mailboxes = Map<MailboxId, BTreeMap<i64, u32>>;

/// The committed state of all mailboxes of a file.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    tenants: Map<i64, Mailboxes>,
    deliveries: usize,
}

/// What a transaction does to mailboxes; applied once it is committed.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Add {
        tenant: i64,
        mailbox: MailboxId,
        seq: i64,
        attempts: u32,
    },
    Remove {
        tenant: i64,
        mailbox: MailboxId,
        seq: i64,
    },
    Attempt {
        tenant: i64,
        mailbox: MailboxId,
        seq: i64,
        attempts: u32,
    },
}

impl Inbox {
    pub(crate) fn deliveries(&self) -> usize {
        self.deliveries
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Add {
                tenant,
                mailbox,
                seq,
                attempts,
            } => {
                let mailboxes = self.tenants.entry(tenant).or_default();
                let waiting = mailboxes.entry(mailbox).or_default();
                if waiting.insert(seq, attempts).is_none() {
                    self.deliveries += 1;
                }
            }
            Change::Remove {
                tenant,
                mailbox,
                seq,
            } => self.remove(tenant, &mailbox, seq),
            Change::Attempt {
                tenant,
                mailbox,
                seq,
                attempts,
            } => {
                let mailboxes = self.tenants.get_mut(&tenant);
                let waiting = mailboxes.and_then(|all| all.get_mut(&mailbox));
                if let Some(row) = waiting.and_then(|waiting| waiting.get_mut(&seq)) {
                    *row = attempts;
                }
            }
        }
    }

    fn remove(&mut self, tenant: i64, mailbox: &MailboxId, seq: i64) {
        let Some(mailboxes) = self.tenants.get_mut(&tenant) else {
            return;
        };
        let Some(waiting) = mailboxes.get_mut(mailbox) else {
            return;
        };
        if waiting.remove(&seq).is_some() {
            self.deliveries -= 1;
        }
        // A mailbox that is used again soon keeps its place; one of a conversation that is over
        // must not stay for ever.
        if waiting.is_empty() {
            mailboxes.remove(mailbox);
        }
    }

    fn of(&self, tenant: i64, mailbox: &MailboxId) -> Option<&BTreeMap<i64, u32>> {
        self.tenants.get(&tenant)?.get(mailbox)
    }

    /// The first waiting messages of a mailbox, in order, with their tries.
    pub(crate) fn waiting(
        &self,
        tenant: i64,
        mailbox: &MailboxId,
        rows_max: usize,
    ) -> Vec<(i64, u32)> {
        let rows = self.of(tenant, mailbox).into_iter().flatten();
        rows.take(rows_max).map(|(seq, n)| (*seq, *n)).collect()
    }

    /// The tries of a message, if it waits in this mailbox.
    pub(crate) fn attempts(&self, tenant: i64, mailbox: &MailboxId, seq: i64) -> Option<u32> {
        self.of(tenant, mailbox)?.get(&seq).copied()
    }

    /// The tenant's mailboxes with messages, and how many, in order.
    pub(crate) fn counts(&self, tenant: i64, agent: Option<&AgentName>) -> Vec<(MailboxId, u32)> {
        let mailboxes = self.tenants.get(&tenant).into_iter().flatten();
        let mut found: Vec<(MailboxId, u32)> = mailboxes
            .filter(|(id, _)| agent.is_none_or(|name| id.agent.name == *name))
            .map(|(id, rows)| (id.clone(), u32::try_from(rows.len()).unwrap_or(u32::MAX)))
            .collect();
        found.sort();
        found
    }

    /// All deliveries to the agent.
    pub(crate) fn of_agent(&self, tenant: i64, agent: &AgentName) -> Vec<(MailboxId, i64)> {
        let mailboxes = self.tenants.get(&tenant).into_iter().flatten();
        mailboxes
            .filter(|(id, _)| id.agent.name == *agent)
            .flat_map(|(id, rows)| rows.keys().map(|seq| (id.clone(), *seq)))
            .collect()
    }

    /// All deliveries of a tenant, with their tries.
    pub(crate) fn of_tenant(&self, tenant: i64) -> Vec<(MailboxId, i64, u32)> {
        let mailboxes = self.tenants.get(&tenant).into_iter().flatten();
        mailboxes
            .flat_map(|(id, rows)| rows.iter().map(|(seq, n)| (id.clone(), *seq, *n)))
            .collect()
    }

    /// Drops what is known of a tenant.
    pub(crate) fn forget(&mut self, tenant: i64) {
        let mailboxes = self.tenants.remove(&tenant).unwrap_or_default();
        let deliveries: usize = mailboxes.values().map(BTreeMap::len).sum();
        self.deliveries = self.deliveries.saturating_sub(deliveries);
    }
}
