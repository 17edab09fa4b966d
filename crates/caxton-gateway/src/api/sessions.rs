//! Sessions and turns.

use async_trait::async_trait;
use caxton_api::sessions::SessionsApi;
use caxton_api::wkt::Empty;
use caxton_api::{ApiError, ApiStream, CallContext, v1};
use caxton_core::AgentName;
use caxton_core::error::{Code, Error};
use caxton_core::session::{SessionId, TurnEvent, TurnId};
use caxton_engine::OpCtx;
use caxton_engine::turn::Follow;
use futures::{StreamExt, stream};
use prost::Message as _;

use super::{Api, messages, page};
use crate::chat::{followed, no_event};
use crate::compat::blocks;
use crate::convert::session::{entry, session, thinking, turn};
use crate::convert::tool::{content, file, rules};
use crate::convert::turn::{after, answer, ask, event};
use crate::stream::Place;
use crate::turn::{Wanted, begin, whole};

/// The answer of a turn, when it is whole; a failure with its status.
pub(crate) async fn chat_answer(
    api: &Api,
    ctx: &OpCtx,
    call: &CallContext,
    follow: Follow,
) -> Result<v1::ChatAnswer, ApiError> {
    let of = followed(call, &follow);
    let mut last = None;
    let see = |event: &TurnEvent| match event {
        TurnEvent::Completed(outcome) => last = Some(Ok(answer(&of, outcome))),
        TurnEvent::Failed(failure) => {
            let mut error = ApiError::from(failure.error());
            error.turn = Some(Box::new((of.session.to_string(), of.turn.to_string())));
            last = Some(Err(error));
        }
        _ => {}
    };
    whole(api, ctx, follow, see).await?;
    last.unwrap_or_else(|| Err(ApiError::new(Code::Internal, "the turn has no end")))
}

/// A turn's events over gRPC.
fn events(
    api: &Api,
    ctx: &OpCtx,
    call: &CallContext,
    place: Place,
    follow: Follow,
) -> ApiStream<v1::TurnEvent> {
    let of = followed(call, &follow);
    let batches = stream::unfold(follow, |mut follow| async move {
        let batch = follow.next().await?;
        Some((batch, follow))
    });
    let events = batches.flat_map(move |batch| {
        let told = batch.iter().map(|(number, it)| Ok(event(&of, *number, it)));
        stream::iter(told.collect::<Vec<_>>())
    });
    api.hold(call, ctx, place.of_answer(), events)
}

#[async_trait]
impl SessionsApi for Api {
    async fn complete_chat(
        &self,
        call: &CallContext,
        request: v1::ChatRequest,
    ) -> Result<v1::ChatAnswer, ApiError> {
        let ctx = self.open(call).await?;
        let body = request.encode_to_vec();
        let wanted = Wanted::Assistant(Box::new(ask(request)?));
        let follow = begin(self, &ctx, call, body, wanted).await?;
        chat_answer(self, &ctx, call, follow).await
    }

    async fn chat(
        &self,
        call: &CallContext,
        request: v1::ChatRequest,
    ) -> Result<ApiStream<v1::TurnEvent>, ApiError> {
        let ctx = self.open(call).await?;
        if let Some(id) = &call.last_event_id {
            let (turn, _) = blocks::place(id).ok_or_else(|| no_event(id))?;
            let request = v1::FollowTurnRequest {
                turn: turn.to_string(),
                after: String::new(),
            };
            return self.follow_turn(call, request).await;
        }
        let body = request.encode_to_vec();
        let wanted = Wanted::Assistant(Box::new(ask(request)?));
        let place = self.streams().place()?;
        let follow = begin(self, &ctx, call, body, wanted).await?;
        Ok(events(self, &ctx, call, place, follow))
    }

    async fn follow_turn(
        &self,
        call: &CallContext,
        request: v1::FollowTurnRequest,
    ) -> Result<ApiStream<v1::TurnEvent>, ApiError> {
        let ctx = self.open(call).await?;
        let id = TurnId::parse(&request.turn)?;
        let given = call.last_event_id.as_deref();
        let given = given.or(Some(request.after.as_str()).filter(|it| !it.is_empty()));
        let number = given.map(|text| after(id, text)).transpose()?;
        let place = self.streams().place()?;
        let found = self.app().turn_follow(&ctx, id, number.unwrap_or(0));
        let follow = self.within(&ctx, found).await?;
        Ok(events(self, &ctx, call, place, follow))
    }

    async fn get_turn(
        &self,
        call: &CallContext,
        request: v1::GetTurnRequest,
    ) -> Result<v1::Turn, ApiError> {
        let ctx = self.open(call).await?;
        let id = TurnId::parse(&request.turn)?;
        let found = self.within(&ctx, self.app().turn_show(&ctx, id)).await?;
        Ok(turn(&found))
    }

    async fn cancel_turn(
        &self,
        call: &CallContext,
        request: v1::CancelTurnRequest,
    ) -> Result<Empty, ApiError> {
        let ctx = self.open(call).await?;
        let id = TurnId::parse(&request.turn)?;
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = async move { app.turn_cancel(&inner, id).await };
        self.settle(&ctx, call.method, work).await?;
        Ok(Empty {})
    }

    async fn create_session(
        &self,
        call: &CallContext,
        request: v1::CreateSessionRequest,
    ) -> Result<v1::Session, ApiError> {
        let ctx = self.open(call).await?;
        let agent = AgentName::parse(&request.agent)?;
        let id = match request.id.as_str() {
            "" => None,
            id => Some(SessionId::parse(id)?),
        };
        let level = thinking(&request.thinking)?;
        let tools = request.tools.as_ref().map(rules).transpose()?;
        let tools = tools.unwrap_or_default();
        let (app, inner) = (self.app().clone(), ctx.clone());
        self.create(&ctx, call, &request, async move {
            let made = app.session_create(&inner, agent, id, level, tools).await?;
            Ok(session(&made))
        })
        .await
    }

    async fn list_sessions(
        &self,
        call: &CallContext,
        request: v1::ListSessionsRequest,
    ) -> Result<v1::ListSessionsResponse, ApiError> {
        let ctx = self.open(call).await?;
        let agent = messages::agent(&request.agent)?;
        let page = page::request(request.page_size, &request.page_token);
        let found = self.app().session_list(&ctx, agent.as_ref(), &page);
        let found = self.within(&ctx, found).await?;
        Ok(v1::ListSessionsResponse {
            sessions: found.rows.iter().map(session).collect(),
            next_page_token: found.next.unwrap_or_default(),
        })
    }

    async fn get_session(
        &self,
        call: &CallContext,
        request: v1::GetSessionRequest,
    ) -> Result<v1::Session, ApiError> {
        let ctx = self.open(call).await?;
        let id = named(&request.session)?;
        let found = self
            .within(&ctx, self.app().session_show(&ctx, &id))
            .await?;
        Ok(session(&found))
    }

    async fn update_session(
        &self,
        call: &CallContext,
        request: v1::UpdateSessionRequest,
    ) -> Result<v1::Session, ApiError> {
        let ctx = self.open(call).await?;
        let id = named(&request.session)?;
        let level = request.thinking.as_deref().map(thinking).transpose()?;
        let tools = request.tools.as_ref().map(rules).transpose()?;
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = async move { app.session_configure(&inner, &id, level, tools).await };
        Ok(session(&self.settle(&ctx, call.method, work).await?))
    }

    async fn reset_session(
        &self,
        call: &CallContext,
        request: v1::ResetSessionRequest,
    ) -> Result<v1::Session, ApiError> {
        let ctx = self.open(call).await?;
        let id = named(&request.session)?;
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = async move { app.session_reset(&inner, &id, request.summarize).await };
        Ok(session(&self.settle(&ctx, call.method, work).await?))
    }

    async fn delete_session(
        &self,
        call: &CallContext,
        request: v1::DeleteSessionRequest,
    ) -> Result<Empty, ApiError> {
        let ctx = self.open(call).await?;
        let id = named(&request.session)?;
        let (app, inner) = (self.app().clone(), ctx.clone());
        let work = async move { app.session_remove(&inner, &id).await };
        self.settle(&ctx, call.method, work).await?;
        Ok(Empty {})
    }

    async fn list_session_messages(
        &self,
        call: &CallContext,
        request: v1::ListSessionMessagesRequest,
    ) -> Result<v1::ListSessionMessagesResponse, ApiError> {
        let ctx = self.open(call).await?;
        let id = named(&request.session)?;
        let page = page::request(request.page_size, &request.page_token);
        let found = self.app().session_messages(&ctx, &id, &page);
        let found = self.within(&ctx, found).await?;
        Ok(v1::ListSessionMessagesResponse {
            messages: found.rows.iter().map(entry).collect(),
            next_page_token: found.next.unwrap_or_default(),
        })
    }

    async fn list_session_files(
        &self,
        call: &CallContext,
        request: v1::ListSessionFilesRequest,
    ) -> Result<v1::ListSessionFilesResponse, ApiError> {
        let ctx = self.open(call).await?;
        let id = named(&request.session)?;
        let page = page::request(request.page_size, &request.page_token);
        let found = self.app().session_files(&ctx, &id, &page);
        let found = self.within(&ctx, found).await?;
        Ok(v1::ListSessionFilesResponse {
            files: found.rows.iter().map(file).collect(),
            next_page_token: found.next.unwrap_or_default(),
        })
    }

    async fn get_session_file(
        &self,
        call: &CallContext,
        request: v1::GetSessionFileRequest,
    ) -> Result<v1::SessionFileContent, ApiError> {
        let ctx = self.open(call).await?;
        let id = named(&request.session)?;
        let found = self.app().session_file(&ctx, &id, &request.path);
        Ok(content(self.within(&ctx, found).await?))
    }
}

/// An id that no session can have is one that no session has.
pub(super) fn named(text: &str) -> Result<SessionId, Error> {
    SessionId::parse(text).map_err(|_| {
        let detail = format!("there is no session `{}`", caxton_core::error::shown(text));
        Error::new(Code::SessionNotFound, detail)
    })
}
