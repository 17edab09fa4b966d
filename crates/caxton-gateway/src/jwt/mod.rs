//! Tokens (JWT, RFC 7519) of configured issuers: OAuth 2.0 access tokens and OpenID Connect's.
//!
//! A token is data from a stranger until its signature is verified, and decides nothing before: which
//! issuers there are, where their keys come from and which algorithms they sign with is the operator's
//! word alone. Headers that bring a key or tell where to get one (`jwk`, `jku`, `x5u`, `x5c`) are not
//! read. The checks are those of RFC 8725 (JWT best current practices) and RFC 9068, 4.

mod fetch;
mod keys;
mod results;
mod source;
mod token;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use caxton_core::Timestamp;
use caxton_core::grant::Role;
use caxton_engine::port::Clock;
use jsonwebtoken::Algorithm;

pub use fetch::{Fetch, FetchError, HttpFetch};

use results::Results;
use source::Source;
use token::Token;

/// Longest token that is looked at, in bytes: more than providers put into a header that travels.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How far the issuer's clock and ours may differ.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// An issuer whose tokens are believed.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// `iss`, exactly; for discovery also the address it begins at.
    pub issuer: String,
    /// What `aud` must name, exactly: this server.
    pub audience: String,
    /// Where its keys come from.
    pub keys: KeySource,
    /// What it signs with. Symmetric algorithms cannot be had.
    pub algorithms: Vec<Algorithm>,
    /// The tenant of its subjects.
    pub tenant: TenantOf,
    /// The claim with the subject's roles: a list of strings, or one string of words. `a.b` goes into
    /// objects.
    pub role_claim: String,
    /// What its roles are called here. Empty: as the claim has them.
    pub roles: BTreeMap<String, String>,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// From the `jwks_uri` of its `/.well-known/openid-configuration`.
    Discovery,
    /// From this address.
    Uri(String),
    /// From this file, a JWK set (RFC 7517).
    File(PathBuf),
}

/// How a subject's tenant is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantOf {
    /// All subjects are of one tenant.
    Fixed(String),
    /// The token says it in this claim; one that does not is refused.
    Claim(String),
}

/// What an issuer says of a subject, once verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    pub issuer: String,
    /// Unique at the issuer.
    pub subject: String,
    /// A well-formed tenant id; whether there is such a tenant is not known here.
    pub tenant: Option<String>,
    /// Names of roles; whether there are such roles is not known here.
    pub roles: Vec<String>,
    /// The token's own end, without leeway.
    pub expires: Timestamp,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token needs an extension that is not understood")]
    Critical,
    #[error("the token is of a kind that gives no access")]
    Kind,
    #[error("the token's issuer is not configured")]
    Issuer,
    #[error("the token's algorithm is not its issuer's")]
    Algorithm,
    #[error("the token's key is not its issuer's")]
    Key,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token is for somebody else")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not good yet")]
    NotYet,
    #[error("the token has no usable `{0}`")]
    Claim(&'static str),
    #[error("the keys of the token's issuer cannot be had at the moment")]
    KeysUnavailable,
}

impl Refused {
    /// Whether the same token may be good later, through no change of its own.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::NotYet | Self::KeysUnavailable)
    }
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    #[error("issuer `{0}` is configured twice")]
    Twice(String),
    #[error("issuer `{issuer}`: {what}")]
    Issuer { issuer: String, what: String },
}

/// Whether a credential has the form of a token. API keys have no dots.
pub fn is_token(credential: &str) -> bool {
    credential.split('.').count() == 3
}

/// Verifies tokens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JwtAuthenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuers: BTreeMap<String, Trusted>,
    results: Results,
    clock: Arc<dyn Clock>,
}

/// An issuer and its keys.
#[derive(Debug)]
struct Trusted {
    issuer: Issuer,
    source: Source,
}

impl JwtAuthenticator {
    /// Knows these issuers; their keys are got when the first token comes.
    ///
    /// # Errors
    /// Where an issuer stands twice, names no or a symmetric algorithm, or an address keys must not
    /// come from.
    pub fn new(
        issuers: Vec<Issuer>,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Invalid> {
        let mut known = BTreeMap::new();
        for issuer in issuers {
            let name = issuer.issuer.clone();
            check(&issuer).map_err(|what| Invalid::Issuer {
                issuer: name.clone(),
                what,
            })?;
            let source = Source::new(&issuer, Arc::clone(&fetch), Arc::clone(&clock));
            if known
                .insert(name.clone(), Trusted { issuer, source })
                .is_some()
            {
                return Err(Invalid::Twice(name));
            }
        }
        Ok(Self(Arc::new(Inner {
            issuers: known,
            results: Results::default(),
            clock,
        })))
    }

    /// Verifies a token. A good one that was verified a moment ago costs a look-up.
    ///
    /// # Errors
    /// Why it is not believed. Only [`Refused::KeysUnavailable`] is no fault of the token.
    pub async fn verify(&self, token: &str) -> Result<Arc<VerifiedToken>, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        let now = self.0.clock.now();
        let digest = results::digest(token);
        if let Some((found, generation)) = self.0.results.get(&digest, now) {
            let trusted = self.0.issuers.get(&found.issuer);
            // Keys that changed since may no longer be the ones this was verified with.
            if trusted.is_some_and(|it| it.source.is_current(generation, now)) {
                return Ok(found);
            }
        }
        let parsed = Token::parse(token)?;
        let trusted = self.0.issuers.get(parsed.issuer()?);
        let trusted = trusted.ok_or(Refused::Issuer)?;
        if !trusted.issuer.algorithms.contains(&parsed.algorithm) {
            return Err(Refused::Algorithm);
        }
        let (key, generation) = trusted.source.key(parsed.kid(), parsed.algorithm).await?;
        parsed.verify(&key)?;
        let verified = Arc::new(parsed.claims(&trusted.issuer, self.0.clock.now())?);
        let kept = Arc::clone(&verified);
        self.0.results.put(digest, kept, generation, now);
        Ok(verified)
    }
}

fn check(issuer: &Issuer) -> Result<(), String> {
    use jsonwebtoken::AlgorithmFamily;
    if issuer.issuer.is_empty() || issuer.audience.is_empty() {
        return Err("issuer and audience must be named".to_owned());
    }
    if issuer.issuer.contains('|') {
        return Err("a name with `|` cannot be told from its users".to_owned());
    }
    for ours in issuer.roles.values() {
        Role::parse(ours).map_err(|error| error.detail)?;
    }
    if issuer.algorithms.is_empty() {
        return Err("no algorithm is named".to_owned());
    }
    for algorithm in &issuer.algorithms {
        if algorithm.family() == AlgorithmFamily::Hmac {
            let what = "is symmetric: whoever verifies could sign";
            return Err(format!("{algorithm:?} {what}"));
        }
    }
    match &issuer.keys {
        KeySource::Discovery => fetch::permitted(&issuer.issuer),
        KeySource::Uri(uri) => fetch::permitted(uri),
        KeySource::File(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
