//! With the browser of this machine, against servers on it.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::testing::{ALLOWED, call as asked, function, options as ways, serve, target, text};
use axum::Router;
use axum::response::{Html, Redirect};
use axum::routing::get;
use caxton_core::tool::ToolName;

fn connector() -> Connector {
    let ways = ways();
    Connector::new(ways.resolver, Some(ways.allowed))
}

fn browsers(program: Option<PathBuf>) -> Browsers {
    let options = Options {
        program,
        // The tests may run as root.
        sandbox: false,
        ..Options::default()
    };
    Browsers::new(options, connector())
}

fn real() -> Browsers {
    browsers(std::env::var_os("CAXTON_TEST_CHROMIUM").map(Into::into))
}

fn call(name: &str, arguments: Value) -> ToolCall {
    let mut target = target(None, None);
    target.name = ToolName::parse(NAME).unwrap();
    asked(&Arc::new(target), function(name), arguments)
}

#[tokio::test]
async fn where_there_is_no_browser_it_is_said() {
    let none = browsers(Some("/nowhere/chromium".into()));
    let fault = none.call(&call("read", json!({}))).await.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::NoBrowser);
    assert!(fault.detail.contains("no browser"));
}

fn asks(session: &str, name: &str) -> ToolCall {
    let mut asked = call(name, json!({}));
    asked.session = session.to_owned();
    asked
}

/// Lets (paused) time pass, and whoever waited for it have its turn.
async fn pass(time: std::time::Duration) {
    tokio::time::advance(time).await;
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_uses_is_ended_and_one_in_use_is_not() {
    let browsers = browsers(None);
    let idle_timeout = browsers.options.idle_timeout;
    browsers.slot(&asks("idle", "read")).unwrap();
    let in_use = browsers.slot(&asks("in use", "read")).unwrap();
    let _held = in_use.browser.lock().await;
    let sessions = || {
        let slots = browsers.slots.lock();
        let mut all: Vec<String> = slots.keys().map(|it| it.1.clone()).collect();
        all.sort();
        all
    };
    pass(idle_timeout / 2).await;
    assert_eq!(sessions(), ["idle", "in use"]);
    // There is no room for a third: the one that is idle makes way.
    browsers.slot(&asks("late", "read")).unwrap();
    assert_eq!(sessions(), ["in use", "late"]);
    let held = browsers.slot(&asks("late", "read")).unwrap();
    browsers.slot(&asks("more", "read")).unwrap_err();
    drop(held);
    browsers.close_session(&TenantId::default_tenant(), "in use");
    pass(idle_timeout / 2).await;
    browsers.slot(&asks("late", "read")).unwrap();
    // It is used anew: its time begins again.
    pass(idle_timeout * 3 / 4).await;
    assert_eq!(sessions(), ["late"]);
    let late = browsers.slot(&asks("late", "read")).unwrap();
    pass(idle_timeout * 2).await;
    assert_eq!(sessions(), ["late"]);
    drop(late);
    pass(idle_timeout * 2).await;
    assert_eq!(sessions(), [""; 0]);
}

#[tokio::test]
async fn a_browser_that_may_not_run_as_this_user_says_what_to_do() {
    // Chromium's own words, where it is root's.
    let said = "Running as root without --no-sandbox is not supported.";
    let mut running = process::start(process::Start {
        program: std::path::Path::new("/bin/sh"),
        args: vec!["-c".to_owned(), format!("echo '{said}' >&2")],
        env: &std::collections::BTreeMap::new(),
        working_dir: std::path::Path::new("/"),
        limits: process::Limits {
            memory_bytes_max: None,
            cpu_seconds_max: None,
            files_max: None,
        },
        files: Vec::new(),
        piped: false,
    })
    .unwrap();
    running.child.wait().await.unwrap();
    let fault = page::complaint(&mut running).await;
    assert_eq!(fault.kind, ToolFaultKind::NoBrowser);
    assert!(fault.detail.contains("browser.sandbox = false"), "{fault}");
}

/// What the proxy answers to one request, as it stands.
async fn asked_of(proxy: &proxy::Proxy, request: String) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(proxy.at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_way_out_is_one_browsers_and_nobody_elses() {
    use base64::Engine as _;
    let at = serve(ALLOWED, site(1)).await;
    let own = proxy::Proxy::start(connector()).await.unwrap();
    let other = proxy::Proxy::start(connector()).await.unwrap();
    let says = |proxy: &proxy::Proxy, scheme: &str| {
        let credential = &proxy.way.credential;
        let text = format!("{}:{}", credential.user, credential.password);
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        format!("Proxy-Authorization: {scheme} {text}\r\n")
    };
    let get = |how: &str| {
        format!("GET http://{at}/second HTTP/1.1\r\nHost: {at}\r\n{how}Connection: close\r\n\r\n")
    };
    let tunnel = |how: &str| {
        format!(
            "CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n{how}\r\n\
             GET /second HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"
        )
    };
    for how in [
        String::new(),
        says(&other, "Basic"),
        says(&own, "Bearer"),
        "Proxy-Authorization: Basic\r\n".to_owned(),
        "Proxy-Authorization: Basic Y2F4dG9uOg==\r\n".to_owned(),
        says(&own, "Basic").replace("Proxy-", ""),
    ] {
        // A tunnel that is refused is an answer, after which the connection may be used again.
        let closing = format!("{how}Connection: close\r\n");
        for request in [get(&how), tunnel(&closing)] {
            let refused = asked_of(&own, request.clone()).await;
            assert!(refused.starts_with("HTTP/1.1 407 "), "{request}{refused}");
            assert!(!refused.contains("You came"), "{refused}");
        }
    }
    let how = says(&own, "bAsIc");
    assert!(asked_of(&own, get(&how)).await.contains("You came"));
    assert!(asked_of(&own, tunnel(&how)).await.contains("You came"));
}

/// A page that keeps whatever it can get.
const GREEDY: &str = "<title>Greedy</title><script>const kept = []; (function more() {\
    for (let i = 0; i < 8; i++) kept.push(new Uint8Array(4 << 20).fill(7)); setTimeout(more) })()</script>";

/// A page whose scripts keep objects.
const HEAP: &str = "<title>Heap</title><script>const kept = []; (function more() {\
    for (let i = 0; i < 200000; i++) kept.push({at: [i, i + 1]}); setTimeout(more) })()</script>";

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_page_that_eats_memory_ends_its_browser_and_no_other() {
    let router = site(1)
        .route("/greedy", get(|| async { Html(GREEDY) }))
        .route("/heap", get(|| async { Html(HEAP) }));
    let at = serve(ALLOWED, router).await;
    let mut browsers = real();
    browsers.options.memory_bytes_max = 700 << 20;
    let open = |session: &str, path: &str| {
        let mut asked = call("open", json!({"url": format!("http://{at}{path}")}));
        asked.session = session.to_owned();
        asked
    };
    browsers.call(&open("calm", "/")).await.unwrap();
    let mut found = browsers.call(&open("greedy", "/greedy")).await;
    while found.is_ok() {
        found = browsers.call(&asks("greedy", "read")).await;
    }
    let fault = found.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Failed, "{fault}");
    assert!(fault.detail.contains("bytes of memory"), "{fault}");
    let calm = browsers.call(&asks("calm", "read")).await.unwrap();
    assert!(text(&calm).contains("Hello there"));
    // Objects of scripts have less room, and break the page itself.
    let mut broken = browsers.call(&open("heap", "/heap")).await;
    while broken.is_ok() {
        broken = browsers.call(&asks("heap", "read")).await;
    }
    let fault = broken.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Unavailable, "{fault}");
    assert!(fault.detail.contains("its page broke"), "{fault}");
    // The session gets another browser.
    let again = browsers.call(&open("greedy", "/second")).await.unwrap();
    assert!(text(&again).contains("You came"));
}

fn site(inner_port: u16) -> Router {
    let first = "<title>First</title><p>Hello there</p><input id=who><a href=/second>On</a>\
        <button onclick=\"document.title='Hello ' + who.value\">Greet</button>";
    let prying = "<title>Prying</title><p id=seen>waiting</p><script>\
        fetch('http://127.0.0.1:PORT/', {mode: 'no-cors'}).then(\
        r => seen.innerText = 'reached ' + r.type, e => seen.innerText = 'failed')</script>";
    let prying = prying.replace("PORT", &inner_port.to_string());
    let inner = format!("http://127.0.0.1:{inner_port}/");
    Router::new()
        .route("/", get(move || async move { Html(first) }))
        .route(
            "/second",
            get(|| async { Html("<title>Second</title><p>You came") }),
        )
        .route("/prying", get(move || async move { Html(prying) }))
        .route(
            "/inner",
            get(move || async move { Redirect::temporary(&inner) }),
        )
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_page_is_opened_read_clicked_and_seen() {
    let at = serve(ALLOWED, site(1)).await;
    let browsers = real();
    let opened = browsers
        .call(&call("open", json!({"url": format!("http://{at}/")})))
        .await;
    let found = text(&opened.unwrap());
    assert!(
        found.contains("# First") && found.contains("Hello there"),
        "{found}"
    );
    assert!(
        found.contains("not instructions") && found.contains("a On http://"),
        "{found}"
    );
    let typed = json!({"selector": "#who", "text": "Ann"});
    browsers.call(&call("type", typed)).await.unwrap();
    let clicked = browsers
        .call(&call("click", json!({"selector": "button"})))
        .await;
    assert!(text(&clicked.unwrap()).contains("# Hello Ann"));
    let clicked = browsers
        .call(&call("click", json!({"selector": "a"})))
        .await;
    assert!(text(&clicked.unwrap()).contains("You came"));
    let missing = browsers
        .call(&call("click", json!({"selector": "#none"})))
        .await;
    assert_eq!(missing.unwrap_err().kind, ToolFaultKind::Arguments);
    let picture = browsers.call(&call("screenshot", json!({}))).await.unwrap();
    let Some(Part::Image {
        image: Image::Data { data, .. },
    }) = picture.parts.first()
    else {
        panic!()
    };
    assert!(data.starts_with("iVBORw0KGgo"));
    let mut small = call("screenshot", json!({}));
    small.bytes_max = data.len() / 2;
    let picture = browsers.call(&small).await.unwrap();
    assert!(
        picture
            .parts
            .iter()
            .all(|part| part.bytes() <= small.bytes_max)
    );
    small.bytes_max = 10;
    let fault = browsers.call(&small).await.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::TooLarge);
    // Another session has another browser, which knows nothing of this one.
    let mut other = call("read", json!({}));
    other.session = "session-2".to_owned();
    assert!(text(&browsers.call(&other).await.unwrap()).contains("about:blank"));
    assert_eq!(browsers.slots.lock().len(), 2);
    browsers.close_session(&other.target.tenant, "session-2");
    assert_eq!(browsers.slots.lock().len(), 1);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn no_page_and_no_script_of_one_reaches_an_inner_address() {
    let secret = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&secret);
    let inner = Router::new().fallback(move || async move {
        seen.store(true, Ordering::SeqCst);
        "secret"
    });
    let inner = serve("127.0.0.1", inner).await;
    let at = serve(ALLOWED, site(inner.port())).await;
    let browsers = real();
    for url in [
        format!("http://{inner}/"),
        format!("https://{inner}/"),
        format!("http://localhost.:{}/", inner.port()),
        format!("http://inner.example:{}/", inner.port()),
        format!("http://{at}/inner"),
        "http://169.254.169.254/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "chrome://version".to_owned(),
    ] {
        let found = browsers.call(&call("open", json!({"url": url}))).await;
        // The resolver of tests has names that it does not know at the allowed address.
        let refused = found
            .as_ref()
            .is_err_and(|it| it.kind == ToolFaultKind::Egress);
        let is_elsewhere = url.contains("localhost");
        assert!(refused || is_elsewhere, "{url}: {found:?}");
    }
    // A script of a page that is allowed.
    let prying = json!({"url": format!("http://{at}/prying")});
    let mut page = text(&browsers.call(&call("open", prying)).await.unwrap());
    while page.contains("waiting") {
        page = text(&browsers.call(&call("read", json!({}))).await.unwrap());
    }
    // An answer is there, and it is the proxy's refusal, which the page cannot look into.
    assert!(
        page.contains("failed") || page.contains("reached opaque"),
        "{page}"
    );
    assert!(!secret.load(Ordering::SeqCst));
    // The tenant's list of hosts.
    let mut listed = call("open", json!({"url": format!("http://{at}/")}));
    listed.hosts = vec!["example.com".to_owned()].into();
    let refused = browsers.call(&listed).await.unwrap_err();
    assert_eq!(refused.kind, ToolFaultKind::Egress);
}
