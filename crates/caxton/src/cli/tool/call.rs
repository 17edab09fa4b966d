//! `caxton tool test` and `caxton tool calls`.

use super::suggest;
use crate::cli::output::{Column, Output, clock, fields, lines, printable, short, size};
use crate::cli::page_size;
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    CallToolRequest, CallToolResponse, GetToolCallRequest, ListAllToolCallsRequest,
    ListToolCallsRequest, ListToolCallsResponse, MessagePart, ToolCall,
};
use caxton_api::wkt::Struct;
use caxton_core::tool::FunctionName;
use clap::Args;
use std::io::Read as _;
use std::time::Duration;

/// A tool may take a minute, and its answer has to come.
const CALL_WAIT: Duration = Duration::from_secs(90);
/// Largest arguments that are read, in bytes: one more than a server takes.
const ARGUMENTS_BYTES_MAX: u64 = (1 << 20) + 1;
/// Characters of arguments in a list.
const ARGUMENTS_CHARS_MAX: usize = 60;

#[derive(Debug, Args)]
pub struct TestArgs {
    /// The tool's name, a function's full name, or agent:NAME.
    tool: String,
    /// The function's name, where the tool has several; may be left out before the arguments.
    function: Option<String>,
    /// The arguments, a JSON object; `-` reads standard input.
    arguments: Option<String>,
    /// Use the workspace of this session.
    #[arg(long, value_name = "ID", default_value = "")]
    session: String,
}

#[derive(Debug, Args)]
pub struct CallsArgs {
    /// Only of this tool.
    #[arg(default_value = "")]
    tool: String,
    /// Show this one call, whole.
    #[arg(long, value_name = "CALL", conflicts_with_all = ["tool", "agent", "session"])]
    id: Option<String>,
    /// Only by this agent.
    #[arg(long, default_value = "")]
    agent: String,
    /// Only in this session.
    #[arg(long, value_name = "ID", default_value = "")]
    session: String,
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

pub(super) async fn test(args: TestArgs, client: &Client, output: &Output) -> Outcome {
    let (function, arguments) = match (args.function, args.arguments) {
        (Some(text), None) if is_arguments(&args.tool, &text) => (None, Some(text)),
        other => other,
    };
    let request = CallToolRequest {
        tool: args.tool,
        function: function.unwrap_or_default(),
        arguments: arguments.map(|text| read(&text)).transpose()?,
        session_id: args.session,
    };
    let client = client.clone().with_response_timeout(CALL_WAIT);
    let answer = client.call_tool(&request).await;
    let answer = suggest(answer, &request.tool, &client).await?;
    let call = answer.call.clone().unwrap_or_default();
    output.answer(&answer, &call.id, || text(&answer))?;
    if output.is_table() {
        output.note(&summary(&call));
    }
    match answer.is_error {
        true => Err(Failure::silent()),
        false => Ok(()),
    }
}

/// Whether what stands behind a tool's name is the arguments: where that names a function already, and
/// where it cannot be a function's name.
fn is_arguments(tool: &str, text: &str) -> bool {
    tool.contains(['.', ':']) || text == "-" || FunctionName::parse(text).is_err()
}

fn read(text: &str) -> Outcome<Struct> {
    let text = match text {
        "-" => {
            let mut text = String::new();
            let read = std::io::stdin()
                .take(ARGUMENTS_BYTES_MAX)
                .read_to_string(&mut text);
            read.map_err(|error| {
                Failure::plain("cannot read standard input").because(error.to_string())
            })?;
            text
        }
        text => text.to_owned(),
    };
    serde_json::from_str(&text).map_err(|error| {
        let what = format!("the arguments are no JSON object: {error}");
        Failure::usage(what).with_hint("write them like '{\"city\": \"Bern\"}'")
    })
}

/// What a tool answered, for people: texts as they are, but for what would steer the terminal.
fn text(answer: &CallToolResponse) -> String {
    let mut text = String::new();
    for part in &answer.content {
        text.push_str(&said(part));
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    if text.is_empty()
        && let Some(structured) = &answer.structured
    {
        text = format!("{:#}\n", structured.0);
    }
    text
}

fn said(part: &MessagePart) -> String {
    match (&part.text, &part.data, &part.url) {
        (Some(text), ..) => lines(text),
        (None, Some(data), _) => {
            let kind = part.media_type.as_deref().unwrap_or("image");
            // Base64 has four characters for three bytes.
            format!("[{}, {}]", printable(kind), size(data.len() as u64 / 4 * 3))
        }
        (None, None, Some(url)) => format!("[{}]", printable(url)),
        _ => format!("[{}]", printable(&part.r#type)),
    }
}

fn summary(call: &ToolCall) -> String {
    let cost = match call.cost_micros {
        0 => String::new(),
        cost => format!(", {cost} millionths"),
    };
    format!(
        "{}: {}, {}, {}{cost} ({})",
        printable(&call.tool),
        outcome(call),
        took(call.duration_us),
        size(call.result_bytes),
        call.id
    )
}

fn outcome(call: &ToolCall) -> String {
    match call.code.as_str() {
        "" => call.outcome.clone(),
        code => format!("{} {code}", call.outcome),
    }
}

fn took(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

pub(super) async fn calls(args: CallsArgs, client: &Client, output: &Output) -> Outcome {
    if let Some(call) = args.id {
        let call = client.get_tool_call(&GetToolCallRequest { call }).await?;
        return output.answer(&call, &call.id, || whole(&call));
    }
    let mut data = ListToolCallsResponse::default();
    let (mut token, mut more) = (String::new(), true);
    // A tool that is not there is an answer, where only its name is asked for.
    let by_name = !args.tool.is_empty() && args.agent.is_empty() && args.session.is_empty();
    while more && data.tool_calls.len() < args.limit {
        let page_size = page_size(args.limit, data.tool_calls.len());
        let page = match by_name {
            true => {
                let request = ListToolCallsRequest {
                    tool: args.tool.clone(),
                    page_size,
                    page_token: token,
                };
                let found = client.list_tool_calls(&request).await;
                suggest(found, &request.tool, client).await?
            }
            false => {
                let request = ListAllToolCallsRequest {
                    tool: args.tool.clone(),
                    agent: args.agent.clone(),
                    session: args.session.clone(),
                    page_size,
                    page_token: token,
                };
                client.list_all_tool_calls(&request).await?
            }
        };
        data.tool_calls.extend(page.tool_calls);
        token = page.next_page_token;
        more = !token.is_empty();
    }
    data.next_page_token = token;
    if data.tool_calls.is_empty() && output.is_table() {
        output.note("no tool was called; `caxton tool test` calls one");
        return Ok(());
    }
    list(&data, output)
}

/// One call, for people.
fn whole(call: &ToolCall) -> String {
    let arguments = call.arguments.as_ref().map(|it| it.0.to_string());
    let rows = [
        ("call", call.id.clone()),
        ("tool", call.tool.clone()),
        ("kind", call.kind.clone()),
        ("agent", call.agent.clone()),
        ("session", call.session_id.clone()),
        ("turn", call.turn_id.clone()),
        ("arguments", arguments.unwrap_or_default()),
        ("outcome", outcome(call)),
        ("why", call.detail.clone()),
        ("answer", size(call.result_bytes)),
        ("cost", format!("{} millionths", call.cost_micros)),
        (
            "begun",
            call.time.map(|it| it.to_string()).unwrap_or_default(),
        ),
        ("took", took(call.duration_us)),
        ("of that waiting for approval", took(call.waited_us)),
        ("approval", call.approval.clone()),
        ("trace", call.trace_id.clone()),
    ];
    let rows: Vec<_> = rows.into_iter().filter(|row| !row.1.is_empty()).collect();
    fields(&rows)
}

fn list(data: &ListToolCallsResponse, output: &Output) -> Outcome {
    let columns = [
        Column::Text("TIME"),
        Column::Text("TOOL"),
        Column::Text("AGENT"),
        Column::Text("ARGUMENTS"),
        Column::Text("OUTCOME"),
        Column::Number("TOOK"),
        Column::Number("ANSWER"),
        Column::Number("COST"),
        Column::Text("ID"),
    ];
    let rows = data.tool_calls.iter().map(|it| {
        let arguments = it.arguments.as_ref().map(|it| it.0.to_string());
        vec![
            clock(it.time.as_ref()),
            it.tool.clone(),
            it.agent.clone(),
            short(&arguments.unwrap_or_default(), ARGUMENTS_CHARS_MAX),
            outcome(it),
            took(it.duration_us),
            size(it.result_bytes),
            it.cost_micros.to_string(),
            it.id.clone(),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = data.tool_calls.iter().map(|it| it.id.clone()).collect();
    output.list(data, &columns, rows, &names)
}
