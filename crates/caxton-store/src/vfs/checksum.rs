//! The sum at the end of every page: 64 bits over the page's other bytes and its place in the file.
//!
//! Against damage, not against forgery. Each step is a bijection of what came before, so no change of
//! a single word can go unseen; the place is taken in so that a page written to the wrong place does
//! not pass for the right one.

/// Bytes of a page of every database of ours.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Bytes at its end that SQLite leaves to us: the header's byte 20 says so.
pub(crate) const SUM_BYTES: usize = 8;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Writes the sum into the page that is to stand at `offset`.
pub(super) fn seal(page: &mut [u8; PAGE_BYTES], offset: u64) {
    let value = sum(page, offset).to_le_bytes();
    if let Some(place) = page.last_chunk_mut::<SUM_BYTES>() {
        *place = value;
    }
}

/// Whether the page is as it was written. A page of zeros was never written: SQLite leaves holes where
/// a page was taken and given back at once, and does not take zeros for content.
pub(super) fn is_whole(page: &[u8; PAGE_BYTES], offset: u64) -> bool {
    let found = page.last_chunk::<SUM_BYTES>().copied().unwrap_or_default();
    u64::from_le_bytes(found) == sum(page, offset) || page.iter().all(|byte| *byte == 0)
}

fn sum(page: &[u8; PAGE_BYTES], offset: u64) -> u64 {
    let (words, _) = page.as_chunks::<8>();
    let (body, _) = words.split_at(words.len() - 1);
    // Four chains side by side, for a processor can multiply four at a time.
    let mut chains = [offset ^ STEP, 1, 2, 3];
    let (rounds, rest) = body.as_chunks::<4>();
    for round in rounds {
        for (chain, word) in chains.iter_mut().zip(round) {
            *chain = step(*chain, u64::from_le_bytes(*word));
        }
    }
    for (chain, word) in chains.iter_mut().zip(rest) {
        *chain = step(*chain, u64::from_le_bytes(*word));
    }
    chains.into_iter().fold(STEP, step)
}

fn step(chain: u64, word: u64) -> u64 {
    (chain ^ word).wrapping_mul(STEP).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        for (index, byte) in page.iter_mut().enumerate() {
            *byte = (index * 7 % 251) as u8;
        }
        page
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let mut sealed = page();
        seal(&mut sealed, 8192);
        assert!(is_whole(&sealed, 8192));
        assert!(!is_whole(&sealed, 4096), "at another place");
        for index in 0..PAGE_BYTES {
            for flip in [1, 0x80, 0xff] {
                sealed[index] ^= flip;
                assert!(!is_whole(&sealed, 8192), "byte {index} ^ {flip}");
                sealed[index] ^= flip;
            }
        }
    }

    #[test]
    fn a_hole_is_whole() {
        assert!(is_whole(&[0; PAGE_BYTES], 4096));
    }

    #[test]
    fn the_sum_on_disk_never_changes() {
        assert_eq!(sum(&page(), 4096), SUM_OF_PAGE);
    }

    const SUM_OF_PAGE: u64 = 10_927_271_160_775_724_020;
}
