//! What a tenant works with: agents, messages, conversations, dead letters, jobs.

use async_trait::async_trait;
use caxton_api::external_agent_router::ExternalAgentRouterApi;
use caxton_api::management::ManagementApi;
use caxton_api::wkt::Empty;
use caxton_api::{ApiError, ApiStream, CallContext, v1};

use crate::api::{Api, agents, conversations, dead_letters, jobs, logs, messages};

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
        dead_letters::resend(self, call, request).await
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
