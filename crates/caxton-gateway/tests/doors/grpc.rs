//! gRPC on the same port: the same answers, health, reflection.

use caxton_api::v1::caxton_management_client::CaxtonManagementClient;
use caxton_api::v1::server_client::ServerClient;
use caxton_api::{SERVICES, v1};
use caxton_core::Code;
use futures::StreamExt;
use serde_json::Value;
use tonic::codegen::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};
use tonic_types::StatusExt;

use crate::support::{KEY, World, agent, guard, request};

type Keyed = fn(Request<()>) -> Result<Request<()>, Status>;

fn keyed(mut request: Request<()>) -> Result<Request<()>, Status> {
    let bearer = format!("Bearer {KEY}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    Ok(request)
}

async fn client(world: &World) -> CaxtonManagementClient<InterceptedService<Channel, Keyed>> {
    CaxtonManagementClient::with_interceptor(world.channel().await, keyed as Keyed)
}

fn message(to: &str, content: &str) -> Option<v1::MessageDraft> {
    Some(serde_json::from_value(request(to, content)).unwrap())
}

#[tokio::test]
async fn both_doors_give_the_same_answers() {
    let world = World::new().await;
    let mut client = client(&world).await;
    let create: v1::CreateAgentRequest = serde_json::from_value(agent("a", "echo", "")).unwrap();
    let made = client.create_agent(create).await.unwrap().into_inner();
    let shown = world.get("/v1/agents/a").await.is(200).json();
    assert_eq!(serde_json::to_value(&made).unwrap(), shown);

    let send = v1::SendMessageRequest {
        message: message("a", "hi"),
        wait: "20s".to_owned(),
    };
    let sent = client.send_message(send).await.unwrap().into_inner();
    let get = v1::GetMessageRequest {
        message: sent.id.clone(),
    };
    let done = |it: &Value| it["deliveries"][0]["state"] == "handled";
    let path = format!("/v1/messages/{}", sent.id);
    let rest = world.until(&path, done).await;
    let over_grpc = client.get_message(get).await.unwrap().into_inner();
    assert_eq!(serde_json::to_value(&over_grpc).unwrap(), rest);
    assert_eq!(sent.reply.unwrap().body, over_grpc.body);

    let list = v1::ListMessagesRequest::default();
    let list = client.list_messages(list).await.unwrap().into_inner();
    let rest = world.get("/v1/messages").await.json();
    assert_eq!(serde_json::to_value(&list).unwrap(), rest);
    let mut server = ServerClient::with_interceptor(world.channel().await, keyed as Keyed);
    let status = server.get_server_status(v1::GetServerStatusRequest {});
    let status = status.await.unwrap().into_inner();
    let rest = world.get("/v1/server/status").await.json();
    assert_eq!(serde_json::to_value(&status).unwrap(), rest);
}

#[tokio::test]
async fn an_answer_brings_no_metadata_that_its_clients_do_not_look_for() {
    let world = World::new().await;
    let mut client = client(&world).await;
    let answer = client.list_agents(v1::ListAgentsRequest::default()).await;
    let metadata = answer.unwrap().metadata().clone().into_headers();
    assert!(metadata.contains_key("x-request-id"), "{metadata:?}");
    for name in ["traceparent", "x-content-type-options", "ratelimit"] {
        assert!(!metadata.contains_key(name), "{name}: {metadata:?}");
    }
}

#[tokio::test]
async fn errors_carry_their_code_and_details() {
    let world = World::new().await;
    let mut client = client(&world).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut get = Request::new(v1::GetAgentRequest {
        agent: "nobody".to_owned(),
    });
    let parent = format!("00-{trace}-00f067aa0ba902b7-01").parse().unwrap();
    get.metadata_mut().insert("traceparent", parent);
    let status = client.get_agent(get).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("CX-2020", "caxton")
    );
    assert_eq!(info.metadata["traceId"], trace);

    let mut draft = message("a", "x").unwrap();
    draft.performative = "reqest".to_owned();
    draft.receiver[0].name = "../x".to_owned();
    let send = v1::SendMessageRequest {
        message: Some(draft),
        wait: String::new(),
    };
    let status = client.send_message(send).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let fields = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = fields.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["performative", "receiver[0].name"]);

    world
        .deploy("slow", "stuck", "[limits]\nmailbox_messages_max = 1")
        .await;
    let full = loop {
        let send = v1::SendMessageRequest {
            message: message("slow", "x"),
            wait: String::new(),
        };
        if let Err(status) = client.send_message(send).await {
            break status;
        }
    };
    assert_eq!(full.code(), tonic::Code::ResourceExhausted);
    let after = full.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(after, Some(std::time::Duration::from_secs(1)));
    world.gate.add_permits(10);
}

#[tokio::test]
async fn a_key_is_wanted_here_too() {
    let world = World::new().await;
    let mut client = world.grpc().await;
    let list = || v1::ListAgentsRequest::default();
    let status = client.list_agents(list()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, Code::Unauthenticated.as_str());
    let mut wrong = Request::new(list());
    wrong
        .metadata_mut()
        .insert("x-api-key", "cx_adm_1_x".parse().unwrap());
    let status = client.list_agents(wrong).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    let mut elsewhere = Request::new(list());
    elsewhere
        .metadata_mut()
        .insert("x-api-key", KEY.parse().unwrap());
    elsewhere
        .metadata_mut()
        .insert("caxton-tenant", "other".parse().unwrap());
    let status = client.list_agents(elsewhere).await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, Code::TenantNotFound.as_str());
}

#[tokio::test]
async fn a_deadline_and_an_idempotency_key_are_the_same_here() {
    let world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    world.deploy("a", "deaf", "").await;
    let mut client = client(&world).await;
    // Not `grpc-timeout`: this client ends such a call by itself.
    let mut send = Request::new(v1::SendMessageRequest {
        message: message("slow", "x"),
        wait: "20s".to_owned(),
    });
    send.metadata_mut()
        .insert("x-request-timeout", "50ms".parse().unwrap());
    let status = client.send_message(send).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    world.gate.add_permits(1);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut send = Request::new(v1::SendMessageRequest {
            message: message("a", "x"),
            wait: String::new(),
        });
        send.metadata_mut()
            .insert("idempotency-key", "k".parse().unwrap());
        ids.push(client.send_message(send).await.unwrap().into_inner().id);
    }
    assert_eq!(ids[0], ids[1]);
    // And the same as REST's: one key, one creation, whichever door.
    let headers = [("idempotency-key", "k")];
    let body = request("a", "x").to_string();
    let rest = world
        .call_with("POST", "/v1/messages", &body, &headers)
        .await;
    assert_eq!(rest.is(202).json()["id"], ids[0]);
}

#[tokio::test]
async fn messages_stream_here_too() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    let mut client = client(&world).await;
    let watch = v1::WatchMessagesRequest::default();
    let mut stream = client.watch_messages(watch).await.unwrap().into_inner();
    let id = world.say("a", "x").await;
    assert_eq!(guard(stream.next()).await.unwrap().unwrap().id, id);
    drop(stream);
    let next = world.say("a", "y").await;
    let mut watch = Request::new(v1::WatchMessagesRequest::default());
    watch
        .metadata_mut()
        .insert("last-event-id", id.parse().unwrap());
    let mut stream = client.watch_messages(watch).await.unwrap().into_inner();
    assert_eq!(guard(stream.next()).await.unwrap().unwrap().id, next);
}

#[tokio::test]
async fn health_is_that_of_readyz() {
    let world = World::new().await;
    let mut health = HealthClient::new(world.channel().await);
    let ask = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    for service in ["", SERVICES[0], SERVICES[1]] {
        let answer = health.check(ask(service)).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "{service} serves");
    }
    let status = health.check(ask("nothing")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let mut unknown = health.watch(ask("nothing")).await.unwrap().into_inner();
    assert_eq!(guard(unknown.next()).await.unwrap().unwrap().status, 3);
    let mut watched = health.watch(ask("")).await.unwrap().into_inner();
    assert_eq!(guard(watched.next()).await.unwrap().unwrap().status, 1);
    world.app.stop(std::time::Duration::ZERO).await;
    assert_eq!(guard(watched.next()).await.unwrap().unwrap().status, 2);
    let answer = health.check(ask("")).await.unwrap().into_inner();
    assert_eq!(answer.status, 2, "does not serve");
}

#[tokio::test]
async fn the_services_tell_of_themselves() {
    let world = World::new().await;
    let mut client = ServerReflectionClient::new(world.channel().await);
    let ask = |request: MessageRequest| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    let requests = vec![
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(SERVICES[0].to_owned())),
        ask(MessageRequest::FileContainingSymbol(
            "google.rpc.ErrorInfo".to_owned(),
        )),
    ];
    let answers = client.server_reflection_info(futures::stream::iter(requests));
    let mut answers = answers.await.unwrap().into_inner();
    let listed = guard(answers.next()).await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = listed.message_response else {
        panic!("{listed:?}");
    };
    let named = |name: &str| {
        listed.service.contains(&ServiceResponse {
            name: name.to_owned(),
        })
    };
    assert!(
        named(SERVICES[0]) && named(SERVICES[1]) && named("grpc.health.v1.Health"),
        "{listed:?}"
    );
    let file = guard(answers.next()).await.unwrap().unwrap();
    let Some(MessageResponse::FileDescriptorResponse(file)) = file.message_response else {
        panic!("{file:?}");
    };
    assert!(!file.file_descriptor_proto.is_empty());
    let file = guard(answers.next()).await.unwrap().unwrap();
    let Some(MessageResponse::FileDescriptorResponse(file)) = file.message_response else {
        panic!("what errors have in them cannot be read: {file:?}");
    };
    assert!(!file.file_descriptor_proto.is_empty());
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let world = World::new().await;
    for path in ["/caxton.v1.CaxtonManagement/Nothing", "/x.Nothing/Nothing"] {
        let headers = [("content-type", "application/grpc")];
        let answer = world.call_with("POST", path, "", &headers).await.is(200);
        assert_eq!(answer.header("grpc-status"), "12", "{path}");
        assert!(!answer.header("grpc-status-details-bin").is_empty());
    }
}
