//! Calling tools: `tools::call("wordcount.count", r#"{"text": "a b"}"#)`.
//!
//! An agent may call what `[tools]` in its `agent.toml` allows and its tenant's policy does not take
//! away. Every refusal and failure is an [`Error`] with its code: `CX-8006` where the agent may not,
//! `CX-8021` where a person said no, and so on (`caxton explain` tells each). Nothing here works inside
//! `init`.

pub use crate::bindings::caxton::agent::tool_types::{Content, Function, Image};
pub use crate::bindings::caxton::agent::tools::Answer;

use crate::Error;
use crate::bindings::caxton::agent::tools;
use std::time::Duration;

/// The functions this agent may call.
///
/// # Errors
/// The server's, as a value.
pub fn list() -> Result<Vec<Function>, Error> {
    tools::list()
}

/// One of them, by its full name (`tool.function`), or `agent:NAME`.
///
/// # Errors
/// There is none of that name, or this agent may not call it.
pub fn describe(name: &str) -> Result<Function, Error> {
    tools::describe(name)
}

/// Calls a function and waits for its answer, as long as the agent's `tools.timeout_ms_max` says.
/// `arguments` is a JSON object.
///
/// The call is made at once, and is not taken back when the handler then fails; a handler that is tried
/// again gets the recorded answer, as long as it makes the same calls in the same order.
///
/// # Errors
/// The call was refused, nobody agreed to it, or the tool did not answer. That a tool answered with a
/// failure of its own is no error: see [`Answer::text`] and `failed`.
pub fn call(name: &str, arguments: &str) -> Result<Answer, Error> {
    tools::call(name, arguments, 0)
}

/// As [`call`], and waits no longer than `timeout`.
///
/// # Errors
/// As [`call`].
pub fn call_within(name: &str, arguments: &str, timeout: Duration) -> Result<Answer, Error> {
    // Zero means the default, so that the shortest time is a millisecond.
    let timeout_ms = u32::try_from(timeout.as_millis())
        .unwrap_or(u32::MAX)
        .max(1);
    tools::call(name, arguments, timeout_ms)
}

impl Answer {
    /// The answer's texts, one after the other.
    #[must_use]
    pub fn text(&self) -> String {
        let mut all = String::new();
        for content in &self.content {
            if let Content::Text(text) = content {
                all.push_str(text);
            }
        }
        all
    }

    /// The text, or the error where the tool said that it failed.
    ///
    /// # Errors
    /// The tool's own words.
    pub fn into_text(self) -> Result<String, String> {
        if self.failed {
            return Err(self.text());
        }
        Ok(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_tools_own_is_told_apart_from_an_answer() {
        let mut answer = Answer {
            content: vec![
                Content::Text("a".into()),
                Content::Image(Image {
                    media_type: "image/png".into(),
                    data: vec![1],
                }),
                Content::Text("b".into()),
            ],
            structured: None,
            failed: false,
        };
        assert_eq!(answer.clone().into_text(), Ok("ab".to_owned()));
        answer.failed = true;
        assert_eq!(answer.into_text(), Err("ab".to_owned()));
    }
}
