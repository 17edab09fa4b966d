//! A connection's socket: it counts what was read, and closes so that the last answer arrives.
//!
//! Closing a socket that has unread bytes resets the connection, and a reset makes the client's system
//! throw away what it has received: a client that still sends the body we refused would see a broken
//! connection in place of the refusal. So after a refusal we say that nothing more comes from us, and
//! read and drop what the client still sends, for a while (RFC 9112, 9.6).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a refused client may go on sending.
const LINGER: Duration = Duration::from_secs(5);
/// How much of it is read and dropped: twice the largest upload there is by default.
const LINGER_BYTES_MAX: usize = 256 << 20;

/// The socket of one connection.
///
/// Under TLS it stands above it, so that what is counted and dropped is what the client said.
pub(crate) struct Socket<S> {
    stream: S,
    watch: Watch,
    /// There once our side is closed: when the client's must be.
    late: Option<Pin<Box<Sleep>>>,
    dropped_bytes: usize,
}

/// What is known of a socket from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    read_bytes: Arc<AtomicUsize>,
    linger: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn bytes_read(&self) -> usize {
        self.read_bytes.load(Ordering::Relaxed)
    }

    /// A request was refused, perhaps with its body on the way.
    pub(crate) fn linger(&self) {
        self.linger.store(true, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(crate) fn new(stream: S) -> (Self, Watch) {
        let watch = Watch::default();
        let socket = Self {
            stream,
            watch: watch.clone(),
            late: None,
            dropped_bytes: 0,
        };
        (socket, watch)
    }

    /// Reads until the client closes its side, sends too much, or takes too long.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if late.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0_u8; 16 << 10];
        while self.dropped_bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            let bytes = buffer.filled().len();
            if read.is_err() || bytes == 0 {
                break;
            }
            self.dropped_bytes = self.dropped_bytes.saturating_add(bytes);
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let more = buffer.filled().len().saturating_sub(before);
        self.watch.read_bytes.fetch_add(more, Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.late.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        if self.watch.linger.load(Ordering::Relaxed) {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}
