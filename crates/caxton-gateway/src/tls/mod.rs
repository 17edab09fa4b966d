//! TLS on the one port: certificates from files, read again when they change, and client
//! certificates where the operator names who may issue them.
//!
//! A handshake uses the configuration of its moment; connections that stand keep theirs. A file that
//! cannot be used changes nothing: the server goes on with what it had and says so in its log, since
//! a renewal that went wrong at night must not take the server down.

pub mod dev;
pub(crate) mod handshake;
mod load;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use caxton_core::Timestamp;
use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio_rustls::TlsAcceptor;

pub use load::Error;

/// How often the files are looked at where the operator says nothing.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// What an operator says of TLS.
#[derive(Debug, Clone)]
pub struct Options {
    /// The certificate chain in PEM, the server's own first.
    pub cert: PathBuf,
    /// Its private key in PEM: PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
    /// Issuers of client certificates in PEM. None: no client is asked for one.
    pub client_ca: Option<PathBuf>,
    /// What of clients without a certificate, where `client_ca` is given.
    pub client_auth: ClientAuth,
    /// The oldest version spoken.
    pub oldest: Version,
    /// How often the files are looked at.
    pub reload_interval: Duration,
}

/// What of clients that show no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// They may bring a key or token instead.
    Optional,
    /// They get no connection.
    Required,
}

/// Versions of TLS that can be spoken. Older ones cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

/// The server's TLS, ready for handshakes. Cheap to clone; clones change together.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Options,
    current: ArcSwap<load::Loaded>,
    /// What the files were when they were last tried, so that bad ones are told of once.
    tried: Mutex<Option<watch::Stamps>>,
    expires: OnceLock<IntGauge>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Where a file cannot be read or used. A certificate whose time is over is used, with a warning:
    /// a server that stays away would help nobody.
    pub fn load(options: Options) -> Result<Self, Error> {
        let tried = watch::stamps(&options);
        let loaded = load::load(&options)?;
        if loaded.expired(now()) {
            tracing::warn!(cert = %options.cert.display(), "the server's certificate has expired");
        }
        Ok(Self(Arc::new(Inner {
            options,
            current: ArcSwap::from_pointee(loaded),
            tried: Mutex::new(tried),
            expires: OnceLock::new(),
        })))
    }

    /// Reads the files again, whatever their times say, and uses them from the next handshake on.
    ///
    /// # Errors
    /// Where a file cannot be read or used, or the certificate's time is over; then nothing changes.
    pub fn reload(&self) -> Result<(), Error> {
        let stamps = watch::stamps(&self.0.options);
        let loaded = load::load(&self.0.options);
        *self.0.tried.lock() = stamps;
        let loaded = loaded?;
        if loaded.expired(now()) {
            return Err(Error::Expired {
                path: self.0.options.cert.clone(),
            });
        }
        self.0.current.store(Arc::new(loaded));
        self.tell_expiry();
        Ok(())
    }

    /// Reads the files again and tells the log what came of it.
    pub fn reload_and_tell(&self) {
        let cert = self.0.options.cert.display();
        match self.reload() {
            Ok(()) => tracing::info!(%cert, "TLS files were read again"),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "new TLS files cannot be used; the old ones stay");
            }
        }
    }

    /// Whether the certificate in use is good no more.
    pub(crate) fn has_expired(&self) -> bool {
        self.0.current.load().expired(now())
    }

    /// Looks at the files from time to time, until it is dropped.
    pub(crate) async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(self.0.options.reload_interval).await;
            self.look();
        }
    }

    /// Reads the files again if they are others than those tried last.
    fn look(&self) {
        let stamps = watch::stamps(&self.0.options);
        let changed = *self.0.tried.lock() != stamps;
        if changed {
            self.reload_and_tell();
        }
    }

    /// When the certificate in use expires.
    pub fn expires(&self) -> Timestamp {
        self.0.current.load().expires
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.current.load().config))
    }

    /// Keeps this metric at the time the certificate in use expires, in seconds since 1970.
    pub(crate) fn count_into(&self, expires: IntGauge) {
        let _ = self.0.expires.set(expires);
        self.tell_expiry();
    }

    fn tell_expiry(&self) {
        if let Some(gauge) = self.0.expires.get() {
            gauge.set(self.0.current.load().expires.as_us() / 1_000_000);
        }
    }
}

fn now() -> Timestamp {
    caxton_engine::port::Clock::now(&caxton_engine::port::SystemClock)
}

#[cfg(test)]
mod tests;
