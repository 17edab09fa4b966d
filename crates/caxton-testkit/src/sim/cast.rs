//! The agents of a simulated world: one handler that acts out scripts, under manifests of every
//! kind. What it does to its state tells afterwards how often it was handled.

use super::clock::pass;
use super::script::{self, Failing, Step};
use super::world::World;
use bytes::Bytes;
use caxton_core::manifest::{Durability, MailboxMode};
use caxton_core::{
    Acl, AgentId, AgentName, ConversationId, Manifest, Message, Performative, TenantId,
};
use caxton_engine::app::Package;
use caxton_engine::host::Host;
use caxton_engine::port::behavior::FaultKind;
use caxton_engine::port::native::failed;
use caxton_engine::port::store::CallId;
use caxton_engine::port::{Fault, NativeProgram, NativeRuntime};
use std::sync::Arc;
use std::time::Duration;

/// Who plays.
pub(super) const NAMES: &[&str] = &[
    "plain", "resident", "short", "small", "many", "chatty", "fleeting", "crowd",
];

/// The user parameter that says which lane a message was sent from: a client, or a mailbox.
pub(super) const LANE: &str = "X-Lane";

pub(super) fn name(text: &str) -> AgentName {
    AgentName::parse(text).expect("a name of the cast")
}

pub(super) fn agent(text: &str) -> AgentId {
    AgentId::new(TenantId::default_tenant(), name(text))
}

/// What each is deployed with; `version` 2 brings other code.
pub(super) fn package(who: &str, version: u64) -> Package {
    let mut manifest = Manifest::named(name(who));
    manifest.version.patch = version;
    let delivery = &mut manifest.delivery;
    match who {
        "resident" => manifest.instance.resident = true,
        "short" => delivery.attempts_max = 2,
        "small" => manifest.limits.mailbox_messages_max = 4,
        "many" | "chatty" => delivery.mailbox = MailboxMode::Conversation,
        "fleeting" => delivery.durability = Durability::Transient,
        "crowd" => {
            delivery.durability = Durability::Transient;
            delivery.mailbox = MailboxMode::Conversation;
        }
        _ => {}
    }
    let component = if version.is_multiple_of(2) {
        "actor2"
    } else {
        "actor"
    };
    Package {
        manifest,
        component: Some(Bytes::from_static(component.as_bytes())),
    }
}

pub(super) fn is_transient(who: &AgentName) -> bool {
    matches!(who.as_str(), "fleeting" | "crowd")
}

pub(super) fn is_durable(who: &AgentName) -> bool {
    NAMES.contains(&who.as_str()) && !is_transient(who)
}

pub(super) fn runtime(world: &Arc<World>) -> NativeRuntime {
    let mut runtime = NativeRuntime::default();
    for component in ["actor", "actor2"] {
        let world = Arc::clone(world);
        let program = NativeProgram::new(move |mut host: Host, message: Arc<Message>| {
            let world = Arc::clone(&world);
            async move {
                let result = act(&world, &mut host, &message).await;
                (host, result)
            }
        });
        runtime = runtime.with(name(component), program);
    }
    runtime
}

/// A message of this script.
pub(super) fn request(to: &[&str], script: usize, conversation: u64) -> Acl {
    let mut acl = Acl::new(Performative::Request).content(script::content(script));
    for receiver in to {
        acl = acl.to(agent(receiver));
    }
    acl.conversation_id = ConversationId::parse(&format!("talk{conversation}")).ok();
    acl
}

async fn act(world: &Arc<World>, host: &mut Host, message: &Arc<Message>) -> Result<(), Fault> {
    let mailbox = host.mailbox().clone();
    let attempt = host.current().map_or(0, |current| current.attempt);
    let _lane = world.enter(&mailbox, message, attempt);
    mark(host, message).await?;
    let own = script::number(message).filter(|_| plays(message));
    let script = own.map(|number| world.script(number)).unwrap_or_default();
    let mut calls = 0;
    for step in &script.steps {
        match step {
            Step::Send {
                to,
                script,
                conversation,
            } => say(host, request(to, *script, *conversation))?,
            Step::Bounce { between } => {
                let me = mailbox.agent.name.as_str();
                let other = if me == between[0] {
                    between[1]
                } else {
                    between[0]
                };
                say(host, request(&[other], own.unwrap_or_default(), 0))?;
            }
            Step::Call {
                to,
                script,
                conversation,
                timeout_ms,
            } => {
                let call = CallId {
                    mailbox: mailbox.clone(),
                    message: message.id,
                    index: calls,
                };
                calls += 1;
                let mut acl = request(&[to], *script, *conversation);
                acl.user_parameters.push(lane(host));
                let asked = world.call_begins(&call);
                let answer = host.call(acl, Duration::from_millis(*timeout_ms)).await;
                world.call_ends(&call, asked, &answer);
            }
            Step::Timer {
                name,
                after_ms,
                script,
            } => {
                let after = Duration::from_millis(*after_ms);
                let set =
                    host.timer_set(&format!("t{name}"), after, script::content(*script).into());
                set.map_err(|error| failed(error.to_string()))?;
            }
            Step::Cancel { name } => host
                .timer_cancel(&format!("t{name}"))
                .map_err(|error| failed(error.to_string()))?,
            Step::Sleep { ms } => pass(Duration::from_millis(*ms)).await,
            Step::Fail { how, tries } if attempt <= *tries => return Err(fail(*how)),
            Step::Fail { .. } => {}
        }
    }
    if is_asked(message) {
        let mut reply = message.acl.reply(Performative::Inform).content("r");
        if message.id.as_bytes()[15].is_multiple_of(4) {
            // Forgetful agents are common: the answer is found by its conversation.
            reply.in_reply_to = None;
        }
        say(host, reply)?;
    }
    Ok(())
}

/// Whether a message's script is acted out: requests and timers; never answers and failures.
pub(super) fn plays(message: &Message) -> bool {
    message.acl.performative == Performative::Request || is_timer(message)
}

pub(super) fn is_timer(message: &Message) -> bool {
    message.acl.ontology.as_deref() == Some("caxton.timer")
}

/// Whether its sender wants an answer.
pub(super) fn is_asked(message: &Message) -> bool {
    message.acl.performative == Performative::Request && message.acl.reply_with.is_some()
}

/// Writes into the state that this message was handled, and how many were before it.
async fn mark(host: &mut Host, message: &Message) -> Result<(), Fault> {
    let unread = |error: caxton_core::Error| Fault::new(FaultKind::Internal, error.to_string());
    for key in [format!("m/{}", message.id), "n".to_owned()] {
        let old = host.state_get(&key).await.map_err(unread)?;
        let old: u64 = old.map_or(0, |bytes| number_of(&bytes));
        host.state_set(&key, Bytes::from((old + 1).to_string()))
            .map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

pub(super) fn number_of(bytes: &Bytes) -> u64 {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.parse().unwrap_or(u64::MAX)
}

fn lane(host: &Host) -> (String, String) {
    (LANE.to_owned(), host.mailbox().to_string())
}

fn say(host: &mut Host, mut acl: Acl) -> Result<(), Fault> {
    acl.user_parameters.push(lane(host));
    host.send(acl).map_err(|error| failed(error.to_string()))?;
    Ok(())
}

fn fail(how: Failing) -> Fault {
    match how {
        Failing::Error => failed("as the script has it"),
        Failing::Trap => Fault::new(FaultKind::Trap, "as the script has it"),
        // Without the panic hook's noise.
        Failing::Panic => std::panic::resume_unwind(Box::new("as the script has it")),
    }
}
