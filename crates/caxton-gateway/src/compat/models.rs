//! The models that clients of the compatible doors are shown: the tenant's assistants.

use caxton_api::ApiError;
use caxton_core::AgentName;
use caxton_core::error::{Code, Error, shown};
use caxton_core::manifest::BehaviorKind;
use caxton_engine::OpCtx;
use caxton_engine::app::AgentView;
use serde_json::{Value, json};

use crate::api::Api;

/// Assistants that are listed: clients of these lists know no pages, or do not ask for them.
const MODELS_MAX: usize = 1_000;
/// Agents looked at for them.
const AGENTS_MAX: usize = 10_000;

/// The tenant's assistants, by name.
pub(super) fn all(api: &Api, ctx: &OpCtx) -> Result<Vec<AgentView>, ApiError> {
    let agents = api.app().agent_list(ctx, None, AGENTS_MAX)?;
    let assistants = agents.into_iter().filter(is_assistant);
    Ok(assistants.take(MODELS_MAX).collect())
}

/// One assistant. Errors: `CX-2020`, also for an agent that is none.
pub(super) fn one(api: &Api, ctx: &OpCtx, id: &str) -> Result<AgentView, ApiError> {
    let missing = || {
        let detail = format!("there is no assistant `{}`", shown(id));
        Error::new(Code::AgentNotFound, detail)
    };
    let name = AgentName::parse(id).map_err(|_| missing())?;
    let agent = api.app().agent_show(ctx, &name)?;
    match is_assistant(&agent) {
        true => Ok(agent),
        false => Err(missing().into()),
    }
}

fn is_assistant(agent: &AgentView) -> bool {
    agent.manifest.behavior == BehaviorKind::Assistant
}

pub(super) fn openai_list(agents: &[AgentView]) -> Value {
    let data: Vec<Value> = agents.iter().map(openai).collect();
    json!({"object": "list", "data": data})
}

pub(super) fn openai(agent: &AgentView) -> Value {
    json!({
        "id": agent.id.name.as_str(),
        "object": "model",
        "created": agent.created.as_ms() / 1000,
        "owned_by": agent.id.tenant.as_str(),
    })
}

pub(super) fn anthropic_list(agents: &[AgentView]) -> Value {
    let data: Vec<Value> = agents.iter().map(anthropic).collect();
    let id = |agent: Option<&AgentView>| agent.map(|it| it.id.name.to_string());
    json!({
        "data": data,
        "has_more": false,
        "first_id": id(agents.first()),
        "last_id": id(agents.last()),
    })
}

pub(super) fn anthropic(agent: &AgentView) -> Value {
    json!({
        "type": "model",
        "id": agent.id.name.as_str(),
        "display_name": agent.id.name.as_str(),
        "created_at": agent.created.to_string(),
    })
}
