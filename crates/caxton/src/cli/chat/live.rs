//! A conversation at a prompt: each line a turn of one session.

use super::turn;
use crate::cli::agent::suggest;
use crate::cli::output::Output;
use crate::contexts;
use crate::failure::{Exit, Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{ChatRequest, GetAgentRequest};
use caxton_core::error::Code;
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};

/// Lines remembered.
const HISTORY_LINES_MAX: usize = 1000;

pub(super) async fn run(
    client: &Client,
    mut request: ChatRequest,
    show_thinking: bool,
    output: &Output,
) -> Outcome {
    is_there(client, &request.agent).await?;
    let cannot = |error: ReadlineError| {
        Failure::plain("the prompt cannot be shown").because(error.to_string())
    };
    let config = Config::builder()
        .max_history_size(HISTORY_LINES_MAX)
        .map_err(cannot)?
        .build();
    let mut editor = DefaultEditor::with_config(config).map_err(cannot)?;
    let history = contexts::folder().map(|dir| dir.join("chat-history"));
    if let Some(history) = &history {
        // There is none the first time.
        let _ = editor.load_history(history);
    }
    output.note("Ctrl-C cancels an answer; /exit or Ctrl-D ends");
    let mut told = !request.session_id.is_empty();
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(cannot(error)),
        };
        match line.trim() {
            "" => continue,
            "/exit" | "/quit" => return Ok(()),
            _ => {}
        }
        let added = editor.add_history_entry(&line).unwrap_or(false);
        // A history that cannot be written is none, and no reason to stop.
        if let Some(history) = history.as_ref().filter(|_| added) {
            let _ = history.parent().map(std::fs::create_dir_all);
            let _ = editor.append_history(history);
        }
        request.message = line;
        match turn::say(client, &request, show_thinking, output).await {
            Ok(last) => {
                request.session_id = last.session_id.clone().unwrap_or_default();
                if !std::mem::replace(&mut told, true) {
                    output.note(&format!("session {}", request.session_id));
                }
                if !output.is_table() {
                    output.item(&super::answer(last), &request.session_id, String::new)?;
                }
            }
            // What failed is one turn, and not the conversation.
            Err(failure) => failure.print(output.colors_stderr()),
        }
    }
}

/// Whether somebody is there to talk with, before anybody types. A key that may talk and not look is
/// told by the first turn.
async fn is_there(client: &Client, name: &str) -> Outcome {
    let request = GetAgentRequest {
        agent: name.to_owned(),
    };
    let agent = match client.get_agent(&request).await {
        Ok(agent) => agent,
        Err(error) => {
            let failure = suggest(error.into(), name, client).await;
            return match failure.exit() {
                Exit::Refused => Ok(()),
                _ => Err(failure),
            };
        }
    };
    if agent.behavior == "assistant" {
        return Ok(());
    }
    let what = format!("{name} is no assistant");
    let hint = format!("send it messages: caxton message send --to {name} --wait 5s TEXT");
    Err(Failure::new(Code::NotAnAssistant, what).with_hint(hint))
}
