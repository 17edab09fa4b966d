//! A provider of models that answers at once, and what stands before it: nothing, nginx as a plain
//! proxy, a bare one of the same libraries as Caxton, the LiteLLM proxy, and Caxton. Each is a process
//! of its own, whose processor time is read from outside.

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use futures::StreamExt as _;
use http::StatusCode;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Chunks of one answer.
pub const CHUNKS: usize = 200;
/// Between two chunks of the slow model, so that many answers are on their way together.
const SLOW: Duration = Duration::from_millis(50);
/// The LiteLLM proxy does not begin without a key, nor with one that looks guessable; this one is good
/// for nothing but a bench on the loopback device.
const LITELLM_KEY: &str = "sk-1f0c2b7e94ad4d5f8a63c1e2907bb8d6a57e4c3f9d210b68e5fa7c8493d1620b";
/// After the first word of the brief model's answer: time for whoever passes it on, with nothing else
/// to do.
const BRIEF: Duration = Duration::from_millis(5);
/// What is asked of Caxton, as its limits call it.
const OPERATION: &str = "openai.v1/CreateChatCompletion";
/// How long a server may take to begin.
const START_MAX: Duration = Duration::from_secs(120);

/// The provider: streams [`CHUNKS`] pieces of an answer as `OpenAI` does, at once or, for the model
/// `slow`, one every 50 ms; for `brief`, one word and soon after it the end. A process of its own, so that it takes no turns with those who ask.
pub async fn provider() -> anyhow::Result<Server> {
    let address = free_port()?;
    let child = Command::new(std::env::current_exe()?)
        .arg(crate::PROVIDER)
        .arg(address.to_string())
        .spawn()
        .context("start the provider")?;
    ready(child, address, String::new(), "mock".to_owned()).await
}

/// What the provider's process does, until it is killed.
pub async fn provide(address: SocketAddr) -> anyhow::Result<()> {
    let app = Router::new()
        .route("/v1/chat/completions", post(answer))
        .route("/tool", get(item));
    let listener = tokio::net::TcpListener::bind(address).await?;
    // Or the system holds small frames back for 40 ms, which would hide what anybody adds.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, app).await?)
}

/// What an endpoint that is a tool answers.
async fn item() -> ([(http::HeaderName, &'static str); 1], &'static str) {
    let json = [(http::header::CONTENT_TYPE, "application/json")];
    (
        json,
        r#"{"sku":"bolt-8","name":"Bolt M8","quantity":40,"note":"a line of words, as long as most answers are"}"#,
    )
}

async fn answer(body: Bytes) -> Response {
    let slow = body.windows(6).any(|it| it == b"\"slow\"");
    let brief = body.windows(7).any(|it| it == b"\"brief\"");
    let words = if brief { 1 } else { CHUNKS };
    let chunk = |delta: &str, end: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1795324162,\"model\":\"mock\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{end}}}]}}\n\n"
        )
    };
    let mut pieces = vec![chunk("{\"role\":\"assistant\",\"content\":\"\"}", "null")];
    // Each another one: LiteLLM takes a hundred alike for a model that is stuck.
    let word = |n: usize| chunk(&format!("{{\"content\":\" word{n}\"}}"), "null");
    pieces.extend((0..words).map(word));
    pieces.push(chunk("{}", "\"stop\""));
    pieces.push(
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1795324162,\"model\":\"mock\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":200,\"total_tokens\":209}}\n\ndata: [DONE]\n\n"
            .to_owned(),
    );
    let pieces = futures::stream::iter(pieces).enumerate();
    let stream = pieces.then(move |(n, piece)| async move {
        if slow {
            tokio::time::sleep(SLOW).await;
        } else if brief && n == 2 {
            tokio::time::sleep(BRIEF).await;
        } else {
            // A frame of its own for each piece, as a model writes them.
            tokio::task::yield_now().await;
        }
        Ok::<_, std::convert::Infallible>(piece)
    });
    let mut response = Response::new(Body::from_stream(stream));
    let name = http::header::CONTENT_TYPE;
    let value = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(name, value);
    response
}

/// A server that was started, and ends with this.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// What its clients show it.
    pub key: String,
    /// The model's name there.
    pub model: String,
}

impl Server {
    /// What another model of the provider is called there.
    pub fn model_named(&self, name: &str) -> String {
        let prefix = self.model.strip_suffix("mock").unwrap_or_default();
        format!("{prefix}{name}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Processor time of all its threads so far, those that ended included.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let pid = libc::pid_t::try_from(self.child.id())?;
        let (mut clock, mut time) = (
            0,
            libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
        );
        // SAFETY: both calls only write into what they are given.
        #[allow(unsafe_code)]
        let read = unsafe {
            libc::clock_getcpuclockid(pid, &raw mut clock) == 0
                && libc::clock_gettime(clock, &raw mut time) == 0
        };
        ensure!(read, "the processor time of process {pid} cannot be read");
        Ok(Duration::new(
            u64::try_from(time.tv_sec)?,
            u32::try_from(time.tv_nsec)?,
        ))
    }

    /// Its resident set, in MiB.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|it| it.starts_with("VmRSS:"));
        let kib = line.and_then(|it| it.split_whitespace().nth(1));
        Ok(kib.context("VmRSS")?.parse::<f64>()? / 1024.0)
    }
}

/// nginx as a plain proxy: one worker, no buffering, connections to the provider kept.
pub async fn nginx(folder: &Path, provider: SocketAddr) -> anyhow::Result<Server> {
    std::fs::create_dir_all(folder)?;
    let address = free_port()?;
    let conf = folder.join("nginx.conf");
    let text = format!(
        "daemon off;\nmaster_process off;\npid {0}/nginx.pid;\nerror_log {0}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n access_log off;\n client_body_temp_path {0}/body;\n proxy_temp_path {0}/proxy;\n fastcgi_temp_path {0}/f;\n uwsgi_temp_path {0}/u;\n scgi_temp_path {0}/s;\n\
         upstream provider {{ server {provider}; keepalive 64; }}\n\
         server {{ listen {address};\n location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}\n",
        folder.display()
    );
    std::fs::write(&conf, text)?;
    let program = std::env::var_os("CAXTON_TEST_NGINX").unwrap_or_else(|| "nginx".into());
    let child = Command::new(program)
        .arg("-c")
        .arg(std::fs::canonicalize(&conf)?)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("nginx is missing (Debian's nginx-light)")?;
    ready(child, address, String::new(), "mock".to_owned()).await
}

/// A proxy of nothing but axum and hyper's client, which Caxton's doors and providers are made of: it
/// reads no body, knows nobody and writes nothing down.
pub async fn bare(provider: SocketAddr) -> anyhow::Result<Server> {
    let address = free_port()?;
    let child = Command::new(std::env::current_exe()?)
        .arg(crate::PROXY)
        .args([address.to_string(), provider.to_string()])
        .spawn()
        .context("start the bare proxy")?;
    ready(child, address, String::new(), "mock".to_owned()).await
}

/// What the bare proxy's process does, until it is killed.
pub async fn pass_on(address: SocketAddr, provider: SocketAddr) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, Body>(connector);
    let app = Router::new().fallback(async move |mut request: Request| {
        let path = request.uri().path();
        let there = format!("http://{provider}{path}").parse();
        *request.uri_mut() = there.map_err(|_| StatusCode::BAD_REQUEST)?;
        let answer = client.request(request).await;
        answer.map_err(|_| StatusCode::BAD_GATEWAY)
    });
    let listener = tokio::net::TcpListener::bind(address).await?;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, app).await?)
}

/// The LiteLLM proxy, from a Python that has it (`CAXTON_TEST_LITELLM`, the path of `litellm`).
pub async fn litellm(folder: &Path, provider: SocketAddr) -> anyhow::Result<Server> {
    let program = std::env::var_os("CAXTON_TEST_LITELLM")
        .context("CAXTON_TEST_LITELLM does not name a `litellm` (PyPI: litellm[proxy])")?;
    std::fs::create_dir_all(folder)?;
    let address = free_port()?;
    let conf = folder.join("litellm.yaml");
    let model = |name: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params:\n      model: openai/{name}\n      api_base: http://{provider}/v1\n      api_key: none\n"
        )
    };
    let text = format!(
        "model_list:\n{}{}general_settings:\n  master_key: {LITELLM_KEY}\n",
        model("mock"),
        model("brief"),
    );
    std::fs::write(&conf, text)?;
    let child = Command::new(program)
        .arg("--config")
        .arg(&conf)
        .args([
            "--host",
            "127.0.0.1",
            "--num_workers",
            "1",
            "--telemetry",
            "False",
        ])
        .args(["--port", &address.port().to_string()])
        .env("LITELLM_LOG", "ERROR")
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start litellm")?;
    ready(child, address, LITELLM_KEY.to_owned(), "mock".to_owned()).await
}

/// Caxton's own binary, beside this one, with the provider configured by its operator: key, permission,
/// rates, quota, ledger and request log as they always are.
pub async fn caxton(folder: &Path, provider: SocketAddr) -> anyhow::Result<Server> {
    let program = program();
    ensure!(program.exists(), "{} is not built", program.display());
    std::fs::create_dir_all(folder)?;
    let conf = folder.join("caxton.toml");
    let text =
        format!("[providers.mock]\nkind = \"openai-chat\"\nbase_url = \"http://{provider}/v1\"\n");
    std::fs::write(&conf, text)?;
    let address = free_port()?;
    let data = folder.join("data");
    let child = Command::new(program)
        .arg("serve")
        .arg("--config")
        .arg(&conf)
        .arg("--data")
        .arg(&data)
        .args(["--listen", &address.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start caxton")?;
    let mut server = ready(child, address, String::new(), "mock/mock".to_owned()).await?;
    server.key = tenants_key(&data)?;
    Ok(server)
}

/// The key of a tenant that has rates and quotas, as a customer has; they are wide enough for what is
/// measured.
fn tenants_key(data: &Path) -> anyhow::Result<String> {
    let wide = "100000/s";
    let run = |args: &[&str]| -> anyhow::Result<String> {
        let ran = Command::new(program())
            .arg("--data")
            .arg(data)
            .args(args)
            .output()?;
        let told = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "caxton {args:?}: {told}");
        Ok(String::from_utf8(ran.stdout)?.trim().to_owned())
    };
    run(&["tenant", "create", "customer"])?;
    for scope in ["tenant", "key", OPERATION] {
        run(&["limit", "set", scope, wide, "customer"])?;
    }
    let many = "1000000000/month";
    run(&[
        "quota",
        "set",
        "customer",
        "--messages",
        many,
        "--tokens",
        many,
        "--cost-micros",
        many,
    ])?;
    run(&[
        "key",
        "create",
        "bench",
        "--tenant",
        "customer",
        "--role",
        "developer",
    ])
}

/// Caxton's own binary, beside this one.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name("caxton")
}

fn free_port() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?)
}

async fn ready(
    child: Child,
    address: SocketAddr,
    key: String,
    model: String,
) -> anyhow::Result<Server> {
    let mut server = Server {
        child,
        address,
        key,
        model,
    };
    let begun = Instant::now();
    while !is_ready(address).await {
        if let Some(status) = server.child.try_wait()? {
            bail!("the server ended: {status}");
        }
        ensure!(begun.elapsed() < START_MAX, "the server did not begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(server)
}

/// Whether it answers, and with anything but 503: a server that still begins says so.
async fn is_ready(address: SocketAddr) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
        return false;
    };
    let asked = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut head = [0; 12];
    stream.write_all(asked.as_bytes()).await.is_ok()
        && stream.read_exact(&mut head).await.is_ok()
        && !head.ends_with(b"503")
}
