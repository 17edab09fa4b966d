//! Creations with an `Idempotency-Key`: once, and the same answer to each repetition.

use super::App;
use crate::idempotency::Begun;
use crate::opctx::OpCtx;
use caxton_core::error::Error;

impl App {
    /// Takes up the key that the caller gave, in its tenant and for it alone; `None` without one.
    /// `request` is the operation and its encoded body, of which only a digest is kept. Whoever calls
    /// has decided that the caller may do what it asks.
    ///
    /// Errors: `CX-1022` for a key that is too long, `CX-1030` where it was used for another request,
    /// `CX-1031` where its first request is in progress, `CX-1032` where the first request's answer
    /// is lost, `CX-500x` where it cannot be written down: nothing was done then.
    pub async fn idempotency_begin(
        &self,
        ctx: &OpCtx,
        request: (&str, &[u8]),
    ) -> Result<Option<Begun>, Error> {
        match &ctx.idempotency_key {
            Some(key) => self.idempotency.begin(ctx, key, request).await.map(Some),
            None => Ok(None),
        }
    }
}
