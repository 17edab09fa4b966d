//! The doors against bare tonic and bare axum: the same question with the same answer, over the same
//! client, with everything on that a server of customers has on.

use crate::Run;
use crate::measure::{
    CPU_US, Contestant, P50_US, P99_US, Scores, Stopwatch, WALL_US, percentiles, race,
};
use crate::peers::echo;
use crate::report::{Goal, Report, Row, Side};
use crate::world::{app_on, ctx};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use caxton_api::v1;
use caxton_core::TenantId;
use caxton_core::grant::Role;
use caxton_core::limit::Rate;
use caxton_engine::directory::{KeyDraft, TenantDraft};
use caxton_engine::limits::{Overage, Period, Quota, QuotaLimit, RateSettings};
use caxton_engine::port::{Clock, NativeRuntime, SystemClock, SystemEntropy};
use caxton_engine::{App, Options};
use caxton_gateway::{Gateway, Keys, NoBackups, Ports};
use caxton_store::SqliteStore;
use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};

/// Questions of one round.
const QUESTIONS: usize = 20_000;
/// Clients that ask at the same time.
const CLIENTS: usize = 8;
const TENANT: &str = "acme";
/// The rate everything is held to: never reached, and counted at each request.
const PLENTY: u64 = 100_000_000;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let (app, address, key) = caxton(run).await?;
    for (door, peer, limit) in [
        (Door::Grpc, echo::serve(echo::grpc()).await?, 1.25),
        (Door::Rest, echo::serve(echo::rest()).await?, 1.4),
    ] {
        let questions = run.scaled(QUESTIONS).max(CLIENTS);
        let mut ours = Asking::new("caxton", door, address, &key, questions).await?;
        let mut bare = Asking::new(door.peer(), door, peer, &key, questions).await?;
        let all = race(run, &mut [&mut ours, &mut bare]).await?;
        if let [ours, bare] = all.as_slice() {
            report.add(
                Row::new("doors", format!("{}: a question and its answer", door.name()), CPU_US)
                    .work(format!(
                        "{CLIENTS} clients ask for a tenant's quota, one question after the other on a \
                         connection each, in this process; the client's work is counted in both. Caxton \
                         with an API key, permission, rates of the server, tenant, key and operation, \
                         request log (written to SQLite), metrics and tracing."
                    ))
                    .ours(Side::of("caxton", ours, CPU_US))
                    .peer(Side::of(door.peer(), bare, CPU_US))
                    .goal(Goal::RatioAtMost(limit))
                    .beside(Side::of("caxton", ours, P50_US))
                    .beside(Side::of("caxton", ours, P99_US))
                    .beside(Side::of("caxton", ours, WALL_US))
                    .beside(Side::of(door.peer(), bare, WALL_US)),
            );
        }
    }
    app.stop(Duration::ZERO).await;
    Ok(())
}

/// A server with a tenant, a key of it, a quota to ask for, and limits that hold everybody.
async fn caxton(run: &Run) -> anyhow::Result<(App, SocketAddr, String)> {
    let folder = run.scratch.join("doors");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = SqliteStore::open(caxton_store::Options::new(&folder, Arc::clone(&clock)))?;
    let runtime = Arc::new(NativeRuntime::default());
    let app = app_on(Arc::new(store), runtime, Options::default()).await?;
    let tenant = TenantId::parse(TENANT)?;
    let draft = TenantDraft {
        id: tenant.clone(),
        display_name: String::new(),
        storage: caxton_engine::directory::Storage::Shared,
    };
    let ctx = ctx(&tenant);
    app.tenant_create(&ctx, draft).await?;
    let draft = KeyDraft {
        name: "bench".to_owned(),
        role: Role::Admin,
        scopes: Vec::new(),
        expires: None,
        platform: false,
    };
    let (_, key) = app.key_create(&ctx, draft).await?;
    let limit = QuotaLimit {
        limit: 4,
        period: Period::Month,
        overage: Overage::Refuse,
    };
    let quota = Quota {
        messages: Some(limit),
        ..Quota::default()
    };
    app.quota_set(&ctx, &tenant, "", quota).await?;
    let plenty = Rate::new(PLENTY, 1, 0)?;
    let rates = RateSettings {
        server: Some(plenty),
        tenant: Some(plenty),
        key: Some(plenty),
        operations: [("caxton.v1.Limits/GetQuota".to_owned(), plenty)].into(),
    };
    app.rates_set(&ctx, rates).await?;
    let ports = Ports {
        app: app.clone(),
        keys: Keys::new("cx_adm_1_bench")?,
        backups: Arc::new(NoBackups),
        clock,
        entropy: Arc::new(SystemEntropy),
    };
    let options = caxton_gateway::Options::new(folder.join("backups"));
    let gateway = Gateway::new(options, ports)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(gateway.serve(listener, std::future::pending()));
    Ok((app, address, key.expose()))
}

#[derive(Clone, Copy)]
enum Door {
    Grpc,
    Rest,
}

impl Door {
    const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC",
            Self::Rest => "REST",
        }
    }

    const fn peer(self) -> &'static str {
        match self {
            Self::Grpc => "bare tonic",
            Self::Rest => "bare axum",
        }
    }
}

/// One client with a connection of its own.
#[derive(Clone)]
enum One {
    Grpc(Channel),
    Rest(Box<Client<HttpConnector, Full<Bytes>>>, String),
}

struct Asking {
    name: &'static str,
    clients: Vec<One>,
    key: String,
    questions: usize,
}

impl Asking {
    async fn new(
        name: &'static str,
        door: Door,
        address: SocketAddr,
        key: &str,
        questions: usize,
    ) -> anyhow::Result<Self> {
        let mut clients = Vec::with_capacity(CLIENTS);
        for _ in 0..CLIENTS {
            clients.push(match door {
                Door::Grpc => {
                    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
                    One::Grpc(endpoint.connect().await?)
                }
                Door::Rest => {
                    let url = format!("http://{address}/v1/tenants/{TENANT}/quota");
                    One::Rest(
                        Box::new(Client::builder(TokioExecutor::new()).build_http()),
                        url,
                    )
                }
            });
        }
        Ok(Self {
            name,
            clients,
            key: key.to_owned(),
            questions,
        })
    }
}

impl One {
    async fn ask(&self, key: &str) -> anyhow::Result<()> {
        match self {
            Self::Grpc(channel) => {
                let mut grpc = tonic::client::Grpc::new(channel.clone());
                grpc.ready().await?;
                let question = v1::GetQuotaRequest {
                    tenant: TENANT.to_owned(),
                    key: String::new(),
                };
                let mut request = tonic::Request::new(question);
                request.metadata_mut().insert("x-api-key", key.parse()?);
                let path = http::uri::PathAndQuery::from_static("/caxton.v1.Limits/GetQuota");
                let codec = tonic_prost::ProstCodec::<v1::GetQuotaRequest, v1::Quota>::default();
                let answer = grpc.unary(request, path, codec).await?;
                ensure!(answer.get_ref().messages.is_some(), "another answer");
            }
            Self::Rest(client, url) => {
                let request = http::Request::get(url).header("x-api-key", key);
                let answer = client.request(request.body(Full::default())?).await?;
                ensure!(answer.status() == 200, "{}", answer.status());
                let body = answer.into_body().collect().await?.to_bytes();
                ensure!(!body.is_empty(), "no answer");
            }
        }
        Ok(())
    }
}

impl Contestant for Asking {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let each = self.questions / self.clients.len();
            let watch = Stopwatch::start();
            let asking = self.clients.iter().cloned().map(|client| {
                let key = self.key.clone();
                tokio::spawn(async move {
                    let mut times = Vec::with_capacity(each);
                    for _ in 0..each {
                        let begun = Instant::now();
                        client.ask(&key).await?;
                        times.push(begun.elapsed());
                    }
                    anyhow::Ok(times)
                })
            });
            let mut times = Vec::with_capacity(self.questions);
            for client in futures::future::join_all(asking).await {
                times.extend(client.context("a client broke")??);
            }
            let mut scores = watch.read().costs(times.len() as u64);
            scores.extend(percentiles(times)?);
            Ok(scores)
        })
    }
}
