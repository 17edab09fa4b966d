//! The composition root: the only place where adapters are built, one small function each.
//!
//! [`Server::start`] puts a server together in the order in which things can go wrong cheaply: first
//! what only needs looking at (the address), then the folder and the port, and last what takes time.
//! Nothing here decides anything a door or the engine could decide.

mod address;
mod backups;
mod issuers;
mod key;
mod models;
mod reports;
mod rewrap;
mod signals;
mod tls;
mod tools;

pub use address::listenable;
pub use backups::error as backup_error;
pub use rewrap::{Done as Rewrapped, Keys as RewrapKeys, run as rewrap};
pub use signals::stop_signal;
pub use tls::expires as certificate_expires;

use crate::COMPILE_WORKER;
use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::folder::{Folder, Running};
use caxton_core::error::Code;
use caxton_engine::audit::{AuditOptions, Reports};
use caxton_engine::port::{Clock, Entropy, Store, SystemClock, SystemEntropy};
use caxton_engine::{App, Ports};
use caxton_gateway::{Gateway, Keys, starting};
use caxton_store::{DataLock, LockError, SqliteStore};
use caxton_wasm::{Compiler, WasmRuntime};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// The folder of backups in the data folder.
pub const BACKUPS: &str = "backups";
/// The folder of compiled code in the data folder, and the key that vouches for it.
const CODE: &str = "code";
const CODE_KEY: &str = "code.key";
/// What the ends of audit chains are signed with. Whoever has it can sign another history.
const AUDIT_KEY: &str = "audit.key";

/// A server that is ready; [`Server::run`] makes it answer.
pub struct Server {
    app: App,
    gateway: Gateway,
    listener: TcpListener,
    folder: Folder,
    key: key::AdminKey,
    url: String,
    secured: Option<tls::Secured>,
    /// How long it still takes work once it is told to stop, and how long it has then to finish.
    delay: Duration,
    drain: Duration,
    /// Last, so that the folder is free only when everything else is gone.
    _lock: DataLock,
}

impl Server {
    /// Sets up an empty data folder, takes it, opens what is in it and binds the address.
    ///
    /// # Errors
    /// `CX-6011` for an address that would need TLS, `CX-6012` for TLS files that cannot be used, `CX-5007` where another server has the folder,
    /// `CX-5003` and `CX-5006` for data that cannot be served, and what the machine refuses.
    pub async fn start(config: &Config) -> Outcome<Self> {
        let address = address::listenable(config)?;
        let folder = Folder::at(&config.data.dir);
        folder.create()?;
        let lock = build_lock(&folder)?;
        // A folder that was brought back without its keys gets new ones, and says what that means.
        let had_data = folder.join(caxton_store::SHARED_FILE).exists();
        let listener = build_listener(address).await?;
        let key = key::AdminKey::of(&folder, &SystemEntropy)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let sandbox = build_sandbox(config, &folder, &clock, &entropy)?;
        let wasm_tools = sandbox.tools(config.sandbox_tools.options())?;
        let mut ports = Ports::new(
            build_store(config, &folder, &clock)?,
            Arc::clone(&clock),
            Arc::clone(&entropy),
            sandbox,
        );
        ports.tools.wasm = Arc::new(wasm_tools);
        let http = models::build_http(config)?;
        ports.tools.builtin = tools::build_builtin_tools(config, &http)?;
        ports.tools.http = tools::build_http_tools(&http);
        ports.tools.mcp = tools::build_mcp_tools(config, &http);
        ports.model = models::build_model(config, http, &clock)?;
        ports.assistants = models::build_assistants(&ports.model);
        ports.secrets = models::build_secrets(config, &folder, had_data, &entropy)?;
        let bound = listener.local_addr().map_err(|error| {
            Failure::plain("cannot read the bound address").because(error.to_string())
        })?;
        let secured = tls::build(config, &folder, bound.ip())?;
        let options = caxton_engine::Options {
            audit_seed: Some(build_audit_seed(&folder, had_data)?),
            audit: build_audit(config, &folder)?,
            models: models::options(config)?,
            tools: tools::options(config)?,
            jobs: config.jobs.options(),
            breaker: config.breaker.options(),
            ..config.engine.options()
        };
        let app = tokio::select! {
            app = App::start(ports, options) => app?,
            never = starting(&listener, secured.as_ref().map(|it| &it.tls)) => match never {},
        };
        let issuers = issuers::build(config, &clock)?;
        let gateway = build_gateway(&app, &folder, &key, clock, entropy, config)?;
        let gateway = match issuers {
            Some(issuers) => gateway.with_jwt(issuers),
            None => gateway,
        };
        let (gateway, scheme) = match &secured {
            Some(secured) => (gateway.with_tls(secured.tls.clone()), "https"),
            None => (gateway, "http"),
        };
        let url = format!("{scheme}://{bound}");
        let server = Self {
            app,
            gateway,
            listener,
            folder,
            key,
            url,
            secured,
            delay: Duration::from_millis(config.server.shutdown_delay_ms),
            drain: Duration::from_millis(config.server.drain_timeout_ms_max),
            _lock: lock,
        };
        server.announce()?;
        Ok(server)
    }

    /// `http://127.0.0.1:7070`: what clients are told.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The development authority that clients elsewhere may be told to believe.
    pub fn dev_ca(&self) -> Option<&std::path::Path> {
        self.secured.as_ref()?.dev_ca.as_deref()
    }

    /// The platform admin key, where this start made it.
    pub fn new_key(&self) -> Option<&str> {
        self.key.made_now()
    }

    /// The platform admin key.
    pub fn key(&self) -> &str {
        self.key.text()
    }

    /// Answers until `stop`, then lets what is on its way finish, as long as configured.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Outcome {
        let tls = self.secured.map(|secured| secured.tls);
        let reloads = signals::reload_on_hangup(tls)?;
        // Doors and agents finish at the same time, and what time the doors took is over for both.
        let told = Arc::new(OnceLock::new());
        let tell = Arc::clone(&told);
        let stop = async move {
            stop.await;
            let _ = tell.set(Instant::now());
        };
        let served = tokio::select! {
            served = self.gateway.serve(self.listener, stop) => served,
            never = reloads => match never {},
        };
        tracing::info!("draining");
        self.folder.withdraw();
        let since = told.get().map(Instant::elapsed).unwrap_or_default();
        let left = (self.delay + self.drain).saturating_sub(since);
        self.app.stop(left).await;
        tracing::info!("stopped");
        served.map_err(|error| Failure::plain("the door failed").because(error.to_string()))
    }

    fn announce(&self) -> Outcome {
        self.folder.announce(&Running {
            url: self.url.clone(),
            certificate: self.secured.as_ref().map(|it| it.cert.clone()),
            process_id: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

/// The folder's lock. It is the system's, and dies with the process.
fn build_lock(folder: &Folder) -> Outcome<DataLock> {
    caxton_store::lock_data_dir(folder.path()).map_err(|error| match error {
        LockError::Held { .. } => Failure::new(Code::DataLocked, error.to_string()),
        LockError::Failed { ref source, .. } => {
            let because = source.to_string();
            Failure::plain(error.to_string()).because(because)
        }
    })
}

async fn build_listener(address: std::net::SocketAddr) -> Outcome<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::plain(format!("cannot listen on {address}"));
        let failure = failure.because(error.to_string());
        match error.kind() {
            std::io::ErrorKind::AddrInUse => failure.with_hint(
                "another program has the port; choose one with --listen, or 0 for a free one",
            ),
            _ => failure,
        }
    })
}

fn build_store(
    config: &Config,
    folder: &Folder,
    clock: &Arc<dyn Clock>,
) -> Outcome<Arc<dyn Store>> {
    let options = config
        .store
        .options(folder.path().to_owned(), Arc::clone(clock));
    let store = SqliteStore::open(options).map_err(caxton_core::Error::from)?;
    Ok(Arc::new(store))
}

/// The audit's signing key, made once. One that cannot be read is not replaced: auditors know the
/// public part of the old one.
/// What the operator wants of the audit; reports go into a folder.
fn build_audit(config: &Config, folder: &Folder) -> Outcome<AuditOptions> {
    let audit = &config.audit;
    let mut options = audit.options().map_err(Failure::plain)?;
    options.reports = audit.report_every().map_err(Failure::plain)?.map(|every| {
        let dir = match audit.report_folder.as_str() {
            "" => folder.join("audit-reports"),
            dir => dir.into(),
        };
        let keeper = Arc::new(reports::ReportFiles::new(dir));
        Reports { every, keeper }
    });
    Ok(options)
}

fn build_audit_seed(folder: &Folder, had_data: bool) -> Outcome<[u8; 32]> {
    let path = folder.join(AUDIT_KEY);
    let failed = |why: String| {
        Failure::plain(format!("cannot use the audit's key {}", path.display())).because(why)
    };
    match std::fs::read(&path) {
        Ok(bytes) => <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| failed("it does not have 32 bytes; bring it back from a copy".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if had_data {
                tracing::warn!(
                    path = %path.display(),
                    "the data folder has no audit key, and gets a new one: what is signed from now on cannot be \
                     checked with the key that was noted down before; bring that back from a copy"
                );
            }
            let mut seed = [0; 32];
            SystemEntropy.fill(&mut seed);
            folder.keep_private(AUDIT_KEY, &seed)?;
            Ok(seed)
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Where components run: agents, and tools beside them.
fn build_sandbox(
    config: &Config,
    folder: &Folder,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Outcome<Arc<WasmRuntime>> {
    let path = folder.join(CODE_KEY);
    let cache_key = caxton_wasm::load_or_create_cache_key(&path).map_err(|error| {
        Failure::plain(format!("cannot keep {}", path.display())).because(error.to_string())
    })?;
    let options = caxton_wasm::Options {
        cache_dir: Some(folder.join(CODE)),
        cache_key,
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
        compiler: Compiler::Child {
            program: this_binary()?,
            args: vec![COMPILE_WORKER.into()],
        },
        ..config.sandbox.options()
    };
    Ok(Arc::new(WasmRuntime::new(options)?))
}

/// This binary. On Linux by a name that still means it after an upgrade has replaced the file.
fn this_binary() -> Outcome<PathBuf> {
    let exe = PathBuf::from("/proc/self/exe");
    if exe.exists() {
        return Ok(exe);
    }
    std::env::current_exe()
        .map_err(|error| Failure::plain("cannot find this binary").because(error.to_string()))
}

fn build_gateway(
    app: &App,
    folder: &Folder,
    key: &key::AdminKey,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: &Config,
) -> Outcome<Gateway> {
    let backups = folder.join(BACKUPS);
    let mut options = caxton_gateway::Options::new(backups.clone());
    options.cors_origins.clone_from(&config.cors.origins);
    options.auth_failures_max = config.auth.failures_per_minute_max;
    options.shutdown_delay = Duration::from_millis(config.server.shutdown_delay_ms);
    options.shutdown_grace = Duration::from_millis(config.server.drain_timeout_ms_max);
    let keys = Keys::new(key.text()).map_err(|error| {
        Failure::plain("the admin key's file is empty").because(error.to_string())
    })?;
    let ports = caxton_gateway::Ports {
        app: app.clone(),
        keys,
        backups: Arc::new(backups::StoreBackups::new(backups)),
        clock,
        entropy,
    };
    Ok(Gateway::new(options, ports)?)
}
