//! `caxton message send`: one message out, and with `--wait` one reply in.

use crate::cli::agent::suggest;
use crate::cli::output::Output;
use crate::cli::parse;
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{Message, MessageDraft, SendMessageRequest, message, message_draft};
use caxton_api::wkt::Timestamp;
use caxton_core::error::Code;
use clap::Args;
use std::io::Read as _;

/// Most that is read from standard input: more than any agent takes.
const STDIN_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Args)]
pub struct SendArgs {
    /// What the message says; `-` reads standard input.
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// The receiver; repeatable.
    #[arg(long, required = true, value_name = "AGENT")]
    to: Vec<String>,
    /// One of FIPA's 22 communicative acts.
    #[arg(short, long, default_value = "request")]
    performative: String,
    /// Wait so long for a reply, such as 5s, and print its content alone.
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    wait: Option<String>,
    /// The conversation it belongs to.
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// The interaction protocol, such as fipa-request.
    #[arg(long)]
    protocol: Option<String>,
    /// The language of the content.
    #[arg(long)]
    language: Option<String>,
    /// The encoding of the content: a media type.
    #[arg(long)]
    encoding: Option<String>,
    /// The ontology of the content.
    #[arg(long)]
    ontology: Option<String>,
    /// What a reply is to repeat.
    #[arg(long, value_name = "TOKEN")]
    reply_with: Option<String>,
    /// The reply-with of the message this one answers.
    #[arg(long, value_name = "TOKEN")]
    in_reply_to: Option<String>,
    /// When a reply is no longer of use (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    reply_by: Option<Timestamp>,
    /// Who gets the reply instead of the sender; repeatable.
    #[arg(long, value_name = "AGENT")]
    reply_to: Vec<String>,
    /// Send in the name of an agent; needs its own permission.
    #[arg(long, value_name = "AGENT")]
    from: Option<String>,
    /// A parameter of your own, its name beginning with X-; repeatable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::pair)]
    param: Vec<(String, String)>,
}

pub async fn run(args: SendArgs, client: &Client, output: &Output) -> Outcome {
    let waits = args.wait.clone();
    let to = args.to.first().cloned().unwrap_or_default();
    let request = SendMessageRequest {
        wait: args.wait.clone().unwrap_or_default(),
        message: Some(draft(args)?),
    };
    let answer = match client.send_message(&request).await {
        Ok(answer) => answer,
        Err(error) => return Err(suggest(error.into(), &to, client).await),
    };
    let (Some(wait), reply) = (waits, &answer.reply) else {
        return output.answer(&answer, &answer.id, || format!("{}\n", answer.id));
    };
    let Some(reply) = reply else {
        match output.is_table() {
            true => output.note(&format!("the message {} was accepted", answer.id)),
            false => output.answer(&answer, &answer.id, String::new)?,
        }
        return Err(
            Failure::new(Code::CallTimeout, format!("no reply within {wait}")).with_hint(format!(
                "see what becomes of it: caxton message trace {}",
                answer.id
            )),
        );
    };
    if output.is_table() {
        content(reply, output)?;
    } else {
        output.answer(&answer, &reply.id, String::new)?;
    }
    refused(reply, output)
}

fn draft(args: SendArgs) -> Outcome<MessageDraft> {
    Ok(MessageDraft {
        performative: args.performative,
        receiver: args.to.iter().map(|name| parse::agent(name)).collect(),
        sender: args.from.as_deref().map(parse::agent),
        reply_to: args
            .reply_to
            .iter()
            .map(|name| parse::agent(name))
            .collect(),
        body: body(args.text)?,
        language: args.language,
        encoding: args.encoding,
        ontology: args.ontology,
        protocol: args.protocol,
        conversation_id: args.conversation,
        reply_with: args.reply_with,
        in_reply_to: args.in_reply_to,
        reply_by: args.reply_by,
        user_parameters: args.param.into_iter().collect(),
    })
}

/// A content from the command line, or of standard input where it is `-`.
pub fn body(text: Option<String>) -> Outcome<Option<message_draft::Body>> {
    match text {
        None => Ok(None),
        Some(text) if text != "-" => Ok(Some(message_draft::Body::Content(text))),
        Some(_) => {
            let mut bytes = Vec::new();
            let read = std::io::stdin()
                .lock()
                .take(STDIN_BYTES_MAX + 1)
                .read_to_end(&mut bytes);
            read.map_err(|error| {
                Failure::plain("cannot read standard input").because(error.to_string())
            })?;
            if bytes.len() as u64 > STDIN_BYTES_MAX {
                let what = format!("standard input has more than {STDIN_BYTES_MAX} bytes");
                return Err(Failure::new(Code::MessageTooLarge, what));
            }
            if bytes.is_empty() {
                let what = "standard input is empty: there is nothing to send";
                let hint = "leave the `-` out for a message without content";
                return Err(Failure::usage(what).with_hint(hint));
            }
            Ok(Some(match String::from_utf8(bytes) {
                Ok(text) => message_draft::Body::Content(text),
                Err(error) => message_draft::Body::ContentBase64(error.into_bytes().into()),
            }))
        }
    }
}

/// The reply's content and nothing else; a line end is added where a terminal or shell needs one.
pub fn content(reply: &Message, output: &Output) -> Outcome {
    match &reply.body {
        None => Ok(()),
        Some(message::Body::Content(text)) if text.ends_with('\n') => output.print(text),
        Some(message::Body::Content(text)) => output.line(text),
        Some(message::Body::ContentBase64(bytes)) => output.bytes(bytes),
    }
}

/// A reply that says no ends the command as a failure, so that a script need not read it.
fn refused(reply: &Message, output: &Output) -> Outcome {
    match reply.performative.as_str() {
        "refuse" | "failure" | "not-understood" => {
            output.note(&format!(
                "{} from {}",
                reply.performative,
                super::addresses(reply.sender.as_slice())
            ));
            Err(Failure::silent())
        }
        _ => Ok(()),
    }
}
