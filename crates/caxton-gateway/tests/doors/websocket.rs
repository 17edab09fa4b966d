//! `/v1/ws`, spoken to by a real client, and by one that breaks the protocol.

use std::time::Duration;

use caxton_core::Code;
use caxton_engine::Options as EngineOptions;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{KEY, World, guard, request};

pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(world: &World) -> Self {
        Self::with(world, &[("authorization", "Bearer cx_adm_1_secret")])
            .await
            .unwrap()
    }

    pub(crate) async fn with(
        world: &World,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Box<Error>> {
        let url = format!("{}/v1/ws", world.base.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, response) = guard(connect_async(request)).await?;
        assert_eq!(response.headers()["x-request-id"].len(), 36);
        Ok(Self(socket))
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.say_text(&frame.to_string()).await;
    }

    async fn say_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next frame that is JSON.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match guard(self.0.next()).await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("no frame: {other:?}"),
            }
        }
    }

    /// The code it is closed with.
    async fn closed(&mut self) -> u16 {
        loop {
            match guard(self.0.next()).await.unwrap().unwrap() {
                Message::Close(frame) => return frame.unwrap().code.into(),
                _ => continue,
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, id: &str, stream: &str, more: Value) {
        let mut frame = json!({"op": "subscribe", "id": id, "stream": stream});
        for (name, value) in more.as_object().unwrap() {
            frame[name] = value.clone();
        }
        self.say(frame).await;
        assert_eq!(self.hear().await, json!({"id": id, "event": "subscribed"}));
    }
}

#[tokio::test]
async fn streams_come_side_by_side() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    world.deploy("c", "chatty", "").await;
    let mut socket = Socket::open(&world).await;
    socket
        .subscribe("to-a", "messages", json!({"agent": "a"}))
        .await;
    socket
        .subscribe("log", "logs", json!({"agent": "c", "level": "error"}))
        .await;
    world.say("a", "1").await;
    let first = socket.hear().await;
    assert_eq!(
        (&first["id"], &first["event"]),
        (&json!("to-a"), &json!("message"))
    );
    assert_eq!(first["data"]["content"], "1");
    assert_eq!(first["eventId"], first["data"]["id"]);
    assert_eq!(socket.hear().await["data"]["sender"]["name"], "a@default");
    world.say("c", "2").await;
    let line = socket.hear().await;
    assert_eq!(
        (&line["id"], &line["event"]),
        (&json!("log"), &json!("log"))
    );
    assert_eq!(line["data"]["level"], "error");
    socket.say(json!({"op": "unsubscribe", "id": "to-a"})).await;
    assert_eq!(
        socket.hear().await,
        json!({"id": "to-a", "event": "unsubscribed"})
    );
    // The same id is free again, and goes on where it was left.
    let since = first["eventId"].as_str().unwrap();
    socket
        .subscribe(
            "to-a",
            "messages",
            json!({"agent": "a", "lastEventId": since}),
        )
        .await;
    assert_eq!(socket.hear().await["data"]["sender"]["name"], "a@default");
    world.call("DELETE", "/v1/agents/c", "").await.is(204);
    assert_eq!(socket.hear().await, json!({"id": "log", "event": "ended"}));
}

#[tokio::test]
async fn what_is_wrong_is_told_and_ends_nothing_else() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    let mut socket = Socket::open(&world).await;
    socket.subscribe("good", "messages", json!({})).await;
    let subscribe = |more: Value| {
        let mut frame = json!({"op": "subscribe", "id": "x", "stream": "messages"});
        for (name, value) in more.as_object().unwrap() {
            frame[name] = value.clone();
        }
        frame.to_string()
    };
    for (text, id, status, code, part) in [
        ("nonsense".to_owned(), None, 400, Code::JsonMalformed, ""),
        (
            "{\"id\":\"x\"}".to_owned(),
            Some("x"),
            400,
            Code::ParameterMalformed,
            "op",
        ),
        (
            subscribe(json!({"stream": "mesages"})),
            Some("x"),
            400,
            Code::ParameterMalformed,
            "`messages`",
        ),
        (
            subscribe(json!({"agnet": "a"})),
            Some("x"),
            400,
            Code::FieldUnknown,
            "agent",
        ),
        (
            subscribe(json!({"agent": 7})),
            Some("x"),
            400,
            Code::ParameterMalformed,
            "",
        ),
        (
            subscribe(json!({"id": "good"})),
            Some("good"),
            400,
            Code::ParameterMalformed,
            "already",
        ),
        (
            subscribe(json!({"lastEventId": "x"})),
            Some("x"),
            400,
            Code::IdMalformed,
            "",
        ),
        (
            subscribe(json!({"stream": "logs", "agent": "none"})),
            Some("x"),
            404,
            Code::AgentNotFound,
            "none",
        ),
        (
            json!({"op": "unsubscribe", "id": "x"}).to_string(),
            Some("x"),
            400,
            Code::ParameterMalformed,
            "",
        ),
    ] {
        socket.say_text(&text).await;
        let told = socket.hear().await;
        assert_eq!(told["id"], json!(id), "{text}");
        let error = &told["error"];
        assert_eq!(error["code"], code.as_str(), "{text}: {told}");
        assert_eq!(error["status"], status);
        assert_eq!(error["instance"], "/v1/ws");
        assert_eq!(error["traceId"].as_str().unwrap().len(), 32);
        assert!(error["detail"].as_str().unwrap().contains(part), "{told}");
    }
    world.say("a", "still here").await;
    assert_eq!(socket.hear().await["data"]["content"], "still here");
}

#[tokio::test]
async fn a_socket_needs_a_key_which_a_browser_brings_as_a_protocol() {
    let world = World::new().await;
    let refused = async |headers: &[(&'static str, &str)]| match Socket::with(&world, headers)
        .await
        .map(drop)
        .map_err(|it| *it)
    {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&[]).await, 401);
    assert_eq!(refused(&[("x-api-key", "cx_adm_1_wrong")]).await, 401);
    let wrong = "caxton.v1, caxton.bearer.cx_adm_1_wrong";
    assert_eq!(refused(&[("sec-websocket-protocol", wrong)]).await, 401);
    let key = format!("caxton.v1, caxton.bearer.{KEY}");
    let browser = [("sec-websocket-protocol", key.as_str())];
    let mut socket = Socket::with(&world, &browser).await.unwrap();
    socket.subscribe("a", "messages", json!({})).await;
    // A page of another site is not let in, whatever key it has.
    let elsewhere = [("x-api-key", KEY), ("origin", "https://evil.example.org")];
    assert_eq!(refused(&elsewhere).await, 403);
    let asked = world.get("/v1/ws").await;
    assert_eq!(asked.header("upgrade"), "websocket");
    asked.problem(426, Code::ParameterMalformed);
}

#[tokio::test]
async fn subscriptions_and_sockets_are_bounded() {
    let world = World::with(|options| options.websockets_max = 1).await;
    let mut socket = Socket::open(&world).await;
    for n in 0..32 {
        socket
            .subscribe(&n.to_string(), "messages", json!({}))
            .await;
    }
    socket
        .say(json!({"op": "subscribe", "id": "more", "stream": "messages"}))
        .await;
    let told = socket.hear().await;
    assert_eq!(told["error"]["code"], Code::StreamsTooMany.as_str());
    let again = Socket::with(&world, &[("x-api-key", KEY)]).await.map(drop);
    assert!(matches!(again.map_err(|it| *it), Err(Error::Http(it)) if it.status() == 429));
    socket.0.close(None).await.unwrap();
    while socket.0.next().await.is_some() {}
    guard(async { while Socket::with(&world, &[("x-api-key", KEY)]).await.is_err() {} }).await;
}

#[tokio::test]
async fn frames_that_break_the_rules_close_the_socket_with_their_code() {
    let world = World::new().await;
    let mut socket = Socket::open(&world).await;
    socket.0.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(socket.closed().await, 1003);
    let mut socket = Socket::open(&world).await;
    let large = Message::text("x".repeat((64 << 10) + 1));
    socket.0.send(large).await.unwrap();
    assert_eq!(socket.closed().await, 1009);
    let mut long_ping = [0; 8 + 126];
    long_ping[..4].copy_from_slice(&[0x89, 0xfe, 0, 126]);
    // A final text frame of two bytes that are no UTF-8, masked with zeros; the same without a mask;
    // a ping that is longer than pings are; a reserved opcode; a large frame that never comes whole.
    for (frame, code) in [
        (&[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28][..], 1007),
        (&[0x81, 0x02, b'{', b'}'], 1002),
        (&long_ping, 1002),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
        (&[0xc1, 0x80, 0, 0, 0, 0], 1002),
        (
            &[
                0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
            ],
            1009,
        ),
    ] {
        assert_eq!(raw(&world, frame).await, Some(code), "{frame:?}");
    }
}

/// Sends bytes over an upgraded connection; the code it is closed with.
async fn raw(world: &World, frame: &[u8]) -> Option<u16> {
    let address = world.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /v1/ws HTTP/1.1\r\nhost: {address}\r\nx-api-key: {KEY}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(guard(stream.read_u8()).await.unwrap());
    }
    assert!(said.starts_with(b"HTTP/1.1 101 "));
    stream.write_all(frame).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut told = Vec::new();
    guard(stream.read_to_end(&mut told)).await.ok();
    match told[..] {
        [0x88, _, high, low, ..] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

#[tokio::test]
async fn a_heartbeat_is_kept_and_silence_ends_the_socket() {
    let world = World::with(|options| options.rest.heartbeat = Duration::from_millis(20)).await;
    let mut socket = Socket::open(&world).await;
    // Reading answers pings: it stays.
    for _ in 0..5 {
        let heard = guard(socket.0.next()).await.unwrap().unwrap();
        assert!(heard.is_ping(), "{heard:?}");
    }
    let (stream, _) = tokio_tungstenite::client_async(
        {
            let mut request = format!("{}/v1/ws", world.base.replace("http://", "ws://"))
                .into_client_request()
                .unwrap();
            request
                .headers_mut()
                .insert("x-api-key", KEY.parse().unwrap());
            request
        },
        TcpStream::connect(world.base.strip_prefix("http://").unwrap())
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    // Read past the protocol, so that nothing answers the pings: two, and the socket is closed.
    let mut bytes = Vec::new();
    guard(stream.into_inner().read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes[..6], [0x89, 0, 0x89, 0, 0x88, bytes[5]]);
    assert_eq!(u16::from_be_bytes([bytes[6], bytes[7]]), 1008);
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told() {
    let engine = EngineOptions {
        watch_messages_max: 4,
        ..EngineOptions::default()
    };
    let world = World::with_engine(engine, |_| {}).await;
    world.deploy("a", "deaf", "").await;
    let mut socket = Socket::open(&world).await;
    socket.subscribe("s", "messages", json!({})).await;
    let large = "x".repeat(512 << 10);
    for _ in 0..64 {
        world.say("a", &large).await;
    }
    let mut seen = 0;
    let last = loop {
        let frame = socket.hear().await;
        if frame.get("error").is_some() {
            break frame;
        }
        seen += 1;
    };
    assert_eq!(last["error"]["code"], Code::StreamLagged.as_str());
    assert!(seen < 64);
    // That subscription is over, the socket is not.
    socket.subscribe("s", "messages", json!({})).await;
    world
        .post("/v1/messages", request("a", "again"))
        .await
        .is(202);
    assert_eq!(socket.hear().await["data"]["content"], "again");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let limit = Duration::from_millis(50);
    let world = World::with(|options| options.websocket_write_timeout = limit).await;
    world.deploy("a", "deaf", "").await;
    let mut socket = Socket::open(&world).await;
    socket.subscribe("s", "messages", json!({})).await;
    let large = "x".repeat(512 << 10);
    // More than the sockets' buffers hold, and nobody reads: the subscription is given up.
    let given_up = guard(async {
        loop {
            world.say("a", &large).await;
            let text = world.get("/metrics").await.text;
            if text.lines().any(|line| line == "caxton_streams 0") {
                break;
            }
        }
    });
    given_up.await;
    // Whoever reads again in time is told why.
    assert_eq!(socket.closed().await, 1008);
}

#[tokio::test]
async fn a_revoked_key_closes_its_sockets_and_no_others() {
    let world = World::new().await;
    let asked = json!({"name": "watcher", "role": "viewer"});
    let made = world.post("/v1/keys", asked).await.is(201).json();
    let (id, secret) = (&made["key"]["id"], made["secret"].as_str().unwrap());
    let with_key = [("x-api-key", secret)];
    let mut idle = Socket::with(&world, &with_key).await.unwrap();
    let mut busy = Socket::with(&world, &with_key).await.unwrap();
    busy.subscribe("s", "messages", json!({})).await;
    let mut other = Socket::open(&world).await;
    let path = format!("/v1/keys/{}", id.as_str().unwrap());
    world.call("DELETE", &path, "").await.is(204);
    // Also the one that follows nothing: it could subscribe again with what is good no more.
    assert_eq!(idle.closed().await, 1008);
    assert_eq!(busy.closed().await, 1008);
    other.subscribe("s", "messages", json!({})).await;
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let mut world = World::new().await;
    let mut socket = Socket::open(&world).await;
    socket.subscribe("s", "messages", json!({})).await;
    world.stop();
    assert_eq!(socket.closed().await, 1001);
    drop(socket);
    world.stopped().await;
}
