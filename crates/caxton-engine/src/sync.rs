//! The lock of what threads race for. The code that is tested for its races names it by this module, so
//! that those tests (`tests/races.rs`) can put a lock in its place whose every turn they choose.

pub(crate) use parking_lot::Mutex;
