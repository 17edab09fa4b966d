//! The audit: every administrative act, every denial, and every access of the platform to a tenant's
//! data, appended to the tenant's chain (`caxton_core::audit`) before it takes effect.
//!
//! An act that cannot be written down is refused (`CX-4020`). A tenant's chain is its own to read and
//! to check; what the platform does in a tenant stands in the tenant's chain, what it does to tenants
//! and to itself in the platform's.

mod options;
mod person;
mod read;
mod reports;
mod retention;
mod signer;
mod trim;

pub use options::{AuditOptions, RETENTION_MIN};
pub use read::{AuditExport, AuditFilter, AuditRow};
pub use reports::{REPORT_EVERY_MIN, ReportKeeper, ReportName, Reports};
pub use signer::{Signer, check_signature};

use crate::documents::{Document, Documents};
use crate::opctx::{OpCtx, TenantScope};
use crate::port::store::{LogName, LogRange, Op, RecordKind};
use crate::port::{Clock, Entropy, Store};
use caxton_core::audit::{Entry, Event, Head, Outcome, Signed};
use caxton_core::error::{Code, Error};
use caxton_core::grant::Principal;
use caxton_core::{AgentId, Epoch, TenantId, Timestamp, TraceContext};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// The log that a chain is kept in.
const LOG: LogName = LogName::of("audit");
/// Chains whose ends are at hand.
const CHAINS_AT_HAND_MAX: usize = 4096;
/// Longest target of an entry, in bytes; the rest is cut.
const TARGET_BYTES_MAX: usize = 512;
/// Times an entry is tried again because another one took its place.
const TRIES_MAX: usize = 3;
/// How far a clock may go back and the order of times still be kept: an entry then has the time of the
/// one before it. Past it the clock was set on purpose, and is believed.
const CLOCK_BACK_MAX: Duration = Duration::from_secs(3600);

/// Where a chain begins that older entries were let go of.
#[derive(Debug, Serialize, Deserialize)]
struct Root {
    signed: Signed,
}

impl Document for Root {
    const KIND: RecordKind = RecordKind("audit-root");
}

/// The end of a chain, and the time of its last entry.
#[derive(Clone, Copy, Debug)]
struct End {
    head: Head,
    time: Timestamp,
}

impl End {
    fn of(entry: &Entry) -> Self {
        Self {
            head: entry.head(),
            time: entry.event.time,
        }
    }

    /// The time of what comes next. Times grow with sequences, or no time could be searched for.
    fn next_time(&self, now: Timestamp) -> Timestamp {
        match self.time.since(now) <= CLOCK_BACK_MAX {
            true => now.max(self.time),
            false => now,
        }
    }
}

/// The end of a tenant's chain, once it is known.
type Chain = Arc<Mutex<Option<End>>>;

/// The audit. One a server.
pub(crate) struct Audit {
    store: Arc<dyn Store>,
    documents: Documents,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    signer: Signer,
    chains: Cache<TenantId, Chain>,
    /// The time of each chain's first entry, as far as retention has looked.
    oldest: Cache<TenantId, Timestamp>,
    /// Held while entries are let go: of two at a time the later would leave the earlier's root.
    trimming: Mutex<()>,
    /// Held while a pseudonym is made: a tenant's first two people must not get a salt each.
    naming: Mutex<()>,
    failing: AtomicBool,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit")
    }
}

/// What is to be written down of an act.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// `noun.verb`, or an operation's full name.
    pub action: &'a str,
    /// Upon what.
    pub target: String,
    pub outcome: Outcome,
    pub code: Option<Code>,
}

impl<'a> Act<'a> {
    pub fn permitted(action: &'a str, target: impl Into<String>) -> Self {
        Self {
            action,
            target: target.into(),
            outcome: Outcome::Permitted,
            code: None,
        }
    }

    pub fn denied(action: &'a str, target: impl Into<String>, code: Code) -> Self {
        Self {
            outcome: Outcome::Denied,
            code: Some(code),
            ..Self::permitted(action, target)
        }
    }
}

fn unwritten(tenant: &TenantId, error: &Error) -> Error {
    tracing::error!(%tenant, %error, "the audit cannot be written");
    let detail = format!("the audit cannot be written: {}", error.detail);
    Error::new(Code::AuditUnavailable, detail)
}

impl Audit {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        epoch: Epoch,
        signer: Signer,
    ) -> Self {
        Self {
            documents: Documents::new(Arc::clone(&store), epoch),
            store,
            clock,
            entropy,
            signer,
            chains: Cache::new(CHAINS_AT_HAND_MAX),
            oldest: Cache::new(retention::CHAINS_KNOWN_MAX),
            trimming: Mutex::new(()),
            naming: Mutex::new(()),
            failing: AtomicBool::new(false),
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "audit")
    }

    /// Appends an act of the context's principal to a tenant's chain. When this returns it is on disk.
    ///
    /// Errors: `CX-4020` it could not be written; whatever it was about must not happen then.
    pub(crate) async fn note(
        &self,
        ctx: &OpCtx,
        tenant: &TenantId,
        act: Act<'_>,
    ) -> Result<(), Error> {
        let wrote = self.try_note(ctx, tenant, act).await;
        self.told(tenant, wrote)
    }

    /// Appends what an agent did, or was denied, of its own accord.
    ///
    /// Errors: as [`Self::note`].
    pub(crate) async fn note_agent(
        &self,
        agent: &AgentId,
        trace: &TraceContext,
        act: Act<'_>,
    ) -> Result<(), Error> {
        let actor = format!("agent:{}", agent.name);
        let trace = trace.trace_id_hex();
        let wrote = self.enter(&agent.tenant, actor, String::new(), trace, act);
        self.told(&agent.tenant, wrote.await)
    }

    /// Appends what the server did of itself; `task` says which part of it.
    ///
    /// Errors: as [`Self::note`].
    pub(crate) async fn note_system(
        &self,
        tenant: &TenantId,
        task: &'static str,
        act: Act<'_>,
    ) -> Result<(), Error> {
        let actor = Principal::System { task }.to_string();
        let wrote = self.enter(tenant, actor, String::new(), String::new(), act);
        self.told(tenant, wrote.await)
    }

    /// Whether the last entry of whomever could not be written.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    fn told(&self, tenant: &TenantId, wrote: Result<(), Error>) -> Result<(), Error> {
        self.failing.store(wrote.is_err(), Ordering::Relaxed);
        wrote.map_err(|error| unwritten(tenant, &error))
    }

    async fn try_note(&self, ctx: &OpCtx, tenant: &TenantId, act: Act<'_>) -> Result<(), Error> {
        let actor = self.actor(&ctx.principal, tenant).await?;
        let behalf = behalf(&ctx.principal, tenant);
        let trace = ctx.trace.trace_id_hex();
        self.enter(tenant, actor, behalf, trace, act).await
    }

    async fn enter(
        &self,
        tenant: &TenantId,
        actor: String,
        behalf: String,
        trace_id: String,
        act: Act<'_>,
    ) -> Result<(), Error> {
        let mut target = act.target;
        let cut = (0..=TARGET_BYTES_MAX)
            .rev()
            .find(|at| target.is_char_boundary(*at));
        target.truncate(cut.unwrap_or(0));
        let mut event = Event {
            time: Timestamp::EPOCH,
            actor,
            behalf,
            action: act.action.to_owned(),
            target,
            outcome: act.outcome,
            code: act.code.map(|it| it.to_string()).unwrap_or_default(),
            trace_id,
        };
        let chain = self
            .chains
            .get_or_insert_with(tenant, || Ok::<_, Error>(Arc::new(Mutex::new(None))))?;
        // One at a time a chain: the next entry has this one's hash in it.
        let mut end = chain.lock().await;
        for tried in 1.. {
            let last = match *end {
                Some(last) => last,
                None => self.end(tenant).await?,
            };
            event.time = last.next_time(self.clock.now());
            let entry = last.head.next(tenant, event.clone());
            let wrote = self.append(tenant, &entry).await;
            match wrote {
                Ok(()) => {
                    *end = Some(End::of(&entry));
                    return Ok(());
                }
                // It may have been written all the same, and somebody else may have been faster:
                // what is there is read again.
                Err(error) => {
                    *end = None;
                    if self.is_there(tenant, &entry).await {
                        return Ok(());
                    }
                    if tried >= TRIES_MAX {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    async fn append(&self, tenant: &TenantId, entry: &Entry) -> Result<(), Error> {
        let body = serde_json::to_vec(entry)
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let put = Op::LogPut {
            log: LOG,
            index: entry.sequence,
            body: body.into(),
        };
        self.documents.commit(&Self::scope(tenant), vec![put]).await
    }

    async fn is_there(&self, tenant: &TenantId, entry: &Entry) -> bool {
        let one = LogRange {
            from: entry.sequence,
            before: entry.sequence + 1,
            newest_first: false,
        };
        let found = self.read(tenant, one, 1).await;
        found.is_ok_and(|found| found.first().is_some_and(|it| it.hash == entry.hash))
    }

    /// The end of a chain, as the store has it.
    async fn end(&self, tenant: &TenantId) -> Result<End, Error> {
        if let Some(last) = self.read(tenant, LogRange::NEWEST, 1).await?.first() {
            return Ok(End::of(last));
        }
        let time = Timestamp::EPOCH;
        let head = self.root(tenant).await?;
        Ok(End { head, time })
    }

    async fn head(&self, tenant: &TenantId) -> Result<Head, Error> {
        Ok(self.end(tenant).await?.head)
    }

    /// What the first entry there is follows.
    async fn root(&self, tenant: &TenantId) -> Result<Head, Error> {
        let root: Option<Root> = self.documents.get(&Self::scope(tenant), "").await?;
        Ok(root.map_or(Head::EMPTY, |root| root.signed.head()))
    }

    async fn read(
        &self,
        tenant: &TenantId,
        range: LogRange,
        rows_max: u32,
    ) -> Result<Vec<Entry>, Error> {
        let found = self.store.log(&Self::scope(tenant), &LOG, range, rows_max);
        let found = found.await?;
        let entry = |(index, body): (u64, bytes::Bytes)| {
            serde_json::from_slice(&body).map_err(|error| {
                let detail = format!("audit entry {index} of {tenant}: {error}");
                Error::new(Code::StorageDamaged, detail)
            })
        };
        found.into_iter().map(entry).collect()
    }

    fn sign(&self, tenant: &TenantId, head: Head) -> Signed {
        self.signer.sign(tenant, head)
    }

    /// The signed end of a chain: what an auditor writes down to ask for later.
    pub(crate) async fn signed_head(&self, tenant: &TenantId) -> Result<Signed, Error> {
        Ok(self.sign(tenant, self.head(tenant).await?))
    }
}

/// On whose behalf an act is: the platform does nothing in a tenant that is not for the tenant.
fn behalf(principal: &Principal, tenant: &TenantId) -> String {
    match is_foreign(principal, tenant) && !tenant.is_platform() {
        true => format!("tenant:{tenant}"),
        false => String::new(),
    }
}

/// Whether the platform looks into a tenant that is not the operator's own.
pub fn is_foreign(principal: &Principal, tenant: &TenantId) -> bool {
    let platforms = matches!(principal, Principal::Member(it) if it.tenant.is_platform());
    platforms && *tenant != TenantId::default_tenant()
}
