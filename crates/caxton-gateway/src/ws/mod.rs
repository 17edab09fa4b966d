//! `/v1/ws`: the server streams of the contract over a WebSocket (RFC 6455), several at a time.
//!
//! Frames are JSON texts. The client says `subscribe` or `unsubscribe`; each event of a subscription
//! comes as it would on SSE, with the subscription's id. What goes wrong with one frame or one
//! subscription is told and ends nothing else; what breaks the protocol closes the socket with the
//! code the RFC has for it.

mod frame;
mod session;
mod upgrade;

use std::time::Duration;

pub use session::STREAMS;
pub(crate) use upgrade::{lift_credential, upgrade};

/// What a client says in one frame, in bytes.
const FRAME_BYTES_MAX: usize = 64 << 10;
/// Subscriptions of one socket.
const SUBSCRIPTIONS_MAX: usize = 32;
/// How long a closing socket is waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Heartbeats a client may leave unanswered.
const PONGS_MISSED_MAX: u32 = 2;
/// The one protocol, which a client that sends `Sec-WebSocket-Protocol` must name.
const PROTOCOL: &str = "caxton.v1";
/// A browser cannot set headers on a socket: the credential may come as a protocol of this form.
const CREDENTIAL_PROTOCOL: &str = "caxton.bearer.";

/// Codes a socket is closed with (RFC 6455, 7.4.1, and the registry it made).
mod close {
    pub(super) const AWAY: u16 = 1001;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const UNSUPPORTED: u16 = 1003;
    pub(super) const NOT_UTF8: u16 = 1007;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_BIG: u16 = 1009;
}
