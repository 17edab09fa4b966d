//! A model's streamed answer through Caxton, against nginx as a plain proxy and the LiteLLM proxy before
//! the same provider: processor time of the server alone, time to the first word, memory of a thousand
//! answers on their way.

use crate::Run;
use crate::measure::{CPU_US, Contestant, P50_US, P99_US, Scores, percentiles, race};
use crate::peers::proxies::{self, CHUNKS, Server};
use crate::report::{Goal, Report, Row, Side};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers of one round, and of one of LiteLLM's, which takes a hundred times as long.
const ANSWERS: usize = 1_000;
const ANSWERS_LITELLM: usize = 40;
/// Clients that ask at the same time.
const CLIENTS: usize = 8;
/// Answers on their way together when memory is looked at.
const TOGETHER: usize = 1_000;
const MIB: &str = "MiB";

type Http = Client<HttpConnector, Full<Bytes>>;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let bare = proxies::provider().await?;
    let provider = bare.address;
    let folder = run.scratch.join("gateway");
    let ours = proxies::caxton(&folder.join("caxton"), provider).await?;
    memory(run, &ours, report).await?;
    let nginx = proxies::nginx(&folder.join("nginx"), provider).await?;
    let answers = run.scaled(ANSWERS).max(CLIENTS);
    let mut ours = Asking::new("caxton", ours, answers);
    let mut nginx = Asking::new("nginx", nginx, answers);
    let hyper = proxies::bare(provider).await?;
    let mut hyper = Asking::new("bare axum and hyper", hyper, answers);
    let mut bare = Asking::new("the provider itself", bare, answers);
    let all = race(run, &mut [&mut ours, &mut nginx, &mut hyper, &mut bare]).await?;
    if let [ours, nginx, hyper, bare] = all.as_slice() {
        let work = format!(
            "{CLIENTS} clients ask /v1/chat/completions for streamed answers of {CHUNKS} pieces, each in a \
             frame of its own, one after the other. Caxton's own binary with a tenant's key, permission, rates, quotas, \
             ledger on SQLite and request log; nginx with one process, unbuffered."
        );
        report.add(
            Row::new("gateway", "a streamed answer", CPU_US)
                .work(work)
                .ours(Side::of("caxton", ours, CPU_US))
                .peer(Side::of("nginx", nginx, CPU_US))
                .goal(Goal::RatioAtMost(3.0))
                .beside(Side::of("bare axum and hyper", hyper, CPU_US)),
        );
        let added = |scores: &[Scores]| -> Vec<Scores> {
            let direct = median_of(bare, P50_US);
            let less = |it: &Scores| it.get(P50_US).map(|us| (us - direct).max(0.1));
            let rows = scores.iter().filter_map(less);
            rows.map(|us| Scores::from([(P50_US, us)])).collect()
        };
        report.add(
            Row::new("gateway", "time that is added to the first word", P50_US)
                .work(
                    "One client, one answer after the other, of a word and, 5 ms later, its end, so that \
                     nobody has anything else to do; the provider's own time is taken off."
                        .to_owned(),
                )
                .ours(Side::of("caxton", &added(ours), P50_US))
                .peer(Side::of("nginx", &added(nginx), P50_US))
                .goal(Goal::RatioAtMost(2.0))
                .beside(Side::of("bare axum and hyper", &added(hyper), P50_US))
                .beside(Side::of("the provider itself", bare, P50_US)),
        );
    }
    let python = proxies::litellm(&folder.join("litellm"), provider).await?;
    let few = run.scaled(ANSWERS_LITELLM).max(CLIENTS);
    let mut python = Asking::new("litellm", python, few);
    let all = race(run, &mut [&mut ours, &mut python]).await?;
    if let [ours, python] = all.as_slice() {
        report.add(
            Row::new("gateway", "the same against the LiteLLM proxy", CPU_US)
                .work("As above; LiteLLM with one worker and no database.".to_owned())
                .ours(Side::of("caxton", ours, CPU_US))
                .peer(Side::of("litellm", python, CPU_US))
                .goal(Goal::RatioAtMost(0.01)),
        );
    }
    Ok(())
}

fn median_of(scores: &[Scores], unit: &str) -> f64 {
    let values: Vec<f64> = scores
        .iter()
        .filter_map(|it| it.get(unit).copied())
        .collect();
    crate::measure::median(&values)
}

/// What a thousand answers on their way hold.
async fn memory(run: &Run, server: &Server, report: &mut Report) -> anyhow::Result<()> {
    let together = run.scaled(TOGETHER);
    let http = client();
    let model = server.model_named("slow");
    let asked = (0..together).map(|_| ask(&http, server, &model, CHUNKS));
    let asked = futures::future::join_all(asked);
    let most = async {
        let mut most: f64 = 0.0;
        // While they are on their way: they take 200 times 50 ms.
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            most = most.max(server.resident_mib().unwrap_or(0.0));
        }
        most
    };
    let (answers, most) = tokio::join!(asked, most);
    for answer in answers {
        answer?;
    }
    let side = Side::of("caxton", &[Scores::from([(MIB, most)])], MIB);
    report.add(
        Row::new("gateway", "1,000 streams together, resident set", MIB)
            .work(format!(
                "{together} streamed answers of {CHUNKS} pieces, one every 50 ms; the highest resident set of \
                 the whole server while they are on their way."
            ))
            .ours(side)
            .goal(Goal::AtMost(200.0)),
    );
    Ok(())
}

fn client() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Asks once and reads the answer to its end; gives the time to its first word.
async fn ask(
    http: &Http,
    server: &Server,
    model: &str,
    expected: usize,
) -> anyhow::Result<Duration> {
    let body = json!({
        "model": model,
        "stream": true,
        "messages": [{"role": "user", "content": "Write two hundred words."}],
    });
    let request = http::Request::post(format!("http://{}/v1/chat/completions", server.address))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", server.key))
        .body(Full::new(Bytes::from(body.to_string())))?;
    let begun = Instant::now();
    let answer = http.request(request).await?;
    let status = answer.status();
    let (mut body, mut first, mut text) = (answer.into_body(), None, Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.context("the answer broke off")?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        text.extend_from_slice(data);
        if first.is_none() && words(&text) > 0 {
            first = Some(begun.elapsed());
        }
    }
    let came = words(&text);
    ensure!(
        status.is_success(),
        "{status}: {}",
        String::from_utf8_lossy(&text)
    );
    ensure!(came == expected, "{came} of {expected} words came");
    first.context("no word came")
}

fn words(text: &[u8]) -> usize {
    text.windows(5).filter(|it| it == b" word").count()
}

/// Clients of one server.
struct Asking {
    name: &'static str,
    server: Arc<Server>,
    answers: usize,
    http: Http,
}

impl Asking {
    fn new(name: &'static str, server: Server, answers: usize) -> Self {
        Self {
            name,
            server: Arc::new(server),
            answers,
            http: client(),
        }
    }
}

impl Contestant for Asking {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let before = self.server.cpu()?;
            let each = self.answers / CLIENTS;
            let clients = (0..CLIENTS).map(|_| {
                let (http, server) = (self.http.clone(), Arc::clone(&self.server));
                tokio::spawn(async move {
                    for _ in 0..each {
                        ask(&http, &server, &server.model, CHUNKS).await?;
                    }
                    Ok::<_, anyhow::Error>(())
                })
            });
            for client in clients.collect::<Vec<_>>() {
                client.await??;
            }
            let spent = self.server.cpu()?.saturating_sub(before);
            let mut firsts = Vec::new();
            let brief = self.server.model_named("brief");
            for _ in 0..each.min(100) {
                firsts.push(ask(&self.http, &self.server, &brief, 1).await?);
            }
            let mut scores = percentiles(firsts)?;
            scores.remove(P99_US);
            let answers = (each * CLIENTS) as f64;
            scores.insert(CPU_US, spent.as_secs_f64() * 1e6 / answers);
            Ok(scores)
        })
    }
}
