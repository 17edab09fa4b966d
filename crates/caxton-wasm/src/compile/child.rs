//! The parent's side: starts the worker, feeds it, waits for as long as it may take, and says which
//! limit it met if it met one.

use super::{ANSWER_CODE, ANSWER_END, ANSWER_REFUSAL, GREETING, Limits, failed};
use caxton_core::error::Error;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

/// Largest machine code taken from a worker. Python's 18 MB become about 60 MB.
const CODE_BYTES_MAX: u64 = 1 << 30;
/// What is kept of a worker's last words.
const LAST_WORDS_BYTES_MAX: u64 = 4096;
/// The kernel's signal for `RLIMIT_CPU`, by which it ends a process that does not listen to it.
const SIGXCPU: i32 = 24;
const SIGKILL: i32 = 9;

/// Compiles in a child. Blocks; the caller has a thread for it.
pub(super) fn compile(
    program: &Path,
    args: &[OsString],
    component: &[u8],
    limits: Limits,
) -> Result<Vec<u8>, Error> {
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("the compile worker did not start: {error}")))?;
    let (answer, late) = converse(&mut child, component, limits);
    if late {
        // It may have ended by itself in between.
        let _ = child.kill();
    }
    let status = child
        .wait()
        .map_err(|error| failed(format!("the compile worker is lost: {error}")))?;
    if late {
        return Err(failed(format!(
            "took longer than compile_time_ms_max ({} ms)",
            limits.time.as_millis()
        )));
    }
    let (output, last_words) = answer;
    understand(output, status, &last_words, limits)
}

/// Feeds and listens at once, so that neither side waits for a full pipe. Gives what the child wrote
/// to both outputs, and whether time ran out first.
fn converse(child: &mut Child, component: &[u8], limits: Limits) -> ((Vec<u8>, String), bool) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    // Compilation uses all cores; a second more, so that the clearer limit on time is met first.
    let cpu_seconds = (limits.time.as_secs() + 1) * cores;
    let header = format!(
        "{GREETING} {} {cpu_seconds} {}\n",
        limits.memory_bytes,
        component.len()
    );
    let deadline = Instant::now() + limits.time;
    thread::scope(|scope| {
        scope.spawn(move || {
            // A child that died no longer reads; its status tells why.
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(header.as_bytes());
                let _ = stdin.write_all(component);
            }
        });
        let (done, heard) = mpsc::channel();
        scope.spawn(move || {
            let mut output = Vec::new();
            let mut last_words = Vec::new();
            if let Some(stdout) = stdout {
                let _ = stdout.take(CODE_BYTES_MAX).read_to_end(&mut output);
            }
            if let Some(stderr) = stderr {
                let _ = stderr
                    .take(LAST_WORDS_BYTES_MAX)
                    .read_to_end(&mut last_words);
            }
            let last_words = String::from_utf8_lossy(&last_words).into_owned();
            let _ = done.send((output, last_words));
        });
        let left = deadline.saturating_duration_since(Instant::now());
        match heard.recv_timeout(left) {
            Ok(answer) => (answer, false),
            Err(_) => {
                // Ends the child's pipes, and so both threads.
                let _ = child.kill();
                ((Vec::new(), String::new()), true)
            }
        }
    })
}

fn understand(
    mut output: Vec<u8>,
    status: ExitStatus,
    last_words: &str,
    limits: Limits,
) -> Result<Vec<u8>, Error> {
    if status.success() && output.last() == Some(&ANSWER_END) {
        output.pop();
        match output.first() {
            Some(&ANSWER_CODE) => {
                output.remove(0);
                return Ok(output);
            }
            Some(&ANSWER_REFUSAL) => {
                let text = output.get(1..).unwrap_or_default();
                return Err(failed(String::from_utf8_lossy(text)));
            }
            _ => {}
        }
    }
    let memory = format!(
        "needed more memory than compile_memory_bytes_max ({} bytes)",
        limits.memory_bytes
    );
    Err(match status.signal() {
        Some(SIGXCPU | SIGKILL) => failed(format!(
            "needed more processor time than compile_time_ms_max ({} ms) allows, or was killed",
            limits.time.as_millis()
        )),
        _ if out_of_memory(last_words) => failed(memory),
        Some(signal) => failed(format!(
            "the compiler was ended by signal {signal}; most often it {memory}"
        )),
        None => failed(format!(
            "the compile worker gave no answer: {status}: {}",
            caxton_core::error::shown(last_words)
        )),
    })
}

/// What Rust's allocator and the system say when address space runs out.
fn out_of_memory(last_words: &str) -> bool {
    [
        "memory allocation of",
        "Cannot allocate memory",
        "out of memory",
        "os error 12",
    ]
    .iter()
    .any(|words| last_words.contains(words))
}
