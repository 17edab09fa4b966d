//! What can go wrong for a client, told apart as its callers need it.

use std::time::Duration;

use crate::error::Problem;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The call cannot be sent as it is: a bad address, key, or path.
    #[error("{0}")]
    Invalid(String),
    /// No connection; nothing was sent.
    #[error("no server answers at {server}")]
    Unreachable {
        /// The address.
        server: String,
        /// What the system said.
        #[source]
        source: Source,
    },
    /// The connection broke; whether the server acted is not known.
    #[error("the connection broke before the answer was complete")]
    Interrupted(#[source] Source),
    /// No answer in time; whether the server acted is not known.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The server refused or failed, and said why.
    #[error("{} {}: {}", problem.code, problem.title, problem.detail)]
    Problem {
        /// What the server said.
        problem: Box<Problem>,
        /// When trying again may help.
        retry_after: Option<Duration>,
    },
    /// The answer is not of the contract: another server, or another version.
    #[error("the server gave {what}")]
    Unexpected {
        /// What came.
        what: String,
        /// Why it does not fit.
        #[source]
        source: Option<Source>,
    },
}

impl ClientError {
    pub(super) fn unexpected(what: impl Into<String>) -> Self {
        Self::Unexpected {
            what: what.into(),
            source: None,
        }
    }

    /// What the server said, where it said something.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// The server's code, `CX-####`.
    pub fn code(&self) -> Option<&str> {
        Some(self.problem()?.code.as_str())
    }

    /// The HTTP status of the server's refusal.
    pub fn status(&self) -> Option<u16> {
        Some(self.problem()?.status)
    }
}
