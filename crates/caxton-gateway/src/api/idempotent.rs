//! Creations with an `Idempotency-Key`, the same over REST and gRPC.

use std::future::Future;

use caxton_api::{ApiError, CallContext};
use caxton_core::error::{Code, Error};
use caxton_engine::OpCtx;
use caxton_engine::idempotency::Begun;
use prost::Message;

use super::Api;
use super::sealed::{Seal, Secrecy};

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
        self.create_once(ctx, call, request, Secrecy::Plain, work)
            .await
    }

    /// The same where the answer has a secret that the server does not keep.
    pub(super) async fn create_secret<A, W>(
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
        self.create_once(ctx, call, request, Secrecy::Secret, work)
            .await
    }

    async fn create_once<A, W>(
        &self,
        ctx: &OpCtx,
        call: &CallContext,
        request: &impl Message,
        secrecy: Secrecy,
        work: W,
    ) -> Result<A, ApiError>
    where
        A: Message + Default + 'static,
        W: Future<Output = Result<A, Error>> + Send + 'static,
    {
        let Some(key) = &ctx.idempotency_key else {
            return self.settle(ctx, call.method, work).await;
        };
        let seal = Seal::of(call, &ctx.tenant, key);
        let (method, body) = (call.method, request.encode_to_vec());
        let (app, inner) = (self.app().clone(), ctx.clone());
        // All of it goes on without the caller, who can come back for the answer.
        let keyed = async move {
            let claim = match app.idempotency_begin(&inner, (method, &body)).await? {
                None => return work.await,
                Some(Begun::First(claim)) => claim,
                Some(Begun::Replay(kept)) => {
                    let answer = seal.open(&kept)?;
                    return A::decode(answer.as_slice())
                        .map_err(|error| Error::new(Code::StorageDamaged, error.to_string()));
                }
            };
            match work.await {
                Ok(answer) => {
                    let kept = seal.close(secrecy, answer.encode_to_vec());
                    claim.answered(kept).await;
                    Ok(answer)
                }
                // It was done, and what came of it is not known: doing it again would do it twice.
                Err(error) if may_have_happened(error.code) => Err(error),
                Err(error) => {
                    claim.freed().await;
                    Err(error)
                }
            }
        };
        self.settle(ctx, call.method, Box::pin(keyed)).await
    }
}

/// Whether what failed so may have taken effect.
pub(super) fn may_have_happened(code: Code) -> bool {
    matches!(
        code,
        Code::CallTimeout | Code::ToolTimeout | Code::ToolInterrupted | Code::ToolAnswerMalformed
    )
}
