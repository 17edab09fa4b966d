//! The operator's wish to stop: SIGTERM or SIGINT. The second one means it. And, where there are TLS
//! files, the wish to read them again: SIGHUP.

use crate::failure::{Failure, Outcome};
use caxton_gateway::Tls;
use std::convert::Infallible;
use std::future::Future;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a process that a second signal ended, as shells count it: 128 and SIGINT.
const INTERRUPTED: i32 = 130;

/// Listens from now on; the answer completes at the first signal. After that another one ends the
/// process at once, which durable messages survive.
pub fn stop_signal() -> Outcome<impl Future<Output = ()> + Send + 'static> {
    let failed = |error: std::io::Error| {
        Failure::plain("cannot listen for signals").because(error.to_string())
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // The task module belongs to the engine that is about to stop; this outlives it.
        std::thread::spawn(move || end_at_once(terminate, interrupt));
    })
}

/// Reads the TLS files again at every SIGHUP. Without TLS the signal keeps its usual meaning: the
/// terminal is gone, and so is a server in its foreground.
pub fn reload_on_hangup(tls: Option<Tls>) -> Outcome<impl Future<Output = Infallible> + Send> {
    let hangup = match tls {
        None => None,
        Some(tls) => {
            let listening = signal(SignalKind::hangup()).map_err(|error| {
                Failure::plain("cannot listen for signals").because(error.to_string())
            })?;
            Some((tls, listening))
        }
    };
    Ok(async move {
        if let Some((tls, mut hangup)) = hangup {
            while hangup.recv().await.is_some() {
                tls.reload_and_tell();
            }
        }
        std::future::pending().await
    })
}

fn end_at_once(
    mut terminate: tokio::signal::unix::Signal,
    mut interrupt: tokio::signal::unix::Signal,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return;
    };
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    eprintln!("caxton: ended without draining");
    std::process::exit(INTERRUPTED);
}
