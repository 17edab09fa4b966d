//! ractor, the actor library that Rust projects take: its ordinary `cast`, with its default
//! features, to an `ActorRef` one holds already (so without looking up a name).

use crate::world::{Flow, HOPS, Wave, content};
use bytes::Bytes;
use futures::future::BoxFuture;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;

/// An actor of a ring.
struct Passing;

struct Place {
    next: Option<ActorRef<Pass>>,
    wave: Arc<Wave>,
}

enum Pass {
    To(ActorRef<Pass>),
    Ball { content: Bytes, left: u16 },
}

impl Actor for Passing {
    type Msg = Pass;
    type State = Place;
    type Arguments = Arc<Wave>;

    async fn pre_start(
        &self,
        _me: ActorRef<Pass>,
        wave: Arc<Wave>,
    ) -> Result<Place, ActorProcessingErr> {
        Ok(Place { next: None, wave })
    }

    async fn handle(
        &self,
        _me: ActorRef<Pass>,
        message: Pass,
        place: &mut Place,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Pass::To(next) => place.next = Some(next),
            Pass::Ball { content, left } => match (left.checked_sub(1), &place.next) {
                (Some(left), Some(next)) => next.cast(Pass::Ball { content, left })?,
                _ => place.wave.finish_one(),
            },
        }
        Ok(())
    }
}

/// Actors in rings, each passing on to the next.
pub struct Rings {
    starts: Vec<ActorRef<Pass>>,
    balls: usize,
    wave: Arc<Wave>,
}

impl Rings {
    /// `balls` messages, dealt to all places of one ring or to the first place of each of several.
    pub async fn new(rings: usize, size: usize, balls: usize) -> anyhow::Result<Self> {
        let wave = Arc::new(Wave::default());
        let mut starts = Vec::new();
        for _ in 0..rings {
            let mut places = Vec::with_capacity(size);
            for _ in 0..size {
                places.push(Actor::spawn(None, Passing, Arc::clone(&wave)).await?.0);
            }
            for (place, next) in places.iter().zip(places.iter().cycle().skip(1)) {
                place.cast(Pass::To(next.clone()))?;
            }
            let dealt = if rings == 1 { size } else { 1 };
            starts.extend(places.into_iter().take(dealt));
        }
        Ok(Self {
            starts,
            balls,
            wave,
        })
    }
}

impl Flow for Rings {
    fn wave(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let content = content();
            self.wave.begin(self.balls);
            for place in self.starts.iter().cycle().take(self.balls) {
                let content = content.clone();
                place.cast(Pass::Ball {
                    content,
                    left: HOPS,
                })?;
            }
            self.wave.ended().await;
            Ok(())
        })
    }
}

struct Sink;

impl Actor for Sink {
    type Msg = Bytes;
    type State = Arc<Wave>;
    type Arguments = Arc<Wave>;

    async fn pre_start(
        &self,
        _me: ActorRef<Bytes>,
        wave: Arc<Wave>,
    ) -> Result<Arc<Wave>, ActorProcessingErr> {
        Ok(wave)
    }

    async fn handle(
        &self,
        _me: ActorRef<Bytes>,
        _content: Bytes,
        wave: &mut Arc<Wave>,
    ) -> Result<(), ActorProcessingErr> {
        wave.finish_one();
        Ok(())
    }
}

struct Sending;

impl Actor for Sending {
    type Msg = usize;
    type State = (ActorRef<Bytes>, Bytes);
    type Arguments = ActorRef<Bytes>;

    async fn pre_start(
        &self,
        _me: ActorRef<usize>,
        sink: ActorRef<Bytes>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((sink, content()))
    }

    async fn handle(
        &self,
        _me: ActorRef<usize>,
        messages: usize,
        (sink, content): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        for _ in 0..messages {
            sink.cast(content.clone())?;
        }
        Ok(())
    }
}

/// Actors that all send to one.
pub struct FanIn {
    senders: Vec<ActorRef<usize>>,
    messages_each: usize,
    wave: Arc<Wave>,
}

impl FanIn {
    pub async fn new(count: usize, messages_each: usize) -> anyhow::Result<Self> {
        let wave = Arc::new(Wave::default());
        let (sink, _) = Actor::spawn(None, Sink, Arc::clone(&wave)).await?;
        let mut senders = Vec::with_capacity(count);
        for _ in 0..count {
            senders.push(Actor::spawn(None, Sending, sink.clone()).await?.0);
        }
        Ok(Self {
            senders,
            messages_each,
            wave,
        })
    }
}

impl Flow for FanIn {
    fn wave(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            self.wave.begin(self.messages_each * self.senders.len());
            for sender in &self.senders {
                sender.cast(self.messages_each)?;
            }
            self.wave.ended().await;
            Ok(())
        })
    }
}
