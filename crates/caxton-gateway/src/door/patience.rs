//! A request's body that may not stop coming.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

/// A body whose next piece must come within a time. Its alarm is set only when a piece is waited for:
/// most bodies are there already when they are read.
pub(super) struct Patient {
    body: Body,
    patience: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("nothing of the body came for {} s", .0.as_secs())]
struct OutOfPatience(Duration);

impl Patient {
    pub(super) const fn new(body: Body, patience: Duration) -> Self {
        Self {
            body,
            patience,
            alarm: None,
        }
    }
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.alarm = None;
            return Poll::Ready(frame.map(|it| it.map_err(Into::into)));
        }
        let patience = this.patience;
        let alarm = this
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        let late = alarm.as_mut().poll(context);
        late.map(|()| Some(Err(OutOfPatience(patience).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use http_body_util::BodyExt as _;

    #[tokio::test(start_paused = true)]
    async fn each_piece_has_its_time_and_the_one_that_does_not_come_ends_it() {
        let patience = Duration::from_secs(3);
        let pause = Duration::from_secs(2);
        // Three pieces, each within its time, longer than that together; then nothing.
        let pieces = futures::stream::iter(0..3).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, BoxError>(Bytes::from_static(b"piece"))
        });
        let body = Body::from_stream(pieces.chain(futures::stream::pending()));
        let mut body = Patient::new(body, patience);
        let begun = tokio::time::Instant::now();
        let mut came = 0;
        let last = loop {
            match body.frame().await {
                Some(Ok(_)) => came += 1,
                other => break other,
            }
        };
        assert_eq!(came, 3);
        assert_eq!(begun.elapsed(), pause * 3 + patience);
        let error = last.and_then(Result::err).map(|it| it.to_string());
        assert_eq!(error.as_deref(), Some("nothing of the body came for 3 s"));
    }
}
