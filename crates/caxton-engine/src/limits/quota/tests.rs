//! Reserving and settling: nothing is ever used past a limit, and nothing reserved is lost.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::port::{MemoryDisk, MemoryStore, Store};
use caxton_core::Epoch;

fn quotas(disk: &MemoryDisk) -> Quotas {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::open(disk.clone()));
    Quotas::new(Documents::new(store, Epoch(0)))
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn noon() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T12:00:00Z").unwrap()
}

fn limited(limit: u64, period: Period, overage: Overage) -> Quota {
    Quota {
        messages: Some(QuotaLimit {
            limit,
            period,
            overage,
        }),
        ..Quota::default()
    }
}

async fn one(quotas: &Quotas, key: Option<&str>, now: Timestamp) -> Result<Reservation, Error> {
    quotas.reserve(&tenant(), key, Unit::Messages, 1, now).await
}

#[tokio::test]
async fn a_hundred_at_the_last_unit_use_one() {
    let quotas = Arc::new(quotas(&MemoryDisk::default()));
    let quota = limited(1, Period::Day, Overage::Refuse);
    quotas.set(&tenant(), "", quota).await.unwrap();
    let tries = (0..100).map(|_| {
        let quotas = Arc::clone(&quotas);
        tokio::spawn(async move { one(&quotas, None, noon()).await })
    });
    let mut reserved = Vec::new();
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Ok(reservation) => reserved.push(reservation),
            Err(error) => assert_eq!(error.code, Code::QuotaExceeded),
        }
    }
    assert_eq!(reserved.len(), 1);
    // Nothing is used yet: who holds it may give it back any moment.
    let refused = one(&quotas, None, noon()).await.unwrap_err();
    assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));
    // Given back, it is there for another one; used, it is not.
    reserved.clear();
    one(&quotas, None, noon()).await.unwrap().settle(1);
    let refused = one(&quotas, None, noon()).await.unwrap_err();
    assert_eq!(refused.retry_after, Some(Duration::from_secs(12 * 3600)));
    let tomorrow = noon().plus(Duration::from_secs(24 * 3600));
    assert!(one(&quotas, None, tomorrow).await.is_ok());
}

#[tokio::test]
async fn tenant_and_key_are_both_held_to_theirs() {
    let quotas = quotas(&MemoryDisk::default());
    let month = limited(3, Period::Month, Overage::Refuse);
    quotas.set(&tenant(), "", month).await.unwrap();
    let day = limited(2, Period::Day, Overage::Refuse);
    quotas.set(&tenant(), "key:a", day).await.unwrap();
    for _ in 0..2 {
        one(&quotas, Some("key:a"), noon()).await.unwrap().settle(1);
    }
    let refused = one(&quotas, Some("key:a"), noon()).await.unwrap_err();
    assert!(refused.detail.contains("key:a"), "{refused}");
    one(&quotas, Some("key:b"), noon()).await.unwrap().settle(1);
    let refused = one(&quotas, Some("key:b"), noon()).await.unwrap_err();
    assert!(refused.detail.starts_with("tenant acme"), "{refused}");
    // What the tenant's limit refused was not counted against the key.
    let usage = quotas.usage(&tenant(), "key:b", noon()).await.unwrap();
    assert_eq!(usage.messages, Used { day: 1, month: 1 });
}

#[tokio::test]
async fn overage_that_is_allowed_is_counted() {
    let quotas = quotas(&MemoryDisk::default());
    let quota = limited(1, Period::Month, Overage::Allow);
    quotas.set(&tenant(), "", quota).await.unwrap();
    for _ in 0..3 {
        one(&quotas, None, noon()).await.unwrap().settle(1);
    }
    let usage = quotas.usage(&tenant(), "", noon()).await.unwrap();
    assert_eq!(usage.messages.month, 3);
}

#[tokio::test]
async fn counts_outlive_the_server_and_turn_with_the_calendar() {
    let disk = MemoryDisk::default();
    let first = quotas(&disk);
    for _ in 0..5 {
        one(&first, None, noon()).await.unwrap().settle(2);
    }
    first.flush().await;
    let second = quotas(&disk);
    let usage = second.usage(&tenant(), "", noon()).await.unwrap();
    assert_eq!(usage.messages, Used { day: 10, month: 10 });
    let next_day = noon().plus(Duration::from_secs(24 * 3600));
    let usage = second.usage(&tenant(), "", next_day).await.unwrap();
    assert_eq!(usage.messages, Used { day: 0, month: 10 });
    let next_month = noon().plus(Duration::from_secs(20 * 24 * 3600));
    let usage = second.usage(&tenant(), "", next_month).await.unwrap();
    assert_eq!(usage.messages, Used { day: 0, month: 0 });
}

#[test]
fn periods_are_the_calendars() {
    let time = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
    let now = time("2026-02-28T23:59:59.999999Z");
    let day = Period::Day.around(now);
    assert_eq!(
        day,
        (time("2026-02-28T00:00:00Z"), time("2026-03-01T00:00:00Z"))
    );
    let month = Period::Month.around(now);
    assert_eq!(
        month,
        (time("2026-02-01T00:00:00Z"), time("2026-03-01T00:00:00Z"))
    );
    let month = Period::Month.around(time("2026-12-31T10:00:00Z"));
    assert_eq!(month.1, time("2027-01-01T00:00:00Z"));
}

#[tokio::test]
async fn a_clock_that_jumps_opens_nothing_and_locks_nobody_out() {
    let hours = |n: u64| Duration::from_secs(n * 3600);
    let back = |from: Timestamp, by: Duration| {
        Timestamp::from_us(from.as_us() - i64::try_from(by.as_micros()).unwrap())
    };
    for period in [Period::Day, Period::Month] {
        let quotas = quotas(&MemoryDisk::default());
        let quota = limited(1, period, Overage::Refuse);
        quotas.set(&tenant(), "", quota).await.unwrap();
        let (begin, end) = period.around(noon());
        one(&quotas, None, begin).await.unwrap().settle(1);
        // Back over the period's beginning, it is still this one.
        for at in [begin, back(begin, hours(1)), back(begin, hours(20)), noon()] {
            assert!(one(&quotas, None, at).await.is_err(), "{period:?} {at}");
        }
        // Ahead over its end it is the next one, which is not there twice.
        one(&quotas, None, end).await.unwrap().settle(1);
        for at in [back(end, hours(1)), end, back(end, Duration::from_secs(60))] {
            assert!(one(&quotas, None, at).await.is_err(), "{period:?} {at}");
        }
        // A year ahead by mistake: when that is mended, nobody waits for a year.
        let wrong = end.plus(hours(24 * 365));
        one(&quotas, None, wrong).await.unwrap().settle(1);
        assert!(one(&quotas, None, wrong).await.is_err());
        one(&quotas, None, end).await.unwrap().settle(1);
        assert!(one(&quotas, None, end).await.is_err());
    }
}

#[tokio::test]
async fn a_count_is_never_taken_for_nothing_however_many_there_are() {
    let quotas = quotas(&MemoryDisk::default());
    let quota = limited(10, Period::Month, Overage::Refuse);
    quotas.set(&tenant(), "", quota).await.unwrap();
    for _ in 0..9 {
        one(&quotas, None, noon()).await.unwrap().settle(1);
    }
    quotas.flush().await;
    // As many more as there is room for, so that those which are written down are let go.
    let other = TenantId::parse("other").unwrap();
    for n in 0..COUNTS_MAX {
        let key = format!("key:{n}");
        quotas.usage(&other, &key, noon()).await.unwrap();
    }
    assert!(quotas.inner.counts.lock().len() <= COUNTS_MAX);
    let last = one(&quotas, Some("key:new"), noon()).await.unwrap();
    last.settle(1);
    let refused = one(&quotas, Some("key:newer"), noon()).await.unwrap_err();
    assert_eq!(refused.code, Code::QuotaExceeded);
    quotas.flush().await;
    let usage = quotas.usage(&tenant(), "", noon()).await.unwrap();
    assert_eq!(usage.messages.month, 10);
}
