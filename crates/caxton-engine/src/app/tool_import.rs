//! Reading descriptions of endpoints that somebody else wrote.

use super::App;
use crate::opctx::OpCtx;
use crate::port::tool::Described;
use caxton_core::error::Error;
use caxton_core::grant::Permission;
use caxton_core::tool::HttpTool;

impl App {
    /// The tool that an `OpenAPI` document describes; it is not registered yet. Errors: `CX-8002`.
    pub fn tool_import(&self, ctx: &OpCtx, of: &Described<'_>) -> Result<HttpTool, Error> {
        ctx.authorize(Permission::ToolWrite)?;
        self.shared.services.tools.registry.import(of)
    }
}
