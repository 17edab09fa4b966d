//! `caxton approval`: tool calls that a person must agree to. Whoever agrees sees the whole call first,
//! and agrees to exactly that: its digest goes with the word.

use super::output::{Column, Output, ago, lines, printable, short};
use super::{Global, page_size, target};
use crate::failure::{Failure, Outcome};
use caxton_api::client::{Client, ClientError};
use caxton_api::v1::{
    Approval, ApproveCallRequest, DenyCallRequest, GetApprovalRequest, ListApprovalsRequest,
    ListApprovalsResponse,
};
use clap::{Args, Subcommand, ValueEnum};
use rustyline::DefaultEditor;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// Characters of arguments in a list.
const ARGUMENTS_CHARS_MAX: usize = 60;

#[derive(Debug, Subcommand)]
pub enum ApprovalCommand {
    /// List what waits for a person, the oldest first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one, with the whole call.
    Show(Named),
    /// Agree to a call, having seen it.
    Approve(ApproveArgs),
    /// Refuse a call.
    Deny(DenyArgs),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The approval's id.
    id: String,
}

/// How an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    Pending,
    Approved,
    Denied,
    Expired,
    Withdrawn,
    /// All of them.
    Any,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those that stand so.
    #[arg(long, value_enum, default_value = "pending")]
    state: State,
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The approval's id.
    id: String,
    /// What the agent is told with it.
    #[arg(long, default_value = "")]
    note: String,
    /// Do not ask; off a terminal this is needed.
    #[arg(long, short)]
    yes: bool,
    /// Agree only if the call is this one: the digest that `approval show` tells.
    #[arg(long, value_name = "SHA256")]
    digest: Option<String>,
}

#[derive(Debug, Args)]
pub struct DenyArgs {
    /// The approval's id.
    id: String,
    /// What the agent is told with it.
    #[arg(long, default_value = "")]
    note: String,
}

pub async fn run(command: ApprovalCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        ApprovalCommand::List(args) => list(&args, &client, output).await,
        ApprovalCommand::Show(Named { id }) => {
            let found = get(&client, id).await?;
            output.answer(&found, &found.id, || text(&found))
        }
        ApprovalCommand::Approve(args) => approve(args, &client, output).await,
        ApprovalCommand::Deny(DenyArgs { id, note }) => {
            let request = DenyCallRequest { approval: id, note };
            let denied = client.deny_call(&request).await?;
            output.answer(&denied, &denied.id, || decided(&denied))
        }
    }
}

async fn get(client: &Client, approval: String) -> Result<Approval, ClientError> {
    client.get_approval(&GetApprovalRequest { approval }).await
}

async fn approve(args: ApproveArgs, client: &Client, output: &Output) -> Outcome {
    let found = get(client, args.id).await?;
    if found.state == "pending" && output.is_table() {
        output.note(text(&found).trim_end());
    }
    if !args.yes && args.digest.is_none() {
        match ask(&found)? {
            Answer::Yes => {}
            Answer::No | Answer::Later => {
                output.note("nothing was decided; `caxton approval deny` refuses");
                return Err(Failure::silent());
            }
        }
    }
    let request = ApproveCallRequest {
        approval: found.id,
        note: args.note,
        // What was shown, and nothing that it may have become.
        digest: args.digest.unwrap_or(found.digest),
    };
    let approved = client.approve_call(&request).await?;
    output.answer(&approved, &approved.id, || decided(&approved))
}

/// What a person says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// Neither: it goes on waiting.
    Later,
}

/// Asks on the terminal.
fn ask(found: &Approval) -> Outcome<Answer> {
    if !std::io::stdin().is_terminal() {
        let what = "there is no terminal to ask on";
        let hint = format!(
            "look with `caxton approval show {}`, then give --yes",
            printable(&found.id)
        );
        return Err(Failure::usage(what).with_hint(hint));
    }
    prompt("agree to this call? [y/N] ")
}

/// One question. What is neither yes nor no, an interrupt too, decides nothing.
pub(super) fn prompt(question: &str) -> Outcome<Answer> {
    let cannot = |error: rustyline::error::ReadlineError| {
        Failure::plain("the prompt cannot be shown").because(error.to_string())
    };
    let mut editor = DefaultEditor::new().map_err(cannot)?;
    let line = editor.readline(question).unwrap_or_default();
    Ok(match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Answer::Yes,
        "n" | "no" => Answer::No,
        _ => Answer::Later,
    })
}

/// Asks, in a chat, what the chat's own turn waits for; says what to do where nobody can be asked.
pub(super) async fn in_place(client: &Client, id: &str, output: &Output) -> Outcome {
    let asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let how = format!("`caxton approval approve {}` agrees", printable(id));
    if !asked {
        output.note(&how);
        return Ok(());
    }
    let found = match get(client, id.to_owned()).await {
        Ok(found) if found.state == "pending" => found,
        // Somebody was faster.
        Ok(found) => {
            output.note(decided(&found).trim_end());
            return Ok(());
        }
        // Whoever talks with an assistant need not be whoever decides.
        Err(_) => {
            output.note(&how);
            return Ok(());
        }
    };
    output.note(text(&found).trim_end());
    let done = match prompt("agree to this call? [y/n/later] ")? {
        Answer::Yes => {
            let request = ApproveCallRequest {
                approval: found.id,
                note: String::new(),
                digest: found.digest,
            };
            client.approve_call(&request).await
        }
        Answer::No => {
            let request = DenyCallRequest {
                approval: found.id,
                note: String::new(),
            };
            client.deny_call(&request).await
        }
        Answer::Later => {
            output.note(&how);
            return Ok(());
        }
    };
    match done {
        Ok(_) => Ok(()),
        // The turn goes on whatever became of the question.
        Err(error) => {
            Failure::from(error).print(output.colors_stderr());
            Ok(())
        }
    }
}

fn decided(it: &Approval) -> String {
    format!(
        "{} {}: {}\n",
        it.state,
        printable(&it.tool),
        printable(&it.id)
    )
}

async fn list(args: &ListArgs, client: &Client, output: &Output) -> Outcome {
    let state = match args.state {
        State::Any => String::new(),
        state => state
            .to_possible_value()
            .map(|it| it.get_name().to_owned())
            .unwrap_or_default(),
    };
    let mut request = ListApprovalsRequest {
        state,
        ..ListApprovalsRequest::default()
    };
    let mut data = ListApprovalsResponse::default();
    while data.approvals.len() < args.limit {
        request.page_size = page_size(args.limit, data.approvals.len());
        let page = client.list_approvals(&request).await?;
        data.approvals.extend(page.approvals);
        data.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if data.approvals.is_empty() && output.is_table() {
        output.note(match args.state {
            State::Pending => "nothing waits for a person",
            _ => "no such approvals",
        });
        return Ok(());
    }
    let columns = [
        Column::Text("ID"),
        Column::Text("TOOL"),
        Column::Text("AGENT"),
        Column::Text("ARGUMENTS"),
        Column::Text("STATE"),
        Column::Text("SINCE"),
        Column::Text("UNTIL"),
    ];
    let rows = data.approvals.iter().map(|it| {
        vec![
            it.id.clone(),
            it.tool.clone(),
            it.agent.clone(),
            short(&arguments(it).to_string(), ARGUMENTS_CHARS_MAX),
            it.state.clone(),
            ago(it.create_time.as_ref()),
            time(it.expire_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = data.approvals.iter().map(|it| it.id.clone()).collect();
    output.list(&data, &columns, rows, &names)
}

fn arguments(it: &Approval) -> serde_json::Value {
    it.arguments.clone().unwrap_or_default().0
}

fn time(at: Option<&caxton_api::wkt::Timestamp>) -> String {
    at.map(ToString::to_string).unwrap_or_default()
}

/// The whole call: its arguments last, each on lines of its own, nothing cut.
fn text(it: &Approval) -> String {
    let mut text = super::output::fields(&[
        ("approval", it.id.clone()),
        ("tool", it.tool.clone()),
        ("agent", it.agent.clone()),
        ("session", it.session_id.clone()),
        ("turn", it.turn_id.clone()),
        ("state", it.state.clone()),
        ("asked", time(it.create_time.as_ref())),
        ("until", time(it.expire_time.as_ref())),
        ("decided", time(it.decide_time.as_ref())),
        ("by", it.decided_by.clone()),
        ("note", it.note.clone()),
        ("digest", it.digest.clone()),
    ]);
    let _ = writeln!(text, "arguments");
    for line in lines(&format!("{:#}", arguments(it))).lines() {
        let _ = writeln!(text, "    {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_api::wkt::Value;

    #[test]
    fn a_call_is_shown_whole_and_steers_no_terminal() {
        let long = "x".repeat(5_000);
        let arguments = serde_json::json!({"to": "a\u{1b}[2Jb", "body": long});
        let approval = Approval {
            id: "1".to_owned(),
            arguments: Some(Value(arguments)),
            ..Approval::default()
        };
        let text = text(&approval);
        assert!(text.contains(&long));
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
