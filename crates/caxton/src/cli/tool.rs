//! `caxton tool`: what agents may reach besides each other, who may call it, and what was called.

mod call;
mod function;
mod policy;
mod register;

use super::output::{Column, Output, ago, breaker, fields, printable, short};
use super::{Global, page_size, target};
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    AcceptToolRequest, DeleteToolRequest, GetToolRequest, ListToolsRequest, ListToolsResponse,
    RefreshToolRequest, Tool, ToolAuth, ToolFunction,
};
use caxton_core::error::Code;
use caxton_core::manifest::nearest;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::fmt::Write as _;

/// Tools that a wrong name is compared with.
const NEAR_MAX: u32 = 1000;
/// Characters of a description in a list.
const DESCRIPTION_CHARS_MAX: usize = 60;

#[derive(Debug, Subcommand)]
pub enum ToolCommand {
    /// List the tenant's tools, and those of the server.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show a tool and its functions, or one function with all it takes.
    Show(ShowArgs),
    /// Register a tool, or replace the one of its name.
    Register(register::RegisterArgs),
    /// Call a function, to see what it does.
    Test(call::TestArgs),
    /// Remove a tool of the tenant's own; its calls stay in the log.
    #[command(visible_alias = "rm")]
    Remove(Named),
    /// See what was called, by whom, and what came of it.
    Calls(call::CallsArgs),
    /// Ask a tool again what it offers.
    Refresh(Named),
    /// Agree to a tool's functions as they are now.
    Accept(Named),
    /// What the tenant permits.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The tool's name.
    tool: String,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The tool's name, or a function's: NAME or NAME.FUNCTION.
    tool: String,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

pub async fn run(command: ToolCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        ToolCommand::List(args) => list(&args, &client, output).await,
        ToolCommand::Show(ShowArgs { tool }) => match tool.split_once('.') {
            Some((name, _)) => show_function(name, &tool, &client, output).await,
            None => {
                let request = GetToolRequest { tool };
                let found = client.get_tool(&request).await;
                show(suggest(found, &request.tool, &client).await?, output)
            }
        },
        ToolCommand::Register(args) => register::run(&args, &client, output).await,
        ToolCommand::Test(args) => call::test(args, &client, output).await,
        ToolCommand::Remove(Named { tool }) => {
            let request = DeleteToolRequest { tool };
            let removed = client.delete_tool(&request).await;
            suggest(removed, &request.tool, &client).await?;
            output.gone(&request.tool, "removed")
        }
        ToolCommand::Calls(args) => call::calls(args, &client, output).await,
        ToolCommand::Refresh(Named { tool }) => {
            let request = RefreshToolRequest { tool };
            let client = client.with_response_timeout(register::DESCRIBE_WAIT);
            let found = client.refresh_tool(&request).await;
            let found = suggest(found, &request.tool, &client).await?;
            tell_changes(&found, output);
            show(found, output)
        }
        ToolCommand::Accept(Named { tool }) => {
            let request = AcceptToolRequest { tool };
            let client = client.with_response_timeout(register::DESCRIBE_WAIT);
            let found = client.accept_tool(&request).await;
            show(suggest(found, &request.tool, &client).await?, output)
        }
        ToolCommand::Policy(command) => policy::run(command, &client, output).await,
    }
}

/// An answer, or a failure that names the tool which may have been meant.
async fn suggest<T>(
    answer: Result<T, caxton_api::client::ClientError>,
    name: &str,
    client: &Client,
) -> Outcome<T> {
    let failure = match answer {
        Ok(answer) => return Ok(answer),
        Err(error) => Failure::from(error),
    };
    if !failure.is(Code::ToolNotFound) {
        return Err(failure);
    }
    let request = ListToolsRequest {
        page_size: NEAR_MAX,
        page_token: String::new(),
    };
    let tools = client.list_tools(&request).await.unwrap_or_default().tools;
    // The tool is there, and what was called is none of its functions.
    if let Some(tool) = tools.iter().find(|tool| tool.name == name) {
        let all: Vec<&str> = tool.functions.iter().map(|it| it.id.as_str()).collect();
        return Err(failure.with_hint(format!("its functions: {}", all.join(", "))));
    }
    let names = tools.iter().flat_map(|tool| {
        let functions = tool.functions.iter().map(|it| it.id.as_str());
        std::iter::once(tool.name.as_str()).chain(functions)
    });
    Err(match nearest(name, names) {
        Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
        None => failure.with_hint("`caxton tool list` shows all"),
    })
}

async fn list(args: &ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListToolsRequest::default();
    let mut data = ListToolsResponse::default();
    while data.tools.len() < args.limit {
        request.page_size = page_size(args.limit, data.tools.len());
        let page = client.list_tools(&request).await?;
        data.tools.extend(page.tools);
        data.next_page_token.clone_from(&page.next_page_token);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if data.tools.is_empty() && output.is_table() {
        output.note("no tools; `caxton tool register PATH` registers one");
        return Ok(());
    }
    let columns = [
        Column::Text("NAME"),
        Column::Text("KIND"),
        Column::Text("WHOSE"),
        Column::Number("FUNCTIONS"),
        Column::Text("STATE"),
        Column::Text("SINCE"),
        Column::Text("WHAT"),
    ];
    let rows = data.tools.iter().map(|tool| {
        vec![
            tool.name.clone(),
            tool.kind.clone(),
            whose(tool).to_owned(),
            tool.functions.len().to_string(),
            state(tool).to_owned(),
            ago(tool.create_time.as_ref()),
            short(&tool.description, DESCRIPTION_CHARS_MAX),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = data.tools.iter().map(|it| it.name.clone()).collect();
    output.list(&data, &columns, rows, &names)
}

fn whose(tool: &Tool) -> &'static str {
    match (tool.operators, tool.kind.as_str()) {
        (_, "builtin") => "server",
        (true, _) => "operator",
        (false, _) => "tenant",
    }
}

/// Whether all of it may be called.
fn state(tool: &Tool) -> &'static str {
    match tool.functions.as_slice() {
        // An operator's program is started when it is first called.
        [] => "not asked",
        all if all.iter().all(|it| it.state == "agreed") => "agreed",
        _ => "changed",
    }
}

/// Says what is not as it was agreed to.
fn tell_changes(tool: &Tool, output: &Output) {
    let other = tool.functions.iter().filter(|it| it.state != "agreed");
    let other: Vec<String> = other
        .map(|it| format!("{} is {}", printable(&it.name), it.state))
        .collect();
    if !other.is_empty() {
        let name = printable(&tool.name);
        output.note(&format!(
            "{}; `caxton tool accept {name}` agrees",
            other.join(", ")
        ));
    }
}

async fn show_function(name: &str, id: &str, client: &Client, output: &Output) -> Outcome {
    let request = GetToolRequest {
        tool: name.to_owned(),
    };
    let found = client.get_tool(&request).await;
    let tool = suggest(found, id, client).await?;
    let Some(function) = tool.functions.iter().find(|it| it.id == id) else {
        let what = format!("there is no function `{}`", printable(id));
        let all: Vec<&str> = tool.functions.iter().map(|it| it.id.as_str()).collect();
        let hint = match nearest(id, all.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its functions: {}", all.join(", ")),
        };
        return Err(Failure::new(Code::ToolNotFound, what).with_hint(hint));
    };
    output.answer(function, &function.id, || function::text(function))
}

fn show(tool: Tool, output: &Output) -> Outcome {
    output.answer(&tool, &tool.name, || text(&tool))
}

fn text(tool: &Tool) -> String {
    let time =
        |at: &Option<caxton_api::wkt::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let secret = match (tool.has_secret, tool.operators) {
        (true, _) => "kept",
        (false, true) => "",
        (false, false) => "none",
    };
    let price = match tool.price_micros {
        0 => String::new(),
        price => format!("{price} millionths a call"),
    };
    let replaced = match tool.update_time == tool.create_time {
        true => String::new(),
        false => time(&tool.update_time),
    };
    let mut text = fields(&[
        ("name", tool.name.clone()),
        ("what", tool.description.clone()),
        ("kind", tool.kind.clone()),
        ("whose", whose(tool).to_owned()),
        ("where", place(tool)),
        ("secret", secret.to_owned()),
        ("price", price),
        ("breaker", breaker(tool.breaker.as_ref())),
        ("registered", time(&tool.create_time)),
        ("replaced", replaced),
    ]);
    for function in &tool.functions {
        let state = match function.state.as_str() {
            "agreed" => String::new(),
            state => format!(", {state}"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\n{}({})  {}{state}",
            printable(&function.id),
            parameters(function),
            function.effect
        );
        for line in function.description.lines() {
            let _ = writeln!(text, "    {}", printable(line));
        }
        // It has no name of its own to be asked for by.
        if function.id == tool.name {
            let _ = write!(text, "\narguments\n{}", function::arguments(function));
        }
    }
    text
}

/// Where its calls go.
fn place(tool: &Tool) -> String {
    let shown = |auth: Option<&ToolAuth>| match auth {
        None => String::new(),
        Some(auth) if auth.name.is_empty() => format!(" ({})", auth.r#type),
        Some(auth) => format!(" ({} {})", auth.r#type, auth.name),
    };
    if let Some(http) = &tool.http {
        return format!("{}{}", http.base_url, shown(http.auth.as_ref()));
    }
    if let Some(mcp) = &tool.mcp {
        let place = match mcp.url.as_str() {
            "" => format!("program {}", mcp.program),
            url => url.to_owned(),
        };
        return format!("{place}{}", shown(mcp.auth.as_ref()));
    }
    let digest = tool.wasm.as_ref().and_then(|it| it.digest.as_deref());
    digest.map_or_else(String::new, |digest| format!("component sha256:{digest}"))
}

/// `city: string, unit?: string`, as its schema has them.
fn parameters(function: &ToolFunction) -> String {
    let Some(schema) = &function.input_schema else {
        return String::new();
    };
    let required = schema.0.get("required").and_then(Value::as_array);
    let needed = |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
    let all = schema.0.get("properties").and_then(Value::as_object);
    let one = |(name, of): (&String, &Value)| {
        let mark = if needed(name) { "" } else { "?" };
        let kind = of.get("type").and_then(Value::as_str).unwrap_or("any");
        format!("{}{mark}: {}", printable(name), printable(kind))
    };
    let all: Vec<String> = all.into_iter().flatten().map(one).collect();
    all.join(", ")
}
