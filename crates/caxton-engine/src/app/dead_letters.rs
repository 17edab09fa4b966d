//! Dead letters: list, show, resend, remove.

use super::App;
use crate::opctx::OpCtx;
use crate::port::store::{DeadLetter, DeadLetterId, Op, Page, PageRequest};
use crate::router::Resending;
use crate::router::plan::{Origin, Plan};
use caxton_core::error::{Code, Error};
use caxton_core::grant::Permission;
use caxton_core::{AgentId, Message, MessageId};
use std::sync::Arc;

impl App {
    /// Newest first.
    pub async fn dead_letter_list(
        &self,
        ctx: &OpCtx,
        page: &PageRequest,
    ) -> Result<Page<(DeadLetter, Arc<Message>)>, Error> {
        let scope = ctx.authorize(Permission::MessageRead)?;
        Ok(self
            .shared
            .services
            .store
            .dead_letters(&scope, page)
            .await?)
    }

    pub async fn dead_letter_show(
        &self,
        ctx: &OpCtx,
        id: &DeadLetterId,
    ) -> Result<(DeadLetter, Arc<Message>), Error> {
        let scope = ctx.authorize(Permission::MessageRead)?;
        let found = self.shared.services.store.dead_letter(&scope, id).await?;
        found.ok_or_else(|| not_found(id))
    }

    /// Sends the message again to the receiver that missed it, as a new message with the old one as
    /// its parent, and forgets the dead letter, both or neither. Gives the new message's id.
    pub async fn dead_letter_resend(
        &self,
        ctx: &OpCtx,
        id: &DeadLetterId,
    ) -> Result<MessageId, Error> {
        let scope = ctx.authorize(Permission::DeadLetterWrite)?;
        self.refuse_when_draining()?;
        // Whoever comes while it is on its way again finds none.
        let resending = Resending::begin(&self.shared, scope.tenant(), id);
        let _resending = resending.ok_or_else(|| not_found(id))?;
        let (_, old) = self.dead_letter_show(ctx, id).await?;
        let mut acl = old.acl.clone();
        acl.receivers = vec![AgentId::new(scope.tenant().clone(), id.receiver.clone()).into()];
        let message = Arc::new(Message {
            id: self.shared.new_message_id(),
            parent: Some(old.id),
            hop: 0,
            waiting: None,
            created: self.shared.services.clock.now(),
            acl,
            ..(*old).clone()
        });
        let mut plan = Plan::default();
        plan.send(&self.shared, &message, Origin::Door)?;
        plan.ops.push(Op::DeadLetterRemove { id: id.clone() });
        let work = plan.carry_out_whole(&self.shared, scope.tenant());
        let target = format!("deadLetters/{id}");
        self.act(ctx, &ctx.tenant, "dead-letter.resend", target, work)
            .await?;
        Ok(message.id)
    }

    pub async fn dead_letter_remove(&self, ctx: &OpCtx, id: &DeadLetterId) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::DeadLetterWrite)?;
        self.dead_letter_show(ctx, id).await?;
        let gone = vec![Op::DeadLetterRemove { id: id.clone() }];
        let work = self.shared.commit(scope.tenant(), gone);
        let target = format!("deadLetters/{id}");
        self.act(ctx, &ctx.tenant, "dead-letter.remove", target, work)
            .await?;
        Ok(())
    }
}

fn not_found(id: &DeadLetterId) -> Error {
    let detail = format!("there is no dead letter {id}");
    Error::new(Code::DeadLetterNotFound, detail)
}
