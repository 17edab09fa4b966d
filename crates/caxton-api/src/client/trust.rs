//! Whom the client believes to be the server, where TLS is spoken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::ClientError;

/// Whom to believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Who vouches for the server.
    pub anchor: Anchor,
    /// The client's own certificate chain and private key, both PEM files, for a server that asks.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Who vouches for the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Anchor {
    /// The machine's certificate authorities.
    #[default]
    System,
    /// The authorities in this PEM file and no others.
    Authorities(PathBuf),
    /// Exactly the first certificate of this PEM file, whatever name it was made for: for a server
    /// on this machine, whose file this is.
    Exactly(PathBuf),
}

/// What TLS is spoken with.
///
/// # Errors
/// [`ClientError::Invalid`] for files that cannot be read or hold nothing of use.
pub(super) fn config(trust: &Trust) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Invalid(error.to_string()))?;
    let builder = match &trust.anchor {
        Anchor::System => builder.with_root_certificates(system()?),
        Anchor::Authorities(path) => builder.with_root_certificates(authorities(path)?),
        Anchor::Exactly(path) => {
            let only = certificates(path)?.swap_remove(0);
            let verifier = Exactly { only, algorithms };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let Some((cert, key)) = &trust.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let key_der = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| invalid(key, "private key", &error.to_string()))?;
    builder
        .with_client_auth_cert(certificates(cert)?, key_der)
        .map_err(|error| invalid(cert, "client certificate", &error.to_string()))
}

/// What a connection without TLS is made with.
pub(super) fn nobody() -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Invalid(error.to_string()))?;
    let nobody = builder.with_root_certificates(RootCertStore::empty());
    Ok(nobody.with_no_client_auth())
}

fn system() -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    // A machine's store may hold oddities; what can be used is used.
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        false => Ok(roots),
        true => Err(ClientError::Invalid(
            "this machine has no certificate authorities to believe; name a file of them"
                .to_owned(),
        )),
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| invalid(path, "certificate authority", &error.to_string()))?;
    }
    Ok(roots)
}

/// The certificates of a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let found =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| invalid(path, "certificate", &error.to_string()))?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(invalid(path, "certificate", "nothing in PEM is in it")),
    }
}

fn invalid(path: &Path, what: &str, why: &str) -> ClientError {
    let path = path.display();
    ClientError::Invalid(format!("{path} gives no {what}: {why}"))
}

/// Believes one certificate. That the server has its key is still proved in the handshake.
#[derive(Debug)]
struct Exactly {
    only: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Exactly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *end_entity == self.only {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
