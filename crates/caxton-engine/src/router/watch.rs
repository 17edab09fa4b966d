//! Messages as they pass, for whoever watches. Asked before each message, so that it must cost next to
//! nothing where nobody does: tokio's channel counts its receivers under a lock.

use caxton_core::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::broadcast::{self, error::RecvError};

/// The side that shows.
#[derive(Debug)]
pub(super) struct Watch {
    messages: broadcast::Sender<Arc<Message>>,
    watchers: Arc<AtomicUsize>,
}

/// The side that watches.
#[derive(Debug)]
pub(crate) struct Watching {
    messages: broadcast::Receiver<Arc<Message>>,
    watchers: Arc<AtomicUsize>,
}

impl Watch {
    /// A watcher may fall so many messages behind before it misses some.
    pub(super) fn new(messages_max: usize) -> Self {
        Self {
            messages: broadcast::channel(messages_max).0,
            watchers: Arc::default(),
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Acquire) > 0
    }

    pub(super) fn show(&self, message: Arc<Message>) {
        let _ = self.messages.send(message);
    }

    pub(super) fn watching(&self) -> Watching {
        self.watchers.fetch_add(1, Ordering::Release);
        Watching {
            messages: self.messages.subscribe(),
            watchers: Arc::clone(&self.watchers),
        }
    }
}

impl Watching {
    pub(crate) async fn recv(&mut self) -> Result<Arc<Message>, RecvError> {
        self.messages.recv().await
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watchers.fetch_sub(1, Ordering::Release);
    }
}
