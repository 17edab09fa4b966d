//! Forged tokens, and keys that sign for all to see.

use super::*;

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
