//! The router: who is there, where a message goes, and the workers that empty mailboxes.
//!
//! It never awaits an agent. A message is decided on purely (`core::route`), a place in the
//! receiver's mailbox is reserved, the durable part is committed, and the place is filled; a full
//! mailbox is an answer.

mod direct;
mod entry;
mod instance;
mod outlet;
pub(crate) mod plan;
mod resending;
mod stats;
pub(crate) mod taps;
mod waiters;
mod watch;
mod witness;
mod worker;

pub use entry::{AgentEntry, Deployed};
pub(crate) use resending::Resending;
pub use stats::Stats;
pub(crate) use watch::Watching;

use crate::audit::Audit;
use crate::breakers::Breakers;
use crate::documents::Documents;
use crate::host::{Outlet, Services};
use crate::limits::Quotas;
use crate::mailbox::{Mailbox, Wake};
use crate::metrics::Metrics;
use crate::models::{self, Meters};
use crate::opctx::TenantScope;
use crate::options::Options;
use crate::port::behavior::{Fault, FaultKind, NoAssistants, Runtime};
use crate::port::model::NoModel;
use crate::port::secrets::NoSecrets;
use crate::port::store::{Committed, Op, StoreError, Unit};
use crate::port::tool::Executors;
use crate::port::{Clock, Entropy, Model, Secrets, Store};
use crate::supervise::{Standing, Timers};
use crate::task::Tasks;
use crate::tools::{ToolMeters, ToolParts};
use caxton_core::error::{Code, Error};
use caxton_core::manifest::BehaviorKind;
use caxton_core::{AgentId, Epoch, MailboxId, Message, MessageId, TenantId, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use taps::Taps;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use waiters::Waiters;
use witness::Witness;

/// What a refused sender is told to wait when a mailbox is full.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a mailbox waits for a place among the live instances before that is a fault.
const INSTANCE_WAIT_MAX: Duration = Duration::from_secs(30);

/// The adapters an engine is built from.
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Makes programs of wasm agents.
    pub runtime: Arc<dyn Runtime>,
    /// Makes programs of assistants.
    pub assistants: Arc<dyn Runtime>,
    pub model: Arc<dyn Model>,
    pub secrets: Arc<dyn Secrets>,
    pub tools: Executors,
}

impl Ports {
    /// Of a server without models and assistants.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        runtime: Arc<dyn Runtime>,
    ) -> Self {
        Self {
            store,
            clock,
            entropy,
            runtime,
            assistants: Arc::new(NoAssistants),
            model: Arc::new(NoModel),
            secrets: Arc::new(NoSecrets),
            tools: Executors::default(),
        }
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}

/// A mailbox with its agent.
type Lane = (Arc<AgentEntry>, Arc<Mailbox>);

/// The living system's state, shared by the router, the workers, lifecycle, supervision and `App`.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) services: Arc<Services>,
    runtime: Arc<dyn Runtime>,
    assistants: Arc<dyn Runtime>,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: Tasks,
    pub(crate) epoch: Epoch,
    pub(crate) waiters: Waiters,
    pub(crate) timers: Timers,
    resending: resending::Letters,
    pub(crate) standing: Standing,
    pub(crate) taps: Taps,
    pub(crate) draining: AtomicBool,
    /// The keeper's sweeps so far: coarse time for idle workers.
    pub(crate) sweeps: AtomicU64,
    /// What removed agents counted.
    gone: Stats,
    /// Handlers that wait for an answer.
    callers: AtomicUsize,
    /// One permit a live instance.
    instances: Arc<Semaphore>,
    agents: papaya::HashMap<AgentId, Arc<AgentEntry>, foldhash::fast::RandomState>,
    /// In order, so that what is done to all of them is done in the same order for the same seed.
    live: Mutex<BTreeMap<MailboxId, Lively>>,
    watch: watch::Watch,
    /// Grows with each agent that comes or goes, so that a worker sees by one load that what it knows
    /// of a receiver still holds.
    registry: AtomicU64,
    /// The id that was given last to a message of a door or of the platform.
    last_id: Mutex<MessageId>,
}

/// A mailbox with a worker; for a moment with two, the one that leaves and the one that comes.
#[derive(Debug)]
struct Lively {
    entry: Arc<AgentEntry>,
    mailbox: Arc<Mailbox>,
    workers: u32,
}

/// The way back from `Services` to what holds them.
#[derive(Debug)]
struct Way(Weak<Shared>);

impl Shared {
    pub(crate) fn new(
        ports: Ports,
        options: Options,
        metrics: Metrics,
        meters: Meters,
        quotas: Arc<Quotas>,
        (audit, breakers, tool_meters): (Arc<Audit>, Arc<Breakers>, ToolMeters),
        epoch: Epoch,
    ) -> Arc<Self> {
        let documents = Documents::new(Arc::clone(&ports.store), epoch);
        let tasks = Tasks::new();
        let tools = ToolParts {
            store: Arc::clone(&ports.store),
            documents: documents.clone(),
            secrets: Arc::clone(&ports.secrets),
            clock: Arc::clone(&ports.clock),
            quotas: Arc::clone(&quotas),
            breakers: Arc::clone(&breakers),
            audit,
            executors: ports.tools,
            tasks: tasks.clone(),
            meters: tool_meters,
            options: options.tools.clone(),
        };
        let parts = models::Parts {
            model: ports.model,
            secrets: ports.secrets,
            clock: Arc::clone(&ports.clock),
            entropy: Arc::clone(&ports.entropy),
            quotas,
            documents,
            tasks: tasks.clone(),
            meters,
            breakers,
            options: options.models.clone(),
        };
        // More places than the sandbox has would only be refused there, one by one.
        let sandbox_max = ports.runtime.instances_max().unwrap_or(usize::MAX);
        let instances_max = options.mailboxes_live_max.min(sandbox_max);
        let options = Options {
            mailboxes_live_max: instances_max,
            ..options
        };
        Arc::new_cyclic(|weak: &Weak<Self>| {
            stats::register(&metrics.registry, weak.clone());
            let outlet: Arc<dyn Outlet> = Arc::new(Way(weak.clone()));
            let services = Arc::new(Services::new(ports.store, outlet, parts, tools));
            Self {
                services,
                runtime: ports.runtime,
                assistants: ports.assistants,
                watch: watch::Watch::new(options.watch_messages_max),
                registry: AtomicU64::new(0),
                last_id: Mutex::new(MessageId::MIN),
                options,
                metrics,
                tasks,
                epoch,
                waiters: Waiters::default(),
                timers: Timers::default(),
                resending: Mutex::default(),
                standing: Standing::default(),
                taps: Taps::default(),
                draining: AtomicBool::new(false),
                sweeps: AtomicU64::new(0),
                gone: Stats::default(),
                callers: AtomicUsize::new(0),
                instances: Arc::new(Semaphore::new(instances_max)),
                agents: papaya::HashMap::default(),
                live: Mutex::new(BTreeMap::new()),
            }
        })
    }

    /// What makes programs of a kind of agent.
    pub(crate) fn runtime(&self, kind: BehaviorKind) -> &dyn Runtime {
        match kind {
            BehaviorKind::Assistant => &*self.assistants,
            BehaviorKind::Wasm | BehaviorKind::Native => &*self.runtime,
        }
    }

    pub(crate) fn agent(&self, id: &AgentId) -> Option<Arc<AgentEntry>> {
        self.agents.pin().get(id).cloned()
    }

    /// The tenant's agents, by name.
    pub(crate) fn agents_of(&self, tenant: &TenantId) -> Vec<Arc<AgentEntry>> {
        let pinned = self.agents.pin();
        let mut list: Vec<_> = pinned
            .values()
            .filter(|entry| entry.id().tenant == *tenant)
            .cloned()
            .collect();
        list.sort_by(|a, b| a.id().cmp(b.id()));
        list
    }

    /// All agents, in an order that does not depend on the hash.
    pub(crate) fn agents_all(&self) -> Vec<Arc<AgentEntry>> {
        let mut list: Vec<_> = self.agents.pin().values().cloned().collect();
        list.sort_by(|a, b| a.id().cmp(b.id()));
        list
    }

    pub(crate) fn agent_count(&self) -> usize {
        self.agents.len()
    }

    /// Registers; fails where the name is taken.
    pub(crate) fn register(&self, entry: Arc<AgentEntry>) -> Result<(), Error> {
        if self.agents.len() >= self.options.agents_max {
            return Err(Error::new(
                Code::AgentsTooMany,
                format!("the server has {} agents", self.options.agents_max),
            ));
        }
        let pinned = self.agents.pin();
        let id = entry.id().clone();
        if pinned.try_insert(id.clone(), entry).is_err() {
            return Err(Error::new(
                Code::AgentExists,
                format!("agent {id} is deployed"),
            ));
        }
        self.registry_changed();
        Ok(())
    }

    pub(crate) fn deregister(&self, id: &AgentId) {
        if let Some(entry) = self.agents.pin().remove(id) {
            self.gone.add(&entry.counted());
        }
        self.registry_changed();
    }

    fn registry_changed(&self) {
        self.registry.fetch_add(1, Ordering::Release);
        self.metrics
            .agents
            .set(i64::try_from(self.agents.len()).unwrap_or(i64::MAX));
    }

    /// The id of a message of a door or of the platform itself.
    pub(crate) fn new_message_id(&self) -> MessageId {
        self.new_message_id_after(MessageId::MIN, self.services.clock.now())
    }

    /// The same for a message that another one caused.
    pub(crate) fn new_message_id_after(&self, cause: MessageId, at: Timestamp) -> MessageId {
        let random = self.services.entropy.word();
        let mut last = self.last_id.lock();
        *last = MessageId::next(at, cause.max(*last), random);
        *last
    }

    /// Commits a unit. Where the store fails, the answer is still certain: an error means that
    /// nothing was written, and never will be.
    pub(crate) async fn commit(&self, tenant: &TenantId, ops: Vec<Op>) -> Result<Committed, Error> {
        let scope = TenantScope::system(tenant.clone(), "what authorized messages lead to");
        let witness = Witness::of(&ops);
        let unit = Unit {
            scope: scope.clone(),
            epoch: self.epoch,
            ops,
        };
        match (self.services.store.commit(unit).await, witness) {
            (Err(StoreError::Failed(_)), Some(witness))
                if self.was_written(&scope, &witness).await =>
            {
                Ok(Committed::default())
            }
            (outcome, _) => Ok(outcome?),
        }
    }

    /// Starts the worker of a mailbox that said it wants one.
    pub(crate) fn start_worker(self: &Arc<Self>, entry: &Arc<AgentEntry>, mailbox: &Arc<Mailbox>) {
        let mut live = self.live.lock();
        let lively = live.entry(mailbox.id().clone()).or_insert_with(|| Lively {
            entry: Arc::clone(entry),
            mailbox: Arc::clone(mailbox),
            workers: 0,
        });
        if !Arc::ptr_eq(&lively.mailbox, mailbox) {
            // The agent was removed and deployed again.
            lively.entry = Arc::clone(entry);
            lively.mailbox = Arc::clone(mailbox);
        }
        lively.workers += 1;
        drop(live);
        self.metrics.mailboxes_live.inc();
        let work = worker::work(Arc::clone(self), Arc::clone(entry), Arc::clone(mailbox));
        self.tasks.spawn("mailbox", work);
    }

    fn worker_left(&self, mailbox: &Mailbox) {
        let mut live = self.live.lock();
        if let Some(lively) = live.get_mut(mailbox.id()) {
            lively.workers -= 1;
            if lively.workers == 0 {
                live.remove(mailbox.id());
            }
        }
        drop(live);
        self.metrics.mailboxes_live.dec();
    }

    /// Starts workers wherever messages wait and none is there.
    pub(crate) fn claim_all(self: &Arc<Self>, entry: &Arc<AgentEntry>) {
        for mailbox in entry.mailboxes() {
            if mailbox.claim() == Wake::Start {
                self.start_worker(entry, &mailbox);
            }
        }
    }

    /// Every mailbox that has a worker.
    pub(crate) fn live(&self) -> Vec<Lane> {
        let live = self.live.lock();
        live.values()
            .map(|lively| (Arc::clone(&lively.entry), Arc::clone(&lively.mailbox)))
            .collect()
    }

    pub(crate) fn live_count(&self) -> usize {
        self.live.lock().len()
    }

    /// Leave to make an instance. When all are taken the idle ones are sent home at once, and the
    /// next that ends gives its place; if none does in time, that is a fault.
    async fn instance_permit(&self) -> Result<OwnedSemaphorePermit, Fault> {
        if let Ok(permit) = Arc::clone(&self.instances).try_acquire_owned() {
            return Ok(permit);
        }
        for (entry, mailbox) in self.live() {
            if !entry.deployed_ref().manifest.instance.resident {
                mailbox.retire_if_idle(u64::MAX);
            }
        }
        let clock = &self.services.clock;
        let late = clock.sleep_until(clock.now().plus(INSTANCE_WAIT_MAX));
        let full = || {
            let detail = "all places for live instances are taken, and none became free in time";
            Fault::new(FaultKind::Overload, detail)
        };
        tokio::select! {
            biased;
            permit = Arc::clone(&self.instances).acquire_owned() => permit.map_err(|_| full()),
            () = late => Err(full()),
        }
    }

    /// What all agents counted, those that are gone included.
    pub(crate) fn totals(&self) -> Stats {
        let totals = Stats::default();
        totals.add(&self.gone);
        for entry in self.agents.pin().values() {
            totals.add(&entry.counted());
        }
        totals
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watch.is_watched()
    }

    pub(crate) fn show(&self, message: Arc<Message>) {
        self.watch.show(message);
    }

    pub(crate) fn watch(&self) -> Watching {
        self.watch.watching()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
