//! Core's words into the wire's and back: pure functions, no rule of their own.

pub(crate) mod agent;
pub(crate) mod conversation;
pub(crate) mod dead_letter;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod message;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod tenant;
pub(crate) mod time;
pub(crate) mod tool;
pub(crate) mod turn;
