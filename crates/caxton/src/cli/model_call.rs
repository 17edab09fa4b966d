//! `caxton model-call`: the ledger of what models were asked, and what it took.

use super::output::{Column, Output, ago, short};
use super::{Global, target};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{ListModelCallsRequest, ListModelCallsResponse, ModelCall};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ModelCallCommand {
    /// List model calls, the newest first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only of this turn.
    #[arg(long, value_name = "ID", default_value = "")]
    turn: String,
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

pub async fn run(command: ModelCallCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        ModelCallCommand::List(args) => list(args, &client, output).await,
    }
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListModelCallsRequest {
        turn: args.turn,
        ..ListModelCallsRequest::default()
    };
    let mut found: Vec<ModelCall> = Vec::new();
    while found.len() < args.limit {
        request.page_size = super::page_size(args.limit, found.len());
        let page = client.list_model_calls(&request).await?;
        found.extend(page.model_calls);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if found.is_empty() && output.is_table() {
        output.note("no model was asked; `caxton chat` asks one");
        return Ok(());
    }
    let columns = [
        Column::Text("TIME"),
        Column::Text("AGENT"),
        Column::Text("MODEL"),
        Column::Text("OUTCOME"),
        Column::Number("IN"),
        Column::Number("OUT"),
        Column::Number("COST"),
        Column::Number("MS"),
        Column::Text("ID"),
    ];
    let rows = found.iter().map(|it| {
        let usage = it.usage.unwrap_or_default();
        let about = if usage.estimated { "~" } else { "" };
        vec![
            ago(it.time.as_ref()),
            it.agent.clone(),
            short(&it.model, 32),
            it.outcome.clone(),
            format!("{about}{}", usage.input_tokens),
            format!("{about}{}", usage.output_tokens),
            it.cost_micros.to_string(),
            it.duration_ms.to_string(),
            it.id.clone(),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = found.iter().map(|it| it.id.clone()).collect();
    let data = ListModelCallsResponse {
        model_calls: found,
        next_page_token: request.page_token,
    };
    output.list(&data, &columns, rows, &names)
}
