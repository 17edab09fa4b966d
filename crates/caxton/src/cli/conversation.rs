//! `caxton conversation`: who said what to whom.

use super::message::{gather, local};
use super::output::{Column, Output, ago, fields, short};
use super::sequence::{Style, draw};
use super::{Global, page_size, target};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{
    Conversation, GetConversationRequest, ListConversationsRequest, ListConversationsResponse,
};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub enum ConversationCommand {
    /// List conversations, the one with the newest message first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show a conversation as a sequence of messages.
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only conversations this agent takes part in.
    #[arg(long, default_value = "")]
    agent: String,
    /// Only conversations in this state: active, completed, failed or cancelled.
    #[arg(long, default_value = "")]
    state: String,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The conversation's id.
    id: String,
    /// At most so many messages.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

pub async fn run(command: ConversationCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        ConversationCommand::List(args) => list(args, &client, output).await,
        ConversationCommand::Show(args) => show(args, &client, output).await,
    }
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListConversationsRequest {
        agent: args.agent,
        state: args.state,
        ..ListConversationsRequest::default()
    };
    let mut data = ListConversationsResponse::default();
    while data.conversations.len() < args.limit {
        request.page_size = page_size(args.limit, data.conversations.len());
        let page = client.list_conversations(&request).await?;
        data.conversations.extend(page.conversations);
        data.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let columns = [
        Column::Text("ID"),
        Column::Text("PROTOCOL"),
        Column::Text("STATE"),
        Column::Number("MESSAGES"),
        Column::Text("PARTICIPANTS"),
        Column::Text("LAST"),
    ];
    let rows = data.conversations.iter().map(|conversation| {
        vec![
            conversation.id.clone(),
            conversation
                .protocol
                .clone()
                .unwrap_or_else(|| "-".to_owned()),
            conversation.state.clone(),
            conversation.messages_total.to_string(),
            short(&participants(conversation), 48),
            ago(conversation.update_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = data
        .conversations
        .iter()
        .map(|one| one.id.clone())
        .collect();
    if names.is_empty() && output.is_table() {
        output.note(
            "no conversations; a message with --conversation ID, a chat or agents that negotiate begin one, \
             and `caxton message list` shows every message",
        );
        return Ok(());
    }
    output.list(&data, &columns, rows, &names)
}

async fn show(args: ShowArgs, client: &Client, output: &Output) -> Outcome {
    let request = GetConversationRequest {
        conversation: args.id,
    };
    let conversation = client.get_conversation(&request).await?;
    let said = gather(client, &conversation.id, "", args.limit).await?;
    let data = json!({
        "conversation": conversation,
        "messages": said.messages,
        "nextPageToken": said.next_page_token,
    });
    output.answer(&data, &conversation.id, || {
        let head = fields(&[
            ("conversation", conversation.id.clone()),
            (
                "protocol",
                conversation.protocol.clone().unwrap_or_default(),
            ),
            ("state", conversation.state.clone()),
            ("participants", participants(&conversation)),
        ]);
        let style = Style {
            color: output.colors_stdout(),
            me: ("", ""),
            indent: "",
        };
        format!("{head}\n{}", draw(&said.messages, style))
    })
}

fn participants(conversation: &Conversation) -> String {
    let names: Vec<&str> = conversation
        .participants
        .iter()
        .map(|name| local(name))
        .collect();
    names.join(", ")
}
