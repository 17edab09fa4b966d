//! `caxton message`: send, show, list, watch, trace.

mod content;
pub mod send;
mod trace;

pub use content::content;

use super::output::{Column, Output, clock, coded, fields, printable, short};
use super::{Global, page_size, target};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{
    AgentId, Delivery, GetMessageRequest, ListMessagesRequest, ListMessagesResponse, Message,
    WatchMessagesRequest,
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Send a message; prints its id, or with --wait the reply's content.
    Send(Box<send::SendArgs>),
    /// Show one message and what became of it.
    Show(Named),
    /// List messages, the newest first, or a conversation's in order.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// See messages as they pass, until Ctrl-C.
    Watch(WatchArgs),
    /// Show everything a message caused, and what caused it, as a tree.
    Trace(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The message's id.
    id: String,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only messages of this conversation.
    #[arg(long, default_value = "")]
    conversation: String,
    /// Only messages this agent sent or received.
    #[arg(long, default_value = "")]
    agent: String,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Only messages of this conversation.
    #[arg(long, default_value = "")]
    conversation: String,
    /// Only messages this agent sends or receives.
    #[arg(long, default_value = "")]
    agent: String,
}

pub async fn run(command: MessageCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        MessageCommand::Send(args) => send::run(*args, &client, output).await,
        MessageCommand::Show(Named { id }) => {
            let request = GetMessageRequest { message: id };
            let message = client.get_message(&request).await?;
            output.answer(&message, &message.id, || describe(&message))
        }
        MessageCommand::List(args) => list(args, &client, output).await,
        MessageCommand::Watch(args) => watch(args, &client, output).await,
        MessageCommand::Trace(Named { id }) => trace::run(id, &client, output).await,
    }
}

/// Messages of a filter, page by page, `limit` at most; and the token of what follows.
pub async fn gather(
    client: &Client,
    conversation: &str,
    agent: &str,
    limit: usize,
) -> Outcome<ListMessagesResponse> {
    let mut request = ListMessagesRequest {
        conversation_id: conversation.to_owned(),
        agent: agent.to_owned(),
        ..ListMessagesRequest::default()
    };
    let mut gathered = ListMessagesResponse::default();
    while gathered.messages.len() < limit {
        request.page_size = page_size(limit, gathered.messages.len());
        let page = client.list_messages(&request).await?;
        gathered.messages.extend(page.messages);
        gathered.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(gathered)
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let data = gather(client, &args.conversation, &args.agent, args.limit).await?;
    let columns = [
        Column::Text("ID"),
        Column::Text("TIME"),
        Column::Text("FROM"),
        Column::Text("TO"),
        Column::Text("PERFORMATIVE"),
        Column::Text("STATE"),
        Column::Text("CONTENT"),
    ];
    let rows = data.messages.iter().map(|message| {
        vec![
            message.id.clone(),
            clock(message.create_time.as_ref()),
            addresses(message.sender.as_slice()),
            addresses(&message.receiver),
            message.performative.clone(),
            state(&message.deliveries),
            short(&content(message), 40),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = data
        .messages
        .iter()
        .map(|message| message.id.clone())
        .collect();
    if names.is_empty() && output.is_table() {
        output.note("no messages; `caxton message send --to AGENT TEXT` sends one");
        return Ok(());
    }
    output.list(&data, &columns, rows, &names)
}

async fn watch(args: WatchArgs, client: &Client, output: &Output) -> Outcome {
    let request = WatchMessagesRequest {
        agent: args.agent,
        conversation_id: args.conversation,
    };
    let mut stream = client.watch_messages(&request).await?;
    output.note("watching; Ctrl-C ends");
    while let Some(message) = stream.next().await {
        let message = message?;
        output.item(&message, &message.id, || {
            format!(
                "{}  {}",
                clock(message.create_time.as_ref()),
                line(&message)
            )
        })?;
    }
    Ok(())
}

/// `buyer → seller-a  cfp  10 widgets`.
pub fn line(message: &Message) -> String {
    format!(
        "{} → {}  {}  {}",
        addresses(message.sender.as_slice()),
        addresses(&message.receiver),
        message.performative,
        short(&content(message), 60)
    )
}

/// Names of agents, without a tenant that goes without saying.
pub fn addresses(agents: &[AgentId]) -> String {
    let names: Vec<&str> = agents.iter().map(|agent| local(&agent.name)).collect();
    printable(&names.join(", "))
}

/// The name without its tenant, where that is the default one.
pub fn local(name: &str) -> &str {
    name.strip_suffix("@default").unwrap_or(name)
}

/// One word for what became of it: all receivers' states where they differ.
fn state(deliveries: &[Delivery]) -> String {
    let mut states: Vec<&str> = deliveries
        .iter()
        .map(|delivery| delivery.state.as_str())
        .collect();
    states.dedup();
    states.join(", ")
}

/// A message with all its parameters, then its content.
pub fn describe(message: &Message) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let time = |time: Option<caxton_api::wkt::Timestamp>| {
        time.map(|time| time.to_string()).unwrap_or_default()
    };
    let mut rows = vec![
        ("id", message.id.clone()),
        ("performative", message.performative.clone()),
        ("sender", addresses(message.sender.as_slice())),
        ("receiver", addresses(&message.receiver)),
        ("reply-to", addresses(&message.reply_to)),
        ("conversation", text(&message.conversation_id)),
        ("protocol", text(&message.protocol)),
        ("reply-with", text(&message.reply_with)),
        ("in-reply-to", text(&message.in_reply_to)),
        ("reply-by", time(message.reply_by)),
        ("language", text(&message.language)),
        ("encoding", text(&message.encoding)),
        ("ontology", text(&message.ontology)),
    ];
    for (name, value) in &message.user_parameters {
        rows.push((name.as_str(), value.clone()));
    }
    rows.extend([
        ("caused by", text(&message.parent_id)),
        ("trace", message.trace_id.clone()),
        ("accepted", time(message.create_time)),
    ]);
    let deliveries: Vec<String> = message.deliveries.iter().map(delivery).collect();
    rows.extend(
        deliveries
            .into_iter()
            .map(|delivery| ("delivery", delivery)),
    );
    let body = match &message.body {
        None => String::new(),
        Some(_) => {
            let text = content(message);
            let lines: Vec<String> = text.lines().map(printable).collect();
            format!("\n{}\n", lines.join("\n"))
        }
    };
    format!("{}{body}", fields(&rows))
}

fn delivery(delivery: &Delivery) -> String {
    let attempts = match delivery.attempts {
        0 | 1 => String::new(),
        attempts => format!(", {attempts} attempts"),
    };
    let error = match &delivery.error {
        None => String::new(),
        Some(error) => {
            let code = delivery.error_code.as_deref().unwrap_or_default();
            format!(", {}", coded(code, error))
        }
    };
    format!(
        "{} at {}{attempts}{error}",
        delivery.state,
        local(&delivery.agent)
    )
}
