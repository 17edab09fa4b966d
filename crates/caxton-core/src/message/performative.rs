//! The 22 communicative acts of FIPA SC00037.

use crate::error::{Code, Error, shown};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A communicative act. Read case-insensitively, written in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Performative {
    AcceptProposal,
    Agree,
    Cancel,
    Cfp,
    Confirm,
    Disconfirm,
    Failure,
    Inform,
    InformIf,
    InformRef,
    NotUnderstood,
    Propagate,
    Propose,
    Proxy,
    QueryIf,
    QueryRef,
    Refuse,
    RejectProposal,
    Request,
    RequestWhen,
    RequestWhenever,
    Subscribe,
}

impl Performative {
    /// All acts, in alphabetical order.
    pub const ALL: [Self; 22] = [
        Self::AcceptProposal,
        Self::Agree,
        Self::Cancel,
        Self::Cfp,
        Self::Confirm,
        Self::Disconfirm,
        Self::Failure,
        Self::Inform,
        Self::InformIf,
        Self::InformRef,
        Self::NotUnderstood,
        Self::Propagate,
        Self::Propose,
        Self::Proxy,
        Self::QueryIf,
        Self::QueryRef,
        Self::Refuse,
        Self::RejectProposal,
        Self::Request,
        Self::RequestWhen,
        Self::RequestWhenever,
        Self::Subscribe,
    ];

    /// Whether a message of this act begins something of its own, and so answers nothing.
    pub const fn asks(self) -> bool {
        matches!(
            self,
            Self::Request
                | Self::RequestWhen
                | Self::RequestWhenever
                | Self::QueryIf
                | Self::QueryRef
                | Self::Cfp
                | Self::Subscribe
                | Self::Proxy
                | Self::Propagate
        )
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AcceptProposal => "accept-proposal",
            Self::Agree => "agree",
            Self::Cancel => "cancel",
            Self::Cfp => "cfp",
            Self::Confirm => "confirm",
            Self::Disconfirm => "disconfirm",
            Self::Failure => "failure",
            Self::Inform => "inform",
            Self::InformIf => "inform-if",
            Self::InformRef => "inform-ref",
            Self::NotUnderstood => "not-understood",
            Self::Propagate => "propagate",
            Self::Propose => "propose",
            Self::Proxy => "proxy",
            Self::QueryIf => "query-if",
            Self::QueryRef => "query-ref",
            Self::Refuse => "refuse",
            Self::RejectProposal => "reject-proposal",
            Self::Request => "request",
            Self::RequestWhen => "request-when",
            Self::RequestWhenever => "request-whenever",
            Self::Subscribe => "subscribe",
        }
    }

    /// Reads an act in any case; an unknown one is answered with the nearest that exists.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(found) = Self::ALL
            .into_iter()
            .find(|act| act.as_str().eq_ignore_ascii_case(text))
        {
            return Ok(found);
        }
        let near = crate::manifest::nearest(text, Self::ALL.iter().map(|act| act.as_str()));
        let hint = near
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        Err(Error::new(
            Code::PerformativeUnknown,
            format!("`{}` is not a communicative act{hint}", shown(text)),
        ))
    }

    /// Whether an agent that is asked this way owes an answer: what decides if the platform tells
    /// the sender of a delivery that failed, and what `not-understood` may answer.
    pub const fn expects_answer(self) -> bool {
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

impl fmt::Display for Performative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_acts_read_in_any_case() {
        for act in Performative::ALL {
            assert_eq!(Performative::parse(act.as_str()).unwrap(), act);
            assert_eq!(
                Performative::parse(&act.as_str().to_uppercase()).unwrap(),
                act
            );
            assert_eq!(serde_json::to_value(act).unwrap(), act.as_str());
        }
        let mut sorted = Performative::ALL;
        sorted.sort_by_key(|act| act.as_str());
        assert_eq!(sorted, Performative::ALL);
    }

    #[test]
    fn invented_acts_are_refused_with_the_nearest() {
        for (bad, near) in [
            ("query", "query-"),
            ("requst", "request"),
            ("accept_proposal", "accept-proposal"),
        ] {
            let error = Performative::parse(bad).unwrap_err();
            assert_eq!(error.code, Code::PerformativeUnknown);
            assert!(error.detail.contains(near), "{}", error.detail);
        }
        assert!(Performative::parse("").is_err());
    }
}
