//! `caxton try`: a server of its own, the shipped agents, a conversation one can see, and a count
//! that outlives the server. Seconds, and neither key, account nor network.
//!
//! It goes through the doors that everybody uses: the agents are deployed and spoken to by the API's
//! client over HTTP, and the server is the one that `caxton serve` runs.

mod cast;
mod embedded;
mod script;
mod show;

use crate::cli::output::Output;
use crate::failure::{Failure, Outcome};
use crate::serve::stop_signal;
use clap::Args;
use embedded::Embedded;
use script::Tour;

#[derive(Debug, Args)]
pub struct TryArgs {
    /// Keep the server running until Ctrl-C, to go on by hand.
    #[arg(long)]
    stay: bool,
}

pub fn run(args: &TryArgs, output: &Output) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::plain("cannot start threads").because(error.to_string()))?;
    runtime.block_on(tour(args, output))
}

async fn tour(args: &TryArgs, output: &Output) -> Outcome {
    let folder = tempfile::Builder::new()
        .prefix("caxton-try-")
        .tempdir()
        .map_err(|error| {
            Failure::plain("cannot make a temporary folder").because(error.to_string())
        })?;
    let show = show::Show::new(output);
    let stop = stop_signal()?;
    let mut tour = Tour::new(folder.path());
    let server = tokio::select! {
        played = tour.play(&show) => played?,
        () = stop => return Err(Failure::plain("interrupted")),
    };
    tour.report(args.stay, &show, output)?;
    if args.stay {
        stay(&server).await?;
    }
    server.stop().await
}

async fn stay(server: &Embedded) -> Outcome {
    // The server may also end by itself, which is a fault.
    tokio::select! {
        () = stop_signal()? => Ok(()),
        () = server.ended() => Err(Failure::plain("the server ended by itself")),
    }
}
