//! Streams to clients: how many at one time, and their end when the server stops.
//!
//! A stream holds nothing but its place and a bounded subscription: it is read only as fast as the
//! client reads. One that falls behind is told so by an error that ends it (`CX-6006`), and can come
//! back with `Last-Event-ID`; it is never waited for.

use std::sync::Arc;
use std::time::Duration;

use caxton_api::{ApiError, ApiStream};
use caxton_core::Code;
use futures::future::ready;
use futures::{Stream, StreamExt, stream};
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// When to ask again a server that has restarted.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The places for streams.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    places: Arc<Semaphore>,
    stop: CancellationToken,
    cut: CancellationToken,
    open: IntGauge,
}

/// A place, held as long as the stream lives.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    stop: CancellationToken,
    cut: CancellationToken,
    is_answer: bool,
    open: IntGauge,
}

impl Streams {
    pub(crate) fn new(streams_max: usize, open: IntGauge) -> Self {
        Self {
            places: Arc::new(Semaphore::new(streams_max)),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            open,
        }
    }

    /// A place for one stream, to be taken before anything is subscribed to.
    ///
    /// # Errors
    /// `CX-6005` where there is none left.
    pub(crate) fn place(&self) -> Result<Place, ApiError> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            ApiError::new(
                Code::StreamsTooMany,
                "as many streams as the server allows are open",
            )
        })?;
        self.open.inc();
        Ok(Place {
            _permit: permit,
            stop: self.stop.clone(),
            cut: self.cut.clone(),
            is_answer: false,
            open: self.open.clone(),
        })
    }

    /// Ends every stream but answers, and those that come.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends answers, too: there is no more time. They say so (`CX-6002`).
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Completes when [`Streams::stop`] was called.
    pub(crate) fn stopped(&self) -> WaitForCancellationFutureOwned {
        self.stop.clone().cancelled_owned()
    }

    /// Whether [`Streams::stop`] was called: the gateway is shutting down.
    pub(crate) fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl Place {
    /// Of an answer: a stream with an end of its own, which a server that stops waits for as it does
    /// for a request.
    #[must_use]
    pub(crate) fn of_answer(mut self) -> Self {
        self.is_answer = true;
        self
    }

    /// Gives the stream its place.
    pub(crate) fn hold<T, S>(self, stream: S) -> ApiStream<T>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T, ApiError>> + Send + 'static,
    {
        let (stop, cut) = (self.stop.clone(), self.cut.clone());
        let is_answer = self.is_answer;
        let held = stream.map(move |item| {
            let _ = &self;
            item
        });
        if !is_answer {
            return held.take_until(stop.cancelled_owned()).boxed();
        }
        // The error is the last word only where the stream has not ended by itself.
        let ended = stream::once(ready(Step::Ended));
        let cut_off = stream::once(ready(Step::CutOff));
        held.map(Step::Told)
            .chain(ended)
            .take_until(cut.cancelled_owned())
            .chain(cut_off)
            .scan((), |(), step| {
                ready(match step {
                    Step::Told(item) => Some(item),
                    Step::Ended => None,
                    Step::CutOff => Some(Err(draining())),
                })
            })
            .boxed()
    }
}

/// What an answer's stream does.
enum Step<T> {
    Told(Result<T, ApiError>),
    Ended,
    CutOff,
}

fn draining() -> ApiError {
    let detail = "the server is shutting down, and the answer has not ended";
    let mut error = ApiError::new(Code::Draining, detail);
    error.retry_after = Some(RETRY_AFTER);
    error
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// The error that ends a stream whose reader was too slow.
pub(crate) fn lagged(missed: u64) -> ApiError {
    ApiError::new(
        Code::StreamLagged,
        format!("{missed} events were missed because they were read too slowly"),
    )
}
