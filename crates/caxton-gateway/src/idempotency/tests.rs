//! What a key remembers, and what it forgets.

#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

const KEPT: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::from_secs(seconds))
}

fn begin(keys: &Idempotency, tenant: &str, key: &str, body: &str, now: u64) -> Result<Begun, Code> {
    let tenant = TenantId::parse(tenant).unwrap();
    let request = ("Send", body.as_bytes());
    keys.begin(&tenant, &Principal::platform_admin(), key, request, at(now))
        .map_err(|error| error.code)
}

fn first(begun: Result<Begun, Code>) -> Claim {
    match begun {
        Ok(Begun::First(claim)) => claim,
        Ok(Begun::Replay(_)) => panic!("replayed"),
        Err(code) => panic!("refused: {code}"),
    }
}

fn replay(begun: Result<Begun, Code>) -> Vec<u8> {
    match begun {
        Ok(Begun::Replay(answer)) => answer,
        Ok(Begun::First(_)) => panic!("not remembered"),
        Err(code) => panic!("refused: {code}"),
    }
}

#[test]
fn the_first_answer_is_replayed_to_the_same_request_only() {
    let keys = Idempotency::new(KEPT, 10, 1000);
    let claim = first(begin(&keys, "a", "k", "body", 0));
    let busy = begin(&keys, "a", "k", "body", 0);
    assert_eq!(busy.err(), Some(Code::IdempotencyBusy));
    claim.answered(b"answer".to_vec(), at(1));
    assert_eq!(replay(begin(&keys, "a", "k", "body", 2)), b"answer");
    let other = begin(&keys, "a", "k", "other body", 2);
    assert_eq!(other.err(), Some(Code::IdempotencyMismatch));
    drop(first(begin(&keys, "b", "k", "body", 2)));
    drop(first(begin(&keys, "a", "l", "body", 2)));
}

#[test]
fn a_failure_frees_the_key() {
    let keys = Idempotency::new(KEPT, 10, 1000);
    drop(first(begin(&keys, "a", "k", "body", 0)));
    drop(first(begin(&keys, "a", "k", "another body", 0)));
}

#[test]
fn a_key_is_forgotten_in_time() {
    let keys = Idempotency::new(KEPT, 10, 1000);
    first(begin(&keys, "a", "k", "body", 0)).answered(Vec::new(), at(0));
    assert_eq!(replay(begin(&keys, "a", "k", "body", 60)), b"");
    drop(first(begin(&keys, "a", "k", "another body", 61)));
}

#[test]
fn keys_and_bytes_are_bounded_and_the_oldest_go() {
    let keys = Idempotency::new(KEPT, 3, 10);
    for key in ["a", "b", "c", "d"] {
        first(begin(&keys, "a", key, "body", 0)).answered(vec![0; 2], at(0));
    }
    drop(first(begin(&keys, "a", "a", "body", 0)));
    // What is in progress is never forgotten, and there is no room beside it.
    let claims: Vec<_> = ["x", "y", "z"]
        .map(|key| first(begin(&keys, "a", key, "body", 0)))
        .into();
    let full = begin(&keys, "a", "w", "body", 0);
    assert_eq!(full.err(), Some(Code::Overloaded));
    drop(claims);
    first(begin(&keys, "a", "large", "body", 0)).answered(vec![0; 11], at(0));
    drop(first(begin(&keys, "a", "after", "body", 0)));
    drop(first(begin(&keys, "a", "large", "another body", 0)));
    let remembered = keys.inner.lock();
    assert_eq!((remembered.bytes, remembered.answered.len()), (0, 0));
}

#[test]
fn a_long_key_is_refused() {
    let keys = Idempotency::new(KEPT, 3, 10);
    let long = begin(&keys, "a", &"k".repeat(256), "body", 0);
    assert_eq!(long.err(), Some(Code::ParameterMalformed));
}
