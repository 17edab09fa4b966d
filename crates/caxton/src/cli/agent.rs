//! `caxton agent`: deploy, list, show, start, stop, drain, remove, logs.

mod deploy;
mod invoke;
mod logs;

use super::output::{Column, Output, ago, breaker, coded, fields, size};
use super::{Global, parse, target};
use crate::failure::{Failure, Outcome};
use caxton_api::client::{Client, ClientError};
use caxton_api::v1::{
    Agent, AgentStats, DeleteAgentRequest, DrainAgentRequest, GetAgentRequest, ListAgentsRequest,
    ListAgentsResponse, StartAgentRequest, StopAgentRequest,
};
use caxton_core::Manifest;
use caxton_core::assistant::Assistant;
use caxton_core::error::Code;
use caxton_core::manifest::nearest;
use caxton_core::tool::permit::Pattern;
use clap::{Args, Subcommand};
use std::time::Duration;

pub(super) use deploy::component_of;
pub use deploy::{Package, put};

/// Agents on one page of the API.
const PAGE: u32 = 1000;

/// How long a drain may take when nobody says, beyond which the server answers by itself.
const DRAIN_WAIT: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Deploy a folder with agent.toml, or a component; a name that exists gets a new version.
    Deploy(deploy::DeployArgs),
    /// List the tenant's agents.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one agent.
    Show(Named),
    /// Start an agent.
    Start(Named),
    /// Stop an agent at once; durable messages wait for its next start.
    Stop(Named),
    /// Let an agent finish what waits, then stop it.
    Drain(DrainArgs),
    /// Remove an agent with its state.
    #[command(visible_alias = "rm")]
    Remove(Named),
    /// Ask an agent, wait for its answer and print its content.
    Invoke(invoke::InvokeArgs),
    /// Read an agent's log.
    Logs(logs::LogsArgs),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The agent's name.
    agent: String,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only agents in this state: loaded, running, draining, stopped or failed.
    #[arg(long)]
    state: Option<String>,
    /// Only agents with this capability.
    #[arg(long)]
    capability: Option<String>,
}

#[derive(Debug, Args)]
pub struct DrainArgs {
    /// The agent's name.
    agent: String,
    /// How long it may take before the agent is stopped, such as 30s.
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    timeout: Option<String>,
}

pub async fn run(command: AgentCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        AgentCommand::Deploy(args) => deploy::run(args, &client, output).await,
        AgentCommand::List(args) => list(args, &client, output).await,
        AgentCommand::Show(named) => show(named, &client, output).await,
        AgentCommand::Start(Named { agent }) => {
            let request = StartAgentRequest {
                agent: agent.clone(),
            };
            let answer = client.start_agent(&request).await;
            brief(&found(answer, &agent, &client).await?, output)
        }
        AgentCommand::Stop(Named { agent }) => {
            let request = StopAgentRequest {
                agent: agent.clone(),
            };
            let answer = client.stop_agent(&request).await;
            brief(&found(answer, &agent, &client).await?, output)
        }
        AgentCommand::Drain(args) => drain(args, &client, output).await,
        AgentCommand::Remove(Named { agent }) => {
            let request = DeleteAgentRequest {
                agent: agent.clone(),
            };
            let answer = client.delete_agent(&request).await;
            found(answer, &agent, &client).await?;
            output.gone(&agent, "removed")
        }
        AgentCommand::Invoke(args) => invoke::run(args, &client, output).await,
        AgentCommand::Logs(args) => logs::run(args, &client, output).await,
    }
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let state = args.state.unwrap_or_default();
    let capability = args.capability.unwrap_or_default();
    let agents = all(client, &state, &capability).await?;
    let columns = [
        Column::Text("NAME"),
        Column::Text("VERSION"),
        Column::Text("STATE"),
        Column::Number("HANDLED"),
        Column::Number("FAILED"),
        Column::Number("WAITING"),
        Column::Text("CHANGED"),
    ];
    let rows = agents.iter().map(|agent| {
        let stats = agent.stats.clone().unwrap_or_default();
        vec![
            agent.name.clone(),
            agent.version.clone(),
            agent.state.clone(),
            stats.messages_handled.to_string(),
            stats.messages_failed.to_string(),
            stats.mailbox_messages.to_string(),
            ago(agent.update_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = agents.iter().map(|agent| agent.name.clone()).collect();
    if agents.is_empty() && output.is_table() {
        output.note("no agents; deploy one with `caxton agent deploy PATH`");
        return Ok(());
    }
    let data = ListAgentsResponse {
        agents,
        ..ListAgentsResponse::default()
    };
    output.list(&data, &columns, rows, &names)
}

/// Every agent of the tenant, page by page.
async fn all(client: &Client, state: &str, capability: &str) -> Outcome<Vec<Agent>> {
    let mut request = ListAgentsRequest {
        page_size: PAGE,
        state: state.to_owned(),
        capability: capability.to_owned(),
        ..ListAgentsRequest::default()
    };
    let mut agents = Vec::new();
    loop {
        let page = client.list_agents(&request).await?;
        agents.extend(page.agents);
        if page.next_page_token.is_empty() {
            return Ok(agents);
        }
        request.page_token = page.next_page_token;
    }
}

async fn show(named: Named, client: &Client, output: &Output) -> Outcome {
    let request = GetAgentRequest {
        agent: named.agent.clone(),
    };
    let answer = client.get_agent(&request).await;
    let agent = found(answer, &named.agent, client).await?;
    output.answer(&agent, &agent.name, || describe(&agent))
}

async fn drain(args: DrainArgs, client: &Client, output: &Output) -> Outcome {
    let request = DrainAgentRequest {
        agent: args.agent.clone(),
        timeout: args.timeout.clone().unwrap_or_default(),
    };
    let wait = args
        .timeout
        .and_then(|text| caxton_api::duration::parse(&text).ok());
    let patient = client
        .clone()
        .with_response_timeout(wait.unwrap_or(DRAIN_WAIT) + caxton_api::client::RESPONSE_TIMEOUT);
    let answer = patient.drain_agent(&request).await;
    let agent = found(answer, &args.agent, client).await?;
    brief(&agent, output)?;
    if agent.state != "draining" {
        return Ok(());
    }
    let failure = Failure::plain(format!("{} has messages left to handle", agent.name));
    Err(failure.with_hint("it goes on draining: drain it again to wait longer, or stop it"))
}

/// What a step of the lifecycle came to, in a line.
fn brief(agent: &Agent, output: &Output) -> Outcome {
    output.answer(agent, &agent.name, || {
        format!(
            "{}@{} {} {}\n",
            agent.name, agent.tenant, agent.version, agent.state
        )
    })
}

fn describe(agent: &Agent) -> String {
    let stats = agent.stats.clone().unwrap_or_default();
    let limits = agent.limits.unwrap_or_default();
    let delivery = agent.delivery.clone().unwrap_or_default();
    let manifest = agent.manifest.as_deref().unwrap_or_default();
    let manifest = Manifest::parse(manifest).ok();
    let assistant = manifest.as_ref().and_then(|it| it.assistant.as_ref());
    let what_answers = |agent: &Agent| match assistant {
        Some(assistant) => ("model", models(assistant)),
        None => (
            "component",
            format!("{}, sandbox {}", component(agent), agent.sandbox_profile),
        ),
    };
    let capabilities: Vec<String> = agent
        .capabilities
        .iter()
        .map(|capability| format!("{} {}", capability.name, capability.version))
        .collect();
    let time = |time: Option<caxton_api::wkt::Timestamp>| {
        time.map(|time| time.to_string()).unwrap_or_default()
    };
    fields(&[
        ("name", format!("{}@{}", agent.name, agent.tenant)),
        ("version", agent.version.clone()),
        ("state", agent.state.clone()),
        ("behavior", agent.behavior.clone()),
        ("capabilities", capabilities.join(", ")),
        what_answers(agent),
        ("tools", manifest.as_ref().map(tools).unwrap_or_default()),
        (
            "delivery",
            format!(
                "{}, a mailbox per {}, {} attempts",
                delivery.durability, delivery.mailbox, delivery.attempts_max
            ),
        ),
        (
            "limits",
            format!(
                "memory {}, fuel {} a message, {} ms a message, {} messages waiting",
                size(limits.memory_bytes_max),
                limits.fuel_per_message_max,
                limits.handle_timeout_ms_max,
                limits.mailbox_messages_max
            ),
        ),
        ("handled", stats.messages_handled.to_string()),
        ("failed", stats.messages_failed.to_string()),
        ("waiting", stats.mailbox_messages.to_string()),
        ("used", used(&stats)),
        ("last error", last_error(&stats)),
        ("breaker", breaker(agent.breaker.as_ref())),
        ("deployed", time(agent.create_time)),
        ("changed", time(agent.update_time)),
    ])
}

/// What its instances took of the machine since the server's start.
fn used(stats: &AgentStats) -> String {
    format!(
        "fuel {}, memory {} at most, {} instances now, {} restarts",
        stats.fuel_used,
        size(stats.memory_bytes_most),
        stats.instances,
        stats.restarts
    )
}

/// The model, and those that are asked where it cannot answer.
fn models(assistant: &Assistant) -> String {
    let all: Vec<String> = assistant.models().map(ToString::to_string).collect();
    all.join(", then ")
}

/// What it may call, and with whose leave.
fn tools(manifest: &Manifest) -> String {
    let tools = &manifest.tools;
    let list = |name: &str, patterns: &[Pattern]| {
        let names: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| format!("{name} {}", names.join(", ")))
    };
    let parts = [
        list("allow", &tools.allow),
        list("ask", &tools.ask),
        list("deny", &tools.deny),
        tools.sandbox.then(|| "sandbox: none is called".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join("; ")
}

fn component(agent: &Agent) -> String {
    let size = agent.component_bytes.map(size);
    let sha = agent.component_sha256.as_ref();
    let parts: Vec<String> = size
        .into_iter()
        .chain(sha.map(|sha| format!("sha256:{sha}")))
        .collect();
    parts.join(" ")
}

fn last_error(stats: &AgentStats) -> String {
    let code = stats.last_error_code.as_deref().unwrap_or_default();
    let text = stats.last_error.as_deref().unwrap_or_default();
    coded(code, text)
}

/// An answer about a named agent; where there is none of the name, the nearest one is suggested.
async fn found<T>(answer: Result<T, ClientError>, name: &str, client: &Client) -> Outcome<T> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(error) => Err(suggest(error.into(), name, client).await),
    }
}

/// The failure, with the name that was probably meant.
pub async fn suggest(failure: Failure, name: &str, client: &Client) -> Failure {
    if !failure.is(Code::AgentNotFound) && !failure.is(Code::ReceiverUnknown) {
        return failure;
    }
    let Ok(agents) = all(client, "", "").await else {
        return failure;
    };
    let name = name.split('@').next().unwrap_or(name);
    match nearest(name, agents.iter().map(|agent| agent.name.as_str())) {
        Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
        None => failure,
    }
}
