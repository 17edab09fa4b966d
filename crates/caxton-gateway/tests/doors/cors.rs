//! Pages of other sites, as a browser asks for them.

use crate::support::World;

const APP: &str = "https://app.example.org";

/// A preflight as browsers send it.
fn preflight(origin: &str) -> [(&'static str, &str); 4] {
    [
        ("authorization", ""),
        ("origin", origin),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-type,idempotency-key",
        ),
    ]
}

#[tokio::test]
async fn no_other_site_is_allowed_by_default() {
    let world = World::new().await;
    let asked = world
        .call_with("OPTIONS", "/v1/messages", "", &preflight(APP))
        .await;
    assert_eq!(asked.header("access-control-allow-origin"), "");
    assert!(!asked.status.is_success(), "{asked:?}");
    let got = world
        .call_with("GET", "/v1/agents", "", &[("origin", APP)])
        .await
        .is(200);
    assert_eq!(got.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn configured_origins_are_allowed_and_no_others() {
    let world = World::with(|options| options.cors_origins = vec![APP.to_owned()]).await;
    let asked = world
        .call_with("OPTIONS", "/v1/messages", "", &preflight(APP))
        .await
        .is(200);
    assert_eq!(asked.header("access-control-allow-origin"), APP);
    assert_eq!(asked.header("access-control-allow-credentials"), "");
    assert!(
        asked
            .header("access-control-allow-methods")
            .contains("POST")
    );
    let headers = asked.header("access-control-allow-headers");
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
        "last-event-id",
        "caxton-tenant",
        "anthropic-version",
        "anthropic-dangerous-direct-browser-access",
        "x-stainless-retry-count",
    ] {
        assert!(headers.split(',').any(|it| it.trim() == name), "{headers}");
    }
    assert!(!asked.header("access-control-max-age").is_empty());
    assert!(asked.header("vary").to_ascii_lowercase().contains("origin"));

    // The answer itself, a refusal, and a stream are marked alike, or the page could not read them.
    let origin = ("origin", APP);
    for (path, key, status) in [
        ("/v1/agents", "Bearer cx_adm_1_secret", 200),
        ("/v1/agents/none", "Bearer cx_adm_1_secret", 404),
        ("/v1/agents", "", 401),
        ("/nowhere", "", 404),
    ] {
        let got = world
            .call_with("GET", path, "", &[origin, ("authorization", key)])
            .await;
        assert_eq!(got.header("access-control-allow-origin"), APP, "{path}");
        assert!(
            got.header("access-control-expose-headers")
                .contains("x-request-id")
        );
        got.is(status);
    }
    for other in [
        "https://evil.example.org",
        "http://app.example.org",
        "null",
        "https://app.example.org.evil.org",
    ] {
        let asked = world
            .call_with("OPTIONS", "/v1/messages", "", &preflight(other))
            .await;
        assert_eq!(asked.header("access-control-allow-origin"), "", "{other}");
        let got = world
            .call_with("GET", "/v1/agents", "", &[("origin", other)])
            .await;
        assert_eq!(got.header("access-control-allow-origin"), "", "{other}");
    }
}

#[tokio::test]
async fn a_star_lets_every_page_in_and_no_cookie() {
    let world = World::with(|options| options.cors_origins = vec!["*".to_owned()]).await;
    let asked = world
        .call_with("OPTIONS", "/v1/messages", "", &preflight(APP))
        .await
        .is(200);
    assert_eq!(asked.header("access-control-allow-origin"), "*");
    assert_eq!(asked.header("access-control-allow-credentials"), "");
}
