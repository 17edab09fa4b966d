//! What keeps the system well without being asked: pauses between tries, timers, idle instances that
//! leave memory, history that is forgotten, and tasks that stand.

mod backoff;
mod keeper;
mod standing;
mod timers;

pub(crate) use backoff::Backoff;
pub(crate) use keeper::keep;
pub(crate) use standing::Standing;
pub(crate) use timers::Timers;
