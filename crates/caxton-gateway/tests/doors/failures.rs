//! Too many failures, at the doors.

use caxton_core::Code;

use crate::support::{KEY, World};

#[tokio::test]
async fn whoever_fails_too_often_is_told_to_wait_and_a_good_key_still_works() {
    let world = World::with(|options| options.auth_failures_max = 20).await;
    let bad = [("authorization", "Bearer cx_key_abc_wrong")];
    for _ in 0..20 {
        let refused = world.call_with("GET", "/v1/agents", "", &bad).await;
        refused.problem(401, Code::Unauthenticated);
    }
    let refused = world.call_with("GET", "/v1/agents", "", &bad).await;
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    refused.problem(429, Code::FailuresTooMany);
    // On gRPC too, with its own status.
    let mut client = world.grpc().await;
    let mut call = tonic::Request::new(caxton_api::v1::ListAgentsRequest::default());
    let wrong = "cx_key_abc_wrong".parse().unwrap();
    call.metadata_mut().insert("x-api-key", wrong);
    let status = client.list_agents(call).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
    let good = [("authorization", ""), ("x-api-key", KEY)];
    world
        .call_with("GET", "/v1/agents", "", &good)
        .await
        .is(200);
    let metrics = world.get("/metrics").await.is(200).text;
    assert!(
        metrics.contains("\ncaxton_auth_failures_total 22\n"),
        "{metrics}"
    );
}
