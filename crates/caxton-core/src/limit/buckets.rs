//! The buckets of a server: one for all, one a tenant, one a key, one an operation of a tenant.

use super::{Bucket, Decision, Rate};
use crate::error::{Code, Error};
use crate::grant::Subject;
use crate::tenant::TenantId;
use crate::time::Timestamp;
use std::collections::HashMap;

/// Buckets of tenants in use at one time. There, those that are full again are forgotten, and if there
/// is none, all are: each is then as new, which gives a burst too many and never shuts anybody out.
const BUCKETS_MAX: usize = 65_536;

/// Where the tightest of a request's limits stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// `server`, `tenant`, `key` or `operation`.
    pub name: &'static str,
    pub rate: Rate,
    pub decision: Decision,
}

impl RateState {
    /// Why the request is refused, if it is: `CX-4030`, with the time to wait.
    pub fn refusal(&self) -> Option<Error> {
        (!self.decision.allowed).then(|| {
            let detail = format!(
                "the {}'s limit of {} in {} s is used up until it refills",
                self.name, self.rate.count, self.rate.seconds
            );
            Error::new(Code::RateLimited, detail).retry_after(self.decision.wait)
        })
    }
}

/// What the limits of a request are called, in the order of [`Asked::rates`].
const NAMES: [&str; 4] = ["server", "tenant", "key", "operation"];

/// A request, and the rates that hold for it.
#[derive(Debug)]
pub struct Asked<'a> {
    pub tenant: &'a TenantId,
    pub who: &'a Subject,
    pub operation: &'static str,
    /// Of the server, the tenant, the key and the operation.
    pub rates: [Option<Rate>; 4],
}

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The buckets in use, kept so that each is found by what a request has at hand.
#[derive(Debug, Default)]
pub struct Buckets {
    server: Bucket,
    tenants: Map<TenantId, TenantBuckets>,
    /// How many the tenants have.
    count: usize,
}

#[derive(Debug, Default)]
struct TenantBuckets {
    all: Bucket,
    keys: Map<Subject, Bucket>,
    operations: Map<&'static str, Bucket>,
}

impl TenantBuckets {
    fn len(&self) -> usize {
        1 + self.keys.len() + self.operations.len()
    }
}

impl Buckets {
    /// Takes one of each, or of none where one of them refuses. Answers where the tightest stands, if
    /// there is any; where one refuses, that one.
    pub fn take(&mut self, asked: &Asked<'_>, now: Timestamp) -> Option<RateState> {
        if self.count >= BUCKETS_MAX {
            self.prune(now);
        }
        let tenant = match self.tenants.get_mut(asked.tenant) {
            Some(tenant) => tenant,
            None => {
                self.count += 1;
                self.tenants.entry(asked.tenant.clone()).or_default()
            }
        };
        let [server, all, key, operation] = asked.rates;
        let key = match (key, tenant.keys.get_mut(asked.who)) {
            (None, _) => None,
            (Some(rate), Some(bucket)) => Some((rate, bucket)),
            (Some(rate), None) => {
                self.count += 1;
                Some((rate, tenant.keys.entry(asked.who.clone()).or_default()))
            }
        };
        let operation = operation.map(|rate| {
            let bucket = tenant.operations.entry(asked.operation);
            let bucket = bucket.or_insert_with(|| {
                self.count += 1;
                Bucket::default()
            });
            (rate, bucket)
        });
        let mut limits = [
            server.map(|rate| (rate, &mut self.server)),
            all.map(|rate| (rate, &mut tenant.all)),
            key,
            operation,
        ];
        take_all(&mut limits, now)
    }

    /// Forgets the buckets that are as good as new; where there is none, all of them.
    fn prune(&mut self, now: Timestamp) {
        self.tenants.retain(|_, of| {
            of.keys.retain(|_, it| !it.is_idle(now));
            of.operations.retain(|_, it| !it.is_idle(now));
            !of.all.is_idle(now) || of.len() > 1
        });
        self.count = self.tenants.values().map(TenantBuckets::len).sum();
        if self.count >= BUCKETS_MAX {
            self.tenants.clear();
            self.count = 0;
        }
    }
}

fn take_all(limits: &mut [Option<(Rate, &mut Bucket)>; 4], now: Timestamp) -> Option<RateState> {
    let mut tightest: Option<RateState> = None;
    let mut taken = [Bucket::default(); 4];
    for ((name, limit), taken) in NAMES.into_iter().zip(&mut *limits).zip(&mut taken) {
        let Some((rate, bucket)) = limit else {
            continue;
        };
        let (decision, after) = bucket.decide(*rate, now);
        let state = RateState {
            name,
            rate: *rate,
            decision,
        };
        if !decision.allowed {
            **bucket = after;
            return Some(state);
        }
        *taken = after;
        let left =
            |it: &RateState| it.decision.remaining.saturating_mul(1000) / it.rate.burst.max(1);
        if tightest.as_ref().is_none_or(|it| left(&state) < left(it)) {
            tightest = Some(state);
        }
    }
    for (limit, taken) in limits.iter_mut().zip(taken) {
        if let Some((_, bucket)) = limit {
            **bucket = taken;
        }
    }
    tightest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked<'a>(tenant: &'a TenantId, who: &'a Subject, rates: [Option<Rate>; 4]) -> Asked<'a> {
        Asked {
            tenant,
            who,
            operation: "op",
            rates,
        }
    }

    #[test]
    fn one_that_refuses_takes_nothing_of_the_others() {
        let (wide, narrow) = (Rate::new(3, 60, 3).unwrap(), Rate::new(1, 60, 1).unwrap());
        let tenant = TenantId::parse("acme").unwrap();
        let (one, other) = (Subject::Key("one".into()), Subject::Key("other".into()));
        let rates = [Some(wide), None, Some(narrow), None];
        let (mut buckets, now) = (Buckets::default(), Timestamp::from_us(1));
        let mut take = |who: &Subject| buckets.take(&asked(&tenant, who, rates), now).unwrap();
        assert!(take(&one).decision.allowed);
        for _ in 0..5 {
            let refused = take(&one);
            assert_eq!((refused.name, refused.decision.allowed), ("key", false));
        }
        // Had the refused ones counted, the server's three would be gone.
        assert!(take(&other).decision.allowed);
        assert_eq!(take(&Subject::Admin).decision.remaining, 0);
        let refused = take(&Subject::Certificate("x".into()));
        assert_eq!((refused.name, refused.decision.allowed), ("server", false));
    }

    #[test]
    fn the_buckets_are_bounded_and_those_in_use_are_kept() {
        let rates = [None, None, Some(Rate::new(1, 3600, 1).unwrap()), None];
        let tenant = TenantId::parse("acme").unwrap();
        let (mut buckets, mut now) = (Buckets::default(), Timestamp::from_us(1));
        for n in 0..BUCKETS_MAX - 10 {
            buckets.take(&asked(&tenant, &Subject::Key(n.to_string()), rates), now);
        }
        // The first are full again, and make room for more.
        now = Timestamp::from_us(4_000_000_000);
        let used = Subject::Key("used".into());
        for n in 0..20 {
            let more = Subject::Key(format!("more {n}"));
            buckets.take(&asked(&tenant, &more, rates), now);
            let state = buckets.take(&asked(&tenant, &used, rates), now).unwrap();
            assert_eq!(state.decision.allowed, n == 0, "{n}");
        }
        let counted: usize = buckets.tenants.values().map(TenantBuckets::len).sum();
        assert_eq!(buckets.count, counted);
        assert!(counted < 100, "{counted}");
        // Where all are in use, all are forgotten.
        for n in 0..2 * BUCKETS_MAX {
            buckets.take(&asked(&tenant, &Subject::Key(n.to_string()), rates), now);
            assert!(buckets.count <= BUCKETS_MAX + 2);
        }
    }
}
