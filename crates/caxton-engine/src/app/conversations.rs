//! Conversations: list, show.

use super::App;
use crate::opctx::OpCtx;
use crate::port::store::{MessageFilter, Page, PageRequest, Recorded};
use caxton_core::ConversationId;
use caxton_core::conversation::Conversation;
use caxton_core::error::{Code, Error};
use caxton_core::grant::Permission;

impl App {
    /// Most recently active first.
    pub async fn conversation_list(
        &self,
        ctx: &OpCtx,
        page: &PageRequest,
    ) -> Result<Page<Conversation>, Error> {
        let scope = ctx.authorize(Permission::MessageRead)?;
        Ok(self
            .shared
            .services
            .store
            .conversations(&scope, page)
            .await?)
    }

    /// A conversation's summary and its messages, oldest first.
    pub async fn conversation_show(
        &self,
        ctx: &OpCtx,
        id: &ConversationId,
        page: &PageRequest,
    ) -> Result<(Conversation, Page<Recorded>), Error> {
        let scope = ctx.authorize(Permission::MessageRead)?;
        let store = &self.shared.services.store;
        let found = store.conversation(&scope, id).await?;
        let conversation = found.ok_or_else(|| {
            Error::new(
                Code::ConversationNotFound,
                format!("there is no conversation {id}"),
            )
        })?;
        let filter = MessageFilter {
            conversation: Some(id.clone()),
            ..MessageFilter::default()
        };
        let messages = store.messages(&scope, &filter, page).await?;
        Ok((conversation, messages))
    }
}
