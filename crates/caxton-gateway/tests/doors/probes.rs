//! Probes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{World, request};

#[tokio::test]
async fn a_server_that_works_says_so_without_a_key() {
    let world = World::new().await;
    let headers = [("authorization", "")];
    for path in ["/livez", "/readyz", "/startupz", "/health", "/ready"] {
        let answer = world.call_with("GET", path, "", &headers).await.is(200);
        assert_eq!(
            (answer.text.as_str(), answer.header("cache-control")),
            ("ok\n", "no-store")
        );
        world.call_with("HEAD", path, "", &headers).await.is(200);
    }
    let told = world.get("/readyz?verbose").await.is(200).text;
    let expected = "[+]ping ok\n[+]store ok\n[+]accepting ok\nreadyz check passed\n";
    assert_eq!(told, expected);
    let told = world.get("/livez?verbose=1").await.is(200).text;
    assert_eq!(told, "[+]ping ok\nlivez check passed\n");
}

#[tokio::test]
async fn a_store_that_fails_is_not_ready_but_alive_and_recovers() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    world.store_broken.store(true, Ordering::SeqCst);
    let refused = world.post("/v1/messages", request("a", "x")).await;
    refused.problem(503, caxton_core::Code::StorageFull);
    let told = world.get("/readyz").await.is(503).text;
    assert!(told.contains("[-]store failed: refuses writes"), "{told}");
    assert!(told.ends_with("readyz check failed\n"), "{told}");
    world.get("/livez").await.is(200);
    let status = world.get("/v1/server/status").await.is(200).json();
    assert_eq!(
        (&status["state"], &status["store"]["state"]),
        (&"degraded".into(), &"read-only".into())
    );
    world.get("/v1/messages").await.is(200);
    world.store_broken.store(false, Ordering::SeqCst);
    world.say("a", "y").await;
    world.get("/readyz").await.is(200);
}

#[tokio::test]
async fn a_server_that_drains_is_not_ready() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    world.app.stop(Duration::ZERO).await;
    let told = world.get("/readyz").await.is(503).text;
    assert!(
        told.contains("[-]accepting failed: the server is shutting down"),
        "{told}"
    );
    world.get("/livez").await.is(200);
    let refused = world.post("/v1/messages", request("a", "x")).await;
    assert_eq!(refused.header("retry-after"), "5");
    refused.problem(503, caxton_core::Code::Draining);
}

#[tokio::test]
async fn a_store_that_hangs_does_not_make_probes_hang() {
    let world = World::with(|options| options.probe_timeout = Duration::from_millis(20)).await;
    world.store_hangs.store(true, Ordering::SeqCst);
    for path in ["/readyz", "/ready"] {
        let told = world.get(path).await.is(503).text;
        assert!(
            told.contains("[-]store failed: does not answer in time"),
            "{told}"
        );
    }
    world.get("/livez").await.is(200);
    world.get("/startupz").await.is(200);
    world.get("/metrics").await.is(200);
    world.store_hangs.store(false, Ordering::SeqCst);
    world.get("/readyz").await.is(200);
    let shipped = caxton_gateway::Options::new(std::path::PathBuf::new());
    assert!(shipped.probe_timeout < Duration::from_secs(1));
}
