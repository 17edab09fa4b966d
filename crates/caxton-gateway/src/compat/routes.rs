//! The routes of the compatible doors, and what each needs.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use caxton_api::{ApiError, CallContext, Operation};
use caxton_core::error::Code;
use caxton_core::session::{TurnEvent, TurnOutcome};
use caxton_engine::OpCtx;
use caxton_engine::turn::Follow;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::answer::{Gathered, Of};
use super::asked::Asked;
use super::blocks::{Blocks, put, unnumbered};
use super::door::{
    Dialect, MODEL_OPERATION, Opened, body, finish, gather, go_on, json, of, once, open, start,
    tell,
};
use super::{anthropic, error, models, openai_chat, openai_responses, stored};
use crate::api::Api;

const COMPLETE: &str = "openai.v1/CreateChatCompletion";
const RESPOND: &str = "openai.v1/CreateResponse";
const GET_RESPONSE: &str = "openai.v1/GetResponse";
const DELETE_RESPONSE: &str = "openai.v1/DeleteResponse";
const OPENAI_MODELS: &str = "openai.v1/ListModels";
const MESSAGES: &str = "anthropic.v1/CreateMessage";
const COUNT: &str = "anthropic.v1/CountTokens";
const ANTHROPIC_MODELS: &str = "anthropic.v1/ListModels";

/// Where the doors of `OpenAI`'s clients are: their own root, and aliases beside our own API.
const OPENAI: [&str; 2] = ["/openai/v1", "/v1"];
const ANTHROPIC: [&str; 1] = ["/anthropic/v1"];

/// An operation before it is put under its roots.
struct Row(&'static str, &'static str, &'static str, &'static str, bool);

const OPENAI_ROWS: [Row; 6] = [
    Row(
        COMPLETE,
        "sessions:write",
        "post",
        "/chat/completions",
        true,
    ),
    Row(RESPOND, "sessions:write", "post", "/responses", true),
    Row(
        GET_RESPONSE,
        "sessions:read",
        "get",
        "/responses/{response}",
        false,
    ),
    Row(
        DELETE_RESPONSE,
        "sessions:write",
        "delete",
        "/responses/{response}",
        false,
    ),
    Row(OPENAI_MODELS, "agents:read", "get", "/models", false),
    Row(
        OPENAI_MODELS,
        "agents:read",
        "get",
        "/models/{model}",
        false,
    ),
];

const ANTHROPIC_ROWS: [Row; 4] = [
    Row(MESSAGES, "sessions:write", "post", "/messages", true),
    Row(
        COUNT,
        "sessions:write",
        "post",
        "/messages/count_tokens",
        false,
    ),
    Row(ANTHROPIC_MODELS, "agents:read", "get", "/models", false),
    Row(
        ANTHROPIC_MODELS,
        "agents:read",
        "get",
        "/models/{model}",
        false,
    ),
];

/// The operations of the compatible doors, as those of the contract are listed: for permissions,
/// limits and the log of requests.
pub(crate) fn operations() -> Vec<(Operation, String)> {
    let below = |roots: &[&str], rows: &[Row]| -> Vec<(Operation, String)> {
        let each = roots.iter().flat_map(|root| {
            rows.iter()
                .map(move |Row(method, permission, verb, path, streams)| {
                    let operation = Operation {
                        method,
                        permission,
                        verb,
                        path,
                        streams: *streams,
                    };
                    (operation, format!("{root}{path}"))
                })
        });
        each.collect()
    };
    let mut all = below(&OPENAI, &OPENAI_ROWS);
    all.extend(below(&ANTHROPIC, &ANTHROPIC_ROWS));
    let model = Operation {
        method: MODEL_OPERATION,
        permission: "models:use",
        verb: "post",
        path: "",
        streams: true,
    };
    all.push((model, String::new()));
    all
}

/// All routes.
pub(crate) fn router(api: Api) -> Router {
    let mut router = Router::new();
    for root in OPENAI {
        router = router
            .route(&format!("{root}/chat/completions"), post(completions))
            .route(&format!("{root}/responses"), post(responses))
            .route(
                &format!("{root}/responses/{{response}}"),
                get(response).delete(response),
            )
            .route(&format!("{root}/models"), get(openai_models))
            .route(&format!("{root}/models/{{model}}"), get(openai_model));
    }
    for root in ANTHROPIC {
        router = router
            .route(&format!("{root}/messages"), post(messages))
            .route(&format!("{root}/messages/count_tokens"), post(count))
            .route(&format!("{root}/models"), get(anthropic_models))
            .route(&format!("{root}/models/{{model}}"), get(anthropic_model));
    }
    router.with_state(api)
}

/// Opens an operation, does it, and ends it in the words of its client.
macro_rules! answer {
    ($api:ident, $method:expr, $request:ident, $work:expr) => {
        match open(&$api, $method, $request).await {
            Err(refused) => refused,
            Ok(Opened { call, ctx, request }) => {
                let answer = $work(&$api, (&call, &ctx), request).await;
                finish(&call, answer)
            }
        }
    };
}

type Call<'a> = (&'a CallContext, &'a OpCtx);

async fn completions(State(api): State<Api>, request: Request) -> Response {
    answer!(api, COMPLETE, request, complete)
}

async fn complete(api: &Api, opened: Call<'_>, request: Request) -> Result<Response, ApiError> {
    let (call, _) = opened;
    let bytes = body(request).await?;
    let openai_chat::Completion {
        asked,
        include_usage,
    } = openai_chat::decode(&bytes)?;
    let (model, stream) = (asked.model.clone(), asked.stream);
    let encoder = |of: Of| openai_chat::Stream::new(of, include_usage);
    if let Some(id) = &call.last_event_id {
        return go_on(api, opened, id, encoder, model).await;
    }
    if stream {
        let follow = start(api, opened, &bytes, asked).await?;
        let of = of(call, &follow, model);
        return tell(api, opened, follow, None, encoder(of)).await;
    }
    whole(api, opened, bytes, asked, openai_chat::answer).await
}

/// Answers what is asked, whole.
async fn whole(
    api: &Api,
    opened: Call<'_>,
    bytes: Bytes,
    asked: Asked,
    answer: fn(&Of, &Gathered, &TurnOutcome) -> Value,
) -> Result<Response, ApiError> {
    let (api_of_it, call, body) = (api.clone(), opened.0.clone(), bytes.clone());
    let model = asked.model.clone();
    let work = move |ctx: OpCtx| async move {
        let follow = start(&api_of_it, (&call, &ctx), &body, asked).await?;
        let of = of(&call, &follow, model);
        let (gathered, outcome) = gather(&api_of_it, &ctx, follow).await?;
        Ok(answer(&of, &gathered, &outcome))
    };
    once(api, opened, &bytes, work).await
}

impl Dialect for openai_chat::Stream {
    fn event(&mut self, event: &TurnEvent, out: &mut Blocks) {
        Self::event(self, event, out);
    }
}

async fn responses(State(api): State<Api>, request: Request) -> Response {
    answer!(api, RESPOND, request, respond)
}

async fn respond(api: &Api, opened: Call<'_>, request: Request) -> Result<Response, ApiError> {
    let (call, _) = opened;
    let bytes = body(request).await?;
    let creation = openai_responses::decode(&bytes)?;
    let (model, stream) = (creation.asked.model.clone(), creation.asked.stream);
    let shape = creation.shape.clone();
    let encoder = |of: Of| openai_responses::Stream::new(of, shape.clone());
    if let Some(id) = &call.last_event_id {
        return go_on(api, opened, id, encoder, model).await;
    }
    if stream {
        let (follow, of, kept) = begin_response(api, opened, &bytes, creation).await?;
        return tell(api, opened, follow, kept, encoder(of)).await;
    }
    let (api_of_it, call, body) = (api.clone(), call.clone(), bytes.clone());
    let work = move |ctx: OpCtx| async move {
        let begun = begin_response(&api_of_it, (&call, &ctx), &body, creation);
        let (follow, of, kept) = begun.await?;
        let (gathered, outcome) = gather(&api_of_it, &ctx, follow).await?;
        if let Some(kept) = kept {
            // Whoever keeps it may fail, which is in its log; the client has its answer anyhow.
            let _ = kept.await;
        }
        let answer = openai_responses::answer(&of, &shape, &gathered, &outcome);
        Ok(answer)
    };
    once(api, opened, &bytes, work).await
}

/// A response that has begun, and what tells when it is kept.
type ResponseBegun = (Follow, Of, Option<oneshot::Receiver<()>>);

/// Begins a response behind the one before it, and has it kept.
async fn begin_response(
    api: &Api,
    opened: Call<'_>,
    bytes: &Bytes,
    mut creation: openai_responses::Creation,
) -> Result<ResponseBegun, ApiError> {
    let (call, ctx) = opened;
    let (model, shape) = (creation.asked.model.clone(), creation.shape.clone());
    let said = creation.asked.messages.clone();
    if let Some(previous) = creation.previous {
        let history = api.app().response_history(ctx, previous);
        let mut history = api.within(ctx, history).await?;
        history.append(&mut creation.asked.messages);
        creation.asked.messages = history;
    }
    let follow = start(api, opened, bytes, creation.asked).await?;
    let of = of(call, &follow, model);
    let kept = creation.store.then(|| {
        let previous = creation.previous;
        let draft = stored::Draft { previous, said };
        stored::keep(api, ctx, &follow, (&of, &shape), draft)
    });
    Ok((follow, of, kept))
}

impl Dialect for openai_responses::Stream {
    fn event(&mut self, event: &TurnEvent, out: &mut Blocks) {
        Self::event(self, event, out);
    }

    fn broken(error: &ApiError) -> Bytes {
        let told = error::openai(error);
        let mut told = told.get("error").cloned().unwrap_or_default();
        put(&mut told, "type", json!("error"));
        unnumbered(Some("error"), &told)
    }
}

/// What a path names. One that is no text is refused as everything else is, and not by the router.
type Named = Result<Path<String>, PathRejection>;

fn id(named: Named) -> Result<String, ApiError> {
    named.map(|Path(id)| id).map_err(|_| {
        let detail = "a name in the path is no UTF-8";
        ApiError::new(Code::ParameterMalformed, detail)
    })
}

async fn response(State(api): State<Api>, named: Named, request: Request) -> Response {
    let id = id(named);
    if request.method() == Method::DELETE {
        let remove = async |api: &Api, (_, ctx): Call<'_>, _: Request| {
            let id = id.clone()?;
            let turn = openai_responses::response_id(&id)?;
            let removed = api.app().response_remove(ctx, turn);
            api.within(ctx, removed).await?;
            let told = json!({"id": id, "object": "response", "deleted": true});
            Ok(json(&told))
        };
        return answer!(api, DELETE_RESPONSE, request, remove);
    }
    let show = async |api: &Api, (_, ctx): Call<'_>, _: Request| {
        let turn = openai_responses::response_id(&id.clone()?)?;
        let found = api.app().response_show(ctx, turn);
        let found = api.within(ctx, found).await?;
        Ok(json(&found.answer))
    };
    answer!(api, GET_RESPONSE, request, show)
}

async fn messages(State(api): State<Api>, request: Request) -> Response {
    answer!(api, MESSAGES, request, message)
}

async fn message(api: &Api, opened: Call<'_>, request: Request) -> Result<Response, ApiError> {
    let (call, _) = opened;
    let bytes = body(request).await?;
    let asked = anthropic::decode(&bytes, false)?;
    let (model, stream) = (asked.model.clone(), asked.stream);
    if let Some(id) = &call.last_event_id {
        return go_on(api, opened, id, anthropic::Stream::new, model).await;
    }
    if stream {
        let follow = start(api, opened, &bytes, asked).await?;
        let of = of(call, &follow, model);
        return tell(api, opened, follow, None, anthropic::Stream::new(of)).await;
    }
    whole(api, opened, bytes, asked, anthropic::answer).await
}

impl Dialect for anthropic::Stream {
    fn event(&mut self, event: &TurnEvent, out: &mut Blocks) {
        Self::event(self, event, out);
    }

    fn beat(&self) -> Bytes {
        unnumbered(Some("ping"), &json!({"type": "ping"}))
    }

    fn broken(error: &ApiError) -> Bytes {
        unnumbered(Some("error"), &error::anthropic(error, None))
    }
}

async fn count(State(api): State<Api>, request: Request) -> Response {
    let count = async |api: &Api, (_, ctx): Call<'_>, request: Request| {
        let bytes = body(request).await?;
        let asked = anthropic::decode(&bytes, true)?;
        // A model straight through a provider is not looked up: counting asks nobody.
        if !asked.model.contains('/') {
            models::one(api, ctx, &asked.model)?;
        }
        Ok(json(&json!({"input_tokens": asked.tokens_estimate()})))
    };
    answer!(api, COUNT, request, count)
}

async fn openai_models(State(api): State<Api>, request: Request) -> Response {
    let list = async |api: &Api, (_, ctx): Call<'_>, _: Request| {
        Ok(json(&models::openai_list(&models::all(api, ctx)?)))
    };
    answer!(api, OPENAI_MODELS, request, list)
}

async fn openai_model(State(api): State<Api>, named: Named, request: Request) -> Response {
    let id = id(named);
    let show = async |api: &Api, (_, ctx): Call<'_>, _: Request| {
        Ok(json(&models::openai(&models::one(api, ctx, &id.clone()?)?)))
    };
    answer!(api, OPENAI_MODELS, request, show)
}

async fn anthropic_models(State(api): State<Api>, request: Request) -> Response {
    let list = async |api: &Api, (_, ctx): Call<'_>, request: Request| {
        let page = models::Page::of(request.uri().query())?;
        Ok(json(&models::anthropic_list(
            &models::all(api, ctx)?,
            &page,
        )))
    };
    answer!(api, ANTHROPIC_MODELS, request, list)
}

async fn anthropic_model(State(api): State<Api>, named: Named, request: Request) -> Response {
    let id = id(named);
    let show = async |api: &Api, (_, ctx): Call<'_>, _: Request| {
        let found: Value = models::anthropic(&models::one(api, ctx, &id.clone()?)?);
        Ok(json(&found))
    };
    answer!(api, ANTHROPIC_MODELS, request, show)
}
