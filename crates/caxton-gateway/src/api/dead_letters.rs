//! Dead letters: list, get, resend, delete.

use std::sync::Arc;

use caxton_api::wkt::Empty;
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::Message;
use caxton_engine::port::store::{DeadLetter, DeadLetterId, PageRequest};

use super::messages::agent;
use super::{Api, page};
use crate::convert::dead_letter::dead_letter;

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListDeadLettersRequest,
) -> Result<v1::ListDeadLettersResponse, ApiError> {
    let ctx = api.open(call).await?;
    let of = agent(&request.agent)?;
    let passes = |(letter, _): &(DeadLetter, Arc<Message>)| {
        of.as_ref().is_none_or(|name| letter.id.receiver == *name)
    };
    let page = page::request(request.page_size, &request.page_token);
    let app = api.app();
    let read = |page: PageRequest| {
        let ctx = &ctx;
        async move { app.dead_letter_list(ctx, &page).await }
    };
    let found = api.within(&ctx, page::filtered(page, read, passes)).await?;
    let letters = found.rows.iter();
    Ok(v1::ListDeadLettersResponse {
        dead_letters: letters
            .map(|(letter, it)| dead_letter(letter, it))
            .collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    api: &Api,
    call: &CallContext,
    request: &v1::GetDeadLetterRequest,
) -> Result<v1::DeadLetter, ApiError> {
    let ctx = api.open(call).await?;
    let id = DeadLetterId::parse(&request.dead_letter)?;
    let found = api.app().dead_letter_show(&ctx, &id);
    let (letter, message) = api.within(&ctx, found).await?;
    Ok(dead_letter(&letter, &message))
}

pub(super) async fn resend(
    api: &Api,
    call: &CallContext,
    request: v1::ResendDeadLetterRequest,
) -> Result<v1::ResendDeadLetterResponse, ApiError> {
    let ctx = api.open(call).await?;
    let id = DeadLetterId::parse(&request.dead_letter)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move {
        let sent = app.dead_letter_resend(&inner, &id).await?;
        let id = sent.to_string();
        Ok(v1::ResendDeadLetterResponse { id })
    };
    api.create(&ctx, call, &request, work).await
}

pub(super) async fn delete(
    api: &Api,
    call: &CallContext,
    request: &v1::DeleteDeadLetterRequest,
) -> Result<Empty, ApiError> {
    let ctx = api.open(call).await?;
    let id = DeadLetterId::parse(&request.dead_letter)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.dead_letter_remove(&inner, &id).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(Empty {})
}
