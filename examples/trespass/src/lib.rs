//! An agent that reaches for what the sandbox does not give: environment, files, network, exit.
//!
//! A guest may import WASI 0.2, and most languages' guests do without asking; this one shows what
//! comes of it. It asks through interfaces of its own (`wit/`), because Rust's standard library
//! would not even try on this target.

#[allow(clippy::all, clippy::restriction, unused)]
mod bindings {
    wit_bindgen::generate!({ world: "trespass", path: "wit", generate_all });
}

use bindings::wasi::cli::{environment, exit, stderr, stdout};
use bindings::wasi::clocks::{monotonic_clock, wall_clock};
use bindings::wasi::filesystem::preopens;
use bindings::wasi::io::streams::OutputStream;
use bindings::wasi::random::{insecure_seed, random};
use bindings::wasi::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
};
use bindings::wasi::sockets::tcp::TcpSocket;
use bindings::wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket};
use caxton_agent::{Agent, Message, Performative, clock};

struct Trespass;

impl Agent for Trespass {
    fn handle(message: Message) -> Result<(), String> {
        let asks = matches!(
            message.performative,
            Performative::Request | Performative::QueryRef
        );
        let Some(outcome) = message.text().filter(|_| asks).and_then(attempt) else {
            return Ok(message.answer_not_understood("README.md lists what this agent tries")?);
        };
        let reply = match outcome {
            Ok(text) => message.reply(Performative::Inform).content(text),
            Err(reason) => message.reply(Performative::Failure).content(reason),
        };
        reply.send()?;
        Ok(())
    }
}

caxton_agent::export!(Trespass);

/// Tries what the text names: what was got, or why not; `None` for what it does not know.
fn attempt(text: &str) -> Option<Result<String, String>> {
    let (name, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    Some(match name {
        "env" => Ok(lines(
            environment::get_environment()
                .into_iter()
                .map(|(key, value)| key + "=" + &value),
        )),
        "args" => Ok(lines(environment::get_arguments())),
        "files" => Ok(lines(
            preopens::get_directories()
                .into_iter()
                .map(|(_, path)| path),
        )),
        "connect" => rest
            .parse()
            .map_err(|_| "expected connect PORT".to_owned())
            .and_then(connect),
        "listen" => rest
            .parse()
            .map_err(|_| "expected listen PORT".to_owned())
            .and_then(listen),
        "resolve" => {
            let network = instance_network::instance_network();
            ip_name_lookup::resolve_addresses(&network, rest)
                .map(|_| "a look-up began".to_owned())
                .map_err(said)
        }
        "clock" => Ok(clocks()),
        "random" => Ok(randoms()),
        "stdout" => write(&stdout::get_stdout(), rest),
        "stderr" => write(&stderr::get_stderr(), rest),
        "exit" => {
            exit::exit(if rest == "1" { Err(()) } else { Ok(()) });
            Ok("still here".to_owned())
        }
        _ => return None,
    })
}

/// The server's time and WASI's, in microseconds since 1970, and WASI's monotonic time in nanoseconds.
fn clocks() -> String {
    let wall = wall_clock::now();
    let wall_us = wall.seconds * 1_000_000 + u64::from(wall.nanoseconds / 1_000);
    format!("{} {wall_us} {}", clock::now_us(), monotonic_clock::now())
}

/// What WASI gives of randomness.
fn randoms() -> String {
    let bytes = random::get_random_bytes(8);
    let (one, other) = insecure_seed::insecure_seed();
    format!("{bytes:?} {} {one} {other}", random::get_random_u64())
}

fn connect(port: u16) -> Result<String, String> {
    let network = instance_network::instance_network();
    socket()?
        .start_connect(&network, loopback(port))
        .map_err(said)?;
    Ok("a connection began".to_owned())
}

fn listen(port: u16) -> Result<String, String> {
    let network = instance_network::instance_network();
    socket()?
        .start_bind(&network, loopback(port))
        .map_err(said)?;
    Ok("a port was taken".to_owned())
}

fn socket() -> Result<TcpSocket, String> {
    tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map_err(said)
}

fn loopback(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: (127, 0, 0, 1),
    })
}

fn write(stream: &OutputStream, text: &str) -> Result<String, String> {
    let line = format!("{text}\n");
    stream
        .blocking_write_and_flush(line.as_bytes())
        .map(|()| text.len().to_string())
        .map_err(|error| format!("{error:?}"))
}

fn lines(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join("\n")
}

fn said(error: ErrorCode) -> String {
    error.name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_does_not_know_it_does_not_try() {
        // Natively every WASI call aborts, so coming back shows that none was made.
        assert_eq!(attempt("fly"), None);
        assert_eq!(attempt(""), None);
        assert!(attempt("connect x").is_some_and(|outcome| outcome.is_err()));
        assert!(attempt("listen 65536").is_some_and(|outcome| outcome.is_err()));
    }
}
