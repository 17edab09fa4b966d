//! What comes before a call: which tool it is, whether it may be called and with these arguments, who
//! must agree to it, and what an earlier run of the same message knew of it.

use super::Tools;
use super::call::{Prepared, WayOut, must_be_once};
use super::log::{CallId, ToolCallRecord, ToolOutcome};
use super::registry::{FunctionState, Offered};
use crate::approvals::{Approval, ApprovalState, Asking};
use crate::audit::Act;
use crate::port::tool::{ToolAnswer, ToolTarget};
use caxton_core::error::{Code, Error, shown};
use caxton_core::session::TurnId;
use caxton_core::tool::agents;
use caxton_core::tool::permit::Pattern;
use caxton_core::tool::{
    Definition, Effect, Function, FunctionName, Layers, Level, Rules, ToolId, ToolKind, ToolName,
    Verdict, decide, redact,
};
use caxton_core::{AgentId, TraceContext};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Functions that one agent is offered.
pub(crate) const OFFERED_MAX: usize = 128;
/// Bytes of arguments.
const ARGUMENTS_BYTES_MAX: usize = caxton_core::tool::ARGUMENTS_BYTES_MAX;

/// A call, as it is asked for.
#[derive(Clone, Debug)]
pub struct ToolAsk {
    pub id: ToolId,
    /// An object.
    pub arguments: Value,
    /// Zero: as the manifest has it, which is also the most.
    pub timeout: Duration,
    /// What the call may cost, by the price of its tool; `None`: as much as the tenant's quota has.
    pub cost_micros_max: Option<u64>,
}

/// On whose behalf an agent calls tools.
#[derive(Clone, Debug, Default)]
pub struct ToolSide {
    /// The workspace: `s/SESSION`, `a/AGENT`, or `p/TURN` of a turn of which nothing is kept.
    pub workspace: String,
    pub session: Option<String>,
    pub turn: Option<TurnId>,
    /// What the session says of tools.
    pub rules: Option<Rules>,
}

/// A function that an agent may call.
#[derive(Clone, Debug)]
pub struct OfferedTool {
    pub id: ToolId,
    pub kind: ToolKind,
    pub function: Arc<Function>,
}

/// Who calls, and what is known of that.
pub(crate) struct Caller<'a> {
    pub(crate) agent: &'a AgentId,
    /// The manifest's rules.
    pub(crate) rules: &'a Rules,
    pub(crate) side: &'a ToolSide,
    pub(crate) trace: TraceContext,
    pub(crate) timeout_max: Duration,
    pub(crate) approval_timeout: Duration,
    pub(crate) result_bytes_max: usize,
    /// The agent's messages are kept, so that one may be handled again.
    pub(crate) durable: bool,
    /// The message was, or may have been, handled before.
    pub(crate) replay: bool,
    /// A person tries the tool, and needs no grant but the tenant's.
    pub(crate) person: bool,
}

/// What a call was decided by, besides the tenant's policy.
pub(super) struct Granted {
    pub(super) agent: Rules,
    pub(super) session: Option<Rules>,
    pub(super) effect: Effect,
}

/// What is decided on a call.
pub(super) fn verdict(tenant: &Rules, granted: &Granted, id: &ToolId, effect: Effect) -> Verdict {
    let layers = Layers {
        tenant,
        agent: &granted.agent,
        session: granted.session.as_ref(),
    };
    decide(&layers, id, effect)
}

/// What is known of a call so far, for the log.
struct Draft {
    record: ToolCallRecord,
    secrets: Vec<String>,
}

/// What is called.
enum Found {
    Tool(Arc<ToolTarget>, Arc<Offered>, ToolKind, u64),
    Agent(Arc<Offered>),
}

impl Found {
    /// Where the call goes; nowhere else than here for what is built in.
    fn definition(&self) -> Option<&Definition> {
        match self {
            Self::Tool(target, ..) => target.definition.as_ref(),
            Self::Agent(_) => None,
        }
    }

    fn function(&self) -> &Arc<Function> {
        match self {
            Self::Tool(_, offered, ..) | Self::Agent(offered) => &offered.function,
        }
    }

    fn kind(&self) -> ToolKind {
        match self {
            Self::Tool(_, _, kind, _) => *kind,
            Self::Agent(_) => ToolKind::Agent,
        }
    }
}

impl Tools {
    async fn found(&self, agent: &AgentId, id: &ToolId) -> Result<Found, Error> {
        match id {
            ToolId::Function(name, function) => {
                let tool = self.registry.find(&agent.tenant, name).await?;
                let offered = self.registry.function(&tool, function).await?;
                let (target, price) = (Arc::clone(&tool.target), tool.price_micros);
                Ok(Found::Tool(target, offered, tool.kind, price))
            }
            ToolId::Agent(name) => {
                let offered = Offered::agreed(agents::function(name)?);
                Ok(Found::Agent(Arc::new(offered)))
            }
        }
    }

    /// Decides on a call, and prepares it.
    ///
    /// Errors: `CX-8001`, `CX-8006`, `CX-8007`, `CX-8012`; a call that was refused is in the log, and
    /// in the audit where nobody allowed it.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        caller: &Caller<'_>,
        call: CallId,
        ask: ToolAsk,
    ) -> Result<Prepared, Error> {
        let mut draft = Draft {
            record: self.record(caller, call, &ask),
            secrets: Vec::new(),
        };
        let prepared = self.try_prepare(caller, call, ask, &mut draft);
        let prepared = prepared.await;
        if let Err(error) = &prepared {
            let detail = redact::hidden(&error.detail, &draft.secrets);
            self.refuse(caller, draft.record, error.code, detail).await;
        }
        prepared
    }

    async fn try_prepare(
        self: &Arc<Self>,
        caller: &Caller<'_>,
        call: CallId,
        ask: ToolAsk,
        draft: &mut Draft,
    ) -> Result<Prepared, Error> {
        let tenant = &caller.agent.tenant;
        // What is not granted is not looked up: whether it exists is nobody's business.
        let policy = self.policies.of(tenant).await?;
        let silent = Rules::default();
        let layers = Layers {
            tenant: &policy.rules,
            agent: caller.rules,
            session: caller.side.rules.as_ref().filter(|it| !it.is_silent()),
        };
        if let Verdict::Deny(level, why) = decide(&layers, &ask.id, Effect::Reads)
            && !caller.person
        {
            return Err(denied(&ask.id, level, why.as_str()));
        }
        let found = self.found(caller.agent, &ask.id).await?;
        let function = Arc::clone(found.function());
        draft.secrets = redact::secrets(&function.input, &ask.arguments);
        let record = &mut draft.record;
        record.kind = found.kind();
        record.arguments = redact::arguments(&function.input, &ask.arguments);
        let own = Rules {
            allow: vec![named(&ask.id)],
            ..silent
        };
        let layers = match caller.person {
            true => Layers {
                agent: &own,
                ..layers
            },
            false => layers,
        };
        let verdict = match decide(&layers, &ask.id, function.effect) {
            Verdict::Deny(level, why) => {
                return Err(denied(&ask.id, level, why.as_str()));
            }
            // Whoever tries a tool is a person.
            Verdict::Ask(_) if caller.person => Verdict::Allow,
            verdict => verdict,
        };
        self.check_arguments(&found, &ask.arguments)?;
        check_price(&found, ask.cost_micros_max)?;
        let timeout = match ask.timeout.is_zero() {
            true => caller.timeout_max,
            false => ask.timeout.min(caller.timeout_max),
        };
        let journalled = caller.durable && must_be_once(function.effect, function.repeatable);
        let earlier = match caller.replay && journalled {
            true => self.earlier(caller, call, record).await?,
            false => None,
        };
        let approval = match verdict {
            Verdict::Ask(_) if earlier.is_none() => {
                let asked = self.asked(caller, call, &ask, &found).await?;
                record.approval = Some(asked.id.clone());
                Some(asked)
            }
            _ => None,
        };
        let (way, price_micros) = match found {
            Found::Tool(target, offered, _, price) => (WayOut::Tool(target, offered), price),
            Found::Agent(_) => {
                let ToolId::Agent(name) = &ask.id else {
                    return Err(Error::new(Code::Internal, "a tool is no agent"));
                };
                let to = AgentId::new(tenant.clone(), name.clone());
                let acl = agents::question(to, &ask.arguments)?;
                (WayOut::Question(Box::new(acl)), 0)
            }
        };
        let is_pending = |it: &Approval| it.state == ApprovalState::Pending;
        let granted = approval.as_ref().filter(|it| is_pending(it)).map(|_| {
            Box::new(Granted {
                agent: caller.rules.clone(),
                session: layers.session.cloned(),
                effect: function.effect,
            })
        });
        Ok(Prepared {
            tools: Arc::clone(self),
            granted,
            secrets: draft.secrets.clone(),
            tenant: tenant.clone(),
            id: call,
            record: draft.record.clone(),
            arguments: ask.arguments,
            verdict,
            approval,
            way,
            timeout,
            result_bytes_max: caller.result_bytes_max,
            price_micros,
            workspace: caller.side.workspace.clone(),
            hosts: policy.hosts.clone().into(),
            trace: caller.trace,
            journalled,
            earlier,
        })
    }

    fn record(&self, caller: &Caller<'_>, call: CallId, ask: &ToolAsk) -> ToolCallRecord {
        ToolCallRecord {
            id: call.to_string(),
            tool: ask.id.clone(),
            kind: match ask.id {
                ToolId::Agent(_) => ToolKind::Agent,
                ToolId::Function(..) => ToolKind::Builtin,
            },
            agent: (!caller.person).then(|| caller.agent.name.clone()),
            session: caller.side.session.clone(),
            turn: caller.side.turn,
            // Until the function's schema is known, anything in them may be a secret.
            arguments: Value::Null,
            outcome: ToolOutcome::Open,
            code: None,
            detail: String::new(),
            result_bytes: 0,
            cost_micros: 0,
            began: self.clock.now(),
            duration_us: 0,
            waited_us: 0,
            approval: None,
            log: Vec::new(),
            trace_id: caller.trace.trace_id_hex(),
        }
    }

    fn check_arguments(&self, found: &Found, arguments: &Value) -> Result<(), Error> {
        if !arguments.is_object() {
            let detail = "the arguments are not a JSON object";
            return Err(Error::new(Code::ToolArguments, detail));
        }
        if arguments.to_string().len() > ARGUMENTS_BYTES_MAX {
            let detail = format!("the arguments have more than {ARGUMENTS_BYTES_MAX} bytes");
            return Err(Error::new(Code::ToolArguments, detail));
        }
        match found {
            Found::Tool(_, offered, ..) | Found::Agent(offered) => {
                offered.schemas()?.check_arguments(arguments)
            }
        }
    }

    /// What an earlier run of the message knew of this call.
    async fn earlier(
        &self,
        caller: &Caller<'_>,
        call: CallId,
        record: &mut ToolCallRecord,
    ) -> Result<Option<Result<ToolAnswer, Error>>, Error> {
        let tenant = &caller.agent.tenant;
        let Some((known, answer)) = self.log.earlier(tenant, call).await? else {
            return Ok(None);
        };
        if known.tool != record.tool {
            return Ok(None);
        }
        record.waited_us = known.waited_us;
        record.cost_micros = known.cost_micros;
        match (known.outcome, answer) {
            (_, Some(answer)) => Ok(Some(Ok(answer))),
            (ToolOutcome::Open, None) => {
                let interrupted = ToolCallRecord {
                    outcome: ToolOutcome::Interrupted,
                    code: Some(Code::ToolInterrupted.to_string()),
                    ..known
                };
                self.told(&interrupted);
                self.log.write(tenant, &interrupted, None).await?;
                Ok(Some(Err(interruption(&record.tool))))
            }
            (ToolOutcome::Interrupted, None) => Ok(Some(Err(interruption(&record.tool)))),
            // It was made, and what came of it was told: made again it might take effect twice.
            (ToolOutcome::Failed, None) => Ok(made_and_failed(known)),
            // It was not made, and may be tried again with the same outcome.
            _ => Ok(None),
        }
    }

    async fn asked(
        &self,
        caller: &Caller<'_>,
        call: CallId,
        ask: &ToolAsk,
        found: &Found,
    ) -> Result<Approval, Error> {
        let function = &**found.function();
        let asking = Asking {
            id: call,
            tool: &ask.id,
            function,
            definition: found.definition(),
            arguments: &ask.arguments,
            // All of it: nobody agrees to what they were not shown.
            shown: redact::whole(&function.input, &ask.arguments),
            agent: caller.agent.name.clone(),
            session: caller.side.session.clone(),
            turn: caller.side.turn,
            now: self.clock.now(),
            timeout: caller.approval_timeout,
        };
        // Approved is what was asked for then; that it is the same now is what the digest says.
        let approval = asking.approval();
        self.approvals.ask(&caller.agent.tenant, approval).await
    }

    /// Writes down a call that was not made.
    async fn refuse(
        &self,
        caller: &Caller<'_>,
        mut record: ToolCallRecord,
        code: Code,
        detail: String,
    ) {
        let denied = matches!(
            code,
            Code::ToolDenied | Code::ToolNotFound | Code::ToolChanged | Code::ApprovalMismatch
        );
        record.outcome = match denied {
            true => ToolOutcome::Denied,
            false => ToolOutcome::Failed,
        };
        record.code = Some(code.to_string());
        record.detail = detail;
        self.told(&record);
        if denied && !caller.person {
            let act = Act::denied("tool.call", record.tool.to_string(), code);
            // The call is refused whether or not that can be written.
            let _ = self
                .audit
                .note_agent(caller.agent, &caller.trace, act)
                .await;
        }
        self.log.enter(&caller.agent.tenant, record);
    }

    /// Writes down that a model called what it was not offered.
    pub(crate) async fn refuse_unknown(&self, caller: &Caller<'_>, call: CallId, name: &str) {
        let plain: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "_-.".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .take(64)
            .collect();
        let function = FunctionName::parse(&plain).or_else(|_| FunctionName::parse("unknown"));
        let named = ToolName::parse("unknown").and_then(|tool| Ok((tool, function?)));
        let Ok((tool, function)) = named else { return };
        let ask = ToolAsk {
            id: ToolId::Function(tool, function),
            arguments: Value::Null,
            timeout: Duration::ZERO,
            cost_micros_max: None,
        };
        let record = self.record(caller, call, &ask);
        let detail = format!("`{}` is not offered", shown(name));
        self.refuse(caller, record, Code::ToolDenied, detail).await;
    }

    /// The functions that an agent may call, by name.
    pub(crate) async fn offered(&self, caller: &Caller<'_>) -> Result<Vec<OfferedTool>, Error> {
        let named = || caller.rules.allow.iter().chain(&caller.rules.ask);
        if named().next().is_none() {
            return Ok(Vec::new());
        }
        let tenant = &caller.agent.tenant;
        let policy = self.policies.of(tenant).await?;
        let layers = Layers {
            tenant: &policy.rules,
            agent: caller.rules,
            session: caller.side.rules.as_ref().filter(|it| !it.is_silent()),
        };
        let mut offered = Vec::new();
        let mut offer = |id: ToolId, kind: ToolKind, function: Arc<Function>| {
            let verdict = decide(&layers, &id, function.effect);
            if !matches!(verdict, Verdict::Deny(..)) && offered.len() < OFFERED_MAX {
                offered.push(OfferedTool { id, kind, function });
            }
        };
        for pattern in named() {
            if let Pattern::Agent(name) = pattern {
                let function = Arc::new(agents::function(name)?);
                offer(ToolId::Agent(name.clone()), ToolKind::Agent, function);
            }
        }
        let about = |tool: &ToolName| {
            named().any(|pattern| match pattern {
                Pattern::All => true,
                Pattern::Tool(of) | Pattern::Function(of, _) => of == tool,
                Pattern::Agents | Pattern::Agent(_) => false,
            })
        };
        let is_of_tools = |it: &Pattern| !matches!(it, Pattern::Agents | Pattern::Agent(_));
        if !named().any(is_of_tools) {
            return Ok(offered);
        }
        let mut names = self.registry.names(tenant).await?;
        names.retain(about);
        names.sort();
        names.dedup();
        for name in names {
            let tool = self.registry.find(tenant, &name).await?;
            // A model is not led to what would be refused each time.
            if tool.unreached(&policy).is_some() {
                continue;
            }
            let current = match self.registry.current(&tool).await {
                Ok(current) => current,
                // One that cannot be reached is not offered; a turn does not fail for it.
                Err(error) => {
                    tracing::warn!(%tenant, tool = %name, %error, "a tool is not offered");
                    continue;
                }
            };
            for it in current
                .iter()
                .filter(|it| it.state == FunctionState::Agreed)
            {
                let id = ToolId::Function(name.clone(), it.function.name.clone());
                offer(id, tool.kind, Arc::clone(&it.function));
            }
        }
        Ok(offered)
    }
}

/// Errors: `CX-7025`.
fn check_price(found: &Found, cost_micros_max: Option<u64>) -> Result<(), Error> {
    let price = match found {
        Found::Tool(.., price) => *price,
        Found::Agent(_) => 0,
    };
    match cost_micros_max {
        Some(left) if price > left => {
            let detail = format!("the call costs {price} micros, and the turn has {left} left");
            Err(Error::new(Code::TurnLimit, detail))
        }
        _ => Ok(()),
    }
}

fn named(id: &ToolId) -> Pattern {
    match id {
        ToolId::Function(tool, function) => Pattern::Function(tool.clone(), function.clone()),
        ToolId::Agent(name) => Pattern::Agent(name.clone()),
    }
}

pub(super) fn denied(id: &ToolId, level: Level, why: &str) -> Error {
    let whose = match level {
        Level::Tenant => "the tenant's policy",
        Level::Agent => "the agent's manifest",
        Level::Session => "the session",
    };
    Error::new(Code::ToolDenied, format!("{id} {why} ({whose})"))
}

/// What came of a call that was made and failed; nothing where it was refused before it was made.
fn made_and_failed(known: ToolCallRecord) -> Option<Result<ToolAnswer, Error>> {
    let code = known.code.as_deref().and_then(Code::parse)?;
    let refused = [
        Code::ToolLeftAlone,
        Code::ToolLimit,
        Code::QuotaExceeded,
        Code::EgressRefused,
        Code::Draining,
        Code::StorageBusy,
        Code::StorageFailed,
        Code::StorageFull,
    ];
    (!refused.contains(&code)).then(|| Err(Error::new(code, known.detail)))
}

fn interruption(tool: &ToolId) -> Error {
    Error::new(
        Code::ToolInterrupted,
        format!("the server stopped while {tool} ran; whether it took effect is not known"),
    )
}
