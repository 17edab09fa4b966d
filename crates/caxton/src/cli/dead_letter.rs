//! `caxton dead-letter`: messages that could not be handled.

use super::message::{addresses, describe};
use super::output::{Column, Output, ago, fields, short};
use super::{Global, target};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{
    DeadLetter, DeleteDeadLetterRequest, GetDeadLetterRequest, ListDeadLettersRequest,
    ListDeadLettersResponse, ResendDeadLetterRequest,
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum DeadLetterCommand {
    /// List dead letters, the newest first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one and its message.
    Show(Named),
    /// Put its message back into its receiver's mailbox.
    Resend(Several),
    /// Remove it for good.
    #[command(visible_alias = "rm")]
    Remove(Several),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The dead letter's id.
    id: String,
}

#[derive(Debug, Args)]
pub struct Several {
    /// The dead letters' ids.
    #[arg(required = true)]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those of this receiver.
    #[arg(long, default_value = "")]
    agent: String,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub async fn run(command: DeadLetterCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        DeadLetterCommand::List(args) => list(args, &client, output).await,
        DeadLetterCommand::Show(Named { id }) => {
            let request = GetDeadLetterRequest { dead_letter: id };
            let letter = client.get_dead_letter(&request).await?;
            output.answer(&letter, &letter.id, || text(&letter))
        }
        DeadLetterCommand::Resend(Several { ids }) => {
            for id in ids {
                let request = ResendDeadLetterRequest { dead_letter: id };
                let answer = client.resend_dead_letter(&request).await?;
                output.answer(&answer, &answer.id, || format!("{}\n", answer.id))?;
            }
            Ok(())
        }
        DeadLetterCommand::Remove(Several { ids }) => {
            for id in ids {
                let request = DeleteDeadLetterRequest {
                    dead_letter: id.clone(),
                };
                client.delete_dead_letter(&request).await?;
                output.gone(&id, "removed")?;
            }
            Ok(())
        }
    }
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListDeadLettersRequest {
        page_size: super::page_size(args.limit, 0),
        agent: args.agent,
        ..ListDeadLettersRequest::default()
    };
    let mut letters = Vec::new();
    while letters.len() < args.limit {
        request.page_size = super::page_size(args.limit, letters.len());
        let page = client.list_dead_letters(&request).await?;
        letters.extend(page.dead_letters);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let columns = [
        Column::Text("ID"),
        Column::Text("AGENT"),
        Column::Text("CODE"),
        Column::Number("ATTEMPTS"),
        Column::Text("FROM"),
        Column::Text("WHY"),
        Column::Text("SINCE"),
    ];
    let rows = letters.iter().map(|letter| {
        let message = letter.message.clone().unwrap_or_default();
        vec![
            letter.id.clone(),
            letter.agent.clone(),
            letter.code.clone(),
            letter.attempts.to_string(),
            addresses(message.sender.as_slice()),
            short(&letter.reason, 48),
            ago(letter.create_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = letters.iter().map(|letter| letter.id.clone()).collect();
    if letters.is_empty() && output.is_table() {
        output.note("no dead letters; a durable message that fails at every try becomes one");
        return Ok(());
    }
    let data = ListDeadLettersResponse {
        dead_letters: letters,
        next_page_token: request.page_token,
    };
    output.list(&data, &columns, rows, &names)
}

fn text(letter: &DeadLetter) -> String {
    let head = fields(&[
        ("dead letter", letter.id.clone()),
        ("agent", letter.agent.clone()),
        ("code", letter.code.clone()),
        ("why", letter.reason.clone()),
        ("attempts", letter.attempts.to_string()),
        (
            "since",
            letter
                .create_time
                .map(|time| time.to_string())
                .unwrap_or_default(),
        ),
    ]);
    match &letter.message {
        Some(message) => format!("{head}\n{}", describe(message)),
        None => head,
    }
}
