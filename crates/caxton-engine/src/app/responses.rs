//! Responses that clients of a compatible door go on from: kept by the tenant, each with what was
//! said in it and the one it goes on from. Nothing of them is a session's.

use super::App;
use crate::documents;
use crate::opctx::OpCtx;
use crate::port::store::PageRequest;
use crate::turn::StoredResponse;
use caxton_core::error::{Code, Error};
use caxton_core::grant::Permission;
use caxton_core::model::ChatMessage;
use caxton_core::session::TurnId;
use std::time::Duration;

/// How long a response is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Old ones let go with each that is kept: more than come, so that none piles up.
const LET_GO_MAX: u32 = 4;
/// Responses that one may go on from, one after the other.
const CHAIN_MAX: usize = 1_000;

impl App {
    /// Keeps a response for 30 days.
    pub async fn response_keep(&self, ctx: &OpCtx, response: &StoredResponse) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::SessionWrite)?;
        let documents = &self.shared.services.sessions.documents;
        let mut ops = vec![documents::put(&response.id.to_string(), response)?];
        // Ids begin with their time: the first are the oldest.
        let oldest = PageRequest::first(LET_GO_MAX);
        let oldest = documents
            .list::<StoredResponse>(&scope, "", &oldest)
            .await?;
        for old in oldest.rows.iter().filter(|it| self.is_old(it.id)) {
            ops.push(documents::remove::<StoredResponse>(&old.id.to_string()));
        }
        documents.commit(&scope, ops).await
    }

    /// Errors: `CX-7022` for one that is not kept.
    pub async fn response_show(&self, ctx: &OpCtx, id: TurnId) -> Result<StoredResponse, Error> {
        let scope = ctx.authorize(Permission::SessionRead)?;
        let documents = &self.shared.services.sessions.documents;
        let found: Option<StoredResponse> = documents.get(&scope, &id.to_string()).await?;
        found
            .filter(|it| !self.is_old(it.id))
            .ok_or_else(|| no_response(id))
    }

    /// Forgets a response. Those that go on from it cannot be gone on from any more.
    pub async fn response_remove(&self, ctx: &OpCtx, id: TurnId) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::SessionWrite)?;
        let documents = &self.shared.services.sessions.documents;
        let found: Option<StoredResponse> = documents.get(&scope, &id.to_string()).await?;
        found.ok_or_else(|| no_response(id))?;
        let kept_as = id.to_string();
        documents.remove::<StoredResponse>(&scope, &kept_as).await?;
        self.shared.services.turns.let_turn_go(scope.tenant(), id);
        Ok(())
    }

    /// All that was said up to a response and in it. Errors: `CX-7022` where one of them is not
    /// kept, `CX-7025` past the number of responses that one may go on from.
    pub async fn response_history(
        &self,
        ctx: &OpCtx,
        id: TurnId,
    ) -> Result<Vec<ChatMessage>, Error> {
        let mut chain = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            if chain.len() >= CHAIN_MAX {
                let detail = format!("more than {CHAIN_MAX} responses go on from one another");
                return Err(Error::new(Code::TurnLimit, detail));
            }
            let response = self.response_show(ctx, id).await?;
            next = response.previous;
            chain.push(response.messages);
        }
        Ok(chain.into_iter().rev().flatten().collect())
    }

    fn is_old(&self, id: TurnId) -> bool {
        let kept_ms = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
        self.now().as_ms() > id.as_ms().saturating_add(kept_ms)
    }
}

fn no_response(id: TurnId) -> Error {
    Error::new(Code::TurnNotFound, format!("no response resp_{id} is kept"))
}
