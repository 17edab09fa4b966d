//! Tokens signed here, honest and forged: what the tests of this folder share.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod forgeries;
mod honest;
mod sources;

use std::collections::VecDeque;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use caxton_engine::port::{Answer, ManualClock};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header};
use parking_lot::Mutex;
use rcgen::KeyPair;
use serde_json::{Value, json};

use super::*;

/// 2026-01-01T00:00:00Z, in seconds.
const NOW: i64 = 1_767_225_600;
const ISSUER: &str = "https://login.example.org";
const AUDIENCE: &str = "caxton";

/// A key pair of an issuer, or of somebody else.
struct Signer {
    key: EncodingKey,
    public_pem: String,
    algorithm: Algorithm,
}

impl Signer {
    fn rsa() -> &'static Self {
        static RSA: OnceLock<Signer> = OnceLock::new();
        RSA.get_or_init(|| {
            let pair = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
            Signer {
                key: EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap(),
                public_pem: pair.public_key_pem(),
                algorithm: Algorithm::RS256,
            }
        })
    }

    fn ec() -> Self {
        let pair = KeyPair::generate().unwrap();
        Self {
            key: EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(),
            public_pem: pair.public_key_pem(),
            algorithm: Algorithm::ES256,
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// Signs any header, which the library's own `encode` would not.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    fn token(&self, kid: &str, claims: &Value) -> String {
        let name = format!("{:?}", self.algorithm);
        self.sign(&json!({"alg": name, "kid": kid, "typ": "JWT"}), claims)
    }
}

fn encode(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-1",
        "iat": NOW,
        "exp": NOW + 600,
        "org": "acme",
        "realm": {"roles": ["staff", "unknown"]},
    })
}

/// The claims with one changed; null takes it away.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => {
            claims.as_object_mut().unwrap().remove(name);
        }
        value => claims[name] = value,
    }
    claims
}

fn issuer(algorithm: Algorithm) -> Issuer {
    Issuer {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        keys: KeySource::Uri(format!("{ISSUER}/jwks")),
        algorithms: vec![algorithm],
        tenant: TenantOf::Claim("org".to_owned()),
        role_claim: "realm.roles".to_owned(),
        roles: BTreeMap::from([("staff".to_owned(), "operator".to_owned())]),
    }
}

/// Answers as told, the last one for ever, and counts what it is asked.
#[derive(Debug, Default)]
struct Told {
    answers: Mutex<VecDeque<Option<Value>>>,
    asked: Mutex<Vec<String>>,
}

impl Told {
    fn says(&self, answers: impl IntoIterator<Item = Option<Value>>) {
        *self.answers.lock() = answers.into_iter().collect();
    }

    fn asked(&self) -> usize {
        self.asked.lock().len()
    }
}

impl Fetch for Told {
    fn get<'a>(&'a self, uri: &'a str) -> Answer<'a, Result<Bytes, FetchError>> {
        self.asked.lock().push(uri.to_owned());
        let mut answers = self.answers.lock();
        let answer = match answers.len() {
            0 | 1 => answers.front().cloned().flatten(),
            _ => answers.pop_front().flatten(),
        };
        let answer = answer.map(|it| Bytes::from(it.to_string()));
        let answer = answer.ok_or_else(|| FetchError::new("it is down"));
        Box::pin(std::future::ready(answer))
    }
}

struct World {
    told: Arc<Told>,
    clock: Arc<ManualClock>,
    jwt: JwtAuthenticator,
}

impl World {
    fn new(issuers: Vec<Issuer>) -> Self {
        let told = Arc::new(Told::default());
        let clock = Arc::new(ManualClock::new(Timestamp::from_us(NOW * 1_000_000)));
        let (fetch, time) = (Arc::clone(&told), Arc::clone(&clock));
        let jwt = JwtAuthenticator::new(issuers, fetch, time).unwrap();
        Self { told, clock, jwt }
    }

    /// One issuer with these keys.
    fn with_keys(algorithm: Algorithm, keys: &[Value]) -> Self {
        let world = Self::new(vec![issuer(algorithm)]);
        world.told.says([Some(json!({"keys": keys}))]);
        world
    }

    async fn verify(&self, token: &str) -> Result<VerifiedToken, Refused> {
        self.jwt.verify(token).await.map(|it| (*it).clone())
    }
}
