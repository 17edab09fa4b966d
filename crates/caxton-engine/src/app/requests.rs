//! The log of requests: add, list.

use super::App;
use crate::opctx::OpCtx;
use crate::port::store::{Page, PageRequest};
use crate::requests::{RequestEntry, RequestFilter, RequestNote};
use caxton_core::TenantId;
use caxton_core::error::Error;
use caxton_core::grant::Permission;

impl App {
    /// Takes a request into the log. It costs a push, and is there for whoever lists after that.
    pub fn request_add(&self, tenant: &TenantId, note: &RequestNote<'_>) {
        self.requests.add(tenant, note);
    }

    /// Newest first.
    pub async fn request_list(
        &self,
        ctx: &OpCtx,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<RequestEntry>, Error> {
        let scope = ctx.authorize(Permission::RequestRead)?;
        self.requests.list(scope.tenant(), filter, page).await
    }

    /// Writes down at once what waits to be: the log of requests, and what was used.
    pub async fn flush(&self) {
        self.requests.flush().await;
        self.quotas.flush().await;
        self.shared.services.tools.log.flush().await;
    }
}
