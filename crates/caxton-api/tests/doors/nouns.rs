//! Services whose fake answers with what is empty: the machinery is the same for all, and one service
//! with rich answers shows it. Here each operation has its line, with a request that has every field.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use caxton_api::approvals::{self, ApprovalsApi};
use caxton_api::audit::{self, AuditApi};
use caxton_api::client::Client;
use caxton_api::external_agent_router::{self, ExternalAgentRouterApi};
use caxton_api::keys::{self, KeysApi};
use caxton_api::limits::{self, LimitsApi};
use caxton_api::providers::{self, ProvidersApi};
use caxton_api::requests::{self, RequestsApi};
use caxton_api::roles::{self, RolesApi};
use caxton_api::sessions::{self, SessionsApi};
use caxton_api::tenants::{self, TenantsApi};
use caxton_api::tools::{self, ToolsApi};
use caxton_api::v1::*;
use caxton_api::wkt::{Empty, Struct, Timestamp};
use caxton_api::{ApiError, ApiStream, CallContext, rest};
use futures::StreamExt;

use crate::fake::Fake;
use crate::parity::same;

/// A name with everything a path must escape.
const NAME: &str = "a/b?c=1&d#e%2F é+";

fn name() -> String {
    NAME.to_owned()
}

fn time() -> Option<Timestamp> {
    Some(Timestamp {
        seconds: 1_795_324_162,
        nanos: 1000,
    })
}

fn rates() -> Option<Rates> {
    let rate = Some(Rate {
        count: u64::MAX,
        seconds: 1,
        burst: 0,
    });
    Some(Rates {
        server: rate,
        tenant: None,
        key: rate,
        operations: [(name(), Rate::default())].into(),
    })
}

fn quota() -> Option<Quota> {
    let limit = QuotaLimit {
        limit: u64::MAX,
        period: name(),
        overage: name(),
    };
    Some(Quota {
        messages: Some(limit.clone()),
        tokens: None,
        cost_micros: Some(limit),
    })
}

fn chat() -> ChatRequest {
    let inner = MessagePart {
        r#type: name(),
        text: Some(name()),
        ..MessagePart::default()
    };
    ChatRequest {
        agent: name(),
        session_id: name(),
        message: name(),
        parts: vec![MessagePart {
            r#type: name(),
            text: Some(String::new()),
            url: Some(name()),
            media_type: Some(name()),
            data: Some(name()),
            id: Some(name()),
            name: Some(name()),
            arguments: Some(name()),
            content: vec![inner],
            is_error: Some(false),
        }],
        stream: true,
        thinking: name(),
    }
}

/// Objects as both doors have them: gRPC's are sorted, and its numbers are floating point.
fn object() -> Option<Struct> {
    Struct::of(serde_json::json!({"a": [1, 0.5, null, {"b": name()}], "c": {}}))
}

fn rules() -> Option<ToolRules> {
    Some(ToolRules {
        allow: vec![name()],
        ask: vec![],
        deny: vec![name(), name()],
        sandbox: true,
    })
}

fn auth() -> Option<ToolAuth> {
    Some(ToolAuth {
        r#type: name(),
        name: name(),
    })
}

fn http_tool() -> Option<HttpTool> {
    Some(HttpTool {
        base_url: name(),
        auth: auth(),
        functions: vec![HttpFunction {
            name: name(),
            description: name(),
            input_schema: object(),
            output_schema: Some(Struct::default()),
            effect: name(),
            repeatable: true,
            method: name(),
            path: name(),
            places: [(name(), name())].into(),
            headers: [(name(), name())].into(),
        }],
        openapi: Some(name()),
        only: vec![name()],
    })
}

fn mcp_tool() -> Option<McpTool> {
    Some(McpTool {
        url: name(),
        program: name(),
        auth: auth(),
        only: vec![name(), name()],
    })
}

fn wasm_tool() -> Option<WasmTool> {
    Some(WasmTool {
        component: Some(vec![0, 255].into()),
        digest: None,
    })
}

/// What the fake answers: what is empty, where nothing else is said.
macro_rules! given {
    ($answer:ty) => {
        <$answer>::default()
    };
    ($answer:ty, $given:expr) => {
        $given
    };
}

/// The fake of a service, its doors, and the comparison of them.
macro_rules! nouns {
    ($($module:ident $api:ident $client_module:ident $client:ident {
        $($method:ident($request:ty = $sample:expr) -> $answer:ty $(= $given:expr)?;)*
        $(@streams { $($stream:ident($stream_request:ty) -> $item:ty;)* })?
    })*) => {
        $(#[async_trait]
        impl $api for Fake {
            $($(async fn $stream(
                &self,
                context: &CallContext,
                request: $stream_request,
            ) -> Result<ApiStream<$item>, ApiError> {
                self.see(context, &request);
                Ok(futures::stream::empty().boxed())
            })*)?
            $(async fn $method(
                &self,
                context: &CallContext,
                request: $request,
            ) -> Result<$answer, ApiError> {
                self.see(context, &request);
                Ok(given!($answer $(, $given)?))
            })*
        })*

        /// The doors of all of them.
        pub fn router(fake: &Arc<Fake>, options: rest::Options) -> Router {
            Router::new()
                $(.merge($module::router(fake.clone(), options))
                .merge($module::grpc_router(fake.clone(), options)))*
        }

        /// Calls every operation at both doors.
        pub async fn compare(fake: &Fake, client: &Client, url: &str, methods: &mut BTreeSet<&'static str>) {
            $({
                let mut grpc = $client_module::$client::connect(url.to_owned()).await.unwrap();
                $(same!(fake, client, grpc, methods, $method, $sample);)*
            })*
        }
    };
}

nouns! {
    approvals ApprovalsApi approvals_client ApprovalsClient {
        list_approvals(ListApprovalsRequest = ListApprovalsRequest { state: name(), page_size: 1, page_token: name() }) -> ListApprovalsResponse;
        get_approval(GetApprovalRequest = GetApprovalRequest { approval: name() }) -> Approval;
        approve_call(ApproveCallRequest = ApproveCallRequest { approval: name(), note: name(), digest: name() }) -> Approval;
        deny_call(DenyCallRequest = DenyCallRequest { approval: name(), note: name() }) -> Approval;
    }
    audit AuditApi audit_client AuditClient {
        list_audit_entries(ListAuditEntriesRequest = ListAuditEntriesRequest { page_size: 1, page_token: name(), actor: name(), action: name(), target: name(), outcome: name(), from: name(), until: name(), platform: true }) -> ListAuditEntriesResponse;
        get_audit_head(GetAuditHeadRequest = GetAuditHeadRequest { platform: true }) -> AuditHead;
        trim_audit(TrimAuditRequest = TrimAuditRequest { before: name(), platform: true }) -> TrimAuditResponse;
        erase_person(ErasePersonRequest = ErasePersonRequest { person: name() }) -> Empty;
        @streams { export_audit(ExportAuditRequest) -> AuditLine; }
    }
    external_agent_router ExternalAgentRouterApi external_agent_router_client ExternalAgentRouterClient {
        invoke_agent(InvokeAgentRequest = InvokeAgentRequest { agent: name(), body: Some(invoke_agent_request::Body::Content(name())), performative: name(), language: Some(name()), encoding: Some(name()), ontology: Some(name()), protocol: Some(name()), conversation_id: Some(String::new()), user_parameters: [(name(), name())].into(), timeout: name(), attempts_max: 1 }) -> InvokeAgentResponse;
        create_job(CreateJobRequest = CreateJobRequest { agent: name(), body: Some(create_job_request::Body::ContentBase64(vec![0, 255].into())), performative: name(), language: Some(name()), encoding: Some(name()), ontology: Some(name()), protocol: Some(name()), conversation_id: None, user_parameters: [(name(), name())].into(), timeout: name(), attempts_max: u32::MAX }) -> Job;
        list_jobs(ListJobsRequest = ListJobsRequest { page_size: 1, page_token: name(), agent: name(), state: name() }) -> ListJobsResponse;
        get_job(GetJobRequest = GetJobRequest { job: name() }) -> Job;
        cancel_job(CancelJobRequest = CancelJobRequest { job: name() }) -> Job;
        delete_job(DeleteJobRequest = DeleteJobRequest { job: name() }) -> Empty;
        @streams { stream_invocation(InvokeAgentRequest) -> InvocationEvent; watch_job(WatchJobRequest) -> JobEvent; }
    }
    tenants TenantsApi tenants_client TenantsClient {
        create_tenant(CreateTenantRequest = CreateTenantRequest { id: name(), display_name: name(), storage: name() }) -> Tenant;
        list_tenants(ListTenantsRequest = ListTenantsRequest { page_size: 1, page_token: name() }) -> ListTenantsResponse;
        get_tenant(GetTenantRequest = GetTenantRequest { tenant: name() }) -> Tenant;
        update_tenant(UpdateTenantRequest = UpdateTenantRequest { tenant: name(), display_name: Some(String::new()), storage: Some(name()) }) -> Tenant;
        suspend_tenant(SuspendTenantRequest = SuspendTenantRequest { tenant: name() }) -> Tenant;
        resume_tenant(ResumeTenantRequest = ResumeTenantRequest { tenant: name() }) -> Tenant;
        delete_tenant(DeleteTenantRequest = DeleteTenantRequest { tenant: name() }) -> Empty;
    }
    keys KeysApi keys_client KeysClient {
        create_key(CreateKeyRequest = CreateKeyRequest { name: name(), role: name(), scopes: vec![name(), name()], expire_time: time(), platform: true }) -> CreateKeyResponse;
        list_keys(ListKeysRequest = ListKeysRequest { page_size: 1, page_token: name(), platform: true }) -> ListKeysResponse;
        get_key(GetKeyRequest = GetKeyRequest { key: name() }) -> Key;
        rotate_key(RotateKeyRequest = RotateKeyRequest { key: name(), overlap: name() }) -> RotateKeyResponse;
        delete_key(DeleteKeyRequest = DeleteKeyRequest { key: name() }) -> Empty;
    }
    limits LimitsApi limits_client LimitsClient {
        get_rates(GetRatesRequest = GetRatesRequest {}) -> Rates;
        update_rates(UpdateRatesRequest = UpdateRatesRequest { rates: rates() }) -> Rates;
        get_tenant_rates(GetTenantRatesRequest = GetTenantRatesRequest { tenant: name() }) -> Rates;
        update_tenant_rates(UpdateTenantRatesRequest = UpdateTenantRatesRequest { tenant: name(), rates: rates() }) -> Rates;
        get_quota(GetQuotaRequest = GetQuotaRequest { tenant: name(), key: name() }) -> Quota;
        update_quota(UpdateQuotaRequest = UpdateQuotaRequest { tenant: name(), key: name(), quota: quota() }) -> Quota;
        get_usage(GetUsageRequest = GetUsageRequest { tenant: name(), key: name() }) -> Usage;
    }
    requests RequestsApi requests_client RequestsClient {
        list_requests(ListRequestsRequest = ListRequestsRequest { page_size: 1, page_token: name(), id: name(), trace_id: name(), actor: name(), operation: name(), status: 404, from: name(), until: name() }) -> ListRequestsResponse;
    }
    providers ProvidersApi providers_client ProvidersClient {
        list_providers(ListProvidersRequest = ListProvidersRequest { page_size: 1, page_token: name() }) -> ListProvidersResponse;
        get_provider(GetProviderRequest = GetProviderRequest { provider: name() }) -> Provider;
        set_provider(SetProviderRequest = SetProviderRequest { provider: name(), kind: name(), base_url: name(), secret: name() }) -> Provider;
        delete_provider(DeleteProviderRequest = DeleteProviderRequest { provider: name() }) -> Empty;
        override_provider(OverrideProviderRequest = OverrideProviderRequest { provider: name(), r#override: name() }) -> Provider;
        list_model_calls(ListModelCallsRequest = ListModelCallsRequest { page_size: 1, page_token: name(), turn: name() }) -> ListModelCallsResponse;
    }
    roles RolesApi roles_client RolesClient {
        create_role_assignment(CreateRoleAssignmentRequest = CreateRoleAssignmentRequest { subject: name(), role: name() }) -> RoleAssignment;
        list_role_assignments(ListRoleAssignmentsRequest = ListRoleAssignmentsRequest { page_size: 1, page_token: name() }) -> ListRoleAssignmentsResponse;
        get_role_assignment(GetRoleAssignmentRequest = GetRoleAssignmentRequest { role_assignment: name() }) -> RoleAssignment;
        delete_role_assignment(DeleteRoleAssignmentRequest = DeleteRoleAssignmentRequest { role_assignment: name() }) -> Empty;
        list_roles(ListRolesRequest = ListRolesRequest {}) -> ListRolesResponse;
    }
    sessions SessionsApi sessions_client SessionsClient {
        complete_chat(ChatRequest = chat()) -> ChatAnswer;
        get_turn(GetTurnRequest = GetTurnRequest { turn: name() }) -> Turn;
        cancel_turn(CancelTurnRequest = CancelTurnRequest { turn: name() }) -> Empty;
        create_session(CreateSessionRequest = CreateSessionRequest { agent: name(), id: name(), thinking: name(), tools: rules() }) -> Session;
        list_sessions(ListSessionsRequest = ListSessionsRequest { agent: name(), page_size: 1, page_token: name() }) -> ListSessionsResponse;
        get_session(GetSessionRequest = GetSessionRequest { session: name() }) -> Session;
        update_session(UpdateSessionRequest = UpdateSessionRequest { session: name(), thinking: Some(name()), tools: rules() }) -> Session;
        reset_session(ResetSessionRequest = ResetSessionRequest { session: name(), summarize: true }) -> Session;
        delete_session(DeleteSessionRequest = DeleteSessionRequest { session: name() }) -> Empty;
        list_session_messages(ListSessionMessagesRequest = ListSessionMessagesRequest { session: name(), page_size: 1, page_token: name() }) -> ListSessionMessagesResponse;
        list_session_files(ListSessionFilesRequest = ListSessionFilesRequest { session: name(), page_size: 1, page_token: name() }) -> ListSessionFilesResponse;
        get_session_file(GetSessionFileRequest = GetSessionFileRequest { session: name(), path: name() }) -> SessionFileContent = SessionFileContent { content: vec![0, 255, 10].into(), media_type: "text/html".to_owned() };
        @streams { chat(ChatRequest) -> TurnEvent; follow_turn(FollowTurnRequest) -> TurnEvent; }
    }
    tools ToolsApi tools_client ToolsClient {
        list_tools(ListToolsRequest = ListToolsRequest { page_size: 1, page_token: name() }) -> ListToolsResponse;
        get_tool(GetToolRequest = GetToolRequest { tool: name() }) -> Tool;
        create_tool(CreateToolRequest = CreateToolRequest { name: name(), description: name(), http: http_tool(), mcp: None, wasm: wasm_tool(), secret: name(), price_micros: u64::MAX }) -> Tool;
        replace_tool(ReplaceToolRequest = ReplaceToolRequest { tool: name(), description: name(), http: None, mcp: mcp_tool(), wasm: wasm_tool(), secret: name(), price_micros: 1 }) -> Tool;
        delete_tool(DeleteToolRequest = DeleteToolRequest { tool: name() }) -> Empty;
        refresh_tool(RefreshToolRequest = RefreshToolRequest { tool: name() }) -> Tool;
        accept_tool(AcceptToolRequest = AcceptToolRequest { tool: name() }) -> Tool;
        call_tool(CallToolRequest = CallToolRequest { tool: name(), function: name(), arguments: object(), session_id: name() }) -> CallToolResponse;
        list_tool_calls(ListToolCallsRequest = ListToolCallsRequest { tool: name(), page_size: 1, page_token: name() }) -> ListToolCallsResponse;
        list_all_tool_calls(ListAllToolCallsRequest = ListAllToolCallsRequest { tool: name(), agent: name(), session: name(), page_size: 1, page_token: name() }) -> ListToolCallsResponse;
        get_tool_call(GetToolCallRequest = GetToolCallRequest { call: name() }) -> ToolCall;
        get_tool_policy(GetToolPolicyRequest = GetToolPolicyRequest {}) -> ToolPolicy;
        set_tool_policy(SetToolPolicyRequest = SetToolPolicyRequest { policy: Some(ToolPolicy { allow: vec![name()], ask: vec![name(), name()], deny: vec![], sandbox: true, egress_allow: vec![name()] }) }) -> ToolPolicy;
    }
}
