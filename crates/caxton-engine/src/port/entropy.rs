//! Randomness: ids, spans, jitter, and what guests ask for.

use parking_lot::Mutex;
use std::cell::RefCell;
use std::fmt;

/// A source of random bytes.
pub trait Entropy: Send + Sync + fmt::Debug {
    fn fill(&self, bytes: &mut [u8]);

    /// 64 random bits: what an id and a span take, message by message.
    fn word(&self) -> u64 {
        let mut bytes = [0_u8; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// ChaCha12 seeded by the operating system, one generator a thread: ids are made per message, and a
/// system call each would cost more than the message.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

thread_local! {
    static GENERATOR: RefCell<rand::rngs::StdRng> = RefCell::new(rand::make_rng());
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        use rand::Rng;
        GENERATOR.with_borrow_mut(|generator| generator.fill_bytes(bytes));
    }

    fn word(&self) -> u64 {
        use rand::Rng;
        GENERATOR.with_borrow_mut(|generator| generator.next_u64())
    }
}

/// The same bytes for the same seed: for tests and the simulator.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// The next 64 bits (SplitMix64).
    pub fn next_u64(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(word) {
                *byte = random;
            }
        }
    }
}
