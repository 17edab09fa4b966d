//! `caxton session`: conversations with assistants.

use super::chat::Thinking;
use super::output::{Column, Output, age, clock, fields, printable, short};
use super::{Global, page_size, target};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{
    CreateSessionRequest, DeleteSessionRequest, GetSessionRequest, ListSessionMessagesRequest,
    ListSessionMessagesResponse, ListSessionsRequest, ListSessionsResponse, ResetSessionRequest,
    Session, ToolRules,
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Begin one; talking with an id that is not there begins one as well.
    Create(CreateArgs),
    /// List them.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one.
    Show(Named),
    /// Show what was said in one, the oldest first.
    Messages(MessagesArgs),
    /// Begin one anew: what was said is kept, and the model sees it no more.
    Reset(ResetArgs),
    /// Remove them, with all that was said in them.
    #[command(visible_alias = "rm")]
    Remove(Several),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The session's id.
    id: String,
}

#[derive(Debug, Args)]
pub struct Several {
    /// The sessions' ids.
    #[arg(required = true)]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The assistant.
    agent: String,
    /// Its id; without it, the server chooses.
    #[arg(long, default_value = "")]
    id: String,
    /// How much the model thinks.
    #[arg(long, value_enum)]
    thinking: Option<Thinking>,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only with this assistant.
    #[arg(long, default_value = "")]
    agent: String,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct MessagesArgs {
    /// The session's id.
    id: String,
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct ResetArgs {
    /// The session's id.
    id: String,
    /// Keep a summary in the model's sight.
    #[arg(long)]
    summarize: bool,
}

pub async fn run(command: SessionCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        SessionCommand::Create(args) => {
            let request = CreateSessionRequest {
                agent: args.agent,
                id: args.id,
                thinking: args.thinking.map(Thinking::text).unwrap_or_default(),
                tools: None,
            };
            let session = client.create_session(&request).await?;
            output.answer(&session, &session.id, || format!("{}\n", session.id))
        }
        SessionCommand::List(args) => list(args, &client, output).await,
        SessionCommand::Show(Named { id }) => {
            let request = GetSessionRequest { session: id };
            let session = client.get_session(&request).await?;
            output.answer(&session, &session.id, || text(&session))
        }
        SessionCommand::Messages(args) => messages(args, &client, output).await,
        SessionCommand::Reset(ResetArgs { id, summarize }) => {
            let session = id;
            let request = ResetSessionRequest { session, summarize };
            let session = client.reset_session(&request).await?;
            output.answer(&session, &session.id, || text(&session))
        }
        SessionCommand::Remove(Several { ids }) => {
            for session in ids {
                let request = DeleteSessionRequest { session };
                client.delete_session(&request).await?;
                output.note(&format!("{} removed", printable(&request.session)));
            }
            Ok(())
        }
    }
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListSessionsRequest {
        agent: args.agent,
        ..ListSessionsRequest::default()
    };
    let mut data = ListSessionsResponse::default();
    while data.sessions.len() < args.limit {
        request.page_size = page_size(args.limit, data.sessions.len());
        let page = client.list_sessions(&request).await?;
        data.sessions.extend(page.sessions);
        data.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if data.sessions.is_empty() && output.is_table() {
        output.note("no sessions; `caxton chat AGENT TEXT` begins one");
        return Ok(());
    }
    let columns = [
        Column::Text("ID"),
        Column::Text("AGENT"),
        Column::Text("TITLE"),
        Column::Number("TURNS"),
        Column::Text("LAST"),
    ];
    let rows = data.sessions.iter().map(|session| {
        vec![
            session.id.clone(),
            session.answering_agent.clone(),
            short(&session.title, 40),
            session.turns.to_string(),
            age(session.update_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names = data.sessions.iter().map(|it| it.id.clone());
    let names: Vec<String> = names.collect();
    output.list(&data, &columns, rows, &names)
}

async fn messages(args: MessagesArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListSessionMessagesRequest {
        session: args.id,
        ..ListSessionMessagesRequest::default()
    };
    let mut data = ListSessionMessagesResponse::default();
    while data.messages.len() < args.limit {
        request.page_size = page_size(args.limit, data.messages.len());
        let page = client.list_session_messages(&request).await?;
        data.messages.extend(page.messages);
        data.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if data.messages.is_empty() && output.is_table() {
        output.note("nothing was said yet");
        return Ok(());
    }
    let columns = [
        Column::Number("N"),
        Column::Text("TIME"),
        Column::Text("WHO"),
        Column::Text("SAID"),
    ];
    let rows = data.messages.iter().map(|message| {
        let who = match message.agent.as_str() {
            "" => message.role.clone(),
            agent => agent.to_owned(),
        };
        vec![
            message.index.to_string(),
            clock(message.create_time.as_ref()),
            who,
            short(&message.content, 100),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = data
        .messages
        .iter()
        .map(|it| it.index.to_string())
        .collect();
    output.list(&data, &columns, rows, &names)
}

fn text(session: &Session) -> String {
    let time =
        |at: &Option<caxton_api::wkt::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let usage = session.usage.unwrap_or_default();
    fields(&[
        ("id", session.id.clone()),
        ("agent", session.agent.clone()),
        ("answers", session.answering_agent.clone()),
        ("user", session.user.clone()),
        ("title", session.title.clone()),
        ("thinking", session.thinking.clone()),
        ("begun", time(&session.create_time)),
        ("last", time(&session.update_time)),
        ("turns", session.turns.to_string()),
        ("messages", session.messages.to_string()),
        ("seen from", session.seen_from.to_string()),
        ("summary", session.summary.clone()),
        ("tools", tools(session.tools.as_ref())),
        (
            "tokens",
            format!("{} in, {} out", usage.input_tokens, usage.output_tokens),
        ),
    ])
}

/// What a session says of tools, in a line.
fn tools(rules: Option<&ToolRules>) -> String {
    let Some(rules) = rules else {
        return String::new();
    };
    let lists = [
        ("only", &rules.allow),
        ("ask", &rules.ask),
        ("not", &rules.deny),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let mut said: Vec<String> = lists
        .map(|(word, list)| format!("{word} {}", list.join(", ")))
        .collect();
    if rules.sandbox {
        said.push("shown, not made".to_owned());
    }
    said.join("; ")
}
