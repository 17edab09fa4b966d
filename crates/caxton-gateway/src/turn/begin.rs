//! A turn begun, once for each `Idempotency-Key`: what is kept of a keyed request is the turn, and
//! a repetition is told of it again once it has ended.

use std::time::Duration;

use caxton_api::{ApiError, CallContext};
use caxton_core::error::{Code, Error};
use caxton_core::model::{ModelName, ModelRequest};
use caxton_core::session::TurnId;
use caxton_engine::app::TurnAsk;
use caxton_engine::idempotency::Begun;
use caxton_engine::turn::Follow;
use caxton_engine::{App, OpCtx};

use crate::api::Api;

/// What a repetition is told to wait while the first is in progress.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is to be begun.
#[derive(Debug)]
pub(crate) enum Wanted {
    Assistant(Box<TurnAsk>),
    Model(ModelName, Box<ModelRequest>),
}

/// Begins a turn, or follows the one that the same key began, from its beginning to its end.
pub(crate) async fn begin(
    api: &Api,
    ctx: &OpCtx,
    call: &CallContext,
    body: Vec<u8>,
    wanted: Wanted,
) -> Result<Follow, ApiError> {
    let (app, inner, method) = (api.app().clone(), ctx.clone(), call.method);
    if ctx.idempotency_key.is_none() {
        if let Wanted::Model(model, request) = wanted {
            // Nothing is written that could be left half done.
            return api
                .within(ctx, app.turn_start_model(ctx, model, *request))
                .await;
        }
        let work = async move { start(&app, &inner, wanted).await };
        return api.settle(ctx, method, work).await;
    }
    let keyed = async move {
        let claim = match app.idempotency_begin(&inner, (method, &body)).await? {
            None => return start(&app, &inner, wanted).await,
            Some(Begun::First(claim)) => claim,
            Some(Begun::Replay(kept)) => return again(&app, &inner, &kept).await,
        };
        match start(&app, &inner, wanted).await {
            Ok(follow) => {
                let turn = follow.turn().id().to_string();
                claim.answered(turn.into()).await;
                Ok(follow)
            }
            Err(error) => {
                claim.freed().await;
                Err(error)
            }
        }
    };
    api.settle(ctx, method, Box::pin(keyed)).await
}

async fn start(app: &App, ctx: &OpCtx, wanted: Wanted) -> Result<Follow, Error> {
    match wanted {
        Wanted::Assistant(ask) => app.turn_start(ctx, *ask).await,
        Wanted::Model(model, request) => app.turn_start_model(ctx, model, *request).await,
    }
}

/// The turn that the first request began. One of which nothing is kept is gone a minute after its end.
async fn again(app: &App, ctx: &OpCtx, kept: &[u8]) -> Result<Follow, Error> {
    let damaged = |_| Error::new(Code::StorageDamaged, "a kept answer names no turn");
    let turn = TurnId::parse(std::str::from_utf8(kept).unwrap_or_default()).map_err(damaged)?;
    let found = app.turn_follow(ctx, turn, 0).await;
    let found = found.map_err(|error| match error.code {
        Code::TurnNotFound => {
            let detail = "the first request with this Idempotency-Key was answered, and its answer \
                          is not kept any more";
            Error::new(Code::IdempotencyLost, detail)
        }
        _ => error,
    })?;
    if !found.turn().has_ended() {
        let detail = format!(
            "the first request with this Idempotency-Key is not answered yet: its turn {turn} of session {} goes on",
            found.turn().session()
        );
        return Err(Error::new(Code::IdempotencyBusy, detail).retry_after(RETRY_AFTER));
    }
    Ok(found)
}
