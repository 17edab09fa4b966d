//! Waking one waiting worker. A signal given before the wait begins is not lost; several are one.

use futures::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

#[derive(Debug, Default)]
pub(super) struct Signal {
    given: AtomicBool,
    waiting: AtomicWaker,
}

impl Signal {
    pub(super) fn give(&self) {
        self.given.store(true, Ordering::Release);
        self.waiting.wake();
    }

    /// Completes when a signal is given. One task may wait at a time.
    pub(super) async fn taken(&self) {
        poll_fn(|context| {
            if self.given.swap(false, Ordering::Acquire) {
                return Poll::Ready(());
            }
            self.waiting.register(context.waker());
            if self.given.swap(false, Ordering::Acquire) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
