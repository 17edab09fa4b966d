//! A gateway that listens, the agents behind it, and an HTTP client that shows everything.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use caxton_api::v1::caxton_management_client::CaxtonManagementClient;
use caxton_core::error::{Code, Error};
use caxton_core::tool::ToolId;
use caxton_core::{AgentName, Message, Performative, Timestamp};
use caxton_engine::host::{Host, LogLevel};
use caxton_engine::port::memory::{CommitFault, MemoryDisk, MemoryStore};
use caxton_engine::port::native::{NativeProgram, NativeRuntime, failed};
use caxton_engine::port::store::{BackupInfo, StoreError};
use caxton_engine::port::{Answer, Fault, SystemClock, SystemEntropy};
use caxton_engine::tools::ToolAsk;
use caxton_engine::{App, Options as EngineOptions};
use caxton_gateway::{Backups, Gateway, Keys, Options, Ports, Verified};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::assistant::{Assistants, Parrot};
use crate::hanging::Hanging;

pub const KEY: &str = "cx_adm_1_secret";
/// No answer takes this long: it guards a test against hanging, and measures nothing.
const GUARD: Duration = Duration::from_secs(180);

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Handled = (Host, Result<(), Fault>);

pub struct World {
    pub base: String,
    pub app: App,
    pub store_broken: Arc<AtomicBool>,
    pub store_hangs: Arc<AtomicBool>,
    /// What `stuck` waits for: a permit for each message.
    pub gate: Arc<Semaphore>,
    pub disk: MemoryDisk,
    pub backups: tempfile::TempDir,
    http: Client<HttpConnector, Body>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    /// The answer is this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// The answer is a whole problem document of this code.
    #[track_caller]
    pub fn problem(self, status: u16, code: Code) -> Value {
        let this = self.is(status);
        assert_eq!(this.header("content-type"), "application/problem+json");
        let problem = this.json();
        assert_eq!(problem["code"], code.as_str(), "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["title"], code.title());
        assert_eq!(problem["type"], format!("/docs/errors/{code}"));
        assert_eq!(problem["traceId"].as_str().unwrap().len(), 32, "{problem}");
        assert!(problem["instance"].as_str().unwrap().starts_with('/'));
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{problem}");
        problem
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::with_engine(EngineOptions::default(), change).await
    }

    pub async fn with_engine(engine: EngineOptions, change: impl FnOnce(&mut Options)) -> Self {
        let disk = MemoryDisk::default();
        Self::build(disk, engine, change, |gateway| gateway).await
    }

    /// Another server on the same disk, as after the death of the one before, which the disk refuses
    /// from now on.
    pub async fn again(&self) -> Self {
        self.again_dressed(|gateway| gateway).await
    }

    pub async fn again_dressed(&self, dress: impl FnOnce(Gateway) -> Gateway) -> Self {
        let disk = self.disk.clone();
        Self::build(disk, EngineOptions::default(), |_| {}, dress).await
    }

    /// With a gateway that is given more than its options.
    pub async fn dressed(dress: impl FnOnce(Gateway) -> Gateway) -> Self {
        let disk = MemoryDisk::default();
        Self::build(disk, EngineOptions::default(), |_| {}, dress).await
    }

    async fn build(
        disk: MemoryDisk,
        engine: EngineOptions,
        change: impl FnOnce(&mut Options),
        dress: impl FnOnce(Gateway) -> Gateway,
    ) -> Self {
        let store_broken = Arc::new(AtomicBool::new(false));
        let gate = Arc::new(Semaphore::new(0));
        let store_hangs = Arc::new(AtomicBool::new(false));
        let app = start(&disk, &store_broken, &store_hangs, &gate, engine).await;
        let backups = tempfile::tempdir().unwrap();
        let mut options = Options::new(backups.path().to_owned());
        // Tests fail on purpose, all from one address.
        options.auth_failures_max = u32::MAX;
        change(&mut options);
        let ports = Ports {
            app: app.clone(),
            keys: Keys::new(KEY).unwrap(),
            backups: Arc::new(Shelf),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        let gateway = dress(Gateway::new(options, ports).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(gateway.serve(listener, async {
            let _ = stopped.await;
        }));
        Self {
            base,
            app,
            store_broken,
            store_hangs,
            gate,
            disk,
            backups,
            http: Client::builder(TokioExecutor::new()).build_http(),
            stop: Some(stop),
            served,
        }
    }

    /// A request with the key.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        self.call_with(method, path, body, &[]).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "").await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, &body.to_string()).await
    }

    /// A request with the key and more headers; an empty header takes one away.
    pub async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut all = vec![("authorization", "Bearer cx_adm_1_secret")];
        if !body.is_empty() {
            all.push(("content-type", "application/json"));
        }
        all.retain(|(name, _)| headers.iter().all(|(other, _)| other != name));
        all.extend(headers.iter().filter(|(_, value)| !value.is_empty()));
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let response = self.send(method, path, body.boxed_unsync(), &all).await;
        read(response).await
    }

    /// A request whose body has no announced length.
    pub async fn post_chunked(&self, path: &str, chunks: Vec<Bytes>, media: &str) -> Reply {
        let frames = chunks
            .into_iter()
            .map(|it| Ok::<_, Infallible>(Frame::data(it)));
        let body = StreamBody::new(futures::stream::iter(frames));
        let headers = [("x-api-key", KEY), ("content-type", media)];
        let response = self.send("POST", path, BodyExt::boxed_unsync(body), &headers);
        read(response.await).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Body,
        headers: &[(&str, &str)],
    ) -> http::Response<Incoming> {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = self.http.request(request.body(body).unwrap());
        guard(sent).await.unwrap()
    }

    /// A request with another key than the admin's.
    pub async fn as_key(&self, key: &str, method: &str, path: &str, body: Value) -> Reply {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let headers = [("authorization", ""), ("x-api-key", key)];
        self.call_with(method, path, &body, &headers).await
    }

    /// The status of a stream that is not read, and the code of the problem where there is one.
    pub async fn status_of(&self, key: &str, path: &str) -> (u16, String) {
        let body = Full::default().boxed_unsync();
        let response = self.send("GET", path, body, &[("x-api-key", key)]).await;
        let status = response.status().as_u16();
        if status == 200 {
            return (status, String::new());
        }
        let problem = read(response).await.json();
        (
            status,
            problem["code"].as_str().unwrap_or_default().to_owned(),
        )
    }

    /// Makes a tenant.
    pub async fn tenant(&self, id: &str) {
        let made = self.post("/v1/tenants", serde_json::json!({ "id": id }));
        made.await.is(201);
    }

    /// Makes a key of a tenant and gives its public id and its text.
    pub async fn key(&self, tenant: &str, role: &str, scopes: &[&str]) -> (String, String) {
        let body = serde_json::json!({"name": "test", "role": role, "scopes": scopes});
        let headers = [("caxton-tenant", tenant)];
        let made = self
            .call_with("POST", "/v1/keys", &body.to_string(), &headers)
            .await;
        let made = made.is(201).json();
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        (text(&made["key"]["id"]), text(&made["secret"]))
    }

    /// Opens a stream of events.
    pub async fn events(&self, path: &str, last_event_id: Option<&str>) -> Events {
        self.events_as(KEY, path, last_event_id).await
    }

    /// Opens a stream of events with another key than the admin's.
    pub async fn events_as(&self, key: &str, path: &str, last_event_id: Option<&str>) -> Events {
        let mut headers = vec![("x-api-key", key)];
        headers.extend(last_event_id.map(|id| ("last-event-id", id)));
        let body = Full::default().boxed_unsync();
        let response = self.send("GET", path, body, &headers).await;
        if response.status() != 200 {
            panic!("no stream: {:?}", read(response).await);
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// Opens a stream of events by a POST with the key and more headers; an empty header takes one
    /// away.
    pub async fn stream(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Events {
        let mut all = vec![
            ("authorization", "Bearer cx_adm_1_secret"),
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
        ];
        all.retain(|(name, _)| headers.iter().all(|(other, _)| other != name));
        all.extend(headers.iter().filter(|(_, value)| !value.is_empty()));
        let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
        let response = self.send("POST", path, body, &all).await;
        if response.status() != 200 {
            panic!("no stream: {:?}", read(response).await);
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// The same of a repetition, as soon as the first is not in progress any more.
    pub async fn settled(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Events {
        let text = body.to_string();
        guard(async {
            while self.call_with("POST", path, &text, headers).await.status == 409 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        self.stream(path, body, headers).await
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.base.clone()).unwrap();
        guard(endpoint.connect()).await.unwrap()
    }

    pub async fn grpc(&self) -> CaxtonManagementClient<Channel> {
        CaxtonManagementClient::new(self.channel().await)
    }

    /// Deploys and starts an agent of this component; `more` is added to its manifest.
    pub async fn deploy(&self, name: &str, component: &str, more: &str) -> Value {
        let body = agent(name, component, more);
        self.post("/v1/agents", body).await.is(201).json()
    }

    /// Sends a request and gives its id.
    pub async fn say(&self, to: &str, content: &str) -> String {
        let sent = self.post("/v1/messages", request(to, content)).await;
        sent.is(202).json()["id"].as_str().unwrap().to_owned()
    }

    /// Asks and gives the reply.
    pub async fn ask(&self, to: &str, content: &str) -> Value {
        let asked = self
            .post("/v1/messages?wait=20s", request(to, content))
            .await;
        asked.is(200).json()["reply"].clone()
    }

    /// Twice the same at once, with one `Idempotency-Key`, of something that waits for the gate:
    /// one is told that the other is in progress, which then is answered. Gives that answer.
    pub async fn both(&self, path: &str, body: &Value, key: &str) -> Reply {
        let body = body.to_string();
        let headers = [("idempotency-key", key)];
        let one = Box::pin(self.call_with("POST", path, &body, &headers));
        let other = Box::pin(self.call_with("POST", path, &body, &headers));
        let (busy, first) = futures::future::select(one, other).await.factor_first();
        assert!(busy.text.contains("CX-1031"), "{path}: {busy:?}");
        assert!(!busy.header("retry-after").is_empty(), "{path}");
        busy.is(409);
        self.gate.add_permits(1);
        first.await
    }

    /// Asks until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        guard(async {
            loop {
                let answer = self.get(path).await.json();
                if wanted(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Tells the gateway to stop.
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has.
    pub async fn stopped(self) {
        guard(self.served).await.unwrap().unwrap();
    }
}

pub async fn guard<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, work).await.expect("it hangs")
}

async fn read(response: http::Response<Incoming>) -> Reply {
    let (parts, body) = response.into_parts();
    let bytes = guard(body.collect()).await.unwrap().to_bytes();
    Reply {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.into()).unwrap(),
    }
}

/// A stream of events, read one by one.
pub struct Events {
    body: Incoming,
    text: String,
}

#[derive(Debug, Default, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: Value,
}

impl Events {
    /// The next event; `None` at the end. Comments are passed over.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                if let Some(event) = event {
                    return Some(event);
                }
            }
            let frame = guard(self.body.frame()).await?.unwrap();
            let data = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// All there are to the end.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// The next block as it stands, comments too.
    pub async fn raw(&mut self) -> String {
        let frame = guard(self.body.frame()).await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().into()).unwrap()
    }
}

fn parse(block: &str) -> Option<Event> {
    let mut event = Event::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap();
        let value = value.trim_start();
        match field {
            "event" => event.name = value.to_owned(),
            "id" => event.id = value.to_owned(),
            // `[DONE]` ends a stream of completions, and is no JSON.
            "data" => event.data = serde_json::from_str(value).unwrap_or(Value::from(value)),
            _ => {}
        }
    }
    (event != Event::default()).then_some(event)
}

/// The body that deploys an agent; a native agent's component is the name of its program.
pub fn agent(name: &str, component: &str, more: &str) -> Value {
    use std::fmt::Write;
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut base64 = String::new();
    for chunk in component.as_bytes().chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let digit = alphabet[(bits >> (18 - 6 * at) & 63) as usize] as char;
            write!(base64, "{}", if at <= chunk.len() { digit } else { '=' }).unwrap();
        }
    }
    serde_json::json!({
        "manifest": format!("name = \"{name}\"\nversion = \"1.0.0\"\n{more}"),
        "component": base64,
    })
}

pub fn request(to: &str, content: &str) -> Value {
    serde_json::json!({
        "performative": "request",
        "receiver": [{"name": to}],
        "content": content,
    })
}

async fn start(
    disk: &MemoryDisk,
    broken: &Arc<AtomicBool>,
    hangs: &Arc<AtomicBool>,
    gate: &Arc<Semaphore>,
    options: EngineOptions,
) -> App {
    let for_assistants = Arc::clone(gate);
    let (broken, gate) = (Arc::clone(broken), Arc::clone(gate));
    let store = MemoryStore::open(disk.clone()).with_faults(Box::new(move |_| {
        let refuse = CommitFault::Refuse(StoreError::Full("no space left".to_owned()));
        broken.load(Ordering::SeqCst).then_some(refuse)
    }));
    let named = |name: &str| AgentName::parse(name).unwrap();
    let stuck = move |host: Host, message: Arc<Message>| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            echo(host, message).await
        }
    };
    let runtime = NativeRuntime::default()
        .with(named("echo"), NativeProgram::new(echo))
        .with(named("deaf"), NativeProgram::new(deaf))
        .with(named("broken"), NativeProgram::new(broken_handler))
        .with(named("chatty"), NativeProgram::new(chatty))
        .with(named("relay"), NativeProgram::new(relay))
        .with(named("handy"), NativeProgram::new(handy))
        .with(named("stuck"), NativeProgram::new(stuck));
    let mut ports = caxton_engine::Ports::new(
        Arc::new(Hanging {
            inner: store,
            hangs: Arc::clone(hangs),
        }),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        Arc::new(runtime),
    );
    ports.assistants = Arc::new(Assistants(for_assistants));
    ports.model = Arc::new(Parrot);
    ports.secrets = Arc::new(crate::executor::Plain);
    let executor = Arc::new(crate::executor::Recorder::default());
    ports.tools = caxton_engine::port::tool::Executors {
        builtin: executor.clone(),
        http: executor.clone(),
        mcp: executor.clone(),
        wasm: executor,
    };
    App::start(ports, options).await.unwrap()
}

/// Answers a request with its content.
async fn echo(mut host: Host, message: Arc<Message>) -> Handled {
    host.count("seen", 1);
    if message.acl.performative == Performative::Request {
        let reply = message.acl.reply(Performative::Inform);
        host.send(reply.content(message.acl.content.clone()))
            .unwrap();
    }
    (host, Ok(()))
}

/// Never answers.
async fn deaf(host: Host, _: Arc<Message>) -> Handled {
    (host, Ok(()))
}

/// Never succeeds.
async fn broken_handler(host: Host, _: Arc<Message>) -> Handled {
    (host, Err(failed("it broke")))
}

/// Writes a line of each level, then answers.
async fn chatty(mut host: Host, message: Arc<Message>) -> Handled {
    let said = message.acl.text().unwrap_or_default().to_owned();
    for level in [LogLevel::Debug, LogLevel::Info, LogLevel::Error] {
        host.log(level, &format!("{} {said}", level.as_str()));
    }
    host.gauge("length", said.len() as f64);
    echo(host, message).await
}

/// Calls a tool as it is told, `tool.function {arguments}`, and says what came of it.
async fn handy(mut host: Host, message: Arc<Message>) -> Handled {
    let said = message.acl.text().unwrap_or_default();
    let (id, arguments) = said.split_once(' ').unwrap_or((said, "{}"));
    let ask = ToolAsk {
        id: ToolId::parse(id).unwrap(),
        arguments: serde_json::from_str(arguments).unwrap(),
        timeout: Duration::ZERO,
        cost_micros_max: None,
    };
    let answer = host.tool_call(ask).await;
    let told = match answer {
        Ok(answer) => format!("{:?}", answer.parts),
        Err(error) => error.code.to_string(),
    };
    let reply = message.acl.reply(Performative::Inform);
    host.send(reply.content(told)).unwrap();
    (host, Ok(()))
}

/// Passes a request on to `echo`.
async fn relay(mut host: Host, message: Arc<Message>) -> Handled {
    if message.acl.performative == Performative::Request {
        let mut on = message.acl.clone();
        let to =
            caxton_core::AgentId::new(message.tenant.clone(), AgentName::parse("echo").unwrap());
        on.receivers = vec![to.into()];
        on.reply_to = message.acl.sender.iter().cloned().collect();
        on.sender = None;
        host.send(on).unwrap();
    }
    (host, Ok(()))
}

/// Three backups, of which the middle one is damaged; asked to verify the oldest, it panics.
#[derive(Debug)]
pub struct Shelf;

impl Shelf {
    fn backup(n: i64) -> BackupInfo {
        BackupInfo {
            name: format!("backup-{n}"),
            created: Timestamp::from_us(n * 1_000_000),
            bytes: 10,
            schema_version: 1,
            sha256: caxton_core::Digest([7; 32]),
        }
    }
}

impl Backups for Shelf {
    fn list(&self) -> Answer<'_, Result<Vec<BackupInfo>, Error>> {
        let all = [2, 1, 3].map(Self::backup);
        Box::pin(std::future::ready(Ok(all.into())))
    }

    fn verify(&self, name: String) -> Answer<'_, Result<Verified, Error>> {
        let n: i64 = name.rsplit('-').next().unwrap().parse().unwrap();
        assert_ne!(n, 1, "the oldest backup bites");
        let problems = match n {
            2 => vec!["page 7 is damaged".to_owned()],
            _ => Vec::new(),
        };
        Box::pin(std::future::ready(Ok(Verified {
            backup: Self::backup(n),
            problems,
        })))
    }
}
