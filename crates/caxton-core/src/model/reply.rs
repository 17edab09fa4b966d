//! A whole answer, put together from its pieces.

use super::content::text_of;
use super::request::tokens_of;
use super::{ModelEvent, ModelFault, ModelFaultKind, Part, StopReason, Tokens};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most bytes of one answer.
pub const REPLY_BYTES_MAX: usize = 8 << 20;
/// Most parts of one answer.
pub const REPLY_PARTS_MAX: usize = 256;

/// What a model answered, or has so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelReply {
    /// The provider's id of it.
    pub id: String,
    /// What the provider says the model was.
    pub model: String,
    pub parts: Vec<Part>,
    /// As the provider told, if it did.
    pub usage: Option<Tokens>,
    pub stop: Option<StopReason>,
    #[serde(skip)]
    bytes: usize,
    /// Tool calls whose arguments are still text: (index, part, text).
    #[serde(skip)]
    open: Vec<(u32, usize, String)>,
}

impl ModelReply {
    /// Takes a piece in. An error is one of bounds or order, and ends the call.
    pub fn apply(&mut self, event: &ModelEvent) -> Result<(), ModelFault> {
        self.bytes = self.bytes.saturating_add(event.bytes());
        if self.bytes > REPLY_BYTES_MAX {
            return Err(ModelFault::new(
                ModelFaultKind::TooLarge,
                format!("the answer has more than {REPLY_BYTES_MAX} bytes"),
            ));
        }
        match event {
            ModelEvent::Started { id, model } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            ModelEvent::Text(more) => match self.parts.last_mut() {
                Some(Part::Text { text }) => text.push_str(more),
                _ => self.push(Part::text(more.as_str()))?,
            },
            ModelEvent::Thinking(more) => match self.parts.last_mut() {
                Some(Part::Thinking {
                    text,
                    signature: None,
                }) => text.push_str(more),
                _ => self.push(Part::Thinking {
                    text: more.clone(),
                    signature: None,
                })?,
            },
            ModelEvent::ThinkingSigned(more) => match self.parts.last_mut() {
                Some(Part::Thinking { signature, .. }) => {
                    signature.get_or_insert_default().push_str(more);
                }
                _ => self.push(Part::Thinking {
                    text: String::new(),
                    signature: Some(more.clone()),
                })?,
            },
            ModelEvent::ToolCall { index, id, name } => {
                self.open.push((*index, self.parts.len(), String::new()));
                self.push(Part::ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: Value::Null,
                })?;
            }
            ModelEvent::ToolArguments { index, json } => {
                let open = self.open.iter_mut().rev().find(|(it, ..)| it == index);
                let Some((_, _, text)) = open else {
                    return Err(ModelFault::new(
                        ModelFaultKind::Malformed,
                        "arguments of a tool call that did not begin",
                    ));
                };
                text.push_str(json);
            }
            ModelEvent::Other(part) => self.push(part.clone())?,
            ModelEvent::Usage(usage) => self.usage = Some(*usage),
            ModelEvent::Finished(stop) => {
                self.close();
                self.stop = Some(stop.clone());
            }
        }
        Ok(())
    }

    fn push(&mut self, part: Part) -> Result<(), ModelFault> {
        if self.parts.len() >= REPLY_PARTS_MAX {
            return Err(ModelFault::new(
                ModelFaultKind::TooLarge,
                format!("the answer has more than {REPLY_PARTS_MAX} parts"),
            ));
        }
        self.parts.push(part);
        Ok(())
    }

    /// Reads the arguments of tool calls. What is no JSON stays the text it is, for the tool's schema
    /// to refuse; none at all are an empty object.
    fn close(&mut self) {
        for (_, at, text) in self.open.drain(..) {
            let value = match text.trim() {
                "" => Value::Object(serde_json::Map::new()),
                json => serde_json::from_str(json).unwrap_or(Value::String(text)),
            };
            if let Some(Part::ToolCall { arguments, .. }) = self.parts.get_mut(at) {
                *arguments = value;
            }
        }
    }

    /// All that was said, thinking left out.
    pub fn text(&self) -> String {
        text_of(&self.parts)
    }

    /// The tools the model wants called: (id, name, arguments).
    pub fn tool_calls(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall {
                id,
                name,
                arguments,
            } => Some((id.as_str(), name.as_str(), arguments)),
            _ => None,
        })
    }

    /// An estimate of the tokens this is.
    pub fn tokens_estimate(&self) -> u64 {
        tokens_of(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(events: &[ModelEvent], parts: &[Part]) {
        let mut reply = ModelReply::default();
        for event in events {
            reply.apply(event).unwrap();
        }
        reply.apply(&ModelEvent::Finished(StopReason::End)).unwrap();
        assert_eq!(reply.parts, parts);
    }

    #[test]
    fn pieces_of_text_are_one_part() {
        check(
            &[ModelEvent::Text("a".into()), ModelEvent::Text("b".into())],
            &[Part::text("ab")],
        );
    }

    #[test]
    fn interleaved_tool_calls_keep_their_own_arguments() {
        let call = |index, id: &str| ModelEvent::ToolCall {
            index,
            id: id.into(),
            name: "f".into(),
        };
        let arguments = |index, json: &str| ModelEvent::ToolArguments {
            index,
            json: json.into(),
        };
        let part = |id: &str, arguments| Part::ToolCall {
            id: id.into(),
            name: "f".into(),
            arguments,
        };
        check(
            &[
                call(0, "x"),
                call(1, "y"),
                arguments(0, "{\"a\":"),
                arguments(1, "{oops"),
                arguments(0, "1}"),
                call(2, "z"),
            ],
            &[
                part("x", json!({"a": 1})),
                part("y", json!("{oops")),
                part("z", json!({})),
            ],
        );
    }

    #[test]
    fn arguments_without_a_call_and_endless_answers_are_faults() {
        let mut reply = ModelReply::default();
        let fault = reply.apply(&ModelEvent::ToolArguments {
            index: 0,
            json: "{}".into(),
        });
        assert_eq!(fault.unwrap_err().kind, ModelFaultKind::Malformed);
        let long = ModelEvent::Text("x".repeat(REPLY_BYTES_MAX / 2 - 1));
        reply.apply(&long).unwrap();
        reply.apply(&long).unwrap();
        let fault = reply.apply(&ModelEvent::Text("x".into()));
        assert_eq!(fault.unwrap_err().kind, ModelFaultKind::TooLarge);
    }
}
