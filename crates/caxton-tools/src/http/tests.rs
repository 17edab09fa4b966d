//! Against real servers on this machine, with a resolver that says what the test wants.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use super::*;
use axum::Router;
use axum::extract::Request as Asked;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get, post};
use caxton_core::TenantId;
use caxton_engine::port::secrets::Secret;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// Answers from a table; a name with several answers gives them one look-up after the other.
#[derive(Debug, Default)]
struct Names {
    known: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Names {
    fn with(known: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let addresses = |texts: &&[&str]| texts.iter().map(|it| it.parse().unwrap()).collect();
        let names = known
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), answers.iter().map(addresses).collect()));
        Arc::new(Self {
            known: Mutex::new(names.collect()),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> Answer<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut known = self.known.lock();
        let answer = match known.get_mut(host) {
            Some(answers) if answers.len() > 1 => Ok(answers.remove(0)),
            Some(answers) => Ok(answers[0].clone()),
            None => Err(io::Error::other("no such name")),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// The loopback address that tests let tenants reach; 127.0.0.1 stays refused.
const ALLOWED: &str = "127.0.0.2";

fn out(names: Arc<Names>) -> HttpOut {
    HttpOut::new(&Options {
        resolver: names,
        allowed: vec![ALLOWED.parse().unwrap()],
        ..Options::default()
    })
    .unwrap()
}

fn tenant() -> Trust {
    Trust::Tenant(TenantId::default_tenant())
}

fn request(trust: Trust, url: impl Into<String>) -> HttpRequest {
    HttpRequest {
        method: "GET",
        url: url.into(),
        headers: Vec::new(),
        body: Bytes::new(),
        trust,
        connect_timeout: Duration::from_secs(5),
        redirects_max: 3,
    }
}

async fn body(answer: HttpAnswer) -> String {
    let pieces: Vec<_> = answer.body.collect().await;
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|it| it.unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

/// A server on an address and any port.
async fn serve(address: &str, router: Router) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let bound = listener.local_addr().unwrap();
    Tasks::new().spawn("server", async move {
        axum::serve(listener, router).await.unwrap();
    });
    bound
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn the_operators_addresses_may_be_inner_and_a_tenants_may_not() {
    let at = serve("127.0.0.1", hello()).await;
    let out = out(Names::with(&[("inner.example", &[&["127.0.0.1"]])]));
    let answer = out
        .send(request(Trust::Operator, format!("http://{at}/")))
        .await
        .unwrap();
    assert_eq!((answer.status, &*body(answer).await), (200, "hello"));
    // The connection that was made for the operator is not lent.
    let port = at.port();
    for host in [
        "127.0.0.1",
        "localhost.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "0",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "%31%32%37.0.0.1",
    ] {
        let sent = out
            .send(request(tenant(), format!("http://{host}:{port}/")))
            .await;
        let fault = sent.expect_err(host);
        let refused = matches!(fault, HttpFault::Refused(_))
            // The one name among them is not in the table.
            || (host == "localhost." && matches!(fault, HttpFault::Connect(_)));
        assert!(refused, "{host}: {fault:?}");
    }
    let fault = out
        .send(request(tenant(), format!("http://inner.example:{port}/")))
        .await
        .unwrap_err();
    assert_eq!(
        fault,
        HttpFault::Refused(
            "inner.example is loopback, and such addresses are not reached from here".to_owned()
        )
    );
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_the_connection_goes_where_the_decision_was() {
    let public = serve(ALLOWED, hello()).await;
    let names = Names::with(&[
        // Rebinding: the second look-up would lead inside.
        ("rebind.example", &[&[ALLOWED], &["127.0.0.1"]]),
        // Inner ones among others are left out, not tried.
        ("mixed.example", &[&["127.0.0.1", ALLOWED]]),
    ]);
    let out = out(Arc::clone(&names));
    for host in ["rebind.example", "mixed.example"] {
        let url = format!("http://{host}:{}/", public.port());
        let answer = out.send(request(tenant(), url)).await.unwrap();
        assert_eq!(body(answer).await, "hello", "{host}");
    }
    assert_eq!(names.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn every_redirect_is_decided_upon_and_credentials_stay_at_their_origin() {
    let inner = serve("127.0.0.1", hello()).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let show = Arc::clone(&seen);
    let last = move |asked: Asked| {
        let names: Vec<String> = asked.headers().keys().map(ToString::to_string).collect();
        show.lock().push((asked.method().to_string(), names));
        async { "end" }
    };
    let target = serve(ALLOWED, Router::new().route("/end", any(last.clone()))).await;
    let other = format!("http://other.example:{}/end", target.port());
    let inside = format!("http://{inner}/");
    let entry = Router::new()
        .route(
            "/inside",
            get(move || async move { Redirect::temporary(&inside) }),
        )
        .route(
            "/other",
            post(move || async move { Redirect::temporary(&other) }),
        )
        .route("/own", post(|| async { Redirect::to("/end") }))
        .route("/loop", get(|| async { Redirect::temporary("/loop") }))
        .route(
            "/file",
            get(|| async { Redirect::temporary("file:///etc/passwd") }),
        )
        .route("/end", any(last));
    let entry = serve(ALLOWED, entry).await;
    let names: &[(&str, &[&[&str]])] = &[
        ("entry.example", &[&[ALLOWED]]),
        ("other.example", &[&[ALLOWED]]),
    ];
    let out = out(Names::with(names));
    let ask = |path: &str, method| HttpRequest {
        method,
        headers: vec![
            (
                "authorization".to_owned(),
                HeaderValue::Secret("Bearer ", Secret::new("s")),
            ),
            (
                "x-custom-key".to_owned(),
                HeaderValue::Secret("", Secret::new("s")),
            ),
            ("cookie".to_owned(), HeaderValue::Plain("a=b".to_owned())),
            ("x-plain".to_owned(), HeaderValue::Plain("p".to_owned())),
            (
                "content-type".to_owned(),
                HeaderValue::Plain("text/plain".to_owned()),
            ),
        ],
        body: Bytes::from_static(b"body"),
        ..request(
            tenant(),
            format!("http://entry.example:{}{path}", entry.port()),
        )
    };
    let fault = out.send(ask("/inside", "GET")).await.unwrap_err();
    assert!(matches!(fault, HttpFault::Refused(_)), "{fault:?}");
    assert!(matches!(
        out.send(ask("/file", "GET")).await,
        Err(HttpFault::Malformed(_))
    ));
    // After the last redirect that may be followed, one is an answer.
    assert_eq!(out.send(ask("/loop", "GET")).await.unwrap().status, 307);
    assert_eq!(
        body(out.send(ask("/other", "POST")).await.unwrap()).await,
        "end"
    );
    assert_eq!(
        body(out.send(ask("/own", "POST")).await.unwrap()).await,
        "end"
    );
    let seen = seen.lock();
    let has = |at: usize, name: &str| seen[at].1.iter().any(|it| it == name);
    assert_eq!(seen[0].0, "POST");
    for name in ["authorization", "x-custom-key", "cookie"] {
        assert!(!has(0, name) && has(1, name), "{name}: {seen:?}");
    }
    assert!(has(0, "x-plain") && has(0, "content-type"));
    // 303: a GET without what described the body.
    assert_eq!(seen[1].0, "GET");
    assert!(!has(1, "content-type"), "{seen:?}");
}

#[tokio::test]
async fn what_is_no_request_is_refused_before_anything_is_sent() {
    let out = out(Names::with(&[]));
    for url in [
        "",
        "/x",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://u:p@example.org/",
        "unix:/x",
        "http://a b/",
    ] {
        let fault = out.send(request(tenant(), url)).await.unwrap_err();
        assert!(matches!(fault, HttpFault::Malformed(_)), "{url}: {fault:?}");
    }
    let long = format!("http://example.org/{}", "x".repeat(URL_BYTES_MAX));
    assert!(matches!(
        out.send(request(tenant(), long)).await,
        Err(HttpFault::Malformed(_))
    ));
    for (name, value) in [
        ("host", "x"),
        ("transfer-encoding", "chunked"),
        ("content-length", "0"),
        ("a b", "x"),
        ("x", "a\r\nb: c"),
    ] {
        let mut request = request(tenant(), "http://example.org/");
        request.headers = vec![(name.to_owned(), HeaderValue::Plain(value.to_owned()))];
        let fault = out.send(request).await.unwrap_err();
        assert!(
            matches!(fault, HttpFault::Malformed(_)),
            "{name}: {fault:?}"
        );
    }
    let mut secret = request(tenant(), "http://example.org/");
    secret.headers = vec![(
        "x".to_owned(),
        HeaderValue::Secret("", Secret::new("hidden\n")),
    )];
    let fault = out.send(secret).await.unwrap_err();
    assert!(!fault.to_string().contains("hidden"), "{fault}");
}

#[tokio::test]
async fn connections_are_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let tasks = Tasks::new();
    tasks.clone().spawn("server", async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let service = hyper_util::service::TowerToHyperService::new(hello());
            tasks.spawn("connection", async move {
                let served = hyper::server::conn::http1::Builder::new();
                let _ = served.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let out = out(Names::with(&[]));
    for _ in 0..5 {
        let answer = out
            .send(request(Trust::Operator, format!("http://{at}/")))
            .await
            .unwrap();
        assert_eq!(body(answer).await, "hello");
    }
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_cannot_be_reached_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let out = out(Names::with(&[("empty.example", &[&[]])]));
    let fault = out
        .send(request(Trust::Operator, format!("http://{at}/")))
        .await
        .unwrap_err();
    assert!(
        matches!(&fault, HttpFault::Connect(why) if why.contains("refused")),
        "{fault:?}"
    );
    for host in ["unknown.example", "empty.example"] {
        let fault = out
            .send(request(Trust::Operator, format!("http://{host}/")))
            .await
            .unwrap_err();
        assert!(
            matches!(&fault, HttpFault::Connect(why) if why.starts_with(host)),
            "{fault:?}"
        );
    }
}

/// A server that takes connections and never answers, TLS neither.
#[tokio::test]
async fn connecting_ends_in_time_and_waiting_for_an_answer_does_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let out = out(Names::with(&[]));
    let shaking = out.send(HttpRequest {
        connect_timeout: Duration::from_millis(20),
        ..request(Trust::Operator, format!("https://{at}/"))
    });
    assert_eq!(shaking.await.unwrap_err(), HttpFault::ConnectTimeout);
    // Connected, which ends the time for it: how long an answer may take is for others to say.
    let mut waiting = out.send(request(Trust::Operator, format!("http://{at}/")));
    let mut head = [0; 4];
    let asked = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The one before shook hands for TLS.
            if stream.read_exact(&mut head).await.is_ok() && head == *b"GET " {
                return stream;
            }
        }
    };
    let _held = tokio::select! {
        answer = &mut waiting => panic!("{answer:?}"),
        stream = asked => stream,
    };
    tokio::time::pause();
    let waited = tokio::time::timeout(Duration::from_secs(3_600), waiting).await;
    assert!(waited.is_err());
}

#[tokio::test]
async fn a_host_gets_so_many_requests_at_a_time_from_each() {
    let router = Router::new().route(
        "/",
        get(|| async {
            let pieces = futures::stream::iter([Ok::<_, io::Error>("first")]);
            axum::body::Body::from_stream(pieces.chain(futures::stream::pending())).into_response()
        }),
    );
    let at = serve(ALLOWED, router).await;
    let out = HttpOut::new(&Options {
        resolver: Names::with(&[]),
        allowed: vec![ALLOWED.parse().unwrap()],
        requests_per_host_max: 2,
        ..Options::default()
    })
    .unwrap();
    let url = format!("http://{at}/");
    let first = out.send(request(tenant(), &*url)).await.unwrap();
    let _second = out.send(request(tenant(), &*url)).await.unwrap();
    let third = HttpRequest {
        connect_timeout: Duration::from_millis(20),
        ..request(tenant(), &*url)
    };
    let fault = out.send(third).await.unwrap_err();
    assert!(
        matches!(&fault, HttpFault::Connect(why) if why.starts_with("too many")),
        "{fault:?}"
    );
    // Another tenant has places of its own.
    let other = Trust::Tenant(TenantId::parse("other").unwrap());
    assert_eq!(out.send(request(other, &*url)).await.unwrap().status, 200);
    drop(first);
    assert_eq!(
        out.send(request(tenant(), &*url)).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn tls_is_verified_and_speaks_both_protocols() {
    let authority = rcgen::generate_simple_self_signed(vec!["tls.example".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, authority.cert.pem()).unwrap();
    let key = authority.signing_key.serialize_der();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    for protocol in [&b"h2"[..], &b"http/1.1"[..]] {
        let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let mut config = config
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![authority.cert.der().clone()],
                key.clone().try_into().unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route(
            "/",
            get(|asked: Asked| async move { format!("{:?}", asked.version()) }),
        );
        let tasks = Tasks::new();
        tasks.clone().spawn("server", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                tasks.spawn("connection", async move {
                    let builder =
                        hyper_util::server::conn::auto::Builder::new(OnTasks(Tasks::new()));
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let names = || {
            Names::with(&[
                ("tls.example", &[&["127.0.0.1"]]),
                ("else.example", &[&["127.0.0.1"]]),
            ])
        };
        let trusting = HttpOut::new(&Options {
            resolver: names(),
            ca_file: Some(ca_file.clone()),
            ..Options::default()
        })
        .unwrap();
        let url = format!("https://tls.example:{port}/");
        let answer = trusting
            .send(request(Trust::Operator, &*url))
            .await
            .unwrap();
        let expected = if protocol == b"h2" {
            "HTTP/2.0"
        } else {
            "HTTP/1.1"
        };
        assert_eq!(body(answer).await, expected);
        // Another name, and an authority that nobody knows.
        let wrong = trusting
            .send(request(
                Trust::Operator,
                format!("https://else.example:{port}/"),
            ))
            .await;
        assert!(matches!(wrong, Err(HttpFault::Connect(_))), "{wrong:?}");
        let wrong = out(names()).send(request(Trust::Operator, url)).await;
        assert!(matches!(wrong, Err(HttpFault::Connect(_))), "{wrong:?}");
    }
}

#[test]
fn authorities_that_cannot_be_read_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let with = |path: PathBuf| {
        HttpOut::new(&Options {
            ca_file: Some(path),
            ..Options::default()
        })
    };
    assert!(matches!(with(path.clone()), Err(Error::Authorities { .. })));
    std::fs::write(&path, "nothing").unwrap();
    assert!(matches!(with(path), Err(Error::NoAuthorities(_))));
}
