//! `caxton serve`: the server in the foreground.

use super::Global;
use super::output::Output;
use crate::config::Sources;
use crate::failure::{Failure, Outcome};
use crate::serve::{Server, stop_signal};
use crate::servers::Note;
use crate::telemetry;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "CAXTON_CONFIG")]
    config: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Listen beyond loopback without TLS: keys and messages cross the network in the clear.
    #[arg(long)]
    insecure: bool,
    /// Speak TLS with a certificate of the data folder's own authority, made on demand.
    #[arg(long)]
    tls_dev: bool,
}

/// The configuration keys that global flags set.
pub fn flags(global: &Global) -> Vec<(&'static str, String, &'static str)> {
    let data = global.data.iter();
    data.map(|dir| {
        (
            "data.dir",
            dir.display().to_string(),
            "--data or CAXTON_DATA",
        )
    })
    .collect()
}

pub fn run(args: ServeArgs, global: &Global, output: &Output) -> Outcome {
    let mut flags = flags(global);
    if let Some(listen) = args.listen {
        flags.push(("server.listen", listen, "--listen"));
    }
    if args.insecure {
        flags.push(("server.insecure", "true".to_owned(), "--insecure"));
    }
    if args.tls_dev {
        flags.push(("tls.dev", "true".to_owned(), "--tls-dev"));
    }
    let (config, _) = Sources::of_process(args.config, flags).resolve()?;
    telemetry::init(&config)
        .map_err(|error| Failure::plain("cannot begin to log").because(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::plain("cannot start threads").because(error.to_string()))?;
    runtime.block_on(async {
        // First, so that a signal that comes while the server starts is not lost.
        let stop = stop_signal()?;
        let server = Server::start(&config).await?;
        let _note = Note::of(&config.data.dir);
        ready(&server, &config.data.dir, output)?;
        server.run(stop).await
    })
}

/// Tells the operator, once, what to know; a program reads one JSON document.
fn ready(server: &Server, dir: &std::path::Path, output: &Output) -> Outcome {
    let data = json!({
        "url": server.url(),
        "processId": std::process::id(),
        "data": dir,
        "newKey": server.new_key(),
        "devCa": server.dev_ca(),
    });
    output.item(&data, server.url(), || {
        let key = server.new_key().map(|key| {
            format!(
                "platform admin key: {key}\n  shown this once, kept in {}\n",
                dir.join("admin.key").display()
            )
        });
        let ca = server.dev_ca().map(|ca| {
            format!(
                "development CA: {}\n  commands on this machine find it by themselves; elsewhere: --ca FILE\n",
                ca.display()
            )
        });
        format!(
            "{}{}caxton {} is ready at {}",
            key.unwrap_or_default(),
            ca.unwrap_or_default(),
            env!("CARGO_PKG_VERSION"),
            server.url()
        )
    })
}
