//! What all compatible doors have in common: who may, what is begun, and how it is told.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use caxton_api::{ApiError, CallContext};
use caxton_core::error::{Code, shown};
use caxton_core::session::{TurnEvent, TurnOutcome};
use caxton_engine::OpCtx;
use caxton_engine::app::TurnAsk;
use caxton_engine::turn::{Follow, Numbered};
use http::Uri;
use serde_json::Value;
use tokio::sync::oneshot;

use super::answer::{Gathered, Of};
use super::asked::{Addressed, Asked};
use super::blocks::{Blocks, place, unnumbered};
use super::error::{self, Family};
use crate::api::Api;
use crate::turn::{Encoder, Told, Wanted, answer, begin, opening, read, whole};

/// Largest body, in bytes: what the providers themselves take.
pub(super) const BODY_BYTES_MAX: usize = 32 << 20;

/// The operation that asks a model without an assistant, whichever door it comes by.
pub(super) const MODEL_OPERATION: &str = "caxton.compat/UseModel";

/// A request of a compatible door, with nothing of its body read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) call: CallContext,
    pub(super) ctx: OpCtx,
    pub(super) request: Request,
}

/// Opens an operation. The query is the client's own affair, as with the providers.
///
/// # Errors
/// The finished refusal.
#[allow(clippy::result_large_err)]
pub(super) async fn open(
    api: &Api,
    method: &'static str,
    request: Request,
) -> Result<Opened, Response> {
    let (uri, extensions) = (request.uri().clone(), request.extensions().clone());
    let call = CallContext::read(method, Some(&uri), request.headers(), extensions);
    let call = call.map_err(|error| refuse(&uri, None, error))?;
    match api.open(&call).await {
        Ok(ctx) => Ok(Opened { call, ctx, request }),
        Err(error) => Err(refuse(&uri, Some(&call), error)),
    }
}

/// An error in the words of the client.
fn refuse(uri: &Uri, call: Option<&CallContext>, error: ApiError) -> Response {
    let error = match call {
        Some(call) => call.complete(error),
        None => error,
    };
    let request_id = call.and_then(|call| call.request_id.as_ref()?.to_str().ok());
    match Family::of(uri.path()) {
        Some(family) => family.refuse(&error, request_id),
        None => error.into_response(),
    }
}

/// Ends an operation with its answer.
pub(super) fn finish(call: &CallContext, answer: Result<Response, ApiError>) -> Response {
    answer.unwrap_or_else(|error| {
        let uri = call.uri.clone().unwrap_or_default();
        refuse(&uri, Some(call), error)
    })
}

/// Answers with JSON.
pub(super) fn json(value: &Value) -> Response {
    axum::Json(value).into_response()
}

/// Writes a turn's events in a dialect.
pub(super) trait Dialect: Send + 'static {
    fn event(&mut self, event: &TurnEvent, out: &mut Blocks);

    /// A sign of life that the dialect has; else a comment.
    fn beat(&self) -> Bytes {
        Bytes::from_static(b": heartbeat\n\n")
    }

    /// What ends a stream that its turn did not.
    fn broken(error: &ApiError) -> Bytes
    where
        Self: Sized,
    {
        unnumbered(None, &error::openai(error))
    }
}

struct Encoded<D> {
    dialect: D,
    blocks: Blocks,
}

impl<D: Dialect> Encoder for Encoded<D> {
    fn batch(&mut self, events: &[Numbered]) -> Bytes {
        for (_, event) in events {
            self.dialect.event(event, &mut self.blocks);
        }
        self.blocks.take()
    }

    fn beat(&self) -> Bytes {
        self.dialect.beat()
    }

    fn broken(error: &ApiError) -> Bytes {
        D::broken(error)
    }
}

/// The body of a request; none where it only goes on with a stream.
pub(super) async fn body(request: Request) -> Result<Bytes, ApiError> {
    read(request, BODY_BYTES_MAX).await
}

/// Begins what is asked, as a model or an assistant, whichever it is, permits.
pub(super) async fn start(
    api: &Api,
    opened: (&CallContext, &OpCtx),
    bytes: &Bytes,
    asked: Asked,
) -> Result<Follow, ApiError> {
    let (call, ctx) = opened;
    let wanted = match asked.addressed()? {
        Addressed::Assistant(agent, say) => Wanted::Assistant(Box::new(TurnAsk {
            agent,
            session: None,
            say: *say,
        })),
        Addressed::Model(model, request) => {
            let call = CallContext {
                method: MODEL_OPERATION,
                ..call.clone()
            };
            api.open(&call).await?;
            Wanted::Model(model, request)
        }
    };
    begin(api, ctx, call, bytes.to_vec(), wanted).await
}

/// Waits for a turn's end.
pub(super) async fn gather(
    api: &Api,
    ctx: &OpCtx,
    follow: Follow,
) -> Result<(Gathered, Box<TurnOutcome>), ApiError> {
    let mut gathered = Gathered::default();
    whole(api, ctx, follow, |event| gathered.take(event)).await?;
    match gathered.ended.take() {
        Some(Ok(outcome)) => Ok((gathered, outcome)),
        Some(Err(failure)) => Err(failure.error().into()),
        None => Err(ApiError::new(Code::Internal, "the turn has no end")),
    }
}

/// Tells a turn from its beginning. One that fails before it says something is an answer with the
/// failure's status, as clients know it.
pub(super) async fn tell<D: Dialect>(
    api: &Api,
    opened: (&CallContext, &OpCtx),
    mut follow: Follow,
    kept: Option<oneshot::Receiver<()>>,
    dialect: D,
) -> Result<Response, ApiError> {
    let (call, ctx) = opened;
    let place = api.streams().place()?;
    let turn = follow.turn().id();
    let read = opening(&mut follow, api.options().rest.heartbeat).await?;
    let told = Told { follow, read, kept };
    let blocks = Blocks::new(turn, 0);
    let encoder = Encoded { dialect, blocks };
    Ok(answer(api, call, ctx, place, told, encoder))
}

/// Goes on with a stream behind the event that `Last-Event-ID` names: all of the turn is written
/// again, and what the client has is left out.
pub(super) async fn go_on<D: Dialect>(
    api: &Api,
    opened: (&CallContext, &OpCtx),
    id: &str,
    dialect: impl FnOnce(Of) -> D,
    model: String,
) -> Result<Response, ApiError> {
    let (call, ctx) = opened;
    let (turn, seen) = place(id).ok_or_else(|| {
        let what = "is no event of a turn";
        let detail = format!("`{}` {what}", shown(id));
        ApiError::new(Code::ParameterMalformed, detail).with_field("last-event-id", what)
    })?;
    let place = api.streams().place()?;
    let found = api.app().turn_follow(ctx, turn, 0);
    let follow = api.within(ctx, found).await?;
    let dialect = dialect(of(call, &follow, model));
    let blocks = Blocks::new(turn, seen);
    let encoder = Encoded { dialect, blocks };
    Ok(answer(api, call, ctx, place, Told::from(follow), encoder))
}

/// The turn that an answer is of.
pub(super) fn of(call: &CallContext, follow: &Follow, model: String) -> Of {
    Of {
        turn: follow.turn().id(),
        model,
        trace_id: call.trace_id(),
    }
}
