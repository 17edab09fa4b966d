//! The port over the files: each method finds the tenant's file, and asks a reader or its writer.

use crate::backup;
use crate::error::Error;
use crate::file::{Database, Prepared, stopped};
use crate::files::Files;
use crate::migrate::SCHEMA_VERSION;
use crate::options::Options;
use crate::readers::Readers;
use crate::rows::{self, Ask, Forget};
use bytes::Bytes;
use caxton_core::conversation::Conversation;
use caxton_core::{
    AgentName, ConversationId, Digest, Epoch, MailboxId, Message, MessageId, TenantId, Timestamp,
};
use caxton_engine::opctx::TenantScope;
use caxton_engine::port::page::{self, List, Position};
use caxton_engine::port::store::{
    AgentRecord, BackupInfo, CallId, CallRecord, Committed, DeadLetter, DeadLetterId, LogName,
    LogRange, MessageFilter, PAGE_ROWS_MAX, Page, PageRequest, Pending, RecordKind, Recorded,
    StoreStatus, Timer, Unit,
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
    files: Files,
    readers: Readers,
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
        let files = Files::open(&options)?;
        files.shared.ensure_ready()?;
        let readers = Readers::start(&options)?;
        Ok(Self {
            files,
            readers,
            options,
        })
    }

    /// Gives a new tenant a file of its own, `tenants/<tenant>.db`. Does nothing where it has one;
    /// [`StoreError::Failed`] where it has data in the shared file, for data is not moved.
    pub async fn dedicate(&self, tenant: TenantId) -> Result<(), StoreError> {
        let done = self
            .files
            .shared
            .run(move |writer| writer.dedicate(&tenant))?;
        done.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Reads one tenant's rows; `none` where the tenant has none at all.
    fn read<'a, T: Send + 'static>(
        &'a self,
        scope: &TenantScope,
        none: T,
        ask: impl FnOnce(&Ask<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Read<'a, T> {
        let home = scope.tenant().clone();
        let database = match self.files.of(&home) {
            Ok(database) => database,
            Err(error) => return futures::future::ready(Err(error)).boxed(),
        };
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
        self.readers.read(database, read).boxed()
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
        let queued = Prepared::new(unit).and_then(|prepared| {
            let database = self.files.of(prepared.unit.scope.tenant())?;
            database.commit(prepared)
        });
        async move { queued?.await.unwrap_or_else(|_| Err(stopped())) }.boxed()
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
        prefix: &str,
        after: &str,
        rows_max: u32,
    ) -> Read<'_, Vec<(String, Bytes)>> {
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        self.read(scope, Vec::new(), move |ask| {
            rows::records(ask, kind, &prefix, &after, rows_max)
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
        let home = scope.tenant().clone();
        let queued = self.files.of(&home).and_then(|database| {
            database.run(move |writer| {
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
        });
        async move { queued?.await.unwrap_or_else(|_| Err(stopped())) }.boxed()
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
        async move {
            // One after the other: a dedicated file is open only while it is looked at.
            let dedicated = self.files.dedicated().into_iter().map(Some);
            for tenant in std::iter::once(None).chain(dedicated) {
                let database = match &tenant {
                    None => self.files.shared.clone(),
                    Some(tenant) => self.files.of(tenant)?,
                };
                let check = |conn: &rusqlite::Connection, database: &Database| {
                    rows::verify(conn, &database.shared)
                };
                self.readers.read(database, check).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn backup(&self, into: &Path) -> Read<'_, BackupInfo> {
        let into = into.to_owned();
        async move {
            let writing = backup::Writing::begin(&into)?;
            for tenant in std::iter::once(None).chain(self.files.dedicated().into_iter().map(Some))
            {
                let (database, name) = match &tenant {
                    None => (self.files.shared.clone(), backup::shared_name()),
                    Some(tenant) => (self.files.of(tenant)?, backup::dedicated_name(tenant)),
                };
                let to = writing.path_of(&name);
                let options = self.options.clone();
                let copy = move |conn: &rusqlite::Connection, _: &Database| {
                    backup::copy(conn, &to, &options)
                };
                self.readers.read(database, copy).await?;
            }
            let now = self.options.clock.now();
            let finish = move || writing.finish(now);
            let (reply, done) = tokio::sync::oneshot::channel();
            self.readers
                .read(self.files.shared.clone(), move |_, _| {
                    reply.send(finish()).ok();
                    Ok(())
                })
                .await?;
            done.await.unwrap_or_else(|_| Err(stopped()))
        }
        .boxed()
    }
}
