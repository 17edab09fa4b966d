//! The client with servers that are not there, not ours, or not well.

use std::time::Duration;

use caxton_api::client::{Client, ClientError};
use caxton_api::v1::{GetAgentRequest, GetServerStatusRequest, WatchLogsRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that reads a request's first bytes, answers with these, and closes.
async fn answering(answer: &'static str) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1_024]).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    Client::new(&url, None, None).unwrap()
}

async fn status_error(client: &Client) -> ClientError {
    client
        .get_server_status(&GetServerStatusRequest {})
        .await
        .unwrap_err()
}

#[tokio::test]
async fn no_server_is_told_apart_from_everything_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = Client::new(&address, None, None).unwrap();
    let error = status_error(&client).await;
    assert!(
        matches!(error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(&address));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let limit = Duration::from_millis(50);
    let client = Client::new(&url, None, None)
        .unwrap()
        .with_response_timeout(limit);
    let error = status_error(&client).await;
    assert!(
        matches!(error, ClientError::TimedOut(given_up) if given_up == limit),
        "{error:?}"
    );
    let request = WatchLogsRequest {
        agent: "a".to_owned(),
        ..Default::default()
    };
    let error = client.watch_logs(&request).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut(_)), "{error:?}");
}

#[tokio::test]
async fn a_broken_connection_is_told() {
    let client = answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
    let error = status_error(&client).await;
    assert!(matches!(error, ClientError::Interrupted(_)), "{error:?}");
    let client = answering("").await;
    let error = status_error(&client).await;
    assert!(matches!(error, ClientError::Interrupted(_)), "{error:?}");
}

#[tokio::test]
async fn another_kind_of_server_is_told() {
    for answer in [
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops",
        "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"new\":1}",
    ] {
        let error = status_error(&answering(answer).await).await;
        assert!(
            matches!(error, ClientError::Unexpected { .. }),
            "{answer}: {error:?}"
        );
    }
    let client = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let request = WatchLogsRequest {
        agent: "a".to_owned(),
        ..Default::default()
    };
    let error = client.watch_logs(&request).await.unwrap_err();
    assert!(matches!(error, ClientError::Unexpected { .. }), "{error:?}");
}

#[tokio::test]
async fn a_name_that_would_be_another_path_is_not_sent() {
    let client = Client::new("http://127.0.0.1:1", None, None).unwrap();
    for agent in ["", ".", ".."] {
        let error = client
            .get_agent(&GetAgentRequest {
                agent: agent.to_owned(),
            })
            .await
            .unwrap_err();
        assert!(
            matches!(error, ClientError::Invalid(_)),
            "{agent}: {error:?}"
        );
    }
}
