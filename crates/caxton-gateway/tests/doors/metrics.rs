//! `/metrics`.

use crate::support::World;

#[tokio::test]
async fn every_series_is_there_before_it_is_needed() {
    let world = World::new().await;
    let answer = world
        .call_with("GET", "/metrics", "", &[("authorization", "")])
        .await
        .is(200);
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for line in [
        "caxton_messages_accepted_total 0",
        "caxton_dead_letters_total 0",
        "caxton_fuel_used_total 0",
        "caxton_handler_faults_total{kind=\"trap\"} 0",
        "caxton_streams 0",
        "caxton_limit_refusals_total{kind=\"rate_key\"} 0",
        "caxton_limit_refusals_total{kind=\"quota_tokens\"} 0",
        "caxton_guest_metrics_dropped_total 0",
        "caxton_http_requests_total{grpc_status=\"\",method=\"POST\",route=\"/v1/messages\",status=\"202\"} 0",
        "caxton_http_requests_total{grpc_status=\"0\",method=\"POST\",route=\"/caxton.v1.CaxtonManagement/SendMessage\",status=\"200\"} 0",
        "caxton_http_request_seconds_count{method=\"GET\",route=\"/v1/deadLetters/{dead_letter}\"} 0",
        "# TYPE caxton_process_cpu_seconds_total counter",
        "# TYPE caxton_process_resident_memory_bytes gauge",
    ] {
        assert!(
            answer.text.lines().any(|it| it == line),
            "{line}\n{}",
            answer.text
        );
    }
    for line in answer.text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("caxton_"), "{line}");
    }
}

#[tokio::test]
async fn what_happens_is_counted() {
    let world = World::new().await;
    world.deploy("a", "chatty", "").await;
    world.ask("a", "four").await;
    world.get("/v1/agents/nobody").await.is(404);
    world.get("/nowhere/at/all").await.is(404);
    world.call("BREW", "/v1/agents", "").await.is(405);
    let text = world.get("/metrics").await.text;
    for line in [
        "caxton_messages_handled_total 1",
        "caxton_guest_seen_total{agent=\"a\",tenant=\"default\"} 1",
        "caxton_guest_length{agent=\"a\",tenant=\"default\"} 4",
        "caxton_http_requests_total{grpc_status=\"\",method=\"POST\",route=\"/v1/messages\",status=\"200\"} 1",
        "caxton_http_requests_total{grpc_status=\"\",method=\"GET\",route=\"/v1/agents/{agent}\",status=\"404\"} 1",
        "caxton_http_requests_total{grpc_status=\"\",method=\"GET\",route=\"unknown\",status=\"404\"} 1",
        "caxton_http_requests_total{grpc_status=\"\",method=\"other\",route=\"/v1/agents\",status=\"405\"} 1",
        "caxton_http_request_seconds_count{method=\"POST\",route=\"/v1/agents\"} 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn openmetrics_is_written_to_who_asks_for_it() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    world.ask("a", "x").await;
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    let answer = world
        .call_with("GET", "/metrics", "", &[("accept", accept)])
        .await
        .is(200);
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), media);
    assert!(answer.text.ends_with("\n# EOF\n"));
    let mut families = Vec::new();
    for line in answer.text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(!name.ends_with("_total"), "{line}");
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
        } else if !line.starts_with('#') {
            // Every sample is of the family that was named last.
            let family = families.last().unwrap();
            let tail = line
                .strip_prefix(family)
                .unwrap_or_else(|| panic!("{line} in {family}"));
            let fits = ["{", " ", "_total", "_bucket{", "_sum", "_count"];
            assert!(
                fits.iter().any(|it| tail.starts_with(it)),
                "{line} in {family}"
            );
        }
    }
    assert!(families.contains(&"caxton_guest_seen"), "{families:?}");
}
