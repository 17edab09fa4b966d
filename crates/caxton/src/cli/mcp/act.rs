//! What a coding tool can do: each act with its schema, and what it asks of the server.

use crate::cli::agent::{Package, put};
use crate::cli::parse;
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    Agent, CallToolRequest, ListAgentsRequest, ListLogsRequest, ListToolsRequest, MessageDraft,
    SendMessageRequest, message, message_draft,
};
use caxton_api::wkt::Struct;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What is listed at most: more is of no use to a model.
const ROWS_MAX: u32 = 200;
/// Lines of a log where nobody says how many.
const LINES: u32 = 50;
/// How long an answer is waited for where nobody says.
const WAIT: &str = "30s";
/// A tool may take a minute, and its answer has to come.
const CALL_WAIT: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    DeployAgent,
    ListAgents,
    SendMessage,
    ReadLogs,
    ListTools,
    CallTool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deploy {
    path: PathBuf,
    #[serde(default = "yes")]
    start: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    to: String,
    content: String,
    performative: Option<String>,
    conversation: Option<String>,
    wait: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Logs {
    agent: String,
    lines: Option<u32>,
    #[serde(default)]
    level: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    tool: String,
    #[serde(default)]
    function: String,
    arguments: Option<Struct>,
    #[serde(default)]
    session: String,
}

impl Act {
    pub(super) const ALL: [Self; 6] = [
        Self::DeployAgent,
        Self::ListAgents,
        Self::SendMessage,
        Self::ReadLogs,
        Self::ListTools,
        Self::CallTool,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DeployAgent => "deploy_agent",
            Self::ListAgents => "list_agents",
            Self::SendMessage => "send_message",
            Self::ReadLogs => "read_logs",
            Self::ListTools => "list_tools",
            Self::CallTool => "call_tool",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::DeployAgent => {
                "Deploy an agent from a folder with agent.toml, or from a component (.wasm); as a new \
                 version where its name is taken. Starts it."
            }
            Self::ListAgents => "List the agents, how each stands, and what it can do.",
            Self::SendMessage => {
                "Send an agent a message, and wait for its reply. The result is the reply's content."
            }
            Self::ReadLogs => "Read what an agent wrote to its log, the newest lines.",
            Self::ListTools => {
                "List the tools that agents may have, with their functions' schemas."
            }
            Self::CallTool => "Call a function of a tool.",
        }
    }

    const fn reads(self) -> bool {
        matches!(self, Self::ListAgents | Self::ReadLogs | Self::ListTools)
    }

    fn schema(self) -> Value {
        let text = |what: &str| json!({"type": "string", "description": what});
        let (properties, required) = match self {
            Self::DeployAgent => (
                json!({
                    "path": text("The folder, agent.toml or .wasm, on this machine."),
                    "start": {"type": "boolean", "description": "Start it. Default: true."},
                }),
                json!(["path"]),
            ),
            Self::ListAgents | Self::ListTools => (json!({}), json!([])),
            Self::SendMessage => (
                json!({
                    "to": text("The agent's name."),
                    "content": text("What the message says."),
                    "performative": text("One of FIPA's communicative acts. Default: request."),
                    "conversation": text("The conversation it belongs to."),
                    "wait": text("How long to wait for a reply, such as 5s; 0s: not. Default: 30s."),
                }),
                json!(["to", "content"]),
            ),
            Self::ReadLogs => (
                json!({
                    "agent": text("The agent's name."),
                    "lines": {
                        "type": "integer", "minimum": 1, "maximum": 1000,
                        "description": "How many lines. Default: 50.",
                    },
                    "level": {
                        "type": "string", "enum": ["trace", "debug", "info", "warn", "error"],
                        "description": "Only lines at least as severe.",
                    },
                }),
                json!(["agent"]),
            ),
            Self::CallTool => (
                json!({
                    "tool": text("The tool's name, or a function's full name, as list_tools has it."),
                    "function": text("The function's name in the tool, where it has several."),
                    "arguments": {"type": "object", "description": "As the function's schema says."},
                    "session": text("The session whose workspace it uses."),
                }),
                json!(["tool"]),
            ),
        };
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// What a client is told of it.
    pub(super) fn tool(self) -> Tool {
        let schema = match self.schema() {
            Value::Object(fields) => fields,
            _ => JsonObject::new(),
        };
        let hints = ToolAnnotations::new().read_only(self.reads());
        Tool::new(self.name(), self.what(), Arc::new(schema)).with_annotations(hints)
    }

    pub(super) async fn run(self, client: &Client, given: JsonObject) -> Outcome<CallToolResult> {
        match self {
            Self::DeployAgent => deploy(client, read(given)?).await,
            Self::ListAgents => {
                let Nothing {} = read(given)?;
                let request = ListAgentsRequest {
                    page_size: ROWS_MAX,
                    ..ListAgentsRequest::default()
                };
                let found = client.list_agents(&request).await?;
                let agents: Vec<Value> = found.agents.iter().map(brief).collect();
                let more = !found.next_page_token.is_empty();
                structured(json!({"agents": agents, "more": more}))
            }
            Self::SendMessage => send(client, read(given)?).await,
            Self::ReadLogs => logs(client, read(given)?).await,
            Self::ListTools => {
                let Nothing {} = read(given)?;
                let request = ListToolsRequest {
                    page_size: ROWS_MAX,
                    page_token: String::new(),
                };
                let found = client.list_tools(&request).await?;
                let functions = found.tools.iter().flat_map(|tool| &tool.functions);
                let functions = functions.filter(|it| it.state == "agreed").map(|it| {
                    json!({
                        "id": it.id,
                        "description": it.description,
                        "inputSchema": it.input_schema,
                        "effect": it.effect,
                    })
                });
                let functions: Vec<Value> = functions.collect();
                let more = !found.next_page_token.is_empty();
                structured(json!({"functions": functions, "more": more}))
            }
            Self::CallTool => call(client, read(given)?).await,
        }
    }
}

fn read<T: DeserializeOwned>(given: JsonObject) -> Outcome<T> {
    serde_json::from_value(Value::Object(given))
        .map_err(|error| Failure::usage(format!("the arguments do not fit: {error}")))
}

/// An answer that is data: as such, and as text for clients that know no other.
fn structured(value: Value) -> Outcome<CallToolResult> {
    Ok(CallToolResult::structured(value))
}

fn brief(agent: &Agent) -> Value {
    let able = agent.capabilities.iter().map(|it| it.name.as_str());
    json!({
        "name": agent.name,
        "version": agent.version,
        "state": agent.state,
        "capabilities": able.collect::<Vec<_>>(),
    })
}

async fn deploy(client: &Client, args: Deploy) -> Outcome<CallToolResult> {
    let package = Package::at(&args.path)?;
    let agent = put(client, package, args.start).await?;
    structured(brief(&agent))
}

async fn send(client: &Client, args: Send) -> Outcome<CallToolResult> {
    let wait = args.wait.unwrap_or_else(|| WAIT.to_owned());
    let waited =
        parse::duration(&wait).map_err(|error| Failure::usage(format!("wait: {error}")))?;
    let zero = caxton_api::duration::parse(&waited).is_ok_and(|it| it.is_zero());
    let request = SendMessageRequest {
        wait: if zero { String::new() } else { waited },
        message: Some(MessageDraft {
            performative: args.performative.unwrap_or_else(|| "request".to_owned()),
            receiver: vec![parse::agent(&args.to)],
            body: Some(message_draft::Body::Content(args.content)),
            conversation_id: args.conversation,
            ..MessageDraft::default()
        }),
    };
    let answer = client.send_message(&request).await?;
    let Some(reply) = answer.reply else {
        let text = match zero {
            true => format!("accepted as message {}", answer.id),
            false => format!(
                "no reply within {wait}; the message {} was accepted",
                answer.id
            ),
        };
        return Ok(match zero {
            true => CallToolResult::success(vec![ContentBlock::text(text)]),
            false => CallToolResult::error(vec![ContentBlock::text(text)]),
        });
    };
    let text = match reply.body {
        None => String::new(),
        Some(message::Body::Content(text)) => text,
        Some(message::Body::ContentBase64(bytes)) => {
            format!("{} bytes that are no text", bytes.len())
        }
    };
    Ok(match reply.performative.as_str() {
        says_no @ ("refuse" | "failure" | "not-understood") => {
            let text = format!("{says_no}: {text}");
            CallToolResult::error(vec![ContentBlock::text(text)])
        }
        _ => CallToolResult::success(vec![ContentBlock::text(text)]),
    })
}

async fn logs(client: &Client, args: Logs) -> Outcome<CallToolResult> {
    let request = ListLogsRequest {
        agent: args.agent,
        page_size: args.lines.unwrap_or(LINES),
        level: args.level,
        ..ListLogsRequest::default()
    };
    let found = client.list_logs(&request).await?;
    let line = |it: &caxton_api::v1::LogEntry| {
        let time = it.time.map(|at| at.to_string()).unwrap_or_default();
        format!("{time} {} {} {}\n", it.level, it.source, it.text)
    };
    let lines: String = found.entries.iter().map(line).collect();
    let text = match lines.as_str() {
        "" => "nothing was written".to_owned(),
        _ => lines,
    };
    Ok(CallToolResult::success(vec![ContentBlock::text(text)]))
}

async fn call(client: &Client, args: Call) -> Outcome<CallToolResult> {
    let request = CallToolRequest {
        tool: args.tool,
        function: args.function,
        arguments: args.arguments,
        session_id: args.session,
    };
    let client = client.clone().with_response_timeout(CALL_WAIT);
    let answer = client.call_tool(&request).await?;
    let content = answer.content.into_iter().map(|part| match part {
        caxton_api::v1::MessagePart {
            data: Some(data),
            media_type,
            ..
        } => ContentBlock::image(data, media_type.unwrap_or_default()),
        part => ContentBlock::text(part.text.or(part.url).unwrap_or_default()),
    });
    let mut result = CallToolResult::success(content.collect());
    result.is_error = Some(answer.is_error);
    result.structured_content = answer.structured.map(|it| it.0);
    Ok(result)
}
