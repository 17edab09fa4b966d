//! Approvals of tool calls: list, get, approve, deny.

use async_trait::async_trait;
use caxton_api::approvals::ApprovalsApi;
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::Digest;
use caxton_core::error::Code;
use caxton_engine::OpCtx;
use caxton_engine::tools::{ApprovalState, Decision};

use super::{Api, page};
use crate::convert::tool::approval;

impl Api {
    async fn decide(
        &self,
        call: &CallContext,
        ctx: OpCtx,
        (id, decision): (String, Decision),
    ) -> Result<v1::Approval, ApiError> {
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = async move { app.approval_decide(&inner, &id, decision).await };
        Ok(approval(&self.settle(&ctx, call.method, work).await?))
    }
}

#[async_trait]
impl ApprovalsApi for Api {
    async fn list_approvals(
        &self,
        call: &CallContext,
        request: v1::ListApprovalsRequest,
    ) -> Result<v1::ListApprovalsResponse, ApiError> {
        let ctx = self.open(call).await?;
        let state = match request.state.as_str() {
            "" => None,
            text => Some(ApprovalState::parse(text).ok_or_else(|| {
                let all = ApprovalState::ALL.map(ApprovalState::as_str).join(", ");
                let what = format!("is none of {all}");
                ApiError::new(Code::ParameterMalformed, format!("`state` {what}"))
                    .with_field("state", what)
            })?),
        };
        let page = page::request(request.page_size, &request.page_token);
        let found = self.app().approval_list(&ctx, state, &page);
        let found = self.within(&ctx, found).await?;
        Ok(v1::ListApprovalsResponse {
            approvals: found.rows.iter().map(approval).collect(),
            next_page_token: found.next.unwrap_or_default(),
        })
    }

    async fn get_approval(
        &self,
        call: &CallContext,
        request: v1::GetApprovalRequest,
    ) -> Result<v1::Approval, ApiError> {
        let ctx = self.open(call).await?;
        let found = self.app().approval_show(&ctx, &request.approval);
        Ok(approval(&self.within(&ctx, found).await?))
    }

    async fn approve_call(
        &self,
        call: &CallContext,
        request: v1::ApproveCallRequest,
    ) -> Result<v1::Approval, ApiError> {
        let ctx = self.open(call).await?;
        let digest = match request.digest.as_str() {
            "" => None,
            text => Some(Digest::parse_hex(text).ok_or_else(|| {
                let what = "is no SHA-256 in hex";
                ApiError::new(Code::ParameterMalformed, format!("`digest` {what}"))
                    .with_field("digest", what)
            })?),
        };
        let decision = Decision {
            approve: true,
            note: request.note,
            digest,
        };
        self.decide(call, ctx, (request.approval, decision)).await
    }

    async fn deny_call(
        &self,
        call: &CallContext,
        request: v1::DenyCallRequest,
    ) -> Result<v1::Approval, ApiError> {
        let ctx = self.open(call).await?;
        let decision = Decision {
            approve: false,
            note: request.note,
            digest: None,
        };
        self.decide(call, ctx, (request.approval, decision)).await
    }
}
