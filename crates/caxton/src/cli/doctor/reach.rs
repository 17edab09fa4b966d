//! How the server is reached: its address, its certificate, and whether it answers.

use super::{Finding, fail, failed, ok, warn};
use crate::cli::{Global, target};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::serve::{certificate_expires, listenable};
use caxton_api::v1::GetServerStatusRequest;
use caxton_core::Timestamp;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CERTIFICATE: &str = "certificate";
/// A certificate should be renewed this long before its end.
const CERTIFICATE_LEFT_WARN: Duration = Duration::from_secs(14 * 24 * 3600);

pub(super) fn certificate(config: &Config) -> Finding {
    match certificate_expires(config) {
        Err(failure) => failed(CERTIFICATE, &failure),
        Ok(None) if config.tls.dev => ok(CERTIFICATE, "made at each start (tls.dev)"),
        Ok(None) => ok(CERTIFICATE, "none: TLS is off"),
        Ok(Some(expires)) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.unwrap_or_default().as_micros();
            let now = Timestamp::from_us(i64::try_from(now).unwrap_or(i64::MAX));
            validity(expires, now)
        }
    }
}

fn validity(expires: Timestamp, now: Timestamp) -> Finding {
    const CURE: &str =
        "renew it and put it in the place of the old one; a server reads it again by itself";
    if expires < now {
        return fail(CERTIFICATE, format!("expired at {expires}"), CURE);
    }
    match expires.since(now) < CERTIFICATE_LEFT_WARN {
        true => warn(CERTIFICATE, format!("expires at {expires}"), CURE),
        false => ok(CERTIFICATE, format!("good until {expires}")),
    }
}

/// The server that a command would speak to; where there is none, whether its address is free.
pub(super) async fn server(global: &Global, config: Option<&Config>) -> Vec<Finding> {
    const WHAT: &str = "server";
    let client = match target::client(global) {
        Ok(client) => client,
        Err(failure) => {
            let found = warn(WHAT, failure.what(), "`caxton serve` starts it");
            return [Some(found), config.map(address)]
                .into_iter()
                .flatten()
                .collect();
        }
    };
    let url = client.server().to_owned();
    let status = match client.get_server_status(&GetServerStatusRequest {}).await {
        Ok(status) => status,
        Err(error) => {
            let failure = Failure::from(error);
            if failure.exit() != Exit::Unreachable {
                return vec![failed(WHAT, &failure)];
            }
            let found = warn(
                WHAT,
                failure.what(),
                "`caxton serve` starts one; --server names another",
            );
            let here = global.server.is_none();
            let address = config.filter(|_| here).map(address);
            return [Some(found), address].into_iter().flatten().collect();
        }
    };
    let own = env!("CARGO_PKG_VERSION");
    vec![match status.state.as_str() {
        "ready" if status.version != own => warn(
            WHAT,
            format!(
                "{url} {} is ready, and this command is {own}",
                status.version
            ),
            "use the command of the server's version, or restart the server from this one",
        ),
        "ready" => ok(WHAT, format!("{url} {own} is ready")),
        state => warn(
            WHAT,
            format!("{url} is {state}: {}", status.reason.unwrap_or_default()),
            "`caxton server status` shows more; it may be starting or draining",
        ),
    }]
}

/// Whether a server could listen where the configuration says.
fn address(config: &Config) -> Finding {
    const WHAT: &str = "address";
    let address = match listenable(config) {
        Ok(address) => address,
        Err(failure) => return failed(WHAT, &failure),
    };
    match TcpListener::bind(address) {
        Ok(_) => ok(WHAT, format!("{address} is free")),
        Err(error) => {
            let cure = match error.kind() {
                ErrorKind::AddrInUse => {
                    "something else listens there: `ss -ltnp` shows what; --listen names another address"
                }
                ErrorKind::PermissionDenied => {
                    "ports below 1024 are the system's: name another, or give the binary CAP_NET_BIND_SERVICE"
                }
                _ => "--listen names another address; it must be one of this machine's",
            };
            fail(WHAT, format!("cannot listen on {address}: {error}"), cure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_before_it_ends() {
        let now = Timestamp::from_us(1_000_000_000_000_000);
        let after = |days: u64| now.plus(Duration::from_secs(days * 24 * 3600));
        for (expires, verdict) in [
            (Timestamp::EPOCH, Verdict::Fail),
            (now, Verdict::Warn),
            (after(13), Verdict::Warn),
            (after(14), Verdict::Ok),
        ] {
            let found = validity(expires, now);
            assert_eq!(found.verdict, verdict, "{expires}");
            assert_eq!(found.cure.is_empty(), verdict == Verdict::Ok);
        }
    }
}
