//! Responses that are kept, so that a client can go on from them.

use caxton_core::model::{ChatMessage, ChatRole};
use caxton_core::session::TurnId;
use caxton_engine::OpCtx;
use caxton_engine::turn::{Follow, StoredResponse};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::answer::{Gathered, Of};
use super::openai_responses::{self, Shape};
use crate::api::Api;

/// What is known of a response before its turn ends.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) previous: Option<TurnId>,
    /// What the client said in this request.
    pub(super) said: Vec<ChatMessage>,
}

/// Keeps the turn's answer when it ends, whether or not the client waits for it; tells when it is
/// kept, or cannot be.
pub(super) fn keep(
    api: &Api,
    ctx: &OpCtx,
    follow: &Follow,
    (of, shape): (&Of, &Shape),
    draft: Draft,
) -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    let mut follow = follow.turn().follow(0);
    let (app, ctx) = (api.app().clone(), ctx.clone());
    let (of, shape) = (of.clone(), shape.clone());
    let work = async move {
        let mut gathered = Gathered::default();
        while let Some(events) = follow.next().await {
            events.iter().for_each(|(_, event)| gathered.take(event));
        }
        let answer = match gathered.ended.take() {
            Some(Ok(outcome)) => openai_responses::answer(&of, &shape, &gathered, &outcome),
            Some(Err(failure)) => openai_responses::failed(&of, &shape, &[], &failure),
            None => return,
        };
        let mut messages = draft.said;
        messages.push(ChatMessage {
            role: ChatRole::Assistant,
            parts: gathered.parts,
        });
        let stored = StoredResponse {
            id: of.turn,
            previous: draft.previous,
            messages,
            answer,
        };
        if let Err(error) = app.response_keep(&ctx, &stored).await {
            tracing::warn!(turn = %of.turn, %error, "a response was not kept");
        }
        let _ = tell.send(());
    };
    let work = work.in_current_span();
    api.tasks().spawn("keep a response", work);
    told
}
