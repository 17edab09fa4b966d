//! Tasks that stand as long as the server does: timers, sweeps, records. One that panics is begun again
//! after a pause, and until then the server says that it is not well.

use super::Backoff;
use crate::port::{Clock, Entropy};
use crate::router::Shared;
use futures::FutureExt as _;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// The first pause after a panic; it doubles while they follow each other.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Which tasks stand, and whether each does.
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<BTreeMap<&'static str, bool>>);

impl Standing {
    /// Each task by its name, in their order; `false`: it pauses after a panic.
    pub(crate) fn all(&self) -> Vec<(&'static str, bool)> {
        let tasks = self.0.lock();
        tasks.iter().map(|(name, well)| (*name, *well)).collect()
    }

    fn set(&self, name: &'static str, well: bool) {
        self.0.lock().insert(name, well);
    }

    /// Runs a task, and runs it again each time it has panicked.
    async fn keep<F: Future<Output = ()>>(
        &self,
        name: &'static str,
        begin: impl Fn() -> F,
        (clock, entropy): (&dyn Clock, &dyn Entropy),
    ) {
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        loop {
            self.set(name, true);
            let begun = clock.now();
            if AssertUnwindSafe(begin()).catch_unwind().await.is_ok() {
                return;
            }
            self.set(name, false);
            if clock.now().since(begun) > PAUSE_MAX {
                backoff.reset();
            }
            let until = backoff.next(clock, entropy);
            tracing::error!(task = name, %until, "a task of the server panicked; it begins again");
            clock.sleep_until(until).await;
        }
    }
}

impl Shared {
    /// Runs a task as long as the server stands; `begin` begins it, and begins it again.
    pub(crate) fn stand<F>(
        self: &Arc<Self>,
        name: &'static str,
        begin: impl Fn() -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        // Known from now on, and not only when it first runs.
        self.standing.set(name, true);
        let shared = Arc::clone(self);
        self.tasks.spawn_until_stop(name, async move {
            let services = &shared.services;
            let ports = (&*services.clock, &*services.entropy);
            shared.standing.keep(name, begin, ports).await;
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use crate::port::{ManualClock, SeededEntropy};
    use caxton_core::Timestamp;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_begins_again_and_is_told_until_then() {
        let (standing, begun) = (Arc::new(Standing::default()), Arc::new(AtomicU32::new(0)));
        let (kept, count) = (Arc::clone(&standing), Arc::clone(&begun));
        let clock = ManualClock::new(Timestamp::EPOCH);
        let task = tokio::spawn(async move {
            let begin = || async {
                assert!(count.fetch_add(1, Ordering::SeqCst) >= 2, "on purpose");
                std::future::pending::<()>().await;
            };
            let ports = (&clock as &dyn Clock, &SeededEntropy::new(1) as &dyn Entropy);
            kept.keep("timers", begin, ports).await;
        });
        let settle = async || {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            (begun.load(Ordering::SeqCst), standing.all())
        };
        assert_eq!(settle().await, (1, vec![("timers", false)]));
        tokio::time::advance(PAUSE_FIRST).await;
        assert_eq!(settle().await, (2, vec![("timers", false)]));
        // The second pause is the longer one: at least as long as the first may be.
        tokio::time::advance(PAUSE_FIRST * 2).await;
        assert_eq!(settle().await, (3, vec![("timers", true)]));
        task.abort();
    }
}
