//! Failed authentication: counted, told to the log, and answered 429 where there is too much of it from
//! one address or against one key.
//!
//! Only failures are limited. A good key is let through whatever others tried from the same address or
//! with the same public part (which may be logged, and so known): with 256 random bits in a secret,
//! shutting out would help nobody but those who want to shut somebody out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use caxton_api::ApiError;
use caxton_api::context::{API_KEY, GRPC_STATUS};
use caxton_core::{Code, Timestamp};
use caxton_engine::port::Clock;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use prometheus::IntCounter;

use super::Shell;
use crate::peer::Peer;

/// How long failures are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses and keys counted in one half of the table; there are two halves.
const HALF_MAX: usize = 4096;
/// Longest public part of a key that is counted by.
const PUBLIC_ID_BYTES_MAX: usize = 64;
/// gRPC's status UNAUTHENTICATED.
const GRPC_UNAUTHENTICATED: &str = "16";

/// Who failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Address(IpAddr),
    /// The public part of a key.
    Key(String),
}

/// The counts. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Failures {
    table: Arc<Mutex<Table>>,
    clock: Arc<dyn Clock>,
    failed: IntCounter,
    /// In one window.
    failures_max: u32,
}

/// Two halves: a full young one becomes the old one, so that the table is bounded whoever comes.
#[derive(Debug, Default)]
struct Table {
    young: HashMap<Who, Window>,
    old: HashMap<Who, Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Timestamp,
    failures: u32,
}

impl Failures {
    pub(crate) fn new(clock: Arc<dyn Clock>, failed: IntCounter, failures_max: u32) -> Self {
        Self {
            table: Arc::default(),
            clock,
            failed,
            failures_max,
        }
    }

    /// Counts one failure; the window of whoever has failed most.
    fn count(&self, whose: &[Who]) -> Option<Window> {
        let now = self.clock.now();
        let mut table = self.table.lock();
        let counted = whose.iter().map(|who| table.count(who, now));
        counted.max_by_key(|window| window.failures)
    }
}

impl Table {
    fn count(&mut self, who: &Who, now: Timestamp) -> Window {
        let known = self.young.remove(who).or_else(|| self.old.remove(who));
        let mut window = known
            // One that began at a time that is not yet was begun by a clock that was wrong.
            .filter(|window| window.since <= now && now.since(window.since) < WINDOW)
            .unwrap_or(Window {
                since: now,
                failures: 0,
            });
        window.failures = window.failures.saturating_add(1);
        if self.young.len() >= HALF_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(who.clone(), window);
        window
    }
}

/// What is remembered of a request, for the case that it fails.
#[derive(Debug)]
pub(crate) struct Attempt {
    address: Option<IpAddr>,
    credential: Option<HeaderValue>,
}

impl Attempt {
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            address: request.extensions().get::<Peer>().map(|it| it.address.ip()),
            credential: credential(request.headers()).cloned(),
        }
    }
}

impl Failures {
    /// Counts what comes back as not authenticated.
    pub(crate) fn judge(&self, attempt: &Attempt, shell: &Shell, response: Response) -> Response {
        if !failed(&response) {
            return response;
        }
        self.failed.inc();
        let whose = whose(attempt.address, attempt.credential.as_ref());
        let Some(window) = self.count(&whose) else {
            return response;
        };
        let path = shell.path();
        // Once a window each: a log that anybody can fill helps nobody.
        if window.failures == 1 {
            tracing::warn!(?whose, %path, "authentication failed");
        }
        if window.failures <= self.failures_max {
            return response;
        }
        if window.failures - 1 == self.failures_max {
            tracing::warn!(?whose, %path, "authentication fails too often");
        }
        let mut error = ApiError::new(
            Code::FailuresTooMany,
            format!(
                "more than {} attempts a minute had no valid key",
                self.failures_max
            ),
        );
        let over = window.since.plus(WINDOW);
        error.retry_after = Some(over.since(self.clock.now()));
        shell.refuse(error)
    }
}

fn failed(response: &Response) -> bool {
    let grpc = response.headers().get(&GRPC_STATUS);
    response.status() == StatusCode::UNAUTHORIZED
        || grpc.is_some_and(|status| status == GRPC_UNAUTHENTICATED)
}

fn whose(address: Option<IpAddr>, credential: Option<&HeaderValue>) -> Vec<Who> {
    let address = address.map(|address| Who::Address(network(address)));
    let key = credential.and_then(public_id).map(Who::Key);
    address.into_iter().chain(key).collect()
}

/// One client has at least a /64 of IPv6 addresses for itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The header in which a request brings what it has.
fn credential(headers: &HeaderMap) -> Option<&HeaderValue> {
    let key = headers.get(&API_KEY);
    key.or_else(|| headers.get(header::AUTHORIZATION))
}

/// The public part of the key a request brings (`cx_<kind>_<public id>_<secret>`).
fn public_id(credential: &HeaderValue) -> Option<String> {
    let given = credential.to_str().ok()?.rsplit(' ').next()?;
    let mut parts = given.strip_prefix("cx_")?.split('_');
    let (_kind, id, _secret) = (parts.next()?, parts.next()?, parts.next()?);
    let fit = (1..=PUBLIC_ID_BYTES_MAX).contains(&id.len());
    (fit && id.bytes().all(|it| it.is_ascii_alphanumeric())).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_engine::port::ManualClock;

    fn failures() -> (Failures, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let failed = IntCounter::new("failed", "x").unwrap();
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        (Failures::new(time, failed, 20), clock)
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_counted_by_address_and_by_key_for_a_minute() {
        let (failures, clock) = failures();
        let here = Who::Address("10.0.0.1".parse().unwrap());
        let there = Who::Address("10.0.0.2".parse().unwrap());
        let key = Who::Key("abc".to_owned());
        for n in 1..=30 {
            let window = failures.count(&[here.clone(), key.clone()]).unwrap();
            assert_eq!(window.failures, n);
        }
        // From another address against the same key.
        let whose = [there.clone(), key.clone()];
        assert_eq!(failures.count(&whose).unwrap().failures, 31);
        assert_eq!(failures.count(&[there]).unwrap().failures, 2);
        clock.advance(WINDOW);
        let whose = [here, key];
        assert_eq!(failures.count(&whose).unwrap().failures, 1);
        assert_eq!(failures.count(&whose).unwrap().failures, 2);
        // Nobody is kept out until a clock that was wrong would be right.
        clock.set_back(WINDOW);
        assert_eq!(failures.count(&whose).unwrap().failures, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let (failures, _) = failures();
        for n in 0..30_000_u32 {
            failures.count(&[Who::Address(IpAddr::V4(n.into()))]);
            let table = failures.table.lock();
            assert!(table.young.len() + table.old.len() <= 2 * HALF_MAX);
        }
    }

    #[test]
    fn who_it_was_is_read_of_the_request() {
        let id = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            credential(&headers).and_then(public_id)
        };
        assert_eq!(id("x-api-key", "cx_key_abc_secret").as_deref(), Some("abc"));
        assert_eq!(
            id("authorization", "Bearer cx_adm_1_s").as_deref(),
            Some("1")
        );
        assert_eq!(id("authorization", "Bearer cx_adm_1"), None);
        assert_eq!(id("authorization", "Bearer a.b.c"), None);
        assert_eq!(id("x-api-key", "cx_key_a\u{e9}_s"), None);
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
