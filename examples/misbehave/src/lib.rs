//! An agent that does wrong on demand, to see that its neighbours and the server do not suffer.
//!
//! `command.rs` reads what it is asked for, `harm.rs` does what ends or starves a handler, and this
//! file does the rest: the wrongs the server answers with an error. README.md lists them all.

mod command;
mod harm;

use caxton_agent::{
    Agent, AgentId, Error, Message, Performative, clock, current, identity, log, metrics, state,
};
use command::{Command, Oddity};

struct Misbehave;

impl Agent for Misbehave {
    /// The own name says how to begin: a deployment is named before its first message.
    fn init() -> Result<(), String> {
        match identity::me().local().strip_prefix("bad-init-") {
            Some(name) if name.starts_with("loop") => harm::spin_forever(),
            Some(name) if name.starts_with("trap") => harm::trap(),
            Some(name) if name.starts_with("panic") => panic!("asked to panic in init"),
            Some(name) if name.starts_with("memory") => {
                harm::allocate_until_refused();
                Ok(())
            }
            Some(name) if name.starts_with("fail") => Err("asked to fail in init".to_owned()),
            _ => Ok(()),
        }
    }

    fn handle(message: Message) -> Result<(), String> {
        let asks = matches!(
            message.performative,
            Performative::Request | Performative::QueryRef
        );
        let Some(command) = message.text().filter(|_| asks).and_then(Command::parse) else {
            return Ok(message.answer_not_understood("README.md lists what this agent does")?);
        };
        run(&message, command)
    }
}

caxton_agent::export!(Misbehave);

fn run(message: &Message, command: Command<'_>) -> Result<(), String> {
    match command {
        Command::Ok => inform(message, "ok"),
        Command::Silent => Ok(()),
        Command::Panic => panic!("asked to panic"),
        Command::Trap => harm::trap(),
        Command::TrapUntil(attempt) => {
            let now = current().map_or(0, |delivery| delivery.attempt);
            if now < attempt {
                harm::trap()
            } else {
                inform(message, &now.to_string())
            }
        }
        Command::Loop => harm::spin_forever(),
        Command::Spin(rounds) => inform(message, &harm::spin(rounds).to_string()),
        Command::Recurse => inform(message, &harm::recurse(0).to_string()),
        Command::Memory => inform(message, &harm::allocate_until_refused().to_string()),
        Command::Fail(text) => Err(text.to_owned()),
        Command::FailBig(length) => Err(filled(length)?),
        Command::Log(length) => {
            let line = filled(length).map(|line| log::write(log::Level::Info, &line));
            outcome(message, line.map(|()| length.to_string()))
        }
        Command::StateBig(length) => {
            let written = filled(length).and_then(|value| state::set("big", value));
            outcome(message, written.map(|()| length.to_string()))
        }
        Command::StateMany { keys, length } => {
            let written = filled(length)
                .and_then(|value| count(keys, |i| state::set(&format!("many/{i:010}"), &value)));
            outcome(message, written)
        }
        Command::HostCalls(calls) => {
            for _ in 0..calls {
                let _ = clock::now_us();
            }
            inform(message, &calls.to_string())
        }
        Command::Metrics(names) => {
            (0..names).for_each(|i| metrics::count(&format!("many_{i}"), 1));
            inform(message, &names.to_string())
        }
        Command::Flood { target, messages } => {
            let sent = count(messages, |i| {
                let flood = Message::new(Performative::Inform).to(target);
                flood.content(format!("flood {i}")).send().map(drop)
            });
            outcome(message, sent)
        }
        Command::ReplyBig(length) => {
            let sent = filled(length)
                .and_then(|content| message.reply(Performative::Inform).content(content).send());
            match sent {
                Ok(_) => Ok(()),
                Err(error) => outcome::<String>(message, Err(error)),
            }
        }
        Command::SendOdd(oddity) => outcome(message, odd(oddity).send()),
        Command::Call { target, text } => {
            let call = Message::new(Performative::Request).to(target).content(text);
            relay(message, call.call(0))
        }
        Command::SleepCall { target, timeout_ms } => {
            let call = Message::new(Performative::Request)
                .to(target)
                .content("silent");
            relay(message, call.call(timeout_ms))
        }
        Command::PingPong(target) => ping(message, target),
        Command::Pings => inform(message, &pings()?.to_string()),
        Command::DirtyTrap(target) => {
            soil(target)?;
            harm::trap()
        }
        Command::DirtyFail(target) => {
            soil(target)?;
            Err("asked to fail with a full outbox".to_owned())
        }
        Command::Dirty => inform(
            message,
            if state::get("dirty")?.is_some() {
                "yes"
            } else {
                "no"
            },
        ),
    }
}

/// Asks the target to ask back, for ever: only the server's hop limit ends it.
fn ping(message: &Message, target: &str) -> Result<(), String> {
    state::set("pings", pings()?.saturating_add(1).to_string())?;
    let mut ping = Message::new(Performative::Request)
        .to(target)
        .content(format!("pingpong {}", identity::me().name));
    ping.conversation_id.clone_from(&message.conversation_id);
    ping.send()?;
    Ok(())
}

fn pings() -> Result<u64, String> {
    let stored = state::get("pings")?.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(stored.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Leaves a write and a message behind that must vanish with the failing handler.
fn soil(target: &str) -> Result<(), Error> {
    state::set("dirty", "yes")?;
    Message::new(Performative::Inform)
        .to(target)
        .content("dirty")
        .send()
        .map(drop)
}

fn odd(oddity: Oddity) -> Message {
    let inform = Message::new(Performative::Inform).content("odd");
    match oddity {
        Oddity::NoReceiver => inform,
        Oddity::Nul => inform.to("echo\0"),
        Oddity::Traversal => inform.to("../../etc/passwd"),
        Oddity::Long => inform.to("a".repeat(10_000)),
        Oddity::NoConversation => inform.to("echo").protocol("fipa-request"),
        Oddity::Parameter => inform.to("echo").user_parameter("not-x", "1"),
        Oddity::Receivers => (0..10_000).fold(inform, |mut message, i| {
            message.receivers.push(AgentId::new(format!("nobody-{i}")));
            message
        }),
    }
}

fn count(times: u32, mut action: impl FnMut(u32) -> Result<(), Error>) -> Result<String, Error> {
    (0..times).try_for_each(&mut action)?;
    Ok(times.to_string())
}

fn relay(message: &Message, answer: Result<Message, Error>) -> Result<(), String> {
    match answer {
        Ok(answer) => {
            message
                .reply(answer.performative)
                .content(answer.content)
                .send()?;
            Ok(())
        }
        Err(error) => outcome::<String>(message, Err(error)),
    }
}

/// Informs of a success, or of the failure with the server's code first.
fn outcome<T: ToString>(message: &Message, outcome: Result<T, Error>) -> Result<(), String> {
    match outcome {
        Ok(result) => inform(message, &result.to_string()),
        Err(error) => {
            message
                .reply(Performative::Failure)
                .content(String::from(error))
                .send()?;
            Ok(())
        }
    }
}

fn inform(message: &Message, text: &str) -> Result<(), String> {
    message.reply(Performative::Inform).content(text).send()?;
    Ok(())
}

/// A text of this many bytes; an error where the sandbox has no memory for it.
fn filled(length: u32) -> Result<String, Error> {
    let bytes = length as usize;
    let mut text = String::new();
    text.try_reserve_exact(bytes).map_err(|_| Error {
        code: "no-memory".to_owned(),
        message: format!("the sandbox gives no {length} bytes"),
    })?;
    text.extend(std::iter::repeat_n('x', bytes));
    Ok(text)
}
