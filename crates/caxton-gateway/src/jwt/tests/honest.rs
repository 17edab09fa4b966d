//! What honest tokens say, and which claims must hold.

use super::*;

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
    check(&|it| it.issuer.push('|'), false);
    check(
        &|it| drop(it.roles.insert("boss".to_owned(), "root".to_owned())),
        false,
    );
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
