//! The guest's allocator: lists of free blocks by size, over the standard one.
//!
//! Handling a message is a dozen small allocations that are freed again before the handler returns,
//! and every instruction of a guest is metered. Taking a block from a list is some ten instructions,
//! the standard allocator's search and merging some hundred. Blocks come first from what the linker
//! left free of the memory the component starts with, so that a small agent never grows it: growing
//! is a system call of the server's, and shrinking again for the next instance is another.
//!
//! A block stays in the list of its size: memory that once held a thousand texts of one size is not
//! there for texts of another. Large blocks are the standard allocator's and do not have that.
//!
//! An agent that wants another allocator switches this crate's default feature `allocator` off.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

/// Blocks begin at multiples of this; no ordinary type wants more.
const ALIGN: usize = 16;
/// Up to here there is a list for every multiple of [`ALIGN`], above for every power of two.
const FINE_BYTES_MAX: usize = 256;
/// Larger blocks are the standard allocator's.
const BLOCK_BYTES_MAX: usize = 4096;
const FINE_LISTS: usize = FINE_BYTES_MAX / ALIGN;
const LISTS: usize = FINE_LISTS + (BLOCK_BYTES_MAX / FINE_BYTES_MAX).ilog2() as usize;

/// The list of blocks of at least so many bytes, and what they have.
const fn list_of(bytes: usize) -> (usize, usize) {
    if bytes <= FINE_BYTES_MAX {
        // An empty layout is never asked for, but would be harmless.
        let blocks = if bytes == 0 { 1 } else { bytes.div_ceil(ALIGN) };
        (blocks - 1, blocks * ALIGN)
    } else {
        let size = bytes.next_power_of_two();
        let list = FINE_LISTS + (size / FINE_BYTES_MAX).ilog2() as usize - 1;
        (list, size)
    }
}

/// Where fresh memory comes from.
trait Source {
    /// More memory, at least `bytes` of it, nobody else's and never given back: where it begins and
    /// ends, both multiples of [`ALIGN`]. `None`: there is none.
    fn more(&mut self, bytes: usize) -> Option<(usize, usize)>;
}

/// Lists of free blocks, and memory that was never used.
struct Blocks<S> {
    free: [*mut u8; LISTS],
    next: usize,
    end: usize,
    source: S,
}

impl<S: Source> Blocks<S> {
    const fn new(source: S) -> Self {
        Self {
            free: [ptr::null_mut(); LISTS],
            next: 0,
            end: 0,
            source,
        }
    }

    fn take(&mut self, bytes: usize) -> *mut u8 {
        let (list, size) = list_of(bytes);
        let Some(head) = self.free.get_mut(list) else {
            return ptr::null_mut();
        };
        let block = *head;
        if block.is_null() {
            return self.fresh(size);
        }
        // SAFETY: what stands in a list is a free block, and `give` wrote the next one's address to
        // its beginning, which is aligned for it.
        *head = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    /// # Safety
    /// `block` came from `take` with the same `bytes` and nobody uses it any more.
    unsafe fn give(&mut self, block: *mut u8, bytes: usize) {
        let (list, _) = list_of(bytes);
        if let Some(head) = self.free.get_mut(list) {
            // SAFETY: the caller's: the block is ours alone, at least `ALIGN` large and aligned.
            unsafe { block.cast::<*mut u8>().write(*head) };
            *head = block;
        }
    }

    #[cold]
    fn fresh(&mut self, size: usize) -> *mut u8 {
        if self.end - self.next < size {
            let Some((begin, end)) = self.source.more(size) else {
                return ptr::null_mut();
            };
            // What is left of the piece before is kept where the new one follows it.
            if begin != self.end {
                self.next = begin;
            }
            self.end = end;
        }
        let block = self.next;
        self.next += size;
        block as *mut u8
    }
}

/// The memory of this component.
#[cfg(target_family = "wasm")]
struct Linear {
    begun: bool,
}

#[cfg(target_family = "wasm")]
impl Source for Linear {
    fn more(&mut self, bytes: usize) -> Option<(usize, usize)> {
        use core::arch::wasm32::{memory_grow, memory_size};
        const PAGE: usize = 64 << 10;
        unsafe extern "C" {
            /// The linker's: what it laid out ends here.
            static __heap_base: u8;
        }
        if !self.begun {
            self.begun = true;
            let begin = (&raw const __heap_base as usize).next_multiple_of(ALIGN);
            let end = memory_size::<0>() * PAGE;
            if begin + bytes <= end {
                return Some((begin, end));
            }
        }
        let pages = bytes.div_ceil(PAGE);
        let before = memory_grow::<0>(pages);
        if before == usize::MAX {
            return None;
        }
        // The last page's end would be 0 in 32 bits.
        let end = (before + pages).checked_mul(PAGE)?;
        Some((before * PAGE, end))
    }
}

/// The allocator of the whole component.
struct Allocator<S>(UnsafeCell<Blocks<S>>);

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: Allocator<Linear> =
    Allocator(UnsafeCell::new(Blocks::new(Linear { begun: false })));

// SAFETY: a component has one thread; the server refuses the instructions that would make another.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl Sync for Allocator<Linear> {}

const fn is_ours(layout: Layout) -> bool {
    layout.size() <= BLOCK_BYTES_MAX && layout.align() <= ALIGN
}

// SAFETY: blocks are as large and aligned as asked for, belong to one owner at a time, and stay where
// they are; what is not ours goes to the standard allocator with all its calls. Nothing here unwinds.
unsafe impl<S: Source> GlobalAlloc for Allocator<S> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_ours(layout) {
            // SAFETY: one thread, and nothing below calls an allocator: the borrow is the only one.
            unsafe { (*self.0.get()).take(layout.size()) }
        } else {
            // SAFETY: the caller's.
            unsafe { System.alloc(layout) }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_ours(layout) {
            // SAFETY: as in `alloc`; the caller has the block from there, with this layout.
            unsafe { (*self.0.get()).give(block, layout.size()) };
        } else {
            // SAFETY: the caller's.
            unsafe { System.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that a layout may have.
        let wanted = unsafe { Layout::from_size_align_unchecked(bytes, layout.align()) };
        match (is_ours(layout), is_ours(wanted)) {
            (true, true) if list_of(layout.size()) == list_of(bytes) => block,
            // SAFETY: the caller's.
            (false, false) => unsafe { System.realloc(block, layout, bytes) },
            // SAFETY: the new block is none of the old, and as large as what is copied.
            _ => unsafe {
                let new = self.alloc(wanted);
                if !new.is_null() {
                    ptr::copy_nonoverlapping(block, new, layout.size().min(bytes));
                    self.dealloc(block, layout);
                }
                new
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    /// Pieces of the test's own memory, each so many bytes; not one behind the other.
    struct Pieces {
        left: usize,
        bytes: usize,
    }

    impl Source for Pieces {
        fn more(&mut self, bytes: usize) -> Option<(usize, usize)> {
            self.left = self.left.checked_sub(1)?;
            let size = self.bytes.max(bytes);
            let layout = Layout::from_size_align(size, ALIGN).expect("a layout");
            // SAFETY: not empty. It is never given back: the test ends.
            let begin = unsafe { System.alloc(layout) } as usize;
            Some((begin, begin + size))
        }
    }

    fn allocator(left: usize, bytes: usize) -> Allocator<Pieces> {
        Allocator(UnsafeCell::new(Blocks::new(Pieces { left, bytes })))
    }

    #[test]
    fn every_size_has_a_list_whose_blocks_are_as_large() {
        let mut before = 0;
        for bytes in 1..=BLOCK_BYTES_MAX {
            let (list, size) = list_of(bytes);
            assert!(
                list < LISTS && size >= bytes && size % ALIGN == 0,
                "{bytes}"
            );
            assert!(list == before || list == before + 1, "{bytes}");
            before = list;
        }
        assert_eq!(before, LISTS - 1, "no list is left over");
    }

    #[test]
    fn blocks_do_not_overlap_and_keep_what_is_written() {
        let allocator = allocator(usize::MAX, 8192);
        let mut random = 7_u64;
        let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
        for round in 0..20_000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let (size, mark) = ((random >> 33) as usize % 6000 + 1, round as u8);
            let layout = Layout::from_size_align(size, 8).expect("a layout");
            // SAFETY: layouts are not empty and go with their blocks.
            unsafe {
                match (random >> 60) % 4 {
                    0 | 1 => {
                        let block = allocator.alloc(layout);
                        assert!(!block.is_null() && block as usize % 8 == 0);
                        block.write_bytes(mark, size);
                        live.push((block, layout, mark));
                    }
                    2 if !live.is_empty() => {
                        let (block, old, mark) = live.swap_remove(size % live.len());
                        let block = allocator.realloc(block, old, size);
                        let kept = std::slice::from_raw_parts(block, old.size().min(size));
                        assert!(kept.iter().all(|byte| *byte == mark));
                        block.write_bytes(mark, size);
                        live.push((block, layout, mark));
                    }
                    _ if !live.is_empty() => {
                        let (block, old, mark) = live.swap_remove(size % live.len());
                        let kept = std::slice::from_raw_parts(block, old.size());
                        assert!(kept.iter().all(|byte| *byte == mark));
                        allocator.dealloc(block, old);
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn what_is_given_back_is_taken_again() {
        let allocator = allocator(1, 4096);
        let layout = Layout::from_size_align(200, 1).expect("a layout");
        for _ in 0..1000 {
            // SAFETY: as above.
            unsafe {
                let block = allocator.alloc(layout);
                assert!(!block.is_null());
                allocator.dealloc(block, layout);
            }
        }
    }

    #[test]
    fn no_memory_is_null_and_not_the_end() {
        let allocator = allocator(1, 256);
        let layout = Layout::from_size_align(256, 1).expect("a layout");
        // SAFETY: as above.
        unsafe {
            assert!(!allocator.alloc(layout).is_null());
            assert!(allocator.alloc(layout).is_null());
        }
    }
}
