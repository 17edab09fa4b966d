//! The `caxton` binary: server, command line and tour in one file.
//!
//! This file only decides which of the lives to begin. It must stay thin: every command pays for
//! what happens here.

mod cli;
mod config;
mod contexts;
mod failure;
mod folder;
mod serve;
mod servers;
mod telemetry;
mod tour;

use std::process::ExitCode;

/// Mailboxes allocate and free on every thread; mimalloc keeps that off a common lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The hidden command that makes this process a compiler of components; see `serve::build_runtime`.
pub const COMPILE_WORKER: &str = "compile-worker";

fn main() -> ExitCode {
    // Before anything else: the worker must not carry what a command line or a server needs.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|arg| arg == COMPILE_WORKER)
    {
        return caxton_wasm::compile::worker_main();
    }
    cli::run()
}
