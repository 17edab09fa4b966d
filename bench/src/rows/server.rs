//! The program as its users have it, in a process of its own: what its commands take, what calling an
//! agent from outside takes, what being watched costs, and what ten thousand idle tenants keep in memory.

use crate::Run;
use crate::measure::{CPU_US, Contestant, P50_US, P99_US, Scores, percentiles, race};
use crate::peers::proxies::{self, Server};
use crate::report::{Goal, Report, Row, Side};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const COMMANDS: usize = 40;
const CALLS: usize = 2_000;
const TENANTS: usize = 10_000;
/// Tenants that are made together.
const AT_ONCE: usize = 32;
const KIB: &str = "KiB each";
/// The unit that the system counts resident memory in.
const PAGE_KIB: f64 = 4.0;

type Http = Client<HttpConnector, Full<Bytes>>;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let nowhere = "127.0.0.1:9".parse()?;
    let server = proxies::caxton(&run.scratch.join("server"), nowhere).await?;
    let server = Arc::new(server);
    let http = Client::builder(TokioExecutor::new()).build_http();
    let echo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/echo");
    spawn(&Args::of(
        &server,
        &["agent", "deploy", &echo.display().to_string()],
    ))?;
    commands(run, report, &server).await?;
    calls(run, report, &server, &http).await?;
    tenants(run, report, &server, &http).await
}

/// What a command is begun with.
#[derive(Clone)]
struct Args {
    program: PathBuf,
    args: Vec<String>,
    envs: Vec<(&'static str, String)>,
}

impl Args {
    fn of(server: &Server, args: &[&str]) -> Self {
        Self {
            program: proxies::program(),
            args: args.iter().map(|it| (*it).to_owned()).collect(),
            envs: vec![
                ("CAXTON_SERVER", format!("http://{}", server.address)),
                ("CAXTON_API_KEY", server.key.clone()),
            ],
        }
    }
}

fn spawn(args: &Args) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut command = Command::new(&args.program);
    let output = command
        .args(&args.args)
        .envs(args.envs.iter().cloned())
        .stdin(Stdio::null())
        .output()?;
    let took = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?}: {said}", args.args);
    Ok(took)
}

/// A command, begun and waited for, again and again.
struct Commanding {
    args: Args,
    times: usize,
}

impl Contestant for Commanding {
    fn name(&self) -> String {
        self.args.args.join(" ")
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let times = (0..self.times).map(|_| spawn(&self.args));
            let times = tokio::task::block_in_place(|| times.collect::<anyhow::Result<Vec<_>>>())?;
            percentiles(times)
        })
    }
}

async fn commands(run: &Run, report: &mut Report, server: &Server) -> anyhow::Result<()> {
    let rows: [(&[&str], f64); 3] = [
        (&["--help"], 30_000.0),
        (&["completion", "bash"], 30_000.0),
        (&["agent", "list"], 100_000.0),
    ];
    for (args, goal_us) in rows {
        let mut ours = Commanding {
            args: Args::of(server, args),
            times: run.scaled(COMMANDS).max(3),
        };
        let name = ours.name();
        let all = race(run, &mut [&mut ours]).await?;
        if let [ours] = all.as_slice() {
            report.add(
                Row::new("server", format!("`caxton {name}`"), P50_US)
                    .work("From its begin to its end, by whoever typed it.".to_owned())
                    .ours(Side::of("caxton", ours, P50_US))
                    .goal(Goal::AtMost(goal_us))
                    .beside(Side::of("caxton", ours, P99_US)),
            );
        }
    }
    Ok(())
}

/// The same request, one after the other, on one connection.
struct Calling {
    name: &'static str,
    server: Arc<Server>,
    http: Http,
    path: &'static str,
    body: Option<Value>,
    times: usize,
}

impl Contestant for Calling {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let before = self.server.cpu()?;
            let mut times = Vec::with_capacity(self.times);
            for _ in 0..self.times {
                let begun = Instant::now();
                ask(&self.http, &self.server, self.path, self.body.as_ref()).await?;
                times.push(begun.elapsed());
            }
            let spent = self.server.cpu()?.saturating_sub(before);
            let mut scores = percentiles(times)?;
            let each = spent.as_secs_f64() * 1e6 / self.times as f64;
            scores.insert(CPU_US, each);
            Ok(scores)
        })
    }
}

async fn ask(
    http: &Http,
    server: &Server,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Bytes> {
    let url = format!("http://{}{path}", server.address);
    let request = match body {
        Some(_) => http::Request::post(url).header("content-type", "application/json"),
        None => http::Request::get(url),
    };
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = request.header("x-api-key", &server.key);
    let answer = http.request(request.body(Full::from(body))?).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    let said = String::from_utf8_lossy(&body);
    ensure!(status.is_success(), "{path}: {status}: {said}");
    Ok(body)
}

async fn calls(
    run: &Run,
    report: &mut Report,
    server: &Arc<Server>,
    http: &Http,
) -> anyhow::Result<()> {
    let call = |name, path, body| Calling {
        name,
        server: Arc::clone(server),
        http: http.clone(),
        path,
        body,
        times: run.scaled(CALLS).max(10),
    };
    let question = json!({"content": "hello", "timeout": "5s"});
    let mut invoke = call("invoke", "/v1/agents/echo/invoke", Some(question));
    let mut show = call("show", "/v1/agents/echo", None);
    let mut ready = call("readyz", "/readyz", None);
    let all = race(run, &mut [&mut invoke, &mut show, &mut ready]).await?;
    if let [invoke, show, ready] = all.as_slice() {
        report.add(
            Row::new("server", "invoke: a call from outside and its answer", P50_US)
                .work(
                    "One client, one call after the other, of a sandboxed echo over REST with key and \
                     request log; the whole of it, the client's work and the way there included. Beside \
                     it the same client that only asks for the agent's description."
                        .to_owned(),
                )
                .ours(Side::of("caxton", invoke, P50_US))
                .goal(Goal::AtMost(1_000.0))
                .beside(Side::of("caxton", invoke, P99_US))
                .beside(Side::of("caxton", invoke, CPU_US))
                .beside(Side::of("show", show, P50_US))
                .beside(Side::of("show", show, CPU_US)),
        );
        report.add(
            Row::new("server", "a readiness probe", CPU_US)
                .work(
                    "`/readyz`, asked one after the other: a kubelet asks once in ten seconds."
                        .to_owned(),
                )
                .ours(Side::of("caxton", ready, CPU_US))
                .beside(Side::of("caxton", ready, P50_US)),
        );
    }
    Ok(())
}

/// Tenants that were made and then left alone.
async fn tenants(
    run: &Run,
    report: &mut Report,
    server: &Server,
    http: &Http,
) -> anyhow::Result<()> {
    let count = run.scaled(TENANTS);
    let make = |first: usize, count: usize| async move {
        futures::stream::iter(first..first + count)
            .map(|number| async move {
                let body = json!({"id": format!("idle-{number}")});
                ask(http, server, "/v1/tenants", Some(&body)).await
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await
    };
    // What the first ones cost once is not counted.
    make(0, count / 10).await.context("make a tenant")?;
    let before = server.resident_mib()?;
    make(count / 10, count).await.context("make a tenant")?;
    // Less than a page is not seen.
    let grown_kib = ((server.resident_mib()? - before) * 1024.0).max(PAGE_KIB);
    let grown = grown_kib / count as f64;
    let side = Side::of("caxton", &[Scores::from([(KIB, grown)])], KIB);
    report.add(
        Row::new("server", format!("{count} idle tenants, resident set"), KIB)
            .work(
                "How much the whole server's resident set grew while as many tenants were made over REST: \
                 records at hand are bounded, the rest lies on disk."
                    .to_owned(),
            )
            .ours(side)
            .goal(Goal::AtMost(4.0)),
    );
    Ok(())
}
