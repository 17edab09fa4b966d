//! The log of requests: list.

use caxton_api::{ApiError, CallContext, v1};
use caxton_engine::requests::{RequestEntry, RequestFilter};

use super::audit::time;
use super::{Api, page};
use crate::convert::time::wire;

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListRequestsRequest,
) -> Result<v1::ListRequestsResponse, ApiError> {
    let ctx = api.open(call).await?;
    let filter = RequestFilter {
        id: request.id.clone(),
        trace_id: request.trace_id.clone(),
        actor: request.actor.clone(),
        operation: request.operation.clone(),
        status: request.status,
        from: time("from", &request.from)?,
        until: time("until", &request.until)?,
    };
    let page = page::request(request.page_size, &request.page_token);
    let found = api.app().request_list(&ctx, &filter, &page);
    let found = api.within(&ctx, found).await?;
    Ok(v1::ListRequestsResponse {
        requests: found.rows.iter().map(entry).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

fn entry(it: &RequestEntry) -> v1::RequestEntry {
    v1::RequestEntry {
        id: it.id.clone(),
        time: Some(wire(it.time)),
        trace_id: it.trace_id.clone(),
        actor: it.actor.clone(),
        operation: it.operation.clone().into_owned(),
        status: u32::from(it.status),
        duration_us: it.duration_us,
        path: it.path.clone(),
    }
}
