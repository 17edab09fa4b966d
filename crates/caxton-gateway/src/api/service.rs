//! The generated traits, each method one line: the work is in the file of its noun.

use async_trait::async_trait;
use caxton_api::management::ManagementApi;
use caxton_api::server::ServerApi;
use caxton_api::wkt::Empty;
use caxton_api::{ApiError, ApiStream, CallContext, v1};

use super::{Api, agents, conversations, dead_letters, logs, messages, server};

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
        agents::list(self, call, &request)
    }

    async fn get_agent(
        &self,
        call: &CallContext,
        request: v1::GetAgentRequest,
    ) -> Result<v1::Agent, ApiError> {
        agents::get(self, call, &request)
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
        logs::list(self, call, &request)
    }

    async fn watch_logs(
        &self,
        call: &CallContext,
        request: v1::WatchLogsRequest,
    ) -> Result<ApiStream<v1::LogEntry>, ApiError> {
        logs::watch(self, call, &request)
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
