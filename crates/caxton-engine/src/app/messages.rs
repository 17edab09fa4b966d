//! Messages: send, show, list, watch, trace.

use super::App;
use crate::limits::Unit;
use crate::opctx::{OpCtx, TenantScope};
use crate::port::store::{MessageFilter, Page, PageRequest, Recorded};
use crate::router::Watching;
use crate::router::plan::{Origin, Plan};
use caxton_core::error::{Code, Error};
use caxton_core::grant::Permission;
use caxton_core::message::Identifier;
use caxton_core::session::ASK_LANGUAGE;
use caxton_core::{Acl, AgentId, AgentName, ConversationId, Message, MessageId, TenantId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Messages of one trace that are shown together.
const TRACE_ROWS_MAX: u32 = 1000;

/// What a send came to.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: MessageId,
    /// The answer, where the sender waited for one.
    pub reply: Option<Arc<Message>>,
}

/// The tenant's messages as they pass, those of a filter.
#[derive(Debug)]
pub struct Watch {
    tenant: TenantId,
    agent: Option<AgentName>,
    conversation: Option<ConversationId>,
    messages: Watching,
}

impl Watch {
    /// The next message; an error says how many were missed because this watcher was too slow.
    /// `None`: the engine has stopped.
    pub async fn next(&mut self) -> Option<Result<Arc<Message>, u64>> {
        loop {
            match self.messages.recv().await {
                Ok(message) if self.wants(&message) => return Some(Ok(message)),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => return Some(Err(missed)),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    fn wants(&self, message: &Message) -> bool {
        let names = |agent: &AgentName| {
            message.sender().is_some_and(|sender| sender.name == *agent)
                || message
                    .acl
                    .receivers
                    .iter()
                    .any(|receiver| receiver.id.name == *agent)
        };
        message.tenant == self.tenant
            && self.agent.as_ref().is_none_or(names)
            && self
                .conversation
                .as_ref()
                .is_none_or(|id| message.acl.conversation_id.as_ref() == Some(id))
    }
}

impl App {
    /// Sends a message for the caller. It is accepted by all receivers or by none; for durable
    /// receivers it is journalled when this returns. With `wait` it returns with the answer, or
    /// without where none came in time.
    ///
    /// Errors: `CX-1010` malformed, `CX-3001` unknown receiver, `CX-3002` not running, `CX-3003` full
    /// mailbox (with a time to wait), `CX-1020` too large, `CX-500x`.
    pub async fn message_send(
        &self,
        ctx: &OpCtx,
        acl: Acl,
        wait: Option<Duration>,
    ) -> Result<Sent, Error> {
        let scope = ctx.authorize(Permission::MessageSend)?;
        self.refuse_when_draining()?;
        let message = Arc::new(self.stamp(ctx, acl, wait.is_some())?);
        let key = super::limits::key_of(&ctx.principal);
        let one = self
            .quotas
            .reserve(&ctx.tenant, key.as_deref(), Unit::Messages, 1, self.now())
            .await?;
        let id = message.id;
        let Some(wait) = wait else {
            let mut plan = Plan::default();
            plan.send(&self.shared, &message, Origin::Door)?;
            plan.carry_out_whole(&self.shared, scope.tenant()).await?;
            one.settle(1);
            return Ok(Sent { id, reply: None });
        };
        let Some(who) = message.sender().cloned() else {
            return Err(Error::new(
                Code::Internal,
                "a stamped message has no sender",
            ));
        };
        let deadline = self.shared.services.clock.now().plus(wait);
        // Accepted without an answer in time: the id is what the caller can go on with.
        let reply = match self.shared.ask(&who, message, None, deadline).await {
            Ok(reply) => Some(reply),
            Err(error) if error.code == Code::CallTimeout => None,
            Err(error) => return Err(error),
        };
        one.settle(1);
        Ok(Sent { id, reply })
    }

    /// The door's stamp: sender, id and trace are the server's to say.
    pub(super) fn stamp(&self, ctx: &OpCtx, mut acl: Acl, wait: bool) -> Result<Message, Error> {
        acl.validate()?;
        if acl.language.as_deref() == Some(ASK_LANGUAGE) {
            // What changes a session is no lesser act for coming as a message.
            ctx.authorize(Permission::SessionWrite)?;
        }
        let principal = AgentId::new(ctx.tenant.clone(), ctx.principal.agent_name());
        match &acl.sender {
            Some(named) if named.id != principal => {
                ctx.authorize(Permission::MessageSendAs)?;
                if named.id.tenant != ctx.tenant {
                    return Err(Error::new(
                        Code::PermissionDenied,
                        format!("{} is not of tenant {}", named.id, ctx.tenant),
                    ));
                }
            }
            _ => acl.sender = Some(Identifier::new(principal)),
        }
        let id = self.shared.new_message_id();
        acl.name_conversation(id);
        if wait && acl.reply_with.is_none() {
            acl.reply_with = Some(id.to_string());
        }
        Ok(Message {
            id,
            tenant: ctx.tenant.clone(),
            trace: ctx.trace,
            parent: None,
            hop: 0,
            waiting: None,
            created: self.shared.services.clock.now(),
            acl,
        })
    }

    pub async fn message_show(&self, ctx: &OpCtx, id: MessageId) -> Result<Recorded, Error> {
        let scope = ctx.authorize(Permission::MessageRead)?;
        self.recorded(&scope, id).await
    }

    /// Newest first, or oldest first within a conversation.
    pub async fn message_list(
        &self,
        ctx: &OpCtx,
        filter: &MessageFilter,
        page: &PageRequest,
    ) -> Result<Page<Recorded>, Error> {
        let scope = ctx.authorize(Permission::MessageRead)?;
        Ok(self
            .shared
            .services
            .store
            .messages(&scope, filter, page)
            .await?)
    }

    /// All messages of the trace that a message belongs to, oldest first: what caused it and what it
    /// caused. 1,000 at most.
    pub async fn message_trace(&self, ctx: &OpCtx, id: MessageId) -> Result<Vec<Recorded>, Error> {
        let scope = ctx.authorize(Permission::MessageRead)?;
        let message = self.recorded(&scope, id).await?.message;
        let filter = MessageFilter {
            trace_id: Some(message.trace.trace_id),
            ..MessageFilter::default()
        };
        let page = PageRequest::first(TRACE_ROWS_MAX);
        Ok(self
            .shared
            .services
            .store
            .messages(&scope, &filter, &page)
            .await?
            .rows)
    }

    /// The tenant's messages from now on.
    pub fn message_watch(
        &self,
        ctx: &OpCtx,
        agent: Option<AgentName>,
        conversation: Option<ConversationId>,
    ) -> Result<Watch, Error> {
        let scope = ctx.authorize(Permission::MessageRead)?;
        Ok(Watch {
            tenant: scope.tenant().clone(),
            agent,
            conversation,
            messages: self.shared.watch(),
        })
    }

    async fn recorded(&self, scope: &TenantScope, id: MessageId) -> Result<Recorded, Error> {
        let found = self.shared.services.store.message(scope, id).await?;
        found.ok_or_else(|| Error::new(Code::MessageNotFound, format!("there is no message {id}")))
    }
}
