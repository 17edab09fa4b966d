//! The gateway's static settings, read once at the roof. Every one is a bound or has one.

use std::path::PathBuf;
use std::time::Duration;

use caxton_api::rest;

/// What an operator may set of the doors.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where backups lie: each in a folder of its own name.
    pub backups_dir: PathBuf,
    /// The version the server says it is.
    pub version: String,
    /// Limits of bodies, and the heartbeat of streams.
    pub rest: rest::Options,
    /// Open connections; a further one waits to be accepted.
    pub connections_max: usize,
    /// Requests being answered at one time, probes and metrics apart; a further one is refused with
    /// `CX-6004`.
    pub requests_max: usize,
    /// Operations that change something and are on their way, those whose caller has gone included.
    /// Past it `CX-6004`.
    pub operations_max: usize,
    /// Open streams (SSE and gRPC together); a further one is refused with `CX-6005`.
    pub streams_max: usize,
    /// Open WebSockets; a further one is refused with `CX-6005`.
    pub websockets_max: usize,
    /// How long the client of a WebSocket may leave unread what is sent.
    pub websocket_write_timeout: Duration,
    /// Origins whose pages may call this server from a browser; `*` is all.
    pub cors_origins: Vec<String>,
    /// Requests and streams of one HTTP/2 connection at one time.
    pub http2_streams_max: u32,
    /// All headers of one request, in bytes.
    pub headers_bytes_max: u32,
    /// How long a client may take to send a request's head.
    pub header_timeout: Duration,
    /// How long a client may pause while it sends a body.
    pub body_timeout: Duration,
    /// Longest `wait` and drain timeout that is taken.
    pub wait_max: Duration,
    /// How long a drain is waited for where the request does not say.
    pub drain_wait: Duration,
    /// Failed authentications a minute, of one address or against one key, that are answered as such;
    /// further ones with `CX-4002`.
    pub auth_failures_max: u32,
    /// How long a probe waits for what it asks about. Below a second, since probers give up then.
    pub probe_timeout: Duration,
    /// How long a server that stops still takes work, after it has said on `/readyz` that it stops: so
    /// that whoever balances load sees it before a connection is refused.
    pub shutdown_delay: Duration,
    /// How long a shutdown waits for requests being answered.
    pub shutdown_grace: Duration,
}

impl Options {
    /// The defaults, with backups in this folder.
    pub fn new(backups_dir: PathBuf) -> Self {
        Self {
            backups_dir,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rest: rest::Options::default(),
            connections_max: 10_000,
            requests_max: 4096,
            operations_max: 8192,
            streams_max: 1024,
            websockets_max: 1024,
            websocket_write_timeout: Duration::from_secs(10),
            cors_origins: Vec::new(),
            http2_streams_max: 256,
            headers_bytes_max: 64 << 10,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            wait_max: Duration::from_secs(600),
            drain_wait: Duration::from_secs(30),
            auth_failures_max: 100,
            probe_timeout: Duration::from_millis(800),
            shutdown_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}
