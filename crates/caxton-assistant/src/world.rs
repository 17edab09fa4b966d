//! What the driver needs of the world. `Host` is the one that runs; tests bring their own.

use crate::turn::Event;
use crate::voice::Voice;
use caxton_core::error::Error;
use caxton_core::model::{ModelName, ModelRequest};
use caxton_core::session::{Ask, Entry, Session, SessionId, TurnEvent, TurnId};
use caxton_core::{Acl, AgentId, AgentName, Manifest, Timestamp};
use caxton_engine::host::Opening;
use caxton_engine::port::model::ModelFacts;
use caxton_engine::tools::{Done, OfferedTool, Prepared, ToolAsk, ToolSide};
use std::future::Future;
use std::sync::Arc;

/// A turn that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) id: TurnId,
    pub(crate) session: SessionId,
    /// It goes on from another assistant's.
    pub(crate) handed: bool,
    /// Nothing of it is kept but the accounts.
    pub(crate) passing: bool,
    /// What whoever follows was told before the server last stopped.
    pub(crate) told: Vec<Arc<TurnEvent>>,
}

/// A question to a model.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) models: Vec<ModelName>,
    pub(crate) request: ModelRequest,
    /// What is left of the turn's own ceilings.
    pub(crate) tokens: Option<u64>,
    pub(crate) cost_micros: Option<u64>,
    pub(crate) deadline: Timestamp,
}

/// What a model answered: [`Event::Answered`] or [`Event::Broke`].
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) event: Event,
    /// It answered before the server last stopped, and was not asked again.
    pub(crate) replayed: bool,
}

pub(crate) trait World: Send {
    fn agent(&self) -> &AgentId;
    fn manifest(&self) -> Arc<Manifest>;
    fn now(&mut self) -> Timestamp;

    /// `None`: the turn has ended already.
    fn begin(
        &mut self,
        opening: Opening,
    ) -> impl Future<Output = Result<Option<Begun>, Error>> + Send;
    fn tell(&mut self, event: TurnEvent) -> Result<(), Error>;
    fn is_cancelled(&self) -> bool;
    /// Whether an agent runs, so that it takes what it is given.
    fn stands(&self, agent: &AgentName) -> bool;
    fn end(
        &mut self,
        last: TurnEvent,
        entries: u64,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// The turn goes on with another agent, which answers whoever `asked`.
    fn hand_over(&mut self, to: AgentName, asked: &Acl, ask: &Ask) -> Result<(), Error>;

    fn session(
        &mut self,
        id: &SessionId,
    ) -> impl Future<Output = Result<Option<Session>, Error>> + Send;
    fn history(
        &mut self,
        id: &SessionId,
        from: u64,
        before: u64,
    ) -> impl Future<Output = Result<Vec<Entry>, Error>> + Send;
    fn session_put(&mut self, session: &Session, new: &[Entry]) -> Result<(), Error>;
    fn session_remove(
        &mut self,
        session: &Session,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Forgets a workspace of which nothing is kept.
    fn workspace_remove(
        &mut self,
        workspace: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn facts(
        &mut self,
        model: &ModelName,
    ) -> impl Future<Output = Result<ModelFacts, Error>> + Send;
    /// Asks; with a voice, whoever follows hears the answer as it comes.
    fn ask(
        &mut self,
        question: Question,
        voice: Option<Voice>,
    ) -> impl Future<Output = Asked> + Send;
    /// The tools that may be called in a turn.
    fn tools(
        &mut self,
        side: ToolSide,
    ) -> impl Future<Output = Result<Vec<OfferedTool>, Error>> + Send;
    /// Decides on a call, and prepares it.
    fn prepare(&mut self, ask: ToolAsk) -> impl Future<Output = Result<Prepared, Error>> + Send;
    /// Makes calls, all at once; a turn that is cancelled ends the waiting.
    fn run(
        &mut self,
        calls: Vec<Prepared>,
    ) -> impl Future<Output = Result<Vec<Done>, Error>> + Send;
    /// The model called what it is not offered.
    fn unknown(&mut self, name: &str) -> impl Future<Output = Result<(), Error>> + Send;
    fn send(&mut self, acl: Acl) -> Result<(), Error>;
}
