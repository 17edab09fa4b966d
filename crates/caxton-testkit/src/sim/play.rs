//! Who drives the server while it lives: clients at the door, an operator who changes agents, and a
//! clock that is set on and back.

use super::cast;
use super::clock::{SimClock, pass};
use super::script::{Script, Step};
use super::world::World;
use caxton_core::grant::Principal;
use caxton_core::lifecycle::Phase;
use caxton_core::{AgentName, Code, Error, MessageId, TenantId, TraceContext};
use caxton_engine::port::store::DeadLetterId;
use caxton_engine::{App, OpCtx};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Clients that send at the same time.
pub(super) const CLIENTS: u64 = 3;

pub(super) fn ctx() -> OpCtx {
    let trace = TraceContext {
        trace_id: [7; 16],
        span_id: [7; 8],
        sampled: false,
    };
    OpCtx::new(
        TenantId::default_tenant(),
        Principal::platform_admin(),
        trace,
    )
}

/// Sends in bursts, as long as the server lives.
pub(super) async fn client(world: Arc<World>, app: App, number: u64) {
    let mut sent = world.roll(|dice| dice.next() >> 20);
    loop {
        let pause = world.roll(|dice| *dice.pick(&[0, 1, 20, 300, 2_000]));
        pass(Duration::from_millis(pause)).await;
        for _ in 0..world.roll(|dice| dice.between(1, 6)) {
            sent += 1;
            send(&world, &app, &format!("client{number}:{sent}")).await;
        }
    }
}

async fn send(world: &Arc<World>, app: &App, tag: &str) {
    let (to, conversation, wait) = world.roll(|dice| {
        let mut to = vec![*dice.pick(cast::NAMES)];
        if dice.chance(200) {
            let more = *dice.pick(cast::NAMES);
            if more != to[0] {
                to.push(more);
            }
        }
        let wait = (to.len() == 1 && dice.chance(150)).then(|| *dice.pick(&[10, 5_000]));
        (to, dice.below(3), wait)
    });
    let script = world.new_script(3);
    let mut acl = cast::request(&to, script, conversation);
    acl.user_parameters
        .push((cast::LANE.to_owned(), tag.to_owned()));
    let context = ctx();
    let sending = app.message_send(&context, acl, wait.map(Duration::from_millis));
    let Some(sent) = or_hang_up(world, sending).await else {
        let mut state = world.lock();
        state.stats.unknown += 1;
        return state.say(&format!("{tag} hangs up"));
    };
    let broken = {
        let state = &mut *world.lock();
        match sent {
            Ok(sent) => {
                state.stats.accepted += 1;
                let short = state.ledger.short(sent.id);
                state.say(&format!("{tag} is told: accepted as {short} for {to:?}"));
                state.ledger.acknowledged(sent.id, tag, &to)
            }
            Err(error) if is_refusal(&error) => {
                state.stats.refused += 1;
                state.say(&format!("{tag} is told: refused, {}", error.code));
                state.ledger.refused(tag, error.code.as_str())
            }
            Err(error) => {
                state.stats.unknown += 1;
                state.say(&format!("{tag} is told: {}", error.code));
                Ok(())
            }
        }
    };
    if let Err(what) = broken {
        world.broke(what);
    }
}

/// Whether the answer says that nothing was accepted.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.code,
        Code::MailboxFull
            | Code::ReceiverUnknown
            | Code::ReceiverStopped
            | Code::StorageFull
            | Code::StorageBusy
            | Code::StorageFailed
    )
}

/// Waits, or goes away after a while, as clients do.
async fn or_hang_up<T>(world: &Arc<World>, answer: impl Future<Output = T>) -> Option<T> {
    let patience = world.roll(|dice| {
        let impatient = dice.chance(world.chaos.hang_ups);
        impatient.then(|| Duration::from_millis(dice.below(25)))
    });
    match patience {
        None => Some(answer.await),
        Some(patience) => tokio::time::timeout(patience, answer).await.ok(),
    }
}

/// One chain that would never end.
pub(super) async fn endless(world: Arc<World>, app: App) {
    let between = ["plain", "resident"];
    let steps = vec![Step::Bounce { between }];
    let script = world.add_script(Script { steps });
    let acl = cast::request(&["plain"], script, 0);
    let context = ctx();
    let sent = app.message_send(&context, acl, None).await;
    world.say(&format!("the endless chain: {}", sent.is_ok()));
}

/// Changes agents at random times.
pub(super) async fn operator(world: Arc<World>, app: App) {
    loop {
        let pause = world.roll(|dice| *dice.pick(&[5, 100, 1_000, 4_000]));
        pass(Duration::from_millis(pause)).await;
        let (who, what) = world.roll(|dice| (*dice.pick(cast::NAMES), dice.below(100)));
        let name = cast::name(who);
        let context = ctx();
        let changing = change(&world, &app, &context, who, &name, what);
        let outcome = or_hang_up(&world, changing).await;
        let mut state = world.lock();
        state.stats.changes += 1;
        let outcome = match outcome {
            None => "gone".to_owned(),
            Some(Ok(done)) => done.to_owned(),
            Some(Err(error)) => error.code.to_string(),
        };
        state.say(&format!("operator: {who} {what}: {outcome}"));
    }
}

async fn change(
    world: &Arc<World>,
    app: &App,
    context: &OpCtx,
    who: &'static str,
    name: &AgentName,
    what: u64,
) -> Result<&'static str, Error> {
    match what {
        0..=19 => app.agent_stop(context, name).await.map(|_| "stopped"),
        20..=59 => app.agent_start(context, name).await.map(|_| "started"),
        60..=69 => app.agent_drain(context, name).await.map(|_| "drains"),
        70..=74 => app.agent_remove(context, name).await.map(|()| "removed"),
        75..=84 => {
            let version = world.roll(|dice| dice.between(1, 4));
            let package = cast::package(who, version);
            app.agent_update(context, name, package)
                .await
                .map(|_| "updated")
        }
        85..=94 => deploy(app, who).await.map(|()| "deployed"),
        _ => {
            let letter = {
                let state = &mut *world.lock();
                let letters: Vec<(MessageId, AgentName)> =
                    state.ledger.dead_letters().cloned().collect();
                let Some((message, receiver)) =
                    (!letters.is_empty()).then(|| state.dice.pick(&letters).clone())
                else {
                    return Ok("no letter");
                };
                state.stats.resent += 1;
                DeadLetterId { message, receiver }
            };
            app.dead_letter_resend(context, &letter)
                .await
                .map(|_| "resent")
        }
    }
}

async fn deploy(app: &App, who: &'static str) -> Result<(), Error> {
    app.agent_deploy(&ctx(), cast::package(who, 1), true)
        .await?;
    Ok(())
}

/// Makes the whole cast be there; a world with failing disks may need a few tries.
pub(super) async fn assemble(app: &App) {
    for who in cast::NAMES {
        for _ in 0..50 {
            match deploy(app, who).await {
                Ok(()) => break,
                Err(error) if error.code == Code::AgentExists => break,
                Err(_) => pass(Duration::from_millis(10)).await,
            }
        }
    }
}

/// Starts whatever does not run.
pub(super) async fn start_all(world: &Arc<World>, app: &App) {
    assemble(app).await;
    let agents = app.agent_list(&ctx(), None, usize::MAX).unwrap_or_default();
    for agent in agents.iter().filter(|agent| agent.phase != Phase::Running) {
        if let Err(error) = app.agent_start(&ctx(), &agent.id.name).await {
            world.broke(format!(
                "{} is {} and does not start: {error}",
                agent.id, agent.phase
            ));
        }
    }
}

/// Sets the clock on and back, ten minutes at most.
pub(super) async fn clock_setter(world: Arc<World>, clock: Arc<SimClock>) {
    loop {
        let pause = world.roll(|dice| dice.between(100, 5_000));
        pass(Duration::from_millis(pause)).await;
        let by_us = world.roll(|dice| {
            let most = *dice.pick(&[1_000, 1_000_000, 600_000_000]);
            let by = i64::try_from(dice.below(most)).unwrap_or(0);
            if dice.chance(500) { by } else { -by }
        });
        clock.jump(by_us);
        world.say(&format!("the clock jumps {by_us} us"));
    }
}
