//! Time. Nothing in the engine reads a clock or sleeps but through this port, so that tests and the
//! simulator own time.

use super::Answer;
use caxton_core::Timestamp;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time, and waiting for a time.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Timestamp;
    /// Completes when `now() >= at`. Dropping it cancels.
    fn sleep_until(&self, at: Timestamp) -> Answer<'static, ()>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Timestamp::EPOCH.plus(since)
    }

    fn sleep_until(&self, at: Timestamp) -> Answer<'static, ()> {
        let wait = at.since(self.now());
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that begins at a given time and moves with tokio's (which a test pauses), or by
/// [`ManualClock::advance`] and [`ManualClock::set_back`].
#[derive(Debug)]
pub struct ManualClock {
    base: tokio::time::Instant,
    start: Timestamp,
    ahead_us: AtomicI64,
}

impl ManualClock {
    pub fn new(start: Timestamp) -> Self {
        Self {
            base: tokio::time::Instant::now(),
            start,
            ahead_us: AtomicI64::new(0),
        }
    }

    /// Moves this clock's time ahead without waking sleepers: for tests of expiry.
    pub fn advance(&self, by: Duration) {
        let us = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.ahead_us.fetch_add(us, Ordering::SeqCst);
    }

    /// Moves this clock's time back, as somebody who sets a machine's clock does.
    pub fn set_back(&self, by: Duration) {
        let us = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.ahead_us.fetch_sub(us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead_us.load(Ordering::SeqCst);
        let us = self.start.plus(self.base.elapsed()).as_us();
        Timestamp::from_us(us.saturating_add(ahead))
    }

    fn sleep_until(&self, at: Timestamp) -> Answer<'static, ()> {
        Box::pin(tokio::time::sleep(at.since(self.now())))
    }
}
