//! TLS on the one port: the client of the command line, HTTP/2 and gRPC over it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use caxton_api::client::{Anchor, Client, ClientError, Trust};
use caxton_api::v1::caxton_management_client::CaxtonManagementClient;
use caxton_api::v1::{GetServerStatusRequest, ListAgentsRequest};
use caxton_gateway::{Tls, tls};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::Endpoint;

use crate::support::{KEY, World, guard};

/// A gateway that speaks TLS, and its authority's folder.
pub struct Secured {
    world: World,
    dir: tempfile::TempDir,
}

impl Secured {
    pub async fn new() -> Self {
        Self::verifying(None).await
    }

    /// One that asks clients for certificates of this authority, in PEM.
    async fn verifying(clients: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let ca = tls::dev::authority("here", now).unwrap();
        let pair = tls::dev::certificate(&ca, "here", here, now).unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        write("ca.pem", &ca.cert);
        let options = tls::Options {
            cert: write("cert.pem", &pair.cert),
            key: write("key.pem", &pair.key),
            client_ca: clients.map(|pem| write("clients.pem", pem)),
            client_auth: tls::ClientAuth::Optional,
            oldest: tls::Version::Tls13,
            reload_interval: tls::RELOAD_INTERVAL,
        };
        let tls = Tls::load(options).unwrap();
        let world = World::dressed(|gateway| gateway.with_tls(tls)).await;
        Self { world, dir }
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    pub fn url(&self) -> String {
        self.world.base.replace("http://", "https://")
    }

    fn client(&self, anchor: Anchor) -> Client {
        let trust = Trust {
            anchor,
            identity: None,
        };
        Client::trusting(&self.url(), Some(KEY), None, &trust).unwrap()
    }
}

#[tokio::test]
async fn the_client_believes_whom_it_is_told_to() {
    let secured = Secured::new().await;
    let path = |name: &str| secured.dir.path().join(name);
    for anchor in [
        Anchor::Authorities(path("ca.pem")),
        Anchor::Exactly(path("cert.pem")),
    ] {
        let client = secured.client(anchor);
        let status = client.get_server_status(&GetServerStatusRequest {}).await;
        assert_eq!(status.unwrap().state, "ready");
    }
    let stranger = tls::dev::authority("elsewhere", SystemTime::now()).unwrap();
    std::fs::write(path("other.pem"), stranger.cert).unwrap();
    for anchor in [
        Anchor::System,
        Anchor::Authorities(path("other.pem")),
        Anchor::Exactly(path("other.pem")),
    ] {
        let client = secured.client(anchor.clone());
        let refused = client.get_server_status(&GetServerStatusRequest {}).await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, ClientError::Unreachable { .. }),
            "{anchor:?}: {refused:?}"
        );
    }
    let none = Client::trusting(
        &secured.url(),
        None,
        None,
        &Trust {
            anchor: Anchor::Authorities(path("none.pem")),
            identity: None,
        },
    );
    assert!(matches!(none, Err(ClientError::Invalid(_))));
}

#[tokio::test]
async fn grpc_is_spoken_over_tls() {
    let secured = Secured::new().await;
    let pem = std::fs::read(secured.dir.path().join("ca.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let address = secured
        .world
        .base
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let connect = tower::service_fn(move |_| {
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").unwrap();
            let stream = connector.connect(name, stream).await?;
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_shared(secured.world.base.clone()).unwrap();
    let channel = guard(endpoint.connect_with_connector(connect))
        .await
        .unwrap();
    let mut client = CaxtonManagementClient::new(channel);
    let mut request = tonic::Request::new(ListAgentsRequest::default());
    let key = KEY.parse().unwrap();
    request.metadata_mut().insert("x-api-key", key);
    let agents = guard(client.list_agents(request)).await.unwrap();
    assert!(agents.into_inner().agents.is_empty());
}

#[tokio::test]
async fn whoever_speaks_no_tls_is_counted_and_harms_nobody() {
    let secured = Secured::new().await;
    let told = secured.world.get("/livez").await.is(400).text;
    assert!(told.contains("https://"), "{told}");
    let registry = &secured.world.app.metrics().registry;
    let value = |name: &str| {
        let families = registry.gather();
        let family = families.iter().find(|it| it.name() == name).unwrap();
        let metric = &family.get_metric()[0];
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    };
    let failed = guard(async {
        loop {
            let failed = value("caxton_tls_handshakes_failed_total");
            if failed > 0.0 {
                break failed;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(failed.await, 1.0);
    let expires = value("caxton_tls_certificate_expire_time_seconds");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!(expires > now + 364.0 * 86_400.0, "{expires} {now}");
    let client = secured.client(Anchor::Exactly(secured.dir.path().join("cert.pem")));
    let status = client.get_server_status(&GetServerStatusRequest {}).await;
    status.unwrap();
}

/// A client certificate with these names, and what signed it.
fn client_certificate(uri: &str, dir: &std::path::Path) -> (String, Trust) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let (cert, key_file) = (dir.join("worker.pem"), dir.join("worker.key"));
    std::fs::write(&cert, params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let trust = Trust {
        anchor: Anchor::System,
        identity: Some((cert, key_file)),
    };
    (authority, trust)
}

#[tokio::test]
async fn a_certificate_allows_what_its_name_was_given() {
    const NAME: &str = "spiffe://example.org/worker";
    let own = tempfile::tempdir().unwrap();
    let (authority, mut trust) = client_certificate(NAME, own.path());
    let secured = Secured::verifying(Some(&authority)).await;
    trust.anchor = Anchor::Authorities(secured.dir.path().join("ca.pem"));
    let worker = Client::trusting(&secured.url(), None, None, &trust).unwrap();
    let list = ListAgentsRequest::default();
    // Verified, and nobody yet: a name without a role is let in nowhere.
    let refused = worker.list_agents(&list).await.unwrap_err();
    assert!(
        matches!(refused.status(), Some(401 | 403 | 404)),
        "{refused:?}"
    );
    let admin = secured.client(trust.anchor.clone());
    let given = serde_json::json!({"subject": format!("cert:{NAME}"), "role": "viewer"});
    let given = serde_json::from_value(given).unwrap();
    admin.create_role_assignment(&given).await.unwrap();
    worker.list_agents(&list).await.unwrap();
    // A viewer may look and do no more.
    let start = caxton_api::v1::StartAgentRequest {
        agent: "a".to_owned(),
    };
    assert_eq!(
        worker.start_agent(&start).await.unwrap_err().status(),
        Some(403)
    );
}
