//! Compilation, off the request path and out of the process. Compiling is where foreign bytes meet
//! the most code: a few hundred kilobytes can ask a compiler for seconds and gigabytes, and a defect
//! of the compiler would be the server's. So a child of the same binary does it, under limits it sets
//! itself before it reads a byte, and this process loads only what came out.

mod child;
mod worker;

pub use worker::worker_main;

use crate::options::{Compiler, Options};
use caxton_core::error::{Code, Error};
use std::time::Duration;
use tokio::sync::Semaphore;
use wasmtime::Engine;

/// Bounds of one compilation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    pub(crate) memory_bytes: u64,
}

/// Compiles components, a few at a time.
#[derive(Debug)]
pub(crate) struct Compilations {
    compiler: Compiler,
    limits: Limits,
    at_once: Semaphore,
}

impl Compilations {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            compiler: options.compiler.clone(),
            limits: Limits {
                time: Duration::from_millis(options.compile_time_ms_max),
                memory_bytes: options.compile_memory_bytes_max,
            },
            at_once: Semaphore::new(options.compilations_max.max(1)),
        }
    }

    /// Machine code for `engine`, in wasmtime's own format.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        component: bytes::Bytes,
    ) -> Result<Vec<u8>, Error> {
        let _permit = self.at_once.acquire().await;
        let (compiler, limits, engine) = (self.compiler.clone(), self.limits, engine.clone());
        let compile = move || match &compiler {
            Compiler::InProcess => engine
                .precompile_component(&component)
                .map_err(|error| failed(format!("{error:#}"))),
            Compiler::Child { program, args } => child::compile(program, args, &component, limits),
        };
        let compiled = tokio::task::spawn_blocking(compile).await;
        compiled.map_err(|error| failed(format!("the compiler panicked: {error}")))?
    }
}

fn failed(detail: impl Into<String>) -> Error {
    let detail: String = detail.into();
    Error::new(
        Code::CompileFailed,
        detail.chars().take(500).collect::<String>(),
    )
}

/// What goes into a worker: a line `caxton-compile 1 MEMORY_BYTES CPU_SECONDS BYTES`, the component.
const GREETING: &str = "caxton-compile 1";
/// Longest first line.
const HEADER_BYTES_MAX: usize = 256;
/// First byte of what comes out: machine code follows, or a text that says why not.
const ANSWER_CODE: u8 = b'C';
const ANSWER_REFUSAL: u8 = b'R';
/// Last byte of what comes out: all of it is there.
const ANSWER_END: u8 = b'.';
