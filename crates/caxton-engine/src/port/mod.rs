//! What the engine needs of the world, as traits it owns. Adapters implement them; plain defaults
//! (memory store, system and manual clock, seeded entropy) stand beside their ports here.

pub mod behavior;
pub mod clock;
pub mod entropy;
pub mod http;
pub mod memory;
pub mod model;
pub mod native;
pub mod page;
pub mod secrets;
pub mod store;
pub mod tool;

pub use behavior::{Artifact, Behavior, Fault, Program, Runtime};
pub use clock::{Clock, ManualClock, SystemClock};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use http::Http;
pub use memory::{MemoryDisk, MemoryStore};
pub use model::Model;
pub use native::{NativeProgram, NativeRuntime};
pub use secrets::Secrets;
pub use store::{Store, StoreError};

use futures::future::BoxFuture;

/// What every asynchronous method of a port that is called per message returns.
pub type Answer<'a, T> = BoxFuture<'a, T>;
