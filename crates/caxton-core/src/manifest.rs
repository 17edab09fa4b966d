//! `agent.toml`: what an agent is. Strict: an unknown key is an error that names the nearest one.

use crate::agent::AgentName;
use crate::assistant::Assistant;
use crate::error::{Code, Error, shown};
use crate::quota::Limits;
use crate::tool::permit::{Pattern, Rules};
use semver::Version;
use serde::{Deserialize, Serialize};

/// Largest manifest, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 256 << 10;
/// Most capabilities one manifest may declare.
pub const CAPABILITIES_MAX: usize = 64;

/// A parsed manifest. Defaults are filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: AgentName,
    #[serde(default = "first_version")]
    pub version: Version,
    #[serde(default)]
    pub behavior: BehaviorKind,
    /// The component's file beside the manifest; only the CLI reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub delivery: Delivery,
    #[serde(default)]
    pub instance: InstanceOptions,
    #[serde(default)]
    pub sandbox: Sandbox,
    #[serde(default)]
    pub tools: Tools,
    /// Only, and always, where `behavior = "assistant"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assistant: Option<Assistant>,
}

fn first_version() -> Version {
    Version::new(0, 1, 0)
}

/// What answers the agent's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BehaviorKind {
    /// A WebAssembly component in a sandbox.
    #[default]
    Wasm,
    /// An LLM loop with a prompt, tools and sessions.
    Assistant,
    /// Rust code inside the server: for the server's own agents, tests and benches; no manifest
    /// that comes through a door may say it.
    #[serde(skip)]
    Native,
}

impl BehaviorKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Assistant => "assistant",
            Self::Native => "native",
        }
    }
}

/// Something the agent can do, for others to find it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    pub name: String,
    #[serde(default = "first_version")]
    pub version: Version,
}

/// Whether messages survive a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Journalled before it is acknowledged, handled at least once, deduplicated by id.
    #[default]
    Durable,
    /// In memory only, at most once.
    Transient,
}

/// One mailbox for the agent, or one for each conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailboxMode {
    #[default]
    Agent,
    Conversation,
}

/// `[delivery]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    pub durability: Durability,
    pub mailbox: MailboxMode,
    /// Tries of one message before it becomes a dead letter.
    pub attempts_max: u32,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            mailbox: MailboxMode::default(),
            attempts_max: 5,
        }
    }
}

/// `[instance]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceOptions {
    /// The instance's memory must not vanish between messages.
    pub resident: bool,
}

/// `[sandbox]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    pub profile: SandboxProfile,
}

/// `[tools]`: what the agent may call, and how. [`Tools::rules`] is what decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tools {
    /// What the agent may call; nothing else. `agent:NAME` lets an assistant ask an agent of its tenant.
    pub allow: Vec<Pattern>,
    /// What it may call when a person agrees.
    pub ask: Vec<Pattern>,
    /// What it may not call, though `allow` names it.
    pub deny: Vec<Pattern>,
    /// Calls are shown, and none is made.
    pub sandbox: bool,
    /// Calls of tools for one message.
    pub calls_max: u32,
    /// Milliseconds that one call may take.
    pub timeout_ms_max: u64,
    /// Bytes of one result that the agent gets; the rest is cut off and said to be.
    pub result_bytes_max: u64,
    /// Milliseconds that a call waits for a person's approval.
    pub approval_timeout_ms_max: u64,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ask: Vec::new(),
            deny: Vec::new(),
            sandbox: false,
            calls_max: 64,
            timeout_ms_max: 30_000,
            result_bytes_max: 64 << 10,
            approval_timeout_ms_max: 3_600_000,
        }
    }
}

impl Tools {
    /// What the manifest says of who may be called.
    pub fn rules(&self) -> Rules {
        Rules {
            allow: self.allow.clone(),
            ask: self.ask.clone(),
            deny: self.deny.clone(),
            sandbox: self.sandbox,
        }
    }

    pub fn timeout(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.timeout_ms_max)
    }

    pub fn approval_timeout(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.approval_timeout_ms_max)
    }

    /// Agents that are named, in `allow` or `ask`.
    pub fn agents(&self) -> impl Iterator<Item = &AgentName> {
        let named = self.allow.iter().chain(&self.ask);
        named.filter_map(|pattern| match pattern {
            Pattern::Agent(name) => Some(name),
            _ => None,
        })
    }

    fn check(&self) -> Result<(), Error> {
        self.rules().check()?;
        let bounds = [
            ("calls_max", u64::from(self.calls_max), 0, 10_000),
            ("timeout_ms_max", self.timeout_ms_max, 1, 3_600_000),
            ("result_bytes_max", self.result_bytes_max, 256, 16 << 20),
            (
                "approval_timeout_ms_max",
                self.approval_timeout_ms_max,
                1_000,
                30 * 24 * 3_600_000,
            ),
        ];
        for (name, value, min, max) in bounds {
            if !(min..=max).contains(&value) {
                return Err(malformed(format!(
                    "tools.{name} = {value} is out of bounds: {min} to {max}"
                )));
            }
        }
        Ok(())
    }
}

/// Which WebAssembly features the sandbox has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxProfile {
    /// No SIMD, relaxed SIMD, threads, memory64, multi-memory, tail calls, GC or exceptions.
    #[default]
    Default,
    /// Also no reference types and no bulk memory.
    Strict,
}

impl SandboxProfile {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Strict => "strict",
        }
    }
}

impl Manifest {
    /// A manifest with every default, for native agents and tests.
    pub fn named(name: AgentName) -> Self {
        Self {
            name,
            version: first_version(),
            behavior: BehaviorKind::default(),
            component: None,
            description: String::new(),
            capabilities: Vec::new(),
            limits: Limits::default(),
            delivery: Delivery::default(),
            instance: InstanceOptions::default(),
            sandbox: Sandbox::default(),
            tools: Tools::default(),
            assistant: None,
        }
    }

    /// Reads and checks `agent.toml`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(malformed(format!(
                "agent.toml has more than {MANIFEST_BYTES_MAX} bytes"
            )));
        }
        let mut manifest: Self =
            toml::from_str(text).map_err(|error| malformed(explain(text, &error)))?;
        manifest.check()?;
        if manifest.behavior == BehaviorKind::Assistant {
            // A session is a lane of its own: a thousand users never wait for each other.
            manifest.delivery.mailbox = MailboxMode::Conversation;
            manifest.assistant.get_or_insert_default();
        }
        Ok(manifest)
    }

    fn check(&self) -> Result<(), Error> {
        if self.name.is_reserved() {
            return Err(Error::new(
                Code::AgentNameReserved,
                format!("`{}` is the platform's own", self.name),
            ));
        }
        for (name, value, min, max) in self.limits.bounds() {
            if !(min..=max).contains(&value) {
                return Err(malformed(format!(
                    "limits.{name} = {value} is out of bounds: {min} to {max}"
                )));
            }
        }
        if !(1..=100).contains(&self.delivery.attempts_max) {
            return Err(malformed(format!(
                "delivery.attempts_max = {} is out of bounds: 1 to 100",
                self.delivery.attempts_max
            )));
        }
        if self.capabilities.len() > CAPABILITIES_MAX {
            return Err(malformed(format!(
                "more than {CAPABILITIES_MAX} capabilities"
            )));
        }
        for capability in &self.capabilities {
            if !crate::id::is_token(&capability.name) {
                return Err(malformed(format!(
                    "capability name `{}` is empty or too long",
                    shown(&capability.name)
                )));
            }
        }
        match (&self.assistant, self.behavior) {
            (Some(assistant), BehaviorKind::Assistant) => assistant.check()?,
            (Some(_), _) => {
                let detail = "[assistant] needs behavior = \"assistant\"";
                return Err(malformed(detail.to_owned()));
            }
            (None, _) => {}
        }
        self.check_tools()?;
        match &self.component {
            Some(file)
                if file.is_empty() || file.contains(['/', '\\', '\0']) || file.starts_with('.') =>
            {
                Err(malformed(format!(
                    "component = \"{}\" must be a file name beside agent.toml",
                    shown(file)
                )))
            }
            _ => Ok(()),
        }
    }

    fn check_tools(&self) -> Result<(), Error> {
        self.tools.check()?;
        if self.tools.agents().any(|agent| *agent == self.name) {
            return Err(malformed("[tools] names the agent itself".to_owned()));
        }
        let handover = self.assistant.iter().flat_map(|it| &it.handover);
        if handover.into_iter().any(|to| *to == self.name) {
            return Err(malformed(
                "assistant.handover names the assistant itself".to_owned(),
            ));
        }
        Ok(())
    }

    /// The manifest as TOML, every key written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}

fn malformed(detail: String) -> Error {
    Error::new(Code::ManifestMalformed, detail)
}

/// The parser's message with its line, and the nearest known key where one is unknown.
pub(crate) fn explain(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| {
        text.get(..span.start)
            .map_or(1, |head| head.matches('\n').count() + 1)
    });
    let place = line
        .map(|line| format!("line {line}: "))
        .unwrap_or_default();
    let message = error.message().replace('\n', " ");
    let message = without_code(&message);
    let mut quoted = message.split('`').skip(1).step_by(2);
    let hint = match (message.starts_with("unknown"), quoted.next()) {
        (true, Some(unknown)) => nearest(unknown, quoted)
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default(),
        _ => String::new(),
    };
    format!("{place}{message}{hint}")
}

/// An error of our own inside of another has its code in front, which the other one has too.
fn without_code(message: &str) -> &str {
    let code = message.strip_prefix("CX-").and_then(|rest| rest.get(..4));
    let detail = code.filter(|digits| digits.bytes().all(|it| it.is_ascii_digit()));
    detail
        .and_then(|_| message.split_once(": "))
        .map_or(message, |(_, detail)| detail)
}

/// The candidate with the least edit distance, if it is near enough to be meant.
pub fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text: String = text.chars().take(64).flat_map(char::to_lowercase).collect();
    let budget = text.chars().count().div_ceil(3).min(LETTERS_MAX);
    candidates
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let distance = distance(&text, &lower);
            // A few letters off, or some left out.
            let near = distance <= budget || distance <= LETTERS_MAX && is_within(&text, &lower);
            near.then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters that a text may differ from what is suggested for it.
const LETTERS_MAX: usize = 6;

/// Whether a text is the other with some letters left out, half of them at most.
fn is_within(text: &str, whole: &str) -> bool {
    let mut letters = whole.chars();
    let long = text.chars().count() * 2 >= whole.chars().count();
    long && text.chars().all(|letter| letters.any(|it| it == letter))
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        let mut left = i + 1;
        for ((y, above), corner) in b.iter().zip(row.iter().skip(1)).zip(row.iter()) {
            left = (corner + usize::from(x != *y)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CONTRACT: &str = r#"
        name = "echo"
        version = "1.0.0"
        behavior = "wasm"
        component = "echo.wasm"
        capabilities = [{ name = "echo", version = "1.0.0" }]
        [limits]
        memory_bytes_max = 67108864
        fuel_per_message_max = 100000000
        handle_timeout_ms_max = 5000
        wait_timeout_ms_max = 120000
        message_bytes_max = 1048576
        mailbox_messages_max = 1024
        [delivery]
        durability = "durable"
        mailbox = "agent"
        attempts_max = 5
        [instance]
        resident = false
        [sandbox]
        profile = "default"
        [tools]
        allow = []
    "#;

    #[test]
    fn the_documented_manifest_is_the_default_one() {
        let manifest = Manifest::parse(CONTRACT).unwrap();
        assert_eq!(manifest.limits, Limits::default());
        assert_eq!(manifest.delivery, Delivery::default());
        assert_eq!(Manifest::parse(&manifest.to_toml()).unwrap(), manifest);
        assert_eq!(
            Manifest::parse("name = \"echo\"").unwrap().limits,
            manifest.limits
        );
    }

    #[test]
    fn an_assistant_may_ask_agents_and_has_a_lane_for_each_session() {
        let text =
            "name = \"a\"\nbehavior = \"assistant\"\n[tools]\nallow = [\"agent:b\", \"agent:c.d\"]";
        let manifest = Manifest::parse(text).unwrap();
        let agents: Vec<&str> = manifest.tools.agents().map(AgentName::as_str).collect();
        assert_eq!(agents, ["b", "c.d"]);
        assert_eq!(manifest.delivery.mailbox, MailboxMode::Conversation);
        assert!(manifest.assistant.is_some());
    }

    #[test]
    fn what_is_suggested_is_near() {
        let known = ["counter", "echo", "memory_bytes_max", "query-ref", "list"];
        let near = |text| nearest(text, known.into_iter());
        assert_eq!(near("conter"), Some("counter"));
        assert_eq!(near("ehco"), Some("echo"));
        assert_eq!(near("memory_max"), Some("memory_bytes_max"));
        assert_eq!(near("query"), Some("query-ref"));
        for far in ["greeter", "t", "shout", "", "mm"] {
            assert_eq!(near(far), None, "{far}");
        }
    }

    #[test]
    fn faults_are_named_with_their_line_and_the_nearest_key() {
        let check = |text: &str, expected: &str| {
            let error = Manifest::parse(text).unwrap_err();
            assert!(error.detail.contains(expected), "{text}: {}", error.detail);
        };
        check("name = \"a\"\nversoin = \"1.0.0\"", "line 2");
        check(
            "name = \"a\"\nversoin = \"1.0.0\"",
            "did you mean `version`",
        );
        check(
            "name = \"a\"\n[limits]\nmemory_max = 1",
            "did you mean `memory_bytes_max`",
        );
        check(
            "name = \"a\"\n[limits]\nmemory_bytes_max = 1",
            "out of bounds",
        );
        check(
            "name = \"a\"\n[delivery]\ndurability = \"durabel\"",
            "did you mean `durable`",
        );
        check("name = \"../a\"", "is not an agent name");
        check("name = \"AMS\"", "platform's own");
        check(
            "name = \"a\"\ncomponent = \"../x.wasm\"",
            "file name beside",
        );
        check("name = \"a\"\nbehavior = \"native\"", "unknown variant");
        check(
            "name = \"a\"\n[tools]\nallow = [\"Fetch\"]",
            "not a tool's name",
        );
        check("name = \"a\"\n[tools]\ntimeout_ms_max = 0", "out of bounds");
        let assistant = "name = \"a\"\nbehavior = \"assistant\"\n";
        check(
            &format!("{assistant}[tools]\nallow = [\"agent:../b\"]"),
            "is not an agent name",
        );
        check(
            &format!("{assistant}[tools]\nallow = [\"agent:a\"]"),
            "itself",
        );
        check(
            &format!("{assistant}[assistant]\nhandover = [\"a\"]"),
            "itself",
        );
        check("version = \"1.0.0\"", "missing field `name`");
        check("name = ", "line 1");
    }
}
