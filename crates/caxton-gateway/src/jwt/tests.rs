//! Forged and honest tokens, signed here; keys that rotate, and issuers that do not answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
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

#[tokio::test(start_paused = true)]
async fn an_honest_token_says_who_and_what() {
    for signer in [Signer::rsa(), &Signer::ec()] {
        let world = World::with_keys(signer.algorithm, &[signer.jwk("a")]);
        let token = signer.token("a", &claims());
        let verified = world.verify(&token).await.unwrap();
        let expected = VerifiedToken {
            issuer: ISSUER.to_owned(),
            subject: "user-1".to_owned(),
            tenant: Some("acme".to_owned()),
            roles: vec!["operator".to_owned()],
            expires: Timestamp::from_us((NOW + 600) * 1_000_000),
        };
        assert_eq!(verified, expected);
        assert!(is_token(&token) && !is_token("cx_key_1_secret"));
        assert_eq!(world.told.asked(), 1);
        assert_eq!(*world.told.asked.lock(), [format!("{ISSUER}/jwks")]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_claims_must_hold() {
    let signer = Signer::ec();
    let world = World::with_keys(Algorithm::ES256, &[signer.jwk("a")]);
    let check = async |claims: Value, expected: Result<(), Refused>| {
        let got = world.verify(&signer.token("a", &claims)).await;
        assert_eq!(got.map(|_| ()), expected, "{claims}");
    };
    let missing = |name| Err(Refused::Claim(name));
    check(claims(), Ok(())).await;
    check(
        with("iss", json!("https://login.example.org/")),
        Err(Refused::Issuer),
    )
    .await;
    check(
        with("iss", json!("https://LOGIN.example.org")),
        Err(Refused::Issuer),
    )
    .await;
    check(
        with("iss", json!(["https://login.example.org"])),
        missing("iss"),
    )
    .await;
    check(with("iss", Value::Null), missing("iss")).await;
    check(with("aud", json!("caxton ")), Err(Refused::Audience)).await;
    check(
        with("aud", json!(["other", "caxton2"])),
        Err(Refused::Audience),
    )
    .await;
    check(with("aud", json!(["other", "caxton"])), Ok(())).await;
    check(with("aud", json!([])), Err(Refused::Audience)).await;
    check(with("aud", Value::Null), missing("aud")).await;
    check(with("sub", Value::Null), missing("sub")).await;
    check(with("sub", json!("")), missing("sub")).await;
    check(with("sub", json!("a\r\nb")), missing("sub")).await;
    check(with("sub", json!("x".repeat(256))), missing("sub")).await;
    check(with("sub", json!(7)), missing("sub")).await;
    check(with("org", Value::Null), missing("tenant")).await;
    check(with("org", json!("../acme")), missing("tenant")).await;
    check(with("realm", json!({"roles": [1]})), missing("roles")).await;
    check(
        with("realm", json!({"roles": vec!["r"; 65]})),
        missing("roles"),
    )
    .await;
    check(with("realm", Value::Null), Ok(())).await;
    // The clocks may differ by a minute, and not by a second more.
    check(with("exp", Value::Null), missing("exp")).await;
    check(with("exp", json!("later")), missing("exp")).await;
    check(with("exp", json!(1e300)), missing("exp")).await;
    check(with("exp", json!(NOW - 60)), Err(Refused::Expired)).await;
    check(with("exp", json!(NOW - 59)), Ok(())).await;
    check(with("exp", json!(NOW as f64 + 0.5)), Ok(())).await;
    check(with("exp", json!(-1)), Err(Refused::Expired)).await;
    check(with("nbf", json!(NOW + 60)), Ok(())).await;
    check(with("nbf", json!(NOW + 61)), Err(Refused::NotYet)).await;
    check(with("iat", json!(NOW + 61)), Err(Refused::NotYet)).await;
    check(with("iat", Value::Null), Ok(())).await;
}

#[tokio::test(start_paused = true)]
async fn forgeries_are_refused() {
    let signer = Signer::rsa();
    let world = World::with_keys(Algorithm::RS256, &[signer.jwk("a")]);
    let good = signer.token("a", &claims());
    let [header, body, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let forged = encode(&with("sub", json!("admin")));
    let none = encode(&json!({"alg": "none"}));
    let stranger = Signer::ec();
    let mut own = Header::new(Algorithm::ES256);
    own.kid = Some("a".to_owned());
    own.jwk = Some(serde_json::from_value(stranger.jwk("a")).unwrap());
    let embedded = jsonwebtoken::encode(&own, &claims(), &stranger.key).unwrap();
    // The public key is public: whoever takes it for an HMAC secret believes anybody.
    let confused = |alg: Algorithm| {
        let mut header = Header::new(alg);
        header.kid = Some("a".to_owned());
        let secret = EncodingKey::from_secret(signer.public_pem.as_bytes());
        jsonwebtoken::encode(&header, &claims(), &secret).unwrap()
    };
    let table = [
        ("none", format!("{none}.{forged}."), Refused::Malformed),
        (
            "none with a signature",
            format!("{none}.{forged}.{signature}"),
            Refused::Algorithm,
        ),
        (
            "nOnE",
            format!("{}.{forged}.AA", encode(&json!({"alg": "nOnE"}))),
            Refused::Algorithm,
        ),
        (
            "changed claims",
            format!("{header}.{forged}.{signature}"),
            Refused::Signature,
        ),
        (
            "no signature",
            format!("{header}.{body}."),
            Refused::Malformed,
        ),
        (
            "half a signature",
            good[..good.len() - 100].to_owned(),
            Refused::Signature,
        ),
        (
            "HS256 by the public key",
            confused(Algorithm::HS256),
            Refused::Algorithm,
        ),
        (
            "HS512 by the public key",
            confused(Algorithm::HS512),
            Refused::Algorithm,
        ),
        ("its own key inside", embedded, Refused::Algorithm),
        (
            "another algorithm",
            signer.sign(&json!({"alg": "RS512", "kid": "a"}), &claims()),
            Refused::Algorithm,
        ),
        ("an unknown kid", signer.token("b", &claims()), Refused::Key),
        (
            "a path as kid",
            signer.token("../../../dev/null", &claims()),
            Refused::Key,
        ),
        (
            "SQL as kid",
            signer.token("a' OR '1'='1", &claims()),
            Refused::Key,
        ),
        (
            "a long kid",
            signer.token(&"k".repeat(257), &claims()),
            Refused::Key,
        ),
        (
            "critical",
            signer.sign(
                &json!({"alg": "RS256", "kid": "a", "crit": ["exp"]}),
                &claims(),
            ),
            Refused::Critical,
        ),
        (
            "of a logout",
            signer.sign(
                &json!({"alg": "RS256", "kid": "a", "typ": "logout+jwt"}),
                &claims(),
            ),
            Refused::Kind,
        ),
        (
            "padded",
            format!("{header}.{body}=.{signature}"),
            Refused::Malformed,
        ),
        ("four parts", format!("{good}.x"), Refused::Malformed),
        ("two parts", format!("{header}.{body}"), Refused::Malformed),
        (
            "no JSON",
            format!("{}.{body}.{signature}", URL_SAFE_NO_PAD.encode("{")),
            Refused::Malformed,
        ),
        (
            "a repeated key",
            format!(
                "{}.{body}.{signature}",
                URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","alg":"none"}"#)
            ),
            Refused::Malformed,
        ),
        (
            "deep",
            format!(
                "{}.{body}.{signature}",
                URL_SAFE_NO_PAD.encode("[".repeat(10_000))
            ),
            Refused::Malformed,
        ),
        (
            "long",
            format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX)),
            Refused::TooLong,
        ),
        ("empty", String::new(), Refused::Malformed),
        ("dots", "..".to_owned(), Refused::Malformed),
    ];
    for (what, token, expected) in table {
        assert_eq!(world.verify(&token).await, Err(expected), "{what}");
    }
    // With an algorithm that is its issuer's, a key inside is still not looked at.
    let other = World::with_keys(Algorithm::ES256, &[Signer::ec().jwk("a")]);
    let forged = jsonwebtoken::encode(&own, &claims(), &stranger.key).unwrap();
    assert_eq!(other.verify(&forged).await, Err(Refused::Signature));
    // A header that tells where keys are is not followed.
    let elsewhere = json!({"alg": "RS256", "kid": "x", "jku": "https://evil.example.org/jwks", "x5u": "https://evil.example.org/x"});
    let token = signer.sign(&elsewhere, &claims());
    assert_eq!(world.verify(&token).await, Err(Refused::Key));
    assert!(
        world
            .told
            .asked
            .lock()
            .iter()
            .all(|uri| uri.starts_with(ISSUER))
    );
    assert!(world.verify(&good).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn only_keys_that_sign_for_all_to_see_are_taken() {
    let (rsa, ec) = (Signer::rsa(), Signer::ec());
    let mut encrypts = rsa.jwk("a");
    encrypts["use"] = "enc".into();
    let mut derives = ec.jwk("a");
    derives.as_object_mut().unwrap().remove("use");
    derives["key_ops"] = json!(["deriveKey"]);
    let secret = json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"});
    let check = async |keys: &[Value], signer: &Signer, kid: Option<&str>, expected: bool| {
        let world = World::with_keys(signer.algorithm, keys);
        let mut header = json!({"alg": format!("{:?}", signer.algorithm)});
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        let got = world.verify(&signer.sign(&header, &claims())).await;
        assert_eq!(got.is_ok(), expected, "{keys:?} {got:?}");
    };
    let other = Signer::ec();
    check(&[encrypts], rsa, Some("a"), false).await;
    check(&[derives], &ec, Some("a"), false).await;
    check(std::slice::from_ref(&secret), &ec, Some("a"), false).await;
    // A key of another kind under the same name neither helps nor harms.
    check(
        &[secret, rsa.jwk("a"), ec.jwk("a"), json!({"kty": "?"})],
        &ec,
        Some("a"),
        true,
    )
    .await;
    // Two of one name, or none named and a choice: nobody guesses.
    check(&[other.jwk("a"), ec.jwk("a")], &ec, Some("a"), false).await;
    check(&[other.jwk("b"), ec.jwk("a")], &ec, None, false).await;
    check(&[rsa.jwk("b"), ec.jwk("a")], &ec, None, true).await;
    check(&[ec.jwk("a")], &ec, None, true).await;
}

#[tokio::test(start_paused = true)]
async fn keys_rotate_and_strange_names_cause_no_storm() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let world = World::with_keys(Algorithm::ES256, &[old.jwk("old")]);
    let (by_old, by_new) = (old.token("old", &claims()), new.token("new", &claims()));
    assert!(world.verify(&by_old).await.is_ok());
    world.told.says([Some(json!({"keys": [new.jwk("new")]}))]);
    for _ in 0..100 {
        assert_eq!(world.verify(&by_new).await, Err(Refused::Key));
    }
    assert_eq!(
        world.told.asked(),
        1,
        "within the interval nothing is asked again"
    );
    world.clock.advance(source::FETCH_INTERVAL);
    assert!(world.verify(&by_new).await.is_ok());
    assert_eq!(world.told.asked(), 2);
    // The old key is gone, and with it what was verified by it.
    assert_eq!(world.verify(&by_old).await, Err(Refused::Key));
    // A key that is taken out while nobody asks for another is found out all the same.
    world.told.says([Some(json!({"keys": []}))]);
    world.clock.advance(source::FRESH);
    assert_eq!(world.verify(&by_new).await, Err(Refused::Key));
}

#[tokio::test(start_paused = true)]
async fn a_good_token_costs_a_look_up_until_it_ends() {
    let signer = Signer::ec();
    let world = World::with_keys(Algorithm::ES256, &[signer.jwk("a")]);
    let token = signer.token("a", &claims());
    let first = world.jwt.verify(&token).await.unwrap();
    let again = world.jwt.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    world.clock.advance(Duration::from_secs(659));
    assert!(
        world.verify(&token).await.is_ok(),
        "a second of the leeway is left"
    );
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.verify(&token).await, Err(Refused::Expired));
}

#[tokio::test(start_paused = true)]
async fn while_the_issuer_is_down_old_keys_are_good_for_a_day() {
    let signer = Signer::ec();
    let lasting = with("exp", json!(NOW + 10 * 86_400));
    let token = signer.token("a", &lasting);
    let world = World::new(vec![issuer(Algorithm::ES256)]);
    assert_eq!(world.verify(&token).await, Err(Refused::KeysUnavailable));
    assert!(Refused::KeysUnavailable.is_temporary());
    world.told.says([
        Some(json!({"keys": [signer.jwk("a")]})),
        Some(json!("no set")),
        None,
    ]);
    world.clock.advance(source::FETCH_INTERVAL);
    assert!(world.verify(&token).await.is_ok());
    for hour in 1..24 {
        world.clock.advance(Duration::from_secs(3600));
        assert!(world.verify(&token).await.is_ok(), "hour {hour}");
    }
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.verify(&token).await, Err(Refused::KeysUnavailable));
    assert_eq!(world.told.asked(), 26);
    world.told.says([Some(json!({"keys": [signer.jwk("a")]}))]);
    world.clock.advance(source::FETCH_INTERVAL);
    assert!(world.verify(&token).await.is_ok());
    const { assert!(source::STALE_MAX.as_secs() == 24 * 3600) };
}

#[tokio::test(start_paused = true)]
async fn discovery_believes_the_issuer_about_itself_alone() {
    let signer = Signer::ec();
    let token = signer.token("a", &claims());
    let keys = json!({"keys": [signer.jwk("a")]});
    let check = async |configuration: Value, expected: Result<(), Refused>| {
        let discovering = Issuer {
            keys: KeySource::Discovery,
            ..issuer(Algorithm::ES256)
        };
        let world = World::new(vec![discovering]);
        world.told.says([Some(configuration), Some(keys.clone())]);
        let got = world.verify(&token).await;
        assert_eq!(got.map(|_| ()), expected);
        let asked = world.told.asked.lock().clone();
        assert_eq!(
            asked[0],
            format!("{ISSUER}/.well-known/openid-configuration")
        );
        asked
    };
    let at = |issuer: &str, uri: &str| json!({"issuer": issuer, "jwks_uri": uri});
    let asked = check(at(ISSUER, "https://keys.example.org/k"), Ok(())).await;
    assert_eq!(asked[1..], ["https://keys.example.org/k"]);
    let down = Err(Refused::KeysUnavailable);
    check(
        at("https://evil.example.org", "https://keys.example.org/k"),
        down,
    )
    .await;
    check(at(ISSUER, "http://keys.example.org/k"), down).await;
    check(at(ISSUER, "file:///etc/passwd"), down).await;
    check(json!({"issuer": ISSUER}), down).await;
}

#[tokio::test(start_paused = true)]
async fn keys_come_from_a_file_that_may_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    let (old, new) = (Signer::ec(), Signer::ec());
    let write = |keys: Value| std::fs::write(&path, json!({"keys": keys}).to_string()).unwrap();
    write(json!([old.jwk("old")]));
    let world = World::new(vec![Issuer {
        keys: KeySource::File(path.clone()),
        ..issuer(Algorithm::ES256)
    }]);
    assert!(world.verify(&old.token("old", &claims())).await.is_ok());
    write(json!([new.jwk("new")]));
    world.clock.advance(source::FETCH_INTERVAL);
    assert!(world.verify(&new.token("new", &claims())).await.is_ok());
    assert_eq!(world.told.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn issuers_are_kept_apart() {
    let (one, two) = (Signer::ec(), Signer::ec());
    let dir = tempfile::tempdir().unwrap();
    let configured = |name: &str, signer: &Signer| {
        let path = dir.path().join(name);
        std::fs::write(&path, json!({"keys": [signer.jwk("a")]}).to_string()).unwrap();
        Issuer {
            issuer: format!("https://{name}"),
            keys: KeySource::File(path),
            tenant: TenantOf::Fixed(name.to_owned()),
            role_claim: "scope".to_owned(),
            roles: BTreeMap::new(),
            ..issuer(Algorithm::ES256)
        }
    };
    let world = World::new(vec![configured("one", &one), configured("two", &two)]);
    let mut claims = with("iss", json!("https://one"));
    claims["scope"] = "viewer developer viewer".into();
    let verified = world.verify(&one.token("a", &claims)).await.unwrap();
    assert_eq!(verified.tenant.as_deref(), Some("one"));
    assert_eq!(verified.roles, ["developer", "viewer"]);
    // The key of the one does not sign for the other, though both are called `a`.
    let crossed = two.token("a", &claims);
    assert_eq!(world.verify(&crossed).await, Err(Refused::Signature));
}

#[test]
fn what_no_issuer_may_be_is_refused_at_the_start() {
    let check = |change: &dyn Fn(&mut Issuer), expected: bool| {
        let mut changed = issuer(Algorithm::RS256);
        change(&mut changed);
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let made = JwtAuthenticator::new(vec![changed], Arc::new(Told::default()), clock);
        assert_eq!(made.is_ok(), expected, "{made:?}");
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _time = runtime.enter();
    check(&|_| {}, true);
    check(&|it| it.algorithms = vec![Algorithm::HS256], false);
    check(&|it| it.algorithms.push(Algorithm::HS384), false);
    check(&|it| it.algorithms.clear(), false);
    check(&|it| it.audience.clear(), false);
    check(
        &|it| it.keys = KeySource::Uri("http://example.org/k".to_owned()),
        false,
    );
    check(
        &|it| (it.issuer, it.keys) = ("http://example.org".to_owned(), KeySource::Discovery),
        false,
    );
    let twice = vec![issuer(Algorithm::RS256), issuer(Algorithm::ES256)];
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let made = JwtAuthenticator::new(twice, Arc::new(Told::default()), clock);
    assert!(matches!(made, Err(Invalid::Twice(_))));
}

proptest::proptest! {
    /// Whatever comes is refused, and nothing it says makes the server ask anywhere.
    #[test]
    fn noise_is_refused(noise in ".{0,300}", cut in 0_usize..2000, byte in 0_u8..128) {
        let signer = Signer::rsa();
        let mut damaged = signer.token("a", &claims()).into_bytes();
        let at = cut % damaged.len();
        // The last character of each part may have bits that no byte needs: the same token.
        let loose = damaged.get(at + 1).is_none_or(|next| *next == b'.');
        let changed = damaged[at] != byte && !loose;
        damaged[at] = byte;
        let damaged = String::from_utf8(damaged).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::with_keys(Algorithm::RS256, &[signer.jwk("a")]);
            assert!(world.verify(&noise).await.is_err());
            let refused = world.verify(&damaged).await.is_err();
            assert!(refused || !changed, "{damaged}");
            let asked = world.told.asked.lock();
            assert!(asked.iter().all(|uri| uri.starts_with(ISSUER)));
        });
    }
}
