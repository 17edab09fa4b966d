//! Tools: who carries calls out, and which of them the operator gives.

use crate::config::Config;
use crate::failure::Outcome;
use caxton_core::error::Error;
use caxton_core::tool::define::McpPlace;
use caxton_core::tool::{Auth, Definition, McpTool, ToolName};
use caxton_engine::port::Http;
use caxton_engine::port::tool::Executor;
use caxton_engine::tools::{OperatorTool, ToolOptions};
use caxton_tools::builtin::Builtins;
use caxton_tools::http_tool::HttpTools;
use caxton_tools::mcp::McpTools;
use std::sync::Arc;

/// Tools that every tenant has and that need the world.
///
/// # Errors
/// `CX-6010` for what is no address.
pub fn build_builtin_tools(config: &Config, http: &Arc<dyn Http>) -> Outcome<Arc<dyn Executor>> {
    let ways = super::models::ways(config)?;
    let tools = Builtins::new(Arc::clone(http), &ways, config.browser.options());
    Ok(Arc::new(tools))
}

/// Tools that are endpoints.
pub fn build_http_tools(http: &Arc<dyn Http>) -> Arc<dyn Executor> {
    Arc::new(HttpTools::new(Arc::clone(http)))
}

/// Tools that are servers of the Model Context Protocol.
pub fn build_mcp_tools(config: &Config, http: &Arc<dyn Http>) -> Arc<dyn Executor> {
    let programs = config.mcp.iter();
    let programs = programs.filter_map(|(name, mcp)| Some((name.clone(), mcp.program()?)));
    let options = caxton_tools::mcp::Options {
        programs: programs.collect(),
        ..caxton_tools::mcp::Options::default()
    };
    Arc::new(McpTools::new(Arc::clone(http), options))
}

/// What the engine is told of tools.
///
/// # Errors
/// A name that is no tool's, which the configuration's own check has refused before.
pub fn options(config: &Config) -> Outcome<ToolOptions> {
    let operators: Result<Vec<OperatorTool>, Error> = config
        .mcp
        .iter()
        .map(|(name, mcp)| {
            let place = match mcp.url.as_str() {
                "" => McpPlace::Program(name.clone()),
                url => McpPlace::Url(url.to_owned()),
            };
            Ok(OperatorTool {
                name: ToolName::parse(name)?,
                description: mcp.description.clone(),
                definition: Definition::Mcp(McpTool {
                    place,
                    auth: Auth::None,
                    only: Vec::new(),
                }),
                secret: None,
            })
        })
        .collect();
    Ok(ToolOptions {
        operators: operators?,
        ..ToolOptions::default()
    })
}
