//! The options of the doors beyond the address: TLS, whose tokens are believed, and
//! which other sites' pages may call.

use caxton_core::TenantId;
use caxton_gateway::{jwt, tls};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

/// `[cors]`: pages of other sites.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    pub origins: Vec<String>,
}

impl Cors {
    /// Refuses what is no origin.
    pub fn check(&self) -> Result<(), String> {
        let checked = self
            .origins
            .iter()
            .map(|it| caxton_gateway::cors_origin(it));
        checked
            .collect::<Result<(), _>>()
            .map_err(|what| format!("cors.origins: {what}"))
    }
}

/// `[auth]`: whose tokens are believed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Failures of one address or against one key, before they are answered 429.
    pub failures_per_minute_max: u32,
    pub issuers: Vec<Issuer>,
    /// Certificate authorities of the issuers in PEM, in place of the machine's.
    pub ca: PathBuf,
}

/// One of `[[auth.issuers]]`: see `caxton_gateway::jwt::Issuer`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    pub issuer: String,
    pub audience: String,
    #[serde(default)]
    pub jwks_uri: String,
    #[serde(default)]
    pub jwks_file: PathBuf,
    #[serde(default = "algorithms")]
    pub algorithms: Vec<String>,
    #[serde(default)]
    pub tenant: String,
    #[serde(default)]
    pub tenant_claim: String,
    #[serde(default = "role_claim")]
    pub role_claim: String,
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
}

/// What every provider can sign with.
fn algorithms() -> Vec<String> {
    vec!["RS256".to_owned()]
}

fn role_claim() -> String {
    "roles".to_owned()
}

impl Default for Auth {
    fn default() -> Self {
        let owner = caxton_gateway::Options::new(PathBuf::new());
        Self {
            failures_per_minute_max: owner.auth_failures_max,
            issuers: Vec::new(),
            ca: PathBuf::new(),
        }
    }
}

impl Auth {
    /// The gateway's own issuers.
    pub fn issuers(&self) -> Result<Vec<jwt::Issuer>, String> {
        self.issuers.iter().map(Issuer::read).collect()
    }
}

impl Issuer {
    fn read(&self) -> Result<jwt::Issuer, String> {
        let wrong = |what: String| format!("auth.issuers: `{}`: {what}", self.issuer);
        let file = !self.jwks_file.as_os_str().is_empty();
        let keys = match (self.jwks_uri.is_empty(), file) {
            (true, false) => jwt::KeySource::Discovery,
            (false, false) => jwt::KeySource::Uri(self.jwks_uri.clone()),
            (true, true) => jwt::KeySource::File(self.jwks_file.clone()),
            (false, true) => {
                return Err(wrong(
                    "jwks_uri and jwks_file exclude each other".to_owned(),
                ));
            }
        };
        let algorithms = self.algorithms.iter().map(|name| {
            let parsed = name.parse();
            parsed.map_err(|_| wrong(format!("unknown algorithm `{name}`")))
        });
        let tenant = match (self.tenant.is_empty(), self.tenant_claim.is_empty()) {
            (false, false) => {
                return Err(wrong(
                    "tenant and tenant_claim exclude each other".to_owned(),
                ));
            }
            (_, true) => {
                let named = match self.tenant.is_empty() {
                    true => TenantId::default_tenant().to_string(),
                    false => self.tenant.clone(),
                };
                TenantId::parse(&named).map_err(|error| wrong(error.detail))?;
                jwt::TenantOf::Fixed(named)
            }
            (true, false) => jwt::TenantOf::Claim(self.tenant_claim.clone()),
        };
        Ok(jwt::Issuer {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            keys,
            algorithms: algorithms.collect::<Result<_, _>>()?,
            tenant,
            role_claim: self.role_claim.clone(),
            roles: self.roles.clone(),
        })
    }
}
