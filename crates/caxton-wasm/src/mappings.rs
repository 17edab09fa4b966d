//! How many instances the machine's limit on memory mappings allows.
//!
//! Linux gives a process so many mappings (`vm.max_map_count`, 65,530 unless raised) and answers
//! `ENOMEM` past them, to whoever asks next: an instance, a thread, the allocator. A place of the pool
//! that was used once keeps its mappings, so what counts is how many were ever live at one time. They
//! are bounded here, at the start, by what fits; see [`instances_max`].

use std::fs;

/// Mappings of one instance: its stack and the guard below it; its memory before the module's image,
/// the image, the memory behind it, and the gap up to the next. A test counts them.
pub(crate) const MAPPINGS_PER_INSTANCE: u64 = 6;
/// Mappings that the pool leaves to all else: threads (two each), compiled code (about four a
/// component), libraries, files, the allocator.
pub(crate) const MAPPINGS_KEPT: u64 = 12_000;
/// Fewest instances, whatever the limit says: a machine this small has other troubles first.
const INSTANCES_MIN: u32 = 64;

/// The machine's limit; `None` where it has none, or does not tell.
pub(crate) fn limit() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    text.trim().parse().ok()
}

/// As many of `wanted` instances as fit under `limit`.
pub fn instances_max(wanted: u32, limit: Option<u64>) -> u32 {
    let Some(limit) = limit else {
        return wanted;
    };
    let fit = limit.saturating_sub(MAPPINGS_KEPT) / MAPPINGS_PER_INSTANCE;
    wanted.min(u32::try_from(fit).unwrap_or(u32::MAX).max(INSTANCES_MIN))
}

/// The limit under which so many instances fit: what to tell an operator who wants them.
pub(crate) fn limit_for(instances: u32) -> u64 {
    u64::from(instances) * MAPPINGS_PER_INSTANCE + MAPPINGS_KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_instances_as_fit_and_never_more_than_wanted() {
        assert_eq!(instances_max(15_000, Some(65_530)), 8_921);
        assert_eq!(instances_max(1_000, Some(65_530)), 1_000);
        assert_eq!(instances_max(15_000, None), 15_000);
        assert_eq!(instances_max(15_000, Some(0)), INSTANCES_MIN);
        assert_eq!(instances_max(2, Some(0)), 2);
        assert_eq!(instances_max(15_000, Some(limit_for(15_000))), 15_000);
    }
}
