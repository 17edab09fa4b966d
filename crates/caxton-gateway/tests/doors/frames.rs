//! HTTP/2 as attackers speak it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{World, guard};

/// A frame: length, type, flags, stream, payload (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

/// The error code with which a server sends away who makes it work too much (RFC 9113, 7).
const ENHANCE_YOUR_CALM: u32 = 11;

/// Goes on sending until the server has had enough; how much it took, and the code of its last words.
async fn flood(
    world: &World,
    first: Vec<u8>,
    mut more: impl FnMut() -> Vec<u8>,
    bytes_max: usize,
) -> (usize, Option<u32>) {
    let address = world.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream.write_all(&first).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let hears = tokio::spawn(async move {
        let mut heard = Vec::new();
        // A reset is an end as well.
        let _ = read.read_to_end(&mut heard).await;
        heard
    });
    let mut sent = 0;
    while sent < bytes_max {
        let bytes = more();
        if guard(write.write_all(&bytes)).await.is_err() {
            break;
        }
        sent += bytes.len();
    }
    drop(write);
    (sent, goaway(&guard(hears).await.unwrap()))
}

/// The code of a GOAWAY among frames.
fn goaway(mut heard: &[u8]) -> Option<u32> {
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = heard {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if *kind == GOAWAY {
            return Some(u32::from_be_bytes(rest.get(4..8)?.try_into().unwrap()));
        }
        heard = rest.get(length..)?;
    }
    None
}

#[tokio::test]
async fn whoever_opens_streams_to_reset_them_is_sent_away() {
    const BYTES_MAX: usize = 64 << 20;
    let world = World::new().await;
    let mut stream = 1;
    // `GET /` of `a`, by HPACK's static table, and at once the word that nobody wants the answer.
    let resets = || {
        let mut bytes = Vec::new();
        for _ in 0..1000 {
            bytes.extend(frame(
                HEADERS,
                0x5,
                stream,
                &[0x82, 0x86, 0x84, 0x41, 1, b'a'],
            ));
            bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            stream += 2;
        }
        bytes
    };
    let (sent, code) = flood(&world, Vec::new(), resets, BYTES_MAX).await;
    assert!(sent < BYTES_MAX, "it may go on for ever");
    assert_eq!(code, Some(ENHANCE_YOUR_CALM));
    // Nobody else notices.
    world.get("/v1/agents").await.is(200);
}

#[tokio::test]
async fn floods_of_frames_end_the_connection() {
    const BYTES_MAX: usize = 256 << 20;
    let world = World::new().await;
    // A head that never ends: literal headers, not indexed, one after the other.
    let field = b"\x00\x01x\x7f\x81\x7e".iter().copied().chain([b'a'; 253]);
    let fields: Vec<u8> = field.collect::<Vec<u8>>().repeat(60);
    let first = frame(HEADERS, 0, 1, &fields);
    let more = frame(CONTINUATION, 0, 1, &fields);
    let (sent, _) = flood(&world, first, || more.clone(), BYTES_MAX).await;
    assert!(sent < BYTES_MAX, "heads have no end");
    // Empty continuations, which cost their sender nothing.
    let more = frame(CONTINUATION, 0, 1, &[]).repeat(1000);
    let first = frame(HEADERS, 0, 1, &[]);
    let (sent, _) = flood(&world, first, || more.clone(), BYTES_MAX).await;
    assert!(sent < BYTES_MAX, "empty frames have no end");
    // A frame larger than was agreed on.
    let large = frame(PING, 0, 0, &vec![0; 1 << 20]);
    let (sent, _) = flood(&world, Vec::new(), || large.clone(), BYTES_MAX).await;
    assert!(sent < BYTES_MAX);
    world.get("/livez").await.is(200);
}
