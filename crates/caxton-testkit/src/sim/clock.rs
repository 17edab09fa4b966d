//! The simulated clock: it moves with tokio's paused time, goes on from one life of the server to
//! the next, and jumps when it is told to, forwards and backwards, as a clock that is set does.

use caxton_core::Timestamp;
use caxton_engine::port::{Answer, Clock};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Lets simulated time pass.
pub(super) async fn pass(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}

/// The clock of one life. It must be made inside the life's runtime.
#[derive(Debug)]
pub(super) struct SimClock {
    base: Instant,
    start_us: i64,
    jumped_us: AtomicI64,
}

impl SimClock {
    pub(super) fn new(start_us: i64) -> Self {
        Self {
            base: Instant::now(),
            start_us,
            jumped_us: AtomicI64::new(0),
        }
    }

    pub(super) fn now_us(&self) -> i64 {
        let elapsed = i64::try_from(self.base.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.start_us + elapsed + self.jumped_us.load(Ordering::SeqCst)
    }

    /// Sets the clock on or back, without waking anybody.
    pub(super) fn jump(&self, by_us: i64) {
        self.jumped_us.fetch_add(by_us, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_us(self.now_us())
    }

    fn sleep_until(&self, at: Timestamp) -> Answer<'static, ()> {
        Box::pin(pass(at.since(self.now())))
    }
}
