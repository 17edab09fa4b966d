//! MCP servers that are programs of the operator's: messages as lines over their standard input and
//! output. They run with what the configuration gives them and nothing of this server's own.

use super::greeting::{discovers, understood};
use super::handler::Health;
use crate::process::{self, Limits, Running, Start};
use caxton_engine::port::tool::{ANSWER_BYTES_MAX, ToolFault, ToolFaultKind};
use caxton_engine::task::Tasks;
use rmcp::RoleClient;
use rmcp::model::RequestId;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::Mutex;

/// Lines of a program's standard output that are no messages and are overlooked.
const NOISE_LINES_MAX: usize = 1_000;
/// Bytes of its standard error that are written to the log, for each program that runs.
const STDERR_BYTES_MAX: u64 = 256 << 10;

/// A program that may be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// A path, or a name that is looked for in this server's `PATH`.
    pub command: String,
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// `/` where there is none.
    pub working_dir: Option<PathBuf>,
    pub memory_bytes_max: Option<u64>,
    pub cpu_seconds_max: Option<u64>,
    pub files_max: Option<u64>,
}

impl Program {
    /// With limits that a server of documents, say, stays well below.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            working_dir: None,
            memory_bytes_max: Some(1 << 30),
            cpu_seconds_max: Some(3_600),
            files_max: Some(1_024),
        }
    }

    /// Begins it.
    pub fn run(&self, name: &str, health: &Arc<Health>) -> Result<Lines, ToolFault> {
        let unavailable = |text: String| ToolFault::new(ToolFaultKind::Unavailable, text);
        let path = std::env::var_os("PATH");
        let program = process::find(&self.command, path.as_deref()).ok_or_else(|| {
            unavailable(format!("the program of `{name}` is not on this machine"))
        })?;
        let mut running = process::start(Start {
            program: &program,
            args: self.args.clone(),
            env: &self.env,
            working_dir: self.working_dir.as_deref().unwrap_or(Path::new("/")),
            limits: Limits {
                memory_bytes_max: self.memory_bytes_max,
                cpu_seconds_max: self.cpu_seconds_max,
                files_max: self.files_max,
            },
            files: Vec::new(),
            piped: true,
        })
        .map_err(|error| unavailable(format!("the program of `{name}` does not begin: {error}")))?;
        let child = &mut running.child;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ToolFault::new(ToolFaultKind::Internal, "no pipes"));
        };
        let tasks = Tasks::new();
        if let Some(errors) = child.stderr.take() {
            let name = name.to_owned();
            tasks.spawn_until_stop("mcp stderr", log(name, errors));
        }
        Ok(Lines {
            output: BufReader::new(output),
            line: Vec::new(),
            noise: 0,
            discovers: None,
            input: Arc::new(Mutex::new(Some(input))),
            health: Arc::clone(health),
            running,
            tasks,
        })
    }
}

/// Writes what a program says on its standard error, up to a bound; what comes after is read and
/// dropped, so that the program does not wait.
async fn log(name: String, errors: impl AsyncRead + Unpin) {
    let mut errors = BufReader::new(errors);
    let mut lines = (&mut errors).take(STDERR_BYTES_MAX);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                tracing::info!(program = name, "{}", text.trim_end());
            }
        }
    }
    let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
}

/// Messages as lines. Dropped, the program and all that it began are killed.
#[derive(Debug)]
pub struct Lines {
    output: BufReader<ChildStdout>,
    /// What has come of a line: kept here, since reading may be given up and begun again.
    line: Vec<u8>,
    noise: usize,
    /// The question which revisions it speaks.
    discovers: Option<RequestId>,
    input: Arc<Mutex<Option<ChildStdin>>>,
    health: Arc<Health>,
    running: Running,
    tasks: Tasks,
}

impl Lines {
    /// The next line; none at the end, or where one is too long.
    async fn next(&mut self) -> Option<()> {
        loop {
            let come = self
                .output
                .fill_buf()
                .await
                .ok()
                .filter(|it| !it.is_empty())?;
            let end = come.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(come.len(), |at| at + 1);
            if self.line.len() + count > ANSWER_BYTES_MAX {
                let text =
                    format!("the MCP server sent a message of more than {ANSWER_BYTES_MAX} bytes");
                self.health
                    .fail(ToolFault::new(ToolFaultKind::TooLarge, text));
                return None;
            }
            self.line.extend(come.iter().take(count));
            self.output.consume(count);
            if end.is_some() {
                return Some(());
            }
        }
    }

    /// What a line says: a message, or noise that is overlooked. An end where it is a broken message.
    fn read(&mut self) -> Option<Option<RxJsonRpcMessage<RoleClient>>> {
        let line = self.line.trim_ascii();
        let failed = match serde_json::from_slice(line) {
            Ok(message) => return Some(Some(message)),
            Err(_) if line.is_empty() => return Some(None),
            Err(error) => error,
        };
        // Some programs greet on their standard output.
        self.noise += 1;
        if line.first() != Some(&b'{') && self.noise <= NOISE_LINES_MAX {
            return Some(None);
        }
        let text = format!("what the MCP server sent is no message: {failed}");
        self.health
            .fail(ToolFault::new(ToolFaultKind::Malformed, text));
        None
    }
}

impl Transport<RoleClient> for Lines {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let input = Arc::clone(&self.input);
        if let Some(id) = discovers(&item) {
            self.discovers = Some(id.clone());
        }
        async move {
            let mut line = serde_json::to_vec(&item)?;
            line.push(b'\n');
            let mut input = input.lock().await;
            let pipe = input.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            pipe.write_all(&line).await?;
            pipe.flush().await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            self.next().await?;
            let read = self.read();
            self.line.clear();
            if let Some(message) = read? {
                return Some(understood(self.discovers.as_ref(), message));
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        // First: at the end of its input it might end by itself, and what it began would be nobody's.
        self.running.kill();
        *self.input.lock().await = None;
        self.tasks.begin_stop();
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Before its input is dropped, for the same reason.
        self.running.kill();
        self.tasks.begin_stop();
    }
}
