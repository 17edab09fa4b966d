//! What a component must be before anything compiles it.

/// Core instances of one component.
pub const CORE_INSTANCES_MAX: usize = 64;
/// Tables of one component.
pub const TABLES_MAX: usize = 64;
/// Memories of one component.
pub const MEMORIES_MAX: usize = 4;
