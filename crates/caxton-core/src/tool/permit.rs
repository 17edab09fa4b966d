//! Whether a call may be made. Three layers speak: the tenant's policy, the agent's manifest and the
//! session. What one denies no other can allow; what one wants asked is asked; and nothing is allowed
//! that the agent's manifest does not name. What a model reads can change none of them.

use super::{AGENT_PREFIX, Effect, FunctionName, ToolId, ToolName};
use crate::agent::AgentName;
use crate::error::{Code, Error, shown};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Patterns of one list.
pub const PATTERNS_MAX: usize = 256;

/// Names tools in a rule.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// `*`: every function of every tool. To allow it allows only what [`Effect::Reads`].
    All,
    /// `tool` or `tool.*`: all functions of a tool.
    Tool(ToolName),
    /// `tool.function`.
    Function(ToolName, FunctionName),
    /// `agent:*`.
    Agents,
    /// `agent:NAME`.
    Agent(AgentName),
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |error: Error| {
            let known = "a pattern is `*`, `tool`, `tool.function`, `agent:NAME` or `agent:*`";
            Error::new(
                Code::ToolPatternMalformed,
                format!("`{}`: {}; {known}", shown(text), error.detail),
            )
        };
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some(agent) = text.strip_prefix(AGENT_PREFIX) {
            return match agent {
                "*" => Ok(Self::Agents),
                name => AgentName::parse(name).map(Self::Agent).map_err(bad),
            };
        }
        match text.split_once('.') {
            None | Some((_, "*")) => {
                let tool = text.strip_suffix(".*").unwrap_or(text);
                ToolName::parse(tool).map(Self::Tool).map_err(bad)
            }
            Some((tool, function)) => {
                let tool = ToolName::parse(tool).map_err(bad)?;
                let function = FunctionName::parse(function).map_err(bad)?;
                Ok(Self::Function(tool, function))
            }
        }
    }

    /// Whether the pattern names what is called.
    pub fn names(&self, id: &ToolId) -> bool {
        match (self, id) {
            (Self::All, _) | (Self::Agents, ToolId::Agent(_)) => true,
            (Self::Tool(tool), ToolId::Function(of, _)) => tool == of,
            (Self::Function(tool, function), ToolId::Function(of, name)) => {
                tool == of && function == name
            }
            (Self::Agent(name), ToolId::Agent(of)) => name == of,
            _ => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Tool(tool) => write!(f, "{tool}"),
            Self::Function(tool, function) => write!(f, "{tool}.{function}"),
            Self::Agents => write!(f, "{AGENT_PREFIX}*"),
            Self::Agent(name) => write!(f, "{AGENT_PREFIX}{name}"),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for Pattern {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

/// What one layer says of tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// What may be called. In a manifest: nothing else may. In a policy or a session: empty leaves it
    /// to the others.
    pub allow: Vec<Pattern>,
    /// What a person must agree to, each time.
    pub ask: Vec<Pattern>,
    /// What may not be called, whoever allows it.
    pub deny: Vec<Pattern>,
    /// Calls are shown, and none is made.
    pub sandbox: bool,
}

impl Rules {
    /// Checks the bounds. Errors: `CX-8003`.
    pub fn check(&self) -> Result<(), Error> {
        for (list, name) in [
            (&self.allow, "allow"),
            (&self.ask, "ask"),
            (&self.deny, "deny"),
        ] {
            if list.len() > PATTERNS_MAX {
                let detail = format!("{name} has more than {PATTERNS_MAX} patterns");
                return Err(Error::new(Code::ToolPatternMalformed, detail));
            }
        }
        Ok(())
    }

    /// Whether nothing is said.
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Tenant,
    Agent,
    Session,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Agent => "agent",
            Self::Session => "session",
        }
    }
}

/// All that is said of a call.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    pub tenant: &'a Rules,
    /// The manifest's `[tools]`.
    pub agent: &'a Rules,
    pub session: Option<&'a Rules>,
}

/// Whether the call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// When a person agrees to exactly this call.
    Ask(Level),
    /// It is shown, and not made.
    Pretend(Level),
    Deny(Level, Why),
}

/// Why a call is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A rule says so.
    Denied,
    /// No rule allows it.
    NotAllowed,
    /// It acts, and is allowed by `*` alone.
    NotNamed,
}

impl Why {
    /// For whoever calls, and for the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "is denied",
            Self::NotAllowed => "is not allowed",
            Self::NotNamed => "has effects, and `*` allows only what has none: name it",
        }
    }
}

/// Decides. Constant in what is called; linear in the rules, which are bounded.
pub fn decide(layers: &Layers<'_>, id: &ToolId, effect: Effect) -> Verdict {
    let all = [
        (Level::Tenant, Some(layers.tenant)),
        (Level::Agent, Some(layers.agent)),
        (Level::Session, layers.session),
    ];
    let all = || all.iter().filter_map(|(level, it)| Some((*level, (*it)?)));
    for (level, rules) in all() {
        if names(&rules.deny, id) {
            return Verdict::Deny(level, Why::Denied);
        }
        let asked = names(&rules.ask, id);
        let grants = level == Level::Agent;
        if rules.allow.is_empty() && !grants || asked {
            continue;
        }
        if !names(&rules.allow, id) {
            return Verdict::Deny(level, Why::NotAllowed);
        }
        let by_name = |it: &&Pattern| **it != Pattern::All && it.names(id);
        if grants && effect == Effect::Acts && !rules.allow.iter().any(|it| by_name(&it)) {
            return Verdict::Deny(level, Why::NotNamed);
        }
    }
    if let Some((level, _)) = all().find(|(_, rules)| rules.sandbox) {
        return Verdict::Pretend(level);
    }
    match all().find(|(_, rules)| names(&rules.ask, id)) {
        Some((level, _)) => Verdict::Ask(level),
        None => Verdict::Allow,
    }
}

fn names(patterns: &[Pattern], id: &ToolId) -> bool {
    patterns.iter().any(|pattern| pattern.names(id))
}
