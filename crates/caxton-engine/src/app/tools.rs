//! Tools: list, show, register, replace, remove, agree, try, and the log of their calls; the tenant's
//! policy; the files of a session.

use super::App;
use crate::breakers::{BreakerView, Thing};
use crate::opctx::{OpCtx, TenantScope};
use crate::port::page::{self, List, Position};
use crate::port::store::{PAGE_ROWS_MAX, Page, PageRequest};
use crate::port::tool::ToolAnswer;
use crate::tools::{
    CallFilter, CallId, Caller, File, FileView, NewTool, ToolAsk, ToolCallRecord, ToolPolicy,
    ToolSide, ToolView, workspace_of,
};
use caxton_core::AgentId;
use caxton_core::error::{Code, Error, shown};
use caxton_core::grant::Permission;
use caxton_core::session::SessionId;
use caxton_core::tool::{Rules, ToolId, ToolName};

use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The list that pages of files are of.
const FILES: &str = "workspace-file";
/// The longest that a tool that is tried may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a result that whoever tries a tool gets.
const TRY_BYTES_MAX: usize = 1 << 20;

/// A tool, tried by a person or called by a client of the Model Context Protocol.
#[derive(Clone, Debug)]
pub struct TryCall {
    pub id: ToolId,
    pub arguments: Value,
    /// Whose workspace it has; none: one of the caller's own.
    pub session: Option<SessionId>,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct ToolCallDone {
    pub record: ToolCallRecord,
    pub answer: ToolAnswer,
}

impl App {
    /// The tenant's own, by name; then those of the server.
    pub async fn tool_list(
        &self,
        ctx: &OpCtx,
        page: &PageRequest,
    ) -> Result<Page<ToolView>, Error> {
        let scope = ctx.authorize(Permission::ToolRead)?;
        let registry = &self.shared.services.tools.registry;
        let others = registry.servers(scope.tenant()).await?;
        let own = registry.list(&scope, page);
        page::followed_by("tool", &scope, page, others, own).await
    }

    /// Errors: `CX-8001`.
    pub async fn tool_show(&self, ctx: &OpCtx, name: &ToolName) -> Result<ToolView, Error> {
        let scope = ctx.authorize(Permission::ToolRead)?;
        let registry = &self.shared.services.tools.registry;
        registry.show(scope.tenant(), name).await
    }

    /// How a tool's circuit breaker stands; that of one which is not there, or runs in this process, is
    /// closed.
    pub fn tool_breaker(&self, ctx: &OpCtx, name: &ToolName) -> Result<BreakerView, Error> {
        let scope = ctx.authorize(Permission::ToolRead)?;
        let thing = Thing::of_tool(scope.tenant(), name);
        Ok(self.shared.services.breakers.view(&thing))
    }

    /// Registers a tool. Its functions are agreed to as it describes them now. Errors: `CX-8002`,
    /// `CX-8004`, `CX-8005`, and what keeps it from describing itself.
    pub async fn tool_register(&self, ctx: &OpCtx, tool: NewTool) -> Result<ToolView, Error> {
        self.tool_set(ctx, tool, false).await
    }

    /// Replaces a tool; a new address never gets the secret of the old one. Errors: `CX-8001`,
    /// `CX-8002`.
    pub async fn tool_replace(&self, ctx: &OpCtx, tool: NewTool) -> Result<ToolView, Error> {
        self.tool_set(ctx, tool, true).await
    }

    async fn tool_set(&self, ctx: &OpCtx, tool: NewTool, replace: bool) -> Result<ToolView, Error> {
        let scope = ctx.authorize(Permission::ToolWrite)?;
        let action = match replace {
            true => "tool.replace",
            false => "tool.register",
        };
        let target = format!("tools/{}", tool.name);
        let work = self
            .shared
            .services
            .tools
            .registry
            .set(&scope, tool, replace);
        let set = self.act(ctx, scope.tenant(), action, target, work).await?;
        self.forget_ills_of_tool(&scope, &set.name);
        Ok(set)
    }

    /// It is gone, or another now.
    fn forget_ills_of_tool(&self, scope: &TenantScope, name: &ToolName) {
        let thing = Thing::of_tool(scope.tenant(), name);
        self.shared.services.breakers.forget_thing(&thing);
    }

    /// Errors: `CX-8001`.
    pub async fn tool_remove(&self, ctx: &OpCtx, name: &ToolName) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::ToolWrite)?;
        let target = format!("tools/{name}");
        let work = self.shared.services.tools.registry.remove(&scope, name);
        self.act(ctx, scope.tenant(), "tool.remove", target, work)
            .await?;
        self.forget_ills_of_tool(&scope, name);
        Ok(())
    }

    /// Asks a tool again what it offers. Errors: `CX-8001`, `CX-8008`.
    pub async fn tool_refresh(&self, ctx: &OpCtx, name: &ToolName) -> Result<ToolView, Error> {
        let scope = ctx.authorize(Permission::ToolWrite)?;
        let target = format!("tools/{name}");
        let registry = &self.shared.services.tools.registry;
        let work = registry.refresh(scope.tenant(), name);
        self.act(ctx, scope.tenant(), "tool.refresh", target, work)
            .await
    }

    /// Agrees to what a tool offers now. Errors: `CX-8001`, `CX-8008`.
    pub async fn tool_accept(&self, ctx: &OpCtx, name: &ToolName) -> Result<ToolView, Error> {
        let scope = ctx.authorize(Permission::ToolWrite)?;
        let target = format!("tools/{name}");
        let work = self.shared.services.tools.registry.accept(&scope, name);
        self.act(ctx, scope.tenant(), "tool.accept", target, work)
            .await
    }

    /// Calls a function for whoever asks. The tenant's policy holds; an agent's grants do not. An agent
    /// is asked in the caller's name, who must be permitted to ask it.
    pub async fn tool_call(&self, ctx: &OpCtx, call: TryCall) -> Result<ToolCallDone, Error> {
        let scope = ctx.authorize(Permission::ToolCall)?;
        let tools = &self.shared.services.tools;
        let me = ctx.principal.agent_name();
        let side = match &call.session {
            Some(session) => {
                ctx.authorize(Permission::SessionWrite)?;
                self.session(&scope, session).await?;
                ToolSide {
                    workspace: workspace_of(session),
                    session: Some(session.to_string()),
                    ..ToolSide::default()
                }
            }
            None => ToolSide {
                workspace: format!("a/{me}"),
                ..ToolSide::default()
            },
        };
        let agent = AgentId::new(scope.tenant().clone(), me);
        let caller = Caller {
            agent: &agent,
            rules: &Rules::default(),
            side: &side,
            trace: ctx.trace,
            timeout_max: TRY_TIMEOUT,
            approval_timeout: Duration::ZERO,
            result_bytes_max: TRY_BYTES_MAX,
            durable: false,
            replay: false,
            person: true,
        };
        let id = CallId {
            message: self.shared.new_message_id(),
            index: 0,
        };
        let ask = ToolAsk {
            id: call.id,
            arguments: call.arguments,
            timeout: Duration::ZERO,
            cost_micros_max: None,
        };
        let prepared = tools.prepare(&caller, id, ask).await?;
        let prepared = prepared
            .asking(|acl, timeout| self.tool_question(ctx, &scope, &agent, acl, timeout))?;
        let done = prepared.run().await;
        Ok(ToolCallDone {
            record: done.record,
            answer: done.answer?,
        })
    }

    /// Calls of tools, the newest first. Errors: `CX-8001` for a tool that is not there.
    pub async fn tool_calls(
        &self,
        ctx: &OpCtx,
        filter: &CallFilter,
        page: &PageRequest,
    ) -> Result<Page<ToolCallRecord>, Error> {
        let scope = ctx.authorize(Permission::ToolRead)?;
        self.shared
            .services
            .tools
            .log
            .list(&scope, filter, page)
            .await
    }

    /// Errors: `CX-8014`.
    pub async fn tool_call_show(&self, ctx: &OpCtx, id: &str) -> Result<ToolCallRecord, Error> {
        let scope = ctx.authorize(Permission::ToolRead)?;
        let found = self.shared.services.tools.log.find(&scope, id).await?;
        found.ok_or_else(|| {
            let detail = format!("there is no tool call {}", shown(id));
            Error::new(Code::ToolCallNotFound, detail)
        })
    }

    pub async fn tool_policy(&self, ctx: &OpCtx) -> Result<ToolPolicy, Error> {
        let scope = ctx.authorize(Permission::ToolRead)?;
        let policy = self
            .shared
            .services
            .tools
            .policies
            .of(scope.tenant())
            .await?;
        Ok(Arc::unwrap_or_clone(policy))
    }

    /// Sets what the tenant says of tools; it holds from the next call on. Errors: `CX-8003`.
    pub async fn tool_policy_set(
        &self,
        ctx: &OpCtx,
        policy: ToolPolicy,
    ) -> Result<ToolPolicy, Error> {
        let scope = ctx.authorize(Permission::ToolWrite)?;
        let target = "toolPolicy".to_owned();
        let work = self.shared.services.tools.policies.set(&scope, &policy);
        self.act(ctx, scope.tenant(), "tool-policy.set", target, work)
            .await?;
        Ok(policy)
    }

    /// The files of a session's workspace, by name. Errors: `CX-7020`.
    pub async fn session_files(
        &self,
        ctx: &OpCtx,
        session: &SessionId,
        asked: &PageRequest,
    ) -> Result<Page<FileView>, Error> {
        let scope = ctx.authorize(Permission::SessionRead)?;
        let workspace = self.workspace(&scope, session).await?;
        let list = List::Records(FILES, &workspace);
        let after = page::position(list, &scope, asked.token.as_deref())?;
        let after = after.map(|position| position.id).unwrap_or_default();
        let files = &self.shared.services.tools.workspaces;
        // A workspace is small, and is read whole.
        let mut rows = files.list(&scope, &workspace).await?;
        rows.retain(|it| it.path > after);
        let rows_max = asked.rows_max.clamp(1, PAGE_ROWS_MAX) as usize;
        let more = rows.len() > rows_max;
        rows.truncate(rows_max);
        let last = rows.last().filter(|_| more);
        let next = last.map(|file| {
            let id = file.path.clone();
            page::token(list, &scope, &Position { at: 0, id })
        });
        Ok(Page { rows, next })
    }

    /// Errors: `CX-7020`, `CX-8030`, `CX-8031`.
    pub async fn session_file(
        &self,
        ctx: &OpCtx,
        session: &SessionId,
        path: &str,
    ) -> Result<File, Error> {
        let scope = ctx.authorize(Permission::SessionRead)?;
        let workspace = self.workspace(&scope, session).await?;
        let files = &self.shared.services.tools.workspaces;
        files.read(&scope, &workspace, path).await
    }

    async fn workspace(&self, scope: &TenantScope, session: &SessionId) -> Result<String, Error> {
        self.session(scope, session).await?;
        Ok(workspace_of(session))
    }
}
