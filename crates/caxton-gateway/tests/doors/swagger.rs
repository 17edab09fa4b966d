//! The page that shows the contract.

use crate::support::World;

#[tokio::test]
async fn the_page_comes_whole_from_this_server() {
    let world = World::new().await;
    let nobody = ("authorization", "");
    let moved = world.call_with("GET", "/docs", "", &[nobody]).await.is(308);
    assert_eq!(moved.header("location"), "/docs/");
    let page = world
        .call_with("GET", "/docs/", "", &[nobody])
        .await
        .is(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    // Whatever the page names is here, and nothing in it is elsewhere.
    let mut named = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        for part in page.text.split(attribute).skip(1) {
            named.push(part.split('"').next().unwrap());
        }
    }
    named.retain(|it| *it != "data:,");
    assert_eq!(named.len(), 5, "{named:?}");
    for name in named {
        let path = match name.strip_prefix('/') {
            Some(_) => name.to_owned(),
            None => format!("/docs/{name}"),
        };
        let file = world.call_with("GET", &path, "", &[nobody]).await.is(200);
        assert!(
            !file.text.is_empty() && !file.text.contains("sourceMappingURL"),
            "{name}"
        );
        let tag = file.header("etag").to_owned();
        if !tag.is_empty() {
            let known = [nobody, ("if-none-match", tag.as_str())];
            let again = world.call_with("GET", &path, "", &known).await.is(304);
            assert_eq!(again.text, "");
        }
    }
    let start = world.get("/docs/start.js").await.is(200).text;
    assert!(start.contains("url: \"/openapi.json\"") && start.contains("validatorUrl: null"));
}
