//! Probes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{World, guard, request};

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
    let expected = "[+]ping ok\n[+]store ok\n[+]audit ok\n[+]agents ok\n[+]history ok\n[+]jobs ok\n\
        [+]records ok\n[+]sweep ok\n[+]timers ok\n[+]operations ok\n[+]accepting ok\nreadyz check passed\n";
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

#[tokio::test]
async fn a_check_is_asked_alone_or_left_out() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    world.store_broken.store(true, Ordering::SeqCst);
    world.post("/v1/messages", request("a", "x")).await.is(503);
    world.get("/readyz").await.is(503);
    world.get("/readyz?exclude=store").await.is(200);
    let told = world
        .get("/readyz?verbose&exclude=store")
        .await
        .is(200)
        .text;
    assert!(told.starts_with("[+]ping ok\n[+]audit ok\n"), "{told}");
    assert!(
        told.ends_with("[+]accepting ok\nreadyz check passed\n"),
        "{told}"
    );
    let told = world.get("/readyz/store").await.is(503).text;
    assert!(told.starts_with("[-]store failed: "), "{told}");
    world.get("/readyz/accepting").await.is(200);
    world.get("/livez/ping").await.is(200);
    world.get("/readyz/none").await.is(404);
}

#[tokio::test]
async fn readiness_falls_before_anything_is_refused() {
    let delay = Duration::from_secs(3600);
    let mut world = World::with(|options| options.shutdown_delay = delay).await;
    world.deploy("a", "echo", "").await;
    let mut events = world.events("/v1/messages/stream", None).await;
    world.stop();
    let told = guard(async {
        loop {
            let asked = world.get("/readyz").await;
            if asked.status == 503 {
                break asked.text;
            }
        }
    });
    let told = told.await;
    assert!(
        told.contains("[-]accepting failed: the server is shutting down"),
        "{told}"
    );
    world.get("/livez").await.is(200);
    // New connections, messages and streams go on all the while.
    assert_eq!(world.ask("a", "still?").await["content"], "still?");
    assert_eq!(events.next().await.unwrap().data["content"], "still?");
}

/// What is there before the engine is.
#[tokio::test]
async fn while_agents_load_the_server_lives_and_is_not_ready() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ask = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        let status: u16 = told.split(' ').nth(1).unwrap().parse().unwrap();
        (status, told)
    };
    let asking = async {
        assert_eq!(ask("/livez").await.0, 200);
        for path in ["/readyz", "/ready", "/startupz?verbose"] {
            let (status, told) = ask(path).await;
            assert_eq!(status, 503, "{told}");
            assert!(
                told.contains("[-]agents failed: are still loading"),
                "{told}"
            );
        }
        let (status, told) = ask("/v1/agents").await;
        assert_eq!(status, 503);
        assert!(
            told.contains("CX-6008") && told.contains("retry-after: 1"),
            "{told}"
        );
        // Silent connections keep nobody out.
        let _silent: Vec<_> =
            futures::future::join_all((0..16).map(|_| tokio::net::TcpStream::connect(address)))
                .await;
        assert_eq!(ask("/livez").await.0, 200);
    };
    tokio::select! {
        never = caxton_gateway::starting(&listener, None) => match never {},
        () = guard(asking) => {}
    }
    // Nothing of it is left: whoever has the listener now is asked next.
    let accepted = tokio::join!(listener.accept(), tokio::net::TcpStream::connect(address));
    assert!(accepted.0.is_ok() && accepted.1.is_ok());
}
