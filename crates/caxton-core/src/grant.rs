//! Who may do what. Default deny: a principal may do what a permission of its own names, no more.

use crate::agent::AgentName;
use crate::tenant::TenantId;

/// What an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    AgentRead,
    AgentWrite,
    MessageRead,
    MessageSend,
    /// Send under the name of an agent that is not the principal.
    MessageSendAs,
    DeadLetterWrite,
    ServerRead,
    ServerWrite,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// The operator, with the platform admin key. Its messages come from `admin@tenant`.
    PlatformAdmin,
    /// Code of the server itself; `task` says which.
    System { task: &'static str },
}

impl Principal {
    /// Whether the principal has a permission in a tenant.
    pub fn may(&self, _permission: Permission, _tenant: &TenantId) -> bool {
        match self {
            Self::PlatformAdmin | Self::System { .. } => true,
        }
    }

    /// The name its messages are sent under.
    pub fn agent_name(&self) -> AgentName {
        match self {
            Self::PlatformAdmin => AgentName::admin(),
            Self::System { .. } => AgentName::ams(),
        }
    }
}
