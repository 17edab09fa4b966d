//! What a browser is told and says, over two pipes that nobody else has (`--remote-debugging-pipe`):
//! messages of the DevTools protocol, each ended by a zero byte. There is no port that another program
//! on this machine could attach to.

use super::proxy::Credential;
use caxton_engine::port::tool::{ToolFault, ToolFaultKind};
use caxton_engine::task::Tasks;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{Notify, oneshot};

/// Largest message of a browser, in bytes: a picture of a page, mostly.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;

type Waiting = HashMap<u64, oneshot::Sender<Value>>;

/// Our side of the pipes.
#[derive(Debug)]
pub struct Pipe {
    shared: Arc<Shared>,
    tasks: Tasks,
}

#[derive(Debug)]
struct Shared {
    input: tokio::sync::Mutex<Sender>,
    next: AtomicU64,
    /// None when the browser has ended.
    waiting: Mutex<Option<Waiting>>,
    loaded: Notify,
    /// What it is told when its proxy asks who it is.
    credential: Credential,
    /// A dialog of the page's waits for somebody, in this session.
    dialog: Mutex<Option<Value>>,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.tasks.begin_stop();
    }
}

impl Pipe {
    pub fn new(input: OwnedFd, output: OwnedFd, credential: Credential) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            input: tokio::sync::Mutex::new(Sender::from_owned_fd(input)?),
            next: AtomicU64::new(1),
            waiting: Mutex::new(Some(HashMap::new())),
            loaded: Notify::new(),
            credential,
            dialog: Mutex::default(),
        });
        let output = Receiver::from_owned_fd(output)?;
        let tasks = Tasks::new();
        let listening = listen(output, Arc::clone(&shared), tasks.clone());
        tasks.spawn_until_stop("browser pipe", listening);
        Ok(Self { shared, tasks })
    }

    pub fn is_open(&self) -> bool {
        self.shared.waiting.lock().is_some()
    }

    /// Completes at the next page that has loaded; to be made before it is asked for.
    pub fn loaded(&self) -> tokio::sync::futures::Notified<'_> {
        self.shared.loaded.notified()
    }

    /// Asks, and waits for the result.
    pub async fn ask(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, ToolFault> {
        let dialog = self.shared.dialog.lock().take();
        if let Some(session) = dialog {
            let params = json!({"accept": false});
            let method = "Page.handleJavaScriptDialog";
            self.shared.send(session.as_str(), method, params).await?;
        }
        let answer = self.shared.send(session, method, params).await?;
        let mut said = answer.await.map_err(|_| gone())?;
        if let Some(message) = said.pointer("/error/message").and_then(Value::as_str) {
            let text = format!("the browser says: {message}");
            return Err(ToolFault::new(ToolFaultKind::Failed, text));
        }
        Ok(said.get_mut("result").map(Value::take).unwrap_or_default())
    }
}

impl Shared {
    async fn send(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<oneshot::Receiver<Value>, ToolFault> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({"id": id, "method": method, "params": params});
        if let (Some(session), Some(fields)) = (session, message.as_object_mut()) {
            fields.insert("sessionId".to_owned(), session.into());
        }
        let (tell, answer) = oneshot::channel();
        match &mut *self.waiting.lock() {
            Some(waiting) => {
                waiting.retain(|_, it| !it.is_closed());
                waiting.insert(id, tell);
            }
            None => return Err(gone()),
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let mut input = self.input.lock().await;
        input.write_all(&bytes).await.map_err(|_| gone())?;
        Ok(answer)
    }

    /// Answers what was held up for us: who asks to be let through is told how, where it is our proxy
    /// that wants to know; a site is told nothing, and a request that only passes by goes on.
    async fn answer_held(&self, said: &Value) {
        let session = said.get("sessionId").and_then(Value::as_str);
        let id = said.pointer("/params/requestId").cloned();
        let source = said.pointer("/params/authChallenge/source");
        let (method, params) = match source.and_then(Value::as_str) {
            None => ("Fetch.continueRequest", json!({"requestId": id})),
            Some("Proxy") => {
                let (user, password) = (self.credential.user, &self.credential.password);
                let how = json!({"response": "ProvideCredentials", "username": user,
                                 "password": password});
                let params = json!({"requestId": id, "authChallengeResponse": how});
                ("Fetch.continueWithAuth", params)
            }
            Some(_) => {
                let how = json!({"response": "CancelAuth"});
                let params = json!({"requestId": id, "authChallengeResponse": how});
                ("Fetch.continueWithAuth", params)
            }
        };
        let _ = self.send(session, method, params).await;
    }
}

fn gone() -> ToolFault {
    let text = "the browser has ended, or its page broke: what was open in it is lost";
    ToolFault::new(ToolFaultKind::Unavailable, text)
}

async fn listen(output: Receiver, shared: Arc<Shared>, tasks: Tasks) {
    let mut output = BufReader::new(output);
    let mut message = Vec::new();
    loop {
        message.clear();
        let mut bounded = (&mut output).take(MESSAGE_BYTES_MAX);
        match bounded.read_until(0, &mut message).await {
            Ok(count) if count > 0 && message.pop() == Some(0) => {}
            _ => break,
        }
        let Ok(said) = serde_json::from_slice::<Value>(&message) else {
            break;
        };
        let told = said.get("id").and_then(Value::as_u64);
        let told = told.and_then(|id| shared.waiting.lock().as_mut()?.remove(&id));
        if let Some(told) = told {
            let _ = told.send(said);
            continue;
        }
        match said.get("method").and_then(Value::as_str) {
            Some("Page.loadEventFired") => shared.loaded.notify_waiters(),
            Some("Page.javascriptDialogOpening") => {
                *shared.dialog.lock() = said.get("sessionId").cloned();
                // Whoever waits for the page waits no longer.
                shared.loaded.notify_waiters();
            }
            // Nothing would answer any more: the next call begins another browser.
            Some("Inspector.targetCrashed") => break,
            // Not here: a browser that does not read would not be read from.
            Some("Fetch.authRequired" | "Fetch.requestPaused") => {
                let shared = Arc::clone(&shared);
                let answering = async move { shared.answer_held(&said).await };
                tasks.spawn_until_stop("browser credential", answering);
            }
            _ => {}
        }
    }
    shared.waiting.lock().take();
    shared.loaded.notify_waiters();
}
