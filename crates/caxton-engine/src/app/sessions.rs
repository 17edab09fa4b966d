//! Sessions: create, list, show, change, reset, remove, and what was said in them. What changes a
//! session that has a lane goes through the lane, after the turns that came before it.

use super::App;
use super::chat::addressed;
use crate::documents;
use crate::opctx::{OpCtx, TenantScope};
use crate::port::page::{self, List, Position};
use crate::port::store::{Op, PAGE_ROWS_MAX, Page, PageRequest};
use crate::router::plan::{Origin, Plan};
use crate::tools::workspace_of;
use crate::turn::{NewTurn, Sessions};
use caxton_core::AgentName;
use caxton_core::error::{Code, Error};
use caxton_core::grant::Permission;
use caxton_core::model::Thinking;
use caxton_core::session::{Ask, Entry, Session, SessionId, TurnEvent};
use caxton_core::tool::Rules;
use std::sync::Arc;

/// Pages of sessions looked through for one page of an assistant's.
const SCAN_PAGES_MAX: u32 = 50;

impl App {
    /// Begins a session. Errors: `CX-7021` where its id is taken, `CX-7027`.
    pub async fn session_create(
        &self,
        ctx: &OpCtx,
        agent: AgentName,
        id: Option<SessionId>,
        thinking: Option<Thinking>,
        tools: Rules,
    ) -> Result<Session, Error> {
        let scope = ctx.authorize(Permission::SessionWrite)?;
        tools.check()?;
        self.assistant(ctx, &agent)?;
        let sessions = &self.shared.services.sessions;
        let id = id.unwrap_or_else(|| SessionId::of(self.shared.new_message_id()));
        let _beginning = sessions.beginning(&id).await;
        if sessions.find(&scope, &id).await?.is_some() {
            let detail = format!("there is a session {id}");
            return Err(Error::new(Code::SessionExists, detail));
        }
        let user = ctx.principal.agent_name().to_string();
        let mut session = Session::begin(id, agent, user, self.now());
        session.thinking = thinking;
        session.tools = tools;
        let put = documents::put(session.id.as_str(), &session)?;
        sessions.documents.commit(&scope, vec![put]).await?;
        Ok(session)
    }

    pub async fn session_show(&self, ctx: &OpCtx, id: &SessionId) -> Result<Session, Error> {
        let scope = ctx.authorize(Permission::SessionRead)?;
        self.session(&scope, id).await
    }

    /// In the order of their ids; of one assistant where it is named.
    pub async fn session_list(
        &self,
        ctx: &OpCtx,
        agent: Option<&AgentName>,
        asked: &PageRequest,
    ) -> Result<Page<Session>, Error> {
        let scope = ctx.authorize(Permission::SessionRead)?;
        let documents = &self.shared.services.sessions.documents;
        let mut asked = asked.clone();
        for _ in 0..SCAN_PAGES_MAX {
            let mut page = documents.list::<Session>(&scope, "", &asked).await?;
            let of =
                |it: &Session| agent.is_none_or(|agent| it.agent == *agent || it.answers == *agent);
            page.rows.retain(of);
            if !page.rows.is_empty() || page.next.is_none() {
                return Ok(page);
            }
            asked.token = page.next;
        }
        Ok(Page {
            rows: Vec::new(),
            next: asked.token,
        })
    }

    /// What was said, oldest first, each with its place.
    pub async fn session_messages(
        &self,
        ctx: &OpCtx,
        id: &SessionId,
        asked: &PageRequest,
    ) -> Result<Page<(u64, Entry)>, Error> {
        let scope = ctx.authorize(Permission::SessionRead)?;
        self.session(&scope, id).await?;
        let log = Sessions::log(id);
        let list = List::Log(&log, "");
        let after = page::position(list, &scope, asked.token.as_deref())?;
        let from = after.map_or(0, |at| u64::try_from(at.at).unwrap_or(0) + 1);
        let rows_max = asked.rows_max.clamp(1, PAGE_ROWS_MAX);
        let sessions = &self.shared.services.sessions;
        let mut rows = sessions.entries(&scope, id, from, rows_max + 1).await?;
        let more = rows.len() > rows_max as usize;
        rows.truncate(rows_max as usize);
        let last = rows.last().filter(|_| more).map(|(index, _)| *index);
        let next = last.map(|index| {
            let at = Position::of_sequence(i64::try_from(index).unwrap_or(i64::MAX));
            page::token(list, &scope, &at)
        });
        Ok(Page { rows, next })
    }

    /// The session begins anew: the model sees nothing of what was said, or a summary of it. The
    /// history stays.
    pub async fn session_reset(
        &self,
        ctx: &OpCtx,
        id: &SessionId,
        summarize: bool,
    ) -> Result<Session, Error> {
        let scope = ctx.authorize(Permission::SessionWrite)?;
        let session = self.session(&scope, id).await?;
        let asked = self
            .tell_lane(ctx, &session, &Ask::Reset { summarize })
            .await?;
        if !asked {
            let detail = format!("{} does not run", session.answers);
            return Err(Error::new(Code::ReceiverStopped, detail));
        }
        self.session(&scope, id).await
    }

    /// Sets how much the model thinks in this session (`Some(None)`: as its assistant says), and what it
    /// may do with tools; what is `None` stays as it is.
    pub async fn session_configure(
        &self,
        ctx: &OpCtx,
        id: &SessionId,
        thinking: Option<Option<Thinking>>,
        tools: Option<Rules>,
    ) -> Result<Session, Error> {
        let scope = ctx.authorize(Permission::SessionWrite)?;
        if let Some(tools) = &tools {
            tools.check()?;
        }
        let mut session = self.session(&scope, id).await?;
        let thinking = thinking.unwrap_or(session.thinking);
        let ask = Ask::Configure {
            thinking,
            tools: tools.clone(),
        };
        if !self.tell_lane(ctx, &session, &ask).await? {
            session.thinking = thinking;
            session.tools = tools.unwrap_or(session.tools);
            let put = documents::put(id.as_str(), &session)?;
            let documents = &self.shared.services.sessions.documents;
            documents.commit(&scope, vec![put]).await?;
        }
        self.session(&scope, id).await
    }

    /// Forgets a session with all that was said in it.
    pub async fn session_remove(&self, ctx: &OpCtx, id: &SessionId) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::SessionWrite)?;
        let session = self.session(&scope, id).await?;
        let services = &self.shared.services;
        if self.tell_lane(ctx, &session, &Ask::Remove).await? {
            services.turns.let_session_go(scope.tenant(), id);
            return Ok(());
        }
        services.sessions.forget_messages(&scope, id).await?;
        let mut ops = services.turns.of_session(&scope, id).await?;
        ops.push(Op::LogTrim {
            log: Sessions::log(id),
            before: u64::MAX,
        });
        let files = &services.tools.workspaces;
        ops.extend(files.removal(&scope, &workspace_of(id)).await?);
        ops.push(documents::remove::<Session>(id.as_str()));
        services.tools.close(scope.tenant(), &workspace_of(id));
        services.sessions.documents.commit(&scope, ops).await?;
        services.turns.let_session_go(scope.tenant(), id);
        Ok(())
    }

    /// Asks something of a session's lane and waits until it is done. `false`: nobody is there who
    /// could do it, so that nobody is in the way of doing it here.
    async fn tell_lane(&self, ctx: &OpCtx, session: &Session, ask: &Ask) -> Result<bool, Error> {
        self.refuse_when_draining()?;
        let message = self.ask_message(ctx, &session.answers, ask)?;
        let turns = &self.shared.services.turns;
        let turn = turns.begin(NewTurn {
            tenant: ctx.tenant.clone(),
            id: message.id,
            session: session.id.clone(),
            agent: session.answers.clone(),
            key: super::limits::key_of(&ctx.principal),
            passing: true,
        })?;
        let message = addressed(message, &session.id, session.answers.clone())?;
        let mut plan = Plan::passing(true);
        let sent = plan.send(&self.shared, &Arc::new(message), Origin::Door);
        let nobody = [Code::ReceiverUnknown, Code::ReceiverStopped];
        if let Err(error) = sent {
            turns.forget(&turn);
            return match nobody.contains(&error.code) {
                true => Ok(false),
                false => Err(error),
            };
        }
        let mut follow = turn.follow(0);
        plan.carry_out_whole(&self.shared, &ctx.tenant).await?;
        while let Some(events) = follow.next().await {
            for (_, event) in events {
                if let TurnEvent::Failed(failed) = &*event {
                    return Err(failed.error());
                }
            }
        }
        Ok(true)
    }

    pub(super) async fn session(
        &self,
        scope: &TenantScope,
        id: &SessionId,
    ) -> Result<Session, Error> {
        let found = self.shared.services.sessions.find(scope, id).await?;
        found.ok_or_else(|| {
            let detail = format!("there is no session {id}");
            Error::new(Code::SessionNotFound, detail)
        })
    }

    /// Who answers in a session, and what begins it where it is not there.
    pub(super) async fn session_of(
        &self,
        ctx: &OpCtx,
        scope: &TenantScope,
        id: &SessionId,
        agent: &AgentName,
    ) -> Result<(Option<Op>, AgentName), Error> {
        if let Some(session) = self.shared.services.sessions.find(scope, id).await? {
            if session.agent == *agent || session.answers == *agent {
                return Ok((None, session.answers));
            }
            let detail = format!("session {id} is with {}", session.agent);
            return Err(Error::new(Code::SessionExists, detail));
        }
        let user = ctx.principal.agent_name().to_string();
        let session = Session::begin(id.clone(), agent.clone(), user, self.now());
        let put = documents::put(id.as_str(), &session)?;
        Ok((Some(put), agent.clone()))
    }
}
