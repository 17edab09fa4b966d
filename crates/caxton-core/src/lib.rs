//! The words and decisions of Caxton: identifiers, FIPA-ACL messages, agent manifests, the
//! lifecycle, limits, routing decisions and error codes.
//!
//! Everything here is a value or a pure function. There is no I/O, no clock, no randomness and no
//! async runtime in this crate, so every rule can be tested as a table; what acts on the rules is
//! `caxton-engine`.

pub mod agent;
pub mod assistant;
pub mod audit;
pub mod breaker;
pub mod conversation;
pub mod egress;
pub mod error;
pub mod grant;
pub mod id;
pub mod key;
pub mod lifecycle;
pub mod limit;
pub mod manifest;
pub mod message;
pub mod model;
pub mod quota;
pub mod route;
pub mod session;
pub mod tenant;
pub mod time;
pub mod tool;
pub mod trace;

pub use agent::{AgentId, AgentName, MailboxId, MailboxKey};
pub use error::{Code, Error};
pub use id::{ConversationId, Digest, Epoch, MessageId};
pub use manifest::Manifest;
pub use message::{Acl, Identifier, Message, Performative};
pub use tenant::TenantId;
pub use time::Timestamp;
pub use trace::TraceContext;
