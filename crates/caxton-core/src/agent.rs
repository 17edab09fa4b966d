//! Agents are equal by name alone: `name@tenant` (FIPA SC00023, 3.1: the agent identifier's name).

use crate::error::{Code, Error, shown};
use crate::id::ConversationId;
use crate::tenant::TenantId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;
use std::fmt;

/// Longest local name, in bytes.
pub const AGENT_NAME_BYTES_MAX: usize = 63;

/// The local name of the agent management system, which answers for the platform.
pub const AMS: &str = "ams";
/// The local name of the directory facilitator.
pub const DF: &str = "df";

/// The local name under which the platform admin sends and receives.
pub const ADMIN: &str = "admin";

/// An agent's local name: `[A-Za-z][A-Za-z0-9._-]{0,62}`, without two dots in a row, so that a
/// name is one FIPA word and never a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentName(SmolStr);

impl AgentName {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut bytes = text.bytes();
        let head_ok = bytes.next().is_some_and(|b| b.is_ascii_alphabetic());
        let tail_ok = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if head_ok && tail_ok && text.len() <= AGENT_NAME_BYTES_MAX && !text.contains("..") {
            return Ok(Self(SmolStr::new(text)));
        }
        Err(Error::new(
            Code::AgentNameMalformed,
            format!(
                "`{}` is not an agent name: a letter, then up to 62 letters, digits, `.`, `_`, `-`",
                shown(text)
            ),
        ))
    }

    /// The agent management system's name.
    pub fn ams() -> Self {
        Self(SmolStr::new_static(AMS))
    }

    /// The platform admin's, as a sender and receiver of messages.
    pub fn admin() -> Self {
        Self(SmolStr::new_static(ADMIN))
    }

    /// The name of somebody at a door. What is no agent's name as it is, is written so that two
    /// different texts stay two different names: odd bytes become `_`, and a sum of all follows.
    pub fn outside(prefix: &'static str, text: &str) -> Self {
        let plain = format!("{prefix}{text}");
        if let Ok(name) = Self::parse(&plain) {
            return name;
        }
        let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let sum: [u8; 32] = Sha256::digest(text).into();
        let sum = sum
            .into_iter()
            .take(8)
            .fold(0, |sum: u64, byte| (sum << 8) | u64::from(byte));
        let room = AGENT_NAME_BYTES_MAX - prefix.len() - 17;
        let shown: String = text.chars().take(room).map(fit).collect();
        Self(SmolStr::new(format!("{prefix}{shown}.{sum:016x}")))
    }

    /// Names that no deployment may take: the platform's own agents (FIPA SC00023) and the names of
    /// those who stand outside.
    pub fn is_reserved(&self) -> bool {
        [AMS, DF].iter().any(|own| self.0.eq_ignore_ascii_case(own)) || self.is_outside()
    }

    /// Whether the name is that of somebody at a door, who has no mailbox: what is sent there is
    /// recorded, and given to whoever waits for it.
    pub fn is_outside(&self) -> bool {
        self.0 == ADMIN || self.0.starts_with("key.") || self.0.starts_with("user.")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

impl TryFrom<String> for AgentName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<AgentName> for String {
    fn from(name: AgentName) -> Self {
        name.0.to_string()
    }
}

/// An agent's full name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AgentId {
    pub tenant: TenantId,
    pub name: AgentName,
}

impl AgentId {
    pub fn new(tenant: TenantId, name: AgentName) -> Self {
        Self { tenant, name }
    }

    /// Reads `name` or `name@tenant`; a bare name means `home`.
    pub fn parse(text: &str, home: &TenantId) -> Result<Self, Error> {
        match text.split_once('@') {
            None => Ok(Self::new(home.clone(), AgentName::parse(text)?)),
            Some((name, tenant)) if tenant == home.as_str() => {
                Ok(Self::new(home.clone(), AgentName::parse(name)?))
            }
            Some((name, tenant)) => {
                Ok(Self::new(TenantId::parse(tenant)?, AgentName::parse(name)?))
            }
        }
    }

    /// The agent management system of a tenant: the sender of what the platform itself says.
    pub fn ams(tenant: &TenantId) -> Self {
        Self::new(tenant.clone(), AgentName::ams())
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.tenant)
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Which of an agent's mailboxes: the one of the whole agent, or the one of a conversation. Two
/// messages with the same key are handled one after the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MailboxKey {
    Agent,
    Conversation(ConversationId),
}

impl MailboxKey {
    /// The key's text in the store: empty for the whole agent.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Agent => "",
            Self::Conversation(id) => id.as_str(),
        }
    }

    /// The inverse of [`MailboxKey::as_str`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            Ok(Self::Agent)
        } else {
            ConversationId::parse(text).map(Self::Conversation)
        }
    }
}

/// A mailbox: a bounded queue and a serial lane.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MailboxId {
    pub agent: AgentId,
    pub key: MailboxKey,
}

impl fmt::Display for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            MailboxKey::Agent => fmt::Display::fmt(&self.agent, f),
            MailboxKey::Conversation(id) => write!(f, "{}#{id}", self.agent),
        }
    }
}

impl fmt::Debug for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_words_and_never_paths() {
        for good in ["a", "Echo", "seller-a", "a.b_c", &"x".repeat(63)] {
            assert!(AgentName::parse(good).is_ok(), "{good}");
        }
        let long = "x".repeat(10_000);
        for bad in [
            "", "../x", "a..b", "a/b", "a\0b", "1a", ".a", "a b", "a@b", "ä", &long,
        ] {
            let error = AgentName::parse(bad).unwrap_err();
            assert_eq!(error.code, Code::AgentNameMalformed);
            assert!(
                error.detail.len() < 400,
                "a refusal does not echo a long name"
            );
        }
    }

    #[test]
    fn a_bare_name_means_home() {
        let home = TenantId::parse("acme").unwrap();
        assert_eq!(AgentId::parse("b", &home).unwrap().to_string(), "b@acme");
        assert_eq!(
            AgentId::parse("b@acme", &home).unwrap(),
            AgentId::parse("b", &home).unwrap()
        );
        assert_eq!(
            AgentId::parse("b@other", &home).unwrap().tenant.as_str(),
            "other"
        );
        assert!(AgentId::parse("b@", &home).is_err());
        assert!(AgentId::parse("b@x@y", &home).is_err());
    }

    #[test]
    fn mailbox_keys_round_trip() {
        for key in [MailboxKey::Agent, MailboxKey::parse("c1").unwrap()] {
            assert_eq!(MailboxKey::parse(key.as_str()).unwrap(), key);
        }
    }
}
