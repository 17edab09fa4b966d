//! What a manifest names and the server does not have: providers of models, tools, agents. An agent is
//! deployed all the same, because they may come later; so these are warnings. Whoever may not see such
//! things is told nothing.

use crate::cli::agent::all;
use crate::cli::output::Output;
use caxton_api::client::Client;
use caxton_api::v1::{Agent, GetProviderRequest, ListToolsRequest, Tool};
use caxton_core::Manifest;
use caxton_core::error::Code;
use caxton_core::manifest::nearest;
use caxton_core::tool::AGENT_PREFIX;
use caxton_core::tool::permit::Pattern;
use std::collections::BTreeSet;

/// Tools on one page of the API.
const PAGE: u32 = 1000;
/// Pages of tools that are looked at.
const PAGES_MAX: usize = 16;

/// Warns of what an agent names and is not there.
pub(super) async fn warn(client: &Client, agent: &Agent, output: &Output) {
    let Ok(manifest) = Manifest::parse(agent.manifest.as_deref().unwrap_or_default()) else {
        return;
    };
    for missing in providers(client, &manifest).await {
        output.note(&format!(
            "warning: {} has a model of provider `{missing}`, which is not there: its turns fail (CX-7002) until \
             `caxton provider set {missing}` makes it; `caxton provider list` shows those there are, and a model is \
             named `provider/model`, such as openai/gpt-5",
            agent.name
        ));
    }
    for (pattern, near) in tools(client, &manifest).await {
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        output.note(&format!(
            "warning: {} names the tool `{pattern}`, which is not there: until it is, the rule says nothing \
             (`caxton tool list`, `caxton agent list`){near}",
            agent.name
        ));
    }
}

async fn providers(client: &Client, manifest: &Manifest) -> BTreeSet<String> {
    let models = manifest.assistant.iter().flat_map(|it| it.models());
    let mut missing = BTreeSet::new();
    for model in models {
        let name = model.provider();
        let request = GetProviderRequest {
            provider: name.to_owned(),
        };
        let found = client.get_provider(&request).await;
        let is_missing = found
            .err()
            .is_some_and(|error| error.code() == Some(Code::ProviderNotFound.as_str()));
        if is_missing {
            missing.insert(name.to_owned());
        }
    }
    missing
}

/// Rules that name nothing that is there, each with the nearest that is.
async fn tools(client: &Client, manifest: &Manifest) -> Vec<(String, Option<String>)> {
    let rules = &manifest.tools;
    let all_rules = || {
        [&rules.allow, &rules.ask, &rules.deny]
            .into_iter()
            .flatten()
    };
    let names_agents = all_rules().any(|it| matches!(it, Pattern::Agent(_)));
    let names_tools = all_rules().any(|it| matches!(it, Pattern::Tool(_) | Pattern::Function(..)));
    let agents = match names_agents {
        true => all(client, "", "").await.ok(),
        false => None,
    };
    let agents = agents.map(|all| all.into_iter().map(|it| it.name).collect::<Vec<_>>());
    let tools = match names_tools {
        true => registered(client).await,
        false => None,
    };
    let mut missing = Vec::new();
    for pattern in all_rules() {
        let known = match (pattern, &agents, &tools) {
            (Pattern::Agent(_), Some(agents), _) => agents
                .iter()
                .map(|it| format!("{AGENT_PREFIX}{it}"))
                .collect(),
            (Pattern::Tool(_), _, Some(tools)) => tools.iter().map(|it| it.name.clone()).collect(),
            (Pattern::Function(tool, _), _, Some(tools)) => {
                match tools.iter().find(|it| it.name == tool.as_str()) {
                    // An operator's program is not asked before its first call.
                    Some(tool) if tool.functions.is_empty() => continue,
                    Some(tool) => functions([tool]),
                    None => functions(tools),
                }
            }
            _ => continue,
        };
        let (pattern, known): (String, Vec<String>) = (pattern.to_string(), known);
        let is_told = missing.iter().any(|(it, _)| *it == pattern);
        if !is_told && !known.contains(&pattern) {
            let near = nearest(&pattern, known.iter().map(String::as_str));
            missing.push((pattern.clone(), near.map(str::to_owned)));
        }
    }
    missing
}

fn functions<'a>(tools: impl IntoIterator<Item = &'a Tool>) -> Vec<String> {
    let all = tools.into_iter().flat_map(|it| &it.functions);
    all.map(|it| it.id.clone()).collect()
}

/// The tools of the tenant and of the server; `None` where they cannot all be seen.
async fn registered(client: &Client) -> Option<Vec<Tool>> {
    let mut request = ListToolsRequest {
        page_size: PAGE,
        ..ListToolsRequest::default()
    };
    let mut tools = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = client.list_tools(&request).await.ok()?;
        tools.extend(page.tools);
        if page.next_page_token.is_empty() {
            return Some(tools);
        }
        request.page_token = page.next_page_token;
    }
    None
}
