//! A deployed agent as the router sees it.

use super::stats::Stats;
use crate::mailbox::Mailbox;
use crate::port::behavior::{Artifact, Fault, Program};
use arc_swap::ArcSwap;
use caxton_core::error::Error;
use caxton_core::lifecycle::{Lifecycle, Phase, Refused, Step, Unloaded};
use caxton_core::{AgentId, ConversationId, Digest, MailboxId, MailboxKey, Manifest, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// One version of an agent, as deployed.
#[derive(Debug)]
pub struct Deployed {
    pub manifest: Arc<Manifest>,
    /// Absent for native behaviors.
    pub digest: Option<Digest>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Compiled code; made at the first need after a restart.
    pub(crate) program: OnceCell<Arc<dyn Program>>,
}

impl Deployed {
    pub(crate) fn new(artifact: &Artifact, created: Timestamp, updated: Timestamp) -> Self {
        Self {
            manifest: Arc::clone(&artifact.manifest),
            digest: Some(artifact.digest),
            created,
            updated,
            program: OnceCell::new(),
        }
    }
}

/// An agent: its version, its state of life, its mailboxes.
#[derive(Debug)]
pub struct AgentEntry {
    id: AgentId,
    deployed: ArcSwap<Deployed>,
    lifecycle: Mutex<Option<Lifecycle>>,
    /// The phase again, for readers that must not wait.
    phase: AtomicU8,
    main: Arc<Mailbox>,
    conversations: Mutex<BTreeMap<ConversationId, Arc<Mailbox>>>,
    pub stats: Stats,
    /// Live instances now.
    instances: AtomicU32,
    last_fault: Mutex<Option<(Timestamp, Fault)>>,
    /// Told whenever a worker parks or leaves, while somebody asked to be told.
    settled: Notify,
    settling: AtomicBool,
    /// Grows with each version, so that a worker sees a new one by one load.
    generation: AtomicU64,
    /// Held by whoever deploys, starts, stops or removes this agent.
    pub(crate) changing: tokio::sync::Mutex<()>,
    cut: Mutex<CancellationToken>,
    /// The tenant is suspended: nothing is handled, whatever the phase.
    resting: AtomicBool,
}

/// A live instance, as its agent counts it.
#[derive(Debug)]
pub(super) struct Living(Arc<AgentEntry>);

impl Drop for Living {
    fn drop(&mut self) {
        self.0.instances.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AgentEntry {
    pub(crate) fn new(id: AgentId, deployed: Deployed) -> Self {
        let main = MailboxId {
            agent: id.clone(),
            key: MailboxKey::Agent,
        };
        Self {
            id,
            deployed: ArcSwap::from_pointee(deployed),
            lifecycle: Mutex::new(Some(Lifecycle::Unloaded(Unloaded::new()))),
            phase: AtomicU8::new(0),
            main: Arc::new(Mailbox::new(main)),
            conversations: Mutex::new(BTreeMap::new()),
            stats: Stats::default(),
            instances: AtomicU32::new(0),
            last_fault: Mutex::new(None),
            settled: Notify::new(),
            settling: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            changing: tokio::sync::Mutex::new(()),
            cut: Mutex::new(CancellationToken::new()),
            resting: AtomicBool::new(false),
        }
    }

    pub fn id(&self) -> &AgentId {
        &self.id
    }

    pub fn deployed(&self) -> Arc<Deployed> {
        self.deployed.load_full()
    }

    pub(crate) fn deployed_ref(&self) -> arc_swap::Guard<Arc<Deployed>> {
        self.deployed.load()
    }

    /// A new version takes over with the next batch of messages.
    pub(crate) fn replace(&self, deployed: Deployed) {
        self.deployed.store(Arc::new(deployed));
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub fn phase(&self) -> Phase {
        let index = self.phase.load(Ordering::Acquire) as usize;
        Phase::ALL.get(index).copied().unwrap_or(Phase::Unloaded)
    }

    /// Takes one step of the life.
    pub(crate) fn step(&self, step: Step) -> Result<Phase, Refused> {
        let mut slot = self.lifecycle.lock();
        let now = slot.take().unwrap_or(Lifecycle::Unloaded(Unloaded::new()));
        let (next, outcome) = match now.step(step) {
            Ok(next) => {
                let phase = next.phase();
                (next, Ok(phase))
            }
            Err((same, refused)) => (same, Err(refused)),
        };
        let index = Phase::ALL
            .iter()
            .position(|phase| *phase == next.phase())
            .unwrap_or(0);
        self.phase
            .store(u8::try_from(index).unwrap_or(0), Ordering::Release);
        *slot = Some(next);
        outcome
    }

    /// Which version it is, counted from the server's start.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Completes when a worker parks or leaves; enable it before looking at the mailboxes.
    pub(crate) fn settling(&self) -> Notified<'_> {
        self.settling.store(true, Ordering::SeqCst);
        self.settled.notified()
    }

    /// For a worker that parked or left.
    pub(crate) fn tell_settled(&self) {
        if self.settling.load(Ordering::SeqCst) {
            self.settled.notify_waiters();
        }
    }

    /// Completes when handlers that run now are not waited for any longer.
    pub(crate) fn cut_off(&self) -> WaitForCancellationFutureOwned {
        self.cut.lock().clone().cancelled_owned()
    }

    /// Ends the handlers that run now; later ones are not touched.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.cut.lock()).cancel();
    }

    /// Whether its workers may handle messages.
    pub(crate) fn may_work(&self) -> bool {
        matches!(self.phase(), Phase::Running | Phase::Draining)
            && !self.resting.load(Ordering::Acquire)
    }

    /// Lets its workers rest, or work again where the phase lets them.
    pub(crate) fn rest(&self, resting: bool) {
        self.resting.store(resting, Ordering::Release);
    }

    /// The mailbox of the whole agent.
    pub(crate) fn main(&self) -> &Arc<Mailbox> {
        &self.main
    }

    /// The mailbox of this key, made if it is not there.
    pub(crate) fn mailbox(
        &self,
        key: &MailboxKey,
        mailboxes_max: u32,
    ) -> Result<Arc<Mailbox>, Error> {
        let MailboxKey::Conversation(id) = key else {
            return Ok(Arc::clone(&self.main));
        };
        let mut conversations = self.conversations.lock();
        if let Some(found) = conversations.get(id) {
            return Ok(Arc::clone(found));
        }
        if conversations.len() >= mailboxes_max as usize {
            // One that somebody else holds may be about to get a message.
            conversations.retain(|_, mailbox| {
                let keep = !mailbox.is_settled() || Arc::strong_count(mailbox) > 1;
                if !keep {
                    self.stats.add_mailbox(mailbox);
                }
                keep
            });
        }
        if conversations.len() >= mailboxes_max as usize {
            return Err(Error::new(
                caxton_core::Code::MailboxFull,
                format!("agent {} has {mailboxes_max} live conversations", self.id),
            ));
        }
        let mailbox = Arc::new(Mailbox::new(MailboxId {
            agent: self.id.clone(),
            key: key.clone(),
        }));
        conversations.insert(id.clone(), Arc::clone(&mailbox));
        Ok(mailbox)
    }

    /// All its mailboxes.
    pub(crate) fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        let conversations = self.conversations.lock();
        std::iter::once(&self.main)
            .chain(conversations.values())
            .cloned()
            .collect()
    }

    /// Live instances now, all mailboxes together.
    pub fn instances(&self) -> u32 {
        self.instances.load(Ordering::Relaxed)
    }

    /// One more instance, until the answer is dropped.
    pub(super) fn one_more(self: &Arc<Self>) -> Living {
        self.instances.fetch_add(1, Ordering::Relaxed);
        Living(Arc::clone(self))
    }

    /// What it counted, all mailboxes together.
    pub fn counted(&self) -> Stats {
        let sum = Stats::default();
        let conversations = self.conversations.lock();
        sum.add(&self.stats);
        sum.add_mailbox(&self.main);
        for mailbox in conversations.values() {
            sum.add_mailbox(mailbox);
        }
        sum
    }

    /// Messages that wait, all mailboxes together.
    pub fn queued(&self) -> usize {
        self.mailboxes().iter().map(|mailbox| mailbox.len()).sum()
    }

    /// Whether nothing waits and nothing is being handled.
    pub fn is_settled(&self) -> bool {
        self.mailboxes().iter().all(|mailbox| mailbox.is_settled())
    }

    /// Whether no message is being handled, and none is about to come in.
    pub fn is_quiet(&self) -> bool {
        self.mailboxes().iter().all(|mailbox| mailbox.is_quiet())
    }

    pub(crate) fn record_fault(&self, at: Timestamp, fault: Fault) {
        *self.last_fault.lock() = Some((at, fault));
    }

    pub fn last_fault(&self) -> Option<(Timestamp, Fault)> {
        self.last_fault.lock().clone()
    }
}
