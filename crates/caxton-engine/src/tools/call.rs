//! One call, from what was decided to what is written of it.

use super::Tools;
use super::answer::{answered, bytes, cut};
use super::log::{CallId, ToolCallRecord, ToolOutcome};
use super::prepare::{self, Granted};
use super::registry::Offered;
use crate::approvals::{Approval, ApprovalState};
use crate::breakers::TELLING_WAIT;
use crate::host::{Outlet, WaitingCall};
use crate::limits::{Counted, Reservation, Unit};
use crate::opctx::TenantScope;
use crate::port::tool::{ToolAnswer, ToolCall, ToolTarget};
use crate::workspace::functions;
use caxton_core::breaker::Outcome;
use caxton_core::error::{Code, Error};
use caxton_core::model::Tokens;
use caxton_core::tool::{Effect, ToolId, ToolKind, Verdict, redact};
use caxton_core::{Acl, TenantId, TraceContext};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Lines of a tool's own log that are kept of one call.
const LOG_LINES_MAX: usize = 64;

/// A call that may be made, or is shown only, or waits for a person. It owns all that it needs, so that
/// several may run at a time.
pub struct Prepared {
    pub(super) tools: Arc<Tools>,
    pub(super) tenant: TenantId,
    pub(super) id: CallId,
    pub(super) record: ToolCallRecord,
    pub(super) arguments: Value,
    pub(super) verdict: Verdict,
    pub(super) approval: Option<Approval>,
    pub(super) way: WayOut,
    pub(super) timeout: Duration,
    pub(super) result_bytes_max: usize,
    pub(super) price_micros: u64,
    pub(super) workspace: String,
    pub(super) hosts: Arc<[String]>,
    /// What it was decided by, where a person is waited for: it is decided again after.
    pub(super) granted: Option<Box<Granted>>,
    pub(super) trace: TraceContext,
    /// What it changes must not be changed twice: it is written down before and after.
    pub(super) journalled: bool,
    /// What is secret among the arguments, and is not to be repeated in what is written of the call.
    pub(super) secrets: Vec<String>,
    /// What the call answered before a restart.
    pub(super) earlier: Option<Result<ToolAnswer, Error>>,
}

/// Who carries the call out.
pub(super) enum WayOut {
    Tool(Arc<ToolTarget>, Arc<Offered>),
    /// A question to an agent, before its asker has stamped it.
    Question(Box<Acl>),
    /// An agent that is asked; the answer is waited for as in any call between agents.
    Agent(Arc<dyn Outlet>, Box<WaitingCall>),
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({} {})", self.id, self.record.tool)
    }
}

/// A call that is over.
#[derive(Debug)]
pub struct Done {
    pub answer: Result<ToolAnswer, Error>,
    /// How long a person's approval was waited for, before a restart too.
    pub waited: Duration,
    /// Of models, where an assistant was asked; what they cost is the record's.
    pub tokens: Tokens,
    pub record: ToolCallRecord,
}

/// What a call took, besides time.
#[derive(Clone, Copy, Default)]
struct Took {
    cost_micros: u64,
    tokens: Tokens,
}

/// The entry of a call. Dropped before the call is over, it says that the call was given up.
struct Entry {
    tools: Arc<Tools>,
    tenant: TenantId,
    record: Option<ToolCallRecord>,
    /// What a call that is given up came to.
    given_up: ToolOutcome,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.outcome = self.given_up;
            let now = self.tools.clock.now();
            record.duration_us = micros(now.since(record.began));
            self.tools.told(&record);
            self.tools.log.enter(&self.tenant, record);
        }
    }
}

/// A call that is made. It costs its price whatever it comes to, given up midway too.
struct UnderWay {
    tools: Arc<Tools>,
    _reserved: Option<Counted>,
}

impl UnderWay {
    fn begin(tools: &Arc<Tools>, reserved: Option<Reservation>) -> Self {
        tools.meters.calls_now.inc();
        Self {
            tools: Arc::clone(tools),
            _reserved: reserved.map(Counted::of),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.tools.meters.calls_now.dec();
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Prepared {
    /// What a person must agree to first, if anybody must.
    pub fn approval(&self) -> Option<&Approval> {
        let pending = |it: &&Approval| it.state == ApprovalState::Pending;
        self.approval.as_ref().filter(pending)
    }

    /// What it costs, whatever it comes to; what an agent spends that is asked is known after.
    pub fn price_micros(&self) -> u64 {
        self.price_micros
    }

    pub fn tool(&self) -> &ToolId {
        &self.record.tool
    }

    /// Lets the asker stamp a question to an agent, where that is what the call is.
    pub(crate) fn asking(
        mut self,
        stamp: impl FnOnce(Acl, Duration) -> Result<(Arc<dyn Outlet>, WaitingCall, Duration), Error>,
    ) -> Result<Self, Error> {
        let acl = match self.way {
            WayOut::Question(acl) => *acl,
            way => {
                self.way = way;
                return Ok(self);
            }
        };
        let (outlet, call, timeout) = stamp(acl, self.timeout)?;
        self.way = WayOut::Agent(outlet, Box::new(call));
        self.timeout = timeout;
        Ok(self)
    }

    /// Gives the call up: whoever was asked need not decide any more.
    pub(crate) async fn withdraw(tools: &Tools, tenant: &TenantId, approval: &str) {
        if let Err(error) = tools.approvals.withdraw(tenant, approval).await {
            tracing::warn!(%tenant, approval, %error, "an approval could not be withdrawn");
        }
    }

    /// Waits for a person where one must agree, makes the call, and writes it down.
    pub async fn run(mut self) -> Done {
        let (tools, tenant) = (Arc::clone(&self.tools), self.tenant.clone());
        let mut entry = Entry {
            tools: Arc::clone(&tools),
            tenant: tenant.clone(),
            record: Some(self.record.clone()),
            given_up: ToolOutcome::Cancelled,
        };
        if let Some(earlier) = self.earlier.take() {
            // It is in the log already.
            let record = entry.record.take().unwrap_or(self.record);
            return Done {
                answer: earlier,
                waited: Duration::from_micros(record.waited_us),
                tokens: Tokens::default(),
                record,
            };
        }
        let mut waited = Duration::ZERO;
        let agreed = self.agreed(&mut waited).await;
        let began = tools.clock.now();
        let (answer, took) = match agreed {
            Ok(()) if matches!(self.verdict, Verdict::Pretend(_)) => {
                (Ok(self.pretended()), Took::default())
            }
            Ok(()) => {
                if self.journalled {
                    // From here on nobody knows whether it took effect.
                    entry.given_up = ToolOutcome::Interrupted;
                }
                self.made(&mut entry).await
            }
            Err(error) => (Err(error), Took::default()),
        };
        if let Err(error) = &answer
            && error.code == Code::Draining
        {
            // The server stops: whoever starts it next goes on with the call.
            entry.record = None;
        }
        let Some(mut record) = entry.record.take() else {
            return Done {
                answer,
                waited,
                tokens: took.tokens,
                record: self.record,
            };
        };
        record.waited_us = micros(waited);
        record.duration_us = micros(tools.clock.now().since(began));
        record.cost_micros = took.cost_micros;
        record.outcome = match (&answer, self.verdict) {
            (Ok(_), Verdict::Pretend(_)) => ToolOutcome::Sandbox,
            (Ok(answer), _) if answer.is_error => ToolOutcome::Error,
            (Ok(_), _) => ToolOutcome::Ok,
            (Err(error), _) if is_denial(error.code) => ToolOutcome::Denied,
            (Err(_), _) => ToolOutcome::Failed,
        };
        match &answer {
            Ok(answer) => {
                record.result_bytes = bytes(answer);
                let lines = answer.log.iter().take(LOG_LINES_MAX);
                record.log = lines.map(|line| self.without_secrets(line)).collect();
            }
            Err(error) => {
                record.code = Some(error.code.to_string());
                record.detail = self.without_secrets(&error.detail);
            }
        }
        tools.told(&record);
        let answer = match self.journalled {
            // The agent gets no answer of which a second try would know nothing.
            true => {
                let kept = answer.as_ref().ok();
                let wrote = tools.log.write(&tenant, &record, kept).await;
                wrote.and(answer)
            }
            false => {
                tools.log.enter(&tenant, record.clone());
                answer
            }
        };
        Done {
            answer,
            waited,
            tokens: took.tokens,
            record,
        }
    }

    fn without_secrets(&self, text: &str) -> String {
        redact::hidden(text, &self.secrets)
    }

    /// Whether a person agrees, where one must.
    async fn agreed(&mut self, waited: &mut Duration) -> Result<(), Error> {
        let Some(asked) = &self.approval else {
            return Ok(());
        };
        let decided = match asked.state {
            ApprovalState::Pending => self.tools.approvals.wait(&self.tenant, &asked.id).await?,
            _ => asked.clone(),
        };
        let at = decided.decided.unwrap_or(decided.created);
        *waited = at.since(decided.created);
        let note = match decided.note.as_str() {
            "" => String::new(),
            note => format!(": {note}"),
        };
        match decided.state {
            // Hours may have gone by: what was taken away meanwhile is not done.
            ApprovalState::Approved => self.decide_again().await,
            ApprovalState::Denied => Err(Error::new(
                Code::ApprovalDenied,
                format!("a person did not agree to this call{note}"),
            )),
            ApprovalState::Expired | ApprovalState::Pending => Err(Error::new(
                Code::ApprovalExpired,
                "nobody decided on this call in time",
            )),
            ApprovalState::Withdrawn => {
                Err(Error::new(Code::ApprovalExpired, "this call was given up"))
            }
        }
    }

    /// Decides anew on a call that a person agreed to: by the tenant's policy as it is now, and whether
    /// the tool is still the one that was agreed to. Errors: `CX-8001`, `CX-8006`, `CX-8012`.
    async fn decide_again(&mut self) -> Result<(), Error> {
        let Some(granted) = self.granted.take() else {
            return Ok(());
        };
        let tools = Arc::clone(&self.tools);
        let policy = tools.policies.of(&self.tenant).await?;
        let (id, effect) = (&self.record.tool, granted.effect);
        match prepare::verdict(&policy.rules, &granted, id, effect) {
            Verdict::Deny(level, why) => {
                return Err(prepare::denied(id, level, why.as_str()));
            }
            verdict @ Verdict::Pretend(_) => self.verdict = verdict,
            Verdict::Allow | Verdict::Ask(_) => {}
        }
        self.hosts = policy.hosts.clone().into();
        let (WayOut::Tool(target, offered), ToolId::Function(name, function)) = (&self.way, id)
        else {
            return Ok(());
        };
        let tool = tools.registry.find(&self.tenant, name).await?;
        let now = tools.registry.function(&tool, function).await?;
        let is_same = tool.target.revision == target.revision
            && now.function.fingerprint() == offered.function.fingerprint();
        if is_same {
            return Ok(());
        }
        let detail = format!("{id} is another than the one that was agreed to");
        Err(Error::new(Code::ToolChanged, detail))
    }

    /// What stands for an answer where calls are shown only.
    fn pretended(&self) -> ToolAnswer {
        let (tool, arguments) = (&self.record.tool, &self.record.arguments);
        ToolAnswer::text(format!(
            "[sandbox mode: this call was shown and not made] {tool} {arguments}"
        ))
    }

    /// Makes the call. Gives what it took, too.
    async fn made(&mut self, entry: &mut Entry) -> (Result<ToolAnswer, Error>, Took) {
        let tools = Arc::clone(&self.tools);
        let mut took = Took::default();
        let place = match tools.place(&self.tenant) {
            Ok(place) => place,
            Err(error) => return (Err(error), took),
        };
        let reserved = match self.reserved().await {
            Ok(reserved) => reserved,
            Err(error) => return (Err(error), took),
        };
        if self.journalled
            && let Err(error) = tools.log.write(&self.tenant, &self.record, None).await
        {
            return (Err(error), took);
        }
        let under_way = UnderWay::begin(&tools, reserved);
        // One that is given up from here on has cost what it costs.
        if let Some(record) = entry.record.as_mut() {
            record.cost_micros = self.price_micros;
        }
        let answer = self.carried_out(&mut took).await;
        drop((under_way, place));
        took.cost_micros = took.cost_micros.saturating_add(self.price_micros);
        (
            answer.map(|answer| cut(answer, self.result_bytes_max)),
            took,
        )
    }

    async fn reserved(&self) -> Result<Option<Reservation>, Error> {
        if self.price_micros == 0 {
            return Ok(None);
        }
        let (price, now) = (self.price_micros, self.tools.clock.now());
        let (tenant, quotas) = (&self.tenant, &self.tools.quotas);
        let turn = self.record.turn;
        let turn = turn.and_then(|turn| self.tools.turns.at_hand(tenant, turn));
        let key = turn.as_ref().and_then(|turn| turn.key());
        let unit = Unit::CostMicros;
        let reserved = quotas.reserve(tenant, key, unit, price, now).await?;
        Ok(Some(reserved))
    }

    async fn carried_out(&mut self, took: &mut Took) -> Result<ToolAnswer, Error> {
        let clock = Arc::clone(&self.tools.clock);
        let deadline = clock.now().plus(self.timeout);
        let late = |tool: &ToolId, timeout: Duration| {
            let detail = format!("{tool} did not answer within {} ms", timeout.as_millis());
            Error::new(Code::ToolTimeout, detail)
        };
        match &mut self.way {
            WayOut::Question(_) => Err(Error::new(
                Code::CallNotAllowed,
                "a question to an agent has nobody who asks it",
            )),
            WayOut::Agent(outlet, call) => {
                let mut call = (**call).clone();
                call.deadline = deadline;
                let answer = outlet.call(call).await?;
                // An assistant's turn; of any other agent there is none.
                if let Some(asked) = answer.parent {
                    let spent = self.tools.turns.spent(&self.tenant, asked).await?;
                    (took.tokens, took.cost_micros) = spent;
                }
                Ok(answered(&answer))
            }
            WayOut::Tool(target, offered) => {
                let own = functions::is_own(&target.name) && target.definition.is_none();
                let work = async {
                    if own {
                        let scope = TenantScope::system(self.tenant.clone(), "a workspace");
                        let function = offered.function.name.as_str();
                        let what = (target.name.as_str(), function);
                        let files = &self.tools.workspaces;
                        return functions::call(
                            files,
                            &scope,
                            &self.workspace,
                            what,
                            &self.arguments,
                        )
                        .await;
                    }
                    let call = ToolCall {
                        target: Arc::clone(target),
                        function: Arc::clone(&offered.function),
                        arguments: self.arguments.clone(),
                        key: self.id.to_string(),
                        session: self.workspace.clone(),
                        timeout: self.timeout,
                        bytes_max: self.result_bytes_max,
                        hosts: Arc::clone(&self.hosts),
                        trace: self.trace,
                    };
                    let executor = self.tools.registry.executor(self.record.kind);
                    executor.call(call).await.map_err(Error::from)
                };
                let admitted = match self.record.kind {
                    ToolKind::Http | ToolKind::Mcp => {
                        Some(self.tools.admit(&self.tenant, &target.name)?)
                    }
                    // What runs in this process is never left alone.
                    ToolKind::Builtin | ToolKind::Wasm | ToolKind::Agent => None,
                };
                let answer = tokio::select! {
                    biased;
                    answer = work => answer,
                    () = clock.sleep_until(deadline) => Err(late(&self.record.tool, self.timeout)),
                };
                if let Some(admitted) = admitted {
                    admitted.record(health(answer.as_ref(), self.timeout));
                }
                let answer = answer?;
                if let Some(structured) = &answer.structured
                    && !answer.is_error
                {
                    offered.schemas()?.check_result(structured)?;
                }
                Ok(answer)
            }
        }
    }
}

/// What an outcome says of the health of whoever was called. That it fails in its own terms says
/// nothing, unless it says that it is ill.
fn health(outcome: Result<&ToolAnswer, &Error>, waited_at_most: Duration) -> Outcome {
    match outcome {
        Ok(answer) => match answer.ill {
            Some(retry_after) => Outcome::Failed {
                retry_after: Some(retry_after),
            },
            None => Outcome::Succeeded,
        },
        Err(error) => match error.code {
            Code::ToolTimeout if waited_at_most < TELLING_WAIT => Outcome::Untold,
            Code::ToolTimeout | Code::ToolUnavailable | Code::ToolAnswerMalformed => {
                Outcome::FAILED
            }
            _ => Outcome::Untold,
        },
    }
}

/// Whether somebody said no, and nothing went wrong.
fn is_denial(code: Code) -> bool {
    matches!(
        code,
        Code::ToolDenied
            | Code::ApprovalDenied
            | Code::ApprovalExpired
            | Code::ApprovalMismatch
            | Code::ToolChanged
    )
}

/// Whether a call of a function must not be made twice.
pub(super) fn must_be_once(effect: Effect, repeatable: bool) -> bool {
    effect == Effect::Acts && !repeatable
}
