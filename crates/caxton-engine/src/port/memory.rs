//! The memory store.
/// tbd
#[derive(Debug)]
pub struct MemoryStore;
