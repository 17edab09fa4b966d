//! What the platform is run with: tenants, keys, roles, limits, providers, the audit, the server.

use async_trait::async_trait;
use caxton_api::audit::AuditApi;
use caxton_api::keys::KeysApi;
use caxton_api::limits::LimitsApi;
use caxton_api::providers::ProvidersApi;
use caxton_api::requests::RequestsApi;
use caxton_api::roles::RolesApi;
use caxton_api::server::ServerApi;
use caxton_api::tenants::TenantsApi;
use caxton_api::wkt::Empty;
use caxton_api::{ApiError, ApiStream, CallContext, v1};

use crate::api::{Api, audit, keys, limits, providers, requests, roles, server, tenants};

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
