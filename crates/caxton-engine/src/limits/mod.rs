//! How much may be asked for: rates (so many in so much time) and quotas (so many in a period).
//!
//! Rates are decided here for every request, before its operation is begun. Both change while the
//! server runs: what is set is a record, and what is at hand is replaced before the change is answered.

mod quota;
mod rate;
mod refusals;

pub use caxton_core::limit::RateState;
pub use quota::{Overage, Period, Quota, QuotaLimit, Usage, Used};
pub use rate::RateSettings;

pub(crate) use quota::{Counted, Quotas, Reservation, Unit};
pub(crate) use rate::Rates;
pub(crate) use refusals::Refusals;
