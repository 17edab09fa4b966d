//! `caxton server status`: what the server is and how it is.

use super::output::{Output, fields, size};
use super::{Global, target};
use crate::failure::Outcome;
use caxton_api::v1::{GetServerStatusRequest, ServerStatus};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Show the server's version, state and counts.
    Status,
}

pub async fn run(command: ServerCommand, global: &Global, output: &Output) -> Outcome {
    let ServerCommand::Status = command;
    let client = target::client(global)?;
    let status = client.get_server_status(&GetServerStatusRequest {}).await?;
    output.answer(&status, client.server(), || text(&status, client.server()))
}

fn text(status: &ServerStatus, server: &str) -> String {
    let store = status.store.clone().unwrap_or_default();
    fields(&[
        ("server", server.to_owned()),
        ("version", status.version.clone()),
        ("state", status.state.clone()),
        ("reason", status.reason.clone().unwrap_or_default()),
        ("process", status.process_id.to_string()),
        (
            "since",
            status
                .start_time
                .map(|time| time.to_string())
                .unwrap_or_default(),
        ),
        (
            "agents",
            format!("{}, {} running", status.agents, status.agents_running),
        ),
        ("sandboxes", format!("{} live", status.instances)),
        (
            "messages",
            format!(
                "{} accepted, {} handled, {} waiting",
                status.messages_accepted, status.messages_handled, status.mailbox_messages
            ),
        ),
        ("dead letters", status.dead_letters.to_string()),
        (
            "store",
            format!(
                "{}, {}, schema {}",
                store.state,
                size(store.size_bytes),
                store.schema_version
            ),
        ),
        ("", store.reason.unwrap_or_default()),
    ])
}
