//! Providers of models: list, get, set, delete, override. And the ledger of model calls.

use caxton_api::wkt::Empty;
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::MessageId;
use caxton_core::breaker::{Override, State};
use caxton_core::error::{Code, shown};
use caxton_core::model::Tokens;
use caxton_engine::breakers::BreakerView;
use caxton_engine::models::{ModelCallRecord, Provider, ProviderView};
use caxton_engine::port::model::ProviderKind;
use caxton_engine::port::secrets::Secret;

use super::{Api, page};
use crate::convert::time::wire;

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListProvidersRequest,
) -> Result<v1::ListProvidersResponse, ApiError> {
    let ctx = api.open(call).await?;
    let page = page::request(request.page_size, &request.page_token);
    let found = api
        .within(&ctx, api.app().provider_list(&ctx, &page))
        .await?;
    Ok(v1::ListProvidersResponse {
        providers: found.rows.iter().map(|it| provider(it, None)).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    api: &Api,
    call: &CallContext,
    request: &v1::GetProviderRequest,
) -> Result<v1::Provider, ApiError> {
    let ctx = api.open(call).await?;
    let found = api.app().provider_show(&ctx, &request.provider);
    let (view, breaker) = api.within(&ctx, found).await?;
    Ok(provider(&view, Some(breaker)))
}

pub(super) async fn set(
    api: &Api,
    call: &CallContext,
    request: v1::SetProviderRequest,
) -> Result<v1::Provider, ApiError> {
    let ctx = api.open(call).await?;
    let kind = ProviderKind::parse(&request.kind).ok_or_else(|| {
        let what = "is none of anthropic, openai-chat, openai-responses";
        let detail = format!("`kind` {what}: `{}`", shown(&request.kind));
        ApiError::new(Code::ProviderMalformed, detail).with_field("kind", what)
    })?;
    let wanted = Provider {
        name: request.provider.clone(),
        kind,
        base_url: request.base_url,
        secret: (!request.secret.is_empty()).then(|| Secret::new(&request.secret)),
    };
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.provider_set(&inner, wanted).await };
    let view = api.settle(&ctx, call.method, work).await?;
    Ok(provider(&view, None))
}

pub(super) async fn delete(
    api: &Api,
    call: &CallContext,
    request: &v1::DeleteProviderRequest,
) -> Result<Empty, ApiError> {
    let ctx = api.open(call).await?;
    let (app, inner, name) = (api.app().clone(), ctx.clone(), request.provider.clone());
    let work = async move { app.provider_remove(&inner, &name).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(Empty {})
}

pub(super) async fn set_override(
    api: &Api,
    call: &CallContext,
    request: &v1::OverrideProviderRequest,
) -> Result<v1::Provider, ApiError> {
    let ctx = api.open(call).await?;
    let word = match request.r#override.as_str() {
        "" => Override::None,
        "open" => Override::Open,
        "closed" => Override::Closed,
        _ => {
            let what = "is neither open, closed nor empty";
            let error = ApiError::new(Code::ParameterMalformed, format!("`override` {what}"));
            return Err(error.with_field("override", what));
        }
    };
    let (app, inner, name) = (api.app().clone(), ctx.clone(), request.provider.clone());
    let work = async move { app.provider_override(&inner, &name, word).await };
    let breaker = api.settle(&ctx, call.method, work).await?;
    let found = api.app().provider_view(&ctx, &request.provider);
    Ok(provider(&api.within(&ctx, found).await?, Some(breaker)))
}

pub(super) async fn calls(
    api: &Api,
    call: &CallContext,
    request: &v1::ListModelCallsRequest,
) -> Result<v1::ListModelCallsResponse, ApiError> {
    let ctx = api.open(call).await?;
    let turn = match request.turn.as_str() {
        "" => None,
        text => Some(MessageId::parse(text)?),
    };
    let page = page::request(request.page_size, &request.page_token);
    let found = api.app().model_call_list(&ctx, turn, &page);
    let found = api.within(&ctx, found).await?;
    Ok(v1::ListModelCallsResponse {
        model_calls: found.rows.iter().map(model_call).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

fn provider(it: &ProviderView, breaker: Option<BreakerView>) -> v1::Provider {
    v1::Provider {
        name: it.name.clone(),
        kind: it.kind.as_str().to_owned(),
        base_url: it.base_url.clone(),
        has_secret: it.has_secret,
        operators: it.operators,
        create_time: it.created.map(wire),
        update_time: it.updated.map(wire),
        breaker: breaker.map(circuit_breaker),
    }
}

/// Of what has something to tell; most things are well.
pub(super) fn if_ill(it: BreakerView) -> Option<v1::CircuitBreaker> {
    let is_well = it.state == State::Closed && it.failures == 0 && it.overridden == Override::None;
    (!is_well).then(|| circuit_breaker(it))
}

fn circuit_breaker(it: BreakerView) -> v1::CircuitBreaker {
    v1::CircuitBreaker {
        state: it.state.as_str().to_owned(),
        failures: it.failures,
        retry_time: it.retry_at.map(wire),
        r#override: match it.overridden {
            Override::None => String::new(),
            Override::Open => "open".to_owned(),
            Override::Closed => "closed".to_owned(),
        },
    }
}

fn model_call(it: &ModelCallRecord) -> v1::ModelCall {
    v1::ModelCall {
        id: it.id.clone(),
        turn_id: it.turn.to_string(),
        session_id: it
            .session
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        agent: it
            .agent
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        key: it.key.clone().unwrap_or_default(),
        asked: it.asked.to_string(),
        model: it.model.to_string(),
        tries: it.tries,
        outcome: it.outcome.as_str().to_owned(),
        reserved_tokens: it.reserved_tokens,
        usage: Some(usage(&it.tokens)),
        cost_micros: it.cost_micros,
        time: Some(wire(it.began)),
        first_word_ms: it.first_word_ms,
        duration_ms: it.duration_ms,
        trace_id: it.trace_id.clone(),
    }
}

/// Tokens on the wire.
pub(crate) fn usage(it: &Tokens) -> v1::TokenUsage {
    v1::TokenUsage {
        input_tokens: it.input,
        output_tokens: it.output,
        cache_read_tokens: it.cache_read,
        cache_write_tokens: it.cache_write,
        thinking_tokens: it.thinking,
        estimated: it.estimated,
    }
}
