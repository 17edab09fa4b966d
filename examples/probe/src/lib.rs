//! An agent that shows what the server gives its agents: one command for each host call.

mod command;

use caxton_agent::record::{Reader, Writer};
use caxton_agent::{
    Agent, Message, Performative, clock, current, identity, log, metrics, random, state, timers,
};
use command::Command;

struct Probe;

impl Agent for Probe {
    fn handle(message: Message) -> Result<(), String> {
        if let Some(name) = timers::fired(&message) {
            return answer_timer(name, &message.content);
        }
        let asks = matches!(
            message.performative,
            Performative::Request | Performative::QueryRef
        );
        match message.text().filter(|_| asks).and_then(Command::parse) {
            Some(command) => answer(&message, run(&message, command)),
            None => Ok(message.answer_not_understood("README.md lists what this agent answers")?),
        }
    }
}

// Field by field, unlike the other examples: so that both ways across the boundary are in use.
caxton_agent::export_typed!(Probe);

/// What a command came to: a content to inform of, or why there is none.
type Outcome = Result<Vec<u8>, String>;

fn run(message: &Message, command: Command<'_>) -> Outcome {
    let done = |()| b"done".to_vec();
    match command {
        Command::Random(length) => Ok(hex(&random::bytes(length)).into_bytes()),
        Command::Time => Ok(clock::now_us().to_string().into_bytes()),
        Command::Me => Ok(identity::me().name.into_bytes()),
        Command::Version => Ok(identity::version().into_bytes()),
        Command::Delivery => {
            let now = current().ok_or("no message is being handled")?;
            let fields = [
                now.message_id,
                now.attempt.to_string(),
                now.trace_id,
                now.span_id,
            ];
            Ok(fields.join(" ").into_bytes())
        }
        Command::StateGet(key) => state::get(key)?.ok_or_else(|| "no such key".to_owned()),
        Command::StateSet { key, value } => Ok(state::set(key, value).map(done)?),
        Command::StateDelete(key) => Ok(state::delete(key).map(done)?),
        Command::StateKeys {
            prefix,
            after,
            limit,
        } => Ok(state::keys(prefix, after, limit)?.join("\n").into_bytes()),
        Command::Timer {
            name,
            after_ms,
            text,
        } => {
            let later = Writer::new()
                .message(&message.reply(Performative::Inform))
                .finish();
            state::set(&timer_key(name), later)?;
            Ok(timers::set(name, after_ms, text).map(done)?)
        }
        Command::TimerCancel(name) => {
            state::delete(&timer_key(name))?;
            Ok(timers::cancel(name).map(done)?)
        }
        Command::Metric { name, by } => {
            metrics::count(name, by);
            Ok(done(()))
        }
        Command::Gauge { name, value } => {
            metrics::gauge(name, value);
            Ok(done(()))
        }
        Command::Log { level, text } => {
            log::write(level, text);
            Ok(done(()))
        }
        Command::Call { target, text } => {
            let question = Message::new(Performative::Request).to(target).content(text);
            Ok(question.call(0)?.content)
        }
    }
}

fn answer(message: &Message, outcome: Outcome) -> Result<(), String> {
    let reply = match outcome {
        Ok(content) => message.reply(Performative::Inform).content(content),
        Err(reason) => message.reply(Performative::Failure).content(reason),
    };
    reply.send()?;
    Ok(())
}

/// Sends whoever set the timer what it carries, as the answer kept when it was set.
fn answer_timer(name: &str, content: &[u8]) -> Result<(), String> {
    let key = timer_key(name);
    let Some(later) = state::get(&key)? else {
        log::warn!("timer {name} fired, but nobody waits for it");
        return Ok(());
    };
    let reply = Reader::new(&later)
        .message()
        .ok_or("the kept answer does not read")?;
    reply.content(content).send()?;
    state::delete(&key)?;
    Ok(())
}

fn timer_key(name: &str) -> String {
    format!("timer/{name}")
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_hex() {
        assert_eq!(hex(&[0, 0x0f, 0xa5, 0xff]), "000fa5ff");
        assert_eq!(hex(&[]), "");
    }
}
