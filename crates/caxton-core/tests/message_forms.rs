//! Properties of the two forms of a message: any message round-trips through both, and no input,
//! however damaged, makes a reader panic or read something that it would write otherwise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::message::{acl_string, json};
use caxton_core::{Acl, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use support::{acl, fixpoint, home, mutate::mutate, samples, whole};

/// Damaged inputs that each form's reader gets in one run of the tests.
const INPUTS: usize = 50_000;
const SEED: u64 = 0xF1BA_0070;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn any_message_round_trips_through_the_string_form(acl in acl()) {
        prop_assert_eq!(acl.validate(), Ok(()));
        let text = acl_string::write(&acl);
        let read = acl_string::read(&text, &home());
        prop_assert_eq!(read.as_ref().map(whole), Ok(whole(&acl)), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn any_message_round_trips_through_json(acl in acl(), us in 0_i64..1000) {
        let mut acl = acl;
        acl.reply_by = acl.reply_by.map(|at| Timestamp::from_us(at.as_us() + us));
        let text = json::write(&acl).to_string();
        let read = json::read(text.as_bytes(), &home());
        prop_assert_eq!(read.as_ref().map(whole), Ok(whole(&acl)), "{}", text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fixpoint::string_form(&bytes);
        fixpoint::json_form(&bytes);
    }
}

/// Feeds damaged messages to a form's check; how many of them were still messages.
fn survivors(check: fn(&[u8]) -> bool, write: fn(&Acl) -> Vec<u8>) -> usize {
    let texts: Vec<Vec<u8>> = samples(acl(), SEED, 400).iter().map(write).collect();
    let mut rng = TestRng::from_seed(RngAlgorithm::XorShift, &u128::from(SEED).to_le_bytes());
    let mut pick = |texts: &[Vec<u8>]| texts[rng.random_range(0..texts.len())].clone();
    let pairs: Vec<_> = (0..INPUTS).map(|_| (pick(&texts), pick(&texts))).collect();
    pairs
        .into_iter()
        .filter(|(text, other)| check(&mutate(&mut rng, text, other)))
        .count()
}

#[test]
fn damaged_string_forms_never_panic_and_reach_a_fixpoint() {
    let survivors = survivors(fixpoint::string_form, acl_string::write);
    // Neither all harmless nor all rejected at the first byte, or the test would show nothing.
    assert!((INPUTS / 50..INPUTS).contains(&survivors), "{survivors}");
}

#[test]
fn damaged_json_never_panics_and_reaches_a_fixpoint() {
    let survivors = survivors(fixpoint::json_form, |acl| {
        json::write(acl).to_string().into_bytes()
    });
    assert!((INPUTS / 50..INPUTS).contains(&survivors), "{survivors}");
}
