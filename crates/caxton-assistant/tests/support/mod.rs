//! A server of assistants on a memory disk, with a model that plays what the test says, native agents
//! beside them, and paused time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code
)]

pub mod hands;

use bytes::Bytes;
use caxton_assistant::AssistantRuntime;
use caxton_core::error::Code;
use caxton_core::grant::Principal;
use caxton_core::model::{
    ChatMessage, ModelEvent, ModelFault, ModelFaultKind, ModelRequest, Part, Price, StopReason,
    Tokens,
};
use caxton_core::session::{Entry, Say, Session, SessionId, TurnEvent, TurnId};
use caxton_core::{
    Acl, AgentId, AgentName, Error, Manifest, Message, Performative, TenantId, Timestamp,
    TraceContext,
};
use caxton_engine::app::{Package, TurnAsk};
use caxton_engine::host::Host;
use caxton_engine::port::memory::{CommitFault, MemoryDisk, MemoryStore};
use caxton_engine::port::model::{ModelCall, ModelFacts, ModelStream, ProviderKind};
use caxton_engine::port::store::{PageRequest, StoreError};
use caxton_engine::port::{
    Answer, Clock, Fault, ManualClock, Model, NativeProgram, NativeRuntime, SeededEntropy,
};
use caxton_engine::turn::Follow;
use caxton_engine::{App, OpCtx, Options, Ports};
use futures::StreamExt;
pub use hands::Hands;
use parking_lot::Mutex;
use serde_json::Value;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

pub type Handled = (Host, Result<(), Fault>);

/// A piece of what the model plays. An answer ends by itself after its last piece.
#[derive(Clone, Debug)]
pub enum Play {
    Text(String),
    Think(String, String),
    /// A part of the provider's own.
    Other(Part),
    Call(String, String, Value),
    Fault(ModelFaultKind),
    /// It says nothing until the test lets it.
    Until(Arc<Notify>),
    /// It says nothing more, and does not end.
    Hang,
    Stop(StopReason),
}

pub fn text(text: &str) -> Play {
    Play::Text(text.to_owned())
}

pub fn call(id: &str, name: &str, arguments: Value) -> Play {
    Play::Call(id.to_owned(), name.to_owned(), arguments)
}

/// What a stream is made of.
enum Piece {
    Event(ModelEvent),
    Fault(ModelFaultKind),
    Until(Arc<Notify>),
    Hang,
}

type Script = dyn Fn(&ModelCall) -> Vec<Play> + Send + Sync;

/// A model that plays.
pub struct Player {
    script: Box<Script>,
    pub asked: Mutex<Vec<ModelCall>>,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Player")
    }
}

impl Model for Player {
    fn stream(&self, call: ModelCall) -> Answer<'_, Result<ModelStream, ModelFault>> {
        let plays = (self.script)(&call);
        self.asked.lock().push(call);
        let (mut pieces, mut stop) = (Vec::new(), StopReason::End);
        let mut ends = true;
        for (index, play) in (0_u32..).zip(plays) {
            match play {
                Play::Text(text) => pieces.push(Piece::Event(ModelEvent::Text(text))),
                Play::Think(text, signature) => {
                    pieces.push(Piece::Event(ModelEvent::Thinking(text)));
                    pieces.push(Piece::Event(ModelEvent::ThinkingSigned(signature)));
                }
                Play::Other(part) => pieces.push(Piece::Event(ModelEvent::Other(part))),
                Play::Call(id, name, arguments) => {
                    stop = StopReason::ToolCalls;
                    let json = arguments.to_string();
                    pieces.push(Piece::Event(ModelEvent::ToolCall { index, id, name }));
                    pieces.push(Piece::Event(ModelEvent::ToolArguments { index, json }));
                }
                Play::Stop(why) => stop = why,
                Play::Until(gate) => pieces.push(Piece::Until(gate)),
                Play::Fault(kind) => {
                    pieces.push(Piece::Fault(kind));
                    ends = false;
                }
                Play::Hang => {
                    pieces.push(Piece::Hang);
                    ends = false;
                }
            }
        }
        if ends {
            pieces.push(Piece::Event(ModelEvent::Usage(Tokens {
                input: 100,
                output: 10,
                ..Tokens::default()
            })));
            pieces.push(Piece::Event(ModelEvent::Finished(stop)));
        }
        let stream = futures::stream::iter(pieces).filter_map(async |piece| match piece {
            Piece::Event(event) => Some(Ok(event)),
            Piece::Fault(kind) => Some(Err(ModelFault::new(kind, "as the test says"))),
            Piece::Until(gate) => {
                gate.notified().await;
                None
            }
            Piece::Hang => futures::future::pending().await,
        });
        Box::pin(std::future::ready(Ok(stream.boxed())))
    }

    /// The model `dear` costs a millionth for each token; all others nothing.
    fn facts(&self, _kind: ProviderKind, model: &str) -> ModelFacts {
        let price = Price {
            input: 1_000_000,
            output: 1_000_000,
            ..Price::default()
        };
        ModelFacts {
            price: (model == "dear").then_some(price),
            ..ModelFacts::default()
        }
    }

    fn check_scripts(&self, bundle: &[u8]) -> Result<(), Error> {
        let read = serde_json::from_slice::<Value>(bundle);
        read.map(drop)
            .map_err(|error| Error::new(Code::ScriptMalformed, error.to_string()))
    }
}

/// One server after the other on the same disk.
pub struct World {
    disk: MemoryDisk,
    pub clock: Arc<ManualClock>,
    native: Arc<NativeRuntime>,
    pub player: Arc<Player>,
    dead: Arc<AtomicBool>,
    hands: Arc<Hands>,
    pub app: App,
    seed: u64,
}

impl World {
    /// With a model that answers each call by its model's name and its request.
    pub async fn new(script: impl Fn(&ModelCall) -> Vec<Play> + Send + Sync + 'static) -> Self {
        Self::with(NativeRuntime::default(), script).await
    }

    pub async fn with(
        native: NativeRuntime,
        script: impl Fn(&ModelCall) -> Vec<Play> + Send + Sync + 'static,
    ) -> Self {
        Self::with_hands(native, Arc::default(), script).await
    }

    pub async fn with_hands(
        native: NativeRuntime,
        hands: Arc<Hands>,
        script: impl Fn(&ModelCall) -> Vec<Play> + Send + Sync + 'static,
    ) -> Self {
        let disk = MemoryDisk::default();
        let start_at = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let clock = Arc::new(ManualClock::new(start_at));
        let player = Arc::new(Player {
            script: Box::new(script),
            asked: Mutex::default(),
        });
        let dead = Arc::new(AtomicBool::new(false));
        let native = Arc::new(native);
        let app = start(&disk, &clock, &native, &player, &hands, &dead, 1).await;
        Self {
            disk,
            clock,
            native,
            player,
            dead,
            hands,
            app,
            seed: 1,
        }
    }

    /// Ends the server as kill -9 does: nothing it still tries reaches the disk. Starts another.
    pub async fn crash(&mut self) {
        self.dead.store(true, Ordering::SeqCst);
        self.app.stop(Duration::ZERO).await;
        self.seed += 1;
        self.dead = Arc::new(AtomicBool::new(false));
        self.app = start(
            &self.disk,
            &self.clock,
            &self.native,
            &self.player,
            &self.hands,
            &self.dead,
            self.seed,
        )
        .await;
    }

    /// Deploys an assistant of a model of its own name; `more` comes into `[assistant]` and after it.
    pub async fn assistant(&self, name: &str, more: &str) {
        self.try_assistant(name, more).await.unwrap();
    }

    pub async fn try_assistant(&self, name: &str, more: &str) -> Result<(), Error> {
        let text = format!(
            "name = \"{name}\"\nbehavior = \"assistant\"\n[assistant]\nmodel = \"scripted/{name}\"\nprompt = \"You are {name}.\"\n{more}"
        );
        let manifest = Manifest::parse(&text)?;
        let package = Package {
            manifest,
            component: None,
        };
        self.app.agent_deploy(&ctx(), package, true).await?;
        Ok(())
    }

    pub async fn native(&self, name: &str) {
        let mut manifest = Manifest::named(AgentName::parse(name).unwrap());
        manifest.limits.wait_timeout_ms_max = 5_000;
        let component = Some(Bytes::copy_from_slice(name.as_bytes()));
        let package = Package {
            manifest,
            component,
        };
        self.app.agent_deploy(&ctx(), package, true).await.unwrap();
    }

    pub async fn start(&self, agent: &str, session: &str, text: &str) -> Follow {
        let say = Say {
            parts: vec![Part::text(text)],
            ..Say::default()
        };
        self.start_say(agent, session, say).await.unwrap()
    }

    pub async fn start_say(&self, agent: &str, session: &str, say: Say) -> Result<Follow, Error> {
        let ask = TurnAsk {
            agent: AgentName::parse(agent).unwrap(),
            session: Some(SessionId::parse(session).unwrap()),
            say,
        };
        self.app.turn_start(&ctx(), ask).await
    }

    /// One turn, and what whoever follows it is told.
    pub async fn chat(&self, agent: &str, session: &str, text: &str) -> Vec<TurnEvent> {
        events(self.start(agent, session, text).await).await
    }

    pub async fn follow(&self, id: TurnId) -> Vec<TurnEvent> {
        events(self.app.turn_follow(&ctx(), id, 0).await.unwrap()).await
    }

    pub async fn session(&self, id: &str) -> Session {
        let id = SessionId::parse(id).unwrap();
        self.app.session_show(&ctx(), &id).await.unwrap()
    }

    pub async fn entries(&self, id: &str) -> Vec<Entry> {
        let id = SessionId::parse(id).unwrap();
        let page = PageRequest::first(1_000);
        let page = self.app.session_messages(&ctx(), &id, &page).await.unwrap();
        page.rows.into_iter().map(|(_, entry)| entry).collect()
    }

    pub async fn say(&self, act: Performative, to: &str, content: &str) -> Arc<Message> {
        let acl = Acl::new(act).to(agent(to)).content(content.to_owned());
        let wait = Some(Duration::from_secs(60));
        let sent = self.app.message_send(&ctx(), acl, wait).await.unwrap();
        sent.reply.unwrap()
    }

    /// Lets (paused) time pass.
    pub async fn pass(&self, time: Duration) {
        self.clock.sleep_until(self.clock.now().plus(time)).await;
    }

    /// What the model was asked, the last first.
    pub fn last_request(&self) -> ModelRequest {
        (*self.player.asked.lock().last().unwrap().request).clone()
    }

    pub fn asked(&self) -> usize {
        self.player.asked.lock().len()
    }
}

async fn start(
    disk: &MemoryDisk,
    clock: &Arc<ManualClock>,
    native: &Arc<NativeRuntime>,
    player: &Arc<Player>,
    hands: &Arc<Hands>,
    dead: &Arc<AtomicBool>,
    seed: u64,
) -> App {
    let dead = Arc::clone(dead);
    let store = MemoryStore::open(disk.clone()).with_faults(Box::new(move |_| {
        dead.load(Ordering::SeqCst)
            .then(|| CommitFault::Refuse(StoreError::Failed("broken".into())))
    }));
    let mut ports = Ports::new(
        Arc::new(store),
        Arc::clone(clock) as Arc<dyn Clock>,
        Arc::new(SeededEntropy::new(seed)),
        Arc::clone(native) as Arc<_>,
    );
    let model = Arc::clone(player) as Arc<dyn Model>;
    ports.assistants = Arc::new(AssistantRuntime::new(model));
    ports.model = Arc::clone(player) as Arc<_>;
    ports.tools.builtin = Arc::clone(hands) as Arc<_>;
    ports.tools.http = Arc::clone(hands) as Arc<_>;
    ports.tools.mcp = Arc::clone(hands) as Arc<_>;
    App::start(ports, Options::default()).await.unwrap()
}

/// All events of a turn, up to its end.
pub async fn events(mut follow: Follow) -> Vec<TurnEvent> {
    let mut all = Vec::new();
    while let Some(batch) = follow.next().await {
        all.extend(batch.iter().map(|(_, event)| (**event).clone()));
    }
    all
}

/// The events as words, the pieces of one text together.
pub fn words(events: &[TurnEvent]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut text = false;
    for event in events {
        if let TurnEvent::Text { text: more } = event {
            match words.last_mut().filter(|_| text) {
                Some(word) => word.push_str(more),
                None => words.push(format!("says {more}")),
            }
            text = true;
            continue;
        }
        text = false;
        words.push(match event {
            TurnEvent::Started { agent, .. } => format!("{agent} begins"),
            TurnEvent::Thinking { text } => format!("thinks {text}"),
            TurnEvent::ThinkingSigned { signature } => format!("signed {signature}"),
            TurnEvent::ThinkingRedacted { data } => format!("thinks unseen {data}"),
            TurnEvent::ToolCall { name, .. } => format!("calls {name}"),
            TurnEvent::ToolResult {
                parts, is_error, ..
            } => {
                let message = ChatMessage {
                    role: caxton_core::model::ChatRole::User,
                    parts: parts.clone(),
                };
                let bad = if *is_error { "bad " } else { "" };
                format!("{bad}result {}", message.text())
            }
            TurnEvent::HandedOver { from, to } => format!("{from} to {to}"),
            TurnEvent::Notice { text } => format!("notice {text}"),
            TurnEvent::Completed(outcome) => format!("completed {:?}", outcome.stop),
            TurnEvent::Failed(failure) => format!("failed {}", failure.code),
            other => format!("{other:?}"),
        });
    }
    words
}

/// What an answer came to.
pub fn answer(events: &[TurnEvent]) -> String {
    let Some(TurnEvent::Completed(outcome)) = events.last() else {
        panic!("{events:?}");
    };
    let texts = outcome.parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// What the newest message says that a model was asked.
pub fn newest(call: &ModelCall) -> String {
    call.request.messages.last().unwrap().text()
}

/// Whether the newest message has results of tools.
pub fn has_results(call: &ModelCall) -> bool {
    let parts = &call.request.messages.last().unwrap().parts;
    parts.iter().any(|it| matches!(it, Part::ToolResult { .. }))
}

/// Whether a summary is asked for.
pub fn wants_summary(call: &ModelCall) -> bool {
    call.request.system.starts_with("You sum up")
}

pub fn native<F, Fut>(runtime: NativeRuntime, name: &str, handler: F) -> NativeRuntime
where
    F: Fn(Host, Arc<Message>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Handled> + Send + 'static,
{
    runtime.with(AgentName::parse(name).unwrap(), NativeProgram::new(handler))
}

pub fn agent(text: &str) -> AgentId {
    AgentId::parse(text, &TenantId::default_tenant()).unwrap()
}

pub fn ctx() -> OpCtx {
    let trace = TraceContext {
        trace_id: [7; 16],
        span_id: [7; 8],
        sampled: false,
    };
    let tenant = TenantId::default_tenant();
    OpCtx::new(tenant, Principal::platform_admin(), trace)
}
