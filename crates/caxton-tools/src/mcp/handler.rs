//! What a server says unasked: it is counted, and what it asks for is refused.

#![allow(
    deprecated,
    reason = "older revisions of the protocol have what newer ones deprecate, and it is refused"
)]

use caxton_engine::port::tool::{ToolFault, ToolFaultKind};
use parking_lot::Mutex;
use rmcp::ClientHandler;
use rmcp::model::{
    CancelledNotificationParam, ClientCapabilities, ClientConfig, CreateMessageRequestParams,
    CreateMessageResult, CustomNotification, ElicitRequestParams, ElicitResult, ErrorCode,
    ErrorData, Implementation, ListRootsResult, LoggingMessageNotificationParam,
    ProgressNotificationParam, ResourceUpdatedNotificationParam,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Notifications and requests of a server that are taken while one call is under way.
pub const UNASKED_MAX: usize = 10_000;

/// How a connection fares.
#[derive(Debug, Default)]
pub struct Health {
    unasked: AtomicUsize,
    /// Why it is of no more use.
    fatal: Mutex<Option<ToolFault>>,
    /// What went wrong with a request last.
    last: Mutex<Option<ToolFault>>,
    changed: Notify,
}

impl Health {
    /// The connection is of no more use.
    pub fn fail(&self, fault: ToolFault) {
        self.fatal.lock().get_or_insert(fault);
        self.changed.notify_waiters();
    }

    /// One request went wrong.
    pub fn note(&self, fault: ToolFault) {
        *self.last.lock() = Some(fault);
    }

    pub fn fatal(&self) -> Option<ToolFault> {
        self.fatal.lock().clone()
    }

    /// What is known of why something went wrong.
    pub fn cause(&self) -> Option<ToolFault> {
        self.fatal().or_else(|| self.last.lock().take())
    }

    /// Completes when it is of no more use.
    pub async fn failed(&self) -> ToolFault {
        loop {
            let changed = self.changed.notified();
            if let Some(fault) = self.fatal() {
                return fault;
            }
            changed.await;
        }
    }

    /// A call begins: what was said before does not count against it.
    pub fn begin(&self) {
        self.unasked.store(0, Ordering::Relaxed);
    }

    fn count(&self) {
        if self.unasked.fetch_add(1, Ordering::Relaxed) >= UNASKED_MAX {
            let text = format!("the MCP server said more than {UNASKED_MAX} things unasked");
            self.fail(ToolFault::new(ToolFaultKind::Malformed, text));
        }
    }
}

/// Our side of a connection.
#[derive(Clone, Debug)]
pub struct Handler(pub Arc<Health>);

impl Handler {
    fn refuse<T>(&self, what: &str) -> Result<T, ErrorData> {
        self.0.count();
        let text = format!("this client offers no {what}");
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, text, None))
    }
}

type Told = NotificationContext<RoleClient>;
type Asked = RequestContext<RoleClient>;

impl ClientHandler for Handler {
    /// No capability: no sampling, no elicitation, no roots.
    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("caxton", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), us)
    }

    async fn ping(&self, _: Asked) -> Result<(), ErrorData> {
        self.0.count();
        Ok(())
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: Asked,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.refuse("sampling")
    }

    async fn list_roots(&self, _: Asked) -> Result<ListRootsResult, ErrorData> {
        self.refuse("roots")
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: Asked,
    ) -> Result<ElicitResult, ErrorData> {
        self.refuse("elicitation")
    }

    async fn on_cancelled(&self, _: CancelledNotificationParam, _: Told) {
        self.0.count();
    }

    async fn on_progress(&self, _: ProgressNotificationParam, _: Told) {
        self.0.count();
    }

    async fn on_logging_message(&self, _: LoggingMessageNotificationParam, _: Told) {
        self.0.count();
    }

    async fn on_resource_updated(&self, _: ResourceUpdatedNotificationParam, _: Told) {
        self.0.count();
    }

    async fn on_resource_list_changed(&self, _: Told) {
        self.0.count();
    }

    /// What a tool offers is asked for when somebody wants to know, never because a server says so.
    async fn on_tool_list_changed(&self, _: Told) {
        self.0.count();
    }

    async fn on_prompt_list_changed(&self, _: Told) {
        self.0.count();
    }

    async fn on_custom_notification(&self, _: CustomNotification, _: Told) {
        self.0.count();
    }
}
