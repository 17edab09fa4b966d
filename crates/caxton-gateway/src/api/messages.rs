//! Messages: send, list, get, watch, trace.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use caxton_api::{ApiError, ApiStream, CallContext, v1};
use caxton_core::error::{Code, Error};
use caxton_core::{AgentName, ConversationId, Message, MessageId};
use caxton_engine::OpCtx;
use caxton_engine::app::Watch;
use caxton_engine::port::Answer;
use caxton_engine::port::store::{MessageFilter, PageRequest};
use futures::{StreamExt, stream};

use super::{Api, page};
use crate::convert::message::{acl, message, recorded, trace as tree};
use crate::stream::lagged;

/// Messages a stream that resumes may have to be sent before it is live again.
const RESUME_MESSAGES_MAX: usize = 1000;
/// Their contents' bytes, all together.
const RESUME_BYTES_MAX: usize = 64 << 20;
/// Messages read at a time to resume.
const RESUME_ROWS: u32 = 100;

pub(super) async fn send(
    api: &Api,
    call: &CallContext,
    request: v1::SendMessageRequest,
) -> Result<v1::SendMessageResponse, ApiError> {
    let ctx = api.open(call).await?;
    let wait = api.duration("wait", &request.wait)?;
    let draft = request.message.clone().ok_or_else(|| {
        ApiError::new(Code::MessageMalformed, "the request has no message")
            .with_field("message", "is missing")
    })?;
    let acl = acl(draft, &ctx.tenant)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    api.create(&ctx, call, &request, async move {
        let sent = app.message_send(&inner, acl, wait).await?;
        Ok(v1::SendMessageResponse {
            id: sent.id.to_string(),
            reply: sent.reply.map(|reply| message(&reply)),
        })
    })
    .await
}

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListMessagesRequest,
) -> Result<v1::ListMessagesResponse, ApiError> {
    let ctx = api.open(call).await?;
    let filter = MessageFilter {
        conversation: conversation(&request.conversation_id)?,
        agent: agent(&request.agent)?,
        trace_id: None,
    };
    let page = page::request(request.page_size, &request.page_token);
    let found = api.app().message_list(&ctx, &filter, &page);
    let found = api.within(&ctx, found).await?;
    Ok(v1::ListMessagesResponse {
        messages: found.rows.iter().map(recorded).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    api: &Api,
    call: &CallContext,
    request: &v1::GetMessageRequest,
) -> Result<v1::Message, ApiError> {
    let ctx = api.open(call).await?;
    let id = MessageId::parse(&request.message)?;
    let found = api.within(&ctx, api.app().message_show(&ctx, id)).await?;
    Ok(recorded(&found))
}

pub(super) async fn trace(
    api: &Api,
    call: &CallContext,
    request: &v1::GetMessageTraceRequest,
) -> Result<v1::GetMessageTraceResponse, ApiError> {
    let ctx = api.open(call).await?;
    let id = MessageId::parse(&request.message)?;
    let found = api.within(&ctx, api.app().message_trace(&ctx, id)).await?;
    Ok(tree(&found))
}

pub(super) async fn watch(
    api: &Api,
    call: &CallContext,
    request: &v1::WatchMessagesRequest,
) -> Result<ApiStream<v1::Message>, ApiError> {
    let ctx = api.open(call).await?;
    let agent = agent(&request.agent)?;
    let conversation = conversation(&request.conversation_id)?;
    let place = api.streams().place()?;
    // Subscribed first: what comes while the past is read is then seen twice, and not never.
    let live = api
        .app()
        .message_watch(&ctx, agent.clone(), conversation.clone())?;
    let filter = MessageFilter {
        agent,
        conversation,
        trace_id: None,
    };
    let past = match &call.last_event_id {
        Some(id) => api.within(&ctx, missed(api, &ctx, &filter, id)).await?,
        None => VecDeque::new(),
    };
    let seen: HashSet<MessageId> = past.iter().map(|message| message.id).collect();
    let live = stream::unfold(Some(live), next).filter(move |item| {
        let again = item
            .as_ref()
            .is_ok_and(|message| seen.contains(&message.id));
        std::future::ready(!again)
    });
    let messages = stream::iter(past.into_iter().map(Ok)).chain(live);
    let messages = messages.map(|item| item.map(|it| message(&it)));
    Ok(api.hold(call, &ctx, place, messages))
}

/// A message or the error that is the last, and where to go on.
type Step = (Result<Arc<Message>, ApiError>, Option<Watch>);

/// The next message; the end where the engine stops.
fn next(watch: Option<Watch>) -> Answer<'static, Option<Step>> {
    Box::pin(async move {
        let mut watch = watch?;
        Some(match watch.next().await? {
            Ok(message) => (Ok(message), Some(watch)),
            Err(missed) => (Err(lagged(missed)), None),
        })
    })
}

/// The recorded messages after the one with this id, the oldest first.
async fn missed(
    api: &Api,
    ctx: &OpCtx,
    filter: &MessageFilter,
    id: &str,
) -> Result<VecDeque<Arc<Message>>, Error> {
    let last = MessageId::parse(id)?;
    let too_far = || {
        Error::new(
            Code::ResumeLost,
            format!("message {last} is not among the last {RESUME_MESSAGES_MAX}"),
        )
    };
    // Without the conversation, because its list is in the other order.
    let newest_first = MessageFilter {
        conversation: None,
        ..filter.clone()
    };
    let mut page = PageRequest::first(RESUME_ROWS);
    let mut past = VecDeque::new();
    let (mut looked_at, mut bytes) = (0, 0);
    loop {
        let found = api.app().message_list(ctx, &newest_first, &page).await?;
        for row in found.rows {
            if row.message.id == last {
                return Ok(past);
            }
            looked_at += 1;
            if !filter.matches(&row.message) {
                continue;
            }
            bytes += row.message.acl.bytes();
            past.push_front(row.message);
        }
        page.token = found.next;
        let too_much = looked_at >= RESUME_MESSAGES_MAX || bytes > RESUME_BYTES_MAX;
        if too_much || page.token.is_none() {
            return Err(too_far());
        }
    }
}

fn conversation(text: &str) -> Result<Option<ConversationId>, ApiError> {
    Ok(match text {
        "" => None,
        text => Some(ConversationId::parse(text)?),
    })
}

pub(super) fn agent(text: &str) -> Result<Option<AgentName>, ApiError> {
    Ok(match text {
        "" => None,
        text => Some(AgentName::parse(text)?),
    })
}
