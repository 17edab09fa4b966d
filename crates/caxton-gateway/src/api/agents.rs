//! Agents: create, list, get, update, delete, start, stop, drain.

use std::time::Duration;

use caxton_api::wkt::Empty;
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::error::{Code, Error, shown};
use caxton_core::grant::Permission;
use caxton_core::lifecycle::Phase;
use caxton_core::{AgentName, Manifest};
use caxton_engine::app::{AgentView, Package};
use caxton_engine::port::page::{List, Position, position, token};

use super::providers::if_ill;
use super::{Api, page};
use crate::convert::agent::{Detail, agent};

/// Agents asked of `App` at one time while a list is filtered.
const LIST_ROWS: usize = 1000;
/// How often a drain that is waited for is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

pub(super) async fn create(
    api: &Api,
    call: &CallContext,
    request: v1::CreateAgentRequest,
) -> Result<v1::Agent, ApiError> {
    let ctx = api.open(call).await?;
    let package = Package {
        manifest: Manifest::parse(&request.manifest)?,
        component: request.component.clone(),
    };
    let start = request.start.unwrap_or(true);
    let (app, inner) = (api.app().clone(), ctx.clone());
    // Large, with a manifest in it at several places: not to be moved about.
    let work = Box::pin(async move {
        let view = app.agent_deploy(&inner, package, start).await?;
        Ok(agent(&view, Detail::Full))
    });
    api.create(&ctx, call, &request, work).await
}

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListAgentsRequest,
) -> Result<v1::ListAgentsResponse, ApiError> {
    let ctx = api.open(call).await?;
    let phase = state(&request.state)?;
    let passes = |view: &AgentView| {
        let mut capabilities = view.manifest.capabilities.iter();
        phase.is_none_or(|phase| view.phase == phase)
            && (request.capability.is_empty()
                || capabilities.any(|it| it.name == request.capability))
    };
    // A token is of this tenant's list with these conditions, or it is refused.
    let scope = ctx.authorize(Permission::AgentRead)?;
    let conditions = format!("{} {}", request.state, request.capability);
    let list = List::Records("agents listed", &conditions);
    let given = (!request.page_token.is_empty()).then_some(request.page_token.as_str());
    let mut after = match position(list, &scope, given).map_err(|_| token_malformed())? {
        None => None,
        Some(last) => Some(AgentName::parse(&last.id).map_err(|_| token_malformed())?),
    };
    let wanted = page::rows(request.page_size) as usize;
    let mut agents = Vec::new();
    loop {
        let views = api.app().agent_list(&ctx, after.as_ref(), LIST_ROWS)?;
        let more = views.len() == LIST_ROWS;
        for view in views {
            if agents.len() == wanted {
                // There is at least this one after the page.
                let last = after.map(|name| Position {
                    at: 0,
                    id: name.to_string(),
                });
                let next_page_token = last.map(|last| token(list, &scope, &last));
                let next_page_token = next_page_token.unwrap_or_default();
                return Ok(v1::ListAgentsResponse {
                    agents,
                    next_page_token,
                });
            }
            after = Some(view.id.name.clone());
            if passes(&view) {
                agents.push(agent(&view, Detail::Listed));
            }
        }
        if !more {
            return Ok(v1::ListAgentsResponse {
                agents,
                next_page_token: String::new(),
            });
        }
    }
}

pub(super) async fn get(
    api: &Api,
    call: &CallContext,
    request: &v1::GetAgentRequest,
) -> Result<v1::Agent, ApiError> {
    let ctx = api.open(call).await?;
    let name = name(&request.agent)?;
    let view = api.app().agent_show(&ctx, &name)?;
    let breaker = api.app().agent_breaker(&ctx, &name)?;
    Ok(v1::Agent {
        breaker: if_ill(breaker),
        ..agent(&view, Detail::Full)
    })
}

pub(super) async fn update(
    api: &Api,
    call: &CallContext,
    request: v1::UpdateAgentRequest,
) -> Result<v1::Agent, ApiError> {
    let ctx = api.open(call).await?;
    let name = name(&request.agent)?;
    let manifest = Manifest::parse(&request.manifest)?;
    if manifest.name != name {
        let detail = format!(
            "the manifest is of {} and the path of {name}",
            manifest.name
        );
        return Err(ApiError::new(Code::ParameterMalformed, detail)
            .with_field("manifest", "has another name"));
    }
    let package = Package {
        manifest,
        component: request.component,
    };
    let start = request.start.unwrap_or(false);
    let (app, inner) = (api.app().clone(), ctx.clone());
    let view = api.settle(&ctx, call.method, async move {
        let view = app.agent_update(&inner, &name, package).await?;
        match start && view.phase != Phase::Running {
            true => app.agent_start(&inner, &name).await,
            false => Ok(view),
        }
    });
    Ok(agent(&view.await?, Detail::Full))
}

pub(super) async fn delete(
    api: &Api,
    call: &CallContext,
    request: &v1::DeleteAgentRequest,
) -> Result<Empty, ApiError> {
    let ctx = api.open(call).await?;
    let name = name(&request.agent)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.agent_remove(&inner, &name).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(Empty {})
}

pub(super) async fn start(
    api: &Api,
    call: &CallContext,
    request: &v1::StartAgentRequest,
) -> Result<v1::Agent, ApiError> {
    let ctx = api.open(call).await?;
    let name = name(&request.agent)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let view = api.settle(&ctx, call.method, async move {
        // One that runs is left as it is.
        let view = app.agent_show(&inner, &name)?;
        match view.phase {
            Phase::Running => Ok(view),
            _ => app.agent_start(&inner, &name).await,
        }
    });
    Ok(agent(&view.await?, Detail::Full))
}

pub(super) async fn stop(
    api: &Api,
    call: &CallContext,
    request: &v1::StopAgentRequest,
) -> Result<v1::Agent, ApiError> {
    let ctx = api.open(call).await?;
    let name = name(&request.agent)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.agent_stop(&inner, &name).await };
    let view = api.settle(&ctx, call.method, work).await?;
    Ok(agent(&view, Detail::Full))
}

pub(super) async fn drain(
    api: &Api,
    call: &CallContext,
    request: &v1::DrainAgentRequest,
) -> Result<v1::Agent, ApiError> {
    let ctx = api.open(call).await?;
    let name = name(&request.agent)?;
    let given = api.duration("timeout", &request.timeout)?;
    let until = api
        .clock()
        .now()
        .plus(given.unwrap_or(api.options().drain_wait));
    let (app, inner, waited_for) = (api.app().clone(), ctx.clone(), name.clone());
    let work = async move { app.agent_drain(&inner, &waited_for).await };
    let mut view = api.settle(&ctx, call.method, work).await?;
    let wait = async {
        while view.phase == Phase::Draining && api.clock().now() < until {
            let look = api.clock().now().plus(DRAIN_LOOK).min(until);
            api.clock().sleep_until(look).await;
            view = api.app().agent_show(&ctx, &name)?;
        }
        Ok::<_, Error>(view)
    };
    let view = api.within(&ctx, wait).await?;
    Ok(agent(&view, Detail::Full))
}

/// The name in a path.
pub(super) fn name(text: &str) -> Result<AgentName, ApiError> {
    Ok(AgentName::parse(text)?)
}

fn state(text: &str) -> Result<Option<Phase>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let known = Phase::ALL.into_iter().find(|phase| phase.as_str() == text);
    known.map(Some).ok_or_else(|| {
        let names: Vec<_> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
        let what = format!("is none of {}", names.join(", "));
        let detail = format!("`state` {what}: `{}`", shown(text));
        ApiError::new(Code::ParameterMalformed, detail).with_field("state", what)
    })
}

pub(super) fn token_malformed() -> ApiError {
    let detail = "the page token is not of this list";
    ApiError::new(Code::ParameterMalformed, detail).with_field("pageToken", "is not of this list")
}
