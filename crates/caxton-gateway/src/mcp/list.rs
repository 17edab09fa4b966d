//! What a caller is offered: functions that it may call, and agents that it may ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use caxton_api::management::ManagementApi;
use caxton_api::tools::ToolsApi;
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::grant::Permission;
use caxton_core::tool::{Effect, Layers, Rules, ToolId, Verdict, decide, permit::Pattern};
use rmcp::model::{JsonObject, ListToolsResult, Tool, ToolAnnotations};
use serde_json::{Value, json};

use super::names::{self, NAME_BYTES_MAX};
use crate::api::Api;
use crate::door::auth::Caller;

/// Rows that are asked of the other operations at a time: their most.
const PAGE_ROWS: u32 = 1_000;
/// Pages of tools, and of agents, that are looked at.
const PAGES_MAX: usize = 10;
/// Tools on a page of this door.
const PAGE_TOOLS: usize = 250;

/// A page of what is offered; a cursor is the name that the page before ended with.
pub(super) async fn tools(
    api: &Api,
    call: &impl Fn(&'static str) -> Result<CallContext, ApiError>,
    cursor: Option<&str>,
) -> Result<ListToolsResult, ApiError> {
    let mut offered: BTreeMap<String, (usize, Tool)> = BTreeMap::new();
    let mut offer = |id: &ToolId, tool: Tool| {
        let rank = names::rank(id);
        let name = tool.name.to_string();
        let taken = offered.get(&name).is_some_and(|(other, _)| *other <= rank);
        if name.len() <= NAME_BYTES_MAX && !taken {
            offered.insert(name, (rank, tool));
        }
    };
    functions(api, call, &mut offer).await?;
    agents(api, call, &mut offer).await?;
    let mut rest = offered
        .into_iter()
        .filter(|(name, _)| cursor.is_none_or(|cursor| name.as_str() > cursor))
        .map(|(_, (_, tool))| tool);
    let page: Vec<Tool> = rest.by_ref().take(PAGE_TOOLS).collect();
    let last = page.last().map(|it| it.name.to_string());
    let mut result = ListToolsResult::with_all_items(page);
    result.next_cursor = last.filter(|_| rest.next().is_some());
    Ok(result)
}

/// Whether the caller has a permission. One that it lacks is no attempt that would be written down.
fn may(call: &CallContext, permissions: &[Permission]) -> bool {
    let caller = call.extensions.get::<Caller>();
    caller.is_some_and(|caller| {
        let all = permissions.iter();
        all.copied()
            .all(|it| caller.principal().may(it, &caller.tenant))
    })
}

async fn functions(
    api: &Api,
    call: &impl Fn(&'static str) -> Result<CallContext, ApiError>,
    offer: &mut impl FnMut(&ToolId, Tool),
) -> Result<(), ApiError> {
    let listing = call("caxton.v1.Tools/ListTools")?;
    if !may(&listing, &[Permission::ToolRead, Permission::ToolCall]) {
        return Ok(());
    }
    let asked = call("caxton.v1.Tools/GetToolPolicy")?;
    let asked = api.get_tool_policy(&asked, v1::GetToolPolicyRequest {});
    let policy = crate::convert::tool::policy_read(asked.await?)?.rules;
    let mut request = v1::ListToolsRequest {
        page_size: PAGE_ROWS,
        page_token: String::new(),
    };
    for _ in 0..PAGES_MAX {
        let page = api.list_tools(&listing, request.clone()).await?;
        for (tool, function) in page
            .tools
            .iter()
            .flat_map(|it| it.functions.iter().map(move |of| (it, of)))
        {
            let Ok(id) = ToolId::parse(&function.id) else {
                continue;
            };
            if function.state == "agreed" && permitted(&policy, &id, &function.effect) {
                offer(&id, of_function(tool, function));
            }
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Whether the tenant's policy lets the function be called by somebody who needs no grant.
fn permitted(policy: &Rules, id: &ToolId, effect: &str) -> bool {
    let named = match id {
        ToolId::Function(tool, function) => Pattern::Function(tool.clone(), function.clone()),
        ToolId::Agent(agent) => Pattern::Agent(agent.clone()),
    };
    let caller = Rules {
        allow: vec![named],
        ..Rules::default()
    };
    let layers = Layers {
        tenant: policy,
        agent: &caller,
        session: None,
    };
    let effect = match effect {
        "reads" => Effect::Reads,
        _ => Effect::Acts,
    };
    !matches!(decide(&layers, id, effect), Verdict::Deny(..))
}

fn of_function(tool: &v1::Tool, function: &v1::ToolFunction) -> Tool {
    let object = |schema: &Option<caxton_api::wkt::Struct>| {
        schema
            .as_ref()
            .map(|it| Arc::new(JsonObject::from_iter(it.0.clone())))
    };
    let description = match function.description.as_str() {
        "" => tool.description.clone(),
        text => text.to_owned(),
    };
    let input = object(&function.input_schema).unwrap_or_else(|| Arc::new(any_object()));
    let reads = function.effect == "reads";
    let hints = ToolAnnotations::new()
        .read_only(reads)
        .idempotent(reads || function.repeatable);
    let mut offered = Tool::new(
        names::of_function(&tool.name, &function.name),
        description,
        input,
    );
    offered.annotations = Some(hints);
    offered.output_schema = object(&function.output_schema);
    offered.title = Some(function.id.clone());
    offered
}

fn any_object() -> JsonObject {
    JsonObject::from_iter([("type".to_owned(), json!("object"))])
}

async fn agents(
    api: &Api,
    call: &impl Fn(&'static str) -> Result<CallContext, ApiError>,
    offer: &mut impl FnMut(&ToolId, Tool),
) -> Result<(), ApiError> {
    let listing = call("caxton.v1.CaxtonManagement/ListAgents")?;
    if !may(&listing, &[Permission::AgentRead, Permission::AgentInvoke]) {
        return Ok(());
    }
    let mut request = v1::ListAgentsRequest {
        page_size: PAGE_ROWS,
        state: "running".to_owned(),
        ..v1::ListAgentsRequest::default()
    };
    for _ in 0..PAGES_MAX {
        let page = api.list_agents(&listing, request.clone()).await?;
        for agent in &page.agents {
            if let Ok(name) = caxton_core::AgentName::parse(&agent.name) {
                offer(&ToolId::Agent(name), of_agent(agent));
            }
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    Ok(())
}

fn of_agent(agent: &v1::Agent) -> Tool {
    let able: Vec<&str> = agent
        .capabilities
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    let able = match able.as_slice() {
        [] => String::new(),
        able => format!(" It can: {}.", able.join(", ")),
    };
    let description = format!(
        "Ask the agent `{}` and wait for its answer.{able}",
        agent.name
    );
    let schema = json!({
        "type": "object",
        "properties": {
            "message": {"type": "string", "description": "What is said to the agent."},
            "conversation": {"type": "string", "description": "The conversation it belongs to."},
            "timeout": {"type": "string", "description": "How long to wait, such as 30s."},
        },
        "required": ["message"],
        "additionalProperties": false,
    });
    let schema = match schema {
        Value::Object(fields) => JsonObject::from_iter(fields),
        _ => any_object(),
    };
    Tool::new(names::of_agent(&agent.name), description, Arc::new(schema))
}
