//! The server's certificate: the operator's files, or one of the data folder's own authority.

use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::folder::Folder;
use caxton_core::Timestamp;
use caxton_core::error::Code;
use caxton_gateway::tls::dev::{self, Pair};
use caxton_gateway::{Tls, tls};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The development authority in the data folder.
const CA_CERT: &str = "tls/ca.pem";
const CA_KEY: &str = "tls/ca.key";
/// The certificate it gave the server.
const DEV_CERT: &str = "tls/server.pem";
const DEV_KEY: &str = "tls/server.key";

/// TLS as configured, and what to tell of it.
pub struct Secured {
    pub tls: Tls,
    /// The server's own certificate, which a command on this machine believes.
    pub cert: PathBuf,
    /// The authority that development clients may be told to believe.
    pub dev_ca: Option<PathBuf>,
}

/// TLS, where it is configured.
///
/// # Errors
/// `CX-6012` for files that cannot be used.
pub fn build(config: &Config, folder: &Folder, listen: IpAddr) -> Outcome<Option<Secured>> {
    if !config.tls.is_on() {
        return Ok(None);
    }
    let (cert, key, dev_ca) = match config.tls.dev {
        true => {
            issue(folder, listen)?;
            let ca = Some(folder.join(CA_CERT));
            (folder.join(DEV_CERT), folder.join(DEV_KEY), ca)
        }
        false => (config.tls.cert.clone(), config.tls.key.clone(), None),
    };
    let tls = Tls::load(config.tls.options(cert.clone(), key)).map_err(unusable)?;
    // Written down for commands that run in other folders.
    let cert = std::path::absolute(&cert).unwrap_or(cert);
    Ok(Some(Secured { tls, cert, dev_ca }))
}

/// When the operator's certificate expires; `None` without one. What the files cannot be used for is
/// found as a start would find it.
///
/// # Errors
/// `CX-6012` for files that cannot be used.
pub fn expires(config: &Config) -> Outcome<Option<Timestamp>> {
    if !config.tls.is_on() || config.tls.dev {
        return Ok(None);
    }
    let (cert, key) = (config.tls.cert.clone(), config.tls.key.clone());
    let tls = Tls::load(config.tls.options(cert, key)).map_err(unusable)?;
    Ok(Some(tls.expires()))
}

fn unusable(error: tls::Error) -> Failure {
    let failure = Failure::new(Code::TlsUnusable, error.to_string());
    match std::error::Error::source(&error) {
        Some(cause) => failure.because(cause.to_string()),
        None => failure,
    }
}

/// Gives the server a certificate for a year, from the folder's authority; the first time there is
/// one to be made. Each start gives a new one, so that none grows old.
fn issue(folder: &Folder, listen: IpAddr) -> Outcome {
    let now = SystemTime::now();
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().to_ascii_lowercase();
    let failed = |error: dev::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        Failure::new(Code::TlsUnusable, error.to_string()).because(cause.unwrap_or_default())
    };
    folder.create_dir("tls")?;
    let (cert, key) = (folder.join(CA_CERT), folder.join(CA_KEY));
    if !cert.exists() || !key.exists() {
        let made = dev::authority(&host, now).map_err(failed)?;
        folder.keep_private(CA_KEY, made.key.as_bytes())?;
        folder.keep_private(CA_CERT, made.cert.as_bytes())?;
    }
    let authority = Pair {
        cert: read(&cert)?,
        key: read(&key)?,
    };
    let made = dev::certificate(&authority, &host, listen, now).map_err(failed)?;
    folder.keep_private(DEV_KEY, made.key.as_bytes())?;
    folder.keep_private(DEV_CERT, made.cert.as_bytes())
}

fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read {}", path.display());
        Failure::new(Code::TlsUnusable, what).because(error.to_string())
    })
}
