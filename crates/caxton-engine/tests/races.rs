//! The mailbox under threads that race, with every turn chosen by shuttle: at each lock another thread
//! may go on. The mailbox is the engine's own source on shuttle's lock; the worker is the router's loop
//! without what it does with a message.
//!
//! What must hold: every message is handled, once, in its sender's order; there is never more than one
//! worker; and none sleeps while messages wait (a schedule that comes to a stop fails by itself).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code
)]

/// What `caxton_engine::sync` is to the engine.
mod sync {
    #[derive(Debug)]
    pub struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

#[path = "../src/mailbox/mod.rs"]
#[allow(unused_imports)]
mod mailbox;

use caxton_core::{
    Acl, AgentId, MailboxId, MailboxKey, Message, MessageId, Performative, TenantId, Timestamp,
    TraceContext,
};
use mailbox::{Item, Mailbox, Taken, Wake};
use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use shuttle::sync::{Arc, mpsc};
use shuttle::{future, thread};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Schedules each test runs through.
const SCHEDULES: usize = 2_000;
/// How many changes of the running thread are placed with care, in half of them.
const DEPTH: usize = 3;
const SENDERS: u8 = 2;
const EACH: u8 = 3;
const ALL: usize = SENDERS as usize * EACH as usize;
const PLACES: u32 = 64;
const BATCH_MAX: usize = 2;

/// An agent with one mailbox, as the router knows it.
struct Agent {
    mailbox: Mailbox,
    runs: AtomicBool,
    sweeps: AtomicU64,
    workers: AtomicUsize,
    handled: mpsc::Sender<(u8, u8)>,
}

enum Next {
    Batch,
    Retire,
    Stop,
}

impl Agent {
    fn new() -> (Arc<Self>, mpsc::Receiver<(u8, u8)>) {
        let (handled, all) = mpsc::channel();
        let agent = AgentId::parse("a", &TenantId::default_tenant()).unwrap();
        let agent = Self {
            mailbox: Mailbox::new(MailboxId {
                agent,
                key: MailboxKey::Agent,
            }),
            runs: AtomicBool::new(true),
            sweeps: AtomicU64::new(0),
            workers: AtomicUsize::new(0),
            handled,
        };
        (Arc::new(agent), all)
    }

    fn started(self: &Arc<Self>, wake: Wake) {
        if wake == Wake::Start {
            future::spawn(work(Arc::clone(self)));
        }
    }

    fn poll_next(&self, context: &Context<'_>, batch: &mut VecDeque<Item>) -> Poll<Next> {
        if !self.runs.load(Ordering::SeqCst) {
            return Poll::Ready(Next::Stop);
        }
        let sweep = self.sweeps.load(Ordering::SeqCst);
        let taken = self.mailbox.poll_take(context, BATCH_MAX, batch, sweep);
        taken.map(|taken| match taken {
            Taken::Batch => Next::Batch,
            Taken::Retire => Next::Retire,
        })
    }
}

/// `router::worker::Worker::run`.
async fn work(agent: Arc<Agent>) {
    let mut batch = VecDeque::new();
    loop {
        match poll_fn(|context| agent.poll_next(context, &mut batch)).await {
            Next::Batch => {
                assert_eq!(agent.workers.fetch_add(1, Ordering::SeqCst), 0, "alone");
                for item in batch.drain(..) {
                    let [sender, number, ..] = *item.message.id.as_bytes();
                    agent.handled.send((sender, number)).unwrap();
                    thread::yield_now();
                }
                agent.workers.fetch_sub(1, Ordering::SeqCst);
            }
            Next::Retire => return,
            Next::Stop => {
                agent.mailbox.leave();
                let again = agent.runs.load(Ordering::SeqCst);
                if again && agent.mailbox.claim() == Wake::Start {
                    continue;
                }
                return;
            }
        }
    }
}

fn item(sender: u8, number: u8) -> Item {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&[sender, number]);
    let message = Message {
        id: MessageId::from_bytes(id),
        tenant: TenantId::default_tenant(),
        trace: TraceContext {
            trace_id: [1; 16],
            span_id: [1; 8],
            sampled: false,
        },
        parent: None,
        hop: 0,
        waiting: None,
        created: Timestamp::EPOCH,
        acl: Acl::new(Performative::Inform),
    };
    Item {
        message: std::sync::Arc::new(message),
        attempts: 0,
        durable: false,
        replay: false,
    }
}

/// Senders that send at once and others that reserve first, as durable messages do.
fn senders(agent: &Arc<Agent>) {
    for sender in 0..SENDERS {
        let agent = Arc::clone(agent);
        thread::spawn(move || {
            for number in 0..EACH {
                let wake = if sender == 0 {
                    let pushed = agent.mailbox.push(item(sender, number), PLACES);
                    pushed.unwrap_or_else(|_| panic!("there are places"))
                } else {
                    agent.mailbox.reserve(PLACES).unwrap();
                    agent.mailbox.fill(item(sender, number))
                };
                agent.started(wake);
                thread::yield_now();
            }
        });
    }
}

/// Waits for all messages.
fn all_handled(handled: &mpsc::Receiver<(u8, u8)>) {
    let mut next = [0; SENDERS as usize];
    for _ in 0..ALL {
        let (sender, number) = handled.recv().unwrap();
        let expected = &mut next[sender as usize];
        assert_eq!(number, *expected, "in the order of sender {sender}, once");
        *expected += 1;
    }
}

fn check(race: fn()) {
    shuttle::check_random(race, SCHEDULES / 2);
    shuttle::check_pct(race, SCHEDULES / 2, DEPTH);
}

#[test]
fn no_message_is_left_lying_while_workers_retire() {
    check(|| {
        let (agent, handled) = Agent::new();
        senders(&agent);
        let keeper = Arc::clone(&agent);
        thread::spawn(move || {
            for _ in 0..4 {
                keeper.sweeps.fetch_add(1, Ordering::SeqCst);
                keeper.mailbox.retire_if_idle(u64::MAX);
                thread::yield_now();
            }
        });
        all_handled(&handled);
    });
}

#[test]
fn each_message_wakes_a_worker_that_sleeps_or_is_about_to_leave() {
    check(|| {
        let (agent, handled) = Agent::new();
        let keeper = Arc::clone(&agent);
        thread::spawn(move || {
            for _ in 0..30 {
                keeper.mailbox.retire_if_idle(u64::MAX);
                thread::yield_now();
            }
        });
        // Each is sent some time after the one before it was handled: the worker has nothing to do.
        for number in 0..2 * EACH {
            thread::yield_now();
            let pushed = agent.mailbox.push(item(0, number), PLACES);
            agent.started(pushed.unwrap_or(Wake::Nothing));
            assert_eq!(handled.recv().unwrap(), (0, number));
        }
    });
}

#[test]
fn no_message_is_left_lying_when_the_agent_stops_and_starts() {
    check(|| {
        let (agent, handled) = Agent::new();
        senders(&agent);
        let operator = Arc::clone(&agent);
        thread::spawn(move || {
            for _ in 0..2 {
                operator.runs.store(false, Ordering::SeqCst);
                operator.mailbox.nudge();
                thread::yield_now();
                operator.runs.store(true, Ordering::SeqCst);
                operator.started(operator.mailbox.claim());
            }
        });
        all_handled(&handled);
    });
}

#[test]
fn what_is_put_back_is_handled_again_before_what_came_later() {
    check(|| {
        let (agent, handled) = Agent::new();
        let sender = Arc::clone(&agent);
        let first = agent.mailbox.push(item(0, 0), PLACES);
        assert!(matches!(first, Ok(Wake::Start)));
        thread::spawn(move || {
            for number in 1..EACH {
                let pushed = sender.mailbox.push(item(0, number), PLACES);
                sender.started(pushed.unwrap_or(Wake::Nothing));
            }
        });
        // The first try of the first batch fails, as a commit may.
        let worker = Arc::clone(&agent);
        future::spawn(async move {
            let mut batch = VecDeque::new();
            poll_fn(|context| worker.poll_next(context, &mut batch).map(drop)).await;
            worker.mailbox.put_back(batch.into_iter());
            work(worker).await;
        });
        for expected in 0..EACH {
            assert_eq!(handled.recv().unwrap(), (0, expected));
        }
    });
}
