//! What the doors do: the API's generated traits over `App`, one file per noun.
//!
//! Every operation begins with [`Api::open`], which turns what the caller says into an `OpCtx`, and
//! ends in one call of `App`. Operations that change something run as tasks of their own
//! ([`Api::settle`]): a client that goes away or whose time is over stops waiting, but never leaves
//! a commit half done.

mod agents;
mod approvals;
mod audit;
mod conversations;
mod dead_letters;
mod idempotent;
mod jobs;
mod keys;
mod limits;
mod logs;
mod messages;
mod page;
mod providers;
mod requests;
mod roles;
mod sealed;
mod server;
mod service;
mod sessions;
mod tenants;
mod tools;

pub(crate) use sessions::chat_answer;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use caxton_api::{ApiError, ApiStream, CallContext, duration};
use caxton_core::TenantId;
use caxton_core::error::{Code, Error};
use caxton_core::grant::Permission;
use caxton_engine::audit::{Act, is_foreign};
use caxton_engine::port::{Clock, Entropy};
use caxton_engine::task::Tasks;
use caxton_engine::{App, OpCtx};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt, stream};
use tokio::sync::{Semaphore, oneshot};
use tracing::Instrument;

use crate::backups::Backups;
use crate::door::auth::Caller;
use crate::gateway::Ports;
use crate::metrics::DoorMetrics;
use crate::options::Options;
use crate::stream::{Place, Streams};
use crate::tls::Tls;

/// What a refused client is told to wait where the server has too much to do.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The operations. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: App,
    options: Options,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    backups: Arc<dyn Backups>,
    tasks: Tasks,
    operations: Arc<Semaphore>,
    streams: Streams,
    /// Places for WebSockets.
    sockets: Arc<Semaphore>,
    /// One backup at a time.
    backing_up: Arc<Semaphore>,
    listen: OnceLock<SocketAddr>,
    unready: AtomicBool,
    tls: OnceLock<Tls>,
}

impl Api {
    pub(crate) fn new(options: Options, ports: Ports, metrics: DoorMetrics) -> Self {
        Self(Arc::new(Inner {
            app: ports.app,
            clock: ports.clock,
            entropy: ports.entropy,
            backups: ports.backups,
            tasks: Tasks::new(),
            operations: Arc::new(Semaphore::new(options.operations_max)),
            sockets: Arc::new(Semaphore::new(options.websockets_max)),
            streams: Streams::new(options.streams_max, metrics.streams),
            backing_up: Arc::new(Semaphore::new(1)),
            listen: OnceLock::new(),
            unready: AtomicBool::new(false),
            tls: OnceLock::new(),
            options,
        }))
    }

    pub(crate) fn app(&self) -> &App {
        &self.0.app
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.0.entropy
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.0.streams
    }

    pub(crate) fn sockets(&self) -> &Arc<Semaphore> {
        &self.0.sockets
    }

    /// The address the gateway listens on, once it does.
    pub(crate) fn listen(&self) -> Option<SocketAddr> {
        self.0.listen.get().copied()
    }

    /// Says where the gateway listens; the first word counts.
    pub(crate) fn listens_on(&self, address: SocketAddr) {
        let _ = self.0.listen.set(address);
    }

    /// Says which certificate the gateway shows; the first word counts.
    pub(crate) fn shows(&self, tls: Tls) {
        let _ = self.0.tls.set(tls);
    }

    /// The gateway's TLS, where it has one and listens.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.0.tls.get()
    }

    /// Whether no further operation is taken until one ends.
    pub(crate) fn is_full(&self) -> bool {
        self.0.operations.available_permits() == 0
    }

    /// Says that nobody should send work here any more; what comes is still taken.
    pub(crate) fn make_unready(&self) {
        self.0.unready.store(true, Ordering::Release);
    }

    /// Whether the server stops, or is about to.
    pub(crate) fn unready(&self) -> bool {
        self.0.unready.load(Ordering::Acquire) || self.draining()
    }

    /// Whether the server takes no new work because it stops.
    pub(crate) fn draining(&self) -> bool {
        self.app().is_draining() || self.streams().stopping()
    }

    /// The context of a call, as far as what the caller says of it is believed.
    pub(crate) async fn open(&self, call: &CallContext) -> Result<OpCtx, ApiError> {
        let Some(caller) = call.extensions.get::<Caller>() else {
            let detail = "the request has no key";
            return Err(ApiError::new(Code::Unauthenticated, detail));
        };
        let (tenant, principal) = (caller.tenant.clone(), caller.principal().clone());
        let trace = call.trace.ok_or_else(|| {
            // The envelope puts one on every request.
            ApiError::new(Code::Internal, "the request reached no envelope")
        })?;
        let ctx = OpCtx {
            deadline: call.timeout.map(|timeout| self.clock().now().plus(timeout)),
            idempotency_key: call.idempotency_key.clone(),
            operation: call.method,
            ..OpCtx::new(tenant, principal, trace)
        };
        self.admit(call, &ctx).await?;
        Ok(ctx)
    }

    /// Decides before anything of the request is looked at; `App` decides again. A denial is written
    /// to the audit, and so is what the platform does or sees in a tenant. What few calls come to is on
    /// the heap: every call has to make room for all of it, and moves it.
    async fn admit(&self, call: &CallContext, ctx: &OpCtx) -> Result<(), ApiError> {
        let needed = permission(call.method)?;
        let action = call.method;
        if !ctx.principal.may(needed, &ctx.tenant) {
            let denied = Act::denied(action, target(call), Code::PermissionDenied);
            Box::pin(self.app().audit_note(ctx, denied)).await?;
            let detail = format!("{} needs the permission {}", ctx.principal, needed.as_str());
            return Err(ApiError::new(Code::PermissionDenied, detail));
        }
        // What administers is written down by `App`, with what it is done to.
        if is_foreign(&ctx.principal, &ctx.tenant) && touches_data(needed) {
            let seen = Act::permitted(action, target(call));
            Box::pin(self.app().audit_note(ctx, seen)).await?;
        }
        Ok(())
    }

    /// Writes down that the platform looks into a tenant that a path names, beside the one it acts in.
    pub(crate) async fn looks_into(&self, ctx: &OpCtx, tenant: &TenantId) -> Result<(), ApiError> {
        if *tenant == ctx.tenant || !is_foreign(&ctx.principal, tenant) {
            return Ok(());
        }
        Box::pin(async {
            self.within(ctx, self.app().tenant_ensure(tenant)).await?;
            let there = OpCtx {
                tenant: tenant.clone(),
                ..ctx.clone()
            };
            let seen = Act::permitted(ctx.operation, format!("tenants/{tenant}"));
            Ok(self.app().audit_note(&there, seen).await?)
        })
        .await
    }

    /// Gives a stream its place, and its end: when what opened it is good no more, it is over.
    pub(crate) fn hold<T, S>(
        &self,
        call: &CallContext,
        ctx: &OpCtx,
        place: Place,
        stream: S,
    ) -> ApiStream<T>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T, ApiError>> + Send + 'static,
    {
        let Some(caller) = call.extensions.get::<Caller>() else {
            return stream::empty().boxed();
        };
        let identity = caller.identity.clone();
        let ended = identity.ended(ctx.tenant.clone(), Arc::clone(self.clock()));
        let (app, tenant) = (self.app().clone(), ctx.tenant.clone());
        let revoked = stream::once(async move {
            app.tenant_ensure_active(&tenant).await?;
            let detail = "the credential that opened the stream is good no more";
            Err(ApiError::new(Code::Unauthenticated, detail))
        });
        // The error is the last word only where the credential ended, not where the stream did.
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let live = stream.take_until(async move {
            ended.await;
            over.store(true, Ordering::Release);
        });
        let last = revoked.filter(move |_| std::future::ready(seen.load(Ordering::Acquire)));
        place.hold(live.chain(last))
    }

    /// Waits for work no longer than the caller does.
    pub(crate) async fn within<T>(
        &self,
        ctx: &OpCtx,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ApiError> {
        let done = match ctx.deadline {
            None => work.await,
            Some(deadline) => tokio::select! {
                biased;
                done = work => done,
                () = self.clock().sleep_until(deadline) => {
                    let detail = "the time the request gave is over";
                    return Err(ApiError::new(Code::DeadlineExceeded, detail));
                }
            },
        };
        if let Err(error) = &done
            && is_denial(error.code)
        {
            let denied = Act::denied(ctx.operation, "", error.code);
            Box::pin(self.app().audit_note(ctx, denied)).await?;
        }
        done.map_err(refused)
    }

    /// Does work that must not be left half done, whether or not the caller waits for its end.
    pub(crate) async fn settle<T, W>(
        &self,
        ctx: &OpCtx,
        name: &'static str,
        work: W,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let place = Arc::clone(&self.0.operations).try_acquire_owned();
        let place = place.map_err(|_| {
            let detail = "as many operations as the server takes are on their way";
            let mut error = ApiError::new(Code::Overloaded, detail);
            error.retry_after = Some(RETRY_AFTER);
            error
        })?;
        let (tell, told) = oneshot::channel();
        // Boxed, or all that makes up a task would be compiled anew for each operation.
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let done = work.await;
            drop(place);
            // A caller that has gone does not mind.
            let _ = tell.send(done);
        });
        self.tasks().spawn(name, task.in_current_span());
        let told = async {
            told.await.unwrap_or_else(|_| {
                // Its panic is in the log already.
                Err(Error::new(Code::Internal, format!("{name} failed midway")))
            })
        };
        self.within(ctx, told).await
    }

    /// Reads a `wait` or `timeout` of a request; empty is none.
    fn duration(&self, field: &str, text: &str) -> Result<Option<Duration>, ApiError> {
        self.duration_within(field, text, self.options().wait_max)
    }

    /// The same where the longest is not the server's longest wait.
    fn duration_within(
        &self,
        field: &str,
        text: &str,
        longest: Duration,
    ) -> Result<Option<Duration>, ApiError> {
        if text.is_empty() {
            return Ok(None);
        }
        let malformed = |what: String| {
            ApiError::new(Code::ParameterMalformed, format!("`{field}`: {what}"))
                .with_field(field, what)
        };
        let wait = duration::parse(text).map_err(|error| malformed(error.to_string()))?;
        if wait > longest {
            let longest = duration::format(longest);
            return Err(malformed(format!("is longer than {longest}")));
        }
        Ok(Some(wait))
    }
}

/// What an operation is upon, as the audit has it. Nobody is named there: who a role assignment is of
/// stands in its path, and what is in the chain stays.
fn target(call: &CallContext) -> String {
    let path = call.instance();
    match path.split_once("/roleAssignments/") {
        Some((before, _)) => format!("{before}/roleAssignments"),
        None => path.into_owned(),
    }
}

/// Whether somebody was told that they may not, by what decides on more than the operation.
fn is_denial(code: Code) -> bool {
    matches!(
        code,
        Code::PermissionDenied | Code::GrantExceeded | Code::ToolDenied
    )
}

/// Whether an operation that needs this sees or changes a tenant's data without being an act that
/// `App` writes down itself.
fn touches_data(needed: Permission) -> bool {
    matches!(
        needed,
        Permission::AgentRead
            | Permission::AgentInvoke
            | Permission::JobRead
            | Permission::LogRead
            | Permission::MessageRead
            | Permission::MessageSend
            | Permission::SessionRead
            | Permission::SessionWrite
            | Permission::ModelUse
            | Permission::ToolRead
            | Permission::ToolCall
            | Permission::ApprovalRead
            | Permission::ProviderRead
            | Permission::KeyRead
            | Permission::RoleRead
            | Permission::UsageRead
            | Permission::RequestRead
            | Permission::AuditRead
    )
}

/// What an operation needs, as the contract says. Default deny: one that is not of the contract, or
/// whose permission nobody knows, is nobody's to call.
fn permission(method: &str) -> Result<Permission, ApiError> {
    static NEEDED: LazyLock<HashMap<&str, Permission, foldhash::fast::RandomState>> =
        LazyLock::new(|| {
            let row =
                |it: &caxton_api::Operation| Some((it.method, Permission::parse(it.permission)?));
            let compatible = crate::compat::operations();
            let all = caxton_api::OPERATIONS.iter();
            let all = all.chain(compatible.iter().map(|(operation, _)| operation));
            all.filter_map(row).collect()
        });
    NEEDED.get(method).copied().ok_or_else(|| {
        let detail = format!("nobody is permitted {method}");
        ApiError::new(Code::PermissionDenied, detail)
    })
}

/// An error of `App` on its way out; the server's own faults are logged here, once.
fn refused(error: Error) -> ApiError {
    use caxton_core::error::Class;
    match error.code.class() {
        Class::Internal => tracing::error!(code = %error.code, "{}", error.detail),
        Class::Unavailable => tracing::warn!(code = %error.code, "{}", error.detail),
        _ => {}
    }
    error.into()
}
