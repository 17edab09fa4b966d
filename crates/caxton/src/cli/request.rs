//! `caxton request`: what was asked of the doors.

use super::output::{Column, Output, ago, short};
use super::{Global, target};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{ListRequestsRequest, ListRequestsResponse, RequestEntry};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum RequestCommand {
    /// List requests, the newest first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only this request id (`x-request-id`).
    #[arg(long, default_value = "")]
    id: String,
    /// Only of this trace.
    #[arg(long, value_name = "ID", default_value = "")]
    trace: String,
    /// Only of this actor, such as `key:ID`.
    #[arg(long, default_value = "")]
    actor: String,
    /// Only operations whose names end so, such as `SendMessage`.
    #[arg(long, default_value = "")]
    operation: String,
    /// Only this status, or, from 1 to 5, this hundred of them.
    #[arg(long, default_value_t = 0)]
    status: u32,
    /// Only from this time on (RFC 3339).
    #[arg(long, default_value = "")]
    from: String,
    /// Only before this time (RFC 3339).
    #[arg(long, default_value = "")]
    until: String,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub async fn run(command: RequestCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        RequestCommand::List(args) => list(args, &client, output).await,
    }
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListRequestsRequest {
        id: args.id,
        trace_id: args.trace,
        actor: args.actor,
        operation: args.operation,
        status: args.status,
        from: args.from,
        until: args.until,
        ..ListRequestsRequest::default()
    };
    let mut found: Vec<RequestEntry> = Vec::new();
    while found.len() < args.limit {
        request.page_size = super::page_size(args.limit, found.len());
        let page = client.list_requests(&request).await?;
        found.extend(page.requests);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if found.is_empty() && output.is_table() {
        output.note("no requests; the newest second is not there yet");
        return Ok(());
    }
    let columns = [
        Column::Text("TIME"),
        Column::Text("WHO"),
        Column::Text("OPERATION"),
        Column::Number("STATUS"),
        Column::Number("MS"),
        Column::Text("PATH"),
        Column::Text("ID"),
    ];
    let rows = found.iter().map(|it| {
        let operation = it.operation.rsplit('/').next().unwrap_or_default();
        vec![
            ago(it.time.as_ref()),
            short(&it.actor, 32),
            operation.to_owned(),
            it.status.to_string(),
            format!("{}.{:03}", it.duration_us / 1000, it.duration_us % 1000),
            short(&it.path, 40),
            it.id.clone(),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = found.iter().map(|it| it.id.clone()).collect();
    let data = ListRequestsResponse {
        requests: found,
        next_page_token: request.page_token,
    };
    output.list(&data, &columns, rows, &names)
}
