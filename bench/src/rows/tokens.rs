//! Who the bearer of an issuer's token is: of one that was verified before, and of one never seen.

use crate::Run;
use crate::measure::{CPU_US, Contestant, Scores, Stopwatch, race};
use crate::report::{Goal, Report, Row, Side};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use caxton_engine::port::{Answer, Clock, SystemClock};
use caxton_gateway::jwt::{
    Fetch, FetchError, Issuer, JwtAuthenticator, KeySource, TenantOf, VerifiedToken,
};
use futures::future::BoxFuture;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

const ISSUER: &str = "https://issuer.example";
const TOKENS: usize = 200_000;
const NEW_TOKENS: usize = 2_000;

pub(super) async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let pair = rcgen::KeyPair::generate()?;
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())?;
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256)?)?;
    if let Some(jwk) = jwk.as_object_mut() {
        jwk.insert("kid".to_owned(), "1".into());
        jwk.insert("use".to_owned(), "sig".into());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ends = clock.now().as_us() / 1_000_000 + 3600;
    let sign = |number: usize| -> anyhow::Result<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("1".to_owned());
        let claims = json!({
            "iss": ISSUER, "aud": "caxton", "sub": format!("user-{number}"), "exp": ends,
            "org": "acme", "roles": ["operator"],
        });
        Ok(jsonwebtoken::encode(&header, &claims, &key)?)
    };
    let authenticator = || {
        let issuer = Issuer {
            issuer: ISSUER.to_owned(),
            audience: "caxton".to_owned(),
            keys: KeySource::Uri(format!("{ISSUER}/jwks")),
            algorithms: vec![Algorithm::ES256],
            tenant: TenantOf::Claim("org".to_owned()),
            role_claim: "roles".to_owned(),
            roles: BTreeMap::new(),
        };
        let keys = Arc::new(Keys(json!({ "keys": [jwk] }).to_string().into()));
        JwtAuthenticator::new(vec![issuer], keys, Arc::clone(&clock))
    };
    let mut known = Verifying {
        authenticator: authenticator()?,
        tokens: vec![sign(0)?],
        times: run.scaled(TOKENS),
    };
    let all = race(run, &mut [&mut known]).await?;
    if let [known] = all.as_slice() {
        report.add(
            Row::new("decisions", "who a token's bearer is, verified before", CPU_US)
                .work("An ES256 token of an issuer, verified a moment ago: hashed, looked up, its issuer's keys the same.")
                .ours(Side::of("caxton", known, CPU_US))
                .goal(Goal::AtMost(5000.0)),
        );
    }
    // An authenticator for each round, the one before them too: it remembers what it has seen.
    let mut new = Fresh {
        authenticators: Vec::new(),
        tokens: (0..run.scaled(NEW_TOKENS))
            .map(sign)
            .collect::<Result<_, _>>()?,
    };
    for _ in 0..=run.rounds {
        new.authenticators.push(authenticator()?);
    }
    let all = race(run, &mut [&mut new]).await?;
    if let [new] = all.as_slice() {
        report.add(
            Row::new("decisions", "who a token's bearer is, never seen", CPU_US)
                .work("ES256 tokens one after the other, each another's: parsed, the signature verified, the claims read.")
                .ours(Side::of("caxton", new, CPU_US))
                .goal(Goal::AtMost(5000.0)),
        );
    }
    Ok(())
}

/// The issuer's keys, as its address would answer.
#[derive(Debug)]
struct Keys(Bytes);

impl Fetch for Keys {
    fn get<'a>(&'a self, _uri: &'a str) -> Answer<'a, Result<Bytes, FetchError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

struct Verifying {
    authenticator: JwtAuthenticator,
    tokens: Vec<String>,
    times: usize,
}

async fn verify(by: &JwtAuthenticator, token: &str) -> anyhow::Result<Arc<VerifiedToken>> {
    let verified = by.verify(token).await;
    verified.map_err(|refused| anyhow::anyhow!("{refused}"))
}

impl Contestant for Verifying {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let token = self.tokens.first().context("no token")?;
            verify(&self.authenticator, token).await?;
            let watch = Stopwatch::start();
            for _ in 0..self.times {
                black_box(verify(&self.authenticator, token).await?);
            }
            Ok(watch.read().costs(self.times as u64))
        })
    }
}

/// Each round has an authenticator that has seen none of the tokens.
struct Fresh {
    authenticators: Vec<JwtAuthenticator>,
    tokens: Vec<String>,
}

impl Contestant for Fresh {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let by = self.authenticators.pop().context("a round too many")?;
            let watch = Stopwatch::start();
            for token in &self.tokens {
                let verified = verify(&by, token).await?;
                ensure!(verified.issuer == ISSUER, "another issuer's");
            }
            Ok(watch.read().costs(self.tokens.len() as u64))
        })
    }
}
