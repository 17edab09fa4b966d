//! `caxton session`: conversations with assistants.

use super::chat::Thinking;
use super::output::{Column, Output, ago, clock, fields, lines, short, size};
use super::{Global, page_size, target};
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    CreateSessionRequest, DeleteSessionRequest, GetSessionFileRequest, GetSessionRequest,
    GetTurnRequest, ListSessionFilesRequest, ListSessionFilesResponse, ListSessionMessagesRequest,
    ListSessionMessagesResponse, ListSessionsRequest, ListSessionsResponse, ResetSessionRequest,
    Session, SessionMessage, ToolRules, Turn, UpdateSessionRequest,
};
use clap::{Args, Subcommand};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

/// Sessions that are looked at for the newest.
const SESSIONS_READ_MAX: usize = 10_000;

#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Begin one; talking with an id that is not there begins one as well.
    Create(CreateArgs),
    /// List them, the newest first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one.
    Show(Named),
    /// Show what was said in one, the oldest first.
    Messages(MessagesArgs),
    /// Change how much the model thinks in one, or what it says of tools.
    Update(UpdateArgs),
    /// Show a turn: whether it runs, and since when.
    Turn(TurnArgs),
    /// List the files of a session's workspace.
    Files(FilesArgs),
    /// Read a file of a session's workspace.
    File(FileArgs),
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
pub struct UpdateArgs {
    /// The session's id.
    id: String,
    /// How much the model thinks; left out, and without any of the others, as the assistant says.
    #[arg(long, value_enum)]
    thinking: Option<Thinking>,
    /// Only these tools, such as files or files.write; repeatable.
    #[arg(long, value_name = "TOOL")]
    allow: Vec<String>,
    /// Ask a person before these; repeatable.
    #[arg(long, value_name = "TOOL")]
    ask: Vec<String>,
    /// None of these; repeatable.
    #[arg(long, value_name = "TOOL")]
    deny: Vec<String>,
    /// Show calls that act, and make none.
    #[arg(long)]
    sandbox: bool,
    /// Say nothing of tools any more.
    #[arg(long, conflicts_with_all = ["allow", "ask", "deny", "sandbox"])]
    tools_as_assistant: bool,
}

#[derive(Debug, Args)]
pub struct TurnArgs {
    /// The turn's id, as the answer's first event tells it.
    turn: String,
}

#[derive(Debug, Args)]
pub struct FilesArgs {
    /// The session's id.
    id: String,
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct FileArgs {
    /// The session's id.
    id: String,
    /// The file's path in the workspace.
    path: String,
    /// Write it here; otherwise it is printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
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
        SessionCommand::Update(args) => update(args, &client, output).await,
        SessionCommand::Turn(TurnArgs { turn }) => {
            let turn = client.get_turn(&GetTurnRequest { turn }).await?;
            output.answer(&turn, &turn.id, || turn_text(&turn))
        }
        SessionCommand::Files(args) => files(args, &client, output).await,
        SessionCommand::File(args) => file(args, &client, output).await,
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
                output.gone(&request.session, "removed")?;
            }
            Ok(())
        }
    }
}

async fn update(args: UpdateArgs, client: &Client, output: &Output) -> Outcome {
    let rules = ToolRules {
        allow: args.allow,
        ask: args.ask,
        deny: args.deny,
        sandbox: args.sandbox,
    };
    let says = args.tools_as_assistant || rules != ToolRules::default();
    let request = UpdateSessionRequest {
        session: args.id,
        thinking: args.thinking.map(Thinking::text),
        tools: says.then_some(rules),
    };
    let session = client.update_session(&request).await?;
    output.answer(&session, &session.id, || text(&session))
}

async fn files(args: FilesArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListSessionFilesRequest {
        session: args.id,
        ..ListSessionFilesRequest::default()
    };
    let mut data = ListSessionFilesResponse::default();
    while data.files.len() < args.limit {
        request.page_size = page_size(args.limit, data.files.len());
        let page = client.list_session_files(&request).await?;
        data.files.extend(page.files);
        data.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if data.files.is_empty() && output.is_table() {
        output.note("no files; the tools `files` and `canvas` write them");
        return Ok(());
    }
    let columns = [
        Column::Text("PATH"),
        Column::Text("TYPE"),
        Column::Number("SIZE"),
        Column::Text("WRITTEN"),
        Column::Text("TITLE"),
    ];
    let rows = data.files.iter().map(|file| {
        vec![
            file.path.clone(),
            file.media_type.clone(),
            size(file.size_bytes),
            ago(file.update_time.as_ref()),
            short(&file.title, 40),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = data.files.iter().map(|it| it.path.clone()).collect();
    output.list(&data, &columns, rows, &names)
}

async fn file(args: FileArgs, client: &Client, output: &Output) -> Outcome {
    let request = GetSessionFileRequest {
        session: args.id,
        path: args.path,
    };
    let file = client.get_session_file(&request).await?;
    let Some(out) = args.out else {
        // As it is where it goes on to a program, and without what would steer a terminal where not.
        if std::io::stdout().is_terminal() {
            let text = String::from_utf8_lossy(&file.content);
            return output.answer(&file, &request.path, || lines(&text));
        }
        return match std::io::stdout().write_all(&file.content) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::plain("cannot write the file out").because(error.to_string()))
            }
            _ => Ok(()),
        };
    };
    std::fs::write(&out, &file.content).map_err(|error| {
        let what = format!("cannot write {}", out.display());
        Failure::plain(what).because(error.to_string())
    })?;
    let bytes = file.content.len() as u64;
    output.note(&format!("{} written, {}", out.display(), size(bytes)));
    Ok(())
}

fn turn_text(turn: &Turn) -> String {
    let time =
        |at: &Option<caxton_api::wkt::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    fields(&[
        ("turn", turn.id.clone()),
        ("session", turn.session_id.clone()),
        ("agent", turn.agent.clone()),
        ("state", turn.state.clone()),
        ("begun", time(&turn.create_time)),
        ("ended", time(&turn.end_time)),
    ])
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListSessionsRequest {
        agent: args.agent,
        ..ListSessionsRequest::default()
    };
    let mut data = ListSessionsResponse::default();
    // The server has them by id: all are looked at to find the newest.
    while data.sessions.len() < SESSIONS_READ_MAX {
        request.page_size = page_size(SESSIONS_READ_MAX, data.sessions.len());
        let page = client.list_sessions(&request).await?;
        data.sessions.extend(page.sessions);
        data.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let time = |it: &Session| it.update_time.map_or(0, |at| at.unix_ms());
    data.sessions.sort_by_key(|it| std::cmp::Reverse(time(it)));
    let left = data.sessions.len().saturating_sub(args.limit);
    data.sessions.truncate(args.limit);
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
            ago(session.update_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names = data.sessions.iter().map(|it| it.id.clone());
    let names: Vec<String> = names.collect();
    output.list(&data, &columns, rows, &names)?;
    if output.is_table() && !data.next_page_token.is_empty() {
        output.note(&format!(
            "only the first {SESSIONS_READ_MAX} by id were looked at"
        ));
    } else if output.is_table() && left > 0 {
        output.note(&format!("{left} older ones; --limit shows more"));
    }
    Ok(())
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
            short(&told(message), 100),
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

/// A message's text; where it has none, what else it is made of.
fn told(message: &SessionMessage) -> String {
    if !message.content.is_empty() {
        return message.content.clone();
    }
    let parts = message.parts.iter().map(|part| {
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        match part.r#type.as_str() {
            "tool_call" => format!("[calls {} {}]", of(&part.name), of(&part.arguments)),
            "tool_result" => {
                let texts = part.content.iter().map(|it| of(&it.text));
                let texts = texts.collect::<Vec<_>>().join(" ");
                let how = match part.is_error {
                    Some(true) => "error",
                    _ => "result",
                };
                format!("[{how}: {texts}]")
            }
            other => format!("[{other}]"),
        }
    });
    parts.collect::<Vec<_>>().join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_api::v1::MessagePart;

    #[test]
    fn what_tools_are_asked_and_answer_is_seen() {
        let part = |kind: &str| MessagePart {
            r#type: kind.to_owned(),
            ..MessagePart::default()
        };
        let message = |parts| SessionMessage {
            parts,
            ..SessionMessage::default()
        };
        let call = message(vec![MessagePart {
            name: Some("fetch".to_owned()),
            arguments: Some("{\"url\":1}".to_owned()),
            ..part("tool_call")
        }]);
        assert_eq!(told(&call), "[calls fetch {\"url\":1}]");
        let answered = |is_error| {
            let text = MessagePart {
                text: Some("not there".to_owned()),
                ..part("text")
            };
            message(vec![MessagePart {
                content: vec![text],
                is_error: Some(is_error),
                ..part("tool_result")
            }])
        };
        assert_eq!(told(&answered(false)), "[result: not there]");
        assert_eq!(told(&answered(true)), "[error: not there]");
        assert_eq!(told(&message(vec![part("image")])), "[image]");
    }
}
