//! The thread that writes one file. It takes the units that wait, does them in one transaction, and
//! answers them all once that is on the disk: one sync for everybody.
//!
//! A unit that fails for its own reason must not fail its neighbours. Checking that with a savepoint
//! each would cost every unit; instead the group is tried plainly, and only where something failed
//! it is done again, unit by unit, with savepoints.

use crate::error::Error;
use crate::file::answer::answer_all;
use crate::file::group::{Group, meta, put_meta};
use crate::file::inbox::{Change, Inbox};
use crate::file::known::{Known, Staged};
use crate::file::queue::{Queue, Taken};
use crate::file::tail::{Tail, Terms};
use crate::file::tenants::{SEQUENCE_LAST, TENANT_LAST, leftovers};
use crate::file::unit::Prepared;
use crate::file::{Job, Reply, Shared, Task, open};
use crate::options::{Options, SyncMode};
use crate::{codec, rows, sql};
use caxton_core::{ConversationId, TenantId, Timestamp};
use caxton_engine::port::StoreError;
use caxton_engine::port::store::Committed;
use rusqlite::{Connection, TransactionBehavior, params};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The writer's state while its file is open.
pub(crate) struct Writer<'a> {
    pub(crate) conn: Connection,
    pub(super) known: Known,
    pub(crate) shared: &'a Shared,
    pub(crate) options: &'a Options,
    /// Commits that the disk may not have yet.
    unsynced: bool,
    /// A commit failed, and its frames may stand in the log behind those of the next.
    remains: bool,
}

/// A group this large says that many wait for each commit, and that they will be back.
const CROWD_UNITS: usize = 32;
/// How often and how long the writer waits for a crowd to be back before it commits for the first of
/// it: three times 100 us, a fraction of the sync that a second commit would cost everybody.
const GATHER_TRIES: u32 = 3;
const GATHER_WAIT: Duration = Duration::from_micros(100);

/// One group's units with those who wait for them.
type Units = Vec<(Prepared, Reply)>;
type Results = Vec<Result<Committed, StoreError>>;

/// Runs until the queue is closed and empty.
pub(super) fn run(shared: &Arc<Shared>, queue: &Queue<Job>, options: &Options) {
    let mut writer: Option<Writer<'_>> = None;
    let interval = match options.sync {
        SyncMode::Always => None,
        SyncMode::Interval(interval) => Some(interval),
    };
    let mut crowd = 0;
    let mut due = interval.map(|interval| std::time::Instant::now() + interval);
    loop {
        let unsynced = writer.as_ref().is_some_and(|writer| writer.unsynced);
        let left = |at: std::time::Instant| at.saturating_duration_since(std::time::Instant::now());
        let wait = due.filter(|_| unsynced).map(left);
        gather(queue, crowd);
        let jobs = match queue.take(options.group_units_max, wait) {
            Taken::Items(jobs) => jobs,
            Taken::Nothing => Vec::new(),
            Taken::Closed => break,
        };
        crowd = jobs.len();
        serve(&mut writer, jobs, shared, options);
        if let (Some(at), Some(writer)) = (due, &mut writer)
            && left(at) == Duration::ZERO
        {
            writer.sync();
            due = interval.map(|interval| std::time::Instant::now() + interval);
        }
    }
    if let Some(mut writer) = writer {
        writer.sync();
    }
}

/// After a large group everybody is answered at the same time, and the first who comes again must not
/// have a commit of its own while the others are on their way. Whoever is alone never waits.
fn gather(queue: &Queue<Job>, crowd: usize) {
    if crowd < CROWD_UNITS {
        return;
    }
    for _ in 0..GATHER_TRIES {
        if queue.len() >= crowd / 2 {
            return;
        }
        std::thread::sleep(GATHER_WAIT);
    }
}

/// Does the jobs in order; neighbouring units become one group.
fn serve<'a>(
    writer: &mut Option<Writer<'a>>,
    jobs: Vec<Job>,
    shared: &'a Shared,
    options: &'a Options,
) {
    let mut units = Units::new();
    for job in jobs {
        match job {
            Job::Commit(prepared, reply) => units.push((*prepared, reply)),
            Job::Task(task) => {
                commit(writer, std::mem::take(&mut units), shared, options);
                run_task(writer, task, shared, options);
            }
        }
    }
    commit(writer, units, shared, options);
}

fn opened<'w, 'a>(
    writer: &'w mut Option<Writer<'a>>,
    shared: &'a Shared,
    options: &'a Options,
) -> Result<&'w mut Writer<'a>, StoreError> {
    if writer.is_none() {
        *writer = Some(Writer::open(shared, options)?);
    }
    writer
        .as_mut()
        .ok_or_else(|| StoreError::Failed("the file is closed".to_owned()))
}

fn run_task<'a>(
    writer: &mut Option<Writer<'a>>,
    task: Task,
    shared: &'a Shared,
    options: &'a Options,
) {
    let ready = opened(writer, shared, options);
    if let Err(error) = &ready {
        shared.failed(error);
    }
    if task(ready) {
        *writer = None;
    }
}

/// Commits the group and answers everybody.
fn commit<'a>(
    writer: &mut Option<Writer<'a>>,
    units: Units,
    shared: &'a Shared,
    options: &'a Options,
) {
    if units.is_empty() {
        return;
    }
    let outcome = match opened(writer, shared, options) {
        Ok(ready) => ready.commit(&units).map_err(|error| error.of(&shared.path)),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(results) => {
            let (done, replies): (Vec<Prepared>, Vec<Reply>) = units.into_iter().unzip();
            answer_all(replies.into_iter().zip(results));
            drop(done);
        }
        Err(error) => {
            // The transaction is rolled back and the connection is kept, for the next commit writes
            // over what this one left in the log. To open the file anew would read the log anew and
            // bring back, whole, what was just refused because its sync had failed.
            let lost = writer
                .as_ref()
                .is_some_and(|writer| !writer.conn.is_autocommit());
            if lost || matches!(error, StoreError::Damaged(_)) {
                *writer = None;
            }
            if let Some(writer) = writer {
                writer.remains = true;
            }
            shared.failed(&error);
            let replies = units.into_iter().map(|(_, reply)| reply);
            answer_all(replies.map(|reply| (reply, Err(error.clone()))));
        }
    }
}

impl<'a> Writer<'a> {
    fn open(shared: &'a Shared, options: &'a Options) -> Result<Self, StoreError> {
        let conn = open::writer(&shared.path, options)?;
        let mut writer = Self {
            conn,
            known: Known::default(),
            shared,
            options,
            unsynced: false,
            remains: false,
        };
        writer.load().map_err(|error| error.of(&shared.path))?;
        shared.ready.store(true, Ordering::Release);
        Ok(writer)
    }

    /// Reads what the writer keeps in memory.
    fn load(&mut self) -> Result<(), Error> {
        let mut dedicated = Vec::new();
        let mut list = self.conn.prepare(sql::TENANT_LIST)?;
        let mut found = list.query([])?;
        while let Some(row) = found.next()? {
            let (number, name, apart): (i64, String, bool) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let id = rows::tenant_id(&name)?;
            if apart {
                dedicated.push(id.clone());
            }
            self.known.tenant_last = self.known.tenant_last.max(number);
            self.known.tenants.insert(id, number);
        }
        for left in leftovers(&self.conn)? {
            self.known.tenant_last = self.known.tenant_last.max(left.number);
            self.known.leftover.insert(left.number);
        }
        self.known.tenant_last = self.known.tenant_last.max(meta(&self.conn, TENANT_LAST)?);
        let newest: i64 = self
            .conn
            .query_row(sql::SYSTEM_SEQUENCE, [], |row| row.get(0))?;
        let sealed = meta(&self.conn, "sealed")?;
        self.known.seq = newest.max(sealed).max(meta(&self.conn, SEQUENCE_LAST)?);
        let tail = self.read_tail(sealed)?;
        *self.shared.tail.write() = tail;
        *self.shared.inbox.write() = self.read_inbox()?;
        *self.shared.tenants.write() = self.known.tenants.clone();
        *self.shared.dedicated.write() = dedicated.into_iter().collect();
        Ok(())
    }

    /// The tail as it was before the crash.
    fn read_tail(&self, sealed: i64) -> Result<Tail, Error> {
        let names: HashMap<i64, &TenantId> = self
            .known
            .tenants
            .iter()
            .map(|(name, number)| (*number, name))
            .collect();
        let mut tail = Tail::new(sealed.saturating_add(1));
        let mut statement = self.conn.prepare(sql::SYSTEM_TAIL)?;
        let mut found = statement.query([sealed])?;
        while let Some(row) = found.next()? {
            let (tenant, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
            if self.known.leftover.contains(&tenant) {
                tail.add(tenant, seq, &Terms::none());
                continue;
            }
            let name = names
                .get(&tenant)
                .ok_or(codec::Malformed("a message of no tenant"))?;
            let body = codec::read_body(rows::blob(row, 2)?, name)?;
            tail.add(tenant, seq, &Terms::of(&body.message));
        }
        Ok(tail)
    }

    /// The order by mailbox.
    fn read_inbox(&self) -> Result<Inbox, Error> {
        let names: HashMap<i64, &TenantId> = self
            .known
            .tenants
            .iter()
            .map(|(name, number)| (*number, name))
            .collect();
        let mut inbox = Inbox::default();
        let mut statement = self.conn.prepare(sql::SYSTEM_INBOX)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let tenant = row.get(0)?;
            if self.known.leftover.contains(&tenant) {
                continue;
            }
            let name = names
                .get(&tenant)
                .ok_or(codec::Malformed("a delivery of no tenant"))?;
            inbox.apply(Change::Add {
                tenant,
                mailbox: rows::mailbox(row, 2, name)?,
                seq: row.get(1)?,
                attempts: row.get(4)?,
            });
        }
        Ok(inbox)
    }

    /// One transaction for all; an error is of the file and so of everybody.
    fn commit(&mut self, units: &Units) -> Result<Results, Error> {
        match self.attempt(units, false) {
            Ok(results) => Ok(results),
            Err(error) if error.is_of_the_unit() => self.attempt(units, true),
            Err(error) => Err(error),
        }
    }

    fn attempt(&mut self, units: &Units, careful: bool) -> Result<Results, Error> {
        let tx = rusqlite::Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        let epoch = epoch(&tx, self.shared)?;
        // Only this thread writes it.
        let inbox = self.shared.inbox.read();
        let deliveries_max = self.options.deliveries_max;
        let mut group = Group::new(&tx, &self.known, &inbox, epoch, deliveries_max)?;
        let mut results = Results::new();
        for (prepared, _) in units {
            let result = if careful {
                apply_alone(&mut group, prepared)
            } else {
                group.apply(prepared)
            };
            results.push(match result {
                Ok(done) => Ok(done),
                Err(Error::Store(error @ (StoreError::Fenced | StoreError::Busy))) => Err(error),
                Err(error) if careful && error.is_of_the_unit() => {
                    Err(StoreError::Failed(error.to_string()))
                }
                Err(error) => return Err(error),
            });
        }
        group.write_conversations()?;
        let staged = group.finish();
        drop(inbox);
        let tail = self.shared.tail.read();
        let seals = tail.is_full();
        if seals {
            seal(&tx, &tail, self.known.seq)?;
        }
        drop(tail);
        tx.commit()?;
        self.committed(staged, seals, units.len());
        if self.remains {
            self.begin_log_anew();
        }
        Ok(results)
    }

    /// Has the next commit begin the log from its start, under another salt: whoever opens the file
    /// after a crash could take what failed commits have left behind for damage.
    #[cold]
    fn begin_log_anew(&mut self) {
        let pragma = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: Result<i64, _> = self.conn.query_row(pragma, [], |row| row.get(0));
        self.remains = !matches!(busy, Ok(0));
    }

    /// Makes known what is durable, before anybody is answered: who was answered reads it.
    fn committed(&mut self, mut staged: Staged, sealed: bool, units: usize) {
        let mut tail = self.shared.tail.write();
        if sealed {
            tail.sealed(self.known.seq.saturating_add(1));
        }
        for (tenant, seq, terms) in &staged.messages {
            tail.add(*tenant, *seq, terms);
        }
        drop(tail);
        if !staged.inbox.is_empty() {
            let mut inbox = self.shared.inbox.write();
            staged
                .inbox
                .drain(..)
                .for_each(|change| inbox.apply(change));
        }
        if !staged.tenants.is_empty() {
            let news = staged.tenants.clone();
            self.shared.tenants.write().extend(news);
        }
        self.known.keep(staged);
        self.shared.wrote(units);
        match self.options.sync {
            SyncMode::Always => self.shared.synced(),
            SyncMode::Interval(_) => self.unsynced = true,
        }
    }

    /// A change of the system's own, in a transaction of its own.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let tx = rusqlite::Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        let value = change(&tx)?;
        tx.commit()?;
        self.shared.wrote(0);
        match self.options.sync {
            SyncMode::Always => self.shared.synced(),
            SyncMode::Interval(_) => self.unsynced = true,
        }
        Ok(value)
    }

    /// Forgets summaries of conversations; says how many.
    pub(crate) fn forget_conversations(
        &mut self,
        home: &TenantId,
        before: Timestamp,
        rows_max: u32,
    ) -> Result<u32, Error> {
        let Some(tenant) = self.tenant_number(home) else {
            return Ok(0);
        };
        let (shared, after) = (self.shared, self.known.walks.remove(&tenant));
        let walked = self.change(|conn| {
            let ask = rows::Ask {
                conn,
                shared,
                tenant,
                home,
            };
            rows::forget_conversations(&ask, before, after, rows_max as usize)
        })?;
        if let Some(next) = walked.next {
            self.known.walks.insert(tenant, next);
        }
        let count = u32::try_from(walked.forgotten.len()).unwrap_or(u32::MAX);
        for id in walked.forgotten {
            self.known.forget_conversation(tenant, &id);
        }
        Ok(count)
    }

    /// Forgets what was said in a conversation; says how many messages that were.
    pub(crate) fn forget_conversation(
        &mut self,
        home: &TenantId,
        id: &ConversationId,
        rows_max: u32,
    ) -> Result<u32, Error> {
        let Some(tenant) = self.tenant_number(home) else {
            return Ok(0);
        };
        let shared = self.shared;
        // Somebody asked for it: the pages are overwritten and not only given back.
        self.conn.pragma_update(None, "secure_delete", true)?;
        let done = self.change(|conn| {
            let ask = rows::Ask {
                conn,
                shared,
                tenant,
                home,
            };
            rows::forget_conversation(&ask, id, rows_max)
        });
        self.conn.pragma_update(None, "secure_delete", false)?;
        let done = done?;
        if done.whole {
            self.known.forget_conversation(tenant, id);
        }
        Ok(done.messages)
    }

    /// Raises the epoch and returns it.
    pub(crate) fn begin_epoch(&mut self) -> Result<u64, Error> {
        let epoch = self.change(|conn| {
            let next = meta(conn, "epoch")?.saturating_add(1);
            put_meta(conn, "epoch", next)?;
            Ok(next)
        })?;
        let epoch = u64::try_from(epoch).unwrap_or(0);
        self.shared.epoch_floor.fetch_max(epoch, Ordering::SeqCst);
        Ok(epoch)
    }

    /// With `interval`: brings to the disk what the operating system has.
    fn sync(&mut self) {
        if !self.unsynced {
            return;
        }
        let log = self.shared.log_path();
        match std::fs::File::open(&log).and_then(|file| file.sync_data()) {
            Ok(()) => {
                self.unsynced = false;
                self.shared.synced();
            }
            Err(error) => self.shared.failed(&crate::error::io("sync", &log, &error)),
        }
    }
}

/// The database's epoch, raised to what this process has begun: a dedicated file may have been closed
/// when the server took over.
fn epoch(conn: &Connection, shared: &Shared) -> Result<u64, Error> {
    let kept = u64::try_from(meta(conn, "epoch")?).unwrap_or(0);
    let floor = shared.epoch_floor.load(Ordering::SeqCst);
    if kept < floor {
        put_meta(conn, "epoch", i64::try_from(floor).unwrap_or(i64::MAX))?;
    }
    Ok(kept.max(floor))
}

fn apply_alone(group: &mut Group<'_>, prepared: &Prepared) -> Result<Committed, Error> {
    let before = group.staged.clone();
    group.conn().execute_batch("SAVEPOINT unit")?;
    let result = group.apply(prepared);
    if result.is_err() {
        group.conn().execute_batch("ROLLBACK TO unit")?;
        group.staged = before;
    }
    group.conn().execute_batch("RELEASE unit")?;
    result
}

/// Writes the tail as rows: all messages up to `newest` are listed then.
pub(super) fn seal(conn: &Connection, tail: &Tail, newest: i64) -> Result<(), Error> {
    let mut put = conn.prepare_cached(sql::SEGMENT_PUT)?;
    for segment in tail.seal() {
        put.execute(params![
            segment.tenant,
            segment.seq_first,
            segment.seq_last,
            segment.traces,
            segment.conversations,
            segment.agents,
        ])?;
    }
    put_meta(conn, "sealed", newest)
}
