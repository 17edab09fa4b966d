//! A whole server in this process: SQLite store in a temporary folder, wasmtime, every door on a free
//! port, and a client. What the composition root of the binary builds, with two differences: limits
//! fit for many servers in one process, and an end that can be as abrupt as a crash.
//!
//! Each server lives on a tokio runtime of its own. That is what makes [`TestServer::kill`] honest:
//! the runtime is taken down under the server's feet, so no task of it says goodbye, and what is on
//! disk is all the next start has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod example;
mod http;
mod talk;

pub use self::example::Example;
pub use self::http::{Answer, Body};
pub use self::talk::{Said, draft, text_of};

use caxton_api::client::Client;
use caxton_assistant::AssistantRuntime;
use caxton_engine::port::{Clock, Entropy, Model, SystemClock, SystemEntropy};
use caxton_engine::{App, Ports};
use caxton_gateway::{Gateway, Keys, NoBackups};
use caxton_llm::{Providers, Table};
use caxton_store::SqliteStore;
use caxton_tools::http::HttpOut;
use caxton_wasm::{ToolOptions, WasmRuntime};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The platform admin key of every test server.
pub const KEY: &str = "cx_adm_test_0123456789";

/// Live instances of one test server. Each reserves 4 GiB of address space, of which a process has
/// 128 TiB for all the servers its tests start at one time.
const INSTANCES_MAX: u32 = 128;
/// Nothing a test asks takes this long: a Python agent is 18 MB to compile, beside whatever else the machine
/// does.
const ANSWER: Duration = Duration::from_secs(600);
/// How long an end waits for what is on its way.
const GRACE: Duration = Duration::from_secs(20);

/// What a test may choose of its server.
#[derive(Clone, Debug)]
pub struct Setup {
    pub engine: caxton_engine::Options,
    pub sandbox: caxton_wasm::Options,
}

impl Default for Setup {
    /// The shipped limits; only idle instances go sooner, so that a test sees them go.
    fn default() -> Self {
        let engine = caxton_engine::Options {
            idle_linger: Duration::from_millis(100),
            sweep_interval: Duration::from_millis(20),
            backoff_first: Duration::from_millis(5),
            ..caxton_engine::Options::default()
        };
        let sandbox = caxton_wasm::Options {
            instances_live_max: INSTANCES_MAX,
            ..caxton_wasm::Options::default()
        };
        Self { engine, sandbox }
    }
}

/// A running server. Dropping it is a crash.
#[derive(Debug)]
pub struct TestServer {
    setup: Setup,
    live: Option<Live>,
    client: Client,
    http: http::Http,
    /// Last: the folder goes when nothing writes to it any more.
    folder: TempDir,
}

#[derive(Debug)]
struct Live {
    runtime: Runtime,
    serving: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl TestServer {
    /// A server on an empty folder.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub async fn start_with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (live, url) = launch(folder.path(), &setup).await;
        Self {
            setup,
            live: Some(live),
            client: client(&url),
            http: http::Http::new(&url),
            folder,
        }
    }

    /// A client with the admin key, in tenant `default`.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `http://127.0.0.1:PORT`; another one after each restart.
    pub fn url(&self) -> &str {
        self.client.server()
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops as SIGTERM would, and starts again on the same folder.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Ends without a word, wherever every task stands, and starts again on the same folder.
    pub async fn kill(&mut self) {
        let live = self.live.take().expect("the server runs");
        take_down(live.runtime).await;
        self.start_again().await;
    }

    /// Stops as SIGTERM would: what is on its way is handled first.
    pub async fn stop(&mut self) {
        let live = self.live.take().expect("the server runs");
        live.stop.send(()).expect("the server takes the signal");
        live.serving.await.expect("the server ends");
        take_down(live.runtime).await;
    }

    async fn start_again(&mut self) {
        let (live, url) = launch(self.folder.path(), &self.setup).await;
        self.live = Some(live);
        self.client = client(&url);
        self.http = http::Http::new(&url);
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            live.runtime.shutdown_background();
        }
    }
}

/// Drops every task of a runtime and waits until they are gone, which blocks.
async fn take_down(runtime: Runtime) {
    let gone = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(GRACE));
    gone.await.expect("the runtime ends");
}

fn client(url: &str) -> Client {
    let client = Client::new(url, Some(KEY), None).expect("a client");
    client.with_response_timeout(ANSWER)
}

/// Starts a server on a runtime of its own; returns when it answers.
async fn launch(folder: &Path, setup: &Setup) -> (Live, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, started) = oneshot::channel();
    let (folder, setup) = (folder.to_owned(), setup.clone());
    let serving = runtime.spawn(async move {
        let (app, gateway, listener) = compose(folder, setup).await;
        let address = listener.local_addr().expect("the bound address");
        ready.send(address).expect("the test waits");
        let told = async {
            if stopped.await.is_err() {
                // The server was dropped: that is a crash, and nobody drains.
                std::future::pending::<()>().await;
            }
        };
        gateway.serve(listener, told).await.expect("the door");
        app.stop(GRACE).await;
    });
    let Ok(address) = started.await else {
        let error = serving.await.expect_err("it ended before it was ready");
        panic!("the server did not start: {error}");
    };
    let live = Live {
        runtime,
        serving,
        stop,
    };
    (live, format!("http://{address}"))
}

/// The composition root.
async fn compose(folder: PathBuf, setup: Setup) -> (App, Gateway, TcpListener) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let options = caxton_store::Options::new(&folder, Arc::clone(&clock));
    let store = SqliteStore::open(options).expect("the store opens");
    let sandbox = WasmRuntime::new(setup.sandbox).expect("the sandbox starts");
    let wasm_tools = sandbox.tools(ToolOptions::default()).expect("tools");
    let mut ports = Ports::new(
        Arc::new(store),
        Arc::clone(&clock),
        Arc::clone(&entropy),
        Arc::new(sandbox),
    );
    ports.tools.wasm = Arc::new(wasm_tools);
    let model = model(&clock);
    ports.assistants = Arc::new(AssistantRuntime::new(Arc::clone(&model)));
    ports.model = model;
    let app = App::start(ports, setup.engine)
        .await
        .expect("the engine starts");
    let ports = caxton_gateway::Ports {
        app: app.clone(),
        keys: Keys::new(KEY).expect("a key"),
        backups: Arc::new(NoBackups),
        clock,
        entropy,
    };
    let options = caxton_gateway::Options::new(folder.join("backups"));
    let gateway = Gateway::new(options, ports).expect("the doors");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    (app, gateway, listener)
}

/// All models; those of providers are reached where a test's tenant may reach them.
fn model(clock: &Arc<dyn Clock>) -> Arc<dyn Model> {
    let http = HttpOut::new(&caxton_tools::http::Options::default()).expect("a way out");
    Arc::new(Providers::new(caxton_llm::Options {
        http: Arc::new(http),
        clock: Arc::clone(clock),
        scripts_dir: None,
        table: Table::read(None).expect("the table of models"),
    }))
}
