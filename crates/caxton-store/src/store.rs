//! The port over the files: each method finds the tenant's file, and asks a reader or its writer.

use crate::backup;
use crate::error::Error;
use crate::file::{Database, Prepared, stopped};
use crate::files::Files;
use crate::keeper::Keeper;
use crate::migrate::SCHEMA_VERSION;
use crate::options::Options;
use crate::readers::Readers;
use crate::rows::{self, Ask, Forget};
use crate::tenants::Tenants;
use bytes::Bytes;
use caxton_core::conversation::Conversation;
use caxton_core::{
    AgentName, ConversationId, Digest, Epoch, MailboxId, Message, MessageId, TenantId, Timestamp,
};
use caxton_engine::opctx::TenantScope;
use caxton_engine::port::page::{self, List, Position};
use caxton_engine::port::store::{
    AgentRecord, BackupInfo, CallId, CallRecord, Committed, DeadLetter, DeadLetterId, LogName,
    LogRange, MessageFilter, PAGE_ROWS_MAX, Page, PageRequest, Pending, Placement, RecordKind,
    RecordRange, Recorded, StoreStatus, Timer, Unit,
};
use caxton_engine::port::{Answer, Store, StoreError};
use futures::FutureExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Read<'a, T> = Answer<'a, Result<T, StoreError>>;

/// The store on SQLite files in a data folder. Dropping it commits what waits and closes all files.
#[derive(Debug)]
pub struct SqliteStore {
    /// First, for fields are dropped in order: its work needs the others.
    keeper: Keeper,
    readers: Arc<Readers>,
    files: Arc<Files>,
    options: Arc<Options>,
}

impl SqliteStore {
    /// Opens the folder's database, or makes it; migrates it; reads back what a crash left open.
    /// Blocks for that long: tens of milliseconds, or longer after an upgrade.
    ///
    /// Errors: [`StoreError::Damaged`] names a file that is not a whole database of ours,
    /// [`StoreError::Newer`] one from the future. The folder's lock is [`crate::lock_data_dir`]'s
    /// business.
    pub fn open(options: Options) -> Result<Self, StoreError> {
        let options = Arc::new(options);
        crate::vfs::register(&options)?;
        let files = Arc::new(Files::open(&options)?);
        files.shared.ensure_ready()?;
        let readers = Arc::new(Readers::start(&options)?);
        let store = Self {
            keeper: Keeper::start()?,
            readers,
            files,
            options,
        };
        let tenants = store.tenants_at_work();
        store.keeper.begin(move || tenants.finish_leftovers());
        Ok(store)
    }

    fn tenants_at_work(&self) -> Tenants {
        Tenants {
            files: self.files.clone(),
            readers: self.readers.clone(),
            options: self.options.clone(),
        }
    }

    /// Somebody was refused because a failed move left it open where his tenant's data is.
    #[cold]
    fn decide(&self) {
        if self.files.undecided.swap(false, Ordering::AcqRel) {
            let tenants = self.tenants_at_work();
            self.keeper.begin(move || {
                if let Err(error) = tenants.decide() {
                    tracing::warn!(%error, "a tenant's place cannot be decided yet");
                }
            });
        }
    }

    /// Has a piece of slow work on a tenant done by the keeper.
    fn keep<'a, T: Send + 'static>(
        &'a self,
        scope: &TenantScope,
        work: impl FnOnce(&Tenants, &TenantId) -> Result<T, StoreError> + Send + 'static,
    ) -> Read<'a, T> {
        let (tenants, tenant) = (self.tenants_at_work(), scope.tenant().clone());
        self.keeper.run(move || work(&tenants, &tenant)).boxed()
    }

    /// Reads one tenant's rows; `none` where the tenant has none at all.
    fn read<'a, T: Send + 'static>(
        &'a self,
        scope: &TenantScope,
        none: T,
        ask: impl FnOnce(&Ask<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Read<'a, T> {
        let home = scope.tenant().clone();
        async move {
            let tenant = home.clone();
            let read = move |conn: &rusqlite::Connection, database: &Database| {
                let shared = &database.shared;
                let known = shared.tenants.read().get(&home).copied();
                let Some(tenant) = known else {
                    return Ok(none);
                };
                ask(&Ask {
                    conn,
                    shared,
                    tenant,
                    home: &home,
                })
            };
            let queue = |database| self.readers.read(database, read);
            let queued = self.files.with(&tenant, queue)?;
            queued.await.unwrap_or_else(|_| Err(stopped()))
        }
        .boxed()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.files.closing.store(true, Ordering::Relaxed);
    }
}

fn rows_max(page: &PageRequest) -> usize {
    page.rows_max.clamp(1, PAGE_ROWS_MAX) as usize
}

/// Cuts what was read with one row more than asked for, and says where the list goes on.
fn cut<T>(
    mut rows: Vec<(Position, T)>,
    rows_max: usize,
    list: List<'_>,
    scope: &TenantScope,
) -> Page<T> {
    let more = rows.len() > rows_max;
    rows.truncate(rows_max);
    let last = rows.last().filter(|_| more);
    let next = last.map(|(position, _)| page::token(list, scope, position));
    Page {
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        next,
    }
}

fn empty<T>() -> Page<T> {
    Page {
        rows: Vec::new(),
        next: None,
    }
}

/// Whether the mailbox is of the scope's tenant; another's answers as one that is not there.
fn ours(ask: &Ask<'_>, mailbox: &MailboxId) -> bool {
    mailbox.agent.tenant == *ask.home
}

impl Store for SqliteStore {
    fn begin_epoch(&self) -> Read<'_, Epoch> {
        let begun = self.files.shared.run(|writer| writer.begin_epoch());
        async move {
            let epoch = begun?.await.unwrap_or_else(|_| Err(stopped()))?;
            Ok(Epoch(epoch))
        }
        .boxed()
    }

    fn commit(&self, unit: Unit) -> Read<'_, Committed> {
        // Queued here and not when the answer is first polled: the order of calls is the order of
        // commits.
        let queued = Prepared::new(unit).and_then(|prepared| self.files.commit(prepared));
        if self.files.undecided.load(Ordering::Acquire) {
            self.decide();
        }
        async move { queued?.await }.boxed()
    }

    fn tenants(&self) -> Read<'_, Vec<TenantId>> {
        let mut tenants: Vec<TenantId> = {
            let known = self.files.shared.shared.tenants.read();
            let tenants = known.keys().filter(|id| !id.is_platform());
            tenants.cloned().collect()
        };
        tenants.sort();
        futures::future::ready(Ok(tenants)).boxed()
    }

    fn agents(&self, scope: &TenantScope) -> Read<'_, Vec<AgentRecord>> {
        self.read(scope, Vec::new(), rows::agents)
    }

    fn artifact(&self, scope: &TenantScope, digest: Digest) -> Read<'_, Option<Bytes>> {
        self.read(scope, None, move |ask| rows::artifact(ask, digest))
    }

    fn mailboxes(
        &self,
        scope: &TenantScope,
        agent: Option<AgentName>,
    ) -> Read<'_, Vec<(MailboxId, u32)>> {
        self.read(scope, Vec::new(), move |ask| {
            let inbox = ask.shared.inbox.read();
            Ok(inbox.counts(ask.tenant, agent.as_ref()))
        })
    }

    fn pending(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        rows_max: u32,
    ) -> Read<'_, Vec<Pending>> {
        let mailbox = mailbox.clone();
        self.read(scope, Vec::new(), move |ask| {
            if !ours(ask, &mailbox) {
                return Ok(Vec::new());
            }
            rows::pending(ask, &mailbox, rows_max)
        })
    }

    fn state(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        key: &str,
    ) -> Read<'_, Option<Bytes>> {
        let (mailbox, key) = (mailbox.clone(), key.to_owned());
        self.read(scope, None, move |ask| {
            if !ours(ask, &mailbox) {
                return Ok(None);
            }
            rows::state(ask, &mailbox, &key)
        })
    }

    fn state_keys(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        prefix: &str,
        after: &str,
        rows_max: u32,
    ) -> Read<'_, Vec<String>> {
        let mailbox = mailbox.clone();
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        self.read(scope, Vec::new(), move |ask| {
            if !ours(ask, &mailbox) {
                return Ok(Vec::new());
            }
            rows::state_keys(ask, &mailbox, &prefix, &after, rows_max)
        })
    }

    fn record(&self, scope: &TenantScope, kind: RecordKind, id: &str) -> Read<'_, Option<Bytes>> {
        let id = id.to_owned();
        self.read(scope, None, move |ask| rows::record(ask, kind, &id))
    }

    fn records(
        &self,
        scope: &TenantScope,
        kind: RecordKind,
        range: RecordRange<'_>,
        rows_max: u32,
    ) -> Read<'_, Vec<(String, Bytes)>> {
        let (prefix, after) = (range.prefix.to_owned(), range.after.to_owned());
        let descending = range.descending;
        self.read(scope, Vec::new(), move |ask| {
            let range = RecordRange {
                prefix: &prefix,
                after: &after,
                descending,
            };
            rows::records(ask, kind, range, rows_max)
        })
    }

    fn log(
        &self,
        scope: &TenantScope,
        log: &LogName,
        range: LogRange,
        rows_max: u32,
    ) -> Read<'_, Vec<(u64, Bytes)>> {
        let log = log.clone();
        self.read(scope, Vec::new(), move |ask| {
            rows::log(ask, &log, range, rows_max)
        })
    }

    fn timers(&self, scope: &TenantScope) -> Read<'_, Vec<Timer>> {
        self.read(scope, Vec::new(), rows::timers)
    }

    fn call(&self, scope: &TenantScope, call: &CallId) -> Read<'_, Option<CallRecord>> {
        let call = call.clone();
        self.read(scope, None, move |ask| {
            if !ours(ask, &call.mailbox) {
                return Ok(None);
            }
            rows::call(ask, &call)
        })
    }

    fn calls_open(&self, scope: &TenantScope) -> Read<'_, Vec<(CallId, CallRecord)>> {
        self.read(scope, Vec::new(), rows::calls_open)
    }

    fn message(&self, scope: &TenantScope, id: MessageId) -> Read<'_, Option<Recorded>> {
        self.read(scope, None, move |ask| rows::message(ask, id))
    }

    fn messages(
        &self,
        scope: &TenantScope,
        filter: &MessageFilter,
        page: &PageRequest,
    ) -> Read<'_, Page<Recorded>> {
        let (filter, scope_, page) = (filter.clone(), scope.clone(), page.clone());
        let list = List::Messages(&filter);
        let after = match page::position(list, scope, page.token.as_deref()) {
            Ok(after) => after.map(|position| position.at),
            Err(error) => return futures::future::ready(Err(error)).boxed(),
        };
        let rows_max = rows_max(&page);
        self.read(scope, empty(), move |ask| {
            let rows = rows::messages(ask, &filter, after, rows_max + 1)?.into_iter();
            let rows = rows.map(|(seq, row)| (Position::of_sequence(seq), row));
            let list = List::Messages(&filter);
            Ok(cut(rows.collect(), rows_max, list, &scope_))
        })
    }

    fn conversations(
        &self,
        scope: &TenantScope,
        page: &PageRequest,
    ) -> Read<'_, Page<Conversation>> {
        let after = match page::position(List::Conversations, scope, page.token.as_deref()) {
            Ok(after) => after,
            Err(error) => return futures::future::ready(Err(error)).boxed(),
        };
        let (rows_max, scope_) = (rows_max(page), scope.clone());
        self.read(scope, empty(), move |ask| {
            let rows = rows::conversations(ask, after.as_ref(), rows_max + 1)?;
            Ok(cut(rows, rows_max, List::Conversations, &scope_))
        })
    }

    fn conversation(
        &self,
        scope: &TenantScope,
        id: &ConversationId,
    ) -> Read<'_, Option<Conversation>> {
        let id = id.clone();
        self.read(scope, None, move |ask| {
            let found = rows::conversation(ask.conn, ask.tenant, ask.home, &id)?;
            Ok(found.map(|summary| summary.conversation))
        })
    }

    fn dead_letters(
        &self,
        scope: &TenantScope,
        page: &PageRequest,
    ) -> Read<'_, Page<(DeadLetter, Arc<Message>)>> {
        let after = match page::position(List::DeadLetters, scope, page.token.as_deref()) {
            Ok(after) => after,
            Err(error) => return futures::future::ready(Err(error)).boxed(),
        };
        let (rows_max, scope_) = (rows_max(page), scope.clone());
        self.read(scope, empty(), move |ask| {
            let rows = rows::dead_letters(ask, after.as_ref(), rows_max + 1)?;
            Ok(cut(rows, rows_max, List::DeadLetters, &scope_))
        })
    }

    fn dead_letter(
        &self,
        scope: &TenantScope,
        id: &DeadLetterId,
    ) -> Read<'_, Option<(DeadLetter, Arc<Message>)>> {
        let id = id.clone();
        self.read(scope, None, move |ask| rows::dead_letter(ask, &id))
    }

    fn forget_messages(
        &self,
        scope: &TenantScope,
        before: Timestamp,
        rows_max: u32,
    ) -> Read<'_, u32> {
        self.keep(scope, move |work, home| {
            let home = home.clone();
            work.files.of(&home)?.run_now(move |writer| {
                let Some(tenant) = writer.tenant_number(&home) else {
                    return Ok(0);
                };
                let shared = writer.shared;
                writer.change(|conn| {
                    rows::forget(&Forget {
                        conn,
                        shared,
                        tenant,
                        home: &home,
                        before,
                        rows_max,
                    })
                })
            })
        })
    }

    fn forget_conversations(
        &self,
        scope: &TenantScope,
        before: Timestamp,
        rows_max: u32,
    ) -> Read<'_, u32> {
        self.keep(scope, move |work, home| {
            let home = home.clone();
            let database = work.files.of(&home)?;
            database.run_now(move |writer| writer.forget_conversations(&home, before, rows_max))
        })
    }

    fn forget_conversation(
        &self,
        scope: &TenantScope,
        id: &ConversationId,
        rows_max: u32,
    ) -> Read<'_, u32> {
        let id = id.clone();
        self.keep(scope, move |work, home| {
            let home = home.clone();
            let database = work.files.of(&home)?;
            database.run_now(move |writer| writer.forget_conversation(&home, &id, rows_max))
        })
    }

    fn placement(&self, scope: &TenantScope) -> Read<'_, Placement> {
        let placement = self.tenants_at_work().placement(scope.tenant());
        futures::future::ready(Ok(placement)).boxed()
    }

    fn move_tenant(&self, scope: &TenantScope, to: Placement) -> Read<'_, ()> {
        if let Err(error) = StoreError::refuse_platform(scope) {
            return futures::future::ready(Err(error)).boxed();
        }
        self.keep(scope, move |work, tenant| work.relocate(tenant, to))
    }

    fn remove_tenant(&self, scope: &TenantScope) -> Read<'_, ()> {
        if let Err(error) = StoreError::refuse_platform(scope) {
            return futures::future::ready(Err(error)).boxed();
        }
        self.keep(scope, |work, tenant| work.remove(tenant))
    }

    fn status(&self) -> Read<'_, StoreStatus> {
        let counts = &self.files.counts;
        let failing = counts.failing.lock().clone();
        let status = StoreStatus {
            kind: "sqlite",
            bytes: backup::bytes_on_disk(&self.options.dir),
            schema_version: SCHEMA_VERSION,
            units: counts.units.load(Ordering::Relaxed),
            syncs: counts.syncs.load(Ordering::Relaxed),
            failing: failing.map(|(_, error)| error),
        };
        futures::future::ready(Ok(status)).boxed()
    }

    fn verify(&self) -> Read<'_, ()> {
        let work = self.tenants_at_work();
        self.keeper.run(move || work.verify()).boxed()
    }

    fn backup(&self, into: &Path) -> Read<'_, BackupInfo> {
        let (work, into) = (self.tenants_at_work(), into.to_owned());
        self.keeper.run(move || work.back_up(&into)).boxed()
    }
}
