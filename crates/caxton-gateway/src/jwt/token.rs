//! One token: its parts, what its header says, and what its claims must be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use caxton_core::{TenantId, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Issuer, LEEWAY, Refused, TenantOf, VerifiedToken};

/// Longest `kid` that is looked up, in bytes.
const KID_BYTES_MAX: usize = 256;
/// Longest `sub`, in bytes (OpenID Connect Core, 2).
const SUBJECT_BYTES_MAX: usize = 255;
/// Roles of one token; one with more is refused rather than read in part.
const ROLES_MAX: usize = 64;
/// Longest role, in bytes.
const ROLE_BYTES_MAX: usize = 128;

/// What is read of a header. What else it says, above all about keys, is not looked at.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A token that is not verified yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    kid: Option<String>,
    claims: Map<String, Value>,
    /// What is signed: header and claims as they stand.
    message: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, Refused> {
        let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Refused::Malformed)?;
        if claims.contains('.') || signature.is_empty() {
            return Err(Refused::Malformed);
        }
        let header: Header = decode(header)?;
        // RFC 7515, 4.1.11: what is critical must be understood, and nothing is here.
        if header.crit.is_some() {
            return Err(Refused::Critical);
        }
        kind(header.typ.as_deref())?;
        if header
            .kid
            .as_ref()
            .is_some_and(|kid| kid.len() > KID_BYTES_MAX)
        {
            return Err(Refused::Key);
        }
        Ok(Self {
            // `none`, and whatever else is no algorithm.
            algorithm: header.alg.parse().map_err(|_| Refused::Algorithm)?,
            kid: header.kid,
            claims: decode(claims)?,
            message,
            signature,
        })
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Who says to have issued it.
    pub(super) fn issuer(&self) -> Result<&str, Refused> {
        let issuer = self.claims.get("iss").and_then(Value::as_str);
        issuer.ok_or(Refused::Claim("iss"))
    }

    pub(super) fn verify(&self, key: &DecodingKey) -> Result<(), Refused> {
        let message = self.message.as_bytes();
        match jsonwebtoken::crypto::verify(self.signature, message, key, self.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Refused::Signature),
        }
    }

    /// What the claims come to, where they hold now.
    pub(super) fn claims(&self, by: &Issuer, now: Timestamp) -> Result<VerifiedToken, Refused> {
        let issuer = self.issuer()?;
        if issuer != by.issuer {
            return Err(Refused::Issuer);
        }
        self.audience(&by.audience)?;
        let expires = self.times(now)?;
        let subject = self.claims.get("sub").and_then(Value::as_str);
        let subject = subject
            .filter(|it| (1..=SUBJECT_BYTES_MAX).contains(&it.len()))
            .filter(|it| !it.contains(char::is_control))
            .ok_or(Refused::Claim("sub"))?;
        let tenant = match &by.tenant {
            TenantOf::Fixed(tenant) => tenant.as_str(),
            TenantOf::Claim(name) => {
                let named = find(&self.claims, name).and_then(Value::as_str);
                named.ok_or(Refused::Claim("tenant"))?
            }
        };
        let tenant = TenantId::parse(tenant).map_err(|_| Refused::Claim("tenant"))?;
        Ok(VerifiedToken {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            tenant: Some(tenant.to_string()),
            roles: self.roles(by)?,
            expires,
        })
    }

    fn audience(&self, wanted: &str) -> Result<(), Refused> {
        let named = match self.claims.get("aud") {
            Some(Value::String(one)) => one == wanted,
            Some(Value::Array(many)) => many.iter().any(|it| it.as_str() == Some(wanted)),
            _ => return Err(Refused::Claim("aud")),
        };
        match named {
            true => Ok(()),
            false => Err(Refused::Audience),
        }
    }

    /// Whether it is good now; when it ends.
    fn times(&self, now: Timestamp) -> Result<Timestamp, Refused> {
        let expires = self.time("exp")?.ok_or(Refused::Claim("exp"))?;
        if expires.plus(LEEWAY) <= now {
            return Err(Refused::Expired);
        }
        for name in ["nbf", "iat"] {
            if self.time(name)?.is_some_and(|at| at > now.plus(LEEWAY)) {
                return Err(Refused::NotYet);
            }
        }
        Ok(expires)
    }

    /// A time in seconds since 1970, with or without a fraction (RFC 7519, 2: NumericDate).
    fn time(&self, name: &'static str) -> Result<Option<Timestamp>, Refused> {
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        let whole = value.as_i64().or_else(|| {
            let seconds = value.as_f64()?.floor();
            // Within the integers that a double has exactly.
            (seconds.abs() < 9.0e15).then_some(seconds as i64)
        });
        let seconds = whole.ok_or(Refused::Claim(name))?;
        Ok(Some(Timestamp::from_us(seconds.saturating_mul(1_000_000))))
    }

    fn roles(&self, by: &Issuer) -> Result<Vec<String>, Refused> {
        let named: Vec<&str> = match find(&self.claims, &by.role_claim) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(words)) => words.split_whitespace().collect(),
            Some(Value::Array(many)) => {
                let names: Option<_> = many.iter().map(Value::as_str).collect();
                names.ok_or(Refused::Claim("roles"))?
            }
            Some(_) => return Err(Refused::Claim("roles")),
        };
        let long = |role: &&str| role.len() > ROLE_BYTES_MAX;
        if named.len() > ROLES_MAX || named.iter().any(long) {
            return Err(Refused::Claim("roles"));
        }
        let mut roles: Vec<String> = match by.roles.is_empty() {
            true => named.into_iter().map(str::to_owned).collect(),
            false => named
                .into_iter()
                .filter_map(|it| by.roles.get(it).cloned())
                .collect(),
        };
        roles.sort();
        roles.dedup();
        Ok(roles)
    }
}

/// RFC 8725, 3.11: a token of another kind, such as one that ends a session, is none that gives access.
fn kind(typ: Option<&str>) -> Result<(), Refused> {
    let Some(typ) = typ else {
        return Ok(());
    };
    let typ = typ.to_ascii_lowercase();
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "jwt" | "at+jwt" => Ok(()),
        _ => Err(Refused::Kind),
    }
}

/// JSON in base64url without padding. A key that stands twice would be one thing to us and may be
/// another to whoever signed.
fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, Refused> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Refused::Malformed)?;
    caxton_api::json::check(&json).map_err(|_| Refused::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Refused::Malformed)
}

/// A claim by its name, or by the way to it: names of claims may have dots (`https://a.org/roles`).
fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(name) {
        return Some(found);
    }
    let (first, rest) = name.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}
