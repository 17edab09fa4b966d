//! What one may ask for, read from a message's text.

use caxton_agent::log::Level;
use caxton_agent::state::KEYS_MAX;

/// One host call to make. Names and arguments are as README.md has them.
#[derive(Debug, PartialEq)]
pub enum Command<'a> {
    Random(u32),
    Time,
    Me,
    Version,
    Delivery,
    StateGet(&'a str),
    StateSet {
        key: &'a str,
        value: &'a str,
    },
    StateDelete(&'a str),
    StateKeys {
        prefix: &'a str,
        after: &'a str,
        limit: u32,
    },
    Timer {
        name: &'a str,
        after_ms: u64,
        text: &'a str,
    },
    TimerCancel(&'a str),
    Metric {
        name: &'a str,
        by: u64,
    },
    Gauge {
        name: &'a str,
        value: f64,
    },
    Log {
        level: Level,
        text: &'a str,
    },
    Call {
        target: &'a str,
        text: &'a str,
    },
}

impl<'a> Command<'a> {
    /// Reads a command; `None` for one that does not exist or whose arguments do not fit.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = word(text);
        let (first, last) = word(rest);
        let bare = rest.is_empty();
        match name {
            "random" => rest.parse().ok().map(Self::Random),
            "time" if bare => Some(Self::Time),
            "me" if bare => Some(Self::Me),
            "version" if bare => Some(Self::Version),
            "delivery" if bare => Some(Self::Delivery),
            "state" => Self::parse_state(first, last),
            "timer-cancel" if !bare => Some(Self::TimerCancel(rest)),
            "timer" => {
                let (after_ms, text) = word(last);
                Some(Self::Timer {
                    name: first,
                    after_ms: after_ms.parse().ok()?,
                    text,
                })
            }
            "metric" => Some(Self::Metric {
                name: first,
                by: last.parse().ok()?,
            }),
            "gauge" => Some(Self::Gauge {
                name: first,
                value: last.parse().ok()?,
            }),
            "log" => Some(Self::Log {
                level: level(first)?,
                text: last,
            }),
            "call" if !bare => Some(Self::Call {
                target: first,
                text: last,
            }),
            _ => None,
        }
    }

    fn parse_state(verb: &str, rest: &'a str) -> Option<Self> {
        let (first, last) = word(rest);
        match verb {
            "get" if !rest.is_empty() => Some(Self::StateGet(rest)),
            "set" if !first.is_empty() => Some(Self::StateSet {
                key: first,
                value: last,
            }),
            "delete" if !rest.is_empty() => Some(Self::StateDelete(rest)),
            "keys" => {
                let (after, limit) = word(last);
                let limit = if limit.is_empty() {
                    KEYS_MAX
                } else {
                    limit.parse().ok()?
                };
                Some(Self::StateKeys {
                    prefix: first,
                    after,
                    limit,
                })
            }
            _ => None,
        }
    }
}

fn level(word: &str) -> Option<Level> {
    Some(match word {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => return None,
    })
}

/// The first word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        for (text, expected) in [
            ("random 16", Command::Random(16)),
            ("time", Command::Time),
            (
                "state set k a b ",
                Command::StateSet {
                    key: "k",
                    value: "a b",
                },
            ),
            (
                "state set k",
                Command::StateSet {
                    key: "k",
                    value: "",
                },
            ),
            (
                "state keys",
                Command::StateKeys {
                    prefix: "",
                    after: "",
                    limit: 1_000,
                },
            ),
            (
                "state keys p p1 5",
                Command::StateKeys {
                    prefix: "p",
                    after: "p1",
                    limit: 5,
                },
            ),
            (
                "timer tea 500 it is ready",
                Command::Timer {
                    name: "tea",
                    after_ms: 500,
                    text: "it is ready",
                },
            ),
            (
                "metric sales 3",
                Command::Metric {
                    name: "sales",
                    by: 3,
                },
            ),
            (
                "gauge depth 0.5",
                Command::Gauge {
                    name: "depth",
                    value: 0.5,
                },
            ),
            (
                "log warn low tide",
                Command::Log {
                    level: Level::Warn,
                    text: "low tide",
                },
            ),
        ] {
            assert_eq!(Command::parse(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        for text in [
            "",
            "random",
            "random -1",
            "random ten",
            "time flies",
            "state",
            "state get",
            "state lose k",
            "state keys p p1 many",
            "timer tea",
            "timer tea soon",
            "metric sales",
            "metric sales -1",
            "gauge depth deep",
            "log loud x",
            "call",
        ] {
            assert_eq!(Command::parse(text), None, "{text:?}");
        }
    }
}
