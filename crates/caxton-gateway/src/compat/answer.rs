//! A turn's events put together: what the doors answer when nobody wants a stream.

use caxton_api::ApiError;
use caxton_core::model::{Part, StopReason};
use caxton_core::session::{TurnEvent, TurnFailure, TurnId, TurnOutcome};

/// The turn that an answer is of, and what the client calls things.
#[derive(Debug, Clone)]
pub(crate) struct Of {
    pub(crate) turn: TurnId,
    /// As the client asked for it.
    pub(crate) model: String,
    pub(crate) trace_id: Option<String>,
}

impl Of {
    /// The failure of the turn, for the client.
    pub(crate) fn failed(&self, failure: &TurnFailure) -> ApiError {
        let mut error = ApiError::from(failure.error());
        error.trace_id = self.trace_id.as_deref().map(Into::into);
        error
    }
}

/// What has come of a turn so far.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Text and thinking in the order they came; calls of the client's tools at the end.
    pub(crate) parts: Vec<Part>,
    pub(crate) ended: Option<Result<Box<TurnOutcome>, TurnFailure>>,
}

impl Gathered {
    pub(crate) fn take(&mut self, event: &TurnEvent) {
        match event {
            TurnEvent::Text { text } => self.text(text),
            TurnEvent::Thinking { text } => self.thinking(text),
            TurnEvent::ThinkingSigned { signature } => self.signed(signature),
            TurnEvent::ThinkingRedacted { data } => self.parts.push(Part::redacted_thinking(data)),
            TurnEvent::Completed(outcome) => {
                let left: Vec<Part> = rest(&self.parts, outcome).collect();
                self.parts.extend(left);
                self.ended = Some(Ok(outcome.clone()));
            }
            TurnEvent::Failed(failure) => self.ended = Some(Err(failure.clone())),
            _ => {}
        }
    }

    fn text(&mut self, more: &str) {
        match self.parts.last_mut() {
            Some(Part::Text { text }) => text.push_str(more),
            _ => self.parts.push(Part::text(more)),
        }
    }

    fn thinking(&mut self, more: &str) {
        match self.parts.last_mut() {
            // What is signed is whole: more of it is another block.
            Some(Part::Thinking {
                text,
                signature: None,
            }) => text.push_str(more),
            _ => self.parts.push(Part::Thinking {
                text: more.to_owned(),
                signature: None,
            }),
        }
    }

    fn signed(&mut self, more: &str) {
        match self.parts.last_mut() {
            Some(Part::Thinking { signature, .. }) => {
                signature.get_or_insert_default().push_str(more);
            }
            // What was thought is not shown, and wanted back all the same.
            _ => self.parts.push(Part::Thinking {
                text: String::new(),
                signature: Some(more.to_owned()),
            }),
        }
    }
}

/// What an outcome has that was not among the events: the calls of the client's tools, which end a
/// turn, and the text of an answer that came at once.
pub(crate) fn rest<'a>(
    said: &'a [Part],
    outcome: &'a TurnOutcome,
) -> impl Iterator<Item = Part> + use<'a> {
    let spoke = said.iter().any(|part| matches!(part, Part::Text { .. }));
    let left = outcome.parts.iter().filter(move |part| match part {
        Part::Text { text } => !spoke && !text.is_empty(),
        Part::ToolCall { .. } => true,
        _ => false,
    });
    left.cloned()
}

/// Why an answer ends; one that calls tools ends for that.
pub(crate) fn stop(outcome: &TurnOutcome) -> StopReason {
    let calls = |part: &Part| matches!(part, Part::ToolCall { .. });
    match outcome.parts.iter().any(calls) {
        true => StopReason::ToolCalls,
        false => outcome.stop.clone(),
    }
}
