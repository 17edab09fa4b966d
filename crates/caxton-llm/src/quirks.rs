//! What single servers of one protocol do otherwise, learnt from their own answers.
//!
//! Servers that call themselves compatible refuse fields that others need. Nobody keeps a true list of
//! them, so the first refusal is read: one that names such a field is answered by asking again without
//! it, and the server and model are remembered for as long as there is room. A refused request costs
//! nothing at any provider.

use crate::fault::Said;
use quick_cache::sync::Cache;
use std::fmt;

/// Deviations of one server and model, as bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks(u8);

/// One deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// `stream_options` is refused.
    NoStreamOptions = 1,
    /// The other one of `max_tokens` and `max_completion_tokens`.
    OtherCeiling = 2,
    /// The thinking knob is refused.
    NoThinking = 4,
    /// `temperature` and `top_p` are refused.
    NoSampling = 8,
    /// Summaries of what was thought are refused.
    NoSummary = 16,
    /// Thinking is asked for by effort, not by budget.
    Adaptive = 32,
    /// `stop` is refused.
    NoStop = 64,
}

impl Quirks {
    pub const fn has(self, quirk: Quirk) -> bool {
        self.0 & quirk as u8 != 0
    }

    #[must_use]
    pub const fn with(self, quirk: Quirk) -> Self {
        Self(self.0 | quirk as u8)
    }
}

impl fmt::Debug for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quirks({:#b})", self.0)
    }
}

/// What a refusal with status 400 or 422 says of the server, if it is that.
pub fn learn(status: u16, said: &Said, known: Quirks) -> Option<Quirk> {
    if !matches!(status, 400 | 422) {
        return None;
    }
    let low = said.message.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| low.contains(word));
    let found = if any(&["stream_options", "include_usage", "include_obfuscation"]) {
        Quirk::NoStreamOptions
    } else if any(&["thinking.type.adaptive", "adaptive thinking"]) {
        Quirk::Adaptive
    } else if any(&["max_completion_tokens"])
        // "Unsupported parameter: 'max_tokens' … Use 'max_completion_tokens'", or the reverse.
        && any(&["support", "unknown", "unrecognized", "extra", "unexpected", "permitted", "not allowed"])
    {
        Quirk::OtherCeiling
    } else if any(&["reasoning.summary", "reasoning summar"]) {
        Quirk::NoSummary
    } else if any(&[
        "reasoning_effort",
        "reasoning.effort",
        "does not support thinking",
        "'think'",
    ]) {
        Quirk::NoThinking
    } else if any(&["temperature", "top_p"])
        && any(&[
            "support",
            "unknown",
            "deprecated",
            "not allowed",
            "cannot both",
            "extra",
        ])
    {
        Quirk::NoSampling
    } else if any(&["'stop'", "`stop`", "parameter: stop"]) && any(&["support"]) {
        Quirk::NoStop
    } else {
        return None;
    };
    // Refused although it was left out: then that was not the reason.
    (!known.has(found)).then_some(found)
}

/// Servers and models whose deviations are remembered.
const REMEMBERED_MAX: usize = 1_024;

/// Remembers.
#[derive(Debug)]
pub struct Memory(Cache<(String, String), Quirks>);

impl Memory {
    pub fn new() -> Self {
        Self(Cache::new(REMEMBERED_MAX))
    }

    pub fn of(&self, base_url: &str, model: &str) -> Quirks {
        let key = (base_url.to_owned(), model.to_owned());
        self.0.get(&key).unwrap_or_default()
    }

    pub fn keep(&self, base_url: &str, model: &str, quirks: Quirks) {
        self.0
            .insert((base_url.to_owned(), model.to_owned()), quirks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_name_a_field_are_understood() {
        let check = |message: &str, expected: Option<Quirk>| {
            let said = Said {
                message: message.to_owned(),
                ..Said::default()
            };
            assert_eq!(learn(400, &said, Quirks::default()), expected, "{message}");
            assert_eq!(learn(500, &said, Quirks::default()), None);
            if let Some(known) = expected {
                assert_eq!(learn(400, &said, Quirks::default().with(known)), None);
            }
        };
        check(
            "Unrecognized request argument supplied: stream_options",
            Some(Quirk::NoStreamOptions),
        );
        check(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            Some(Quirk::OtherCeiling),
        );
        check(
            "max_completion_tokens: Extra inputs are not permitted",
            Some(Quirk::OtherCeiling),
        );
        check(
            "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
            Some(Quirk::Adaptive),
        );
        check(
            "Unsupported value: 'temperature' does not support 0.2 with this model.",
            Some(Quirk::NoSampling),
        );
        check(
            "`temperature` and `top_p` cannot both be specified for this model.",
            Some(Quirk::NoSampling),
        );
        check(
            "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
            Some(Quirk::NoThinking),
        );
        check(
            "Your organization must be verified to generate reasoning summaries.",
            Some(Quirk::NoSummary),
        );
        check(
            "Unsupported parameter: 'stop' is not supported with this model.",
            Some(Quirk::NoStop),
        );
        check("messages: at least one message is required", None);
    }
}
