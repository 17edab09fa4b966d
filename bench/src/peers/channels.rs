//! Bare tokio: a task and a bounded `mpsc` for each endpoint, `send().await`, no names and no
//! envelope. What any mailbox in this language costs at least.

use crate::world::{Flow, HOPS, Wave, content};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Places of a channel: as many as a mailbox has by default.
const PLACES: usize = 1024;

/// A message: the content, and how often it is still to be passed on.
pub struct Ball {
    content: Bytes,
    left: u16,
}

/// Tasks in rings, each passing on to the next.
pub struct Rings {
    starts: Vec<mpsc::Sender<Ball>>,
    balls: usize,
    wave: Arc<Wave>,
}

impl Rings {
    /// `balls` messages, dealt to all places of one ring or to the first place of each of several.
    pub fn new(rings: usize, size: usize, balls: usize) -> Self {
        let wave = Arc::new(Wave::default());
        let mut starts = Vec::new();
        for _ in 0..rings {
            let (places, receivers): (Vec<_>, Vec<_>) =
                (0..size).map(|_| mpsc::channel::<Ball>(PLACES)).unzip();
            for (receiver, next) in receivers.into_iter().zip(places.iter().cycle().skip(1)) {
                tokio::spawn(pass(receiver, next.clone(), Arc::clone(&wave)));
            }
            let dealt = if rings == 1 { size } else { 1 };
            starts.extend(places.into_iter().take(dealt));
        }
        Self {
            starts,
            balls,
            wave,
        }
    }
}

async fn pass(mut receiver: mpsc::Receiver<Ball>, next: mpsc::Sender<Ball>, wave: Arc<Wave>) {
    while let Some(Ball { content, left }) = receiver.recv().await {
        let Some(left) = left.checked_sub(1) else {
            wave.finish_one();
            continue;
        };
        if next.send(Ball { content, left }).await.is_err() {
            return;
        }
    }
}

impl Flow for Rings {
    fn wave(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let content = content();
            self.wave.begin(self.balls);
            for place in self.starts.iter().cycle().take(self.balls) {
                let content = content.clone();
                place
                    .send(Ball {
                        content,
                        left: HOPS,
                    })
                    .await?;
            }
            self.wave.ended().await;
            Ok(())
        })
    }
}

/// Tasks that all send to one.
pub struct FanIn {
    senders: Vec<mpsc::Sender<usize>>,
    messages_each: usize,
    wave: Arc<Wave>,
}

impl FanIn {
    pub fn new(senders: usize, messages_each: usize) -> Self {
        let wave = Arc::new(Wave::default());
        let (sink, mut arriving) = mpsc::channel::<Ball>(PLACES);
        let ended = Arc::clone(&wave);
        tokio::spawn(async move {
            while arriving.recv().await.is_some() {
                ended.finish_one();
            }
        });
        let senders = (0..senders).map(|_| {
            let (go, mut told) = mpsc::channel::<usize>(PLACES);
            let sink = sink.clone();
            tokio::spawn(async move {
                let content = content();
                while let Some(messages) = told.recv().await {
                    for _ in 0..messages {
                        let content = content.clone();
                        if sink.send(Ball { content, left: 0 }).await.is_err() {
                            return;
                        }
                    }
                }
            });
            go
        });
        let senders = senders.collect();
        Self {
            senders,
            messages_each,
            wave,
        }
    }
}

impl Flow for FanIn {
    fn wave(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            self.wave.begin(self.messages_each * self.senders.len());
            for sender in &self.senders {
                sender.send(self.messages_each).await?;
            }
            self.wave.ended().await;
            Ok(())
        })
    }
}
