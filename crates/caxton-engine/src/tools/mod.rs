//! Tools: which there are, who may call them, and what is written of it.
//!
//! A call is decided upon by `core::tool::permit`, waits for a person where one must agree, is carried
//! out by an adapter ([`crate::port::tool`]), and stands in the log whatever became of it. The way in is
//! [`crate::host::Host`], for wasm agents and assistants alike; nothing that a model reads is asked.

mod answer;
mod call;
mod log;
mod meters;
mod policy;
mod prepare;
mod registry;
mod schema;

pub use crate::approvals::{Approval, ApprovalState, Decision};
pub use crate::workspace::{CANVAS, CANVAS_FOLDER, FILES, File, FileView};
pub use call::{Done, Prepared};
pub use log::{CallFilter, ToolCallRecord, ToolOutcome};
pub use meters::ToolMeters;
pub use policy::ToolPolicy;
pub use prepare::{OfferedTool, ToolAsk, ToolSide};
pub use registry::{FunctionState, FunctionView, NewTool, OperatorTool, ToolView};

pub(crate) use log::{CallId, Log};
pub(crate) use policy::Policies;
pub(crate) use prepare::Caller;
pub(crate) use registry::{KeptTool, Registry};

use crate::approvals::Approvals;
use crate::audit::Audit;
use crate::breakers::{Admitted, Breakers, Thing};
use crate::documents::Documents;
use crate::limits::Quotas;
use crate::port::tool::Executors;
use crate::port::{Clock, Secrets, Store};
use crate::task::Tasks;
use crate::turn::Turns;
use crate::workspace::Workspaces;
use caxton_core::TenantId;
use caxton_core::error::{Code, Error};
use caxton_core::session::SessionId;
use caxton_core::tool::ToolName;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Bounds of tools, and what the operator gives.
#[derive(Clone, Debug)]
pub struct ToolOptions {
    /// Tools of the server's operator, for all tenants.
    pub operators: Vec<OperatorTool>,
    /// Calls on their way at a time, all tenants together.
    pub calls_max: usize,
    /// Calls of one tenant on their way at a time.
    pub calls_per_tenant_max: usize,
}

impl Default for ToolOptions {
    fn default() -> Self {
        Self {
            operators: Vec::new(),
            calls_max: 4_096,
            calls_per_tenant_max: 256,
        }
    }
}

/// The tools of a server.
pub(crate) struct Tools {
    pub(crate) registry: Registry,
    pub(crate) policies: Arc<Policies>,
    pub(crate) approvals: Approvals,
    pub(crate) log: Log,
    pub(crate) workspaces: Workspaces,
    audit: Arc<Audit>,
    quotas: Arc<Quotas>,
    breakers: Arc<Breakers>,
    /// What assistants that are asked as tools took.
    turns: Arc<Turns>,
    clock: Arc<dyn Clock>,
    meters: ToolMeters,
    options: ToolOptions,
    /// Calls on their way, by tenant.
    places: Mutex<HashMap<TenantId, usize>>,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tools")
    }
}

/// The workspace of a session.
pub(crate) fn workspace_of(session: &SessionId) -> String {
    format!("s/{session}")
}

/// What [`Tools`] is built from.
pub(crate) struct ToolParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) documents: Documents,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) executors: Executors,
    pub(crate) tasks: Tasks,
    pub(crate) meters: ToolMeters,
    pub(crate) options: ToolOptions,
}

/// A call on its way; gone, it is not counted any more.
struct PlaceOf<'a> {
    tools: &'a Tools,
    tenant: TenantId,
}

impl Drop for PlaceOf<'_> {
    fn drop(&mut self) {
        let mut places = self.tools.places.lock();
        if let Some(now) = places.get_mut(&self.tenant) {
            *now -= 1;
            if *now == 0 {
                places.remove(&self.tenant);
            }
        }
    }
}

impl Tools {
    pub(crate) fn new(parts: ToolParts, turns: Arc<Turns>) -> Self {
        let (documents, clock) = (parts.documents, parts.clock);
        let policies = Arc::new(Policies::new(documents.clone()));
        Self {
            registry: Registry::new(
                documents.clone(),
                parts.store,
                parts.secrets,
                Arc::clone(&clock),
                parts.executors,
                &parts.options.operators,
                Arc::clone(&policies),
            ),
            policies,
            approvals: Approvals::new(
                documents.clone(),
                Arc::clone(&clock),
                parts.tasks,
                parts.meters.clone(),
            ),
            log: Log::new(documents.clone(), parts.meters.clone()),
            workspaces: Workspaces::new(documents, Arc::clone(&clock)),
            audit: parts.audit,
            quotas: parts.quotas,
            breakers: parts.breakers,
            turns,
            clock,
            meters: parts.meters,
            options: parts.options,
            places: Mutex::default(),
        }
    }

    /// A place among the calls on their way. Errors: `CX-8016`.
    fn place(&self, tenant: &TenantId) -> Result<PlaceOf<'_>, Error> {
        let mut places = self.places.lock();
        let all: usize = places.values().sum();
        let own = places.get(tenant).copied().unwrap_or(0);
        if all >= self.options.calls_max || own >= self.options.calls_per_tenant_max {
            let detail = format!("{own} calls of the tenant are on their way, {all} in all");
            return Err(Error::new(Code::ToolLimit, detail));
        }
        *places.entry(tenant.clone()).or_default() += 1;
        Ok(PlaceOf {
            tools: self,
            tenant: tenant.clone(),
        })
    }

    /// Leave to call a tool that is elsewhere. Errors: `CX-8017`, with the time to wait.
    fn admit(&self, tenant: &TenantId, name: &ToolName) -> Result<Admitted, Error> {
        let admitted = self.breakers.admit(Thing::of_tool(tenant, name));
        admitted.map_err(|left_alone| {
            let detail = format!(
                "the last calls of {name} failed one after another; it is tried again at {}",
                left_alone.retry_at
            );
            Error::new(Code::ToolLeftAlone, detail).retry_after(left_alone.wait)
        })
    }

    /// Counts a call that is over.
    fn told(&self, record: &ToolCallRecord) {
        let outcome = record.outcome.as_str();
        self.meters.ended(record.kind, outcome, record.duration_us);
        tracing::debug!(
            tool = %record.tool, outcome, micros = record.duration_us, trace_id = %record.trace_id,
            "tool call"
        );
    }

    /// What is kept for a workspace besides its files goes with it: its browser, say.
    pub(crate) fn close(&self, tenant: &TenantId, workspace: &str) {
        self.registry.close(tenant, workspace);
    }

    /// Forgets a tenant that goes.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.registry.forget(tenant);
        self.policies.forget(tenant);
        self.log.forget(tenant);
    }
}
