//! Linked code of tools that were called lately, by what the code is and not by whose: the same
//! component is the same code for every tenant, as it is for agents. A tool that was replaced or
//! removed is not called any more, so that what it leaves here is the next to go.

use super::ToolCode;
use caxton_core::Digest;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// At most so many.
pub(super) struct Ready {
    max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Grows with each use.
    now: u64,
    codes: HashMap<Digest, (u64, Arc<ToolCode>)>,
}

impl Ready {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            kept: Mutex::default(),
        }
    }

    pub(super) fn get(&self, digest: Digest) -> Option<Arc<ToolCode>> {
        let mut kept = self.kept.lock();
        kept.now += 1;
        let now = kept.now;
        let (used, code) = kept.codes.get_mut(&digest)?;
        *used = now;
        Some(Arc::clone(code))
    }

    pub(super) fn put(&self, digest: Digest, code: &Arc<ToolCode>) {
        let mut kept = self.kept.lock();
        kept.now += 1;
        let now = kept.now;
        kept.codes.insert(digest, (now, Arc::clone(code)));
        // Putting is rare: it follows a load from disk at least.
        while kept.codes.len() > self.max {
            let oldest = kept.codes.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(digest, _)| *digest) else {
                break;
            };
            kept.codes.remove(&oldest);
        }
    }
}
