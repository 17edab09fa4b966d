//! A model that answers as a test says, and an engine that asks it.

use super::support::ctx;
use caxton_core::model::{
    ChatMessage, ModelEvent, ModelFault, ModelFaultKind as Kind, ModelName, ModelRequest, Price,
    StopReason, Tokens,
};
use caxton_core::session::{TurnEvent, TurnFailure, TurnOutcome};
use caxton_core::{TenantId, Timestamp};
use caxton_engine::limits::{Overage, Period, Quota, QuotaLimit};
use caxton_engine::models::{ModelCallRecord, ModelOptions};
use caxton_engine::port::memory::{MemoryDisk, MemoryStore};
use caxton_engine::port::model::{
    Endpoint, Model, ModelCall, ModelFacts, ModelStream, ProviderKind,
};
use caxton_engine::port::store::PageRequest;
use caxton_engine::port::{Answer, Clock, ManualClock, NativeRuntime, SeededEntropy};
use caxton_engine::turn::Follow;
use caxton_engine::{App, Options, Ports};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What one try of a model comes to.
#[derive(Clone, Debug)]
pub enum Play {
    Refuse(ModelFault),
    Answer(Vec<Step>),
}

#[derive(Clone, Debug)]
pub enum Step {
    Say(&'static str),
    Used(u64, u64),
    Done,
    Break(Kind),
    Hang,
}

/// Plays what is queued for each model, and keeps what it was asked.
#[derive(Debug, Default)]
pub struct Stage {
    pub plays: Mutex<HashMap<String, VecDeque<Play>>>,
    pub asked: Mutex<Vec<(String, u32, u32)>>,
}

impl Stage {
    pub fn plays(&self, model: &str, plays: impl IntoIterator<Item = Play>) {
        let mut all = self.plays.lock();
        all.entry(model.to_owned()).or_default().extend(plays);
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().iter().map(|it| it.0.clone()).collect()
    }
}

impl Model for Stage {
    fn stream(&self, call: ModelCall) -> Answer<'_, Result<ModelStream, ModelFault>> {
        let name = format!("{}/{}", call.endpoint.provider, call.model);
        let asked = (name.clone(), call.request.output_tokens_max, call.attempt);
        self.asked.lock().push(asked);
        let most = u64::from(call.request.output_tokens_max);
        let play = self
            .plays
            .lock()
            .get_mut(&name)
            .and_then(VecDeque::pop_front);
        Box::pin(async move {
            match play.unwrap_or_else(|| panic!("{name} was not to be asked")) {
                Play::Refuse(fault) => Err(fault),
                Play::Answer(steps) => {
                    let steps = futures::stream::iter(steps).then(move |step| async move {
                        match step {
                            Step::Say(text) => Ok(ModelEvent::Text(text.to_owned())),
                            Step::Used(input, output) => Ok(ModelEvent::Usage(Tokens {
                                input,
                                output: output.min(most),
                                ..Tokens::default()
                            })),
                            Step::Done => Ok(ModelEvent::Finished(StopReason::End)),
                            Step::Break(kind) => Err(ModelFault::new(kind, "as played")),
                            Step::Hang => std::future::pending().await,
                        }
                    });
                    Ok(steps.boxed())
                }
            }
        })
    }

    fn facts(&self, _kind: ProviderKind, _model: &str) -> ModelFacts {
        ModelFacts {
            context_tokens_max: 10_000,
            output_tokens_max: 1_000,
            price: Some(Price {
                input: 1_000_000,
                output: 2_000_000,
                ..Price::default()
            }),
        }
    }
}

pub struct World {
    pub stage: Arc<Stage>,
    pub disk: MemoryDisk,
    pub clock: Arc<ManualClock>,
    pub app: App,
}

pub async fn start(disk: &MemoryDisk, clock: &Arc<ManualClock>, stage: &Arc<Stage>) -> App {
    let endpoint = |provider: &str| Endpoint {
        provider: provider.to_owned(),
        kind: ProviderKind::OpenaiChat,
        base_url: String::new(),
        secret: None,
        trusted: true,
    };
    let ports = Ports {
        model: Arc::clone(stage) as Arc<dyn Model>,
        ..Ports::new(
            Arc::new(MemoryStore::open(disk.clone())),
            Arc::clone(clock) as Arc<dyn Clock>,
            Arc::new(SeededEntropy::new(5)),
            Arc::new(NativeRuntime::default()),
        )
    };
    let options = Options {
        models: ModelOptions {
            providers: vec![endpoint("one"), endpoint("two")],
            ..ModelOptions::default()
        },
        ..Options::default()
    };
    App::start(ports, options).await.unwrap()
}

pub async fn world() -> World {
    let start_at = Timestamp::from_us(1_795_324_162_000_000);
    let (disk, clock) = (MemoryDisk::default(), Arc::new(ManualClock::new(start_at)));
    let stage = Arc::new(Stage::default());
    let app = start(&disk, &clock, &stage).await;
    World {
        stage,
        disk,
        clock,
        app,
    }
}

impl World {
    pub async fn begin(&self) -> Follow {
        self.begin_with("one/m", "hello").await
    }

    pub async fn begin_with(&self, model: &str, text: &str) -> Follow {
        let request = ModelRequest::new(vec![ChatMessage::user(text)], 500);
        let model = ModelName::parse(model).unwrap();
        let ctx = ctx();
        let begun = self.app.turn_start_model(&ctx, model, request);
        begun.await.unwrap()
    }

    pub async fn turn(&self) -> (String, Result<TurnOutcome, TurnFailure>) {
        ended(self.begin().await).await
    }

    pub async fn ledger(&self) -> Vec<ModelCallRecord> {
        let page = PageRequest::first(1000);
        let listed = self.app.model_call_list(&ctx(), None, &page).await;
        // In the order they were made.
        let mut rows = listed.unwrap().rows;
        rows.reverse();
        rows
    }

    pub async fn pass(&self, time: Duration) {
        self.clock.sleep_until(self.clock.now().plus(time)).await;
    }

    pub async fn quota(&self, tokens: u64) {
        let quota = Quota {
            tokens: Some(QuotaLimit {
                limit: tokens,
                period: Period::Month,
                overage: Overage::Refuse,
            }),
            ..Quota::default()
        };
        let tenant = TenantId::default_tenant();
        let set = self.app.quota_set(&ctx(), &tenant, "", quota).await;
        set.unwrap();
    }

    pub async fn tokens_used(&self) -> u64 {
        let tenant = TenantId::default_tenant();
        let (usage, _) = self.app.usage_show(&ctx(), &tenant, "").await.unwrap();
        usage.tokens.month
    }
}

/// Reads a turn to its end: what was said, and how it ended.
pub async fn ended(mut follow: Follow) -> (String, Result<TurnOutcome, TurnFailure>) {
    let (mut said, mut last, mut end) = (String::new(), 0, None);
    while let Some(events) = follow.next().await {
        for (id, event) in events {
            assert!(id > last, "ids grow");
            assert!(end.is_none(), "nothing follows the end");
            last = id;
            match &*event {
                TurnEvent::Text { text } => said.push_str(text),
                TurnEvent::Completed(outcome) => end = Some(Ok((**outcome).clone())),
                TurnEvent::Failed(failure) => end = Some(Err(failure.clone())),
                _ => {}
            }
        }
    }
    (said, end.expect("a turn ends"))
}

/// Waits until so many events were heard.
pub async fn heard(follow: &mut Follow, events: usize) {
    let mut count = 0;
    while count < events {
        count += follow.next().await.expect("the turn goes on").len();
    }
}

pub fn good() -> Play {
    Play::Answer(vec![
        Step::Say("he"),
        Step::Say("llo"),
        Step::Used(10, 5),
        Step::Done,
    ])
}

pub fn refuse(kind: Kind) -> Play {
    Play::Refuse(ModelFault::new(kind, "as played"))
}
