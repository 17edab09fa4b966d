//! The answers to a group of units. All of them become known at one moment, and waking a task from the
//! writer's thread costs a lock of the runtime each and often a system call: so the writer wakes one
//! task for every few, and that one, on its own runtime's thread where it is cheap, wakes the others.

use super::stopped;
use caxton_engine::port::StoreError;
use caxton_engine::port::store::Committed;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Tasks that one task wakes.
const WOKEN_BY_ONE_MAX: usize = 32;

type Outcome = Result<Committed, StoreError>;

#[derive(Debug)]
enum State {
    Waits(Option<Waker>),
    /// The outcome, and whom to wake besides.
    Done(Outcome, Vec<Waker>),
    Over,
}

/// What the writer answers to. Dropped without an answer, it says that the store has stopped.
#[derive(Debug)]
pub(crate) struct Reply(Option<Arc<Mutex<State>>>);

/// What the caller waits for.
#[derive(Debug)]
pub(crate) struct Answer(Arc<Mutex<State>>);

pub(crate) fn answer() -> (Reply, Answer) {
    let state = Arc::new(Mutex::new(State::Waits(None)));
    (Reply(Some(state.clone())), Answer(state))
}

/// Whoever has his answer and sleeps.
struct Sleeper {
    waker: Waker,
    state: Arc<Mutex<State>>,
}

impl Reply {
    /// Answers one alone.
    pub(crate) fn send(mut self, outcome: Outcome) {
        if let Some(sleeper) = self.put(outcome) {
            sleeper.waker.wake();
        }
    }

    fn put(&mut self, outcome: Outcome) -> Option<Sleeper> {
        let state = self.0.take()?;
        let mut at = state.lock();
        let before = std::mem::replace(&mut *at, State::Over);
        let waker = match before {
            State::Waits(waker) => {
                *at = State::Done(outcome, Vec::new());
                waker?
            }
            // Nobody waits any more.
            State::Done(..) | State::Over => return None,
        };
        drop(at);
        Some(Sleeper { waker, state })
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(sleeper) = self.put(Err(stopped())) {
            sleeper.waker.wake();
        }
    }
}

/// Answers everybody of a group.
pub(crate) fn answer_all(answers: impl Iterator<Item = (Reply, Outcome)>) {
    let mut sleepers: Vec<Sleeper> = answers
        .filter_map(|(mut reply, outcome)| reply.put(outcome))
        .collect();
    while let Some(first) = sleepers.pop() {
        let from = sleepers.len().saturating_sub(WOKEN_BY_ONE_MAX);
        let others = sleepers.drain(from..).map(|sleeper| sleeper.waker);
        let others: Vec<Waker> = others.collect();
        let mut at = first.state.lock();
        let left = match &mut *at {
            State::Done(_, carried) => {
                *carried = others;
                Vec::new()
            }
            // It looked before it was woken, or it is gone.
            State::Waits(_) | State::Over => others,
        };
        drop(at);
        first.waker.wake();
        left.into_iter().for_each(Waker::wake);
    }
}

impl Future for Answer {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut at = self.0.lock();
        match std::mem::replace(&mut *at, State::Over) {
            State::Waits(_) => {
                *at = State::Waits(Some(cx.waker().clone()));
                Poll::Pending
            }
            State::Done(outcome, others) => {
                drop(at);
                others.into_iter().for_each(Waker::wake);
                Poll::Ready(outcome)
            }
            State::Over => Poll::Ready(Err(stopped())),
        }
    }
}

impl Drop for Answer {
    /// Who was to wake others and is gone wakes them now.
    fn drop(&mut self) {
        let before = std::mem::replace(&mut *self.0.lock(), State::Over);
        if let State::Done(_, others) = before {
            others.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::task::noop_waker;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everybody_is_woken_whoever_is_gone() {
        for gone in 0..4 {
            let (replies, answers): (Vec<_>, Vec<_>) = (0..500).map(|_| answer()).unzip();
            let asleep = Arc::new(tokio::sync::Semaphore::new(0));
            let tasks: Vec<_> = answers
                .into_iter()
                .map(|mut answer| {
                    let asleep = asleep.clone();
                    tokio::spawn(async move {
                        let mut first = true;
                        std::future::poll_fn(|cx| {
                            let poll = Pin::new(&mut answer).poll(cx);
                            if std::mem::take(&mut first) {
                                asleep.add_permits(1);
                            }
                            poll
                        })
                        .await
                    })
                })
                .collect();
            let _ = asleep.acquire_many(500).await.unwrap();
            for (index, task) in tasks.iter().enumerate() {
                if index % 4 < gone {
                    task.abort();
                }
            }
            let done = || Ok(Committed::default());
            answer_all(replies.into_iter().map(|reply| (reply, done())));
            for (index, task) in tasks.into_iter().enumerate() {
                match task.await {
                    Ok(outcome) => assert!(outcome.is_ok()),
                    Err(error) => assert!(error.is_cancelled() && index % 4 < gone),
                }
            }
        }
    }

    #[test]
    fn a_reply_that_is_dropped_answers() {
        let (reply, mut answer) = answer();
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut answer).poll(&mut cx).is_pending());
        drop(reply);
        let outcome = Pin::new(&mut answer).poll(&mut cx);
        assert!(matches!(outcome, Poll::Ready(Err(_))));
    }
}
