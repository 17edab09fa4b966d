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
    /// For all of it together, and not for each piece.
    whole: bool,
    alarm: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the body did not come within {} s", .0.as_secs())]
struct OutOfPatience(Duration);

impl Patient {
    pub(super) const fn new(body: Body, patience: Duration) -> Self {
        Self {
            body,
            patience,
            whole: false,
            alarm: None,
        }
    }

    /// One that must come whole within the time.
    pub(super) const fn whole(body: Body, patience: Duration) -> Self {
        let mut patient = Self::new(body, patience);
        patient.whole = true;
        patient
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
        if this.whole
            && let Some(alarm) = &mut this.alarm
            && alarm.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(OutOfPatience(this.patience).into())));
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if !this.whole {
                this.alarm = None;
            }
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

    /// Three pieces two seconds apart, and then nothing: how many come, after how long the body ends, and
    /// with what.
    async fn read(mut body: Patient) -> (u32, Duration, Option<String>) {
        let begun = tokio::time::Instant::now();
        let mut came = 0;
        let last = loop {
            match body.frame().await {
                Some(Ok(_)) => came += 1,
                other => break other,
            }
        };
        let error = last.and_then(Result::err).map(|it| it.to_string());
        (came, begun.elapsed(), error)
    }

    fn pieces() -> Body {
        let pieces = futures::stream::iter(0..3).then(|_| async {
            tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
            Ok::<_, BoxError>(Bytes::from_static(b"piece"))
        });
        Body::from_stream(pieces.chain(futures::stream::pending()))
    }

    const PAUSE: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn each_piece_has_its_time_and_the_one_that_does_not_come_ends_it() {
        let patience = Duration::from_secs(3);
        let (came, after, error) = read(Patient::new(pieces(), patience)).await;
        assert_eq!((came, after), (3, PAUSE * 3 + patience));
        assert_eq!(error.as_deref(), Some("the body did not come within 3 s"));
        let (came, after, error) = read(Patient::whole(pieces(), patience)).await;
        assert_eq!((came, after), (1, patience));
        assert_eq!(error.as_deref(), Some("the body did not come within 3 s"));
    }
}
