//! Real handshakes over loopback, with certificates made here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
use super::*;
use crate::peer::PeerIdentity;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use std::io;
use std::path::Path;
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, client};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    Authority { pem, issuer }
}

impl Authority {
    /// A certificate that is good from `from` to `to`, in days from now.
    fn gives(&self, change: impl FnOnce(&mut CertificateParams), from: i64, to: i64) -> dev::Pair {
        let day = |days: i64| {
            let seconds = Duration::from_secs(days.unsigned_abs() * 86_400);
            let now = SystemTime::now();
            if days < 0 {
                now - seconds
            } else {
                now + seconds
            }
        };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.not_before = day(from).into();
        params.not_after = day(to).into();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();
        dev::Pair { cert, key }
    }

    fn server(&self) -> dev::Pair {
        let localhost = |params: &mut CertificateParams| {
            params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
        };
        self.gives(localhost, -1, 1)
    }

    fn client(&self, from: i64, to: i64) -> dev::Pair {
        let named = |params: &mut CertificateParams| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params
                .distinguished_name
                .push(DnType::CommonName, "not believed");
            params.subject_alt_names = vec![
                SanType::DnsName("worker.example.org".try_into().unwrap()),
                SanType::Rfc822Name("ops@example.org".try_into().unwrap()),
                SanType::URI("spiffe://example.org/worker".try_into().unwrap()),
            ];
        };
        self.gives(named, from, to)
    }
}

/// A folder with a server's files.
struct Files {
    dir: tempfile::TempDir,
    ca: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            dir: tempfile::tempdir().unwrap(),
            ca: authority("servers"),
        };
        files.put(&files.ca.server());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn put(&self, pair: &dev::Pair) {
        self.write("cert.pem", &pair.cert);
        self.write("key.pem", &pair.key);
    }

    fn options(&self) -> Options {
        Options {
            cert: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_ca: None,
            client_auth: ClientAuth::Optional,
            oldest: Version::Tls13,
            reload_interval: Duration::from_millis(1),
        }
    }

    fn tls(&self) -> Tls {
        Tls::load(self.options()).unwrap()
    }

    /// TLS that verifies clients against `issuers`.
    fn mutual(&self, issuers: &Authority, client_auth: ClientAuth) -> Tls {
        self.write("clients.pem", &issuers.pem);
        let client_ca = Some(self.path("clients.pem"));
        let options = self.options();
        Tls::load(Options {
            client_ca,
            client_auth,
            ..options
        })
        .unwrap()
    }
}

/// A client that believes `ca` and may show a certificate.
fn client(
    ca: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<&dev::Pair>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::pem_slice_iter(pair.cert.as_bytes());
            let chain = chain.collect::<Result<_, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

type Shaken = io::Result<Option<Arc<PeerIdentity>>>;

/// One handshake: what the server has of it, and what the client reads after it.
async fn shake(tls: &Tls, config: ClientConfig) -> (Shaken, io::Result<(Vec<u8>, Seen)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut stream, identity) = handshake::shake(tls, stream).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await?;
        Ok(identity)
    };
    let client = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await?;
        let seen = Seen::of(&stream);
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await?;
        Ok((said, seen))
    };
    tokio::join!(server, client)
}

/// What a client sees of the server.
#[derive(Debug, PartialEq)]
struct Seen {
    version: rustls::ProtocolVersion,
    alpn: Option<Vec<u8>>,
    leaf: Vec<u8>,
}

impl Seen {
    fn of(stream: &client::TlsStream<TcpStream>) -> Self {
        let (_, session) = stream.get_ref();
        Self {
            version: session.protocol_version().unwrap(),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            leaf: session.peer_certificates().unwrap()[0].to_vec(),
        }
    }
}

const ALL: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

#[tokio::test]
async fn tls_1_3_stands_and_both_protocols_are_offered() {
    let files = Files::new();
    let tls = files.tls();
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let mut config = client(&files.ca, &ALL, None);
        config.alpn_protocols = vec![protocol.to_vec()];
        let (server, client) = shake(&tls, config).await;
        assert_eq!(server.unwrap(), None);
        let (said, seen) = client.unwrap();
        assert_eq!(said, b"hello");
        assert_eq!(seen.version, rustls::ProtocolVersion::TLSv1_3);
        assert_eq!(seen.alpn.as_deref(), Some(protocol));
    }
}

#[tokio::test]
async fn tls_1_2_is_spoken_only_where_it_is_allowed() {
    let files = Files::new();
    let old = || client(&files.ca, &[&version::TLS12], None);
    let (server, refused) = shake(&files.tls(), old()).await;
    assert!(server.is_err() && refused.is_err());
    let allowing = Tls::load(Options {
        oldest: Version::Tls12,
        ..files.options()
    });
    let (server, seen) = shake(&allowing.unwrap(), old()).await;
    server.unwrap();
    assert_eq!(seen.unwrap().1.version, rustls::ProtocolVersion::TLSv1_2);
}

#[tokio::test]
async fn a_verified_client_is_known_by_its_names() {
    let files = Files::new();
    let clients = authority("clients");
    let pair = clients.client(-1, 1);
    for auth in [ClientAuth::Optional, ClientAuth::Required] {
        let tls = files.mutual(&clients, auth);
        let (server, said) = shake(&tls, client(&files.ca, &ALL, Some(&pair))).await;
        let identity = server.unwrap().unwrap();
        assert_eq!(said.unwrap().0, b"hello");
        assert_eq!(identity.uris, ["spiffe://example.org/worker"]);
        assert_eq!(identity.dns, ["worker.example.org"]);
        assert_eq!(identity.emails, ["ops@example.org"]);
        assert_eq!(identity.common_name, None);
        assert_eq!(identity.name(), Some("spiffe://example.org/worker"));
        let der = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
        assert_eq!(PeerIdentity::read(&der).as_ref(), Some(&*identity));
        assert_eq!(identity.fingerprint.len(), 64);
        let left = identity.expires.since(now());
        assert!(left > Duration::from_secs(86_000) && left < Duration::from_secs(86_401));
    }
    // Without any alternative name the subject's common name is all there is.
    let plain = clients.gives(
        |params| params.distinguished_name.push(DnType::CommonName, "batch"),
        -1,
        1,
    );
    let tls = files.mutual(&clients, ClientAuth::Required);
    let (server, _) = shake(&tls, client(&files.ca, &ALL, Some(&plain))).await;
    assert_eq!(server.unwrap().unwrap().name(), Some("CN=batch"));
}

#[tokio::test]
async fn a_client_that_cannot_be_verified_gets_no_connection() {
    let files = Files::new();
    let clients = authority("clients");
    let usage = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    let bad = [
        ("expired", clients.client(-10, -1)),
        ("not good yet", clients.client(1, 10)),
        ("of a stranger", authority("clients").client(-1, 1)),
        ("of a server", clients.gives(usage, -1, 1)),
    ];
    for auth in [ClientAuth::Optional, ClientAuth::Required] {
        let tls = files.mutual(&clients, auth);
        for (what, pair) in &bad {
            let (server, client) = shake(&tls, client(&files.ca, &ALL, Some(pair))).await;
            assert!(server.is_err(), "{what}: {server:?}");
            assert!(client.is_err(), "{what}: {client:?}");
        }
    }
    let none = || client(&files.ca, &ALL, None);
    let optional = files.mutual(&clients, ClientAuth::Optional);
    assert_eq!(shake(&optional, none()).await.0.unwrap(), None);
    let required = files.mutual(&clients, ClientAuth::Required);
    let (server, client) = shake(&required, none()).await;
    assert!(server.is_err() && client.is_err());
}

#[tokio::test]
async fn plain_http_is_told_that_the_port_speaks_tls() {
    let files = Files::new();
    let tls = files.tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ask = async |bytes: &[u8]| {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(handshake::shake(&tls, stream).await.is_err());
        let mut said = String::new();
        let read = client.read_to_string(&mut said).await;
        read.map(|_| said)
    };
    let told = ask(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{told}");
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    assert!(body.contains("https://"));
    // What is neither gets nothing.
    assert_eq!(ask(b"\0\0\0").await.unwrap_or_default(), "");
}

#[tokio::test]
async fn files_are_read_again_when_they_change_and_bad_ones_change_nothing() {
    let files = Files::new();
    let tls = files.tls();
    let gauge = IntGauge::new("expires", "x").unwrap();
    tls.count_into(gauge.clone());
    let leaf = async || {
        let (_, seen) = shake(&tls, client(&files.ca, &ALL, None)).await;
        seen.unwrap().1.leaf
    };
    let first = leaf().await;
    tls.look();
    assert_eq!(leaf().await, first);

    // The certificate comes before its key, as files do.
    let second = files.ca.gives(
        |params| params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())],
        -1,
        5,
    );
    let before = gauge.get();
    files.write("cert.pem", &second.cert);
    tls.look();
    assert_eq!(
        leaf().await,
        first,
        "a certificate without its key is not used"
    );
    files.write("key.pem", &second.key);
    tls.look();
    let now = leaf().await;
    assert_ne!(now, first);
    assert!(gauge.get() > before);

    let expired = files.ca.gives(|_| {}, -5, -1);
    for (cert, key) in [
        (expired.cert.as_str(), expired.key.as_str()),
        ("no PEM", &second.key),
        (&second.cert, "no PEM"),
        ("", ""),
    ] {
        files.write("cert.pem", cert);
        files.write("key.pem", key);
        tls.look();
        assert_eq!(leaf().await, now);
        assert!(tls.reload().is_err());
        assert!(!tls.has_expired());
    }
    std::fs::remove_file(files.path("cert.pem")).unwrap();
    tls.look();
    assert_eq!(leaf().await, now);
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_is_used_and_told() {
    let files = Files::new();
    files.put(&files.ca.gives(|_| {}, -5, -1));
    assert!(files.tls().has_expired());
    files.put(&files.ca.server());
    assert!(!files.tls().has_expired());
}

#[tokio::test]
async fn changed_files_are_found_without_being_told() {
    let files = Files::new();
    let tls = files.tls();
    let leaf = async || {
        let (_, seen) = shake(&tls, client(&files.ca, &ALL, None)).await;
        seen.unwrap().1.leaf
    };
    let first = leaf().await;
    let changed = async {
        files.put(&files.ca.server());
        while leaf().await == first {}
    };
    let found = async {
        tokio::select! {
            () = changed => {}
            () = tls.keep_fresh() => unreachable!("it looks for ever"),
        }
    };
    // It guards the test against hanging, and measures nothing.
    tokio::time::timeout(Duration::from_secs(30), found)
        .await
        .unwrap();
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let files = Files::new();
    let other = files.ca.server();
    let check = |name: &str, text: &str, expected: &str| {
        let path = files.path(name);
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let error = Tls::load(files.options()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
        assert!(!error.contains("PRIVATE"), "{error}");
        std::fs::write(&path, good).unwrap();
    };
    check("cert.pem", "", "no certificate");
    check("key.pem", "", "no private key");
    check("key.pem", &other.key, "cannot be used together");
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check("cert.pem", damaged, "no usable certificate");
    let missing = Options {
        cert: files.path("none.pem"),
        ..files.options()
    };
    assert!(matches!(Tls::load(missing), Err(Error::Read { .. })));
    let no_ca = Options {
        client_ca: Some(files.path("key.pem")),
        ..files.options()
    };
    assert!(matches!(Tls::load(no_ca), Err(Error::Nothing { .. })));
}

#[tokio::test]
async fn the_development_authority_vouches_for_this_machine_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let made = dev::authority("builder-7", now).unwrap();
    let root = Authority {
        pem: made.cert.clone(),
        issuer: Issuer::from_ca_cert_pem(&made.cert, KeyPair::from_pem(&made.key).unwrap())
            .unwrap(),
    };
    let serve = |pair: &dev::Pair| {
        let path = |name: &str| -> PathBuf { Path::new(dir.path()).join(name) };
        std::fs::write(path("cert.pem"), &pair.cert).unwrap();
        std::fs::write(path("key.pem"), &pair.key).unwrap();
        Tls::load(Options {
            cert: path("cert.pem"),
            key: path("key.pem"),
            client_ca: None,
            client_auth: ClientAuth::Optional,
            oldest: Version::Tls13,
            reload_interval: RELOAD_INTERVAL,
        })
        .unwrap()
    };
    for listen in ["127.0.0.1", "0.0.0.0", "192.168.1.9", "8.8.8.8"] {
        let pair = dev::certificate(&made, "builder-7", listen.parse().unwrap(), now).unwrap();
        let (_, seen) = shake(&serve(&pair), client(&root, &ALL, None)).await;
        assert!(seen.is_ok(), "{listen}: {seen:?}");
    }
    // Its key in strange hands makes no certificate for another name that a client takes.
    let forged = root.gives(
        |params| {
            params.subject_alt_names = ["localhost", "bank.example.org"]
                .map(|name| SanType::DnsName(name.try_into().unwrap()))
                .into();
        },
        -1,
        1,
    );
    let (_, seen) = shake(&serve(&forged), client(&root, &ALL, None)).await;
    assert!(seen.is_err(), "{seen:?}");
}
