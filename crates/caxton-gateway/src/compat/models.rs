//! The models that clients of the compatible doors are shown: the tenant's assistants.

use caxton_api::ApiError;
use caxton_core::AgentName;
use caxton_core::error::{Code, Error, shown};
use caxton_core::manifest::BehaviorKind;
use caxton_engine::OpCtx;
use caxton_engine::app::AgentView;
use serde_json::{Value, json};

use crate::api::Api;
use crate::compat::read::wrong;

/// Assistants that are listed: clients of these lists know no pages, or do not ask for them.
const MODELS_MAX: usize = 1_000;
/// Models of one page of Anthropic's list where the client does not say.
const PAGE_MODELS: usize = 20;
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

/// Which of them: as the Messages API's lists are paged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    limit: usize,
    after: Option<String>,
    before: Option<String>,
}

impl Page {
    /// Of a query; names that it does not know are passed over, as there.
    pub(super) fn of(query: Option<&str>) -> Result<Self, ApiError> {
        let mut page = Self {
            limit: PAGE_MODELS,
            after: None,
            before: None,
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "limit" => {
                    let limit = value.parse().ok();
                    let limit = limit.filter(|it| (1..=MODELS_MAX).contains(it));
                    let what = "is no number from 1 to 1000";
                    page.limit = limit.ok_or_else(|| wrong("limit", what))?;
                }
                "after_id" => page.after = Some(value.into_owned()),
                "before_id" => page.before = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(page)
    }

    /// Its part of them all, and whether there is more in its direction.
    fn cut<'a>(&self, agents: &'a [AgentView]) -> (&'a [AgentView], bool) {
        let place = |id: &str| agents.iter().position(|it| it.id.name.as_str() == id);
        let (from, to) = match (&self.after, &self.before) {
            (Some(after), _) => (place(after).map_or(agents.len(), |at| at + 1), agents.len()),
            (None, Some(before)) => {
                let to = place(before).unwrap_or(0);
                let part = agents.get(to.saturating_sub(self.limit)..to);
                return (part.unwrap_or_default(), to > self.limit);
            }
            (None, None) => (0, agents.len()),
        };
        let end = to.min(from.saturating_add(self.limit));
        (agents.get(from..end).unwrap_or_default(), end < to)
    }
}

pub(super) fn anthropic_list(agents: &[AgentView], page: &Page) -> Value {
    let (agents, has_more) = page.cut(agents);
    let data: Vec<Value> = agents.iter().map(anthropic).collect();
    let id = |agent: Option<&AgentView>| agent.map(|it| it.id.name.to_string());
    json!({
        "data": data,
        "has_more": has_more,
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
