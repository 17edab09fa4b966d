//! The tools of a turn: what the model is told of them, and whose each one is. Which tools there are
//! is decided here, once, from the manifest and what the client brought; what a call of one does is the
//! driver's. A further kind of tool is a variant of [`Tool`], its [`ToolSpec`] here, and an arm there.

use crate::bounds::TOOL_NAME_BYTES_MAX;
use caxton_core::error::Error;
use caxton_core::model::{ToolChoice, ToolSpec};
use caxton_core::session::ClientSide;
use caxton_core::{AgentName, Manifest, Performative};
use serde_json::{Value, json};

/// The name of the tool that hands a conversation over.
pub const HAND_OVER: &str = "hand_over";
/// What names of tools that ask agents begin with.
const ASK: &str = "ask_";
/// What an agent may be asked with.
const ACTS: [Performative; 3] = [
    Performative::Request,
    Performative::QueryRef,
    Performative::QueryIf,
];

/// Whose a tool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Gives the conversation to another assistant.
    HandOver,
    /// Asks an agent and waits for its answer.
    Agent(AgentName),
    /// The client's own: a call of it ends the turn.
    Client,
}

/// The tools of a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Toolbox {
    specs: Vec<ToolSpec>,
    tools: Vec<Tool>,
    handover: Vec<AgentName>,
}

impl Toolbox {
    /// The tools that the manifest allows, and the client's. Where both have one of the same name, it
    /// is the client's.
    pub fn new(manifest: &Manifest, client: Option<&ClientSide>) -> Result<Self, Error> {
        let mut toolbox = Self::default();
        for spec in client.iter().flat_map(|it| &it.tools) {
            toolbox.add(spec.clone(), Tool::Client);
        }
        for agent in manifest.tools.agents() {
            let name = toolbox.free(&format!("{ASK}{agent}"));
            toolbox.add(ask_spec(name, agent), Tool::Agent(agent.clone()));
        }
        let handover = manifest.assistant.as_ref().map(|it| &it.handover);
        if let Some(names) = handover.filter(|names| !names.is_empty()) {
            toolbox.handover.clone_from(names);
            toolbox.add(hand_over_spec(names), Tool::HandOver);
        }
        Ok(toolbox)
    }

    fn add(&mut self, spec: ToolSpec, tool: Tool) {
        if self.find(&spec.name).is_none() {
            self.specs.push(spec);
            self.tools.push(tool);
        }
    }

    /// A name that every provider takes and that no other tool has.
    fn free(&self, name: &str) -> String {
        let fit = |c: char| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        };
        let plain: String = name.chars().map(fit).collect();
        let mut tries = (1..=self.specs.len() + 1).map(|n| {
            let tail = if n == 1 {
                String::new()
            } else {
                format!("_{n}")
            };
            let room = TOOL_NAME_BYTES_MAX - tail.len();
            format!(
                "{}{tail}",
                plain.get(..room.min(plain.len())).unwrap_or_default()
            )
        });
        let free = tries.find(|name| self.find(name).is_none());
        free.unwrap_or(plain)
    }

    /// What the model is told.
    pub fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }

    pub fn find(&self, name: &str) -> Option<&Tool> {
        let at = self.specs.iter().position(|spec| spec.name == name)?;
        self.tools.get(at)
    }

    /// Assistants that the conversation may be handed over to.
    pub fn handover(&self) -> &[AgentName] {
        &self.handover
    }

    /// The names of all tools, for a model that called another.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.specs.iter().map(|spec| spec.name.as_str()).collect();
        names.join(", ")
    }

    /// What of a client's choice of tools can be asked for.
    pub fn choice(&self, choice: &ToolChoice) -> ToolChoice {
        match choice {
            _ if self.specs.is_empty() => ToolChoice::Auto,
            ToolChoice::Named(name) if self.find(name).is_none() => ToolChoice::Auto,
            choice => choice.clone(),
        }
    }
}

fn ask_spec(name: String, agent: &AgentName) -> ToolSpec {
    let acts: Vec<&str> = ACTS.iter().map(|act| act.as_str()).collect();
    ToolSpec {
        name,
        description: format!("Asks the agent `{agent}` and gives its answer."),
        schema: json!({
            "type": "object",
            "properties": {
                "message": {"type": "string", "description": "What to ask, as the agent understands it."},
                "performative": {
                    "type": "string",
                    "enum": acts,
                    "description": "`request` to have something done (default), `query-ref` or `query-if` to ask for what is.",
                },
            },
            "required": ["message"],
            "additionalProperties": false,
        }),
    }
}

fn hand_over_spec(names: &[AgentName]) -> ToolSpec {
    let names: Vec<&str> = names.iter().map(AgentName::as_str).collect();
    ToolSpec {
        name: HAND_OVER.to_owned(),
        description:
            "Hands the conversation over to another assistant, which sees all of it and goes on \
            with it in your place."
                .to_owned(),
        schema: json!({
            "type": "object",
            "properties": {
                "to": {"type": "string", "enum": names, "description": "Who goes on."},
                "note": {"type": "string", "description": "What the other should know and do."},
            },
            "required": ["to"],
            "additionalProperties": false,
        }),
    }
}

/// A question to an agent, read from a call's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub performative: Performative,
    pub message: String,
}

impl Question {
    /// Reads the arguments. An error is told to the model.
    pub fn of(arguments: &Value) -> Result<Self, String> {
        let message = arguments.get("message").and_then(Value::as_str);
        let Some(message) = message else {
            return Err("`message` is missing, or is no text".to_owned());
        };
        let act = match arguments.get("performative") {
            None | Some(Value::Null) => Some(Performative::Request),
            Some(act) => {
                let is = |it: &Performative| act.as_str() == Some(it.as_str());
                ACTS.into_iter().find(is)
            }
        };
        let Some(performative) = act else {
            return Err("`performative` is one of request, query-ref, query-if".to_owned());
        };
        Ok(Self {
            performative,
            message: message.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn toolbox(allow: &str, handover: &str, client: &[&str]) -> Toolbox {
        let text = format!(
            "name = \"me\"\nbehavior = \"assistant\"\n[assistant]\nhandover = {handover}\n[tools]\nallow = {allow}"
        );
        let tools = client.iter().map(|name| ToolSpec {
            name: (*name).to_owned(),
            description: String::new(),
            schema: json!({"type": "object"}),
        });
        let client = ClientSide {
            tools: tools.collect(),
            ..ClientSide::default()
        };
        Toolbox::new(&Manifest::parse(&text).unwrap(), Some(&client)).unwrap()
    }

    #[test]
    fn every_tool_has_a_name_that_providers_take_and_is_somebodys() {
        let long = format!("a{}", "b".repeat(62));
        let allow = format!("[\"agent:a.b\", \"agent:a_b\", \"agent:{long}\", \"agent:c\"]");
        let toolbox = toolbox(&allow, "[\"d\"]", &["ask_c"]);
        let agent = |name: &str| Tool::Agent(AgentName::parse(name).unwrap());
        assert_eq!(toolbox.find("ask_c"), Some(&Tool::Client));
        assert_eq!(toolbox.find("ask_c_2"), Some(&agent("c")));
        assert_eq!(toolbox.find("ask_a_b"), Some(&agent("a.b")));
        assert_eq!(toolbox.find("ask_a_b_2"), Some(&agent("a_b")));
        assert_eq!(toolbox.find("hand_over"), Some(&Tool::HandOver));
        assert_eq!(toolbox.find("d"), None);
        assert!(
            toolbox
                .specs()
                .iter()
                .all(|it| it.name.len() <= TOOL_NAME_BYTES_MAX)
        );
        assert_eq!(toolbox.specs().len(), 6);
    }

    #[test]
    fn without_names_there_is_no_handover_and_the_clients_own_tool_goes_before() {
        assert_eq!(toolbox("[]", "[]", &[]).specs(), []);
        let toolbox = toolbox("[]", "[\"d\"]", &["hand_over"]);
        assert_eq!(toolbox.find("hand_over"), Some(&Tool::Client));
        assert_eq!(toolbox.specs().len(), 1);
    }

    #[test]
    fn questions_are_read_strictly() {
        let read = |value: Value| Question::of(&value);
        let question = read(json!({"message": "get", "performative": "query-ref"})).unwrap();
        assert_eq!(question.performative, Performative::QueryRef);
        let question = read(json!({"message": "add 1"})).unwrap();
        assert_eq!(question.performative, Performative::Request);
        for bad in [
            json!({}),
            json!({"message": 1}),
            json!({"message": "x", "performative": "cfp"}),
        ] {
            assert!(read(bad).is_err());
        }
    }
}
