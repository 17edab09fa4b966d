//! Who the agent is.

use crate::AgentId;
use crate::bindings::caxton::agent::identity;

/// The own identifier, `local@tenant`.
#[must_use]
pub fn me() -> AgentId {
    identity::me()
}

/// The version its `agent.toml` gives.
#[must_use]
pub fn version() -> String {
    identity::version()
}
