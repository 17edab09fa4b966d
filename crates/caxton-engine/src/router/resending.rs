//! Dead letters that are being sent again: each by one at a time, or it would be sent twice.

use super::Shared;
use crate::port::store::DeadLetterId;
use caxton_core::TenantId;
use parking_lot::Mutex;
use std::collections::HashSet;

/// Those of all tenants.
pub(super) type Letters = Mutex<HashSet<(TenantId, DeadLetterId)>>;

/// A dead letter that is being sent again, until this is dropped.
pub(crate) struct Resending<'a> {
    shared: &'a Shared,
    letter: (TenantId, DeadLetterId),
}

impl<'a> Resending<'a> {
    /// `None` where somebody else sends it.
    pub(crate) fn begin(shared: &'a Shared, tenant: &TenantId, id: &DeadLetterId) -> Option<Self> {
        let letter = (tenant.clone(), id.clone());
        let is_first = shared.resending.lock().insert(letter.clone());
        is_first.then_some(Self { shared, letter })
    }
}

impl Drop for Resending<'_> {
    fn drop(&mut self) {
        self.shared.resending.lock().remove(&self.letter);
    }
}
