//! Conversations: list, get.

use caxton_api::{ApiError, CallContext, v1};
use caxton_core::ConversationId;
use caxton_core::conversation::Conversation;
use caxton_core::error::{Code, shown};
use caxton_engine::port::store::PageRequest;

use super::messages::agent;
use super::{Api, page};
use crate::convert::conversation::{STATES, conversation, state};

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListConversationsRequest,
) -> Result<v1::ListConversationsResponse, ApiError> {
    let ctx = api.open(call).await?;
    let with = agent(&request.agent)?;
    let wanted = request.state.as_str();
    if !wanted.is_empty() && !STATES.contains(&wanted) {
        let what = format!("is none of {}", STATES.join(", "));
        let detail = format!("`state` {what}: `{}`", shown(wanted));
        return Err(ApiError::new(Code::ParameterMalformed, detail).with_field("state", what));
    }
    let passes = |it: &Conversation| {
        let mut participants = it.participants.iter();
        let takes_part = |name| participants.any(|id| id.name == name && id.tenant == ctx.tenant);
        with.clone().is_none_or(takes_part) && (wanted.is_empty() || state(it) == wanted)
    };
    let page = page::request(request.page_size, &request.page_token);
    let app = api.app();
    let read = |page: PageRequest| {
        let ctx = &ctx;
        async move { app.conversation_list(ctx, &page).await }
    };
    let found = api.within(&ctx, page::filtered(page, read, passes)).await?;
    let conversations = found.rows.iter().map(|row| conversation(row, &ctx.tenant));
    Ok(v1::ListConversationsResponse {
        conversations: conversations.collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    api: &Api,
    call: &CallContext,
    request: &v1::GetConversationRequest,
) -> Result<v1::Conversation, ApiError> {
    let ctx = api.open(call).await?;
    let id = ConversationId::parse(&request.conversation)?;
    // Its messages have a list of their own; one is the least a page has.
    let first = PageRequest::first(1);
    let found = api.app().conversation_show(&ctx, &id, &first);
    let (found, _) = api.within(&ctx, found).await?;
    Ok(conversation(&found, &ctx.tenant))
}
