//! Copying memory, eight bytes at a time.
//!
//! A component that must load where bulk memory is switched off has no instruction that copies, and the
//! compiler's own loop for that case goes four bytes at a time at best. Moving a message from one
//! place to another is most of what an agent does, and each instruction of it is metered.
//!
//! The linker prefers this `memcpy` to the compiler's, which is weak. Where a guest is built with bulk
//! memory the compiler needs neither.

use core::ptr;

/// The C library's.
///
/// # Safety
/// Both places have `bytes` bytes, and do not overlap.
#[cfg_attr(
    all(target_family = "wasm", not(target_feature = "bulk-memory")),
    unsafe(no_mangle)
)]
pub(crate) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: every access is inside `bytes`; whatever their alignment, reads and writes say so. What
    // is copied twice is read from `from`, which nothing here writes.
    unsafe {
        if bytes >= 8 {
            let mut at = 0;
            while bytes - at >= 16 {
                copy::<u64>(to, from, at);
                copy::<u64>(to, from, at + 8);
                at += 16;
            }
            if bytes - at > 8 {
                copy::<u64>(to, from, at);
            }
            // Up to the end, over what is there already.
            copy::<u64>(to, from, bytes - 8);
        } else if bytes >= 4 {
            copy::<u32>(to, from, 0);
            copy::<u32>(to, from, bytes - 4);
        } else if bytes > 0 {
            // The first, the last, and the one between where there is one.
            copy::<u8>(to, from, 0);
            copy::<u8>(to, from, bytes / 2);
            copy::<u8>(to, from, bytes - 1);
        }
    }
    to
}

/// # Safety
/// Both places have a `T` at this many bytes.
#[inline(always)]
unsafe fn copy<T>(to: *mut u8, from: *const u8, at: usize) {
    // SAFETY: the caller's.
    unsafe {
        let word = ptr::read_unaligned(from.add(at).cast::<T>());
        ptr::write_unaligned(to.add(at).cast::<T>(), word);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_length_at_every_alignment_is_copied_and_nothing_beside() {
        let from: Vec<u8> = (0..=255).collect();
        for bytes in 0..100 {
            for (skip_from, skip_to) in [(0, 0), (1, 0), (0, 3), (7, 5)] {
                let mut to = vec![0xee_u8; 128];
                // SAFETY: both have more than 110 bytes.
                let answer = unsafe {
                    memcpy(
                        to.as_mut_ptr().add(skip_to),
                        from.as_ptr().add(skip_from),
                        bytes,
                    )
                };
                assert_eq!(answer, unsafe { to.as_mut_ptr().add(skip_to) });
                assert_eq!(
                    to[skip_to..skip_to + bytes],
                    from[skip_from..skip_from + bytes]
                );
                assert!(to[..skip_to].iter().all(|byte| *byte == 0xee), "{bytes}");
                assert!(
                    to[skip_to + bytes..].iter().all(|byte| *byte == 0xee),
                    "{bytes}"
                );
            }
        }
    }
}
