//! What one may ask for, read from a message's text.

/// One wrong to do. Names and numbers are as README.md has them.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    Ok,
    Silent,
    Panic,
    Trap,
    TrapUntil(u32),
    Loop,
    Spin(u64),
    Recurse,
    Memory,
    Fail(&'a str),
    FailBig(u32),
    Log(u32),
    StateBig(u32),
    StateMany { keys: u32, length: u32 },
    HostCalls(u32),
    Metrics(u32),
    Flood { target: &'a str, messages: u32 },
    ReplyBig(u32),
    SendOdd(Oddity),
    Call { target: &'a str, text: &'a str },
    SleepCall { target: &'a str, timeout_ms: u32 },
    PingPong(&'a str),
    Pings,
    DirtyTrap(&'a str),
    DirtyFail(&'a str),
    Dirty,
}

/// What is wrong with a message that `send-odd` sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    NoReceiver,
    Nul,
    Traversal,
    Long,
    NoConversation,
    Parameter,
    Receivers,
}

impl<'a> Command<'a> {
    /// Reads a command; `None` for one that does not exist or whose arguments do not fit.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = word(text);
        let command = match name {
            "fail" => return Some(Self::Fail(rest)),
            "call" => {
                let (target, text) = word(rest);
                return (!target.is_empty()).then_some(Self::Call { target, text });
            }
            _ => name,
        };
        let mut arguments = rest.split_whitespace();
        let parsed = match command {
            "ok" => Self::Ok,
            "silent" => Self::Silent,
            "panic" => Self::Panic,
            "trap" => Self::Trap,
            "trap-until" => Self::TrapUntil(number(arguments.next())?),
            "loop" => Self::Loop,
            "spin" => Self::Spin(number(arguments.next())?),
            "recurse" => Self::Recurse,
            "memory" => Self::Memory,
            "fail-big" => Self::FailBig(number(arguments.next())?),
            "log" => Self::Log(number(arguments.next())?),
            "state-big" => Self::StateBig(number(arguments.next())?),
            "state-many" => Self::StateMany {
                keys: number(arguments.next())?,
                length: number(arguments.next())?,
            },
            "hostcalls" => Self::HostCalls(number(arguments.next())?),
            "metrics" => Self::Metrics(number(arguments.next())?),
            "flood" => Self::Flood {
                target: arguments.next()?,
                messages: number(arguments.next())?,
            },
            "reply-big" => Self::ReplyBig(number(arguments.next())?),
            "send-odd" => Self::SendOdd(Oddity::parse(arguments.next()?)?),
            "sleep-call" => Self::SleepCall {
                target: arguments.next()?,
                timeout_ms: arguments.next().map_or(Some(0), |text| text.parse().ok())?,
            },
            "pingpong" => Self::PingPong(arguments.next()?),
            "pings" => Self::Pings,
            "dirty-trap" => Self::DirtyTrap(arguments.next()?),
            "dirty-fail" => Self::DirtyFail(arguments.next()?),
            "dirty" => Self::Dirty,
            _ => return None,
        };
        arguments.next().is_none().then_some(parsed)
    }
}

impl Oddity {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "no-receiver" => Self::NoReceiver,
            "nul" => Self::Nul,
            "traversal" => Self::Traversal,
            "long" => Self::Long,
            "no-conversation" => Self::NoConversation,
            "parameter" => Self::Parameter,
            "receivers" => Self::Receivers,
            _ => return None,
        })
    }
}

/// The first word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

fn number<N: std::str::FromStr>(argument: Option<&str>) -> Option<N> {
    argument?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        for (text, expected) in [
            ("ok", Command::Ok),
            (" loop \n", Command::Loop),
            ("log 100000000", Command::Log(100_000_000)),
            ("trap-until 3", Command::TrapUntil(3)),
            (
                "state-many 10 20",
                Command::StateMany {
                    keys: 10,
                    length: 20,
                },
            ),
            (
                "flood echo 5",
                Command::Flood {
                    target: "echo",
                    messages: 5,
                },
            ),
            (
                "call b call a ok",
                Command::Call {
                    target: "b",
                    text: "call a ok",
                },
            ),
            (
                "call b",
                Command::Call {
                    target: "b",
                    text: "",
                },
            ),
            (
                "sleep-call b",
                Command::SleepCall {
                    target: "b",
                    timeout_ms: 0,
                },
            ),
            (
                "sleep-call b 50",
                Command::SleepCall {
                    target: "b",
                    timeout_ms: 50,
                },
            ),
            ("fail for a reason", Command::Fail("for a reason")),
            ("fail", Command::Fail("")),
            ("send-odd nul", Command::SendOdd(Oddity::Nul)),
        ] {
            assert_eq!(Command::parse(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        for text in [
            "",
            "okay",
            "ok then",
            "log",
            "log -1",
            "log 4294967296",
            "log ten",
            "flood echo",
            "flood 5",
            "flood echo 5 6",
            "call",
            "sleep-call b soon",
            "send-odd odd",
            "LOOP",
        ] {
            assert_eq!(Command::parse(text), None, "{text:?}");
        }
    }
}
