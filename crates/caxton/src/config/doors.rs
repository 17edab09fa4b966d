//! The options of the doors beyond the address: TLS.

use caxton_gateway::tls;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[tls]`: certificates. Empty paths are none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The server's chain in PEM, its own certificate first.
    pub cert: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
    /// Issuers of client certificates in PEM.
    pub client_ca: PathBuf,
    pub client_auth: ClientAuth,
    pub version_min: TlsVersion,
    pub reload_interval_ms: u64,
    /// A certificate of the data folder's own authority in place of `cert` and `key`.
    pub dev: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    Optional,
    Required,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            cert: PathBuf::new(),
            key: PathBuf::new(),
            client_ca: PathBuf::new(),
            client_auth: ClientAuth::Optional,
            version_min: TlsVersion::V13,
            reload_interval_ms: super::options::ms(tls::RELOAD_INTERVAL),
            dev: false,
        }
    }
}

impl Tls {
    /// Whether the server speaks TLS.
    pub fn is_on(&self) -> bool {
        self.dev || !self.cert.as_os_str().is_empty()
    }

    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), String> {
        let given = |path: &PathBuf| !path.as_os_str().is_empty();
        if given(&self.cert) != given(&self.key) {
            return Err("tls.cert and tls.key belong together: one of them is missing".to_owned());
        }
        if self.dev && given(&self.cert) {
            return Err("tls.dev makes a certificate of its own: leave tls.cert out".to_owned());
        }
        if given(&self.client_ca) && !self.is_on() {
            return Err("tls.client_ca needs TLS: give tls.cert and tls.key".to_owned());
        }
        if self.client_auth == ClientAuth::Required && !given(&self.client_ca) {
            return Err("tls.client_auth = \"required\" needs tls.client_ca".to_owned());
        }
        Ok(())
    }

    /// The gateway's own options, with these files.
    pub fn options(&self, cert: PathBuf, key: PathBuf) -> tls::Options {
        let client_ca = Some(self.client_ca.clone());
        tls::Options {
            cert,
            key,
            client_ca: client_ca.filter(|path| !path.as_os_str().is_empty()),
            client_auth: match self.client_auth {
                ClientAuth::Optional => tls::ClientAuth::Optional,
                ClientAuth::Required => tls::ClientAuth::Required,
            },
            oldest: match self.version_min {
                TlsVersion::V12 => tls::Version::Tls12,
                TlsVersion::V13 => tls::Version::Tls13,
            },
            reload_interval: Duration::from_millis(self.reload_interval_ms),
        }
    }
}
