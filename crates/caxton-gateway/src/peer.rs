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
    /// The subject's common name, only where the certificate has no alternative name at all: who
    /// issues names in the one place does not vouch for the other.
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
            let (names, text) = match name {
                GeneralName::URI(text) => (&mut identity.uris, text),
                GeneralName::DNSName(text) => (&mut identity.dns, text),
                GeneralName::RFC822Name(text) => (&mut identity.emails, text),
                _ => continue,
            };
            if names.len() < NAMES_MAX {
                names.push((*text).to_owned());
            }
        }
        if alternatives.is_none() {
            let mut names = parsed.subject().iter_common_name();
            identity.common_name = names
                .next()
                .and_then(|it| Some(it.as_str().ok()?.to_owned()));
        }
        Some(identity)
    }

    /// The name this identity goes by: the first URI, else DNS name, else e-mail, else common name.
    pub fn name(&self) -> Option<&str> {
        let alternatives = [&self.uris, &self.dns, &self.emails];
        let mut firsts = alternatives.into_iter().filter_map(|names| names.first());
        firsts
            .next()
            .or(self.common_name.as_ref())
            .map(String::as_str)
    }
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
