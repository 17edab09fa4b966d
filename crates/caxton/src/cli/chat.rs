//! `caxton chat`: one turn with an assistant, or a conversation at a prompt. Answers are written as
//! they come; Ctrl-C cancels the turn, and a connection that breaks is taken up again where it broke.

mod live;
mod turn;

use super::output::Output;
use super::{Global, target};
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{ChatRequest, TurnEvent};
use clap::{Args, ValueEnum};
use std::io::{IsTerminal as _, Read as _};

/// Most that is read from standard input: more than any model's window.
const STDIN_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, Args)]
pub struct ChatArgs {
    /// The assistant.
    agent: String,
    /// What to say; `-` reads standard input. Without it, a prompt.
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Go on with this session, or begin it; without it, a new one.
    #[arg(long, value_name = "ID", default_value = "")]
    session: String,
    /// How much the model thinks; without it, as the session or the assistant says.
    #[arg(long, value_enum)]
    thinking: Option<Thinking>,
    /// Show what the model thinks, on standard error.
    #[arg(long)]
    show_thinking: bool,
}

/// How much a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Thinking {
    Off,
    Minimal,
    Low,
    Medium,
    High,
}

impl Thinking {
    pub fn text(self) -> String {
        match self {
            Self::Off => "off",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
        .to_owned()
    }
}

pub async fn run(args: ChatArgs, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    let text = match args.text.as_deref() {
        Some("-") => Some(piped()?),
        Some(text) => Some(text.to_owned()),
        None if !std::io::stdin().is_terminal() => Some(piped()?),
        None => None,
    };
    let request = ChatRequest {
        agent: args.agent,
        session_id: args.session,
        message: text.clone().unwrap_or_default(),
        thinking: args.thinking.map(Thinking::text).unwrap_or_default(),
        ..ChatRequest::default()
    };
    match text {
        Some(_) => once(&client, &request, args.show_thinking, output).await,
        None => live::run(&client, request, args.show_thinking, output).await,
    }
}

async fn once(
    client: &Client,
    request: &ChatRequest,
    show_thinking: bool,
    output: &Output,
) -> Outcome {
    let last = turn::say(client, request, show_thinking, output).await?;
    if output.is_table() {
        return Ok(());
    }
    let session = last.session_id.clone().unwrap_or_default();
    output.answer(&answer(last), &session, String::new)
}

/// The last event of a turn as `POST /v1/chat` answers.
fn answer(last: TurnEvent) -> caxton_api::v1::ChatAnswer {
    caxton_api::v1::ChatAnswer {
        session_id: last.session_id.unwrap_or_default(),
        turn_id: last.turn_id.unwrap_or_default(),
        message: Some(last.message.unwrap_or_default()),
        usage: last.usage,
        model: last.model.unwrap_or_default(),
        agent: last.agent.unwrap_or_default(),
        stop_reason: last.stop_reason.unwrap_or_default(),
    }
}

fn piped() -> Outcome<String> {
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(STDIN_BYTES_MAX + 1)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::plain("cannot read standard input").because(error.to_string()))?;
    if text.len() as u64 > STDIN_BYTES_MAX {
        let what = format!("standard input has more than {STDIN_BYTES_MAX} bytes");
        return Err(Failure::usage(what));
    }
    let text = text.trim_end_matches(['\r', '\n']);
    match text.is_empty() {
        false => Ok(text.to_owned()),
        true => Err(Failure::usage("there is nothing to say")),
    }
}
