//! What an assistant does through its host: models, sessions and their histories, and the turn that
//! its message is of.

use super::Host;
use crate::documents;
use crate::models::{Caller, Completed, Completion, Ledger, NotCompleted};
use crate::port::model::ModelFacts;
use crate::port::store::{Op, PageRequest};
use crate::tools::workspace_of;
use crate::turn::{NewTurn, Sessions, Turn, TurnRecord, TurnState};
use caxton_core::error::{Code, Error};
use caxton_core::model::{ModelEvent, ModelName};
use caxton_core::session::{ASK_LANGUAGE, Ask, Entry, Session, SessionId, TurnEvent};
use caxton_core::{Acl, AgentId, AgentName, MessageId, Performative};
use std::sync::Arc;

/// Entries of the ledger whose answers are let go with one turn: more than a turn has model calls.
const REPLIES_ROWS: u32 = 1_000;

/// What a turn is begun with.
#[derive(Clone, Debug)]
pub struct Opening {
    pub session: SessionId,
    /// The message came from another assistant, and its turn goes on.
    pub handed: bool,
    /// Nothing of it is kept but the accounts.
    pub passing: bool,
    /// Who asks.
    pub sender: Option<AgentName>,
    /// What whoever asks was asked.
    pub parent: Option<MessageId>,
}

impl Host {
    /// The turn of the message being handled. `None`: it has ended already, and there is nothing to
    /// do.
    pub async fn turn_begin(&mut self, opening: Opening) -> Result<Option<Arc<Turn>>, Error> {
        self.charge()?;
        let Some(current) = self.inner.current.as_ref() else {
            return Err(Error::new(
                Code::CallNotAllowed,
                "no turn begins inside init",
            ));
        };
        let (tenant, message) = (&self.inner.mailbox.agent.tenant, current.delivery);
        let turns = &self.inner.services.turns;
        let id = match opening.handed {
            true => turns.alias_of(tenant, message).await?.unwrap_or(message),
            false => message,
        };
        let turn = match turns.find(tenant, id).await? {
            Some(turn) => turn,
            None => turns.begin(NewTurn {
                tenant: tenant.clone(),
                id,
                agent: self.inner.mailbox.agent.name.clone(),
                key: turns.key_behind(tenant, opening.sender.as_ref(), opening.parent),
                session: opening.session,
                passing: opening.passing,
            })?,
        };
        Ok(turn.handle().then_some(turn))
    }

    /// Whether an agent of the tenant runs, so that it takes what it is given.
    pub fn stands(&self, agent: &AgentName) -> bool {
        let tenant = self.inner.mailbox.agent.tenant.clone();
        let agent = AgentId::new(tenant, agent.clone());
        self.inner.services.outlet.stands(&agent)
    }

    /// A session of the tenant.
    pub async fn session_load(&mut self, id: &SessionId) -> Result<Option<Session>, Error> {
        self.charge()?;
        let found = self.inner.services.sessions.find(&self.inner.scope, id);
        found.await
    }

    /// Entries of a session's history, from one on, before another.
    pub async fn history(
        &mut self,
        id: &SessionId,
        from: u64,
        before: u64,
    ) -> Result<Vec<Entry>, Error> {
        self.charge()?;
        let sessions = &self.inner.services.sessions;
        sessions
            .entries_all(&self.inner.scope, id, from, before)
            .await
    }

    /// Keeps a session with entries added to its history; `session.entries` counts them already.
    /// Durable together with the handled message.
    pub fn session_put(&mut self, session: &Session, added: &[Entry]) -> Result<(), Error> {
        self.charge()?;
        let ops = &mut self.inner.effects.ops;
        let first = session.entries.saturating_sub(added.len() as u64);
        for (index, entry) in (first..).zip(added) {
            let body = serde_json::to_vec(entry);
            let body = body.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
            ops.push(Op::LogPut {
                log: Sessions::log(&session.id),
                index,
                body: body.into(),
            });
        }
        ops.push(documents::put(session.id.as_str(), session)?);
        Ok(())
    }

    /// Forgets a session, its history, its messages and what is kept of its turns. The messages go
    /// first: whoever is cut off after them finds the session and removes it again.
    pub async fn session_remove(&mut self, session: &Session) -> Result<(), Error> {
        self.charge()?;
        let sessions = &self.inner.services.sessions;
        sessions
            .forget_messages(&self.inner.scope, &session.id)
            .await?;
        let turns = self
            .inner
            .services
            .turns
            .of_session(&self.inner.scope, &session.id);
        let ops = turns.await?;
        let workspace = workspace_of(&session.id);
        let files = &self.inner.services.tools.workspaces;
        let files = files.removal(&self.inner.scope, &workspace).await?;
        let effects = &mut self.inner.effects.ops;
        effects.extend(ops);
        effects.extend(files);
        effects.push(Op::LogTrim {
            log: Sessions::log(&session.id),
            before: u64::MAX,
        });
        effects.push(documents::remove::<Session>(session.id.as_str()));
        let tenant = &self.inner.mailbox.agent.tenant;
        self.inner.services.tools.close(tenant, &workspace);
        Ok(())
    }

    /// Forgets a workspace of which nothing is kept: its files, and its browser.
    pub async fn workspace_remove(&mut self, workspace: &str) -> Result<(), Error> {
        self.charge()?;
        let tools = &self.inner.services.tools;
        tools.close(&self.inner.mailbox.agent.tenant, workspace);
        tools.workspaces.clear(&self.inner.scope, workspace).await
    }

    /// What is known of a model.
    pub async fn model_facts(&mut self, model: &ModelName) -> Result<ModelFacts, Error> {
        self.charge()?;
        let tenant = &self.inner.mailbox.agent.tenant;
        self.inner.services.models.facts(tenant, model).await
    }

    /// Asks a model, or its fallbacks. `seen` is told of each piece of the answer as it comes, and of
    /// none of an answer that was given before a restart.
    pub async fn complete(
        &mut self,
        turn: &Arc<Turn>,
        ask: Completion,
        seen: &mut (dyn FnMut(&ModelEvent) -> Result<(), Error> + Send),
    ) -> Result<Completed, NotCompleted> {
        self.charge()?;
        let trace = self.trace();
        let Some((current, trace)) = self.inner.current.as_ref().zip(trace) else {
            let error = Error::new(Code::CallNotAllowed, "no model is asked inside init");
            return Err(error.into());
        };
        let caller = Caller {
            turn: Arc::clone(turn),
            index: self.inner.used.completions,
            session: Some(turn.session().clone()),
            agent: Some(self.inner.mailbox.agent.name.clone()),
            trace,
            durable: self.is_durable() && !turn.is_passing(),
            replay: current.replay || current.attempt > 1,
        };
        self.inner.used.completions += 1;
        let clock = Arc::clone(&self.inner.services.clock);
        let begun = clock.now();
        let models = Arc::clone(&self.inner.services.models);
        let completed = models.complete(&caller, ask, seen).await;
        self.inner.used.waited += clock.now().since(begun);
        completed
    }

    /// Ends the turn. What is kept of it goes with the handled message, and whoever follows it hears so
    /// when that is committed. `entries` is how far the session's history goes.
    pub async fn turn_end(
        &mut self,
        turn: &Arc<Turn>,
        last: TurnEvent,
        entries: u64,
    ) -> Result<(), Error> {
        self.charge()?;
        let completed = matches!(last, TurnEvent::Completed(_));
        let now = self.inner.services.clock.now();
        if !turn.is_passing() {
            let record = TurnRecord {
                state: match completed {
                    true => TurnState::Completed,
                    false => TurnState::Failed,
                },
                ended: Some(now),
                entries,
                ..turn.record()
            };
            let id = record.id.to_string();
            self.inner.effects.ops.push(documents::put(&id, &record)?);
            if self.inner.used.completions > 1 {
                self.let_replies_go(turn).await?;
            }
        }
        if !turn.is_passing() {
            let chunk = turn.closing(&last);
            let put = documents::put(&chunk.id(), &chunk)?;
            self.inner.effects.ops.push(put);
        }
        self.inner.effects.ends.push((Arc::clone(turn), last));
        Ok(())
    }

    /// Answers that the ledger kept for a turn that might be handled again.
    async fn let_replies_go(&mut self, turn: &Turn) -> Result<(), Error> {
        let scope = self.inner.scope.clone();
        let ledger = &self.inner.services.models.ledger;
        let page = PageRequest::first(REPLIES_ROWS);
        let page = ledger.list(&scope, Some(turn.id()), &page).await?;
        for record in page.rows.iter().filter(|record| record.reply.is_some()) {
            let op = Ledger::without_reply(record)?;
            self.inner.effects.ops.push(op);
        }
        Ok(())
    }

    /// Gives the message to another agent, which goes on with the same turn and answers whoever
    /// `asked`.
    pub fn hand_over(
        &mut self,
        turn: &Turn,
        to: AgentName,
        asked: &Acl,
        ask: &Ask,
    ) -> Result<(), Error> {
        let tenant = self.inner.mailbox.agent.tenant.clone();
        let mut acl = Acl::new(Performative::Request)
            .to(AgentId::new(tenant.clone(), to))
            .content(ask.to_content()?);
        acl.language = Some(ASK_LANGUAGE.to_owned());
        acl.conversation_id = Some(turn.session().conversation()?);
        acl.protocol.clone_from(&asked.protocol);
        acl.reply_with.clone_from(&asked.reply_with);
        acl.reply_to = match (asked.reply_to.as_slice(), &asked.sender) {
            ([], Some(sender)) => vec![sender.clone()],
            (named, _) => named.to_vec(),
        };
        let message = self.send_own(acl)?;
        let alias = self
            .inner
            .services
            .turns
            .alias(&tenant, message, turn.id())?;
        self.inner.effects.ops.push(alias);
        Ok(())
    }
}
