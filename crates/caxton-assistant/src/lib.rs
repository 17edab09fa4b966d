//! The assistant as a behavior: what a turn does, step by step, and what the model sees of it.
//!
//! The rules are pure: [`turn`] is a machine told what happened that says what is to be done,
//! [`context`] keeps what the model sees within its window, [`valid`] makes any history fit for any
//! provider, [`toolbox`] says whose each tool is. `drive` carries it out over `Host`, which `runtime` brings,, and nothing here
//! touches the world otherwise.

mod ask;
pub mod bounds;
mod change;
pub mod context;
mod drive;
mod reading;
mod runtime;
mod say;
pub mod toolbox;
pub mod turn;
pub mod valid;
mod voice;
mod world;

pub use runtime::AssistantRuntime;
