//! What all compatible doors have in common: who may, what is begun, and how it is told.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use caxton_api::{ApiError, CallContext};
use caxton_core::error::{Code, Error, shown};
use caxton_core::session::{TurnEvent, TurnOutcome};
use caxton_engine::OpCtx;
use caxton_engine::app::TurnAsk;
use caxton_engine::idempotency::Begun;
use caxton_engine::turn::{Follow, Numbered};
use futures::FutureExt;
use http::{HeaderValue, Uri, header};
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

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    error: ApiError,
    /// Tools were called before: what they did is done.
    acted: bool,
}

impl From<ApiError> for Unanswered {
    fn from(error: ApiError) -> Self {
        let acted = false;
        Self { error, acted }
    }
}

/// Waits for a turn's end.
pub(super) async fn gather(
    api: &Api,
    ctx: &OpCtx,
    follow: Follow,
) -> Result<(Gathered, Box<TurnOutcome>), Unanswered> {
    let (mut gathered, mut acted) = (Gathered::default(), false);
    let see = |event: &TurnEvent| {
        acted |= matches!(event, TurnEvent::ToolCall { .. });
        gathered.take(event);
    };
    let waited = whole(api, ctx, follow, see).await;
    let error = match (waited, gathered.ended.take()) {
        (Ok(()), Some(Ok(outcome))) => return Ok((gathered, outcome)),
        (Ok(()), Some(Err(failure))) => failure.error().into(),
        (Ok(()), None) => ApiError::new(Code::Internal, "the turn has no end"),
        (Err(error), _) => error,
    };
    Err(Unanswered { error, acted })
}

/// Answers a request whole: once for each `Idempotency-Key`, whose first answer is kept for whoever
/// repeats it, over restarts too. `work` is given the context to do it in.
pub(super) async fn once<W>(
    api: &Api,
    (call, ctx): (&CallContext, &OpCtx),
    bytes: &Bytes,
    work: impl FnOnce(OpCtx) -> W,
) -> Result<Response, ApiError>
where
    W: Future<Output = Result<Value, Unanswered>> + Send + 'static,
{
    if ctx.idempotency_key.is_none() {
        let answered = work(ctx.clone()).await;
        return answered.map(|it| json(&it)).map_err(|it| it.error);
    }
    // It goes on without the caller, who can come back for the answer.
    let work = work(OpCtx {
        idempotency_key: None,
        deadline: None,
        ..ctx.clone()
    });
    let (app, inner) = (api.app().clone(), ctx.clone());
    let (method, bytes) = (call.method, bytes.clone());
    let keyed = async move {
        let claim = match app.idempotency_begin(&inner, (method, &bytes)).await? {
            Some(Begun::First(claim)) => claim,
            Some(Begun::Replay(kept)) => return kept_before(kept),
            None => return Err(Error::new(Code::Internal, "a key was given and is gone")),
        };
        match work.await {
            Ok(answer) => {
                let answer = Bytes::from(answer.to_string());
                claim.answered(answer.clone()).await;
                Ok(answer)
            }
            // Doing it again would do it twice.
            Err(Unanswered { error, acted: true }) => Err(engines(error)),
            Err(Unanswered { error, .. }) => {
                claim.freed().await;
                Err(engines(error))
            }
        }
    };
    let answer = api.settle(ctx, method, Box::pin(keyed)).await?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], answer).into_response())
}

/// An answer as it was given the first time; that of an earlier version named a turn of which nothing
/// is left.
fn kept_before(kept: Bytes) -> Result<Bytes, Error> {
    if kept.starts_with(b"{") {
        return Ok(kept);
    }
    let detail =
        "the first request with this Idempotency-Key was answered, and its answer is not kept";
    Err(Error::new(Code::IdempotencyLost, detail))
}

fn engines(error: ApiError) -> Error {
    let after = error.retry_after;
    let plain = Error::new(error.code, error.detail).with_fields(error.fields);
    match after {
        Some(after) => plain.retry_after(after),
        None => plain,
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
    dialect: impl Fn(Of) -> D,
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
    let mut follow = api.within(ctx, found).await?;
    let of = of(call, &follow, model);
    // Whatever a client has seen is at hand: read without waiting, and only counted.
    let (mut read, mut told) = (Vec::new(), Blocks::new(turn, u64::MAX));
    while let Some(Some(events)) = follow.next().now_or_never() {
        read.extend(events);
    }
    let mut counting = dialect(of.clone());
    read.iter()
        .for_each(|(_, event)| counting.event(event, &mut told));
    if told.written() < seen {
        let detail = format!("turn {turn} has told no event {seen} here");
        return Err(ApiError::new(Code::ResumeLost, detail));
    }
    let blocks = Blocks::new(turn, seen);
    let dialect = dialect(of);
    let encoder = Encoded { dialect, blocks };
    let told = Told {
        follow,
        read,
        kept: None,
    };
    Ok(answer(api, call, ctx, place, told, encoder))
}

/// The turn that an answer is of.
pub(super) fn of(call: &CallContext, follow: &Follow, model: String) -> Of {
    Of {
        turn: follow.turn().id(),
        model,
        trace_id: call.trace_id(),
    }
}
