//! Those who do the same work without Caxton, or without a part of it.

pub mod actors;
pub mod bare;
pub mod channels;
pub mod disk;
pub mod echo;
pub mod erlang;
pub mod proxies;
pub mod sqlite;
pub mod unlimited;
