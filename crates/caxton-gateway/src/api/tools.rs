//! Tools, their calls, and what a tenant permits.

use async_trait::async_trait;
use caxton_api::tools::ToolsApi;
use caxton_api::wkt::{Empty, Value};
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::error::{Code, Error};
use caxton_core::tool::{Definition, HttpTool, ToolName};
use caxton_engine::app::{ToolCallDone, TryCall};
use caxton_engine::port::secrets::Secret;
use caxton_engine::port::tool::Described;
use caxton_engine::tools::{CallFilter, NewTool};
use caxton_engine::{App, OpCtx};

use super::providers::if_ill;
use super::{Api, messages, page, sessions};
use crate::convert::session::part;
use crate::convert::tool::{
    Defined, OpenApi, Reached, arguments, call as record, policy, policy_read, tool, tool_id,
    tool_name,
};

/// What a request says of a tool.
struct Asked {
    name: ToolName,
    description: String,
    defined: Defined,
    secret: String,
    price_micros: u64,
}

impl Asked {
    /// What is registered; an `OpenAPI` document is read on the way.
    async fn complete(self, app: &App, ctx: &OpCtx) -> Result<NewTool, Error> {
        let (definition, component) = match self.defined {
            Defined::Plain(definition) => (definition, None),
            Defined::Wasm(component, bytes) => (Definition::Wasm { component }, Some(bytes)),
            Defined::OpenApi(of) => (Definition::Http(imported(of, app, ctx).await?), None),
        };
        Ok(NewTool {
            name: self.name,
            description: self.description,
            definition,
            secret: (!self.secret.is_empty()).then(|| Secret::new(&self.secret)),
            component,
            price_micros: self.price_micros,
        })
    }
}

/// The tool that a document describes. A large one takes a processor for seconds: it is read off the
/// threads that serve.
async fn imported(of: OpenApi, app: &App, ctx: &OpCtx) -> Result<HttpTool, Error> {
    let (app, ctx) = (app.clone(), ctx.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let described = Described {
            document: &of.document,
            base_url: of.base_url.as_deref(),
            auth: &of.auth,
            only: &of.only,
        };
        app.tool_import(&ctx, &described)
    });
    let read = reading.await;
    read.map_err(|error| {
        let detail = format!("reading an OpenAPI document failed: {error}");
        Error::new(Code::Internal, detail)
    })?
}

/// What a call came to.
fn done(it: &ToolCallDone) -> v1::CallToolResponse {
    v1::CallToolResponse {
        call: Some(record(&it.record)),
        content: it.answer.parts.iter().map(part).collect(),
        structured: it.answer.structured.clone().map(Value),
        is_error: it.answer.is_error,
    }
}

#[async_trait]
impl ToolsApi for Api {
    async fn list_tools(
        &self,
        call: &CallContext,
        request: v1::ListToolsRequest,
    ) -> Result<v1::ListToolsResponse, ApiError> {
        let ctx = self.open(call).await?;
        let page = page::request(request.page_size, &request.page_token);
        let found = self.app().tool_list(&ctx, &page);
        let found = self.within(&ctx, found).await?;
        Ok(v1::ListToolsResponse {
            tools: found.rows.iter().map(tool).collect(),
            next_page_token: found.next.unwrap_or_default(),
        })
    }

    async fn get_tool(
        &self,
        call: &CallContext,
        request: v1::GetToolRequest,
    ) -> Result<v1::Tool, ApiError> {
        let ctx = self.open(call).await?;
        let name = tool_name(&request.tool)?;
        let found = self.within(&ctx, self.app().tool_show(&ctx, &name)).await?;
        let breaker = self.app().tool_breaker(&ctx, &name)?;
        Ok(v1::Tool {
            breaker: if_ill(breaker),
            ..tool(&found)
        })
    }

    async fn create_tool(
        &self,
        call: &CallContext,
        request: v1::CreateToolRequest,
    ) -> Result<v1::Tool, ApiError> {
        let ctx = self.open(call).await?;
        let name = ToolName::parse(&request.name).map_err(|error| {
            let detail = error.detail.clone();
            ApiError::from(error).with_field("name", detail)
        })?;
        let given = request.clone();
        let reached = Reached {
            http: given.http,
            mcp: given.mcp,
            wasm: given.wasm,
        };
        let asked = Asked {
            name,
            description: given.description,
            defined: reached.read()?,
            secret: given.secret,
            price_micros: given.price_micros,
        };
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = Box::pin(async move {
            let wanted = asked.complete(&app, &inner).await?;
            Ok(tool(&app.tool_register(&inner, wanted).await?))
        });
        self.create(&ctx, call, &request, work).await
    }

    async fn replace_tool(
        &self,
        call: &CallContext,
        request: v1::ReplaceToolRequest,
    ) -> Result<v1::Tool, ApiError> {
        let ctx = self.open(call).await?;
        let name = tool_name(&request.tool)?;
        let reached = Reached {
            http: request.http,
            mcp: request.mcp,
            wasm: request.wasm,
        };
        let asked = Asked {
            name,
            description: request.description,
            defined: reached.read()?,
            secret: request.secret,
            price_micros: request.price_micros,
        };
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = Box::pin(async move {
            let wanted = asked.complete(&app, &inner).await?;
            app.tool_replace(&inner, wanted).await
        });
        Ok(tool(&self.settle(&ctx, call.method, work).await?))
    }

    async fn delete_tool(
        &self,
        call: &CallContext,
        request: v1::DeleteToolRequest,
    ) -> Result<Empty, ApiError> {
        let ctx = self.open(call).await?;
        let name = tool_name(&request.tool)?;
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = async move { app.tool_remove(&inner, &name).await };
        self.settle(&ctx, call.method, work).await?;
        Ok(Empty {})
    }

    async fn refresh_tool(
        &self,
        call: &CallContext,
        request: v1::RefreshToolRequest,
    ) -> Result<v1::Tool, ApiError> {
        let ctx = self.open(call).await?;
        let name = tool_name(&request.tool)?;
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = async move { app.tool_refresh(&inner, &name).await };
        Ok(tool(&self.settle(&ctx, call.method, work).await?))
    }

    async fn accept_tool(
        &self,
        call: &CallContext,
        request: v1::AcceptToolRequest,
    ) -> Result<v1::Tool, ApiError> {
        let ctx = self.open(call).await?;
        let name = tool_name(&request.tool)?;
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = async move { app.tool_accept(&inner, &name).await };
        Ok(tool(&self.settle(&ctx, call.method, work).await?))
    }

    async fn call_tool(
        &self,
        call: &CallContext,
        request: v1::CallToolRequest,
    ) -> Result<v1::CallToolResponse, ApiError> {
        let ctx = self.open(call).await?;
        let session = match request.session_id.as_str() {
            "" => None,
            id => Some(sessions::named(id)?),
        };
        let wanted = TryCall {
            id: tool_id(&request.tool, &request.function)?,
            arguments: arguments(request.arguments.clone()),
            session,
        };
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = Box::pin(async move { Ok(done(&app.tool_call(&inner, wanted).await?)) });
        self.create(&ctx, call, &request, work).await
    }

    async fn list_tool_calls(
        &self,
        call: &CallContext,
        request: v1::ListToolCallsRequest,
    ) -> Result<v1::ListToolCallsResponse, ApiError> {
        let ctx = self.open(call).await?;
        let name = tool_name(&request.tool)?;
        self.within(&ctx, self.app().tool_show(&ctx, &name)).await?;
        let filter = CallFilter {
            tool: Some(name.to_string()),
            ..CallFilter::default()
        };
        calls(
            self,
            &ctx,
            &filter,
            (request.page_size, &request.page_token),
        )
        .await
    }

    async fn list_all_tool_calls(
        &self,
        call: &CallContext,
        request: v1::ListAllToolCallsRequest,
    ) -> Result<v1::ListToolCallsResponse, ApiError> {
        let ctx = self.open(call).await?;
        let filter = CallFilter {
            tool: Some(request.tool).filter(|it| !it.is_empty()),
            agent: messages::agent(&request.agent)?,
            session: Some(request.session).filter(|it| !it.is_empty()),
        };
        calls(
            self,
            &ctx,
            &filter,
            (request.page_size, &request.page_token),
        )
        .await
    }

    async fn get_tool_call(
        &self,
        call: &CallContext,
        request: v1::GetToolCallRequest,
    ) -> Result<v1::ToolCall, ApiError> {
        let ctx = self.open(call).await?;
        let found = self.app().tool_call_show(&ctx, &request.call);
        Ok(record(&self.within(&ctx, found).await?))
    }

    async fn get_tool_policy(
        &self,
        call: &CallContext,
        request: v1::GetToolPolicyRequest,
    ) -> Result<v1::ToolPolicy, ApiError> {
        let v1::GetToolPolicyRequest {} = request;
        let ctx = self.open(call).await?;
        let found = self.within(&ctx, self.app().tool_policy(&ctx)).await?;
        Ok(policy(&found))
    }

    async fn set_tool_policy(
        &self,
        call: &CallContext,
        request: v1::SetToolPolicyRequest,
    ) -> Result<v1::ToolPolicy, ApiError> {
        let ctx = self.open(call).await?;
        let given = request.policy.ok_or_else(|| {
            ApiError::new(Code::ParameterMalformed, "`policy` is missing")
                .with_field("policy", "is missing")
        })?;
        let wanted = policy_read(given)?;
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = async move { app.tool_policy_set(&inner, wanted).await };
        Ok(policy(&self.settle(&ctx, call.method, work).await?))
    }
}

async fn calls(
    api: &Api,
    ctx: &OpCtx,
    filter: &CallFilter,
    (page_size, page_token): (u32, &str),
) -> Result<v1::ListToolCallsResponse, ApiError> {
    let page = page::request(page_size, page_token);
    let found = api.within(ctx, api.app().tool_calls(ctx, filter, &page));
    let found = found.await?;
    Ok(v1::ListToolCallsResponse {
        tool_calls: found.rows.iter().map(record).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}
