//! Calls that a person must agree to. An approval is of exactly one call: its function as it is
//! described, and its arguments. It is kept, so that whoever decides may do so after a restart, and
//! the call that waits goes on then.

use crate::documents::{self, Document, Documents};
use crate::opctx::TenantScope;
use crate::port::Clock;
use crate::port::store::{Page, PageRequest, RecordKind};
use crate::task::Tasks;
use crate::tools::{CallId, ToolMeters};
use caxton_core::error::{Code, Error, shown};
use caxton_core::session::TurnId;
use caxton_core::tool::{Definition, Function, ToolId, canonical};
use caxton_core::{AgentName, Digest, TenantId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Notify;

/// Pages looked through for one page of a filtered list.
const SCAN_PAGES_MAX: u32 = 50;
/// Approvals forgotten in one commit.
const FORGET_ROWS: u32 = 200;
/// Calls of one tenant that may wait for a person at a time.
const WAITING_MAX: usize = 1_000;
/// Longest note of whoever decides, in bytes.
const NOTE_BYTES_MAX: usize = 4_000;

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    Pending,
    Approved,
    Denied,
    Expired,
    /// The call was given up before anybody decided.
    Withdrawn,
}

impl ApprovalState {
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Withdrawn,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// An approval, as kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// That of the call.
    pub id: String,
    pub tool: ToolId,
    pub agent: AgentName,
    pub session: Option<String>,
    pub turn: Option<TurnId>,
    /// What is to be agreed to, without what its schema calls secret.
    pub arguments: Value,
    /// Of the function as it is described and the very arguments: what is agreed to.
    pub digest: Digest,
    pub state: ApprovalState,
    pub created: Timestamp,
    pub expires: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Document for Approval {
    const KIND: RecordKind = RecordKind("approval");
}

/// That an approval is pending: what waits is found without looking through what is decided.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    id: String,
}

impl Document for Pending {
    const KIND: RecordKind = RecordKind("approval-pending");
}

/// What a person says.
#[derive(Clone, Debug)]
pub struct Decision {
    pub approve: bool,
    pub note: String,
    /// The digest that was shown to whoever decides; another call's is refused.
    pub digest: Option<Digest>,
}

/// What is agreed to, in short.
fn digest(
    tool: &ToolId,
    function: &Function,
    definition: Option<&Definition>,
    arguments: &Value,
) -> Digest {
    let said = json!([
        tool.to_string(),
        function.fingerprint().to_string(),
        arguments,
        definition,
    ]);
    Digest::of(canonical(&said).as_bytes())
}

pub(crate) struct Approvals {
    documents: Documents,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    waiting: Mutex<HashMap<(TenantId, String), Arc<Notify>>>,
    /// Held while one is decided, so that it is decided once.
    deciding: tokio::sync::Mutex<()>,
    meters: ToolMeters,
}

impl fmt::Debug for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Approvals")
    }
}

/// A call that waits; gone, it is not counted any more.
struct Place<'a> {
    approvals: &'a Approvals,
    place: (TenantId, String),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.approvals.waiting.lock().remove(&self.place);
        self.approvals.meters.approvals_now.dec();
    }
}

impl Approvals {
    pub(crate) fn new(
        documents: Documents,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        meters: ToolMeters,
    ) -> Self {
        Self {
            documents,
            clock,
            tasks,
            waiting: Mutex::default(),
            deciding: tokio::sync::Mutex::default(),
            meters,
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "approvals")
    }

    /// Asks for one; the one that was asked for before a restart is found again. Errors: `CX-8024`
    /// where that is of another call, `CX-8016` where too many wait.
    pub(crate) async fn ask(&self, tenant: &TenantId, asked: Approval) -> Result<Approval, Error> {
        let scope = Self::scope(tenant);
        if let Some(known) = self.documents.get::<Approval>(&scope, &asked.id).await? {
            if known.digest != asked.digest {
                let detail = format!("approval {} is of another call", known.id);
                return Err(Error::new(Code::ApprovalMismatch, detail));
            }
            return Ok(known);
        }
        let now = {
            let waiting = self.waiting.lock();
            waiting.keys().filter(|(of, _)| of == tenant).count()
        };
        if now >= WAITING_MAX {
            let detail = format!("{WAITING_MAX} calls of the tenant wait for an approval");
            return Err(Error::new(Code::ToolLimit, detail));
        }
        let pending = Pending {
            id: asked.id.clone(),
        };
        let ops = vec![
            documents::put(&asked.id, &asked)?,
            documents::put(&asked.id, &pending)?,
        ];
        self.documents.commit(&scope, ops).await?;
        Ok(asked)
    }

    /// Waits until somebody decided, or it expired.
    pub(crate) async fn wait(&self, tenant: &TenantId, id: &str) -> Result<Approval, Error> {
        let place = (tenant.clone(), id.to_owned());
        let told = Arc::new(Notify::new());
        self.waiting.lock().insert(place.clone(), Arc::clone(&told));
        self.meters.approvals_now.inc();
        let _place = Place {
            approvals: self,
            place,
        };
        loop {
            let mut news = std::pin::pin!(told.notified());
            news.as_mut().enable();
            let approval = self.find(&Self::scope(tenant), id).await?;
            if approval.state != ApprovalState::Pending {
                return Ok(approval);
            }
            tokio::select! {
                () = news => {}
                () = self.tasks.stopped() => {
                    return Err(Error::new(Code::Draining, "the server is shutting down"));
                }
                () = self.clock.sleep_until(approval.expires) => {
                    return self.end(tenant, id, ApprovalState::Expired).await;
                }
            }
        }
    }

    /// The call is given up.
    pub(crate) async fn withdraw(&self, tenant: &TenantId, id: &str) -> Result<Approval, Error> {
        self.end(tenant, id, ApprovalState::Withdrawn).await
    }

    async fn end(
        &self,
        tenant: &TenantId,
        id: &str,
        state: ApprovalState,
    ) -> Result<Approval, Error> {
        let _one = self.deciding.lock().await;
        let scope = Self::scope(tenant);
        let mut approval = self.find(&scope, id).await?;
        if approval.state == ApprovalState::Pending {
            approval.state = state;
            approval.decided = Some(self.clock.now());
            self.decided(&scope, &approval).await?;
        }
        Ok(approval)
    }

    async fn decided(&self, scope: &TenantScope, approval: &Approval) -> Result<(), Error> {
        let ops = vec![
            documents::put(&approval.id, approval)?,
            documents::remove::<Pending>(&approval.id),
        ];
        self.documents.commit(scope, ops).await
    }

    /// Decides. Errors: `CX-8020`, `CX-8023`, `CX-8024`.
    pub(crate) async fn decide(
        &self,
        scope: &TenantScope,
        id: &str,
        decision: Decision,
        by: String,
    ) -> Result<Approval, Error> {
        let _one = self.deciding.lock().await;
        let mut approval = self.find(scope, id).await?;
        let now = self.clock.now();
        if approval.state == ApprovalState::Pending && now >= approval.expires {
            approval.state = ApprovalState::Expired;
        }
        if approval.state != ApprovalState::Pending {
            let detail = format!("approval {id} is {}", approval.state.as_str());
            return Err(Error::new(Code::ApprovalDecided, detail));
        }
        if decision
            .digest
            .is_some_and(|digest| digest != approval.digest)
        {
            let detail = format!(
                "approval {id} is of a call with the digest {}",
                approval.digest
            );
            return Err(Error::new(Code::ApprovalMismatch, detail));
        }
        approval.state = match decision.approve {
            true => ApprovalState::Approved,
            false => ApprovalState::Denied,
        };
        let end = decision.note.floor_char_boundary(NOTE_BYTES_MAX);
        approval.note = decision.note.get(..end).unwrap_or_default().to_owned();
        approval.decided = Some(now);
        approval.decided_by = Some(by);
        self.decided(scope, &approval).await?;
        let place = (scope.tenant().clone(), id.to_owned());
        if let Some(told) = self.waiting.lock().get(&place) {
            told.notify_one();
        }
        #[allow(clippy::cast_precision_loss)]
        let seconds = now.since(approval.created).as_secs_f64();
        self.meters.approval_seconds.observe(seconds);
        Ok(approval)
    }

    /// Errors: `CX-8020`.
    pub(crate) async fn find(&self, scope: &TenantScope, id: &str) -> Result<Approval, Error> {
        let found = self.documents.get(scope, id).await?;
        found.ok_or_else(|| {
            let detail = format!("there is no approval {}", shown(id));
            Error::new(Code::ApprovalNotFound, detail)
        })
    }

    /// Oldest first; those in a state where one is named.
    pub(crate) async fn list(
        &self,
        scope: &TenantScope,
        state: Option<ApprovalState>,
        asked: &PageRequest,
    ) -> Result<Page<Approval>, Error> {
        if state == Some(ApprovalState::Pending) {
            let page = self.documents.list::<Pending>(scope, "", asked).await?;
            let mut rows = Vec::with_capacity(page.rows.len());
            for pending in &page.rows {
                rows.push(self.find(scope, &pending.id).await?);
            }
            return Ok(Page {
                rows,
                next: page.next,
            });
        }
        let mut asked = asked.clone();
        for _ in 0..SCAN_PAGES_MAX {
            let mut page = self.documents.list::<Approval>(scope, "", &asked).await?;
            page.rows
                .retain(|it| state.is_none_or(|state| it.state == state));
            if !page.rows.is_empty() || page.next.is_none() {
                return Ok(page);
            }
            asked.token = page.next;
        }
        Ok(Page {
            rows: Vec::new(),
            next: asked.token,
        })
    }

    /// Forgets what was asked for before a time and has expired; `true`: there may be more.
    pub(crate) async fn forget_before(
        &self,
        scope: &TenantScope,
        before: Timestamp,
    ) -> Result<bool, Error> {
        let first = PageRequest::first(FORGET_ROWS);
        let page = self.documents.list::<Approval>(scope, "", &first).await?;
        let old = page.rows.iter();
        let old = old.filter(|it| it.created < before && it.expires < before);
        let ops: Vec<_> = old
            .flat_map(|it| {
                [
                    documents::remove::<Approval>(&it.id),
                    documents::remove::<Pending>(&it.id),
                ]
            })
            .collect();
        if ops.is_empty() {
            return Ok(false);
        }
        self.documents.commit(scope, ops).await?;
        Ok(true)
    }
}

/// What is to be asked for a call.
pub(crate) struct Asking<'a> {
    pub(crate) id: CallId,
    pub(crate) tool: &'a ToolId,
    pub(crate) function: &'a Function,
    /// Where the call goes.
    pub(crate) definition: Option<&'a Definition>,
    pub(crate) arguments: &'a Value,
    pub(crate) shown: Value,
    pub(crate) agent: AgentName,
    pub(crate) session: Option<String>,
    pub(crate) turn: Option<TurnId>,
    pub(crate) now: Timestamp,
    pub(crate) timeout: std::time::Duration,
}

impl Asking<'_> {
    pub(crate) fn approval(self) -> Approval {
        Approval {
            id: self.id.to_string(),
            digest: digest(self.tool, self.function, self.definition, self.arguments),
            tool: self.tool.clone(),
            agent: self.agent,
            session: self.session,
            turn: self.turn,
            arguments: self.shown,
            state: ApprovalState::Pending,
            created: self.now,
            expires: self.now.plus(self.timeout),
            decided: None,
            decided_by: None,
            note: String::new(),
        }
    }
}
