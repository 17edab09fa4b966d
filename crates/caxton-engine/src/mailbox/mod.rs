//! A mailbox: a bounded queue and a serial lane. It knows nothing of what handles its messages; it
//! says only whether a worker is wanted.
//!
//! A place is reserved before a message is journalled and filled after, so that what was
//! acknowledged always has a place. A full mailbox is an answer, never a wait.

mod tally;

pub use tally::{Spread, Tally};

use crate::sync::Mutex;
use caxton_core::{MailboxId, Message};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Places beyond the limit that only messages of the platform itself (failures that `ams` tells) may take.
pub const SYSTEM_PLACES: u32 = 64;

/// A message in the queue.
#[derive(Clone, Debug)]
pub struct Item {
    pub message: Arc<Message>,
    /// Tries that failed.
    pub attempts: u32,
    /// The journal has it: it must be acknowledged there.
    pub durable: bool,
    /// It may have been handled up to some call before: the server was restarted since.
    pub replay: bool,
}

/// What the caller must do after a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// A worker is at it already.
    Nothing,
    /// No worker is there; start one.
    Start,
}

/// What a worker gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Messages to handle.
    Batch,
    /// None, and none are to be waited for: the worker ends.
    Retire,
}

/// The queue has no place left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worker {
    None,
    Busy,
    /// Waiting since this sweep.
    Parked(u64),
}

#[derive(Debug)]
struct Lane {
    queue: VecDeque<Item>,
    reserved: u32,
    worker: Worker,
    retire: bool,
    /// Messages put in so far.
    accepted: u64,
    /// Wakes the worker. It stays from one wait to the next, because the task is the same.
    waker: Option<Waker>,
}

/// One mailbox. Shared by everything that sends to it and the worker that empties it.
///
/// All of it but the counters lies behind one lock, and a message takes it three times: to come in, to
/// be taken, and when the worker parks. A lock-free queue would save none of these, because whether a
/// worker has to be woken must be decided with the queue.
#[derive(Debug)]
pub struct Mailbox {
    id: MailboxId,
    lane: Mutex<Lane>,
    /// Written by the worker alone.
    tally: Tally,
}

impl Mailbox {
    pub fn new(id: MailboxId) -> Self {
        let lane = Lane {
            queue: VecDeque::new(),
            reserved: 0,
            worker: Worker::None,
            retire: false,
            accepted: 0,
            waker: None,
        };
        Self {
            id,
            lane: Mutex::new(lane),
            tally: Tally::default(),
        }
    }

    pub fn id(&self) -> &MailboxId {
        &self.id
    }

    /// What its worker counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Messages put in so far.
    pub fn accepted(&self) -> u64 {
        self.lane.lock().accepted
    }

    /// Messages waiting, reserved places included.
    pub fn len(&self) -> usize {
        let lane = self.lane.lock();
        lane.queue.len() + lane.reserved as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a message in at once.
    pub fn push(&self, item: Item, messages_max: u32) -> Result<Wake, (Full, Item)> {
        let mut lane = self.lane.lock();
        if lane.used() >= messages_max as usize {
            return Err((Full, item));
        }
        Ok(lane.put(item))
    }

    /// Reserves a place; [`Mailbox::fill`] or [`Mailbox::release`] must follow.
    pub fn reserve(&self, messages_max: u32) -> Result<(), Full> {
        let mut lane = self.lane.lock();
        if lane.used() >= messages_max as usize {
            return Err(Full);
        }
        lane.reserved += 1;
        Ok(())
    }

    /// Puts a message into a reserved place.
    pub fn fill(&self, item: Item) -> Wake {
        let mut lane = self.lane.lock();
        lane.reserved = lane.reserved.saturating_sub(1);
        lane.put(item)
    }

    /// Gives a reserved place back.
    pub fn release(&self) {
        let mut lane = self.lane.lock();
        lane.reserved = lane.reserved.saturating_sub(1);
    }

    /// Puts messages that could not be handled back to the front, in their order.
    pub fn put_back(&self, items: impl DoubleEndedIterator<Item = Item>) {
        let mut lane = self.lane.lock();
        for item in items.rev() {
            lane.queue.push_front(item);
        }
    }

    /// For the worker: up to `messages_max` messages, or what to do instead. `Pending`: none just now;
    /// the worker is parked, and its task is woken when there are. `into` must be empty. `sweep` is the
    /// number of the keeper's last sweep: coarse time that costs no clock.
    pub fn poll_take(
        &self,
        context: &Context<'_>,
        messages_max: usize,
        into: &mut VecDeque<Item>,
        sweep: u64,
    ) -> Poll<Taken> {
        let mut lane = self.lane.lock();
        if lane.queue.is_empty() {
            if lane.retire {
                lane.vacate();
                // An agent that sleeps keeps no memory for messages that it may never get.
                lane.queue = VecDeque::new();
                return Poll::Ready(Taken::Retire);
            }
            lane.worker = Worker::Parked(sweep);
            match &lane.waker {
                Some(waker) if waker.will_wake(context.waker()) => {}
                _ => lane.waker = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
        lane.worker = Worker::Busy;
        lane.retire = false;
        if into.is_empty() && lane.queue.len() <= messages_max {
            std::mem::swap(&mut lane.queue, into);
        } else {
            let count = lane.queue.len().min(messages_max);
            into.extend(lane.queue.drain(..count));
        }
        Poll::Ready(Taken::Batch)
    }

    /// For the worker: it ends although messages may wait (the agent was stopped).
    pub fn leave(&self) {
        self.lane.lock().vacate();
    }

    /// Whether a worker should be started now: there are messages and none is there. The caller
    /// must start it.
    pub fn claim(&self) -> Wake {
        let mut lane = self.lane.lock();
        if lane.queue.is_empty() || lane.worker != Worker::None {
            return Wake::Nothing;
        }
        lane.worker = Worker::Busy;
        Wake::Start
    }

    /// Asks the worker to end if it has waited since this sweep or longer; says whether it was asked.
    pub fn retire_if_idle(&self, since_sweep: u64) -> bool {
        let mut lane = self.lane.lock();
        let Worker::Parked(since) = lane.worker else {
            return false;
        };
        if since > since_sweep || !lane.queue.is_empty() || lane.reserved > 0 {
            return false;
        }
        lane.retire = true;
        lane.wake();
        true
    }

    /// Makes the worker look at its agent's state, now or when it has handled what it took.
    pub fn nudge(&self) {
        let mut lane = self.lane.lock();
        lane.retire = lane.worker != Worker::None;
        lane.wake();
    }

    /// Whether nothing waits and no message is being handled.
    pub fn is_settled(&self) -> bool {
        let lane = self.lane.lock();
        lane.used() == 0 && lane.worker != Worker::Busy
    }

    /// Whether no message is being handled (and no worker is about to), and no place is reserved for
    /// one that is being committed.
    pub fn is_quiet(&self) -> bool {
        let lane = self.lane.lock();
        lane.worker != Worker::Busy && lane.reserved == 0
    }

    /// Takes everything out: for an agent that is removed or loses its transient messages.
    pub fn empty(&self, which: impl Fn(&Item) -> bool) -> Vec<Item> {
        let mut lane = self.lane.lock();
        let (out, kept) = lane.queue.drain(..).partition(which);
        lane.queue = kept;
        out.into()
    }
}

impl Lane {
    fn put(&mut self, item: Item) -> Wake {
        self.accepted += 1;
        self.queue.push_back(item);
        if self.worker == Worker::None {
            self.worker = Worker::Busy;
            return Wake::Start;
        }
        self.wake();
        Wake::Nothing
    }

    /// Wakes a parked worker, under the lock: to clone the waker and let go of the lock first costs
    /// more than the worker can lose, which needs a moment to come here.
    fn wake(&mut self) {
        if let Worker::Parked(_) = self.worker {
            self.worker = Worker::Busy;
            if let Some(waker) = &self.waker {
                waker.wake_by_ref();
            }
        }
    }

    /// The worker ends.
    fn vacate(&mut self) {
        self.worker = Worker::None;
        self.retire = false;
        self.waker = None;
    }

    fn used(&self) -> usize {
        self.queue.len() + self.reserved as usize
    }
}
