//! The bounded queue before a thread: whoever pushes never waits, and the thread takes what is there
//! in one grip, which is what makes a group of a commit.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    arrived: Condvar,
    items_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
    /// Threads that wait; nobody is woken where none does.
    idle: usize,
    closed: bool,
}

/// What a thread got.
#[derive(Debug)]
pub(crate) enum Taken<T> {
    Items(Vec<T>),
    /// Nothing arrived in time.
    Nothing,
    /// Nothing will ever arrive again.
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(items_max: usize, bytes_max: usize) -> Self {
        let inner = Inner {
            items: VecDeque::new(),
            bytes: 0,
            idle: 0,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            arrived: Condvar::new(),
            items_max,
            bytes_max,
        }
    }

    /// Gives the item back where the queue is full or closed. One item may exceed the bytes alone.
    pub(crate) fn push(&self, bytes: usize, item: T) -> Result<(), T> {
        let mut inner = self.inner.lock();
        let over = inner.bytes.saturating_add(bytes) > self.bytes_max && !inner.items.is_empty();
        if inner.closed || over || inner.items.len() >= self.items_max {
            return Err(item);
        }
        inner.bytes += bytes;
        inner.items.push_back((bytes, item));
        let wake = inner.idle > 0;
        drop(inner);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Puts all of them in together, whatever the bounds: for the store's own few. `false` where the
    /// queue is closed.
    pub(crate) fn push_always(&self, items: impl IntoIterator<Item = (usize, T)>) -> bool {
        let mut inner = self.inner.lock();
        if inner.closed {
            return false;
        }
        for (bytes, item) in items {
            inner.bytes += bytes;
            inner.items.push_back((bytes, item));
        }
        drop(inner);
        self.arrived.notify_all();
        true
    }

    /// Takes what is there, `max` at most; waits for the first, for `wait` at most.
    pub(crate) fn take(&self, max: usize, wait: Option<Duration>) -> Taken<T> {
        let mut inner = self.inner.lock();
        while inner.items.is_empty() {
            if inner.closed {
                return Taken::Closed;
            }
            inner.idle += 1;
            let timed_out = match wait {
                Some(wait) => self.arrived.wait_for(&mut inner, wait).timed_out(),
                None => {
                    self.arrived.wait(&mut inner);
                    false
                }
            };
            inner.idle -= 1;
            if timed_out && inner.items.is_empty() && !inner.closed {
                return Taken::Nothing;
            }
        }
        let count = inner.items.len().min(max);
        let taken: Vec<(usize, T)> = inner.items.drain(..count).collect();
        inner.bytes -= taken.iter().map(|(bytes, _)| bytes).sum::<usize>();
        Taken::Items(taken.into_iter().map(|(_, item)| item).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.lock().items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inner.lock().items.is_empty()
    }

    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.arrived.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_over_a_bound_comes_back() {
        let queue = Queue::new(2, 10);
        assert_eq!(queue.push(50, 'a'), Ok(()));
        assert_eq!(queue.push(1, 'b'), Err('b'), "over the bytes");
        assert!(matches!(queue.take(9, None), Taken::Items(items) if items == ['a']));
        assert_eq!((queue.push(1, 'c'), queue.push(1, 'd')), (Ok(()), Ok(())));
        assert_eq!(queue.push(1, 'e'), Err('e'), "over the items");
        queue.close();
        assert_eq!(queue.push(1, 'f'), Err('f'), "closed");
        assert!(matches!(queue.take(1, None), Taken::Items(items) if items == ['c']));
        assert!(matches!(queue.take(9, None), Taken::Items(items) if items == ['d']));
        assert!(matches!(queue.take(9, None), Taken::Closed));
    }

    #[test]
    fn waiting_ends() {
        let queue: Queue<u8> = Queue::new(1, 1);
        let wait = Some(Duration::from_millis(1));
        assert!(matches!(queue.take(1, wait), Taken::Nothing));
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| queue.take(1, None));
            queue.push(0, 7).unwrap();
            assert!(matches!(taker.join().unwrap(), Taken::Items(items) if items == [7]));
        });
    }
}
