//! Tools: what an agent may reach besides other agents, and by which names. A *tool* is registered by
//! a tenant or by the server's operator, or is built in; it has one or more *functions*, which are what
//! is called. A function's full name is `tool.function`; where a tool has one function of its own name,
//! the name alone. An agent that is asked for an answer is a tool too: `agent:NAME`.
//!
//! Whether a call may be made is decided in [`permit`]; how a tool of a tenant's own is reached is said
//! in [`define`]; what of its arguments is written down, in [`redact`]; `tool.toml` is read in
//! [`manifest`].

pub mod agents;
pub mod define;
pub mod manifest;
pub mod permit;
pub mod redact;
pub mod schema;

pub use define::{Auth, Definition, HttpFunction, HttpTool, McpTool, Place};
pub use manifest::ToolManifest;
pub use permit::{Layers, Level, Rules, Verdict, decide};

use crate::agent::AgentName;
use crate::error::{Code, Error, shown};
use crate::id::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;
use std::fmt;

/// Longest name of a tool, in bytes.
pub const TOOL_NAME_BYTES_MAX: usize = 48;
/// Longest name of a function, in bytes (as the Model Context Protocol has it).
pub const FUNCTION_NAME_BYTES_MAX: usize = 128;
/// Functions of one tool.
pub const FUNCTIONS_MAX: usize = 256;
/// Largest schema of a function's arguments or result, in bytes of JSON.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Longest description of a function, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 16 << 10;
/// Largest arguments of one call, in bytes of JSON.
pub const ARGUMENTS_BYTES_MAX: usize = 1 << 20;

/// A tool's name, unique in its tenant: `[a-z][a-z0-9_-]{0,47}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolName(SmolStr);

impl ToolName {
    /// What no tool may be called, because names of another kind begin with it.
    const RESERVED: &'static str = "agent";

    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut bytes = text.bytes();
        let fits = text.len() <= TOOL_NAME_BYTES_MAX
            && bytes.next().is_some_and(|b| b.is_ascii_lowercase())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
        if fits && text != Self::RESERVED {
            return Ok(Self(SmolStr::new(text)));
        }
        Err(Error::new(
            Code::ToolMalformed,
            format!(
                "`{}` is not a tool's name: a small letter, then up to 47 small letters, digits, `_`, `-`; not `agent`",
                shown(text)
            ),
        ))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A function's name, unique in its tool: 1 to 128 letters, digits, `_`, `-`, `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName(SmolStr);

impl FunctionName {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fit = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        if (1..=FUNCTION_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(fit) {
            return Ok(Self(SmolStr::new(text)));
        }
        Err(Error::new(
            Code::ToolMalformed,
            format!(
                "`{}` is not a function's name: 1 to 128 letters, digits, `_`, `-`, `.`",
                shown(text)
            ),
        ))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_of_name {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.0.as_str(), f)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self, Error> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }
    )*};
}
// Two newtypes of text, written and read alike.
text_of_name!(ToolName, FunctionName);

/// What is called.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ToolId {
    Function(ToolName, FunctionName),
    /// An agent of the tenant, asked and waited for.
    Agent(AgentName),
}

/// What names of agents as tools begin with.
pub const AGENT_PREFIX: &str = "agent:";

impl ToolId {
    /// `tool.function`, `tool` for `tool.tool`, or `agent:NAME`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(agent) = text.strip_prefix(AGENT_PREFIX) {
            return AgentName::parse(agent).map(Self::Agent);
        }
        let (tool, function) = text.split_once('.').unwrap_or((text, text));
        Ok(Self::Function(
            ToolName::parse(tool)?,
            FunctionName::parse(function)?,
        ))
    }

    /// The tool that the function is of; none for an agent.
    pub fn tool(&self) -> Option<&ToolName> {
        match self {
            Self::Function(tool, _) => Some(tool),
            Self::Agent(_) => None,
        }
    }
}

impl fmt::Display for ToolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(tool, function) if tool.as_str() == function.as_str() => {
                f.write_str(tool.as_str())
            }
            Self::Function(tool, function) => write!(f, "{tool}.{function}"),
            Self::Agent(agent) => write!(f, "{AGENT_PREFIX}{agent}"),
        }
    }
}

impl fmt::Debug for ToolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for ToolId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<ToolId> for String {
    fn from(id: ToolId) -> Self {
        id.to_string()
    }
}

/// What carries a tool's calls out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolKind {
    /// The server itself.
    Builtin,
    /// Somebody's HTTP endpoints.
    Http,
    /// A server of the Model Context Protocol.
    Mcp,
    /// A component in the sandbox.
    Wasm,
    /// An agent that is asked.
    Agent,
}

impl ToolKind {
    pub const ALL: [Self; 5] = [
        Self::Builtin,
        Self::Http,
        Self::Mcp,
        Self::Wasm,
        Self::Agent,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Http => "http",
            Self::Mcp => "mcp",
            Self::Wasm => "wasm",
            Self::Agent => "agent",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a call of a function may do to the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It only looks.
    Reads,
    /// It changes something, or nobody who is believed said that it does not.
    #[default]
    Acts,
}

impl Effect {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Acts => "acts",
        }
    }
}

/// A function of a tool, as a model or an agent is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    pub name: FunctionName,
    #[serde(default)]
    pub description: String,
    /// JSON Schema (2020-12, where it does not say otherwise) of the arguments: an object.
    pub input: Value,
    /// That of the structured result, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    #[serde(default)]
    pub effect: Effect,
    /// A call that may have happened may be made again under the same key without harm.
    #[serde(default)]
    pub repeatable: bool,
}

impl Function {
    /// What tells whether a function is what it was when somebody agreed to it: SHA-256 over all that
    /// a model is told, and what it may do.
    pub fn fingerprint(&self) -> Digest {
        let said = serde_json::json!([
            self.name.as_str(),
            self.description,
            self.input,
            self.output,
            self.effect.as_str(),
        ]);
        Digest::of(canonical(&said).as_bytes())
    }

    /// Checks the bounds that hold for functions of every kind; the schemas themselves are read by
    /// whoever validates with them.
    pub fn check(&self) -> Result<(), Error> {
        let too_long = |what: &str, max: usize| {
            let text = format!("the {what} of `{}` has more than {max} bytes", self.name);
            Err(Error::new(Code::ToolMalformed, text))
        };
        if self.description.len() > DESCRIPTION_BYTES_MAX {
            return too_long("description", DESCRIPTION_BYTES_MAX);
        }
        for schema in std::iter::once(&self.input).chain(&self.output) {
            if !schema.is_object() {
                let text = format!("a schema of `{}` is not a JSON object", self.name);
                return Err(Error::new(Code::ToolMalformed, text));
            }
            if schema.to_string().len() > SCHEMA_BYTES_MAX {
                return too_long("schema", SCHEMA_BYTES_MAX);
            }
        }
        Ok(())
    }
}

/// JSON with keys in order and nothing between: the same value is the same text.
pub fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by(|a, b| a.0.cmp(b.0));
                let fields = fields.into_iter().map(|(k, v)| (k.clone(), sorted(v)));
                Value::Object(fields.collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

#[cfg(test)]
mod tests;
