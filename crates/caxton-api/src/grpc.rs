//! What the generated gRPC doors have in common: opening a call and answering it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::StreamExt;
use tonic::{Request, Response, Status};

use crate::{ApiError, ApiStream, CallContext};

/// A server stream whose errors are gRPC's.
pub struct Stream<T>(ApiStream<T>, CallContext);

impl<T> std::fmt::Debug for Stream<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Stream")
            .field("method", &self.1.method)
            .finish_non_exhaustive()
    }
}

impl<T> futures::Stream for Stream<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = std::task::ready!(self.0.poll_next_unpin(context));
        Poll::Ready(item.map(|item| item.map_err(|error| self.1.complete(error).into())))
    }
}

/// Takes a call apart into what came with it and what is asked.
///
/// # Errors
/// As [`CallContext::read`].
// A Status is what tonic's signatures ask for.
#[allow(clippy::result_large_err)]
pub fn open<T>(method: &'static str, request: Request<T>) -> Result<(CallContext, T), Status> {
    let (metadata, extensions, request) = request.into_parts();
    let headers = metadata.into_headers();
    let context = CallContext::read(method, None, &headers, extensions)?;
    Ok((context, request))
}

/// Answers a unary call.
#[allow(clippy::result_large_err)]
pub(crate) fn unary<T>(
    context: &CallContext,
    answer: Result<T, ApiError>,
) -> Result<Response<T>, Status> {
    answer
        .map(Response::new)
        .map_err(|error| context.complete(error).into())
}

/// Answers a call with a server stream.
#[allow(clippy::result_large_err)]
pub(crate) fn stream<T>(
    context: &CallContext,
    answer: Result<ApiStream<T>, ApiError>,
) -> Result<Response<Stream<T>>, Status> {
    unary(
        context,
        answer.map(|stream| Stream(stream, context.clone())),
    )
}
