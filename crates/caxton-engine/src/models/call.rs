//! One call: reserve, enter in the ledger, ask, fail over, settle.

use super::cooling::Place;
use super::ledger::OpenCall;
use super::{CallOutcome, Models};
use crate::breakers::Thing;
use crate::port::model::{Endpoint, ModelCall, ModelFacts, ProviderKind};
use crate::port::{Answer, Clock};
use crate::turn::Turn;
use bytes::Bytes;
use caxton_core::breaker::Outcome;
use caxton_core::error::{Code, Error};
use caxton_core::model::{
    Failover, ModelEvent, ModelFault, ModelFaultKind, ModelName, ModelReply, ModelRequest, Next,
    Price, Tokens,
};
use caxton_core::session::SessionId;
use caxton_core::{AgentName, Timestamp, TraceContext};
use futures::StreamExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The model and its fallbacks; at least one.
    pub models: Vec<ModelName>,
    pub request: ModelRequest,
    /// What an assistant's deployment brought along for `scripted` models.
    pub scripts: Option<Bytes>,
    pub ceiling: Ceiling,
    /// When whoever asks stops waiting.
    pub deadline: Timestamp,
}

/// What is left of the asker's own ceilings; `None`: it has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ceiling {
    /// Tokens, in and out.
    pub tokens: Option<u64>,
    pub cost_micros: Option<u64>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Completed {
    pub reply: ModelReply,
    /// Who answered.
    pub model: ModelName,
    pub tokens: Tokens,
    pub cost_micros: u64,
    /// Tries of providers.
    pub tries: u32,
    /// It was given before a restart, and its events were seen then.
    pub replayed: bool,
}

/// No answer, or not all of it.
#[derive(Clone, Debug)]
pub struct NotCompleted {
    pub error: Error,
    /// What came until then.
    pub reply: ModelReply,
    pub tokens: Tokens,
    pub cost_micros: u64,
    pub tries: u32,
}

impl From<Error> for NotCompleted {
    fn from(error: Error) -> Self {
        Self {
            error,
            reply: ModelReply::default(),
            tokens: Tokens::default(),
            cost_micros: 0,
            tries: 0,
        }
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) turn: Arc<Turn>,
    /// The call's place in the turn.
    pub(crate) index: u32,
    pub(crate) session: Option<SessionId>,
    pub(crate) agent: Option<AgentName>,
    pub(crate) trace: TraceContext,
    /// The turn is handled again after a crash.
    pub(crate) durable: bool,
    /// It may be handled again now.
    pub(crate) replay: bool,
}

/// Told of each piece of an answer; an error ends the call.
pub(crate) type Seen<'a> = &'a mut (dyn FnMut(&ModelEvent) -> Result<(), Error> + Send);

/// A model that can be asked.
pub(super) struct Candidate {
    pub(super) name: ModelName,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) facts: ModelFacts,
}

/// Why a try ended.
enum End {
    Fault(ModelFault),
    /// Not the provider's doing: cancelled, out of time, or refused here.
    Stopped(Error),
}

impl From<ModelFault> for End {
    fn from(fault: ModelFault) -> Self {
        Self::Fault(fault)
    }
}

/// A call on its way.
struct Asking<'a> {
    models: &'a Models,
    caller: &'a Caller,
    deadline: Timestamp,
    open: OpenCall,
    reply: ModelReply,
    /// The try has reached the provider, as far as that can be told.
    asked: bool,
    /// Of tries that failed, each at its own model's price.
    spent: Tokens,
    spent_micros: u64,
    /// An estimate of what goes in.
    input: u64,
}

impl Models {
    /// Asks. See the module.
    pub(crate) async fn complete(
        &self,
        caller: &Caller,
        ask: Completion,
        seen: Seen<'_>,
    ) -> Result<Completed, NotCompleted> {
        let tenant = caller.turn.tenant();
        self.settle_left(tenant).await?;
        let id = match self.replayed(caller).await? {
            Ok(id) => id,
            Err(completed) => return Ok(*completed),
        };
        let Ok(_place) = Arc::clone(&self.places).try_acquire_owned() else {
            let detail = format!("{} model calls are on their way", self.options.calls_max);
            let error = Error::new(Code::Overloaded, detail);
            return Err(error.retry_after(Duration::from_secs(1)).into());
        };
        let input = ask.request.tokens_estimate();
        let candidates = self.candidates(tenant, &ask.models, input).await?;
        let (reserved, output) = self.reserve(caller, &ask, &candidates).await?;
        let record = self.record(caller, &id, &ask, &candidates, input, &reserved);
        let asking = Asking {
            models: self,
            caller,
            deadline: ask.deadline,
            open: self.ledger.open(tenant, record, reserved, caller.durable),
            reply: ModelReply::default(),
            asked: false,
            spent: Tokens::default(),
            spent_micros: 0,
            input,
        };
        asking.run(ask, &candidates, output, seen).await
    }
}

impl Asking<'_> {
    async fn run(
        mut self,
        ask: Completion,
        candidates: &[Candidate],
        output: u32,
        seen: Seen<'_>,
    ) -> Result<Completed, NotCompleted> {
        let mut failover = Failover::new(self.models.options.failover, candidates.len());
        let (mut at, mut last) = (0, None);
        loop {
            let Some(candidate) = candidates.get(at) else {
                let error = last.unwrap_or_else(|| Error::new(Code::Internal, "nobody was asked"));
                return Err(self.failed(error, "internal").await);
            };
            if at > 0 && self.open.record.model != candidate.name {
                self.models.meters.fallbacks.inc();
                tracing::info!(tenant = %self.caller.turn.tenant(), turn = %self.caller.turn.id(), model = %candidate.name, "falling back");
            }
            self.open.record.model = candidate.name.clone();
            let (error, kind, next) = match self
                .attempt(&ask, candidate, output, failover.tries() + 1, seen)
                .await
            {
                Ok(()) => return Ok(self.completed(candidate.facts.price).await),
                Err(End::Stopped(error)) if error.code == Code::BreakerOpen => {
                    self.spend(candidate.facts.price);
                    (error, ModelFaultKind::Overloaded, failover.skip())
                }
                Err(End::Stopped(error)) => {
                    self.spend(candidate.facts.price);
                    return Err(self.stopped(error).await);
                }
                Err(End::Fault(fault)) => {
                    // One that said at once that it will not has taken nothing.
                    self.asked &=
                        matches!(fault.kind, ModelFaultKind::Timeout | ModelFaultKind::Cut);
                    tracing::warn!(tenant = %self.caller.turn.tenant(), turn = %self.caller.turn.id(), model = %candidate.name, status = fault.status, %fault, "a model failed");
                    self.spend(candidate.facts.price);
                    let next = match self.open.record.visible {
                        true => Next::GiveUp,
                        false => failover.failed(&fault, self.models.entropy.word()),
                    };
                    let kind = fault.kind;
                    (Error::from(fault), kind, next)
                }
            };
            match next {
                Next::GiveUp => return Err(self.failed(error, kind.as_str()).await),
                Next::Ask { model, after } => {
                    at = model;
                    last = Some(error);
                    self.reply = ModelReply::default();
                    if let Err(error) = self.pause(after).await {
                        return Err(self.stopped(error).await);
                    }
                }
            }
        }
    }

    /// One try of one model.
    async fn attempt(
        &mut self,
        ask: &Completion,
        candidate: &Candidate,
        output: u32,
        attempt: u32,
        seen: Seen<'_>,
    ) -> Result<(), End> {
        let (models, tenant) = (self.models, self.caller.turn.tenant().clone());
        let endpoint = &candidate.endpoint;
        let thing = match endpoint.kind {
            ProviderKind::Scripted => {
                let brought = ask.scripts.as_ref().and(self.caller.agent.as_ref());
                Thing::of_script(&tenant, endpoint, brought, candidate.name.model())
            }
            _ => Thing::of_provider(&tenant, endpoint),
        };
        self.asked = false;
        let place = Place::of(&thing, &candidate.name);
        if let Some(left) = models.cooling.left(&place, models.clock.now()) {
            let detail = format!("{} asked to be left alone", candidate.name);
            let fault = ModelFault::new(ModelFaultKind::RateLimited, detail);
            return Err(fault.with_retry_after(Some(left)).into());
        }
        let admitted = models.breakers.admit(thing).map_err(|left_alone| {
            let detail = format!(
                "provider {} failed several times in a row",
                endpoint.provider
            );
            let error = Error::new(Code::BreakerOpen, detail);
            End::Stopped(error.retry_after(left_alone.wait))
        })?;
        self.open.record.tries += 1;
        (self.open.heard, self.open.price) = (0, candidate.facts.price.unwrap_or_default());
        let room = u64::from(candidate.facts.context_tokens_max).saturating_sub(self.input);
        let room = u32::try_from(room).unwrap_or(u32::MAX).max(1);
        let output = output.min(candidate.facts.output_tokens_max).min(room);
        let mut request = ask.request.clone();
        request.output_tokens_max = output;
        let call = ModelCall {
            tenant: tenant.clone(),
            endpoint: Arc::clone(endpoint),
            model: candidate.name.model().to_owned(),
            request: Arc::new(request),
            key: self.open.record.id.clone(),
            attempt,
            scripts: ask.scripts.clone(),
            trace: self.caller.trace,
        };
        let ended = self.follow(call, seen).await;
        // A fault that tells nothing of the provider's health counts as none.
        admitted.record(match &ended {
            Ok(()) => Outcome::Succeeded,
            Err(End::Fault(fault)) if fault.kind.is_providers() => Outcome::Failed {
                retry_after: fault.retry_after,
            },
            Err(_) => Outcome::Untold,
        });
        if let Err(End::Fault(fault)) = &ended
            && let Some(pause) = fault.retry_after.filter(|_| fault.kind.may_pass())
        {
            models.cooling.begin(place, pause, models.clock.now());
        }
        let label = match &ended {
            Ok(()) => "ok",
            Err(End::Fault(fault)) => fault.kind.as_str(),
            Err(End::Stopped(_)) => "cancelled",
        };
        models.meters.tries.with_label_values(&[label]).inc();
        ended
    }

    /// Sends a call and reads its answer to the end.
    async fn follow(&mut self, call: ModelCall, seen: Seen<'_>) -> Result<(), End> {
        let sent = self.models.clock.now();
        let first_word = self.models.options.first_word_timeout;
        let beginning = self.models.model.stream(call);
        self.asked = true;
        let mut waiting = Waiting::new(self.models, self.caller, self.deadline);
        let mut stream = waiting.wait(sent, first_word, beginning).await??;
        let (mut heard, mut patience) = (sent, first_word);
        loop {
            let next = waiting.wait(heard, patience, stream.next()).await?;
            let Some(event) = next else {
                let detail = "the answer ended without its end";
                return Err(ModelFault::new(ModelFaultKind::Cut, detail).into());
            };
            let event = event?;
            heard = self.models.clock.now();
            if event.is_visible() && !self.open.record.visible {
                self.visible(heard.since(sent)).await?;
            }
            if self.open.record.visible {
                patience = self.models.options.silence_timeout;
            }
            self.reply.apply(&event)?;
            self.open.heard = self.reply.tokens_estimate();
            seen(&event).map_err(End::Stopped)?;
            if matches!(event, ModelEvent::Finished(_)) {
                return Ok(());
            }
        }
    }

    /// Before the first thing of an answer is seen: that it was asked is written down.
    async fn visible(&mut self, after: Duration) -> Result<(), End> {
        self.models
            .meters
            .first_word_seconds
            .observe(after.as_secs_f64());
        let ms = self.models.clock.now().since(self.open.record.began);
        self.open.record.first_word_ms = Some(millis(ms));
        self.open.record.visible = true;
        if self.caller.durable {
            self.open.opened().await.map_err(End::Stopped)?;
            // A server that ends now must not ask again when it starts: somebody saw the beginning.
            let (ledger, tenant) = (&self.models.ledger, self.caller.turn.tenant());
            let seen = ledger.seen(tenant, &self.open.record).await;
            seen.map_err(End::Stopped)?;
        }
        Ok(())
    }

    async fn pause(&self, pause: Duration) -> Result<(), Error> {
        if pause.is_zero() {
            return Ok(());
        }
        let clock = &self.models.clock;
        let until = clock.now().plus(pause);
        if until > self.deadline {
            return Err(timed_out());
        }
        tokio::select! {
            biased;
            () = self.caller.turn.cancelled() => Err(cancelled()),
            () = clock.sleep_until(until) => Ok(()),
        }
    }

    /// Adds what the last try took to what was spent.
    fn spend(&mut self, price: Option<Price>) {
        // A provider that refused took nothing; one that was left amid its work, or left it, took what it
        // said, or about what it was given and gave.
        let began = self.asked || self.open.record.visible || self.reply.usage.is_some();
        if began {
            let used = self.used();
            self.spent = self.spent.plus(used);
            let cost = price.unwrap_or_default().cost_micros(&used);
            self.spent_micros = self.spent_micros.saturating_add(cost);
        }
        self.account(self.spent, self.spent_micros);
    }

    /// What the last try took: as the provider said, or as it seems.
    fn used(&self) -> Tokens {
        let told = self.reply.usage;
        let whole = self.reply.stop.is_some();
        match told {
            Some(told) if whole && told.total() > 0 => told,
            told => {
                let told = told.unwrap_or_default();
                Tokens {
                    input: if told.input > 0 {
                        told.input
                    } else {
                        self.input
                    },
                    output: told.output.max(self.reply.tokens_estimate()),
                    estimated: true,
                    ..told
                }
            }
        }
    }

    fn account(&mut self, tokens: Tokens, cost_micros: u64) {
        let record = &mut self.open.record;
        (record.tokens, record.cost_micros) = (tokens, cost_micros);
        record.duration_ms = millis(self.models.clock.now().since(record.began));
    }

    async fn completed(mut self, price: Option<Price>) -> Completed {
        let used = self.used();
        let cost = price.unwrap_or_default().cost_micros(&used);
        self.account(
            self.spent.plus(used),
            self.spent_micros.saturating_add(cost),
        );
        // An answer that goes on to tools is needed if the turn is handled again.
        let goes_on = self.caller.durable && self.reply.tool_calls().next().is_some();
        if goes_on {
            self.open.record.reply = Some(Box::new(self.reply.clone()));
        }
        let record = self.open.settle(CallOutcome::Completed, goes_on).await;
        Completed {
            reply: self.reply,
            model: record.model,
            tokens: record.tokens,
            cost_micros: record.cost_micros,
            tries: record.tries,
            replayed: false,
        }
    }

    async fn failed(self, error: Error, kind: &str) -> NotCompleted {
        self.ended(error, CallOutcome::Failed(kind.to_owned()))
            .await
    }

    async fn stopped(self, error: Error) -> NotCompleted {
        let outcome = match error.code {
            Code::TurnCancelled => CallOutcome::Cancelled,
            Code::TurnTimeout => CallOutcome::Failed("turn_timeout".to_owned()),
            _ => CallOutcome::Failed("refused".to_owned()),
        };
        self.ended(error, outcome).await
    }

    async fn ended(self, error: Error, outcome: CallOutcome) -> NotCompleted {
        let record = self.open.settle(outcome, false).await;
        NotCompleted {
            error,
            reply: self.reply,
            tokens: record.tokens,
            cost_micros: record.cost_micros,
            tries: record.tries,
        }
    }
}

/// Waits for a provider. Most of what it waits for comes soon, a little at a time: so the alarm is set
/// once and looks, when it goes off, whether it is late by then.
struct Waiting<'a> {
    clock: &'a dyn Clock,
    cancelled: BoxFuture<'a, ()>,
    deadline: Timestamp,
    alarm: Option<(Timestamp, Answer<'static, ()>)>,
}

impl<'a> Waiting<'a> {
    fn new(models: &'a Models, caller: &'a Caller, deadline: Timestamp) -> Self {
        Self {
            clock: &*models.clock,
            cancelled: Box::pin(caller.turn.cancelled()),
            deadline,
            alarm: None,
        }
    }

    /// Waits for something of the provider's, no longer than patience, deadline and turn allow.
    async fn wait<T>(
        &mut self,
        since: Timestamp,
        patience: Duration,
        what: impl Future<Output = T>,
    ) -> Result<T, End> {
        let late = since.plus(patience);
        let until = self.deadline.min(late);
        let mut what = std::pin::pin!(what);
        loop {
            // One that goes off too early is set again then; one that would be too late is now.
            let alarm = self.alarm.take().filter(|(at, _)| *at <= until);
            let (at, ring) = alarm.unwrap_or_else(|| (until, self.clock.sleep_until(until)));
            let (_, ring) = self.alarm.insert((at, ring));
            tokio::select! {
                biased;
                () = &mut self.cancelled => return Err(End::Stopped(cancelled())),
                done = &mut what => return Ok(done),
                () = ring => self.alarm = None,
            }
            if at < until {
                continue;
            }
            return Err(if late <= self.deadline {
                let detail = format!("nothing came for {} ms", patience.as_millis());
                ModelFault::new(ModelFaultKind::Timeout, detail).into()
            } else {
                End::Stopped(timed_out())
            });
        }
    }
}

fn cancelled() -> Error {
    Error::new(Code::TurnCancelled, "the turn was cancelled")
}

fn timed_out() -> Error {
    Error::new(Code::TurnTimeout, "the turn has taken all the time it has")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
