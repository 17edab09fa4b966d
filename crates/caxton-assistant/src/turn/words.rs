//! The words of a turn: what it is run with, what happens in it, what is to be done, how it ends.

use crate::context::Window;
use crate::toolbox::Tool;
use caxton_core::error::Error;
use caxton_core::model::{
    AnswerForm, ChatMessage, Extra, ModelName, ModelReply, ModelRequest, Part, Thinking, ToolChoice,
};
pub use caxton_core::session::Spent;
use caxton_core::session::{TurnEvent, TurnFailure, TurnOutcome};
use caxton_core::{AgentName, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// What a turn is run with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub agent: AgentName,
    pub model: ModelName,
    pub window: Window,
    pub thinking: Thinking,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub stop: Vec<String>,
    pub tool_choice: ToolChoice,
    pub parallel_calls: Option<bool>,
    pub extra: Option<Extra>,
    pub form: Option<AnswerForm>,
    /// The history is the client's: nothing of it is summed up or left out.
    pub passing: bool,
    /// Hands that the message went through.
    pub hands: u32,
    pub steps_max: u32,
    /// 0: none.
    pub tokens_max: u64,
    /// 0: none.
    pub cost_micros_max: u64,
    pub timeout_ms_max: u64,
    pub deadline: Timestamp,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    Begin,
    /// The model answered.
    Answered {
        reply: ModelReply,
        model: ModelName,
        spent: Spent,
    },
    /// It did not, or not to the end.
    Broke {
        error: Error,
        reply: ModelReply,
        spent: Spent,
    },
    /// What the tools answered, in the order of the calls; a person's approval was waited for so long,
    /// which is not the turn's time. What the calls took counts in the turn's ceilings: their prices,
    /// and the turns of assistants that were asked.
    Results {
        results: Vec<Answered>,
        waited: Duration,
        spent: Spent,
    },
    /// The turn cannot go on.
    Stop(Error),
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub parts: Vec<Part>,
    pub is_error: bool,
}

impl Answered {
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::text(text)],
            is_error: true,
        }
    }
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    pub arguments: Value,
    pub tool: Tool,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Tell(TurnEvent),
    /// Ask the model; `aloud`: whoever follows hears the answer.
    Ask {
        request: Box<ModelRequest>,
        aloud: bool,
        /// What is left of the turn's own ceilings.
        tokens: Option<u64>,
        cost_micros: Option<u64>,
    },
    /// The model called what it is not offered.
    Unknown(String),
    /// Run these tools; together they may cost what is left of the turn's ceiling.
    Call {
        calls: Vec<Call>,
        cost_micros: Option<u64>,
    },
    End(Box<End>),
}

/// How a turn ends.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// What it adds to the history, beginning with the newest message.
    pub said: Vec<ChatMessage>,
    /// It did not end well, and this is how far it came.
    pub broken: bool,
    /// By this assistant.
    pub spent: Spent,
    pub how: How,
}

/// The end itself.
#[derive(Clone, Debug, PartialEq)]
pub enum How {
    Completed(TurnOutcome),
    Failed(TurnFailure),
    HandedOver { to: AgentName, note: String },
}
