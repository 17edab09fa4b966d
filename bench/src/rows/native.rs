//! Native agents at both ends: what the engine itself costs a message.
//!
//! Three shapes. *Ping-pong*: pairs with one message between them, so that every message wakes
//! somebody. *Ring*: eight messages for each of 64 places, so that a mailbox often has several.
//! *Fan-in*: eight senders and one receiver.

use crate::Run;
use crate::measure::{PER_CPU_S, PER_S, Scores, race};
use crate::peers::{actors, channels};
use crate::report::{Goal, Report, Row, Side};
use crate::world::{
    CHAIN, Flow, HOPS, Wave, Waves, add_native, agent, app_in_memory, content, ctx, request,
};
use bytes::Bytes;
use caxton_core::manifest::Durability;
use caxton_core::{Acl, AgentId, Message, Performative, TenantId};
use caxton_engine::host::Host;
use caxton_engine::port::{Fault, NativeProgram, native::failed};
use caxton_engine::{App, OpCtx};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

const ENVELOPE: &str = "Caxton: App::message_send and Host::send with id, tenant, trace, parent, \
    hop, time, protocol and conversation on each message, receiver by name, tenant check, limits, \
    lifecycle and metrics on, transient.";

/// Runs the shapes.
pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    for shape in [Shape::Pairs(32), Shape::Ring(64, 512), Shape::FanIn(8)] {
        let ours = Ours::new(shape).await?;
        let app = ours.app.clone();
        let waves = run.scaled(shape.waves());
        let timed = |name, flow| Waves::new(name, flow, waves, shape.messages());
        let mut ours = timed("caxton", Box::new(ours));
        let mut actors = timed("ractor cast", shape.actors().await?);
        let mut channels = timed("tokio mpsc", shape.channels());
        let rounds = race(run, &mut [&mut ours, &mut actors, &mut channels]).await?;
        app.stop(Duration::ZERO).await;
        if let [ours, actors, channels] = rounds.as_slice() {
            tell(report, shape, ours, ("ractor cast", actors, 1.0));
            tell(report, shape, ours, ("tokio mpsc", channels, 0.33));
            let row = Row::new(
                "native",
                format!("native agents, {}, on the wall", shape.name()),
                PER_S,
            );
            report.add(
                row.work(format!("{} {ENVELOPE} The backlog's number.", shape.work()))
                    .ours(Side::of("caxton", ours, PER_S))
                    .goal(Goal::AtLeast(100_000.0)),
            );
        }
    }
    Ok(())
}

fn tell(report: &mut Report, shape: Shape, ours: &[Scores], peer: (&str, &[Scores], f64)) {
    let (peer, theirs, goal) = peer;
    report.add(
        Row::new(
            "native",
            format!("native agents, {}", shape.name()),
            PER_CPU_S,
        )
        .work(format!(
            "{} {ENVELOPE} {peer}: {}",
            shape.work(),
            peer_does(peer)
        ))
        .ours(Side::of("caxton", ours, PER_CPU_S))
        .peer(Side::of(peer, theirs, PER_CPU_S))
        .goal(Goal::RatioAtLeast(goal))
        .beside(Side::of(&format!("{peer} on the wall"), theirs, PER_S)),
    );
}

fn peer_does(peer: &str) -> &'static str {
    match peer {
        "tokio mpsc" => {
            "a task and a channel of 1,024 places each, send().await of content and count."
        }
        _ => "an actor each, cast of content and count to an ActorRef that is held.",
    }
}

/// How messages flow.
#[derive(Clone, Copy)]
enum Shape {
    /// So many pairs, one message in each.
    Pairs(usize),
    /// So many places, so many messages.
    Ring(usize, usize),
    /// So many senders.
    FanIn(usize),
}

/// What each sender of a fan-in sends in one wave: all of them fit the receiver's mailbox.
const FAN_IN_EACH: usize = 100;

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Pairs(_) => "ping-pong",
            Self::Ring(..) => "ring",
            Self::FanIn(_) => "fan-in",
        }
    }

    fn work(self) -> String {
        match self {
            Self::Pairs(pairs) => format!(
                "{pairs} pairs with one 200-byte message each that bounces {HOPS} times; again from outside."
            ),
            Self::Ring(places, balls) => format!(
                "{balls} 200-byte messages in a ring of {places}, each passed on {HOPS} times; again from outside."
            ),
            Self::FanIn(senders) => format!(
                "{senders} senders send {FAN_IN_EACH} 200-byte messages each to one receiver when told to."
            ),
        }
    }

    /// Waves of a round: about half a second.
    fn waves(self) -> usize {
        match self {
            Self::Pairs(_) => 100,
            Self::Ring(..) => 8,
            Self::FanIn(_) => 500,
        }
    }

    async fn actors(self) -> anyhow::Result<Box<dyn Flow>> {
        Ok(match self {
            Self::Pairs(pairs) => Box::new(actors::Rings::new(pairs, 2, pairs).await?),
            Self::Ring(places, balls) => Box::new(actors::Rings::new(1, places, balls).await?),
            Self::FanIn(senders) => Box::new(actors::FanIn::new(senders, FAN_IN_EACH).await?),
        })
    }

    fn channels(self) -> Box<dyn Flow> {
        match self {
            Self::Pairs(pairs) => Box::new(channels::Rings::new(pairs, 2, pairs)),
            Self::Ring(places, balls) => Box::new(channels::Rings::new(1, places, balls)),
            Self::FanIn(senders) => Box::new(channels::FanIn::new(senders, FAN_IN_EACH)),
        }
    }

    /// Messages of a wave. What tells a fan-in's senders to begin is not counted.
    fn messages(self) -> u64 {
        match self {
            Self::Pairs(pairs) => pairs as u64 * CHAIN,
            Self::Ring(_, balls) => balls as u64 * CHAIN,
            Self::FanIn(senders) => (senders * FAN_IN_EACH) as u64,
        }
    }
}

/// Caxton's side.
struct Ours {
    app: App,
    ctx: OpCtx,
    wave: Arc<Wave>,
    /// Where messages from outside go, in turn.
    starts: Vec<AgentId>,
    /// Messages from outside in a wave, and what ends it.
    sent: usize,
    ends: usize,
    content: Bytes,
}

impl Ours {
    async fn new(shape: Shape) -> anyhow::Result<Self> {
        let app = app_in_memory().await?;
        let home = TenantId::default_tenant();
        let wave = Arc::new(Wave::default());
        let place = |index: usize| agent(&home, &format!("place-{index}"));
        let add = |index: usize, program: NativeProgram| -> anyhow::Result<AgentId> {
            let id = place(index)?;
            add_native(&app, &id, Durability::Transient, program)?;
            Ok(id)
        };
        let mut starts = Vec::new();
        let (sent, ends) = match shape {
            Shape::Pairs(pairs) => {
                for pair in 0..pairs {
                    let (one, other) = (2 * pair, 2 * pair + 1);
                    starts.push(add(one, passing(place(other)?, &wave))?);
                    add(other, passing(place(one)?, &wave))?;
                }
                (pairs, pairs)
            }
            Shape::Ring(places, balls) => {
                for index in 0..places {
                    let next = place((index + 1) % places)?;
                    starts.push(add(index, passing(next, &wave))?);
                }
                (balls, balls)
            }
            Shape::FanIn(senders) => {
                let sink = add(senders, counting(&wave))?;
                for index in 0..senders {
                    starts.push(add(index, sending(sink.clone()))?);
                }
                (senders, senders * FAN_IN_EACH)
            }
        };
        Ok(Self {
            app,
            ctx: ctx(&home),
            wave,
            starts,
            sent,
            ends,
            content: content(),
        })
    }
}

impl Flow for Ours {
    fn wave(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            self.wave.begin(self.ends);
            for start in self.starts.iter().cycle().take(self.sent) {
                let acl = request(start.clone(), "bounce", self.content.clone())?;
                self.app.message_send(&self.ctx, acl, None).await?;
            }
            self.wave.ended().await;
            Ok(())
        })
    }
}

/// Passes a message on to `next`, until its hops are used up.
fn passing(next: AgentId, wave: &Arc<Wave>) -> NativeProgram {
    let wave = Arc::clone(wave);
    NativeProgram::prompt(move |host, message| {
        if message.hop == HOPS {
            wave.finish_one();
            return Ok(());
        }
        send(host, passed_on(message, &next))
    })
}

/// Sends what it was told with to the sink, many times.
fn sending(sink: AgentId) -> NativeProgram {
    NativeProgram::prompt(move |host, message| {
        (0..FAN_IN_EACH).try_for_each(|_| send(host, passed_on(message, &sink)))
    })
}

fn counting(wave: &Arc<Wave>) -> NativeProgram {
    let wave = Arc::clone(wave);
    NativeProgram::prompt(move |_host, _message| {
        wave.finish_one();
        Ok(())
    })
}

/// An answer with the same content, to somebody else.
fn passed_on(message: &Message, to: &AgentId) -> Acl {
    let mut acl = message.acl.follow_up(Performative::Inform);
    acl.receivers = vec![to.clone().into()];
    acl.content = message.acl.content.clone();
    acl
}

fn send(host: &mut Host, acl: Acl) -> Result<(), Fault> {
    host.send(acl)
        .map(drop)
        .map_err(|error| failed(error.to_string()))
}
