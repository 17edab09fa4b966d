//! Durable messages: how many a second are acknowledged, each on its own, and how many are handled,
//! against SQLite's own inserts; what one alone costs against one `fdatasync`; and what many tenants
//! cost against one.

use crate::Run;
use crate::measure::{
    Contestant, P50_US, P99_US, PER_CPU_S, PER_S, Scores, Stopwatch, percentiles, race,
};
use crate::peers::disk::Appends;
use crate::peers::sqlite::Inserts;
use crate::report::{Goal, Report, Row, Side};
use crate::world::{add, agent, app_on, content, ctx, manifest, request, tenant, until};
use anyhow::Context as _;
use bytes::Bytes;
use caxton_core::manifest::{BehaviorKind, Durability};
use caxton_core::{AgentId, TenantId};
use caxton_engine::port::{Clock, NativeProgram, NativeRuntime, SystemClock};
use caxton_engine::{App, Options};
use caxton_store::SqliteStore;
use futures::future::BoxFuture;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Senders at a time, and receivers that they send to in turn.
const SENDERS: usize = 512;
const RECEIVERS: usize = 16;
/// Tenants of the row that spreads the load.
const TENANTS: usize = 1000;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    rates(run, report).await?;
    one_at_a_time(run, report).await?;
    tenants(run, report).await
}

async fn rates(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let messages = run.scaled(40_000).max(SENDERS);
    let single = [TenantId::default_tenant()];
    let accepted = Journal::open(run, "accepted", &single, RECEIVERS).await?;
    let mut accepted = Accepting::new(accepted, messages);
    let handled = Journal::open(run, "handled", &single, RECEIVERS).await?;
    let mut handled = Handling::new("caxton", handled, SENDERS, messages);
    let row_bytes = handled.journal.row_bytes().await?;
    let mut inserts = Inserts::new(&run.scratch, run.scaled(200_000).max(1000), row_bytes)?;
    let all = race(run, &mut [&mut accepted, &mut handled, &mut inserts]).await?;
    let [acknowledged, through, plain] = all.as_slice() else {
        return Ok(());
    };
    let work = |what: &str| {
        format!(
            "{SENDERS} concurrent senders, each waiting for the acknowledgement of its durable \
             200-byte message before it sends the next, to {RECEIVERS} native agents; synchronous=FULL. \
             {what} SQLite: rows of the same {row_bytes} bytes by a prepared INSERT, 1,000 in a \
             transaction, WAL and synchronous=FULL, one thread."
        )
    };
    let rows = [
        (
            "accepted",
            acknowledged,
            0.5,
            "The receivers wait meanwhile: only acceptance is timed.",
        ),
        (
            "handled",
            through,
            0.2,
            "Timed until the last is handled and its handling committed.",
        ),
    ];
    for (what, ours, goal, told) in rows {
        for unit in [PER_CPU_S, PER_S] {
            report.add(
                Row::new("durable", format!("durable messages {what}"), unit)
                    .work(work(told))
                    .ours(Side::of("caxton", ours, unit))
                    .peer(Side::of("SQLite's inserts", plain, unit))
                    .goal(Goal::RatioAtLeast(goal)),
            );
        }
    }
    accepted.journal.close().await;
    handled.journal.close().await;
    Ok(())
}

async fn one_at_a_time(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let single = [TenantId::default_tenant()];
    let messages = run.scaled(500);
    let journal = Journal::open(run, "single", &single, 1).await?;
    let bytes = journal.row_bytes().await?;
    let mut accepted = Alone::new(journal, messages, Receiver::Waits);
    let journal = Journal::open(run, "single-handled", &single, 1).await?;
    let mut handled = Alone::new(journal, messages, Receiver::Handles);
    let mut appends = Appends::new(&run.scratch, messages, bytes)?;
    let all = race(run, &mut [&mut accepted, &mut handled, &mut appends]).await?;
    if let [accepted, handled, appends] = all.as_slice() {
        let rows = [
            (
                "durable, one at a time",
                accepted,
                "The receiver waits meanwhile.",
            ),
            (
                "durable, one at a time, handled meanwhile",
                handled,
                "The receiver handles each as it comes, and its commits go to the same file.",
            ),
        ];
        for (what, ours, told) in rows {
            report.add(
                Row::new("durable", what, P50_US)
                    .work(format!(
                        "One sender, one durable 200-byte message after the other, from message_send to \
                         its acknowledgement. {told} Peer: {bytes} bytes appended to a file of the same \
                         file system and fdatasync."
                    ))
                    .ours(Side::of("caxton", ours, P50_US))
                    .peer(Side::of("fdatasync", appends, P50_US))
                    .goal(Goal::RatioAtMost(2.0))
                    .beside(Side::of("caxton", ours, P99_US))
                    .beside(Side::of("fdatasync", appends, P99_US)),
            );
        }
    }
    accepted.journal.close().await;
    handled.journal.close().await;
    Ok(())
}

async fn tenants(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let count = if run.quick { 20 } else { TENANTS };
    let many: Vec<TenantId> = (0..count).map(tenant).collect::<anyhow::Result<_>>()?;
    let single = [TenantId::default_tenant()];
    let spread = Journal::open(run, "spread", &many, 1).await?;
    let gathered = Journal::open(run, "gathered", &single, count).await?;
    let messages = run.scaled(40_000).max(count);
    let mut spread = Handling::new("1,000 tenants", spread, count, messages);
    let mut gathered = Handling::new("one tenant", gathered, count, messages);
    let all = race(run, &mut [&mut spread, &mut gathered]).await?;
    if let [many, one] = all.as_slice() {
        for unit in [PER_CPU_S, PER_S] {
            report.add(
                Row::new("durable", "durable, spread over 1,000 tenants", unit)
                    .work(format!(
                        "{count} concurrent senders to {count} native agents, durable 200-byte messages, \
                         handled and committed: each agent in a tenant of its own, against all in one."
                    ))
                    .ours(Side::of("caxton, many tenants", many, unit))
                    .peer(Side::of("caxton, one tenant", one, unit))
                    .goal(Goal::RatioAtLeast(0.8)),
            );
        }
    }
    spread.journal.close().await;
    gathered.journal.close().await;
    Ok(())
}

/// An engine on SQLite with native agents that do nothing, in one tenant or one in each of many.
struct Journal {
    app: App,
    receivers: Vec<AgentId>,
    /// Handlers wait until this is true.
    gate: watch::Sender<bool>,
    handled: Arc<AtomicU64>,
    content: Bytes,
    folder: PathBuf,
}

impl Journal {
    async fn open(
        run: &Run,
        name: &str,
        tenants: &[TenantId],
        each: usize,
    ) -> anyhow::Result<Self> {
        let folder = run.scratch.join(name);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = SqliteStore::open(caxton_store::Options::new(&folder, clock))?;
        let runtime = Arc::new(NativeRuntime::default());
        let app = app_on(Arc::new(store), runtime, Options::default()).await?;
        let (gate, opened) = watch::channel(true);
        let handled = Arc::new(AtomicU64::new(0));
        let mut receivers = Vec::with_capacity(tenants.len() * each);
        for tenant in tenants {
            for index in 0..each {
                let id = agent(tenant, &format!("receiver-{index}"))?;
                let mut manifest = manifest(&id.name, Durability::Durable);
                manifest.behavior = BehaviorKind::Native;
                // A round's messages may all wait at once.
                manifest.limits.mailbox_messages_max = 1_000_000;
                let program = accepting(opened.clone(), Arc::clone(&handled));
                add(&app, &id, manifest, Arc::new(program))?;
                receivers.push(id);
            }
        }
        Ok(Self {
            app,
            receivers,
            gate,
            handled,
            content: content(),
            folder,
        })
    }

    /// Sends so many messages by so many senders, each of which waits for one acknowledgement after
    /// the other.
    async fn send(&self, senders: usize, messages: usize) -> anyhow::Result<()> {
        let mut tasks = Vec::with_capacity(senders);
        for sender in 0..senders {
            let own = messages / senders + usize::from(sender < messages % senders);
            let to = self.receivers.get(sender % self.receivers.len());
            let to = to.context("no receiver")?.clone();
            let (app, content) = (self.app.clone(), self.content.clone());
            tasks.push(tokio::spawn(async move {
                let ctx = ctx(&to.tenant);
                for _ in 0..own {
                    let acl = request(to.clone(), "journal", content.clone())?;
                    app.message_send(&ctx, acl, None).await?;
                }
                anyhow::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        Ok(())
    }

    fn handled(&self) -> u64 {
        self.handled.load(Ordering::Acquire)
    }

    /// Waits until all that is handled is committed too: a mailbox begins its next batch after that, so
    /// one message more to each receiver is handled then. Gives their count.
    async fn commit_all(&self) -> anyhow::Result<u64> {
        let more = self.receivers.len();
        let goal = self.handled() + more as u64;
        self.send(more, more).await?;
        until(|| self.handled() >= goal).await;
        Ok(more as u64)
    }

    /// Bytes of a message as it is stored: what the peers write too.
    async fn row_bytes(&self) -> anyhow::Result<usize> {
        self.send(1, 100).await?;
        self.commit_all().await?;
        crate::peers::sqlite::message_bytes(&self.folder.join(caxton_store::SHARED_FILE))
    }

    async fn close(self) {
        self.app.stop(Duration::from_secs(5)).await;
        let folder: &Path = &self.folder;
        drop(self.app);
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Takes every message, once the gate is open.
fn accepting(opened: watch::Receiver<bool>, handled: Arc<AtomicU64>) -> NativeProgram {
    NativeProgram::new(move |host, _message| {
        let (mut opened, handled) = (opened.clone(), Arc::clone(&handled));
        async move {
            if !*opened.borrow() {
                // The sender lives as long as the engine does.
                let _ = opened.wait_for(|open| *open).await;
            }
            handled.fetch_add(1, Ordering::Release);
            (host, Ok(()))
        }
    })
}

/// Times acceptance alone; what was accepted is handled between the rounds.
struct Accepting {
    journal: Journal,
    messages: usize,
}

impl Accepting {
    fn new(journal: Journal, messages: usize) -> Self {
        Self { journal, messages }
    }
}

impl Contestant for Accepting {
    fn name(&self) -> String {
        "caxton, accepted".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let goal = self.journal.handled() + self.messages as u64;
            self.journal.gate.send_replace(false);
            let watch = Stopwatch::start();
            let sent = self.journal.send(SENDERS, self.messages).await;
            let spent = watch.read();
            self.journal.gate.send_replace(true);
            sent?;
            until(|| self.journal.handled() >= goal).await;
            Ok(spent.rates(self.messages as u64))
        })
    }
}

/// Times from the first message sent until the last is handled and committed.
struct Handling {
    name: &'static str,
    journal: Journal,
    senders: usize,
    messages: usize,
}

impl Handling {
    fn new(name: &'static str, journal: Journal, senders: usize, messages: usize) -> Self {
        Self {
            name,
            journal,
            senders,
            messages,
        }
    }
}

impl Contestant for Handling {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let goal = self.journal.handled() + self.messages as u64;
            let watch = Stopwatch::start();
            self.journal.send(self.senders, self.messages).await?;
            until(|| self.journal.handled() >= goal).await;
            let more = self.journal.commit_all().await?;
            Ok(watch.read().rates(self.messages as u64 + more))
        })
    }
}

/// What the receiver does while a sender that is alone is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiver {
    Waits,
    Handles,
}

/// One sender that waits for each acknowledgement.
struct Alone {
    journal: Journal,
    messages: usize,
    receiver: Receiver,
}

impl Alone {
    fn new(journal: Journal, messages: usize, receiver: Receiver) -> Self {
        Self {
            journal,
            messages,
            receiver,
        }
    }

    async fn times(&self) -> anyhow::Result<Vec<Duration>> {
        let to = self.journal.receivers.first().context("no receiver")?;
        let ctx = ctx(&to.tenant);
        let mut times = Vec::with_capacity(self.messages);
        for _ in 0..self.messages {
            let acl = request(to.clone(), "journal", self.journal.content.clone())?;
            let begun = Instant::now();
            self.journal.app.message_send(&ctx, acl, None).await?;
            times.push(begun.elapsed());
        }
        Ok(times)
    }
}

impl Contestant for Alone {
    fn name(&self) -> String {
        "caxton, one at a time".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let goal = self.journal.handled() + self.messages as u64;
            let open = self.receiver == Receiver::Handles;
            self.journal.gate.send_replace(open);
            let times = self.times().await;
            self.journal.gate.send_replace(true);
            until(|| self.journal.handled() >= goal).await;
            self.journal.commit_all().await?;
            percentiles(times?)
        })
    }
}
