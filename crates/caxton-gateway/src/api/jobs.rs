//! Calls from outside: invoke, and jobs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use caxton_api::wkt::Empty;
use caxton_api::{ApiError, ApiStream, CallContext, v1};
use caxton_core::error::{Code, Error, shown};
use caxton_core::manifest::nearest;
use caxton_core::{MessageId, TenantId};
use caxton_engine::OpCtx;
use caxton_engine::idempotency::{Begun, Claim};
use caxton_engine::jobs::{
    ATTEMPTS_MAX, Call, Event, Feed, FeedReader, INVOKE_ATTEMPTS, INVOKE_TIMEOUT, Invoked,
    JOB_ATTEMPTS, JOB_TIMEOUT, JOB_TIMEOUT_MAX, JobFilter, JobState,
};
use caxton_engine::port::Answer;
use futures::{StreamExt, stream};

use prost::Message as _;

use super::agents::name;
use super::idempotent::may_have_happened;
use super::messages::agent;
use super::{Api, page, refused};
use crate::convert::job;
use crate::convert::message::acl;
use crate::convert::time::wire;
use crate::stream::{Place, lagged};

/// The id of a job's last event.
const END: &str = "end";

/// A request of either kind as a call; the two have the same fields.
macro_rules! call {
    ($request:expr, $body:ident, $home:expr, $timeout:expr, $attempts:expr) => {{
        let request = $request;
        let performative = match request.performative.as_str() {
            "" => "request".to_owned(),
            act => act.to_owned(),
        };
        let draft = v1::MessageDraft {
            performative,
            body: request.body.map(|body| match body {
                v1::$body::Body::Content(text) => v1::message_draft::Body::Content(text),
                v1::$body::Body::ContentBase64(bytes) => {
                    v1::message_draft::Body::ContentBase64(bytes)
                }
            }),
            language: request.language,
            encoding: request.encoding,
            ontology: request.ontology,
            protocol: request.protocol,
            conversation_id: request.conversation_id,
            user_parameters: request.user_parameters,
            ..v1::MessageDraft::default()
        };
        read(
            &request.agent,
            draft,
            $home,
            $timeout,
            (request.attempts_max, $attempts),
        )
    }};
}

fn read(
    agent: &str,
    draft: v1::MessageDraft,
    home: &TenantId,
    timeout: Duration,
    (attempts, attempts_default): (u32, u32),
) -> Result<Call, ApiError> {
    if attempts > ATTEMPTS_MAX {
        let what = format!("is more than {ATTEMPTS_MAX}");
        let detail = format!("`attemptsMax` {what}");
        return Err(ApiError::new(Code::ParameterMalformed, detail).with_field("attemptsMax", what));
    }
    Ok(Call {
        agent: name(agent)?,
        acl: acl(draft, home)?,
        timeout,
        attempts_max: if attempts == 0 {
            attempts_default
        } else {
            attempts
        },
    })
}

fn invocation(api: &Api, ctx: &OpCtx, request: v1::InvokeAgentRequest) -> Result<Call, ApiError> {
    let timeout = api.duration("timeout", &request.timeout)?;
    let timeout = timeout.unwrap_or(INVOKE_TIMEOUT);
    call!(
        request,
        invoke_agent_request,
        &ctx.tenant,
        timeout,
        INVOKE_ATTEMPTS
    )
}

pub(super) async fn invoke(
    api: &Api,
    call: &CallContext,
    request: v1::InvokeAgentRequest,
) -> Result<v1::InvokeAgentResponse, ApiError> {
    let ctx = api.open(call).await?;
    let asked = invocation(api, &ctx, request.clone())?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let no = Arc::new(parking_lot::Mutex::new(None));
    let told = Arc::clone(&no);
    let work = async move {
        let done = app.agent_invoke(&inner, asked, None).await?;
        job::invoked(&done).map_err(|problem| {
            let error = Error::new(problem.code, problem.detail.clone());
            // It has more than an error of the engine's can carry.
            *told.lock() = Some(problem);
            error
        })
    };
    let done = api.create(&ctx, call, &request, work).await;
    done.map_err(|error| no.lock().take().unwrap_or(error))
}

/// Does an invocation for which a key was given, and keeps its answer for whoever repeats it.
async fn kept(
    claim: Claim,
    asked: impl Future<Output = Result<Invoked, Error>>,
) -> Result<Invoked, Error> {
    let done = asked.await;
    let answer = match &done {
        Ok(done) => job::invoked(done).ok(),
        Err(error) if may_have_happened(error.code) => return done,
        Err(_) => None,
    };
    match answer {
        Some(answer) => claim.answered(answer.encode_to_vec().into()).await,
        None => claim.freed().await,
    }
    done
}

/// The one event of an invocation that was answered when it was asked the first time.
fn answered_before(api: &Api, kept: &[u8]) -> Result<v1::InvocationEvent, ApiError> {
    let response = v1::InvokeAgentResponse::decode(kept);
    let response =
        response.map_err(|error| refused(Error::new(Code::StorageDamaged, error.to_string())))?;
    Ok(v1::InvocationEvent {
        id: END.to_owned(),
        state: JobState::Complete.as_str().to_owned(),
        message: None,
        response: Some(response),
        time: Some(wire(api.clock().now())),
    })
}

/// An invocation that is followed: dropped with its stream, nobody waits any more, unless it has an
/// `Idempotency-Key`.
struct Invocation {
    asked: Pin<Box<dyn Future<Output = Result<Invoked, ApiError>> + Send>>,
    outcome: Option<Result<Invoked, ApiError>>,
    events: FeedReader,
}

pub(super) async fn stream_invocation(
    api: &Api,
    call: &CallContext,
    request: v1::InvokeAgentRequest,
) -> Result<ApiStream<v1::InvocationEvent>, ApiError> {
    let ctx = api.open(call).await?;
    let asked = invocation(api, &ctx, request.clone())?;
    let place = api.streams().place()?;
    let begun = (call.method, request.encode_to_vec());
    let begun = api.app().idempotency_begin(&ctx, (begun.0, &begun.1));
    let claim = match api.within(&ctx, begun).await? {
        Some(Begun::Replay(kept)) => {
            let replayed = stream::once(std::future::ready(answered_before(api, &kept)));
            return Ok(api.hold(call, &ctx, place, replayed));
        }
        Some(Begun::First(claim)) => Some(claim),
        None if call.last_event_id.is_some() => {
            // Taken for a new request it would be made twice.
            let detail = "an invocation is not followed again; a job is, or one repeated with its Idempotency-Key";
            return Err(never_told(detail));
        }
        None => None,
    };
    let feed = Arc::new(Feed::default());
    let events = feed
        .read(None)
        .ok_or_else(|| ApiError::new(Code::Internal, "a new feed cannot be read"))?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let asked = async move { app.agent_invoke(&inner, asked, Some(feed)).await };
    let (api_of_it, inner, method) = (api.clone(), ctx.clone(), call.method);
    let asked: Pin<Box<dyn Future<Output = _> + Send>> = match claim {
        None => Box::pin(async move { asked.await.map_err(refused) }),
        // It goes on without the caller, who can come back for the answer.
        Some(claim) => Box::pin(async move {
            let work = kept(claim, asked);
            api_of_it.settle(&inner, method, work).await
        }),
    };
    let mut invocation = Invocation {
        asked,
        outcome: None,
        events,
    };
    // What is refused at once is the answer of the request, and no stream.
    let first = invocation.step().await?;
    let rest = stream::unfold(Some(invocation), |invocation| async move {
        let mut invocation = invocation?;
        match invocation.step().await {
            Ok(Some(event)) => Some((Ok(event), Some(invocation))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    let all = stream::iter(first.map(Ok)).chain(rest);
    Ok(api.hold(call, &ctx, place.of_answer(), all))
}

impl Invocation {
    /// The next event; none after the last.
    async fn step(&mut self) -> Result<Option<v1::InvocationEvent>, ApiError> {
        loop {
            let event = tokio::select! {
                biased;
                event = self.events.next() => event,
                outcome = &mut self.asked, if self.outcome.is_none() => {
                    self.outcome = Some(outcome);
                    continue;
                }
            };
            let event = match event {
                Some(Ok(event)) => event,
                Some(Err(missed)) => return Err(lagged(missed)),
                None => return self.end().await,
            };
            if !event.state.is_final() {
                return Ok(Some(job::invocation_event(&event)));
            }
            let response = self.outcome().await?;
            let response = job::invoked(&response)?;
            return Ok(Some(v1::InvocationEvent {
                response: Some(response),
                ..job::invocation_event(&event)
            }));
        }
    }

    async fn end(&mut self) -> Result<Option<v1::InvocationEvent>, ApiError> {
        match self.outcome.take() {
            // Told with the last event.
            None | Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }

    async fn outcome(&mut self) -> Result<Invoked, ApiError> {
        match self.outcome.take() {
            Some(outcome) => outcome,
            None => (&mut self.asked).await,
        }
    }
}

pub(super) async fn create(
    api: &Api,
    call: &CallContext,
    request: v1::CreateJobRequest,
) -> Result<v1::Job, ApiError> {
    let ctx = api.open(call).await?;
    let timeout = api.duration_within("timeout", &request.timeout, JOB_TIMEOUT_MAX)?;
    let timeout = timeout.unwrap_or(JOB_TIMEOUT);
    let asked = request.clone();
    let asked = call!(
        asked,
        create_job_request,
        &ctx.tenant,
        timeout,
        JOB_ATTEMPTS
    )?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    api.create(&ctx, call, &request, async move {
        let submitted = app.job_submit(&inner, asked).await?;
        Ok(job::job(&submitted))
    })
    .await
}

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListJobsRequest,
) -> Result<v1::ListJobsResponse, ApiError> {
    let ctx = api.open(call).await?;
    let filter = JobFilter {
        agent: agent(&request.agent)?,
        state: state(&request.state)?,
    };
    let page = page::request(request.page_size, &request.page_token);
    let read = |page| {
        let ctx = &ctx;
        async move { api.app().job_list(ctx, &page).await }
    };
    let found = page::filtered(page, read, |it| filter.matches(it));
    let found = api.within(&ctx, found).await?;
    Ok(v1::ListJobsResponse {
        jobs: found.rows.iter().map(job::record).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    api: &Api,
    call: &CallContext,
    request: &v1::GetJobRequest,
) -> Result<v1::Job, ApiError> {
    let ctx = api.open(call).await?;
    let id = MessageId::parse(&request.job)?;
    let found = api.within(&ctx, api.app().job_show(&ctx, id)).await?;
    Ok(job::job(&found))
}

pub(super) async fn cancel(
    api: &Api,
    call: &CallContext,
    request: &v1::CancelJobRequest,
) -> Result<v1::Job, ApiError> {
    let ctx = api.open(call).await?;
    let id = MessageId::parse(&request.job)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.job_cancel(&inner, id).await };
    let found = api.settle(&ctx, call.method, work).await?;
    Ok(job::job(&found))
}

pub(super) async fn delete(
    api: &Api,
    call: &CallContext,
    request: &v1::DeleteJobRequest,
) -> Result<Empty, ApiError> {
    let ctx = api.open(call).await?;
    let id = MessageId::parse(&request.job)?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.job_remove(&inner, id).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(Empty {})
}

pub(super) async fn watch(
    api: &Api,
    call: &CallContext,
    request: &v1::WatchJobRequest,
) -> Result<ApiStream<v1::JobEvent>, ApiError> {
    let ctx = api.open(call).await?;
    let id = MessageId::parse(&request.job)?;
    let after = call.last_event_id.as_deref();
    let at_end = after == Some(END);
    let after = match after.filter(|it| *it != END) {
        Some(text) => event_after(api, text)?,
        None => None,
    };
    let place = api.streams().place()?;
    let following = api.app().job_follow(&ctx, id, after);
    let following = api.within(&ctx, following).await?;
    if at_end {
        if following.events.is_some() {
            return Err(never_told(&format!(
                "job {id} is not over: `{END}` is not told yet"
            )));
        }
        // It has had all there is.
        return Ok(api.hold(call, &ctx, place, stream::empty()));
    }
    let watching = Watching {
        api: api.clone(),
        ctx: ctx.clone(),
        id,
        events: following.events,
    };
    Ok(hold_watching(api, call, &ctx, place, watching))
}

/// The event's number; none where it is of an earlier start of the server, which began anew.
fn event_after(api: &Api, text: &str) -> Result<Option<u64>, ApiError> {
    let read = text.split_once('-');
    let read = read
        .and_then(|(epoch, index)| Some((epoch.parse::<u64>().ok()?, index.parse::<u64>().ok()?)));
    let (epoch, index) = read.ok_or_else(|| {
        let detail = format!("`{}` is no event of a job", shown(text));
        ApiError::new(Code::ParameterMalformed, detail)
            .with_field("last-event-id", "is no event of a job")
    })?;
    if epoch > api.app().epoch() {
        return Err(never_told(&format!(
            "no job has had the event {}",
            shown(text)
        )));
    }
    Ok((epoch == api.app().epoch()).then_some(index))
}

fn never_told(detail: &str) -> ApiError {
    ApiError::new(Code::ResumeLost, detail)
}

struct Watching {
    api: Api,
    ctx: OpCtx,
    id: MessageId,
    events: Option<FeedReader>,
}

fn hold_watching(
    api: &Api,
    call: &CallContext,
    ctx: &OpCtx,
    place: Place,
    watching: Watching,
) -> ApiStream<v1::JobEvent> {
    let events = stream::unfold(Some(watching), next);
    api.hold(call, ctx, place, events)
}

/// An event or the error that is the last, and where to go on.
type Step = (Result<v1::JobEvent, ApiError>, Option<Watching>);

fn next(watching: Option<Watching>) -> Answer<'static, Option<Step>> {
    Box::pin(async move {
        let mut watching = watching?;
        let event = match &mut watching.events {
            None => None,
            Some(events) => match events.next().await {
                Some(Ok(event)) => Some(event).filter(|it| !it.state.is_final()),
                Some(Err(missed)) => return Some((Err(lagged(missed)), None)),
                // The engine stops, and the job goes on with its next start.
                None => return None,
            },
        };
        Some(match event {
            Some(event) => (Ok(watching.event(&event)), Some(watching)),
            None => (watching.last().await, None),
        })
    })
}

impl Watching {
    fn event(&self, it: &Event) -> v1::JobEvent {
        v1::JobEvent {
            id: format!("{}-{}", self.api.app().epoch(), it.index),
            state: it.state.as_str().to_owned(),
            message: it.said.as_deref().map(crate::convert::message::message),
            job: None,
            time: Some(wire(it.time)),
        }
    }

    async fn last(&self) -> Result<v1::JobEvent, ApiError> {
        let found = self.api.app().job_show(&self.ctx, self.id).await;
        let found = found.map_err(refused)?;
        Ok(v1::JobEvent {
            id: END.to_owned(),
            state: found.record.state.as_str().to_owned(),
            message: None,
            time: found.record.ended.map(wire),
            job: Some(job::job(&found)),
        })
    }
}

fn state(text: &str) -> Result<Option<JobState>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    JobState::parse(text).map(Some).ok_or_else(|| {
        let names = || JobState::ALL.iter().map(|it| it.as_str());
        let what = match nearest(text, names()) {
            Some(near) => format!("is no state; did you mean `{near}`?"),
            None => format!("is none of {}", names().collect::<Vec<_>>().join(", ")),
        };
        let detail = format!("`state` {what}: `{}`", shown(text));
        ApiError::new(Code::ParameterMalformed, detail).with_field("state", what)
    })
}
