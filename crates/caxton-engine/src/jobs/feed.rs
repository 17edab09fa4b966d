//! What happens to one call from outside, for whoever follows it: a bounded list of events, read at
//! each reader's own pace. A reader that is too slow misses the oldest, and is told how many.

use super::JobState;
use caxton_core::{Message, Timestamp};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// Events kept of one call.
const EVENTS_MAX: usize = 256;
/// Bytes of the messages among them.
const EVENTS_BYTES_MAX: usize = 1 << 20;

/// Something that happened to a call.
#[derive(Clone, Debug)]
pub struct Event {
    /// From 0, since the call was begun or, of a job, since the server was started.
    pub index: u64,
    pub time: Timestamp,
    pub state: JobState,
    /// What the agent said before its answer; none where the state has changed.
    pub said: Option<Arc<Message>>,
}

impl Event {
    fn bytes(&self) -> usize {
        self.said.as_ref().map_or(0, |it| it.acl.bytes())
    }
}

#[derive(Debug, Default)]
struct Events {
    /// Index of the first that is kept.
    first: u64,
    kept: VecDeque<Event>,
    bytes: usize,
    ended: bool,
}

/// The events of one call.
#[derive(Debug)]
pub struct Feed {
    events: Mutex<Events>,
    changed: watch::Sender<()>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Feed {
    pub(crate) fn push(&self, time: Timestamp, state: JobState, said: Option<Arc<Message>>) {
        let mut events = self.events.lock();
        if events.ended {
            return;
        }
        let event = Event {
            index: events.first + events.kept.len() as u64,
            time,
            state,
            said,
        };
        events.bytes += event.bytes();
        events.kept.push_back(event);
        while events.kept.len() > EVENTS_MAX || events.bytes > EVENTS_BYTES_MAX {
            let Some(oldest) = events.kept.pop_front() else {
                break;
            };
            events.bytes -= oldest.bytes();
            events.first += 1;
        }
        drop(events);
        self.changed.send_replace(());
    }

    /// Nothing more will happen.
    pub(crate) fn end(&self) {
        self.events.lock().ended = true;
        self.changed.send_replace(());
    }

    /// Reads from the first event that is kept, or from `from`; `None` where that is kept no more or
    /// never was.
    pub fn read(self: &Arc<Self>, from: Option<u64>) -> Option<FeedReader> {
        let events = self.events.lock();
        let after_last = events.first + events.kept.len() as u64;
        let next = from.unwrap_or(events.first);
        let known = (events.first..=after_last).contains(&next);
        drop(events);
        known.then(|| FeedReader {
            changed: self.changed.subscribe(),
            feed: Arc::clone(self),
            next,
        })
    }
}

/// Reads a feed.
#[derive(Debug)]
pub struct FeedReader {
    feed: Arc<Feed>,
    next: u64,
    changed: watch::Receiver<()>,
}

impl FeedReader {
    /// The next event; an error says how many were missed. `None`: it has ended. Dropped while it
    /// waits it has taken nothing.
    pub async fn next(&mut self) -> Option<Result<Event, u64>> {
        loop {
            // Seen first: what comes after the look wakes the wait.
            self.changed.borrow_and_update();
            match self.look() {
                Some(found) => return found,
                None => self.changed.changed().await.ok()?,
            }
        }
    }

    /// `None`: nothing yet.
    fn look(&mut self) -> Option<Option<Result<Event, u64>>> {
        let events = self.feed.events.lock();
        if self.next < events.first {
            let missed = events.first - self.next;
            self.next = events.first;
            return Some(Some(Err(missed)));
        }
        let at = usize::try_from(self.next - events.first).unwrap_or(usize::MAX);
        if let Some(event) = events.kept.get(at) {
            self.next += 1;
            return Some(Some(Ok(event.clone())));
        }
        events.ended.then_some(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn everybody_reads_all_of_it_and_its_end() {
        let feed = Arc::new(Feed::default());
        let mut early = feed.read(None).unwrap();
        let first = tokio::spawn(async move {
            let mut seen = Vec::new();
            while let Some(event) = early.next().await {
                seen.push(event.unwrap().index);
            }
            seen
        });
        for _ in 0..3 {
            feed.push(Timestamp::EPOCH, JobState::Running, None);
            tokio::task::yield_now().await;
        }
        let mut late = feed.read(Some(2)).unwrap();
        feed.end();
        assert_eq!(first.await.unwrap(), [0, 1, 2]);
        assert_eq!(late.next().await.unwrap().unwrap().index, 2);
        assert!(late.next().await.is_none());
        assert!(feed.read(Some(4)).is_none(), "never was");
    }

    #[tokio::test]
    async fn the_slow_are_told_what_they_missed() {
        let feed = Arc::new(Feed::default());
        let mut slow = feed.read(None).unwrap();
        for _ in 0..EVENTS_MAX + 10 {
            feed.push(Timestamp::EPOCH, JobState::Running, None);
        }
        assert_eq!(slow.next().await.unwrap().unwrap_err(), 10);
        assert_eq!(slow.next().await.unwrap().unwrap().index, 10);
        assert!(feed.read(Some(9)).is_none(), "kept no more");
    }
}
