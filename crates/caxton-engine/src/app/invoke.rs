//! Calls from outside that wait for their answer.

use super::App;
use crate::jobs::{Call, Feed, Invoked};
use crate::limits::{Counted, Unit};
use crate::opctx::OpCtx;
use caxton_core::error::{Code, Error};
use caxton_core::grant::Permission;
use caxton_core::manifest::MailboxMode;
use caxton_core::{AgentId, ConversationId, Message, Timestamp};
use std::sync::Arc;

impl App {
    /// Asks an agent in the caller's name and waits for its answer. What happens meanwhile goes into
    /// `feed`, which ends with this. An answer that says no is [`Invoked::refused`], not an error.
    ///
    /// Errors: `CX-2020` no such agent, `CX-3043` its breaker is open, `CX-3006` no answer in time, and
    /// those of a send.
    pub async fn agent_invoke(
        &self,
        ctx: &OpCtx,
        call: Call,
        feed: Option<Arc<Feed>>,
    ) -> Result<Invoked, Error> {
        // Whatever this comes to: whoever reads it must not wait for more.
        let _ending = feed.as_ref().map(|feed| Ending(Arc::clone(feed)));
        ctx.authorize(Permission::AgentInvoke)?;
        self.refuse_when_draining()?;
        // The platform's own may look into a suspended tenant; nothing answers them there.
        self.directory.ensure_active(&ctx.tenant).await?;
        let deadline = self.now().plus(call.timeout);
        let message = self.call_message(ctx, &call, deadline)?;
        let key = super::limits::key_of(&ctx.principal);
        let one = self
            .quotas
            .reserve(&ctx.tenant, key.as_deref(), Unit::Messages, 1, self.now())
            .await?;
        // Whoever goes away meanwhile has asked all the same.
        let one = Counted::of(one);
        let done = self.jobs.invoke(&call, message, deadline, feed.as_ref());
        let done = done.await;
        let refused = |error: &Error| error.code != Code::CallTimeout;
        if done.as_ref().is_err_and(refused) {
            one.give_back();
        }
        done
    }

    /// The message of a call: to one agent that must be there, in the caller's name.
    pub(super) fn call_message(
        &self,
        ctx: &OpCtx,
        call: &Call,
        deadline: Timestamp,
    ) -> Result<Arc<Message>, Error> {
        let agent = AgentId::new(ctx.tenant.clone(), call.agent.clone());
        let mailbox = self.entry(&agent)?.deployed().manifest.delivery.mailbox;
        let mut acl = call.acl.clone();
        acl.sender = None;
        acl.receivers = vec![agent.into()];
        acl.reply_by.get_or_insert(deadline);
        let mut message = self.stamp(ctx, acl, false)?;
        // By its own id, so that whoever answers is known by it.
        message.acl.reply_with = Some(message.id.to_string());
        if mailbox == MailboxMode::Conversation && message.acl.conversation_id.is_none() {
            // A conversation of its own, so that calls which know nothing of each other do not wait for each
            // other.
            message.acl.conversation_id = Some(ConversationId::parse(&message.id.to_string())?);
        }
        Ok(Arc::new(message))
    }
}

/// A feed that ends with whoever writes it.
struct Ending(Arc<Feed>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}
