//! Host: every bound of one handler is an error value, and nothing past it happens.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use bytes::Bytes;
use caxton_core::error::Error;
use caxton_core::{Acl, Code, Manifest, Message, Performative};
use caxton_engine::host::{Host, LogLevel};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use support::*;

type Step =
    for<'a> fn(&'a mut Host) -> Pin<Box<dyn Future<Output = Result<String, Error>> + Send + 'a>>;

type Change = fn(&mut Manifest);

/// What a handler that does `step` answers: its text, or the code of its error.
async fn outcome(change: Change, step: Step) -> String {
    let cast = Cast::default().with("echo", echo).with(
        "agent",
        move |mut host, message: Arc<Message>| async move {
            if message.acl.performative == Performative::Request {
                let content = match step(&mut host).await {
                    Ok(text) => text,
                    Err(error) => error.code.to_string(),
                };
                let _ = host.send(message.acl.reply(Performative::Inform).content(content));
            }
            (host, Ok(()))
        },
    );
    let world = World::new(cast).await;
    world.deploy("echo", "echo").await;
    world.deploy_with("agent", "agent", change).await;
    world
        .ask(request("agent", "go"))
        .await
        .unwrap()
        .acl
        .text()
        .unwrap()
        .to_owned()
}

#[tokio::test(start_paused = true)]
async fn every_bound_has_its_code() {
    let table: Vec<(Change, Step, Code)> = vec![
        (
            |m| m.limits.state_value_bytes_max = 10,
            |h| {
                Box::pin(async move {
                    h.state_set("k", Bytes::from_static(b"0123456789"))?;
                    h.state_set("k", Bytes::from_static(b"0123456789a"))?;
                    Ok(String::new())
                })
            },
            Code::StateTooLarge,
        ),
        (
            |m| m.limits.state_writes_bytes_max = 10,
            |h| {
                Box::pin(async move {
                    h.state_set("k", Bytes::from_static(b"123456789"))?;
                    h.state_set("l", Bytes::from_static(b"1"))?;
                    Ok(String::new())
                })
            },
            Code::HostCallLimit,
        ),
        (
            |_| {},
            |h| Box::pin(async move { h.state_set("", Bytes::new()).map(|()| String::new()) }),
            Code::StateTooLarge,
        ),
        (
            |_| {},
            |h| {
                Box::pin(async move {
                    h.state_set(&"k".repeat(513), Bytes::new())
                        .map(|()| String::new())
                })
            },
            Code::StateTooLarge,
        ),
        (
            |_| {},
            |h| {
                Box::pin(async move {
                    h.timer_set("t", Duration::from_secs(366 * 24 * 3600), Bytes::new())
                        .map(|()| String::new())
                })
            },
            Code::TimerLimit,
        ),
        (
            |_| {},
            |h| {
                Box::pin(async move {
                    h.timer_set(&"t".repeat(64), Duration::ZERO, Bytes::new())
                        .map(|()| String::new())
                })
            },
            Code::TimerLimit,
        ),
        (
            |m| m.limits.message_bytes_max = 300,
            |h| {
                Box::pin(async move {
                    h.send(request("echo", &"x".repeat(301)))
                        .map(|_| String::new())
                })
            },
            Code::MessageTooLarge,
        ),
        (
            |m| m.limits.calls_per_message_max = 1,
            |h| {
                Box::pin(async move {
                    h.call(request("echo", "1"), Duration::ZERO).await?;
                    h.call(request("echo", "2"), Duration::ZERO).await?;
                    Ok(String::new())
                })
            },
            Code::HostCallLimit,
        ),
        (
            |_| {},
            |h| {
                Box::pin(async move {
                    let two = request("echo", "1").to(agent("agent"));
                    h.call(two, Duration::ZERO).await.map(|_| String::new())
                })
            },
            Code::CallNotAllowed,
        ),
    ];
    for (index, (change, step, expected)) in table.into_iter().enumerate() {
        assert_eq!(
            outcome(change, step).await,
            expected.as_str(),
            "row {index}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn sends_are_bounded_per_message() {
    let refused = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let log = Arc::clone(&refused);
    let cast = Cast::default().with("flood", move |mut host: Host, message: Arc<Message>| {
        if message.acl.performative == Performative::Request {
            for _ in 0..5 {
                if let Err(error) = host.send(Acl::new(Performative::Inform).to(agent("flood"))) {
                    log.lock().push(error.code);
                }
            }
        }
        async move { (host, Ok(())) }
    });
    let world = World::new(cast).await;
    world
        .deploy_with("flood", "flood", |m| m.limits.sends_per_message_max = 3)
        .await;
    world.send(request("flood", "go")).await.unwrap();
    world.settle().await;
    assert_eq!(*refused.lock(), [Code::HostCallLimit, Code::HostCallLimit]);
    assert_eq!(world.recorded().await, 4, "the request and three");
}

#[tokio::test(start_paused = true)]
async fn host_calls_are_bounded_per_message() {
    let got = outcome(
        |m| m.limits.host_calls_per_message_max = 100,
        |h| {
            Box::pin(async move {
                let mut done = 0;
                while h.state_get("k").await.is_ok() {
                    done += 1;
                }
                // One is left for the answer by the bound's own arithmetic: it is refused too.
                Ok(done.to_string())
            })
        },
    );
    // No answer can be sent any more: the caller's own wait ends it.
    let answer = tokio::time::timeout(Duration::from_secs(30), got).await;
    assert!(answer.is_err(), "the answer is past the bound as well");
}

#[tokio::test(start_paused = true)]
async fn state_reads_see_this_handlers_writes_and_keys_merge() {
    let got = outcome(
        |_| {},
        |h| {
            Box::pin(async move {
                for key in ["b1", "a2", "a1", "a3"] {
                    h.state_set(key, Bytes::from(key.to_owned()))?;
                }
                h.state_delete("a2")?;
                let keys = h.state_keys("a", "", 10).await?;
                let after = h.state_keys("a", "a1", 10).await?;
                let gone = h.state_get("a2").await?;
                Ok(format!("{keys:?} {after:?} {gone:?}"))
            })
        },
    )
    .await;
    assert_eq!(got, r#"["a1", "a3"] ["a3"] None"#);
}

#[tokio::test(start_paused = true)]
async fn log_lines_are_cut_and_their_sum_is_bounded() {
    let cast = Cast::default().with("chatty", |mut host: Host, _| {
        host.log(LogLevel::Info, &"x".repeat(100_000_000));
        for _ in 0..1000 {
            host.log(LogLevel::Info, &"y".repeat(1000));
        }
        async move { (host, Ok(())) }
    });
    let world = World::new(cast).await;
    world.deploy("chatty", "chatty").await;
    world.send(request("chatty", "x")).await.unwrap();
    world.settle().await;
    let lines = world.app.agent_logs(&ctx(), &name("chatty"), 1000).unwrap();
    let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
    assert!(bytes < (256 << 10) + 1000, "{bytes}");
    assert!(
        lines[0].text.contains("bytes cut"),
        "{}",
        &lines[0].text[lines[0].text.len() - 40..]
    );
    assert!(lines.last().unwrap().text.contains("bytes of log dropped"));
    assert!(lines.iter().all(|line| line.message.is_some()));
}
