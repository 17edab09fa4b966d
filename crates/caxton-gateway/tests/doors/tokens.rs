//! Tokens of a configured issuer, at both doors: what they say is what they allow.

use std::sync::Arc;

use caxton_core::Code;
use caxton_engine::port::{Clock, SystemClock};
use caxton_gateway::jwt::{HttpFetch, Issuer, JwtAuthenticator, KeySource, TenantOf};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{World, agent};

const ISSUER: &str = "https://login.example.org";

struct Provider {
    key: EncodingKey,
    dir: tempfile::TempDir,
}

impl Provider {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        let set = json!({"keys": [jwk]}).to_string();
        std::fs::write(dir.path().join("jwks.json"), set).unwrap();
        Self { key, dir }
    }

    fn authenticator(&self) -> JwtAuthenticator {
        let issuer = Issuer {
            issuer: ISSUER.to_owned(),
            audience: "caxton".to_owned(),
            keys: KeySource::File(self.dir.path().join("jwks.json")),
            algorithms: vec![Algorithm::ES256],
            tenant: TenantOf::Claim("org".to_owned()),
            role_claim: "roles".to_owned(),
            roles: [
                ("ops", "operator"),
                ("devs", "developer"),
                ("staff", "viewer"),
                ("boss", "admin"),
            ]
            .map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned()))
            .into(),
        };
        let fetch = Arc::new(HttpFetch::new(None).unwrap());
        JwtAuthenticator::new(vec![issuer], fetch, Arc::new(SystemClock)).unwrap()
    }

    /// A token that is good for `seconds` from now; `roles` are words.
    fn token(&self, org: &str, roles: &str, seconds: i64) -> String {
        let now = SystemClock.now().as_us() / 1_000_000;
        let roles: Vec<&str> = roles.split(' ').collect();
        let claims = json!({
            "iss": ISSUER, "aud": "caxton", "sub": "jo", "exp": now + seconds,
            "org": org, "roles": roles,
        });
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.key).unwrap()
    }
}

async fn call(world: &World, token: &str, method: &str, path: &str, body: &Value) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let answer = world.call_with(method, path, &body, &headers).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn a_token_allows_what_its_role_does_in_its_tenant_alone() {
    let provider = Provider::new();
    let jwt = provider.authenticator();
    let world = World::dressed(|gateway| gateway.with_jwt(jwt)).await;
    let none = Value::Null;
    let viewer = provider.token("default", "staff", 600);
    assert_eq!(call(&world, &viewer, "GET", "/v1/agents", &none).await, 200);
    let deploy = agent("a", "echo", "");
    assert_eq!(
        call(&world, &viewer, "POST", "/v1/agents", &deploy).await,
        403
    );
    // Roles nobody mapped, and none, allow nothing.
    let nobody = provider.token("default", "guest", 600);
    let refused = call(&world, &nobody, "GET", "/v1/agents", &none).await;
    assert!(refused == 403 || refused == 404, "{refused}");
    // Another tenant, there or not, is none.
    let elsewhere = provider.token("nowhere", "ops", 600);
    assert_eq!(
        call(&world, &elsewhere, "GET", "/v1/agents", &none).await,
        404
    );
    let bearer = format!("Bearer {viewer}");
    let crossed = [
        ("authorization", bearer.as_str()),
        ("caxton-tenant", "nowhere"),
    ];
    let answer = world.call_with("GET", "/v1/agents", "", &crossed).await;
    answer.problem(404, Code::TenantNotFound);

    let late = provider.token("default", "staff", -61);
    let forged = Provider::new().token("default", "ops", 600);
    for bad in [late, forged, format!("{viewer}x"), "a.b.c".to_owned()] {
        assert_eq!(
            call(&world, &bad, "GET", "/v1/agents", &none).await,
            401,
            "{bad}"
        );
    }
    // On gRPC the same.
    let mut client = world.grpc().await;
    let mut request = tonic::Request::new(caxton_api::v1::ListAgentsRequest::default());
    let value = bearer.parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    assert!(client.list_agents(request).await.is_ok());
}

#[tokio::test]
async fn several_roles_allow_what_any_of_them_does() {
    let provider = Provider::new();
    let jwt = provider.authenticator();
    let world = World::dressed(|gateway| gateway.with_jwt(jwt)).await;
    for (roles, deploys, reads_requests) in [
        ("devs", 201, 403),
        ("ops", 403, 200),
        ("devs guest ops", 201, 200),
    ] {
        let token = provider.token("default", roles, 600);
        let deploy = agent(&roles.replace(' ', "-"), "echo", "");
        let deployed = call(&world, &token, "POST", "/v1/agents", &deploy).await;
        let read = call(&world, &token, "GET", "/v1/requests", &Value::Null).await;
        assert_eq!((deployed, read), (deploys, reads_requests), "{roles}");
    }
}

#[tokio::test]
async fn a_secret_is_not_kept_for_who_comes_with_a_token() {
    let provider = Provider::new();
    let jwt = provider.authenticator();
    let world = World::dressed(|gateway| gateway.with_jwt(jwt)).await;
    let body = json!({"name": "n", "role": "viewer"}).to_string();
    let create = async || {
        // Another token each time, as after a refresh: the user is the same.
        let bearer = format!("Bearer {}", provider.token("default", "boss", 600));
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
        world.call_with("POST", "/v1/keys", &body, &headers).await
    };
    create().await.is(201);
    let lost = create().await.problem(409, Code::IdempotencyLost);
    assert!(
        lost["detail"].as_str().unwrap().contains("rotate"),
        "{lost}"
    );
    let listed = world.get("/v1/keys").await.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1, "made once");
}
