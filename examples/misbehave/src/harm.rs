//! What ends, starves or inflates the sandbox. The compiler may not see through any of it, or it
//! would rightly remove it.

use std::hint::black_box;

/// Ends the instance the way a miscompiled or hostile guest would: with no word in the log.
pub fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort();
}

/// Computes until something from outside ends it.
pub fn spin_forever() -> ! {
    let mut round = 0_u64;
    loop {
        round = black_box(round.wrapping_add(1));
    }
}

/// Computes for so many rounds and returns how many it did.
pub fn spin(rounds: u64) -> u64 {
    let mut done = 0;
    while done < rounds {
        done = black_box(done + 1);
    }
    done
}

/// Calls itself until the stack ends, or a billion times.
pub fn recurse(depth: u64) -> u64 {
    if black_box(depth) == 1_000_000_000 {
        return depth;
    }
    let next: fn(u64) -> u64 = black_box(recurse);
    black_box(next(depth + 1))
}

/// Takes and touches memory until no more is given; returns how many MiB that was. Everything is
/// given back, though a sandbox's memory never shrinks.
pub fn allocate_until_refused() -> usize {
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut chunk: Vec<u8> = Vec::new();
        if chunk.try_reserve_exact(MIB).is_err() || chunks.try_reserve(1).is_err() {
            return black_box(chunks).len();
        }
        chunk.resize(MIB, 1);
        chunks.push(chunk);
    }
}

const MIB: usize = 1 << 20;
