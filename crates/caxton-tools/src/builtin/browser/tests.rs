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
