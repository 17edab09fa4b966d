//! Which tools there are: a tenant's own, the operator's, and those built in. What a tool offers is
//! agreed to when it is registered; what is described otherwise later is not called until somebody
//! agreed to that too.

mod registered;
mod words;

pub(crate) use registered::{Offered, Registered};
pub(crate) use words::Kept as KeptTool;
pub use words::{FunctionState, FunctionView, NewTool, OperatorTool, ToolView};

use super::policy::Policies;
use super::schema::Schemas;
use crate::documents::{self, Documents};
use crate::opctx::TenantScope;
use crate::port::secrets::Secret;
use crate::port::store::{Op, Page, PageRequest};
use crate::port::tool::{Builtin, Described, Executor, Executors, ToolFault, ToolTarget};
use crate::port::{Clock, Secrets, Store};
use crate::workspace::functions;
use caxton_core::error::{Code, Error, shown};
use caxton_core::tool::define::McpPlace;
use caxton_core::tool::{
    Definition, FUNCTIONS_MAX, Function, FunctionName, HttpTool, McpTool, ToolKind, ToolName,
};
use caxton_core::{Digest, TenantId, Timestamp};
use quick_cache::sync::Cache;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use words::Kept;

/// Tools at hand, absent ones too.
const AT_HAND_MAX: usize = 16_384;
/// Tools of one tenant.
const TOOLS_MAX: usize = 200;
/// Longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 16 << 10;
/// Longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 8 << 10;
/// How long a tool may take to say what it offers.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(20);
/// What an MCP server said of its functions is asked for anew after so long, when it is next used.
const BELIEVED_FOR: Duration = Duration::from_secs(60);
/// One that could not say is left alone for so long.
const FAILED_FOR: Duration = Duration::from_secs(15);

pub(crate) struct Registry {
    documents: Documents,
    store: Arc<dyn Store>,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
    executors: Executors,
    policies: Arc<Policies>,
    operators: BTreeMap<ToolName, OperatorTool>,
    builtin: BTreeMap<ToolName, Builtin>,
    at_hand: Cache<(TenantId, ToolName), Option<Arc<Registered>>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    pub(super) fn new(
        documents: Documents,
        store: Arc<dyn Store>,
        secrets: Arc<dyn Secrets>,
        clock: Arc<dyn Clock>,
        executors: Executors,
        operators: &[OperatorTool],
        policies: Arc<Policies>,
    ) -> Self {
        let own = executors.builtin.builtin().into_iter();
        let builtin = own.chain(functions::all()).map(|it| (it.name.clone(), it));
        let operators = operators.iter().map(|it| (it.name.clone(), it.clone()));
        Self {
            documents,
            store,
            secrets,
            clock,
            builtin: builtin.collect(),
            operators: operators.collect(),
            executors,
            policies,
            at_hand: Cache::new(AT_HAND_MAX),
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "tools")
    }

    fn place(tenant: &TenantId, name: &ToolName) -> String {
        format!("{tenant}/tool/{name}")
    }

    pub(crate) fn executor(&self, kind: ToolKind) -> &dyn Executor {
        match kind {
            ToolKind::Builtin | ToolKind::Agent => &*self.executors.builtin,
            ToolKind::Http => &*self.executors.http,
            ToolKind::Mcp => &*self.executors.mcp,
            ToolKind::Wasm => &*self.executors.wasm,
        }
    }

    pub(super) fn close(&self, tenant: &TenantId, workspace: &str) {
        self.executors.builtin.close_session(tenant, workspace);
    }

    /// A tool of this name: the tenant's, or the server's. Errors: `CX-8001`.
    pub(crate) async fn find(
        &self,
        tenant: &TenantId,
        name: &ToolName,
    ) -> Result<Arc<Registered>, Error> {
        let place = (tenant.clone(), name.clone());
        let read = self.read(tenant, name);
        let found = self.at_hand.get_or_insert_async(&place, read).await?;
        found.ok_or_else(|| not_found(name.as_str()))
    }

    async fn read(
        &self,
        tenant: &TenantId,
        name: &ToolName,
    ) -> Result<Option<Arc<Registered>>, Error> {
        let scope = Self::scope(tenant);
        if let Some(kept) = self.documents.get::<Kept>(&scope, name.as_str()).await? {
            return Ok(Some(Arc::new(self.open(&scope, kept).await?)));
        }
        let target = |definition: Option<Definition>, secret: Option<Secret>| ToolTarget {
            tenant: tenant.clone(),
            name: name.clone(),
            trusted: definition.is_some(),
            definition,
            secret,
            component: None,
            revision: 0,
        };
        if let Some(tool) = self.operators.get(name) {
            let definition = tool.definition.clone();
            let kind = definition.kind();
            let fixed = fixed(&definition);
            let target = target(Some(definition), tool.secret.clone());
            let registered = Registered::new(target, kind, tool.description.clone(), None);
            if let Some(functions) = fixed {
                registered.take(functions, self.clock.now());
            }
            return Ok(Some(Arc::new(registered)));
        }
        Ok(self.builtin.get(name).map(|tool| {
            let description = tool.description.clone();
            let target = target(None, None);
            let registered = Registered::new(target, ToolKind::Builtin, description, None);
            registered.take(tool.functions.clone(), self.clock.now());
            Arc::new(registered)
        }))
    }

    async fn open(&self, scope: &TenantScope, kept: Kept) -> Result<Registered, Error> {
        let tenant = scope.tenant();
        let (secret, locked) = match self.secret(tenant, &kept) {
            Ok(secret) => (secret, None),
            Err(error) => (None, Some(error)),
        };
        let component = match &kept.definition {
            Definition::Wasm { component } => {
                let found = self.store.artifact(scope, *component).await?;
                let lost = || Error::new(Code::StorageDamaged, "the tool's component is not kept");
                Some(found.ok_or_else(lost)?)
            }
            _ => None,
        };
        let target = ToolTarget {
            tenant: tenant.clone(),
            name: kept.name.clone(),
            definition: Some(kept.definition.clone()),
            secret,
            component,
            revision: kept.revision,
            trusted: false,
        };
        let kind = kept.definition.kind();
        let description = kept.description.clone();
        let mut registered = Registered::new(target, kind, description, Some(kept));
        registered.locked = locked;
        Ok(registered)
    }

    /// Its secret, opened. Errors: `CX-7030`.
    fn secret(&self, tenant: &TenantId, kept: &Kept) -> Result<Option<Secret>, Error> {
        let Some(sealed) = &kept.sealed else {
            return Ok(None);
        };
        let place = Self::place(tenant, &kept.name);
        let open = String::from_utf8(self.secrets.open(&place, sealed)?);
        let lost = |_| Error::new(Code::SecretsUnavailable, "the secret kept is no text");
        Ok(Some(Secret::new(&open.map_err(lost)?)))
    }

    /// The functions of a tool as they are now: what an MCP server said is asked for anew when it is
    /// older than a minute. Errors: `CX-8008` and others where the tool cannot say.
    pub(crate) async fn current(&self, tool: &Registered) -> Result<Vec<Arc<Offered>>, Error> {
        if let Some(locked) = &tool.locked {
            return Err(locked.clone());
        }
        let is_fresh =
            |now: Timestamp| !tool.may_change() || now.since(tool.told_at()) < BELIEVED_FOR;
        let now = self.clock.now();
        if is_fresh(now) {
            return Ok(tool.known());
        }
        // Who comes while another asks gets what that one is told, a failure included: a server that
        // hangs must not hold each turn up anew.
        let _one = tool.asking.lock().await;
        let now = self.clock.now().max(now);
        let failed = tool.failed.lock().clone();
        if let Some((at, error)) = failed
            && now.since(at) < FAILED_FOR
        {
            return Err(error);
        }
        if !is_fresh(now) {
            let described = self.describe(&tool.target, tool.kind).await;
            let now = self.clock.now();
            match described {
                Ok(described) => tool.take(described, now),
                Err(error) => {
                    *tool.failed.lock() = Some((now, error.clone()));
                    return Err(error);
                }
            }
        }
        Ok(tool.known())
    }

    /// A function that may be called. Errors: `CX-8001`, `CX-8012`.
    pub(crate) async fn function(
        &self,
        tool: &Registered,
        name: &FunctionName,
    ) -> Result<Arc<Offered>, Error> {
        let current = self.current(tool).await?;
        let found = current.iter().find(|it| it.function.name == *name);
        let Some(found) = found else {
            let tool = &tool.target.name;
            let detail = format!("the tool {tool} has no function `{}`", shown(name.as_str()));
            return Err(Error::new(Code::ToolNotFound, detail));
        };
        match found.state {
            FunctionState::Agreed => Ok(Arc::clone(found)),
            state => {
                let (tool, state) = (&tool.target.name, state.as_str());
                let detail = format!("`{name}` of {tool} is {state} since somebody agreed to it");
                Err(Error::new(Code::ToolChanged, detail))
            }
        }
    }

    async fn describe(
        &self,
        target: &Arc<ToolTarget>,
        kind: ToolKind,
    ) -> Result<Vec<Function>, Error> {
        self.reach(&target.tenant, target.definition.as_ref())
            .await?;
        let asked = self.executor(kind).describe(Arc::clone(target));
        let late = self
            .clock
            .sleep_until(self.clock.now().plus(DESCRIBE_TIMEOUT));
        let described = tokio::select! {
            biased;
            described = asked => described.map_err(|fault: ToolFault| Error::from(fault))?,
            () = late => {
                let detail = format!("{} does not say what it offers", target.name);
                return Err(Error::new(Code::ToolTimeout, detail));
            }
        };
        if described.len() > FUNCTIONS_MAX {
            let detail = format!("{} offers more than {FUNCTIONS_MAX} functions", target.name);
            return Err(Error::new(Code::ToolMalformed, detail));
        }
        for function in &described {
            function.check()?;
        }
        Ok(described)
    }

    /// Registers, or with `replace` sets anew. Errors: `CX-8002`, `CX-8004`, `CX-8005`, `CX-8001`.
    pub(crate) async fn set(
        &self,
        scope: &TenantScope,
        tool: NewTool,
        replace: bool,
    ) -> Result<ToolView, Error> {
        let (tenant, now) = (scope.tenant(), self.clock.now());
        check(&tool)?;
        self.reach(tenant, Some(&tool.definition)).await?;
        if self.operators.contains_key(&tool.name) || self.builtin.contains_key(&tool.name) {
            let detail = format!("`{}` is a tool of the server", tool.name);
            return Err(Error::new(Code::ToolExists, detail));
        }
        let before: Option<Kept> = self.documents.get(scope, tool.name.as_str()).await?;
        match (&before, replace) {
            (Some(_), false) => {
                let detail = format!("there is a tool `{}`", tool.name);
                return Err(Error::new(Code::ToolExists, detail));
            }
            (None, true) => return Err(not_found(tool.name.as_str())),
            (None, false) => self.room(scope).await?,
            (Some(_), true) => {}
        }
        let sealed = match &tool.secret {
            Some(secret) => {
                let place = Self::place(tenant, &tool.name);
                Some(self.secrets.seal(&place, secret.reveal().as_bytes())?)
            }
            None => before
                .as_ref()
                .filter(|before| goes_where(&before.definition) == goes_where(&tool.definition))
                .and_then(|before| before.sealed.clone()),
        };
        let mut kept = Kept {
            name: tool.name,
            description: tool.description,
            definition: tool.definition,
            sealed,
            price_micros: tool.price_micros,
            agreed: Vec::new(),
            revision: revision(before.as_ref(), now),
            created: before.as_ref().map_or(now, |before| before.created),
            updated: now,
        };
        let mut ops = Vec::new();
        if let (Definition::Wasm { component }, Some(bytes)) = (&kept.definition, tool.component) {
            ops.push(Op::ArtifactPut {
                digest: *component,
                bytes,
            });
            // It is read back to be described.
            self.documents
                .commit(scope, std::mem::take(&mut ops))
                .await?;
        }
        kept.agreed = match fixed(&kept.definition) {
            Some(functions) => functions,
            None => {
                let tried = self.open(scope, kept.clone()).await?;
                if let Some(locked) = tried.locked {
                    return Err(locked);
                }
                self.describe(&tried.target, tried.kind).await?
            }
        };
        for function in &kept.agreed {
            Schemas::of(function)?;
        }
        self.put(scope, kept).await
    }

    async fn put(&self, scope: &TenantScope, kept: Kept) -> Result<ToolView, Error> {
        let op = documents::put(kept.name.as_str(), &kept)?;
        let put = self.documents.commit(scope, vec![op]).await;
        self.gone(scope.tenant(), &kept.name, kept.definition.kind());
        put?;
        let tool = self.open(scope, kept).await?;
        self.view(scope.tenant(), &tool).await
    }

    fn gone(&self, tenant: &TenantId, name: &ToolName, kind: ToolKind) {
        self.at_hand.remove(&(tenant.clone(), name.clone()));
        self.executor(kind).forget(tenant, name);
    }

    async fn room(&self, scope: &TenantScope) -> Result<(), Error> {
        let first = PageRequest::first(u32::try_from(TOOLS_MAX).unwrap_or(u32::MAX));
        let page = self.documents.list::<Kept>(scope, "", &first).await?;
        if page.rows.len() < TOOLS_MAX {
            return Ok(());
        }
        let detail = format!("the tenant has {TOOLS_MAX} tools already");
        Err(Error::new(Code::ToolsTooMany, detail))
    }

    /// Asks again what a tool offers. What is new or changed is seen, and not called.
    pub(crate) async fn refresh(
        &self,
        tenant: &TenantId,
        name: &ToolName,
    ) -> Result<ToolView, Error> {
        let tool = self.find(tenant, name).await?;
        if tool.may_change() {
            let described = self.describe(&tool.target, tool.kind).await?;
            tool.take(described, self.clock.now());
        }
        self.view(tenant, &tool).await
    }

    /// Agrees to what a tenant's tool offers now.
    pub(crate) async fn accept(
        &self,
        scope: &TenantScope,
        name: &ToolName,
    ) -> Result<ToolView, Error> {
        let Some(mut kept) = self.documents.get::<Kept>(scope, name.as_str()).await? else {
            self.find(scope.tenant(), name).await?;
            let detail = format!("`{name}` is the server's: its operator agrees to it");
            return Err(Error::new(Code::PermissionDenied, detail));
        };
        let tool = self.find(scope.tenant(), name).await?;
        kept.agreed = match tool.may_change() {
            true => self.describe(&tool.target, tool.kind).await?,
            false => kept.agreed,
        };
        for function in &kept.agreed {
            Schemas::of(function)?;
        }
        kept.revision = revision(Some(&kept), self.clock.now());
        kept.updated = self.clock.now();
        self.put(scope, kept).await
    }

    /// Why a tenant cannot change a tool: there is none, or it is not theirs.
    fn not_own(&self, name: &ToolName) -> Error {
        if self.operators.contains_key(name) || self.builtin.contains_key(name) {
            let detail =
                format!("`{name}` is the server's: a tenant's policy can deny it, not remove it");
            return Error::new(Code::PermissionDenied, detail);
        }
        not_found(name.as_str())
    }

    pub(crate) async fn remove(&self, scope: &TenantScope, name: &ToolName) -> Result<(), Error> {
        let kept: Option<Kept> = self.documents.get(scope, name.as_str()).await?;
        let kept = kept.ok_or_else(|| self.not_own(name))?;
        let removed = self.documents.remove::<Kept>(scope, name.as_str()).await;
        self.gone(scope.tenant(), name, kept.definition.kind());
        removed
    }

    pub(crate) async fn show(&self, tenant: &TenantId, name: &ToolName) -> Result<ToolView, Error> {
        let tool = self.find(tenant, name).await?;
        if let Err(error) = self.current(&tool).await {
            tracing::debug!(%tenant, tool = %name, %error, "a tool does not say what it offers");
        }
        self.view(tenant, &tool).await
    }

    async fn view(&self, tenant: &TenantId, tool: &Registered) -> Result<ToolView, Error> {
        let policy = self.policies.of(tenant).await?;
        Ok(tool.view(&policy))
    }

    /// Whether the tenant lets tools reach where this one is. Errors: `CX-7011`.
    async fn reach(&self, tenant: &TenantId, of: Option<&Definition>) -> Result<(), Error> {
        let Some(of) = of else { return Ok(()) };
        let policy = self.policies.of(tenant).await?;
        match policy.unreached(of) {
            Some(why) => Err(Error::new(Code::EgressRefused, why)),
            None => Ok(()),
        }
    }

    /// The tenant's own.
    pub(crate) async fn list(
        &self,
        scope: &TenantScope,
        asked: &PageRequest,
    ) -> Result<Page<ToolView>, Error> {
        let page = self.documents.list::<Kept>(scope, "", asked).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for kept in page.rows {
            let tool = self.find(scope.tenant(), &kept.name).await?;
            rows.push(self.view(scope.tenant(), &tool).await?);
        }
        Ok(Page {
            rows,
            next: page.next,
        })
    }

    /// Those of the server, which all tenants have.
    pub(crate) async fn servers(&self, tenant: &TenantId) -> Result<Vec<ToolView>, Error> {
        let mut all = Vec::new();
        for name in self.operators.keys().chain(self.builtin.keys()) {
            let tool = self.find(tenant, name).await?;
            all.push(self.view(tenant, &tool).await?);
        }
        Ok(all)
    }

    /// The names of all tools that a tenant has.
    pub(crate) async fn names(&self, tenant: &TenantId) -> Result<Vec<ToolName>, Error> {
        let first = PageRequest::first(u32::try_from(TOOLS_MAX).unwrap_or(u32::MAX));
        let page = self
            .documents
            .list::<Kept>(&Self::scope(tenant), "", &first)
            .await?;
        let own = page.rows.into_iter().map(|kept| kept.name);
        let servers = self.operators.keys().chain(self.builtin.keys()).cloned();
        Ok(own.chain(servers).collect())
    }

    /// Endpoints as a foreign document describes them. Errors: `CX-8002`.
    pub(crate) fn import(&self, of: &Described<'_>) -> Result<HttpTool, Error> {
        self.executors.http.import(of)
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        let own = self.at_hand.iter().filter(|((of, _), _)| of == tenant);
        let gone: Vec<(ToolName, ToolKind)> = own
            .filter_map(|((_, name), tool)| Some((name, tool?.kind)))
            .collect();
        self.at_hand.retain(|(of, _), _| of != tenant);
        for (name, kind) in gone {
            self.executor(kind).forget(tenant, &name);
        }
    }
}

/// The functions that a definition itself has.
fn fixed(definition: &Definition) -> Option<Vec<Function>> {
    match definition {
        Definition::Http(tool) => {
            let functions = tool.functions.iter();
            Some(functions.map(|it| it.function.clone()).collect())
        }
        Definition::Mcp(_) | Definition::Wasm { .. } => None,
    }
}

/// Whom a secret would be shown to.
fn goes_where(definition: &Definition) -> (ToolKind, Option<&str>) {
    (definition.kind(), definition.url())
}

fn check(tool: &NewTool) -> Result<(), Error> {
    let malformed = |detail: String| Err(Error::new(Code::ToolMalformed, detail));
    tool.definition.check()?;
    if tool.description.len() > DESCRIPTION_BYTES_MAX {
        return malformed(format!(
            "the description has more than {DESCRIPTION_BYTES_MAX} bytes"
        ));
    }
    let secret = tool.secret.as_ref().map_or(0, |it| it.reveal().len());
    if secret > SECRET_BYTES_MAX {
        return malformed(format!("the secret has more than {SECRET_BYTES_MAX} bytes"));
    }
    match &tool.definition {
        Definition::Mcp(McpTool {
            place: McpPlace::Program(_),
            ..
        }) => malformed(
            "a program runs on the server: only its operator can name one, in the configuration"
                .to_owned(),
        ),
        Definition::Wasm { component } => match &tool.component {
            Some(bytes) if Digest::of(bytes) == *component => Ok(()),
            Some(_) => malformed("the component is another than its digest says".to_owned()),
            None => Err(Error::new(
                Code::ComponentMissing,
                "a wasm tool needs its component",
            )),
        },
        _ => Ok(()),
    }
}

/// Grows from one to the next, and from a tool that was removed to the one of its name after it.
fn revision(before: Option<&Kept>, now: Timestamp) -> u64 {
    let now = u64::try_from(now.as_us()).unwrap_or(0);
    before.map_or(now, |before| now.max(before.revision + 1))
}

fn not_found(name: &str) -> Error {
    let detail = format!("there is no tool `{}`", shown(name));
    Error::new(Code::ToolNotFound, detail)
}
