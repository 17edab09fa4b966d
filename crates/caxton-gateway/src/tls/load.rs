//! From PEM files to what handshakes use. Everything is looked at here, so that a handshake can only
//! fail by what the client does.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use caxton_core::Timestamp;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, version};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{ClientAuth, Options, Version};

/// Largest file that is read, in bytes: a chain is some kilobytes, a bundle of issuers some hundred.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why TLS cannot be had from the files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge { path: PathBuf },
    #[error("{path} holds no {what} in PEM")]
    Nothing { path: PathBuf, what: &'static str },
    #[error("{path} holds no usable {what}")]
    Malformed {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{cert} and {key} cannot be used together")]
    Pair {
        cert: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("the certificate in {path} has expired")]
    Expired { path: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Internal(String),
}

/// What handshakes use, and until when.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    pub(super) expires: Timestamp,
}

impl Loaded {
    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.expires < now
    }
}

pub(super) fn load(options: &Options) -> Result<Loaded, Error> {
    let chain = certificates(&options.cert)?;
    let key = private_key(&options.key)?;
    let expires = expires(&options.cert, &chain)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match options.oldest {
        Version::Tls13 => &[&version::TLS13],
        Version::Tls12 => &[&version::TLS13, &version::TLS12],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let builder = match &options.client_ca {
        Some(path) => {
            let verifier = client_verifier(path, options.client_auth, &provider)?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|source| Error::Pair {
        cert: options.cert.clone(),
        key: options.key.clone(),
        source,
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if options.client_ca.is_some() {
        // A resumed session is not verified again: a certificate that expired or whose issuer was
        // taken out would stay good.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Loaded {
        config: Arc::new(config),
        expires,
    })
}

fn client_verifier(
    path: &Path,
    auth: ClientAuth,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let malformed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Malformed {
        path: path.to_owned(),
        what: "issuer of client certificates",
        source,
    };
    let mut roots = RootCertStore::empty();
    for issuer in certificates(path)? {
        roots.add(issuer).map_err(|error| malformed(error.into()))?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match auth {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Required => builder,
    };
    builder.build().map_err(|error| malformed(error.into()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|source| Error::Malformed {
        path: path.to_owned(),
        what: "certificate",
        source: source.to_string().into(),
    })?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::Nothing {
            path: path.to_owned(),
            what: "certificate",
        }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    // The reason is left out: it could quote the file.
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| Error::Nothing {
        path: path.to_owned(),
        what: "private key",
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(Error::TooLarge {
            path: path.to_owned(),
        });
    }
    std::fs::read(path).map_err(failed)
}

/// When the first certificate of the chain expires.
fn expires(path: &Path, chain: &[CertificateDer<'_>]) -> Result<Timestamp, Error> {
    let first = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, parsed) = X509Certificate::from_der(first).map_err(|source| Error::Malformed {
        path: path.to_owned(),
        what: "certificate",
        source: source.into(),
    })?;
    Ok(crate::peer::time(parsed.validity().not_after))
}
