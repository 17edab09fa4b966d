//! Timers of all mailboxes: one ordered set, one task that sleeps until the first is due. What is due
//! fires tenant beside tenant, so that one whose storage is slow holds up its own timers only.
//!
//! A timer fires as an `inform` from the agent to itself. Where the agent is durable, the timer's row
//! goes and the message's row comes in one commit, so that it fires once; a mailbox that is full or
//! an agent that is stopped keeps the timer for later. A timer is either about to fire or about to be
//! set or cancelled, never both: the later commit would undo the earlier.

use crate::host::TimerEffect;
use crate::port::store::{Op, Timer};
use crate::router::Shared;
use crate::router::plan::{Origin, Plan};
use caxton_core::error::Error;
use caxton_core::message::Identifier;
use caxton_core::{
    Acl, MailboxId, MailboxKey, Message, Performative, TenantId, Timestamp, TraceContext,
};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The ontology of a timer's message.
pub(crate) const TIMER_ONTOLOGY: &str = "caxton.timer";
/// When to try again a timer whose mailbox did not take it.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Timers fired in one go.
const FIRE_MAX: usize = 256;

type Name = (MailboxId, String);

#[derive(Debug, Default)]
struct Wheel {
    by_due: BTreeMap<(Timestamp, u64), Timer>,
    by_name: HashMap<Name, (Timestamp, u64)>,
    /// How many each mailbox has.
    of_mailbox: HashMap<MailboxId, usize>,
    /// Due, taken out, and not yet fired or put back.
    firing: HashSet<Name>,
    next: u64,
}

/// All timers that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    wheel: Mutex<Wheel>,
    changed: Notify,
    /// Told when one has fired or was put back.
    fired: Notify,
}

impl Timers {
    pub(crate) fn apply(&self, mailbox: &MailboxId, effect: TimerEffect) {
        match effect {
            TimerEffect::Set(timer) => self.set(timer),
            TimerEffect::Cancel(name) => {
                self.wheel.lock().remove(&(mailbox.clone(), name));
            }
        }
    }

    /// Takes a timer out before a commit that sets or cancels it, once it is not firing. Whoever holds
    /// it applies the effect, or sets it again.
    pub(crate) async fn hold(&self, mailbox: &MailboxId, name: &str) -> Option<Timer> {
        let name = (mailbox.clone(), name.to_owned());
        loop {
            let mut fired = std::pin::pin!(self.fired.notified());
            fired.as_mut().enable();
            {
                let mut wheel = self.wheel.lock();
                if !wheel.firing.contains(&name) {
                    return wheel.remove(&name);
                }
            }
            fired.await;
        }
    }

    /// It has fired.
    fn done(&self, timer: &Timer) {
        let name = (timer.mailbox.clone(), timer.name.clone());
        self.wheel.lock().firing.remove(&name);
        self.fired.notify_waiters();
    }

    /// It could not fire; later then.
    fn put_back(&self, timer: Timer) {
        let name = (timer.mailbox.clone(), timer.name.clone());
        {
            let mut wheel = self.wheel.lock();
            wheel.firing.remove(&name);
            wheel.insert(timer);
        }
        self.fired.notify_waiters();
        self.changed.notify_one();
    }

    pub(crate) fn set(&self, timer: Timer) {
        self.wheel.lock().insert(timer);
        self.changed.notify_one();
    }

    /// Forgets all timers of an agent that is removed.
    pub(crate) fn forget(&self, agent: &caxton_core::AgentId) {
        let mut wheel = self.wheel.lock();
        let names: Vec<Name> = wheel
            .by_name
            .keys()
            .filter(|(mailbox, _)| mailbox.agent == *agent)
            .cloned()
            .collect();
        for name in names {
            wheel.remove(&name);
        }
    }

    /// How many a mailbox has, and whether one of this name is among them.
    pub(crate) fn of(&self, mailbox: &MailboxId, name: &str) -> (usize, bool) {
        let wheel = self.wheel.lock();
        let count = wheel.of_mailbox.get(mailbox).copied().unwrap_or(0);
        let name = (mailbox.clone(), name.to_owned());
        (count, wheel.by_name.contains_key(&name))
    }

    pub(crate) fn len(&self) -> usize {
        self.wheel.lock().by_due.len()
    }

    /// Takes out what is due, by tenant.
    fn due(&self, now: Timestamp) -> BTreeMap<TenantId, VecDeque<Timer>> {
        let mut wheel = self.wheel.lock();
        let mut due = BTreeMap::<_, VecDeque<_>>::new();
        for _ in 0..FIRE_MAX {
            let Some(first) = wheel.by_due.first_entry() else {
                break;
            };
            if first.key().0 > now {
                break;
            }
            let timer = first.remove();
            let name = (timer.mailbox.clone(), timer.name.clone());
            wheel.forget_name(&name);
            wheel.firing.insert(name);
            let tenant = timer.mailbox.agent.tenant.clone();
            due.entry(tenant).or_default().push_back(timer);
        }
        due
    }

    fn next_due(&self) -> Timestamp {
        self.wheel
            .lock()
            .by_due
            .keys()
            .next()
            .map_or(Timestamp::FAR_FUTURE, |(due, _)| *due)
    }
}

/// Timers of one tenant that are about to fire. Those that did not, because firing panicked, are set again, or
/// whoever sets or cancels one would wait for it for ever.
struct Due<'a> {
    timers: &'a Timers,
    left: VecDeque<Timer>,
}

impl Drop for Due<'_> {
    fn drop(&mut self) {
        self.left.drain(..).for_each(|it| self.timers.put_back(it));
    }
}

impl Wheel {
    fn insert(&mut self, timer: Timer) {
        let name = (timer.mailbox.clone(), timer.name.clone());
        self.remove(&name);
        let key = (timer.due, self.next);
        self.next += 1;
        *self.of_mailbox.entry(name.0.clone()).or_default() += 1;
        self.by_name.insert(name, key);
        self.by_due.insert(key, timer);
    }

    fn remove(&mut self, name: &Name) -> Option<Timer> {
        let key = self.forget_name(name)?;
        self.by_due.remove(&key)
    }

    fn forget_name(&mut self, name: &Name) -> Option<(Timestamp, u64)> {
        let key = self.by_name.remove(name)?;
        if let Some(count) = self.of_mailbox.get_mut(&name.0) {
            *count -= 1;
            if *count == 0 {
                self.of_mailbox.remove(&name.0);
            }
        }
        Some(key)
    }
}

/// Fires timers as they come due; runs as long as the engine.
pub(crate) async fn fire_timers(shared: Arc<Shared>) {
    let (clock, timers) = (&shared.services.clock, &shared.timers);
    let mut firing = FuturesUnordered::new();
    loop {
        for left in timers.due(clock.now()).into_values() {
            firing.push(fire_all(&shared, Due { timers, left }));
        }
        let next = timers.next_due();
        tokio::select! {
            biased;
            Some(()) = firing.next() => {}
            () = clock.sleep_until(next), if next != Timestamp::FAR_FUTURE => {}
            () = timers.changed.notified() => {}
        }
    }
}

async fn fire_all(shared: &Arc<Shared>, mut due: Due<'_>) {
    while let Some(timer) = due.left.front().cloned() {
        let fired = fire(shared, timer.clone()).await;
        due.left.pop_front();
        match fired {
            // Removed meanwhile, and its timers with it.
            Err(_) if shared.agent(&timer.mailbox.agent).is_none() => due.timers.done(&timer),
            Err(error) => {
                tracing::debug!(mailbox = %timer.mailbox, name = %timer.name, %error, "a timer waits");
                let later = shared.services.clock.now().plus(RETRY_AFTER);
                due.timers.put_back(Timer {
                    due: later,
                    ..timer
                });
            }
            Ok(()) => due.timers.done(&timer),
        }
    }
}

async fn fire(shared: &Arc<Shared>, timer: Timer) -> Result<(), Error> {
    let agent = &timer.mailbox.agent;
    let mut acl = Acl::new(Performative::Inform)
        .to(agent.clone())
        .content(timer.content.clone());
    acl.sender = Some(Identifier::new(agent.clone()));
    acl.ontology = Some(TIMER_ONTOLOGY.to_owned());
    acl.in_reply_to = Some(timer.name.clone());
    if let MailboxKey::Conversation(id) = &timer.mailbox.key {
        acl.conversation_id = Some(id.clone());
    }
    let message = Arc::new(Message {
        id: shared.new_message_id(),
        tenant: agent.tenant.clone(),
        trace: new_trace(shared),
        parent: timer.origin,
        hop: 0,
        waiting: None,
        created: shared.services.clock.now(),
        acl,
    });
    let mut plan = Plan::default();
    plan.send(shared, &message, Origin::Door)?;
    plan.ops.push(Op::TimerRemove {
        mailbox: timer.mailbox.clone(),
        name: timer.name,
    });
    plan.carry_out(shared, &agent.tenant).await?;
    shared.metrics.timers_fired.inc();
    Ok(())
}

/// A trace that begins here.
fn new_trace(shared: &Shared) -> TraceContext {
    let mut trace = TraceContext {
        trace_id: [0; 16],
        span_id: [0; 8],
        sampled: false,
    };
    shared.services.entropy.fill(&mut trace.trace_id);
    shared.services.entropy.fill(&mut trace.span_id);
    trace
}
