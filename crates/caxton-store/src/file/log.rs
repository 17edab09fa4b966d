//! Looks through a write-ahead log before SQLite does. SQLite takes the first frame that is not as it
//! was written for the log's end, for that is what a crash leaves; where it is damage instead, all
//! commits behind it would be lost without a word.
//!
//! What tells the two apart: a transaction is begun only after the one before it was synced. So a crash
//! can spoil the last transaction of a log and no other. Where two or more are written behind the end,
//! the first of them had been synced, and something has changed it since. Not seen is damage to the
//! very last transaction, which looks like a crash, and a log that is gone as a whole.
//!
//! The form is the one that SQLite documents (`fileformat2.html`, "The Write-Ahead Log").

use crate::error::io;
use crate::vfs::checksum::PAGE_BYTES;
use caxton_engine::port::StoreError;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + PAGE_BYTES;
/// Of a log whose sums are over big-endian words; the even one below it is little-endian.
const MAGIC_BIG_ENDIAN: u32 = 0x377f_0683;
/// Transactions behind the end that make it damage.
const BEHIND_MIN: usize = 2;

type Sum = (u32, u32);

/// Refuses a log that ends in its middle; the error names it.
pub(super) fn check(log: &Path) -> Result<(), StoreError> {
    let file = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("open", log, &error)),
    };
    let found = look(BufReader::with_capacity(1 << 20, file));
    match found.map_err(|error| io("read", log, &error))? {
        None => Ok(()),
        Some(fault) => Err(StoreError::Damaged(format!("{}: {fault}", log.display()))),
    }
}

/// What is wrong with a log, if anything is.
fn look(mut log: impl Read) -> Result<Option<String>, std::io::Error> {
    let mut header = [0; HEADER_BYTES];
    let mut frame = [0; FRAME_BYTES];
    if !fill(&mut log, &mut header)? || header.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let magic = word(&header, 0);
    let big = magic == MAGIC_BIG_ENDIAN;
    let (summed, _) = header.split_at(24);
    let mut sum = add((0, 0), summed, big);
    let known = magic | 1 == MAGIC_BIG_ENDIAN && word(&header, 8) == PAGE_BYTES as u32;
    if !known || sum != (word(&header, 24), word(&header, 28)) {
        // SQLite takes such a log for none. One without a frame has nothing to lose.
        let lost = fill(&mut log, &mut frame)?;
        return Ok(lost.then(|| "its header has changed, and its commits are lost".to_owned()));
    }
    let salts = (word(&header, 16), word(&header, 20));
    let (mut whole, mut ended, mut behind) = (0_u64, false, 0);
    while fill(&mut log, &mut frame)? {
        let ours = (word(&frame, 8), word(&frame, 12)) == salts;
        let (first, page) = frame.split_at(FRAME_HEADER_BYTES);
        let (first, _) = first.split_at(8);
        sum = add(add(sum, first, big), page, big);
        ended |= !ours || sum != (word(&frame, 16), word(&frame, 20));
        whole += u64::from(!ended);
        // The size of the database after a commit; zero in every other frame.
        behind += usize::from(ended && ours && word(&frame, 4) != 0);
    }
    Ok((behind >= BEHIND_MIN).then(|| {
        format!("frame {whole} has changed, and the {behind} commits from there on are lost")
    }))
}

/// Reads all of the buffer; `false` where there is less.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<bool, std::io::Error> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A big-endian word, as all header fields are.
fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    u32::from_be_bytes(word.copied().unwrap_or_default())
}

/// Goes on with a sum over pairs of words.
fn add(sum: Sum, bytes: &[u8], big: bool) -> Sum {
    let (words, _) = bytes.as_chunks::<4>();
    let (pairs, _) = words.as_chunks::<2>();
    let read = |word: &[u8; 4]| match big {
        true => u32::from_be_bytes(*word),
        false => u32::from_le_bytes(*word),
    };
    pairs.iter().fold(sum, |(a, b), [x, y]| {
        let a = a.wrapping_add(read(x)).wrapping_add(b);
        let b = b.wrapping_add(read(y)).wrapping_add(a);
        (a, b)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use rusqlite::Connection;

    /// A log of so many transactions of some frames each, as SQLite writes it.
    fn log(transactions: usize) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "page_size", PAGE_BYTES as i64)
            .unwrap();
        conn.pragma_update(None, "journal_mode", "wal").unwrap();
        conn.execute_batch("CREATE TABLE t (x)").unwrap();
        conn.pragma_update(None, "wal_checkpoint", "truncate").ok();
        for n in 0..transactions {
            let sql = format!("INSERT INTO t VALUES (zeroblob(10000 + {n}))");
            conn.execute_batch(&sql).unwrap();
        }
        std::fs::read(dir.path().join("a.db-wal")).unwrap()
    }

    fn fault(log: &[u8]) -> Option<String> {
        look(log).unwrap()
    }

    /// Where the frames of commits are.
    fn commits(log: &[u8]) -> Vec<usize> {
        let frames = (HEADER_BYTES..log.len()).step_by(FRAME_BYTES);
        frames.filter(|at| word(log, at + 4) != 0).collect()
    }

    #[test]
    fn a_whole_log_is_whole_and_so_is_one_cut_anywhere() {
        let log = log(5);
        assert_eq!(fault(&log), None);
        for cut in (0..log.len()).step_by(997) {
            assert_eq!(fault(&log[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_changed_byte_before_the_last_transaction_is_named() {
        let log = log(5);
        let commits = commits(&log);
        // The commit before the last: a byte up to its end spoils two transactions or more.
        let end = commits[commits.len() - 2] + FRAME_BYTES;
        let start = commits[commits.len() - 2] + FRAME_HEADER_BYTES;
        for at in (0..end - FRAME_BYTES).step_by(613).chain(start..start + 99) {
            let mut bad = log.clone();
            bad[at] ^= 0x10;
            assert!(fault(&bad).is_some(), "byte {at}");
        }
    }

    #[test]
    fn a_torn_last_transaction_is_a_crash() {
        let log = log(5);
        let commits = commits(&log);
        let start = commits[commits.len() - 2] + FRAME_BYTES;
        for at in (start..log.len()).step_by(613) {
            let mut torn = log.clone();
            torn[at] ^= 0x10;
            assert_eq!(fault(&torn), None, "byte {at}");
        }
    }

    /// What is behind a log that was begun anew is an older log's.
    #[test]
    fn an_older_logs_rest_is_no_damage() {
        let (old, new) = (log(6), log(2));
        let mut both = old.clone();
        both[..new.len()].copy_from_slice(&new);
        assert_eq!(fault(&both), None);
    }
}
