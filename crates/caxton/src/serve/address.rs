//! Where a server may listen: on loopback, or with the operator's word that the network is trusted.

use crate::config::Config;
use crate::failure::{Failure, Outcome};
use caxton_core::error::{Code, shown};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address to bind.
///
/// # Errors
/// `CX-6010` for what is no address, `CX-6011` for one that is not loopback without TLS or `insecure`.
pub fn listenable(config: &Config) -> Outcome<SocketAddr> {
    let server = &config.server;
    let text = server.listen.trim();
    // A name would be looked up, and might mean another address tomorrow; this one may not.
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None => text.to_owned(),
    };
    let address: SocketAddr = numeric.parse().map_err(|_| {
        let what = format!("server.listen = `{}` is no address", shown(text));
        Failure::new(Code::ConfigInvalid, what)
            .with_hint("write ADDRESS:PORT, such as 127.0.0.1:7070 or [::1]:7070")
    })?;
    if is_loopback(address.ip()) || config.tls.is_on() || server.insecure {
        return Ok(address);
    }
    Err(Failure::new(
        Code::ListenRefused,
        format!("refused to listen on {address} without TLS"),
    ))
}

fn is_loopback(ip: IpAddr) -> bool {
    // `::ffff:127.0.0.1` is loopback too.
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, insecure: bool, expected: Result<&str, Code>) {
        let mut config = Config::default();
        config.server.listen = listen.to_owned();
        config.server.insecure = insecure;
        check_config(&config, expected);
    }

    fn check_config(config: &Config, expected: Result<&str, Code>) {
        let listen = &config.server.listen;
        match (listenable(config), expected) {
            (Ok(address), Ok(text)) => assert_eq!(address.to_string(), text, "{listen}"),
            (Err(failure), Err(code)) => assert!(failure.is(code), "{listen}: {failure:?}"),
            (got, _) => panic!("{listen}: {got:?}"),
        }
    }

    #[test]
    fn only_loopback_without_tls() {
        check("127.0.0.1:7070", false, Ok("127.0.0.1:7070"));
        check("127.8.9.1:0", false, Ok("127.8.9.1:0"));
        check("localhost:80", false, Ok("127.0.0.1:80"));
        check("[::1]:7070", false, Ok("[::1]:7070"));
        check("0.0.0.0:7070", false, Err(Code::ListenRefused));
        check("[::]:7070", false, Err(Code::ListenRefused));
        check("192.168.1.5:7070", false, Err(Code::ListenRefused));
        check("0.0.0.0:7070", true, Ok("0.0.0.0:7070"));
        check("example.org:80", true, Err(Code::ConfigInvalid));
        check("127.0.0.1", false, Err(Code::ConfigInvalid));
        check("", true, Err(Code::ConfigInvalid));
    }

    #[test]
    fn anywhere_with_tls() {
        let mut config = Config::default();
        config.server.listen = "0.0.0.0:7070".to_owned();
        check_config(&config, Err(Code::ListenRefused));
        config.tls.dev = true;
        check_config(&config, Ok("0.0.0.0:7070"));
        config.tls.dev = false;
        config.tls.cert = "server.pem".into();
        check_config(&config, Ok("0.0.0.0:7070"));
    }
}
