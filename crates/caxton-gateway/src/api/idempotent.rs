//! Creations with an `Idempotency-Key`, the same over REST and gRPC.

use std::future::Future;

use caxton_api::{ApiError, CallContext};
use caxton_core::error::{Code, Error};
use caxton_engine::OpCtx;
use prost::Message;

use super::{Api, refused};
use crate::idempotency::Begun;

impl Api {
    /// Does a creation, or answers as its first time was answered.
    pub(super) async fn create<A, W>(
        &self,
        ctx: &OpCtx,
        call: &CallContext,
        request: &impl Message,
        work: W,
    ) -> Result<A, ApiError>
    where
        A: Message + Default + 'static,
        W: Future<Output = Result<A, Error>> + Send + 'static,
    {
        let Some(key) = &ctx.idempotency_key else {
            return self.settle(ctx, call.method, work).await;
        };
        let request = (call.method, request.encode_to_vec());
        let begun = self.0.idempotency.begin(
            &ctx.tenant,
            &ctx.principal,
            key,
            (request.0, &request.1),
            self.clock().now(),
        );
        match begun.map_err(refused)? {
            Begun::Replay(answer) => A::decode(answer.as_slice())
                .map_err(|error| ApiError::new(Code::Internal, error.to_string())),
            Begun::First(claim) => {
                let clock = std::sync::Arc::clone(self.clock());
                // The claim goes with the work: a caller that has gone can come back for the answer.
                let keyed = async move {
                    let answer = work.await?;
                    claim.answered(answer.encode_to_vec(), clock.now());
                    Ok(answer)
                };
                self.settle(ctx, call.method, keyed).await
            }
        }
    }
}
