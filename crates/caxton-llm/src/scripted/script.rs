//! The form of a script. Strict: an unknown key is an error that names the nearest.

use super::malformed;
use caxton_core::error::Error;
use caxton_core::manifest::nearest;
use caxton_core::model::{ModelFaultKind, StopReason};
use serde::Deserialize;
use serde_json::Value;

/// Most bytes of one script.
pub const SCRIPT_BYTES_MAX: usize = 256 << 10;

/// What the model of one file answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Looked at first, in order: the first that fits answers.
    pub rules: Vec<Rule>,
    /// Else the n-th call of a conversation gets the n-th of these, and every further one the last.
    pub answers: Vec<Answer>,
    /// Else, call whatever tool the newest text or tool result says: `CALL name {json}`.
    pub obey: bool,
}

/// An answer, and what it answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub when: When,
    pub then: Answer,
}

/// All that is given must hold. Texts are looked for as parts, letters as they are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// In the newest message of the user's side, tool results left out.
    pub text: Option<String>,
    /// In what tools have answered since the model spoke last.
    pub tool_result: Option<String>,
    /// In the instructions.
    pub system: Option<String>,
}

/// One answer of the model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    pub thinking: Option<String>,
    /// The provider's signature under `thinking`.
    pub signature: Option<String>,
    /// `{{user}}`, `{{tool_result}}`, `{{system}}`, `{{messages}}`, `{{thinking}}` and `{{attempt}}`
    /// stand for what the request has.
    pub text: String,
    /// Characters of a piece of text; 0: all in one.
    pub chunk_chars: usize,
    /// Before each piece.
    pub delay_ms: u64,
    /// Before the first piece, besides.
    pub first_delay_ms: u64,
    pub tool_calls: Vec<ToolCall>,
    /// Absent: an estimate, flagged as one. `null`: none, as from a provider that does not tell.
    #[serde(deserialize_with = "present")]
    pub usage: Said<Usage>,
    /// Absent: `tool_calls` where there are some, else `end`.
    pub stop: Option<StopReason>,
    /// What goes wrong at the first, second, … try; `null`: nothing. Further ones go well.
    pub faults: Vec<Option<Fault>>,
}

/// A key that may be absent, `null`, or there.
#[derive(Debug, Clone, Default)]
pub enum Said<T> {
    #[default]
    Absent,
    Null,
    Is(T),
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Said<Usage>, D::Error> {
    let read: Option<Usage> = Deserialize::deserialize(from)?;
    Ok(read.map_or(Said::Null, Said::Is))
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// Absent: made of the call's place in the conversation.
    pub id: Option<String>,
    pub name: String,
    /// A text is given out as it is, as a model's that writes no JSON.
    #[serde(default)]
    pub arguments: Value,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub thinking: u64,
}

/// What goes wrong: a provider's status, or a kind.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// As an answer of the provider's, instead of any other.
    pub status: Option<u16>,
    pub retry_after_ms: Option<u64>,
    /// `hang`, `end` (no more, without a word), `garbage`, `half_json`, or a kind as metrics name it.
    pub kind: Option<String>,
    /// Pieces of the answer that come before it.
    pub after_chunks: usize,
    pub message: Option<String>,
}

/// What a fault's `kind` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing more, for ever.
    Hang,
    /// The stream ends.
    End,
    Kind(ModelFaultKind),
}

impl Fault {
    /// Errors: a word that is none.
    pub fn wrong(&self) -> Result<Wrong, String> {
        let word = self.kind.as_deref().unwrap_or("server");
        Ok(match word {
            "hang" => Wrong::Hang,
            "end" => Wrong::End,
            "garbage" | "half_json" => Wrong::Kind(ModelFaultKind::Malformed),
            word => {
                let found = ModelFaultKind::ALL
                    .into_iter()
                    .find(|kind| kind.as_str() == word);
                Wrong::Kind(found.ok_or_else(|| {
                    let kinds = ModelFaultKind::ALL.iter().map(|kind| kind.as_str());
                    let known = kinds.chain(["hang", "end", "garbage", "half_json"]);
                    format!("unknown kind `{word}`{}", hint(word, known))
                })?)
            }
        })
    }
}

/// Largest counts of what a script may have.
const ANSWERS_MAX: usize = 1_000;
const DELAY_MS_MAX: u64 = 3_600_000;

impl Script {
    /// What serde cannot see.
    pub fn check(&self) -> Result<(), String> {
        let answers = self
            .rules
            .iter()
            .map(|rule| &rule.then)
            .chain(&self.answers);
        if self.rules.len() + self.answers.len() > ANSWERS_MAX {
            return Err(format!("more than {ANSWERS_MAX} answers and rules"));
        }
        if self.rules.is_empty() && self.answers.is_empty() && !self.obey {
            return Err("neither `answers` nor `rules`, nor `obey`".to_owned());
        }
        for answer in answers {
            if answer.delay_ms.max(answer.first_delay_ms) > DELAY_MS_MAX {
                return Err(format!("a delay of more than {DELAY_MS_MAX} ms"));
            }
            for fault in answer.faults.iter().flatten() {
                fault.wrong()?;
                if fault
                    .status
                    .is_some_and(|status| !(300..=599).contains(&status))
                {
                    return Err("a fault's `status` is one of 300 to 599".to_owned());
                }
                if fault.status.is_some() && fault.kind.is_some() {
                    return Err("a fault has a `status` or a `kind`, not both".to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Reads one script.
///
/// # Errors
/// `CX-7013`.
pub fn read(bytes: &[u8]) -> Result<Script, Error> {
    if bytes.len() > SCRIPT_BYTES_MAX {
        return Err(malformed(format!(
            "the script has more than {SCRIPT_BYTES_MAX} bytes"
        )));
    }
    let script: Script = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    script.check().map_err(malformed)?;
    Ok(script)
}

/// serde names all keys it knows; whoever mistyped one wants the nearest.
pub fn unreadable(error: &serde_json::Error) -> Error {
    let said = error.to_string();
    let mut quoted = said.split('`').skip(1).step_by(2);
    let found = said
        .starts_with("unknown field")
        .then(|| quoted.next())
        .flatten();
    malformed(match found {
        Some(unknown) => format!(
            "unknown key `{}`{} (line {}, column {})",
            caxton_core::error::shown(unknown),
            hint(unknown, quoted),
            error.line(),
            error.column()
        ),
        None => said,
    })
}

fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}
