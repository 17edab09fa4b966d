//! Turns: start, follow, show, cancel; and models asked without an assistant.

use super::App;
use crate::limits::Unit;
use crate::models::{Caller, Ceiling, Completion, ModelCallRecord};
use crate::opctx::OpCtx;
use crate::port::store::{Page, PageRequest};
use crate::router::plan::{Origin, Plan};
use crate::turn::{Follow, NewTurn, Turn, TurnRecord, TurnState, failure};
use caxton_core::error::{Code, Error};
use caxton_core::grant::Permission;
use caxton_core::manifest::BehaviorKind;
use caxton_core::model::{ModelName, ModelRequest};
use caxton_core::session::{ASK_LANGUAGE, Ask, Say, SessionId, TurnEvent, TurnId};
use caxton_core::{Acl, AgentId, AgentName, Message, Performative};
use std::sync::Arc;
use std::time::Duration;

/// How long a model may be asked without an assistant.
const STRAIGHT_TIMEOUT: Duration = Duration::from_secs(600);

/// What a user says to an assistant.
#[derive(Clone, Debug)]
pub struct TurnAsk {
    pub agent: AgentName,
    /// Begun if it is not there; absent: a new one.
    pub session: Option<SessionId>,
    pub say: Say,
}

impl App {
    /// Begins a turn and gives its events. It goes on when nobody follows.
    ///
    /// Errors: `CX-3001` and `CX-3002` for an assistant that is not there or does not run, `CX-7027`
    /// for an agent that is none, `CX-7021` for a session of another assistant, `CX-3003` where too
    /// many turns of the session wait, `CX-4031`, `CX-1020`, `CX-500x`.
    pub async fn turn_start(&self, ctx: &OpCtx, ask: TurnAsk) -> Result<Follow, Error> {
        let scope = ctx.authorize(Permission::SessionWrite)?;
        self.refuse_when_draining()?;
        // The platform's own may look into a suspended tenant; nothing answers them there.
        self.directory.ensure_active(&ctx.tenant).await?;
        self.assistant(ctx, &ask.agent)?;
        let passing = ask.say.passing;
        let message = self.ask_message(ctx, &ask.agent, &Ask::Say(Box::new(ask.say)))?;
        let id = message.id;
        let session = ask.session.unwrap_or_else(|| SessionId::of(id));
        let key = super::limits::key_of(&ctx.principal);
        let now = self.now();
        let one = self
            .quotas
            .reserve(&ctx.tenant, key.as_deref(), Unit::Messages, 1, now)
            .await?;
        let beginning = match passing {
            true => None,
            false => Some(self.shared.services.sessions.beginning(&session).await),
        };
        let (begins, answers) = match passing {
            true => (None, ask.agent.clone()),
            false => self.session_of(ctx, &scope, &session, &ask.agent).await?,
        };
        // Only two who begin the same session are in each other's way.
        let _beginning = beginning.filter(|_| begins.is_some());
        let new = NewTurn {
            tenant: ctx.tenant.clone(),
            id,
            session: session.clone(),
            agent: answers.clone(),
            key,
            passing,
        };
        let turn = self.shared.services.turns.begin(new)?;
        let message = addressed(message, &session, answers)?;
        let mut plan = Plan::passing(passing);
        let begun = async {
            plan.send(&self.shared, &Arc::new(message), Origin::Door)?;
            if !passing {
                plan.ops.extend(begins);
                plan.ops.push(running(&turn)?);
            }
            turn.emit(TurnEvent::Started {
                session,
                agent: turn.agent().to_string(),
            })?;
            plan.carry_out_whole(&self.shared, scope.tenant()).await
        };
        if let Err(error) = begun.await {
            self.shared.services.turns.forget(&turn);
            return Err(error);
        }
        one.settle(1);
        Ok(turn.follow(0))
    }

    /// Asks a model without an assistant: what is said is the client's own, and nothing of it is kept
    /// but the accounts.
    pub async fn turn_start_model(
        &self,
        ctx: &OpCtx,
        model: ModelName,
        request: ModelRequest,
    ) -> Result<Follow, Error> {
        ctx.authorize(Permission::ModelUse)?;
        self.refuse_when_draining()?;
        self.directory.ensure_active(&ctx.tenant).await?;
        let services = Arc::clone(&self.shared.services);
        // A provider that is not there is an answer, and no turn that fails.
        services.models.facts(&ctx.tenant, &model).await?;
        let id = self.shared.new_message_id();
        let turn = services.turns.begin(NewTurn {
            tenant: ctx.tenant.clone(),
            id,
            session: SessionId::of(id),
            agent: ctx.principal.agent_name(),
            key: super::limits::key_of(&ctx.principal),
            passing: true,
        })?;
        turn.handle();
        turn.emit(TurnEvent::Started {
            session: turn.session().clone(),
            agent: model.to_string(),
        })?;
        let caller = Caller {
            turn: Arc::clone(&turn),
            index: 0,
            session: None,
            agent: None,
            trace: ctx.trace,
            durable: false,
            replay: false,
        };
        let completion = Completion {
            models: vec![model],
            request,
            scripts: None,
            ceiling: Ceiling::default(),
            deadline: self.now().plus(STRAIGHT_TIMEOUT),
        };
        let follow = turn.follow(0);
        let mut work = Box::pin(async move {
            let last = services.models.straight(&caller, completion).await;
            let _ = turn.emit(last);
            services.turns.ended(&turn);
        });
        // The model is asked here and now, and not when a task comes to it: that would be after the
        // beginning of the answer was written to the client. Nothing waits before it is spawned.
        if futures::poll!(&mut work).is_pending() {
            let tasks = &self.shared.tasks;
            tasks.spawn_until_stop("straight model turn", work);
            tokio::task::yield_now().await;
        }
        Ok(follow)
    }

    /// Follows a turn from after an event on; 0: from its beginning. Errors: `CX-7022`, `CX-6007` for
    /// an event that the turn never had.
    pub async fn turn_follow(&self, ctx: &OpCtx, id: TurnId, after: u64) -> Result<Follow, Error> {
        let scope = ctx.authorize(Permission::SessionRead)?;
        let found = self.shared.services.turns.find(scope.tenant(), id).await?;
        let turn = found.ok_or_else(|| no_turn(id))?;
        if !turn.may_have_told(after) {
            let detail = format!("turn {id} has no event {after}");
            return Err(Error::new(Code::ResumeLost, detail));
        }
        Ok(turn.follow(after))
    }

    /// How a turn stands. Errors: `CX-7022`.
    pub async fn turn_show(&self, ctx: &OpCtx, id: TurnId) -> Result<TurnRecord, Error> {
        let scope = ctx.authorize(Permission::SessionRead)?;
        let turns = &self.shared.services.turns;
        if let Some(record) = turns.record(scope.tenant(), id).await? {
            return Ok(record);
        }
        let turn = turns.at_hand(scope.tenant(), id);
        Ok(turn.ok_or_else(|| no_turn(id))?.record())
    }

    /// Ends a turn that runs or waits; one that has ended stays as it is. What was said until then is
    /// kept. Errors: `CX-7022`.
    pub async fn turn_cancel(&self, ctx: &OpCtx, id: TurnId) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::SessionWrite)?;
        let turns = Arc::clone(&self.shared.services.turns);
        let found = turns.find(scope.tenant(), id).await?;
        let turn = found.ok_or_else(|| no_turn(id))?;
        let error = Error::new(Code::TurnCancelled, "the turn was cancelled");
        if turn.cancel(TurnEvent::Failed(failure(&error))) {
            turns.ended(&turn);
            turns.keep_end(&turn, TurnState::Failed).await?;
        }
        Ok(())
    }

    /// The tenant's model calls, the newest first; of one turn where it is named.
    pub async fn model_call_list(
        &self,
        ctx: &OpCtx,
        turn: Option<TurnId>,
        page: &PageRequest,
    ) -> Result<Page<ModelCallRecord>, Error> {
        let scope = ctx.authorize(Permission::UsageRead)?;
        let ledger = &self.shared.services.models.ledger;
        ledger.list(&scope, turn, page).await
    }

    /// Refuses an agent that is none of the tenant's assistants.
    pub(super) fn assistant(&self, ctx: &OpCtx, agent: &AgentName) -> Result<(), Error> {
        let entry = self.entry(&AgentId::new(ctx.tenant.clone(), agent.clone()))?;
        if entry.deployed_ref().manifest.behavior == BehaviorKind::Assistant {
            return Ok(());
        }
        Err(Error::new(
            Code::NotAnAssistant,
            format!("{agent} is an agent without sessions"),
        ))
    }

    /// A message from the caller that asks something of an assistant.
    pub(super) fn ask_message(
        &self,
        ctx: &OpCtx,
        agent: &AgentName,
        ask: &Ask,
    ) -> Result<Message, Error> {
        let receiver = AgentId::new(ctx.tenant.clone(), agent.clone());
        let mut acl = Acl::new(Performative::Request)
            .to(receiver)
            .content(ask.to_content()?);
        acl.language = Some(ASK_LANGUAGE.to_owned());
        self.stamp(ctx, acl, false)
    }
}

/// The message, in the session's conversation and for whoever answers in it.
pub(super) fn addressed(
    mut message: Message,
    session: &SessionId,
    answers: AgentName,
) -> Result<Message, Error> {
    message.acl.conversation_id = Some(session.conversation()?);
    let receiver = AgentId::new(message.tenant.clone(), answers);
    message.acl.receivers = vec![receiver.into()];
    Ok(message)
}

fn no_turn(id: TurnId) -> Error {
    Error::new(Code::TurnNotFound, format!("there is no turn {id}"))
}

fn running(turn: &Turn) -> Result<crate::port::store::Op, Error> {
    crate::documents::put(&turn.id().to_string(), &turn.record())
}
