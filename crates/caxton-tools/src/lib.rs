//! Tools that reach the world, each behind [`caxton_engine::port::tool::Executor`], and the one way out
//! that they all take: the [`caxton_engine::port::Http`] adapter. Which addresses may be reached is
//! decided in `caxton_core::egress`, whether a tool may be called in the engine; this crate obeys.

pub mod builtin;
mod census;
pub mod http;
pub mod http_tool;
pub mod mcp;
mod outward;
mod process;
mod redact;

#[cfg(test)]
mod testing;
