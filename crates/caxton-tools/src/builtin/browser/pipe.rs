//! What a browser is told and says, over two pipes that nobody else has (`--remote-debugging-pipe`):
//! messages of the DevTools protocol, each ended by a zero byte. There is no port that another program
//! on this machine could attach to.

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
    input: tokio::sync::Mutex<Sender>,
    shared: Arc<Shared>,
    next: AtomicU64,
    tasks: Tasks,
}

#[derive(Debug, Default)]
struct Shared {
    /// None when the browser has ended.
    waiting: Mutex<Option<Waiting>>,
    loaded: Notify,
    /// A dialog of the page's waits for somebody, in this session.
    dialog: Mutex<Option<Value>>,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.tasks.begin_stop();
    }
}

impl Pipe {
    pub fn new(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Some(HashMap::new())),
            ..Shared::default()
        });
        let output = Receiver::from_owned_fd(output)?;
        let tasks = Tasks::new();
        tasks.spawn_until_stop("browser pipe", listen(output, Arc::clone(&shared)));
        Ok(Self {
            input: tokio::sync::Mutex::new(Sender::from_owned_fd(input)?),
            shared,
            next: AtomicU64::new(1),
            tasks,
        })
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
            self.send(session.as_str(), method, params).await?;
        }
        let answer = self.send(session, method, params).await?;
        let mut said = answer.await.map_err(|_| gone())?;
        if let Some(message) = said.pointer("/error/message").and_then(Value::as_str) {
            let text = format!("the browser says: {message}");
            return Err(ToolFault::new(ToolFaultKind::Failed, text));
        }
        Ok(said.get_mut("result").map(Value::take).unwrap_or_default())
    }

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
        match &mut *self.shared.waiting.lock() {
            Some(waiting) => waiting.retain(|_, it| !it.is_closed()),
            None => return Err(gone()),
        }
        if let Some(waiting) = &mut *self.shared.waiting.lock() {
            waiting.insert(id, tell);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let mut input = self.input.lock().await;
        input.write_all(&bytes).await.map_err(|_| gone())?;
        Ok(answer)
    }
}

fn gone() -> ToolFault {
    ToolFault::new(ToolFaultKind::Unavailable, "the browser has ended")
}

async fn listen(output: Receiver, shared: Arc<Shared>) {
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
            _ => {}
        }
    }
    shared.waiting.lock().take();
    shared.loaded.notify_waiters();
}
