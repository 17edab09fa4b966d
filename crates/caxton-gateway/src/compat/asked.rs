//! What a client of a compatible door asks for, in no provider's own words, and who is to answer:
//! an assistant by its name, or a model as `provider/model`.

use caxton_api::ApiError;
use caxton_core::AgentName;
use caxton_core::error::{Code, shown};
use caxton_core::model::{
    AnswerForm, ChatMessage, ChatRole, Dialect, Extra, ModelName, ModelRequest, Part, SystemMark,
    Thinking, ToolChoice, ToolSpec,
};
use caxton_core::session::{ClientSide, Say};
use serde_json::{Map, Value};
use std::collections::HashSet;

use super::read::wrong;

/// Letters of a tool's name.
const TOOL_NAME_BYTES_MAX: usize = 128;
/// Tokens of an answer where the client does not say and a model is asked without an assistant.
const OUTPUT_TOKENS_DEFAULT: u32 = 4_096;

/// A request of a compatible door.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) dialect: Dialect,
    /// As the client wrote it.
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) system: String,
    pub(crate) system_marks: Vec<SystemMark>,
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) tools: Vec<ToolSpec>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) parallel_calls: Option<bool>,
    pub(crate) output_tokens_max: Option<u32>,
    pub(crate) thinking: Option<Thinking>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) stop: Vec<String>,
    /// Fields that only the dialect has, that of `form` among them, as it came.
    pub(crate) extra: Map<String, Value>,
    /// What the answer is to be, for providers of other dialects.
    pub(crate) form: Option<AnswerForm>,
}

/// Who is to answer, and what.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Addressed {
    Assistant(AgentName, Box<Say>),
    Model(ModelName, Box<ModelRequest>),
}

impl Asked {
    pub(crate) fn new(dialect: Dialect, model: String) -> Self {
        Self {
            dialect,
            model,
            stream: false,
            system: String::new(),
            system_marks: Vec::new(),
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_calls: None,
            output_tokens_max: None,
            thinking: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            extra: Map::new(),
            form: None,
        }
    }

    /// More of what the system says.
    pub(super) fn add_system(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.system.is_empty() {
            self.system.push_str("\n\n");
        }
        self.system.push_str(text);
    }

    /// What only the dialect has of what the system said last.
    pub(super) fn mark_system(&mut self, fields: Map<String, Value>) {
        let (end, dialect) = (self.system.len(), self.dialect);
        if end > self.system_marks.last().map_or(0, |it| it.end) {
            let extra = (dialect, fields);
            self.system_marks.push(SystemMark { end, extra });
        }
    }

    /// One more message. What tools answered is one message with what the user says after it, since
    /// providers that know two sides only want them in turns.
    pub(super) fn add(&mut self, role: ChatRole, parts: Vec<Part>) {
        let is_answers = |message: &ChatMessage| {
            let result = |part: &Part| matches!(part, Part::ToolResult { .. });
            message.parts.iter().any(result)
        };
        match self.messages.last_mut() {
            Some(last) if last.role == role && is_answers(last) => last.parts.extend(parts),
            _ => self.messages.push(ChatMessage { role, parts }),
        }
    }

    /// More of the assistant's last message: where a dialect has its parts one by one.
    pub(super) fn add_to_assistant(&mut self, part: Part) {
        match self.messages.last_mut() {
            Some(last) if last.role == ChatRole::Assistant => last.parts.push(part),
            _ => self.messages.push(ChatMessage {
                role: ChatRole::Assistant,
                parts: vec![part],
            }),
        }
    }

    /// Whether a model is asked without an assistant.
    pub(crate) fn is_model(&self) -> bool {
        self.model.contains('/')
    }

    /// An estimate of the tokens this is, without what an assistant adds.
    pub(crate) fn tokens_estimate(self) -> u64 {
        self.into_model_request().tokens_estimate()
    }

    /// Refuses what every provider of these dialects refuses, before anybody is asked.
    fn check(&self) -> Result<(), ApiError> {
        if self.output_tokens_max == Some(0) {
            let name = match self.dialect {
                Dialect::OpenaiResponses => "max_output_tokens",
                Dialect::OpenaiChat => "max_completion_tokens",
                Dialect::Anthropic => "max_tokens",
            };
            return Err(wrong(name, "must be 1 or more"));
        }
        let mut names = HashSet::new();
        for (n, tool) in self.tools.iter().enumerate() {
            let name = tool.name.as_str();
            let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            let fits = (1..=TOOL_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(letter);
            let what = match (fits, names.insert(name)) {
                (true, true) => continue,
                (true, false) => "is the name of another tool too",
                (false, _) => "is not 1 to 128 letters, digits, `_` and `-`",
            };
            let place = match self.dialect {
                Dialect::OpenaiChat => format!("tools[{n}].function.name"),
                _ => format!("tools[{n}].name"),
            };
            return Err(wrong(&place, what));
        }
        Ok(())
    }

    fn into_model_request(self) -> ModelRequest {
        let output = self.output_tokens_max.unwrap_or(OUTPUT_TOKENS_DEFAULT);
        ModelRequest {
            system: self.system,
            system_marks: self.system_marks,
            tools: self.tools,
            tool_choice: self.tool_choice,
            parallel_calls: self.parallel_calls,
            thinking: self.thinking,
            temperature: self.temperature,
            top_p: self.top_p,
            stop: self.stop,
            extra: extra(self.dialect, self.extra),
            form: self.form,
            ..ModelRequest::new(self.messages, output)
        }
    }

    /// Who is to answer.
    ///
    /// # Errors
    /// A name that nobody has is told as that, whatever it looks like: clients bring the names of
    /// models along. An assistant is asked by a user, so the last message must be one.
    pub(crate) fn addressed(mut self) -> Result<Addressed, ApiError> {
        self.check()?;
        if self.is_model() {
            let model = ModelName::parse(&self.model)?;
            return Ok(Addressed::Model(model, Box::new(self.into_model_request())));
        }
        let agent = AgentName::parse(&self.model).map_err(|_| {
            let detail = format!("there is no assistant `{}`", shown(&self.model));
            ApiError::new(Code::AgentNotFound, detail).with_field("model", "is nobody's name")
        })?;
        let last = self.messages.pop();
        let Some(last) = last.filter(|it| it.role == ChatRole::User) else {
            let what = "must end with what the user says, or what a tool answered";
            return Err(wrong("messages", what));
        };
        let say = Say {
            parts: last.parts,
            thinking: self.thinking,
            passing: true,
            client: Some(ClientSide {
                system: self.system,
                system_marks: self.system_marks,
                history: self.messages,
                tools: self.tools,
                tool_choice: self.tool_choice,
                parallel_calls: self.parallel_calls,
                output_tokens_max: self.output_tokens_max,
                temperature: self.temperature,
                top_p: self.top_p,
                stop: self.stop,
                extra: extra(self.dialect, self.extra),
                form: self.form,
            }),
            handed: None,
        };
        Ok(Addressed::Assistant(agent, Box::new(say)))
    }
}

fn extra(dialect: Dialect, extra: Map<String, Value>) -> Option<Extra> {
    (!extra.is_empty()).then_some((dialect, extra))
}
