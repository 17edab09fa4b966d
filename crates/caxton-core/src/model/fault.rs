//! How a call of a model fails.

use crate::error::{Code, Error};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Why. The kind alone decides what is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelFaultKind {
    /// 401, 403: the secret is wrong or may not.
    Auth,
    /// 404: the provider has no such model.
    NotFound,
    /// 400, 422: the provider does not take the request.
    Invalid,
    /// The request is larger than the model's window.
    TooLong,
    /// 402: no money with the provider.
    Unpaid,
    /// 429.
    RateLimited,
    /// 503, 529: too busy.
    Overloaded,
    /// Any other 5xx.
    Server,
    /// No connection, or it broke before an answer.
    Network,
    /// Nothing came for too long.
    Timeout,
    /// What came is not what the provider's protocol has.
    Malformed,
    /// The answer broke off.
    Cut,
    /// Past a bound of this server's: an answer too large, a line too long.
    TooLarge,
    /// An address that may not be reached.
    Forbidden,
    /// A `scripted` model's script is missing or malformed.
    Script,
    /// A defect here.
    Internal,
}

impl ModelFaultKind {
    pub const ALL: [Self; 16] = [
        Self::Auth,
        Self::NotFound,
        Self::Invalid,
        Self::TooLong,
        Self::Unpaid,
        Self::RateLimited,
        Self::Overloaded,
        Self::Server,
        Self::Network,
        Self::Timeout,
        Self::Malformed,
        Self::Cut,
        Self::TooLarge,
        Self::Forbidden,
        Self::Script,
        Self::Internal,
    ];

    /// The label in metrics, logs and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::TooLong => "too_long",
            Self::Unpaid => "unpaid",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Server => "server",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Cut => "cut",
            Self::TooLarge => "too_large",
            Self::Forbidden => "forbidden",
            Self::Script => "script",
            Self::Internal => "internal",
        }
    }

    /// Whether the same call may go well in a moment.
    pub const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Overloaded
                | Self::Server
                | Self::Network
                | Self::Timeout
                | Self::Malformed
                | Self::Cut
        )
    }

    /// Whether another model may do better. One that finds fault with the request itself says what
    /// all of them would say.
    pub const fn fails_over(self) -> bool {
        !matches!(self, Self::Invalid | Self::Script | Self::Internal)
    }

    /// Whether it tells of the provider's health, so that a breaker counts it.
    pub const fn is_providers(self) -> bool {
        self.may_pass() || matches!(self, Self::Auth | Self::Unpaid)
    }

    pub const fn code(self) -> Code {
        match self {
            Self::Auth | Self::Unpaid => Code::ModelRefusedCredential,
            Self::NotFound => Code::ModelUnknown,
            Self::Invalid => Code::ModelRefusedRequest,
            Self::TooLong => Code::ContextTooLong,
            Self::RateLimited => Code::ModelRateLimited,
            Self::Overloaded | Self::Server | Self::Network => Code::ModelUnavailable,
            Self::Timeout => Code::ModelTimeout,
            Self::Malformed | Self::Cut | Self::TooLarge => Code::ModelAnswerBroken,
            Self::Forbidden => Code::EgressRefused,
            Self::Script => Code::ScriptMalformed,
            Self::Internal => Code::Internal,
        }
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFault {
    pub kind: ModelFaultKind,
    /// What the provider said, shortened; never a secret.
    pub detail: String,
    /// The status of the provider's answer, where there was one.
    pub status: Option<u16>,
    /// When the provider asks to be left alone until.
    pub retry_after: Option<Duration>,
}

/// Most characters of what a provider says that are kept.
const DETAIL_CHARS_MAX: usize = 300;

impl ModelFault {
    pub fn new(kind: ModelFaultKind, detail: impl AsRef<str>) -> Self {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let detail = detail.as_ref().chars().map(plain);
        Self {
            kind,
            detail: detail.take(DETAIL_CHARS_MAX).collect(),
            status: None,
            retry_after: None,
        }
    }

    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    #[must_use]
    pub const fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }
}

impl fmt::Display for ModelFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)
    }
}

impl std::error::Error for ModelFault {}

impl From<ModelFault> for Error {
    fn from(fault: ModelFault) -> Self {
        let error = Self::new(fault.kind.code(), fault.detail);
        match fault.retry_after {
            Some(after) => error.retry_after(after),
            None => error,
        }
    }
}
