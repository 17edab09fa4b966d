//! Streams to clients: how many at one time, and their end when the server stops.
//!
//! A stream holds nothing but its place and a bounded subscription: it is read only as fast as the
//! client reads. One that falls behind is told so by an error that ends it (`CX-6006`), and can come
//! back with `Last-Event-ID`; it is never waited for.

use std::sync::Arc;

use caxton_api::{ApiError, ApiStream};
use caxton_core::Code;
use futures::{Stream, StreamExt};
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The places for streams.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    places: Arc<Semaphore>,
    stop: CancellationToken,
    open: IntGauge,
}

/// A place, held as long as the stream lives.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    stop: CancellationToken,
    open: IntGauge,
}

impl Streams {
    pub(crate) fn new(streams_max: usize, open: IntGauge) -> Self {
        Self {
            places: Arc::new(Semaphore::new(streams_max)),
            stop: CancellationToken::new(),
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
            open: self.open.clone(),
        })
    }

    /// Ends every stream, and those that come.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
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
    /// Gives the stream its place.
    pub(crate) fn hold<T, S>(self, stream: S) -> ApiStream<T>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T, ApiError>> + Send + 'static,
    {
        let stop = self.stop.clone();
        let held = stream.map(move |item| {
            let _ = &self;
            item
        });
        held.take_until(stop.cancelled_owned()).boxed()
    }
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
