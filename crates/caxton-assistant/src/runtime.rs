//! The adapter: assistants as programs of the engine, and `Host` as the driver's world.

use crate::drive;
use crate::turn::{Event, Spent};
use crate::voice::Voice;
use crate::world::{Asked, Begun, Question, World};
use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::model::{ModelEvent, ModelName};
use caxton_core::session::{Ask, Entry, Session, SessionId, TurnEvent};
use caxton_core::{Acl, AgentId, AgentName, Manifest, Message, Timestamp};
use caxton_engine::host::{Host, Opening};
use caxton_engine::models::{Ceiling, Completed, Completion, NotCompleted};
use caxton_engine::port::behavior::{Artifact, Behavior, Fault, Program, Runtime};
use caxton_engine::port::model::ModelFacts;
use caxton_engine::port::{Answer, Model, native};
use caxton_engine::tools::{Done, OfferedTool, Prepared, ToolAsk, ToolSide};
use caxton_engine::turn::Turn;
use futures::FutureExt;
use std::fmt;
use std::sync::Arc;

/// Makes assistants.
#[derive(Clone, Debug)]
pub struct AssistantRuntime {
    model: Arc<dyn Model>,
}

impl AssistantRuntime {
    /// What the scripts of a deployment must look like is the model's to say, which plays them.
    pub fn new(model: Arc<dyn Model>) -> Self {
        Self { model }
    }

    fn program(&self, artifact: &Artifact) -> Result<AssistantProgram, Error> {
        if artifact.manifest.assistant.is_none() {
            let detail = "behavior = \"assistant\" without [assistant]";
            return Err(Error::new(Code::ManifestMalformed, detail));
        }
        let scripts = (!artifact.component.is_empty()).then(|| artifact.component.clone());
        if let Some(scripts) = &scripts {
            self.model.check_scripts(scripts)?;
        }
        Ok(AssistantProgram { scripts })
    }
}

impl Runtime for AssistantRuntime {
    fn prepare(&self, artifact: Artifact) -> Answer<'_, Result<Arc<dyn Program>, Error>> {
        let program = self.program(&artifact);
        let program = program.map(|program| Arc::new(program) as Arc<dyn Program>);
        Box::pin(std::future::ready(program))
    }
}

/// An assistant, of which every live session has an instance. There is nothing in one: what is known
/// of a session is in the store, and what the assistant is in its manifest.
#[derive(Clone)]
struct AssistantProgram {
    scripts: Option<Bytes>,
}

impl fmt::Debug for AssistantProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AssistantProgram")
    }
}

impl Program for AssistantProgram {
    fn instantiate(&self) -> Answer<'_, Result<Box<dyn Behavior>, Fault>> {
        let instance: Box<dyn Behavior> = Box::new(Assistant {
            scripts: self.scripts.clone(),
        });
        Box::pin(std::future::ready(Ok(instance)))
    }
}

struct Assistant {
    scripts: Option<Bytes>,
}

impl Behavior for Assistant {
    fn init(&mut self, host: Host) -> Answer<'_, (Host, Result<(), Fault>)> {
        Box::pin(std::future::ready((host, Ok(()))))
    }

    fn handle(
        &mut self,
        host: Host,
        message: Arc<Message>,
    ) -> Answer<'_, (Host, Result<(), Fault>)> {
        let scripts = self.scripts.clone();
        Box::pin(async move {
            let mut world = HostWorld {
                host,
                turn: None,
                scripts,
            };
            let handled = drive::handle(&mut world, &message).await;
            let handled = handled.map_err(|error| native::failed(error.to_string()));
            (world.host, handled)
        })
    }
}

/// `Host`, with the turn of the message being handled.
struct HostWorld {
    host: Host,
    turn: Option<Arc<Turn>>,
    scripts: Option<Bytes>,
}

impl HostWorld {
    fn turn(&self) -> Result<Arc<Turn>, Error> {
        let missing = || Error::new(Code::Internal, "there is no turn");
        self.turn.clone().ok_or_else(missing)
    }

    async fn complete(
        &mut self,
        question: Question,
        mut voice: Option<Voice>,
    ) -> Result<Completed, NotCompleted> {
        let turn = self.turn()?;
        let Question {
            models,
            request,
            tokens,
            cost_micros,
            deadline,
        } = question;
        let completion = Completion {
            models,
            request,
            scripts: self.scripts.clone(),
            ceiling: Ceiling {
                tokens,
                cost_micros,
            },
            deadline,
        };
        let heard = Arc::clone(&turn);
        let mut seen =
            move |event: &ModelEvent| match voice.as_mut().and_then(|voice| voice.hear(event)) {
                Some(event) => heard.emit(event),
                None => Ok(()),
            };
        self.host.complete(&turn, completion, &mut seen).await
    }
}

/// What whoever follows a turn was told so far.
fn told(turn: &Arc<Turn>) -> Vec<Arc<TurnEvent>> {
    let mut follow = turn.follow(0);
    let mut told = Vec::new();
    while let Some(Some(events)) = follow.next().now_or_never() {
        told.extend(events.into_iter().map(|(_, event)| event));
    }
    told
}

impl World for HostWorld {
    fn agent(&self) -> &AgentId {
        self.host.agent()
    }

    fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(self.host.manifest())
    }

    fn now(&mut self) -> Timestamp {
        self.host.now()
    }

    async fn begin(&mut self, opening: Opening) -> Result<Option<Begun>, Error> {
        let handed = opening.handed;
        // What this lane did before is committed when its handler first waits: a session is read after
        // that, or the turn before would be missing in it.
        tokio::task::yield_now().await;
        let Some(turn) = self.host.turn_begin(opening).await? else {
            return Ok(None);
        };
        self.turn = Some(Arc::clone(&turn));
        Ok(Some(Begun {
            id: turn.id(),
            session: turn.session().clone(),
            handed,
            passing: turn.is_passing(),
            told: told(&turn),
        }))
    }

    fn tell(&mut self, event: TurnEvent) -> Result<(), Error> {
        self.turn()?.emit(event)
    }

    fn is_cancelled(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.is_cancelled())
    }

    fn stands(&self, agent: &AgentName) -> bool {
        self.host.stands(agent)
    }

    async fn end(&mut self, last: TurnEvent, entries: u64) -> Result<(), Error> {
        let turn = self.turn()?;
        self.host.turn_end(&turn, last, entries).await
    }

    fn hand_over(&mut self, to: AgentName, asked: &Acl, ask: &Ask) -> Result<(), Error> {
        let turn = self.turn()?;
        self.host.hand_over(&turn, to, asked, ask)
    }

    async fn session(&mut self, id: &SessionId) -> Result<Option<Session>, Error> {
        self.host.session_load(id).await
    }

    async fn history(
        &mut self,
        id: &SessionId,
        from: u64,
        before: u64,
    ) -> Result<Vec<Entry>, Error> {
        self.host.history(id, from, before).await
    }

    fn session_put(&mut self, session: &Session, new: &[Entry]) -> Result<(), Error> {
        self.host.session_put(session, new)
    }

    async fn session_remove(&mut self, session: &Session) -> Result<(), Error> {
        self.host.session_remove(session).await
    }

    async fn workspace_remove(&mut self, workspace: &str) -> Result<(), Error> {
        self.host.workspace_remove(workspace).await
    }

    async fn facts(&mut self, model: &ModelName) -> Result<ModelFacts, Error> {
        self.host.model_facts(model).await
    }

    async fn ask(&mut self, question: Question, voice: Option<Voice>) -> Asked {
        match self.complete(question, voice).await {
            Ok(completed) => Asked {
                replayed: completed.replayed,
                event: Event::Answered {
                    reply: completed.reply,
                    model: completed.model,
                    spent: Spent {
                        tokens: completed.tokens,
                        cost_micros: completed.cost_micros,
                        calls: completed.tries,
                    },
                },
            },
            Err(not) => Asked {
                replayed: false,
                event: Event::Broke {
                    error: not.error,
                    reply: not.reply,
                    spent: Spent {
                        tokens: not.tokens,
                        cost_micros: not.cost_micros,
                        calls: not.tries,
                    },
                },
            },
        }
    }

    async fn tools(&mut self, side: ToolSide) -> Result<Vec<OfferedTool>, Error> {
        self.host.tools_for(side);
        self.host.tools().await
    }

    async fn prepare(&mut self, ask: ToolAsk) -> Result<Prepared, Error> {
        self.host.tool_prepare(ask).await
    }

    async fn run(&mut self, calls: Vec<Prepared>) -> Result<Vec<Done>, Error> {
        let turn = self.turn()?;
        let asked = calls.iter().filter_map(Prepared::approval);
        let asked: Vec<String> = asked.map(|it| it.id.clone()).collect();
        let cancelled = tokio::select! {
            biased;
            () = turn.cancelled() => Error::new(Code::TurnCancelled, "the turn was cancelled"),
            done = self.host.tool_run(calls) => return Ok(done),
        };
        for approval in asked {
            self.host.tool_withdraw(&approval).await;
        }
        Err(cancelled)
    }

    async fn unknown(&mut self, name: &str) -> Result<(), Error> {
        self.host.tool_unknown(name).await
    }

    fn send(&mut self, acl: Acl) -> Result<(), Error> {
        self.host.send(acl).map(drop)
    }
}
