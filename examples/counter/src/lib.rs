//! An agent that counts: `request` "add N" and `query-ref` "get".
//!
//! The count lives in the server's state, not in memory: an instance may vanish between two
//! messages, and the write becomes durable together with the message that caused it, so that a
//! message tried again is not counted twice.

use caxton_agent::{Agent, Message, Performative, state};

const COUNT: &str = "count";
const USAGE: &str = "expected request \"add N\", N a whole number of 64 bits, or query-ref \"get\"";

struct Counter;

impl Agent for Counter {
    fn handle(message: Message) -> Result<(), String> {
        match Command::of(&message) {
            Some(Command::Get) => inform(&message, stored()?),
            Some(Command::Add(by)) => match stored()?.checked_add(by) {
                Some(count) => {
                    state::set(COUNT, count.to_string())?;
                    inform(&message, count)
                }
                None => {
                    message
                        .reply(Performative::Failure)
                        .content("the count would leave the range of 64 bits; it is unchanged")
                        .send()?;
                    Ok(())
                }
            },
            None => Ok(message.answer_not_understood(USAGE)?),
        }
    }
}

caxton_agent::export!(Counter);

#[derive(Debug, PartialEq, Eq)]
enum Command {
    Add(i64),
    Get,
}

impl Command {
    fn of(message: &Message) -> Option<Self> {
        let text = message.text()?.trim();
        match message.performative {
            Performative::Request => {
                let number = text.strip_prefix("add")?;
                // "add5" is not "add 5".
                number.starts_with(char::is_whitespace).then_some(())?;
                number.trim_start().parse().ok().map(Self::Add)
            }
            Performative::QueryRef if text == "get" => Some(Self::Get),
            _ => None,
        }
    }
}

fn inform(message: &Message, count: i64) -> Result<(), String> {
    message
        .reply(Performative::Inform)
        .content(count.to_string())
        .send()?;
    Ok(())
}

/// The count so far. What does not read as one is a fault, not a zero: starting again from zero
/// would hide that something else wrote here.
fn stored() -> Result<i64, String> {
    match state::get(COUNT)? {
        None => Ok(0),
        Some(bytes) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| "the stored count is not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(performative: Performative, content: &str, expected: Option<Command>) {
        let message = Message::new(performative).content(content);
        assert_eq!(
            Command::of(&message),
            expected,
            "{} {content:?}",
            performative.as_str()
        );
    }

    #[test]
    fn commands_are_read_strictly() {
        use Performative::{Inform, QueryRef, Request};
        check(Request, "add 5", Some(Command::Add(5)));
        check(Request, " add  -7\n", Some(Command::Add(-7)));
        check(
            Request,
            "add -9223372036854775808",
            Some(Command::Add(i64::MIN)),
        );
        check(QueryRef, "get", Some(Command::Get));
        for wrong in [
            "",
            "add",
            "add5",
            "add 5 6",
            "add 1.5",
            "add 9223372036854775808",
            "get",
        ] {
            check(Request, wrong, None);
        }
        check(QueryRef, "add 5", None);
        check(QueryRef, "", None);
        check(Inform, "add 5", None);
    }
}
