//! A turn's events as the body of an answer.
//!
//! The stream has no queue: it reads the turn's events by their numbers as fast as the client reads
//! it, as many at a time as there are, and writes them as one chunk. A client that is slow or leaves
//! costs the turn nothing. What comes within a millisecond of the last chunk is written together: a
//! write costs more than all else about an event, and whoever reads cannot tell. The first event and
//! the last wait for nothing.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use caxton_api::{ApiError, CallContext};
use caxton_engine::OpCtx;
use caxton_engine::turn::{Follow, Numbered};
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, header};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::api::Api;
use crate::stream::Place;

/// From one chunk to the next, at least, while the turn goes on. A model's words are further apart; only
/// an answer that is there at once is written in larger chunks.
const PAUSE: Duration = Duration::from_millis(1);

/// How a dialect writes events.
pub(crate) trait Encoder: Send + 'static {
    /// What these events are on the wire; may be nothing.
    fn batch(&mut self, events: &[Numbered]) -> Bytes;

    /// What is sent where nothing happens for a while.
    fn beat(&self) -> Bytes {
        Bytes::from_static(b": heartbeat\n\n")
    }

    /// What ends a stream that its turn did not.
    fn broken(error: &ApiError) -> Bytes
    where
        Self: Sized;
}

/// What is to be told: the turn, and the events of it that were read already.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) follow: Follow,
    pub(crate) read: Vec<Numbered>,
    /// The last event waits for this.
    pub(crate) kept: Option<oneshot::Receiver<()>>,
}

impl From<Follow> for Told {
    fn from(follow: Follow) -> Self {
        Self {
            follow,
            read: Vec::new(),
            kept: None,
        }
    }
}

impl Told {
    /// Lets more come, if the last chunk was given a moment ago.
    async fn gather(&self, last: Option<Instant>) {
        let left = last.and_then(|last| PAUSE.checked_sub(last.elapsed()));
        if let Some(left) = left
            && self.read.is_empty()
        {
            // Either way there is something to be read, or soon will be.
            let _ = tokio::time::timeout(left, self.follow.ended()).await;
        }
    }

    async fn next(&mut self) -> Option<Vec<Numbered>> {
        // What is not given yet stays here: whoever waits for it may give a sign of life meanwhile.
        if self.read.is_empty() {
            self.read = self.follow.next().await?;
        }
        if self.read.iter().any(|(_, event)| event.is_last())
            && let Some(kept) = self.kept.as_mut()
        {
            // Whoever keeps it may fail, which is in its log; the client has its answer anyhow.
            let _ = kept.await;
            self.kept = None;
        }
        Some(std::mem::take(&mut self.read))
    }
}

/// Answers with a turn's events.
pub(crate) fn answer<E: Encoder>(
    api: &Api,
    call: &CallContext,
    ctx: &OpCtx,
    place: Place,
    told: Told,
    encoder: E,
) -> Response {
    let beat = api.options().rest.heartbeat;
    let telling = Telling {
        told,
        encoder,
        last: None,
    };
    let chunks = stream::unfold(telling, move |telling| chunk(telling, beat));
    let held = api.hold(call, ctx, place.of_answer(), chunks);
    let call = call.clone();
    let body = held.map(move |chunk| {
        let broken = |error| E::broken(&call.complete(error));
        Ok::<_, Infallible>(chunk.unwrap_or_else(broken))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // Proxies that buffer answers would hold events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, Body::from_stream(body)).into_response()
}

struct Telling<E> {
    told: Told,
    encoder: E,
    /// When the last chunk was given.
    last: Option<Instant>,
}

type Step<E> = Option<(Result<Bytes, ApiError>, Telling<E>)>;

/// What comes next, or a sign of life.
async fn chunk<E: Encoder>(mut telling: Telling<E>, beat: Duration) -> Step<E> {
    loop {
        telling.told.gather(telling.last).await;
        let written = match tokio::time::timeout(beat, telling.told.next()).await {
            Err(_) => telling.encoder.beat(),
            Ok(events) => telling.encoder.batch(&events?),
        };
        if !written.is_empty() {
            telling.last = Some(Instant::now());
            return Some((Ok(written), telling));
        }
    }
}
