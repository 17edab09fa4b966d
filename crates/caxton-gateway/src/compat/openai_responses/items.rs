//! The items that an answer is made of.

use caxton_core::model::Part;
use caxton_core::session::TurnId;
use serde_json::{Value, json};

use crate::compat::openai_chat::argument_text;

/// One item of an answer, by its kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Message(String),
    Reasoning(String),
    Call {
        call_id: String,
        name: String,
        arguments: String,
    },
}

impl Item {
    /// What a part is; `None` where it is nothing of an answer's.
    pub(super) fn of(part: &Part) -> Option<Self> {
        Some(match part {
            Part::Text { text } => Self::Message(text.clone()),
            Part::Thinking { text, .. } => Self::Reasoning(text.clone()),
            Part::ToolCall {
                id,
                name,
                arguments,
            } => Self::Call {
                call_id: id.clone(),
                name: name.clone(),
                arguments: argument_text(arguments),
            },
            _ => return None,
        })
    }

    /// Its id: the same each time it is told.
    pub(super) fn id(&self, turn: TurnId, index: usize) -> String {
        let kind = match self {
            Self::Message(_) => "msg",
            Self::Reasoning(_) => "rs",
            Self::Call { .. } => "fc",
        };
        format!("{kind}_{turn}_{index}")
    }

    /// The whole item.
    pub(super) fn done(&self, turn: TurnId, index: usize) -> Value {
        self.write(turn, index, "completed", true)
    }

    /// The item as it begins: without what it will say.
    pub(super) fn begun(&self, turn: TurnId, index: usize) -> Value {
        self.write(turn, index, "in_progress", false)
    }

    fn write(&self, turn: TurnId, index: usize, status: &str, whole: bool) -> Value {
        let id = self.id(turn, index);
        match self {
            Self::Message(text) => {
                let content: Vec<Value> = whole.then(|| text_part(text)).into_iter().collect();
                json!({
                    "id": id,
                    "type": "message",
                    "status": status,
                    "role": "assistant",
                    "content": content,
                })
            }
            Self::Reasoning(text) => {
                let summary = whole.then(|| summary_part(text));
                let summary: Vec<Value> = summary.into_iter().collect();
                json!({"id": id, "type": "reasoning", "summary": summary})
            }
            Self::Call {
                call_id,
                name,
                arguments,
            } => json!({
                "id": id,
                "type": "function_call",
                "status": status,
                "call_id": call_id,
                "name": name,
                "arguments": if whole { arguments.as_str() } else { "" },
            }),
        }
    }
}

pub(super) fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

pub(super) fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}
