//! The tools of a turn: what the model is told of them, and whose each one is. Which may be called the
//! host says; here they get names that every provider takes, beside those that the client brought.

use crate::bounds::TOOL_NAME_BYTES_MAX;
use caxton_core::AgentName;
use caxton_core::model::{ToolChoice, ToolSpec};
use caxton_core::session::ClientSide;
use caxton_core::tool::{Function, ToolId};
use caxton_engine::tools::OfferedTool;
use serde_json::json;

/// The name of the tool that hands a conversation over.
pub const HAND_OVER: &str = "hand_over";
/// What names of tools that ask agents begin with.
const ASK: &str = "ask_";
/// Whose a tool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Gives the conversation to another assistant.
    HandOver,
    /// A function of a tool, or an agent that is asked.
    Call(ToolId),
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
    /// The tools that are offered, the assistants that may be handed over to, and the client's tools.
    /// Where two have the same name, it is the client's.
    pub fn new(
        offered: &[OfferedTool],
        handover: Vec<AgentName>,
        client: Option<&ClientSide>,
    ) -> Self {
        let mut toolbox = Self::default();
        for spec in client.iter().flat_map(|it| &it.tools) {
            toolbox.add(spec.clone(), Tool::Client);
        }
        for tool in offered {
            let name = match &tool.id {
                ToolId::Agent(agent) => format!("{ASK}{agent}"),
                id => id.to_string(),
            };
            let Function {
                description, input, ..
            } = &*tool.function;
            let spec = ToolSpec::new(toolbox.free(&name), description.clone(), input.clone());
            toolbox.add(spec, Tool::Call(tool.id.clone()));
        }
        if !handover.is_empty() {
            toolbox.add(hand_over_spec(&handover), Tool::HandOver);
            toolbox.handover = handover;
        }
        toolbox
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

fn hand_over_spec(names: &[AgentName]) -> ToolSpec {
    let names: Vec<&str> = names.iter().map(AgentName::as_str).collect();
    ToolSpec::new(
        HAND_OVER,
        "Hands the conversation over to another assistant, which sees all of it and goes on with it \
        in your place.",
        json!({
            "type": "object",
            "properties": {
                "to": {"type": "string", "enum": names, "description": "Who goes on."},
                "note": {"type": "string", "description": "What the other should know and do."},
            },
            "required": ["to"],
            "additionalProperties": false,
        }),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::tool::{Effect, FunctionName, ToolKind};
    use std::sync::Arc;

    fn toolbox(offered: &[&str], handover: &[&str], client: &[&str]) -> Toolbox {
        let handover = handover.iter().map(|it| AgentName::parse(it).unwrap());
        let offered = offered.iter().map(|id| OfferedTool {
            id: ToolId::parse(id).unwrap(),
            kind: ToolKind::Builtin,
            function: Arc::new(Function {
                name: FunctionName::parse("f").unwrap(),
                description: String::new(),
                input: json!({"type": "object"}),
                output: None,
                effect: Effect::Reads,
                repeatable: true,
            }),
        });
        let offered: Vec<OfferedTool> = offered.collect();
        let tools = client.iter().map(|name| {
            let schema = json!({"type": "object"});
            ToolSpec::new(*name, "", schema)
        });
        let client = ClientSide {
            tools: tools.collect(),
            ..ClientSide::default()
        };
        Toolbox::new(&offered, handover.collect(), Some(&client))
    }

    #[test]
    fn every_tool_has_a_name_that_providers_take_and_is_somebodys() {
        let long = format!("a{}", "b".repeat(62));
        let long = format!("agent:{long}");
        let offered = [
            "agent:a.b",
            "agent:a_b",
            &long,
            "agent:c",
            "files.read",
            "fetch",
        ];
        let toolbox = toolbox(&offered, &["d"], &["ask_c"]);
        let id = |text: &str| Tool::Call(ToolId::parse(text).unwrap());
        let agent = |name: &str| id(&format!("agent:{name}"));
        assert_eq!(toolbox.find("files_read"), Some(&id("files.read")));
        assert_eq!(toolbox.find("fetch"), Some(&id("fetch")));
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
        assert_eq!(toolbox.specs().len(), 8);
    }

    #[test]
    fn without_names_there_is_no_handover_and_the_clients_own_tool_goes_before() {
        assert_eq!(toolbox(&[], &[], &[]).specs(), []);
        let toolbox = toolbox(&[], &["d"], &["hand_over"]);
        assert_eq!(toolbox.find("hand_over"), Some(&Tool::Client));
        assert_eq!(toolbox.specs().len(), 1);
    }
}
