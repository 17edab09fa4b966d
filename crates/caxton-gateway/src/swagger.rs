//! Swagger UI at `/docs/`, from files in the binary: it works without a network and asks nobody else.

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

/// What the page may do: its own scripts, styles and answers, nothing of anybody else's. React sets
/// styles on elements, which `unsafe-inline` for styles alone allows.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

struct File {
    path: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($path:literal, $media:literal, $name:literal) => {
        File {
            path: $path,
            media: $media,
            bytes: include_bytes!(concat!("../assets/swagger-ui/", $name)),
        }
    };
}

const FILES: [File; 5] = [
    file!("/docs/", "text/html; charset=utf-8", "index.html"),
    file!("/docs/page.css", "text/css", "page.css"),
    file!("/docs/start.js", "text/javascript", "start.js"),
    file!("/docs/swagger-ui.css", "text/css", "swagger-ui.css"),
    file!(
        "/docs/swagger-ui-bundle.js",
        "text/javascript",
        "swagger-ui-bundle.js"
    ),
];

/// The page and its files. Nobody needs a key to read the contract.
pub(crate) fn router() -> Router {
    let page = || get(|| std::future::ready(Redirect::permanent("/docs/")));
    // Who opens the server's bare address in a browser looks for this.
    let door = get(|| std::future::ready(Redirect::temporary("/docs/")));
    let mut router = Router::new().route("/docs", page()).route("/", door);
    for file in &FILES {
        let tag = tag(file.bytes);
        let handler = move |headers: HeaderMap| std::future::ready(answer(file, &tag, &headers));
        router = router.route(file.path, get(handler));
    }
    router
}

fn answer(file: &'static File, tag: &HeaderValue, asked: &HeaderMap) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.media)),
        (header::ETAG, tag.clone()),
        // A new version of the server brings new files.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    if asked.get(header::IF_NONE_MATCH) == Some(tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.bytes).into_response()
}

fn tag(bytes: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(bytes);
    let hex: String = digest
        .iter()
        .take(16)
        .map(|it| format!("{it:02x}"))
        .collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
