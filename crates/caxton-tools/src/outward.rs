//! Requests of tools: to hosts only that the tenant allows, at each redirect anew; answers read as far
//! as they are of use and no further. Addresses are decided upon below, by the [`Http`] adapter.
//!
//! Redirects are followed here and not there, so that each step's host is looked at, and so that what
//! acts is never sent on: another place would do what this one was asked to.

use bytes::{Bytes, BytesMut};
use caxton_core::egress::host_allowed;
use caxton_engine::port::http::{HeaderValue, Http, HttpAnswer, HttpFault, HttpRequest, Trust};
use caxton_engine::port::tool::{ToolFault, ToolFaultKind, ToolTarget};
use futures::StreamExt as _;
use std::time::Duration;
use url::Url;

/// From asking to the connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What this server calls itself.
pub const USER_AGENT: &str = concat!("caxton/", env!("CARGO_PKG_VERSION"));

/// A request of a tool.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: &'static str,
    pub url: Url,
    pub headers: Vec<(String, HeaderValue)>,
    pub body: Bytes,
    /// Redirects followed of what only reads; one more is a fault.
    pub redirects_max: u32,
}

/// The way out for one call.
#[derive(Clone, Copy, Debug)]
pub struct Outward<'a> {
    pub http: &'a dyn Http,
    pub trust: &'a Trust,
    /// Empty: any.
    pub hosts: &'a [String],
}

/// Whose addresses a tool's are.
pub fn trust(target: &ToolTarget) -> Trust {
    if target.trusted {
        Trust::Operator
    } else {
        Trust::Tenant(target.tenant.clone())
    }
}

impl Outward<'_> {
    /// Sends, and follows redirects where they may be. Gives the address that answered, too.
    pub async fn send(&self, mut ask: Ask) -> Result<(Url, HttpAnswer), ToolFault> {
        let mut left = ask.redirects_max;
        loop {
            check_host(self.hosts, &ask.url)?;
            let request = HttpRequest {
                method: ask.method,
                url: ask.url.as_str().to_owned(),
                headers: ask.headers.clone(),
                body: ask.body.clone(),
                trust: self.trust.clone(),
                connect_timeout: CONNECT_TIMEOUT,
                redirects_max: 0,
            };
            let answer = self.http.send(request).await.map_err(|it| fault(&it))?;
            let Some(next) = next(&ask, &answer) else {
                return Ok((ask.url, answer));
            };
            if left == 0 {
                return Err(ToolFault::new(
                    ToolFaultKind::Unavailable,
                    format!("more than {} redirects", ask.redirects_max),
                ));
            }
            left -= 1;
            ask.follow(answer.status, next);
        }
    }
}

/// Where an answer sends a request on to that may be sent on.
fn next(ask: &Ask, answer: &HttpAnswer) -> Option<Url> {
    let reads = matches!(ask.method, "GET" | "HEAD");
    let follows = match answer.status {
        // What was asked is done; its answer lies elsewhere, to be read.
        303 => true,
        301 | 302 | 307 | 308 => reads,
        _ => false,
    };
    let to = answer.header("location").filter(|_| follows)?;
    ask.url.join(to).ok()
}

impl Ask {
    /// Nothing but what any page is asked with goes to another origin: no secret, nothing of the tool's.
    fn follow(&mut self, status: u16, to: Url) {
        if status == 303 && self.method != "HEAD" {
            self.method = "GET";
            self.body = Bytes::new();
            self.headers.retain(|(name, _)| name != "content-type");
        }
        if to.origin() != self.url.origin() {
            let common = ["accept", "accept-encoding", "user-agent"];
            self.headers
                .retain(|(name, _)| common.contains(&name.as_str()));
        }
        self.url = to;
    }
}

/// Whether the tenant lets tools reach the host of this address.
pub fn check_host(hosts: &[String], url: &Url) -> Result<(), ToolFault> {
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "http" | "https") {
        let text = format!("`{}:` is neither http nor https", url.scheme());
        return Err(ToolFault::new(ToolFaultKind::Egress, text));
    }
    if host_allowed(hosts, host) {
        return Ok(());
    }
    let text = format!("{host} is not among the hosts that the tenant lets tools reach");
    Err(ToolFault::new(ToolFaultKind::Egress, text))
}

/// What has gone wrong on the way, in words for whoever called.
pub fn fault(fault: &HttpFault) -> ToolFault {
    let kind = match fault {
        HttpFault::Malformed(_) => ToolFaultKind::Arguments,
        HttpFault::Refused(_) => ToolFaultKind::Egress,
        HttpFault::Connect(_) | HttpFault::Broken(_) => ToolFaultKind::Unavailable,
        HttpFault::ConnectTimeout => ToolFaultKind::Timeout,
    };
    let text = match fault {
        // The kind says so.
        HttpFault::Refused(why) => why.clone(),
        other => other.to_string(),
    };
    ToolFault::new(kind, text)
}

/// The beginning of a body.
#[derive(Clone, Debug)]
pub struct Beginning {
    pub bytes: Bytes,
    /// There was more, and it was not read.
    pub is_cut: bool,
}

/// Reads so many bytes of a body at most; the rest is never waited for.
pub async fn read(answer: &mut HttpAnswer, bytes_max: usize) -> Result<Beginning, ToolFault> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = answer.body.next().await {
        let piece = piece.map_err(|it| fault(&it))?;
        let room = bytes_max - bytes.len();
        if piece.len() > room {
            bytes.extend_from_slice(piece.get(..room).unwrap_or(&piece));
            return Ok(Beginning {
                bytes: bytes.freeze(),
                is_cut: true,
            });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Beginning {
        bytes: bytes.freeze(),
        is_cut: false,
    })
}

/// Reads a body that is of use only when it is whole.
pub async fn read_whole(answer: &mut HttpAnswer, bytes_max: usize) -> Result<Bytes, ToolFault> {
    let read = read(answer, bytes_max).await?;
    if read.is_cut {
        let text = format!("the answer has more than {bytes_max} bytes");
        return Err(ToolFault::new(ToolFaultKind::TooLarge, text));
    }
    Ok(read.bytes)
}

/// The text of a body, by the charset its head names; what is no character is replaced.
pub fn text(bytes: &[u8], content_type: &str) -> String {
    let content_type = content_type.to_ascii_lowercase();
    let is_latin = ["iso-8859-1", "latin1", "us-ascii", "windows-1252"]
        .iter()
        .any(|name| content_type.contains(&format!("charset={name}")));
    if is_latin {
        return bytes.iter().map(|&byte| char::from(byte)).collect();
    }
    String::from_utf8_lossy(bytes).into_owned()
}

/// Cuts a text at so many bytes, and says so.
pub fn cut(mut text: String, bytes_max: usize, is_cut: bool) -> String {
    if text.len() > bytes_max {
        let at = text.floor_char_boundary(bytes_max);
        text.truncate(at);
    } else if !is_cut {
        return text;
    }
    text.push_str("\n[cut here: the answer is longer]");
    text
}
