//! Keys that rotate, issuers that do not answer, and what a verified token costs the next time.

use super::*;

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
