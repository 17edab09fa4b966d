//! The part of a turn that is about tools: which calls of an answer are run, and which are not and why.

use super::{Answered, Call, Effect, Pending, State, Turn};
use crate::bounds::{
    BAD_CALLS_MAX, CALL_ID_BYTES_MAX, CALLS_PER_STEP_MAX, NOTE_CHARS_MAX, SAME_CALLS_MAX,
};
use crate::toolbox::Tool;
use caxton_core::error::{Code, Error, shown};
use caxton_core::model::{ChatMessage, ChatRole, Part};
use caxton_core::session::{HANDS_MAX, TurnEvent};
use caxton_core::{AgentName, Timestamp};
use serde_json::Value;

impl Turn {
    /// A part that is a call, with whose tool it is; no tool's is nobody's, which is found out later.
    pub(super) fn call(&self, part: &Part) -> Option<Call> {
        let Part::ToolCall {
            id,
            name,
            arguments,
        } = part
        else {
            return None;
        };
        Some(Call {
            id: id.clone(),
            name: name.clone(),
            arguments: arguments.clone(),
            tool: self.toolbox.find(name).cloned().unwrap_or(Tool::Client),
        })
    }

    /// Gives calls ids of their own where a provider gave none, or one twice.
    pub(super) fn name_calls(&self, parts: &mut [Part]) {
        let mut seen: Vec<String> = Vec::new();
        for (at, part) in parts.iter_mut().enumerate() {
            let Part::ToolCall { id, .. } = part else {
                continue;
            };
            if id.is_empty() || id.len() > 4 * CALL_ID_BYTES_MAX || seen.contains(id) {
                *id = format!("call_{}_{at}", self.steps);
            }
            seen.push(id.clone());
        }
    }

    /// Runs what the model called, or says why not.
    pub(super) fn calls(&mut self, calls: Vec<Call>, now: Timestamp) -> Vec<Effect> {
        let mut effects: Vec<Effect> = calls.iter().map(called).collect();
        let mut pending = Vec::with_capacity(calls.len());
        let mut again = None;
        let hands = calls.iter().position(|call| call.tool == Tool::HandOver);
        for (at, call) in calls.into_iter().enumerate() {
            let mut result = self.bad(&call, at);
            if at < CALLS_PER_STEP_MAX && self.toolbox.find(&call.name).is_none() {
                effects.push(Effect::Unknown(call.name.clone()));
            }
            if result.is_some() {
                self.bad_calls += 1;
            } else if hands.is_some_and(|first| first != at) {
                result = Some(Answered::error("not run: the conversation is handed over"));
            } else if self.made(&call) > SAME_CALLS_MAX {
                again = Some(call.name.clone());
                result = Some(Answered::error(
                    "not run: it was run with the same arguments before",
                ));
            } else if call.tool == Tool::HandOver {
                match self.hand_over(&call.arguments) {
                    Ok((to, note)) => {
                        effects.push(self.handed_over(to, note));
                        return effects;
                    }
                    Err(refused) => result = Some(Answered::error(refused)),
                }
            }
            pending.push(Pending { call, result });
        }
        let run: Vec<Call> = pending
            .iter()
            .filter(|it| it.result.is_none())
            .map(|it| it.call.clone())
            .collect();
        let limit = match again {
            Some(name) => Some(format!(
                "the model called {} with the same arguments more than {SAME_CALLS_MAX} times",
                shown(&name)
            )),
            None if self.bad_calls > BAD_CALLS_MAX => Some(format!(
                "the model made more than {BAD_CALLS_MAX} calls that no tool takes"
            )),
            None => None,
        };
        if let Some(detail) = limit {
            effects.push(self.failed(&Error::new(Code::TurnLimit, detail)));
            return effects;
        }
        if run.is_empty() {
            effects.extend(self.results(pending, Vec::new(), now));
            return effects;
        }
        self.state = State::Calling(pending);
        effects.push(Effect::Call {
            calls: run,
            cost_micros: self.cost_left(),
        });
        effects
    }

    /// Why a call cannot be made, for the model to mend.
    fn bad(&self, call: &Call, at: usize) -> Option<Answered> {
        if at >= CALLS_PER_STEP_MAX {
            let text = format!("not run: one answer may call at most {CALLS_PER_STEP_MAX} tools");
            return Some(Answered::error(text));
        }
        if self.toolbox.find(&call.name).is_none() {
            let names = self.toolbox.names();
            let text = format!(
                "there is no tool `{}`; there are: {names}",
                shown(&call.name)
            );
            return Some(Answered::error(text));
        }
        if !call.arguments.is_object() {
            let text =
                "the arguments are not a JSON object, or were cut off; call again with all of them";
            return Some(Answered::error(text));
        }
        None
    }

    /// How often this call was made, this time included.
    fn made(&mut self, call: &Call) -> u32 {
        let same = |it: &&mut (String, Value, u32)| it.0 == call.name && it.1 == call.arguments;
        if let Some((_, _, times)) = self.made.iter_mut().find(same) {
            *times += 1;
            return *times;
        }
        self.made
            .push((call.name.clone(), call.arguments.clone(), 1));
        1
    }

    fn hand_over(&self, arguments: &Value) -> Result<(AgentName, String), String> {
        let to = arguments
            .get("to")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let named = self
            .toolbox
            .handover()
            .iter()
            .find(|name| name.as_str() == to);
        let Some(named) = named else {
            let code = Code::HandoverRefused;
            return Err(format!(
                "{code}: `{}` is none that may be handed over to",
                shown(to)
            ));
        };
        if self.settings.hands >= HANDS_MAX {
            let code = Code::HandoverRefused;
            return Err(format!(
                "{code}: the message went through {HANDS_MAX} hands already; answer it"
            ));
        }
        let note = arguments
            .get("note")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let note: String = note.trim().chars().take(NOTE_CHARS_MAX).collect();
        Ok((named.clone(), note))
    }

    /// Tools answered; the model goes on.
    pub(super) fn results(
        &mut self,
        pending: Vec<Pending>,
        results: Vec<Answered>,
        now: Timestamp,
    ) -> Vec<Effect> {
        let mut ran = results.into_iter();
        let mut effects = Vec::new();
        let mut parts = Vec::with_capacity(pending.len());
        for Pending { call, result } in pending {
            let result = result.or_else(|| ran.next());
            let Answered {
                parts: said,
                is_error,
            } = result.unwrap_or_else(|| Answered::error("the tool gave no result"));
            effects.push(Effect::Tell(TurnEvent::ToolResult {
                id: call.id.clone(),
                name: call.name,
                parts: said.clone(),
                is_error,
            }));
            let id = call.id;
            parts.push(Part::ToolResult {
                id,
                parts: said,
                is_error,
            });
        }
        let role = ChatRole::User;
        self.context.turn.push(ChatMessage { role, parts });
        effects.extend(self.ask(now));
        effects
    }
}

pub(super) fn called(call: &Call) -> Effect {
    Effect::Tell(TurnEvent::ToolCall {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    })
}
