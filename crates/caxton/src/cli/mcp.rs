//! `caxton mcp`: this tenant for a coding tool, by the Model Context Protocol on standard input and
//! output. It does what the command line does, over the same client and with the same key; standard
//! output has the protocol alone.

mod act;

use super::{Global, target};
use crate::failure::{Failure, Outcome};
use act::Act;
use caxton_api::client::Client;
use clap::Args;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use std::fs::File;
use std::os::fd::AsFd;

const INSTRUCTIONS: &str = "A Caxton server: agents that exchange messages. Deploy an agent from a \
folder with agent.toml, send it messages, read its log; list and call the tools that agents have.";

/// What it takes is what every command takes: --server, --key, --tenant.
#[derive(Debug, Args)]
pub struct McpArgs {}

/// The protocol's side of it.
struct Door {
    client: Client,
}

pub async fn run(args: McpArgs, global: &Global) -> Outcome {
    let McpArgs {} = args;
    let client = target::client(global)?;
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::plain("the protocol cannot be spoken").because(error.to_string())
    };
    let (input, output) = (std::io::stdin(), std::io::stdout());
    let input = file(input.as_fd()).map_err(|error| cannot(&error))?;
    let output = file(output.as_fd()).map_err(|error| cannot(&error))?;
    let served = Door { client }.serve((input, output)).await;
    let served = match served {
        Ok(served) => served,
        // Whoever asked went away before a word was said.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(cannot(&error)),
    };
    served.waiting().await.map_err(|error| cannot(&error))?;
    Ok(())
}

/// A standard stream, read and written apart from the runtime's own thread.
fn file(stream: std::os::fd::BorrowedFd<'_>) -> std::io::Result<tokio::fs::File> {
    Ok(tokio::fs::File::from_std(File::from(
        stream.try_clone_to_owned()?,
    )))
}

impl ServerHandler for Door {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let me = Implementation::new("caxton", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(capabilities)
            .with_server_info(me)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools: Vec<Tool> = Act::ALL.iter().map(|it| it.tool()).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(act) = Act::ALL.iter().find(|it| it.name() == request.name) else {
            let text = format!(
                "there is no tool `{}`",
                caxton_core::error::shown(&request.name)
            );
            return Err(ErrorData::invalid_params(text, None));
        };
        let arguments = request.arguments.unwrap_or_default();
        let result = match act.run(&self.client, arguments).await {
            Ok(said) => said,
            Err(failure) => CallToolResult::error(vec![ContentBlock::text(failure.text())]),
        };
        Ok(result.into())
    }
}
