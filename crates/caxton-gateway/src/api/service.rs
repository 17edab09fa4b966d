//! The generated traits, each method one line: the work is in the file of its noun.

use async_trait::async_trait;
use caxton_api::audit::AuditApi;
use caxton_api::external_agent_router::ExternalAgentRouterApi;
use caxton_api::keys::KeysApi;
use caxton_api::limits::LimitsApi;
use caxton_api::management::ManagementApi;
use caxton_api::providers::ProvidersApi;
use caxton_api::requests::RequestsApi;
use caxton_api::roles::RolesApi;
use caxton_api::server::ServerApi;
use caxton_api::tenants::TenantsApi;
use caxton_api::wkt::Empty;
use caxton_api::{ApiError, ApiStream, CallContext, v1};

use super::{
    Api, agents, audit, conversations, dead_letters, jobs, keys, limits, logs, messages, providers,
    requests, roles, server, tenants,
};

#[async_trait]
impl ManagementApi for Api {
    async fn create_agent(
        &self,
        call: &CallContext,
        request: v1::CreateAgentRequest,
    ) -> Result<v1::Agent, ApiError> {
        agents::create(self, call, request).await
    }

    async fn list_agents(
        &self,
        call: &CallContext,
        request: v1::ListAgentsRequest,
    ) -> Result<v1::ListAgentsResponse, ApiError> {
        agents::list(self, call, &request).await
    }

    async fn get_agent(
        &self,
        call: &CallContext,
        request: v1::GetAgentRequest,
    ) -> Result<v1::Agent, ApiError> {
        agents::get(self, call, &request).await
    }

    async fn update_agent(
        &self,
        call: &CallContext,
        request: v1::UpdateAgentRequest,
    ) -> Result<v1::Agent, ApiError> {
        agents::update(self, call, request).await
    }

    async fn delete_agent(
        &self,
        call: &CallContext,
        request: v1::DeleteAgentRequest,
    ) -> Result<Empty, ApiError> {
        agents::delete(self, call, &request).await
    }

    async fn start_agent(
        &self,
        call: &CallContext,
        request: v1::StartAgentRequest,
    ) -> Result<v1::Agent, ApiError> {
        agents::start(self, call, &request).await
    }

    async fn stop_agent(
        &self,
        call: &CallContext,
        request: v1::StopAgentRequest,
    ) -> Result<v1::Agent, ApiError> {
        agents::stop(self, call, &request).await
    }

    async fn drain_agent(
        &self,
        call: &CallContext,
        request: v1::DrainAgentRequest,
    ) -> Result<v1::Agent, ApiError> {
        agents::drain(self, call, &request).await
    }

    async fn list_logs(
        &self,
        call: &CallContext,
        request: v1::ListLogsRequest,
    ) -> Result<v1::ListLogsResponse, ApiError> {
        logs::list(self, call, &request).await
    }

    async fn watch_logs(
        &self,
        call: &CallContext,
        request: v1::WatchLogsRequest,
    ) -> Result<ApiStream<v1::LogEntry>, ApiError> {
        logs::watch(self, call, &request).await
    }

    async fn send_message(
        &self,
        call: &CallContext,
        request: v1::SendMessageRequest,
    ) -> Result<v1::SendMessageResponse, ApiError> {
        messages::send(self, call, request).await
    }

    async fn list_messages(
        &self,
        call: &CallContext,
        request: v1::ListMessagesRequest,
    ) -> Result<v1::ListMessagesResponse, ApiError> {
        messages::list(self, call, &request).await
    }

    async fn watch_messages(
        &self,
        call: &CallContext,
        request: v1::WatchMessagesRequest,
    ) -> Result<ApiStream<v1::Message>, ApiError> {
        messages::watch(self, call, &request).await
    }

    async fn get_message(
        &self,
        call: &CallContext,
        request: v1::GetMessageRequest,
    ) -> Result<v1::Message, ApiError> {
        messages::get(self, call, &request).await
    }

    async fn get_message_trace(
        &self,
        call: &CallContext,
        request: v1::GetMessageTraceRequest,
    ) -> Result<v1::GetMessageTraceResponse, ApiError> {
        messages::trace(self, call, &request).await
    }

    async fn list_conversations(
        &self,
        call: &CallContext,
        request: v1::ListConversationsRequest,
    ) -> Result<v1::ListConversationsResponse, ApiError> {
        conversations::list(self, call, &request).await
    }

    async fn get_conversation(
        &self,
        call: &CallContext,
        request: v1::GetConversationRequest,
    ) -> Result<v1::Conversation, ApiError> {
        conversations::get(self, call, &request).await
    }

    async fn list_dead_letters(
        &self,
        call: &CallContext,
        request: v1::ListDeadLettersRequest,
    ) -> Result<v1::ListDeadLettersResponse, ApiError> {
        dead_letters::list(self, call, &request).await
    }

    async fn get_dead_letter(
        &self,
        call: &CallContext,
        request: v1::GetDeadLetterRequest,
    ) -> Result<v1::DeadLetter, ApiError> {
        dead_letters::get(self, call, &request).await
    }

    async fn resend_dead_letter(
        &self,
        call: &CallContext,
        request: v1::ResendDeadLetterRequest,
    ) -> Result<v1::ResendDeadLetterResponse, ApiError> {
        dead_letters::resend(self, call, &request).await
    }

    async fn delete_dead_letter(
        &self,
        call: &CallContext,
        request: v1::DeleteDeadLetterRequest,
    ) -> Result<Empty, ApiError> {
        dead_letters::delete(self, call, &request).await
    }
}

#[async_trait]
impl ServerApi for Api {
    async fn get_server_status(
        &self,
        call: &CallContext,
        _: v1::GetServerStatusRequest,
    ) -> Result<v1::ServerStatus, ApiError> {
        server::status(self, call).await
    }

    async fn create_backup(
        &self,
        call: &CallContext,
        request: v1::CreateBackupRequest,
    ) -> Result<v1::Backup, ApiError> {
        server::create_backup(self, call, request).await
    }

    async fn list_backups(
        &self,
        call: &CallContext,
        request: v1::ListBackupsRequest,
    ) -> Result<v1::ListBackupsResponse, ApiError> {
        server::list_backups(self, call, &request).await
    }

    async fn get_backup(
        &self,
        call: &CallContext,
        request: v1::GetBackupRequest,
    ) -> Result<v1::Backup, ApiError> {
        server::get_backup(self, call, &request).await
    }

    async fn verify_backup(
        &self,
        call: &CallContext,
        request: v1::VerifyBackupRequest,
    ) -> Result<v1::VerifyBackupResponse, ApiError> {
        server::verify_backup(self, call, &request).await
    }
}

#[async_trait]
impl TenantsApi for Api {
    async fn create_tenant(
        &self,
        call: &CallContext,
        request: v1::CreateTenantRequest,
    ) -> Result<v1::Tenant, ApiError> {
        tenants::create(self, call, request).await
    }

    async fn list_tenants(
        &self,
        call: &CallContext,
        request: v1::ListTenantsRequest,
    ) -> Result<v1::ListTenantsResponse, ApiError> {
        tenants::list(self, call, &request).await
    }

    async fn get_tenant(
        &self,
        call: &CallContext,
        request: v1::GetTenantRequest,
    ) -> Result<v1::Tenant, ApiError> {
        tenants::get(self, call, &request).await
    }

    async fn update_tenant(
        &self,
        call: &CallContext,
        request: v1::UpdateTenantRequest,
    ) -> Result<v1::Tenant, ApiError> {
        tenants::update(self, call, request).await
    }

    async fn suspend_tenant(
        &self,
        call: &CallContext,
        request: v1::SuspendTenantRequest,
    ) -> Result<v1::Tenant, ApiError> {
        tenants::suspend(self, call, &request).await
    }

    async fn resume_tenant(
        &self,
        call: &CallContext,
        request: v1::ResumeTenantRequest,
    ) -> Result<v1::Tenant, ApiError> {
        tenants::resume(self, call, &request).await
    }

    async fn delete_tenant(
        &self,
        call: &CallContext,
        request: v1::DeleteTenantRequest,
    ) -> Result<Empty, ApiError> {
        tenants::delete(self, call, &request).await
    }
}

#[async_trait]
impl KeysApi for Api {
    async fn create_key(
        &self,
        call: &CallContext,
        request: v1::CreateKeyRequest,
    ) -> Result<v1::CreateKeyResponse, ApiError> {
        keys::create(self, call, request).await
    }

    async fn list_keys(
        &self,
        call: &CallContext,
        request: v1::ListKeysRequest,
    ) -> Result<v1::ListKeysResponse, ApiError> {
        keys::list(self, call, &request).await
    }

    async fn get_key(
        &self,
        call: &CallContext,
        request: v1::GetKeyRequest,
    ) -> Result<v1::Key, ApiError> {
        keys::get(self, call, &request).await
    }

    async fn rotate_key(
        &self,
        call: &CallContext,
        request: v1::RotateKeyRequest,
    ) -> Result<v1::RotateKeyResponse, ApiError> {
        keys::rotate(self, call, request).await
    }

    async fn delete_key(
        &self,
        call: &CallContext,
        request: v1::DeleteKeyRequest,
    ) -> Result<Empty, ApiError> {
        keys::delete(self, call, request).await
    }
}

#[async_trait]
impl ProvidersApi for Api {
    async fn list_providers(
        &self,
        call: &CallContext,
        request: v1::ListProvidersRequest,
    ) -> Result<v1::ListProvidersResponse, ApiError> {
        providers::list(self, call, &request).await
    }

    async fn get_provider(
        &self,
        call: &CallContext,
        request: v1::GetProviderRequest,
    ) -> Result<v1::Provider, ApiError> {
        providers::get(self, call, &request).await
    }

    async fn set_provider(
        &self,
        call: &CallContext,
        request: v1::SetProviderRequest,
    ) -> Result<v1::Provider, ApiError> {
        providers::set(self, call, request).await
    }

    async fn delete_provider(
        &self,
        call: &CallContext,
        request: v1::DeleteProviderRequest,
    ) -> Result<Empty, ApiError> {
        providers::delete(self, call, &request).await
    }

    async fn override_provider(
        &self,
        call: &CallContext,
        request: v1::OverrideProviderRequest,
    ) -> Result<v1::Provider, ApiError> {
        providers::set_override(self, call, &request).await
    }

    async fn list_model_calls(
        &self,
        call: &CallContext,
        request: v1::ListModelCallsRequest,
    ) -> Result<v1::ListModelCallsResponse, ApiError> {
        providers::calls(self, call, &request).await
    }
}

#[async_trait]
impl RolesApi for Api {
    async fn create_role_assignment(
        &self,
        call: &CallContext,
        request: v1::CreateRoleAssignmentRequest,
    ) -> Result<v1::RoleAssignment, ApiError> {
        roles::create(self, call, request).await
    }

    async fn list_role_assignments(
        &self,
        call: &CallContext,
        request: v1::ListRoleAssignmentsRequest,
    ) -> Result<v1::ListRoleAssignmentsResponse, ApiError> {
        roles::list(self, call, &request).await
    }

    async fn get_role_assignment(
        &self,
        call: &CallContext,
        request: v1::GetRoleAssignmentRequest,
    ) -> Result<v1::RoleAssignment, ApiError> {
        roles::get(self, call, &request).await
    }

    async fn delete_role_assignment(
        &self,
        call: &CallContext,
        request: v1::DeleteRoleAssignmentRequest,
    ) -> Result<Empty, ApiError> {
        roles::delete(self, call, &request).await
    }

    async fn list_roles(
        &self,
        call: &CallContext,
        _: v1::ListRolesRequest,
    ) -> Result<v1::ListRolesResponse, ApiError> {
        roles::roles(self, call).await
    }
}

#[async_trait]
impl AuditApi for Api {
    async fn list_audit_entries(
        &self,
        call: &CallContext,
        request: v1::ListAuditEntriesRequest,
    ) -> Result<v1::ListAuditEntriesResponse, ApiError> {
        audit::list(self, call, &request).await
    }

    async fn get_audit_head(
        &self,
        call: &CallContext,
        request: v1::GetAuditHeadRequest,
    ) -> Result<v1::AuditHead, ApiError> {
        audit::head(self, call, &request).await
    }

    async fn export_audit(
        &self,
        call: &CallContext,
        request: v1::ExportAuditRequest,
    ) -> Result<ApiStream<v1::AuditLine>, ApiError> {
        audit::export(self, call, &request).await
    }

    async fn trim_audit(
        &self,
        call: &CallContext,
        request: v1::TrimAuditRequest,
    ) -> Result<v1::TrimAuditResponse, ApiError> {
        audit::trim(self, call, request).await
    }

    async fn erase_person(
        &self,
        call: &CallContext,
        request: v1::ErasePersonRequest,
    ) -> Result<Empty, ApiError> {
        audit::erase(self, call, request).await
    }
}

#[async_trait]
impl LimitsApi for Api {
    async fn get_rates(
        &self,
        call: &CallContext,
        _: v1::GetRatesRequest,
    ) -> Result<v1::Rates, ApiError> {
        limits::rates(self, call).await
    }

    async fn update_rates(
        &self,
        call: &CallContext,
        request: v1::UpdateRatesRequest,
    ) -> Result<v1::Rates, ApiError> {
        limits::set_rates(self, call, request).await
    }

    async fn get_tenant_rates(
        &self,
        call: &CallContext,
        request: v1::GetTenantRatesRequest,
    ) -> Result<v1::Rates, ApiError> {
        limits::tenant_rates(self, call, &request).await
    }

    async fn update_tenant_rates(
        &self,
        call: &CallContext,
        request: v1::UpdateTenantRatesRequest,
    ) -> Result<v1::Rates, ApiError> {
        limits::set_tenant_rates(self, call, request).await
    }

    async fn get_quota(
        &self,
        call: &CallContext,
        request: v1::GetQuotaRequest,
    ) -> Result<v1::Quota, ApiError> {
        limits::quota(self, call, &request).await
    }

    async fn update_quota(
        &self,
        call: &CallContext,
        request: v1::UpdateQuotaRequest,
    ) -> Result<v1::Quota, ApiError> {
        limits::set_quota(self, call, request).await
    }

    async fn get_usage(
        &self,
        call: &CallContext,
        request: v1::GetUsageRequest,
    ) -> Result<v1::Usage, ApiError> {
        limits::usage(self, call, &request).await
    }
}

#[async_trait]
impl RequestsApi for Api {
    async fn list_requests(
        &self,
        call: &CallContext,
        request: v1::ListRequestsRequest,
    ) -> Result<v1::ListRequestsResponse, ApiError> {
        requests::list(self, call, &request).await
    }
}

#[async_trait]
impl ExternalAgentRouterApi for Api {
    async fn invoke_agent(
        &self,
        call: &CallContext,
        request: v1::InvokeAgentRequest,
    ) -> Result<v1::InvokeAgentResponse, ApiError> {
        jobs::invoke(self, call, request).await
    }

    async fn stream_invocation(
        &self,
        call: &CallContext,
        request: v1::InvokeAgentRequest,
    ) -> Result<ApiStream<v1::InvocationEvent>, ApiError> {
        jobs::stream_invocation(self, call, request).await
    }

    async fn create_job(
        &self,
        call: &CallContext,
        request: v1::CreateJobRequest,
    ) -> Result<v1::Job, ApiError> {
        jobs::create(self, call, request).await
    }

    async fn list_jobs(
        &self,
        call: &CallContext,
        request: v1::ListJobsRequest,
    ) -> Result<v1::ListJobsResponse, ApiError> {
        jobs::list(self, call, &request).await
    }

    async fn get_job(
        &self,
        call: &CallContext,
        request: v1::GetJobRequest,
    ) -> Result<v1::Job, ApiError> {
        jobs::get(self, call, &request).await
    }

    async fn watch_job(
        &self,
        call: &CallContext,
        request: v1::WatchJobRequest,
    ) -> Result<ApiStream<v1::JobEvent>, ApiError> {
        jobs::watch(self, call, &request).await
    }

    async fn cancel_job(
        &self,
        call: &CallContext,
        request: v1::CancelJobRequest,
    ) -> Result<v1::Job, ApiError> {
        jobs::cancel(self, call, &request).await
    }

    async fn delete_job(
        &self,
        call: &CallContext,
        request: v1::DeleteJobRequest,
    ) -> Result<Empty, ApiError> {
        jobs::delete(self, call, &request).await
    }
}
