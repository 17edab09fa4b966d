//! The compatible doors: where clients made for `OpenAI` and `Anthropic` work with no more than
//! another address and key.
//!
//! Each dialect is read and written by pure functions ([`openai_chat`], [`openai_responses`],
//! [`anthropic`]); what is asked and what comes of it are turns like any other, so that limits,
//! permissions, accounts and resumption are the same at every door. docs/compatible-doors.md says
//! what they do and do not do.

mod answer;
mod anthropic;
mod asked;
pub(crate) mod blocks;
mod door;
pub(crate) mod error;
#[cfg(test)]
mod golden;
mod models;
mod openai_chat;
mod openai_responses;
pub(crate) mod read;
mod routes;
mod stored;

pub(crate) use routes::{operations, router};
