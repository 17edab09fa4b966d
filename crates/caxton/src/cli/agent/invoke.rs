//! `caxton agent invoke`: ask an agent and wait for its answer.

use super::suggest;
use crate::cli::message;
use crate::cli::message::send::{body, content};
use crate::cli::output::{Output, clock};
use crate::cli::parse;
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    InvocationEvent, InvokeAgentRequest, InvokeAgentResponse, invoke_agent_request, message_draft,
};
use caxton_core::error::Code;
use clap::Args;
use std::time::Duration;

/// The server answers within its own ten minutes; its answer has to come.
const ANSWER_WAIT: Duration = Duration::from_secs(11 * 60);

#[derive(Debug, Args)]
pub struct InvokeArgs {
    /// The agent to ask.
    #[arg(value_name = "AGENT")]
    agent: String,
    /// What to ask; `-` reads standard input.
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// One of FIPA's 22 communicative acts.
    #[arg(short, long, default_value = "request")]
    performative: String,
    /// How long to wait, such as 5s, ten minutes at most; 30 seconds where nothing is said.
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    timeout: Option<String>,
    /// Tries of giving it to the agent, the first included.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempts: Option<u32>,
    /// Say on standard error what happens meanwhile.
    #[arg(long)]
    follow: bool,
}

pub(super) async fn run(args: InvokeArgs, client: &Client, output: &Output) -> Outcome {
    let request = InvokeAgentRequest {
        agent: args.agent,
        body: body(args.text)?.map(|body| match body {
            message_draft::Body::Content(text) => invoke_agent_request::Body::Content(text),
            message_draft::Body::ContentBase64(bytes) => {
                invoke_agent_request::Body::ContentBase64(bytes)
            }
        }),
        performative: args.performative,
        timeout: args.timeout.unwrap_or_default(),
        attempts_max: args.attempts.unwrap_or_default(),
        ..InvokeAgentRequest::default()
    };
    let answer = match args.follow {
        true => follow(&request, client, output).await,
        false => {
            let client = client.clone().with_response_timeout(ANSWER_WAIT);
            client.invoke_agent(&request).await.map_err(Failure::from)
        }
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Err(suggest(failure, &request.agent, client).await),
    };
    match &answer.reply {
        Some(reply) if output.is_table() => content(reply, output),
        _ => output.answer(&answer, &answer.id, String::new),
    }
}

async fn follow(
    request: &InvokeAgentRequest,
    client: &Client,
    output: &Output,
) -> Outcome<InvokeAgentResponse> {
    let mut events = client.stream_invocation(request).await?;
    while let Some(event) = events.next().await {
        let InvocationEvent {
            state,
            message,
            response,
            time,
            ..
        } = event?;
        let said = message.as_ref().map_or(state, message::line);
        output.note(&format!("{}  {said}", clock(time.as_ref())));
        if let Some(response) = response {
            return Ok(response);
        }
    }
    Err(Failure::new(
        Code::ServerUnreachable,
        "the stream ended before the answer",
    ))
}
