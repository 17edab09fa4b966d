//! [`App`]: every use case there is, one file per noun. Doors call this and nothing else; each
//! method authorizes first.

mod agents;
mod approvals;
mod audit;
mod chat;
mod conversations;
mod dead_letters;
mod idempotency;
mod invoke;
mod jobs;
mod keys;
mod limits;
mod messages;
mod providers;
mod requests;
mod responses;
mod roles;
mod server;
mod sessions;
mod tenants;
mod tool_import;
mod tool_question;
mod tools;

pub use crate::lifecycle::Package;
pub use agents::{AgentView, LogFollow};
pub use chat::TurnAsk;
pub use messages::{Sent, Watch};
pub use server::ServerStatus;
pub use tools::{ToolCallDone, TryCall};

use crate::audit::{Audit, Signer};
use crate::breakers::Breakers;
use crate::directory::Directory;
use crate::documents::Documents;
use crate::idempotency::{Bounds, Idempotency};
use crate::jobs::Jobs;
use crate::limits::{Quotas, Rates, Refusals};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::port::behavior::Program;
use crate::requests::Requests;
use crate::router::{AgentEntry, Ports, Shared};
use caxton_core::error::{Code, Error};
use caxton_core::{AgentId, Manifest, Timestamp};
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often what was used and asked is written down: what a kill loses of it.
const RECORDS_EVERY: Duration = Duration::from_secs(1);

/// The running engine. Cheap to clone.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
    directory: Arc<Directory>,
    audit: Arc<Audit>,
    rates: Arc<Rates>,
    quotas: Arc<Quotas>,
    requests: Arc<Requests>,
    idempotency: Arc<Idempotency>,
    jobs: Arc<Jobs>,
    started: Timestamp,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App({} agents)", self.shared.agent_count())
    }
}

impl App {
    /// Takes ownership of the store's data and brings back what ran.
    pub async fn start(ports: Ports, options: Options) -> Result<Self, Error> {
        let metrics =
            Metrics::new().map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let epoch = ports.store.begin_epoch().await?;
        let meters = crate::models::Meters::new(&metrics.registry)
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let quotas = Documents::new(Arc::clone(&ports.store), epoch);
        let refusals = Refusals::new(&metrics.registry)
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let quotas = Arc::new(Quotas::counted(quotas, refusals.clone()));
        let seed = options.audit_seed.unwrap_or_else(|| {
            let mut seed = [0; 32];
            ports.entropy.fill(&mut seed);
            seed
        });
        let audit = Arc::new(Audit::new(
            Arc::clone(&ports.store),
            Arc::clone(&ports.clock),
            Arc::clone(&ports.entropy),
            epoch,
            Signer::new(&seed),
        ));
        let tool_meters = crate::tools::ToolMeters::new(&metrics.registry)
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let clock = Arc::clone(&ports.clock);
        let breakers = Breakers::new(options.breaker, clock, &metrics.registry)
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let shared = Shared::new(
            ports,
            options,
            metrics,
            meters,
            Arc::clone(&quotas),
            (Arc::clone(&audit), Arc::new(breakers), tool_meters),
            epoch,
        );
        let started = shared.services.clock.now();
        let services = &shared.services;
        let directory = Directory::open(
            Arc::clone(&services.store),
            Arc::clone(&services.clock),
            Arc::clone(&services.entropy),
            epoch,
        );
        let directory = Arc::new(directory.await?);
        let documents = Documents::new(Arc::clone(&services.store), epoch);
        let rates = Arc::new(Rates::new(documents.clone(), refusals));
        let idempotency = Idempotency::new(
            Arc::clone(&services.store),
            documents.clone(),
            Arc::clone(&services.clock),
            Bounds {
                kept: shared.options.idempotency_kept,
                keys_max: shared.options.idempotency_keys_max,
                bytes_max: shared.options.idempotency_bytes_max,
            },
        );
        let requests = Arc::new(Requests::new(
            Arc::clone(&services.store),
            documents,
            Arc::clone(&services.clock),
            shared.options.history,
        ));
        let jobs = Arc::new(Jobs::new(&shared)?);
        jobs.load().await?;
        crate::lifecycle::boot(&shared, &directory).await?;
        jobs.go_on().await?;
        crate::supervise::keep(&shared);
        let swept = Arc::clone(&jobs);
        shared.stand("jobs", move || Arc::clone(&swept).sweep_on());
        let app = Self {
            shared,
            directory,
            audit,
            rates,
            quotas,
            requests,
            idempotency,
            jobs,
            started,
        };
        app.keep_records();
        app.keep_audit();
        Ok(app)
    }

    /// Stops: no new messages, the waiting ones are handled until `grace` has passed, then every
    /// task ends. Durable messages that are left are handled after the next start.
    pub async fn stop(&self, grace: Duration) {
        self.shared.draining.store(true, Ordering::Release);
        let clock = Arc::clone(&self.shared.services.clock);
        let mut late = clock.sleep_until(clock.now().plus(grace));
        for entry in self.shared.agents_all() {
            loop {
                let mut settled = std::pin::pin!(entry.settling());
                settled.as_mut().enable();
                if !entry.may_work() || entry.is_settled() {
                    break;
                }
                tokio::select! {
                    biased;
                    () = settled => {}
                    () = &mut late => {
                        late = Box::pin(std::future::ready(()));
                        break;
                    }
                }
            }
        }
        self.shared.tasks.begin_stop();
        for (_, mailbox) in self.shared.live() {
            mailbox.nudge();
        }
        self.shared.tasks.stop().await;
        self.flush().await;
    }

    /// Writes down what was used and asked, again and again.
    fn keep_records(&self) {
        let (quotas, requests) = (Arc::clone(&self.quotas), Arc::clone(&self.requests));
        let turns = Arc::clone(&self.shared.services.turns);
        let tools = Arc::clone(&self.shared.services.tools);
        let meters = self.shared.services.models.meters.clone();
        let clock = Arc::clone(&self.shared.services.clock);
        self.shared.stand("records", move || {
            let (quotas, requests) = (Arc::clone(&quotas), Arc::clone(&requests));
            let (turns, tools) = (Arc::clone(&turns), Arc::clone(&tools));
            let (meters, clock) = (meters.clone(), Arc::clone(&clock));
            async move {
                loop {
                    clock.sleep_until(clock.now().plus(RECORDS_EVERY)).await;
                    quotas.flush().await;
                    requests.flush().await;
                    turns.flush().await;
                    tools.log.flush().await;
                    meters
                        .turns_now
                        .set(i64::try_from(turns.running()).unwrap_or(i64::MAX));
                }
            }
        });
    }

    /// Lets go of old audit entries and writes reports, where the operator wants that.
    fn keep_audit(&self) {
        let options = &self.shared.options.audit;
        if let Some(kept) = options.retention {
            let kept = kept.max(crate::audit::RETENTION_MIN);
            let audit = Arc::clone(&self.audit);
            self.shared.stand("audit-retention", move || {
                Arc::clone(&audit).retain_on(kept)
            });
        }
        if let Some(reports) = &options.reports {
            let (audit, reports) = (Arc::clone(&self.audit), reports.clone());
            self.shared.stand("audit-reports", move || {
                Arc::clone(&audit).report_on(reports.clone())
            });
        }
    }

    /// Whether the server takes no new work because it stops.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// The tasks that stand as long as the server, by name; `false`: it panicked and begins again soon.
    pub fn standing(&self) -> Vec<(&'static str, bool)> {
        self.shared.standing.all()
    }

    /// Whether the audit's last entry could not be written: what must be audited is refused then.
    pub fn is_audit_failing(&self) -> bool {
        self.audit.is_failing()
    }

    /// The engine's metrics, with the registry that doors and adapters add theirs to.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The agents' own metrics.
    pub fn guest_metrics(&self) -> &crate::host::GuestMetrics {
        &self.shared.services.guest_metrics
    }

    /// Adds an agent of the server's own, written in Rust. It is not kept in the store.
    pub fn add_native(
        &self,
        id: AgentId,
        manifest: Manifest,
        program: Arc<dyn Program>,
    ) -> Result<(), Error> {
        use caxton_core::lifecycle::Step;
        let deployed =
            crate::lifecycle::native(manifest, program, self.shared.services.clock.now());
        let entry = Arc::new(AgentEntry::new(id, deployed));
        entry.step(Step::Load)?;
        entry.step(Step::Start)?;
        self.shared.register(entry)
    }

    fn entry(&self, id: &AgentId) -> Result<Arc<AgentEntry>, Error> {
        self.shared.agent(id).ok_or_else(|| {
            Error::new(
                Code::AgentNotFound,
                format!("there is no agent {}", id.name),
            )
        })
    }

    /// Runs a change to its end even where the client that asked for it goes away meanwhile: one
    /// that is committed must also take effect.
    async fn whole<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (done, outcome) = tokio::sync::oneshot::channel();
        // Boxed, or all that makes up a task would be compiled anew for each change.
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let _ = done.send(change.await);
        });
        self.shared.tasks.spawn("change", task);
        let lost = |_| Error::new(Code::Internal, "the change was lost; see the server's log");
        outcome.await.map_err(lost)?
    }

    fn refuse_when_draining(&self) -> Result<(), Error> {
        if self.is_draining() {
            return Err(Error::new(Code::Draining, "the server is shutting down")
                .retry_after(Duration::from_secs(5)));
        }
        Ok(())
    }
}
