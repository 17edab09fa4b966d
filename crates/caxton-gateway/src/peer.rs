//! Who is at the other end of a connection, as far as the connection itself tells: on every request,
//! for whoever finds out whom to believe.

use std::net::SocketAddr;
use std::sync::Arc;

use caxton_core::Timestamp;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

/// Names of one kind that are read from a certificate; further ones are not looked at.
const NAMES_MAX: usize = 32;

/// The other end of a request's connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address the connection comes from: the client's, or its proxy's.
    pub address: SocketAddr,
    /// Whether what is said crosses the network encrypted.
    pub tls: bool,
    /// Whose certificate the client has shown. It was verified in the handshake.
    pub identity: Option<Arc<PeerIdentity>>,
}

/// A client certificate that was verified against the configured issuers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Subject alternative names of the kind URI, such as `spiffe://example.org/ns/a/sa/b`.
    pub uris: Vec<String>,
    /// Subject alternative names of the kind DNS.
    pub dns: Vec<String>,
    /// Subject alternative names of the kind e-mail.
    pub emails: Vec<String>,
    /// The subject's common name as `CN=name`, only where the certificate has no alternative name at
    /// all: who issues names in the one place does not vouch for the other.
    pub common_name: Option<String>,
    /// SHA-256 of the certificate, in lower-case hex.
    pub fingerprint: String,
    /// When the certificate expires. A connection may outlive it.
    pub expires: Timestamp,
}

impl PeerIdentity {
    /// Reads a verified certificate. `None` for one that cannot be read, which verification does not
    /// let through.
    pub(crate) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let mut identity = Self {
            uris: Vec::new(),
            dns: Vec::new(),
            emails: Vec::new(),
            common_name: None,
            fingerprint: hex(&Sha256::digest(certificate)),
            expires: time(parsed.validity().not_after),
        };
        let alternatives = parsed.subject_alternative_name().ok()?;
        for name in alternatives.iter().flat_map(|it| &it.value.general_names) {
            let (names, text, fit) = match name {
                GeneralName::URI(text) => (&mut identity.uris, text, is_uri(text)),
                GeneralName::DNSName(text) => (&mut identity.dns, text, is_dns(text)),
                GeneralName::RFC822Name(text) => (&mut identity.emails, text, is_email(text)),
                _ => continue,
            };
            if fit && names.len() < NAMES_MAX {
                names.push((*text).to_owned());
            }
        }
        if alternatives.is_none() {
            let mut names = parsed.subject().iter_common_name();
            let name = names.next().and_then(|it| it.as_str().ok());
            let name = name.filter(|it| is_printable(it));
            identity.common_name = name.map(|it| format!("CN={it}"));
        }
        Some(identity)
    }

    /// The name this identity goes by: the first URI, else DNS name, else e-mail, else common name.
    /// Names of two kinds are never the same text.
    pub fn name(&self) -> Option<&str> {
        let alternatives = [&self.uris, &self.dns, &self.emails];
        let mut firsts = alternatives.into_iter().filter_map(|names| names.first());
        firsts
            .next()
            .or(self.common_name.as_ref())
            .map(String::as_str)
    }
}

/// Longest name that is read, in bytes.
const NAME_BYTES_MAX: usize = 255;

fn is_printable(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control)
}

/// A scheme, a colon, and something (RFC 3986, 3). Whatever stands before the first `:` is a word
/// without `=`, which tells it from a common name.
fn is_uri(text: &str) -> bool {
    let scheme = |it: &str| {
        it.starts_with(|c: char| c.is_ascii_alphabetic())
            && it
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let parts = text.split_once(':');
    is_printable(text) && parts.is_some_and(|(first, rest)| scheme(first) && !rest.is_empty())
}

/// Letters, digits, hyphens and dots: neither `:` nor `@` nor `=`.
fn is_dns(text: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || "-._*".contains(c);
    is_printable(text) && text.chars().all(fit)
}

/// Something at something: neither `:` nor `=`.
fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    let some = parts.is_some_and(|(who, at)| !who.is_empty() && !at.is_empty());
    is_printable(text) && some && !text.contains([':', '='])
}

/// A certificate's time. It has whole seconds.
pub(crate) fn time(time: ASN1Time) -> Timestamp {
    Timestamp::from_us(time.timestamp().saturating_mul(1_000_000))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_two_kinds_are_never_the_same() {
        let kinds = |text: &str| (is_uri(text), is_dns(text), is_email(text));
        let (uri, dns, email, none) = (
            (true, false, false),
            (false, true, false),
            (false, false, true),
            (false, false, false),
        );
        for (text, expected) in [
            ("spiffe://example.org/a", uri),
            ("urn:uuid:1", uri),
            ("mailto:a@b", uri),
            ("worker.example.org", dns),
            ("*.example.org", dns),
            ("ops@example.org", email),
            ("CN=batch", none),
            ("CN=a@b", none),
            ("CN=a:b", none),
            (":a", none),
            ("a:", none),
            ("@", none),
            ("", none),
            ("a\nb", none),
            ("spiffe://a\0b", none),
        ] {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }
}
