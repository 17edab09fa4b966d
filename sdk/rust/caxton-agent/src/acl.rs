//! FIPA-ACL's words: performatives as text, agents by name.
//!
//! Pure functions only, so that an agent's own tests may use them natively.

use crate::{AgentId, Error, Performative, UserParameter};

/// Every act with the name SC00037 gives it, in the order of the ABI.
const NAMES: [(Performative, &str); 22] = [
    (Performative::AcceptProposal, "accept-proposal"),
    (Performative::Agree, "agree"),
    (Performative::Cancel, "cancel"),
    (Performative::Cfp, "cfp"),
    (Performative::Confirm, "confirm"),
    (Performative::Disconfirm, "disconfirm"),
    (Performative::Failure, "failure"),
    (Performative::Inform, "inform"),
    (Performative::InformIf, "inform-if"),
    (Performative::InformRef, "inform-ref"),
    (Performative::NotUnderstood, "not-understood"),
    (Performative::Propagate, "propagate"),
    (Performative::Propose, "propose"),
    (Performative::Proxy, "proxy"),
    (Performative::QueryIf, "query-if"),
    (Performative::QueryRef, "query-ref"),
    (Performative::Refuse, "refuse"),
    (Performative::RejectProposal, "reject-proposal"),
    (Performative::Request, "request"),
    (Performative::RequestWhen, "request-when"),
    (Performative::RequestWhenever, "request-whenever"),
    (Performative::Subscribe, "subscribe"),
];

impl Performative {
    /// The act's name, in lower case as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES
            .iter()
            .find(|(act, _)| *act == self)
            .map_or("", |(_, name)| name)
    }

    /// Reads an act's name in any case; `None` for a word that is none of the 22.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map(|(act, _)| *act)
    }

    /// The act at this place in the ABI's list.
    pub(crate) fn at(place: usize) -> Option<Self> {
        NAMES.get(place).map(|(act, _)| *act)
    }

    /// Whether the sender of this act waits for something: a request of any kind, a question, an
    /// offer to answer. The rest states a fact or ends an exchange, and answering it unasked is how
    /// two polite agents talk for ever.
    #[must_use]
    pub fn expects_answer(self) -> bool {
        matches!(
            self,
            Self::AcceptProposal
                | Self::Cancel
                | Self::Cfp
                | Self::Propagate
                | Self::Propose
                | Self::Proxy
                | Self::QueryIf
                | Self::QueryRef
                | Self::Request
                | Self::RequestWhen
                | Self::RequestWhenever
                | Self::Subscribe
        )
    }
}

impl AgentId {
    /// An agent by name alone: `local@tenant`, or `local` in the own tenant.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            addresses: Vec::new(),
            resolvers: Vec::new(),
        }
    }

    /// The name before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.name
            .split_once('@')
            .map_or(self.name.as_str(), |(local, _)| local)
    }

    /// The tenant after the `@`; `None` where the name means the own tenant.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.name.split_once('@').map(|(_, tenant)| tenant)
    }
}

/// Agents are equal by name alone (SC00023): two addresses of one agent do not make it two.
impl PartialEq for AgentId {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for AgentId {}

impl From<&str> for AgentId {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for AgentId {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl From<&AgentId> for AgentId {
    fn from(agent: &AgentId) -> Self {
        agent.clone()
    }
}

impl PartialEq for UserParameter {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

impl Eq for UserParameter {}

/// Lets `?` end a handler with a host's error, code first.
impl From<Error> for String {
    fn from(error: Error) -> Self {
        [error.code.as_str(), ": ", error.message.as_str()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_reads_back_in_any_case() {
        for (act, name) in NAMES {
            assert_eq!(act.as_str(), name);
            assert_eq!(Performative::parse(name), Some(act));
            assert_eq!(Performative::parse(&name.to_uppercase()), Some(act));
            assert_eq!(NAMES.iter().filter(|(_, other)| *other == name).count(), 1);
        }
        assert_eq!(Performative::parse("query"), None);
        assert_eq!(Performative::parse("call-for-proposal"), None);
    }

    #[test]
    fn agents_are_equal_by_name_alone() {
        let mut moved = AgentId::new("seller@shop");
        moved.addresses.push("http://127.0.0.1:1".to_owned());
        assert_eq!(moved, AgentId::from("seller@shop"));
        assert_ne!(moved, AgentId::new("seller@other"));
        assert_eq!((moved.local(), moved.tenant()), ("seller", Some("shop")));
        assert_eq!(AgentId::new("seller").tenant(), None);
    }

    #[test]
    fn a_host_error_keeps_its_code() {
        let error = Error {
            code: "CX-1234".into(),
            message: "no such agent".into(),
        };
        assert_eq!(String::from(error), "CX-1234: no such agent");
    }
}
