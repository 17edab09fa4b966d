//! The audit: every administrative act, every denial, and every access of the platform to a tenant's
//! data, appended to the tenant's chain (`caxton_core::audit`) before it takes effect.
//!
//! An act that cannot be written down is refused (`CX-4020`). A tenant's chain is its own to read and
//! to check; what the platform does in a tenant stands in the tenant's chain, what it does to tenants
//! and to itself in the platform's.

mod person;
mod read;
mod signer;

pub use read::{AuditExport, AuditFilter, AuditRow};
pub use signer::{Signer, check_signature};

use crate::documents::{self, Document, Documents};
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
use tokio::sync::Mutex;

/// The log that a chain is kept in.
const LOG: LogName = LogName::of("audit");
/// Chains whose ends are at hand.
const CHAINS_AT_HAND_MAX: usize = 4096;
/// Longest target of an entry, in bytes; the rest is cut.
const TARGET_BYTES_MAX: usize = 512;
/// Times an entry is tried again because another one took its place.
const TRIES_MAX: usize = 3;

/// Where a chain begins that older entries were let go of.
#[derive(Debug, Serialize, Deserialize)]
struct Root {
    signed: Signed,
}

impl Document for Root {
    const KIND: RecordKind = RecordKind("audit-root");
}

/// The end of a tenant's chain, once it is known.
type Chain = Arc<Mutex<Option<Head>>>;

/// The audit. One a server.
pub(crate) struct Audit {
    store: Arc<dyn Store>,
    documents: Documents,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    signer: Signer,
    chains: Cache<TenantId, Chain>,
    /// Held while a pseudonym is made: a tenant's first two people must not get a salt each.
    naming: Mutex<()>,
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
            naming: Mutex::new(()),
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
        wrote.map_err(|error| unwritten(tenant, &error))
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
        wrote
            .await
            .map_err(|error| unwritten(&agent.tenant, &error))
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
        let event = Event {
            time: self.clock.now(),
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
            let head = match *end {
                Some(head) => head,
                None => self.head(tenant).await?,
            };
            let entry = head.next(tenant, event.clone());
            let wrote = self.append(tenant, &entry).await;
            match wrote {
                Ok(()) => {
                    *end = Some(entry.head());
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
    async fn head(&self, tenant: &TenantId) -> Result<Head, Error> {
        if let Some(last) = self.read(tenant, LogRange::NEWEST, 1).await?.first() {
            return Ok(last.head());
        }
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

    /// Lets go of entries older than `before`, whatever they are; a signed root stays, and what
    /// follows it can still be checked. Answers how many went.
    pub(crate) async fn trim(&self, tenant: &TenantId, before: Timestamp) -> Result<u64, Error> {
        let scope = Self::scope(tenant);
        let Some((first, last)) = self.older_than(tenant, before).await? else {
            return Ok(0);
        };
        let root = Root {
            signed: self.sign(tenant, last),
        };
        let ops = vec![
            documents::put("", &root)?,
            Op::LogTrim {
                log: LOG,
                before: last.sequence + 1,
            },
        ];
        self.documents.commit(&scope, ops).await?;
        Ok(last.sequence + 1 - first)
    }

    /// The first entry's sequence, and the last entry before a time.
    async fn older_than(
        &self,
        tenant: &TenantId,
        before: Timestamp,
    ) -> Result<Option<(u64, Head)>, Error> {
        let Some(first) = self.read(tenant, LogRange::ALL, 1).await?.first().cloned() else {
            return Ok(None);
        };
        let Some(newest) = self
            .read(tenant, LogRange::NEWEST, 1)
            .await?
            .first()
            .cloned()
        else {
            return Ok(None);
        };
        if first.event.time >= before {
            return Ok(None);
        }
        // Times grow with sequences: halve until the last one before is found.
        let (mut low, mut high) = (first.clone(), newest.sequence + 1);
        while high - low.sequence > 1 {
            let middle = low.sequence + (high - low.sequence) / 2;
            let one = LogRange {
                from: middle,
                before: middle + 1,
                newest_first: false,
            };
            match self.read(tenant, one, 1).await?.into_iter().next() {
                Some(entry) if entry.event.time < before => low = entry,
                _ => high = middle,
            }
        }
        Ok(Some((first.sequence, low.head())))
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
