//! A model asked without an assistant: what it says becomes the turn's events as they are.

use super::{Caller, Completion, Models};
use crate::turn::failure;
use caxton_core::model::{ModelEvent, Part, StopReason};
use caxton_core::session::{TurnEvent, TurnFailure, TurnOutcome};
use std::sync::Arc;

impl Models {
    /// Asks, tells the turn what comes, and gives its last event.
    pub(crate) async fn straight(&self, caller: &Caller, completion: Completion) -> TurnEvent {
        let turn = Arc::clone(&caller.turn);
        let mut seen = |event: &ModelEvent| match event {
            ModelEvent::Text(text) => turn.emit(TurnEvent::Text { text: text.clone() }),
            ModelEvent::Thinking(text) => turn.emit(TurnEvent::Thinking { text: text.clone() }),
            ModelEvent::ThinkingSigned(text) if !text.is_empty() => {
                let signature = text.clone();
                turn.emit(TurnEvent::ThinkingSigned { signature })
            }
            ModelEvent::Other(part) => part.redacted().map_or(Ok(()), |data| {
                let data = data.to_owned();
                turn.emit(TurnEvent::ThinkingRedacted { data })
            }),
            _ => Ok(()),
        };
        match self.complete(caller, completion, &mut seen).await {
            Ok(completed) => {
                for part in &completed.reply.parts {
                    if let Part::ToolCall {
                        id,
                        name,
                        arguments,
                    } = part
                    {
                        let _ = turn.emit(TurnEvent::ToolCall {
                            id: id.clone(),
                            name: name.clone(),
                            arguments: arguments.clone(),
                        });
                    }
                }
                TurnEvent::Completed(Box::new(TurnOutcome {
                    parts: completed.reply.parts,
                    agent: completed.model.to_string(),
                    model: completed.model,
                    stop: completed.reply.stop.unwrap_or(StopReason::End),
                    usage: completed.tokens,
                    cost_micros: completed.cost_micros,
                    calls: completed.tries,
                }))
            }
            Err(failed) => TurnEvent::Failed(TurnFailure {
                usage: failed.tokens,
                cost_micros: failed.cost_micros,
                calls: failed.tries,
                ..failure(&failed.error)
            }),
        }
    }
}
