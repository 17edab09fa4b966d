//! The handshake of one connection.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Tls;
use crate::peer::PeerIdentity;

/// What a TLS record of the kind handshake begins with (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// What a client hears that speaks HTTP where TLS is expected: most often `http://` was written in
/// place of `https://`, and a closed connection would not tell.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
content-type: text/plain; charset=utf-8\r\n\
content-length: 53\r\n\
connection: close\r\n\
\r\n\
this port speaks TLS: begin the address with https://";

/// How much of what such a client said is read and dropped.
const UNREAD_BYTES_MAX: usize = 16 << 10;

/// Makes TLS stand, and tells whose certificate the client has shown.
///
/// # Errors
/// Where it does not come to stand: no TLS, no common version, a certificate that is refused.
pub(crate) async fn shake(
    tls: &Tls,
    mut stream: TcpStream,
) -> io::Result<(TlsStream<TcpStream>, Option<Arc<PeerIdentity>>)> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first != [HANDSHAKE] {
        if first.iter().all(u8::is_ascii_uppercase) {
            stream.write_all(PLAIN).await?;
            stream.shutdown().await?;
            // What is left unread would reset the connection, and the client lose the words.
            let mut dropped = vec![0; UNREAD_BYTES_MAX];
            let _ = stream.read(&mut dropped).await;
        }
        return Err(io::Error::other("the client speaks no TLS"));
    }
    let stream = tls.acceptor().accept(stream).await?;
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    let identity = match leaf {
        Some(leaf) => Some(
            PeerIdentity::read(leaf)
                .ok_or_else(|| io::Error::other("the client's certificate cannot be read"))?,
        ),
        None => None,
    };
    Ok((stream, identity.map(Arc::new)))
}
