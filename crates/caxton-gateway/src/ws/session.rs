//! One socket's life: what the client says, what its subscriptions bring, and the heartbeat, until one
//! side ends it.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use caxton_api::external_agent_router::ExternalAgentRouterApi;
use caxton_api::management::ManagementApi;
use caxton_api::sessions::SessionsApi;
use caxton_api::{ApiError, ApiStream, CallContext, json, v1};
use caxton_core::Code;
use caxton_core::error::shown;
use caxton_core::manifest::nearest;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Interval, MissedTickBehavior, interval_at, timeout};
use tokio_stream::StreamMap;
use tokio_tungstenite::tungstenite;

use super::frame::{self, Asked, malformed};
use super::{CLOSE_TIMEOUT, PONGS_MISSED_MAX, SUBSCRIPTIONS_MAX, close};
use crate::api::Api;
use crate::door::auth::Caller;
use crate::door::limits;

/// The streams there are, by the name they have here, and the contract's operation behind each.
pub const STREAMS: [(&str, &str); 4] = [
    ("messages", "caxton.v1.CaxtonManagement/WatchMessages"),
    ("logs", "caxton.v1.CaxtonManagement/WatchLogs"),
    ("job", "caxton.v1.ExternalAgentRouter/WatchJob"),
    ("turn", "caxton.v1.Sessions/FollowTurn"),
];

/// One socket.
pub(super) struct Session {
    api: Api,
    context: CallContext,
    /// Frames to write, by subscription.
    subscriptions: StreamMap<String, BoxStream<'static, String>>,
    pongs_missed: u32,
}

/// Why a socket is closed.
struct End {
    code: u16,
    why: &'static str,
}

const fn end(code: u16, why: &'static str) -> End {
    End { code, why }
}

impl Session {
    pub(super) fn new(api: Api, context: CallContext) -> Self {
        Self {
            api,
            context,
            subscriptions: StreamMap::new(),
            pongs_missed: 0,
        }
    }

    /// Serves the socket to its end.
    pub(super) async fn run(mut self, mut socket: WebSocket) {
        let ended = self.serve(&mut socket).await;
        self.subscriptions.clear();
        // A client that reads nothing does not get it, and is not waited for longer.
        let _ = timeout(CLOSE_TIMEOUT, async {
            if let Some(End { code, why }) = ended {
                let reason = why.into();
                let frame = CloseFrame { code, reason };
                socket.send(Message::Close(Some(frame))).await?;
            }
            // The protocol's own layer answers a client's close while it is read on.
            while socket.next().await.is_some_and(|it| it.is_ok()) {}
            Ok::<_, axum::Error>(())
        })
        .await;
    }

    /// `None` where the client has closed or gone.
    async fn serve(&mut self, socket: &mut WebSocket) -> Option<End> {
        let mut heartbeat = heartbeat(self.api.options().rest.heartbeat);
        let write_timeout = self.api.options().websocket_write_timeout;
        let stopped = self.api.streams().stopped();
        // A subscription ends with the credential that opened the socket, and the socket must not
        // outlive it: the next subscription would be made with what is good no more.
        let ended = self.credential_ended();
        tokio::pin!(stopped, ended);
        loop {
            let message = tokio::select! {
                biased;
                () = &mut stopped => return Some(end(close::AWAY, "the server is shutting down")),
                () = &mut ended => return Some(end(close::POLICY, "the credential is good no more")),
                said = socket.next() => match self.heard(said?).await {
                    Ok(Some(answer)) => Message::text(answer),
                    Ok(None) => continue,
                    Err(ended) => return ended,
                },
                _ = heartbeat.tick() => {
                    if self.pongs_missed >= PONGS_MISSED_MAX {
                        return Some(end(close::POLICY, "heartbeats are not answered"));
                    }
                    self.pongs_missed += 1;
                    Message::Ping(bytes::Bytes::new())
                }
                Some((_, frame)) = self.subscriptions.next() => Message::text(frame),
            };
            match timeout(write_timeout, socket.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(end(close::POLICY, "what is sent is not read")),
            }
        }
    }

    /// Completes when what opened the socket is revoked, suspended, changed or expired.
    fn credential_ended(&self) -> impl Future<Output = ()> + use<> {
        let caller = self.context.extensions.get::<Caller>().cloned();
        let clock = Arc::clone(self.api.clock());
        async move {
            // Nobody comes here without one; who did has nothing that could end.
            if let Some(caller) = caller {
                caller.identity.ended(caller.tenant, clock).await;
            }
        }
    }

    /// Deals with what the client said; the answer to it, or the end.
    async fn heard(
        &mut self,
        said: Result<Message, axum::Error>,
    ) -> Result<Option<String>, Option<End>> {
        match said {
            Ok(Message::Text(text)) => Ok(Some(self.asked(&text).await)),
            Ok(Message::Binary(_)) => Err(Some(end(close::UNSUPPORTED, "frames are text"))),
            Ok(Message::Pong(_)) => {
                self.pongs_missed = 0;
                Ok(None)
            }
            // It is answered by the protocol's own layer.
            Ok(Message::Ping(_)) => Ok(None),
            Ok(Message::Close(_)) => Err(None),
            Err(error) => Err(broken(error)),
        }
    }

    async fn asked(&mut self, text: &str) -> String {
        let (id, asked) = frame::read(text);
        let Some(id) = id else {
            let error = asked.err().unwrap_or_else(|| malformed("id", "is missing"));
            return frame::error(None, &self.context.complete(error));
        };
        let done = match asked {
            Ok(Asked::Subscribe {
                stream,
                last_event_id,
                request,
            }) => {
                let subscribed = self.subscribe(&id, &stream, last_event_id, request).await;
                subscribed.map(|()| "subscribed")
            }
            Ok(Asked::Unsubscribe) => match self.subscriptions.remove(&id) {
                Some(_) => Ok("unsubscribed"),
                None => Err(malformed("id", "is no subscription of this socket")),
            },
            Err(error) => Err(error),
        };
        match done {
            Ok(word) => frame::word(&id, word),
            Err(error) => frame::error(Some(&id), &self.context.complete(error)),
        }
    }

    async fn subscribe(
        &mut self,
        id: &str,
        name: &str,
        last_event_id: Option<String>,
        request: Value,
    ) -> Result<(), ApiError> {
        if self.subscriptions.contains_key(id) {
            return Err(malformed("id", "is a subscription already"));
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            let detail = format!("a socket has at most {SUBSCRIPTIONS_MAX} subscriptions");
            return Err(ApiError::new(Code::StreamsTooMany, detail));
        }
        let known = STREAMS.iter().find(|(known, _)| *known == name);
        let (_, method) = known.ok_or_else(|| unknown_stream(name))?;
        let mut context = CallContext {
            method,
            last_event_id,
            ..self.context.clone()
        };
        // What ended until now would have ended the socket.
        if let Some(caller) = context.extensions.get_mut::<Caller>() {
            caller.identity = caller.identity.clone().caught_up();
        }
        limits::take_one(&self.api, &context).await?;
        let frames = match name {
            "messages" => {
                let request: v1::WatchMessagesRequest = bind(&request)?;
                let items = self.api.watch_messages(&context, request).await?;
                frames(
                    id,
                    |_| "message",
                    items,
                    |it: &v1::Message| Some(it.id.as_str()),
                    context,
                )
            }
            "job" => {
                let request: v1::WatchJobRequest = bind(&request)?;
                let items = self.api.watch_job(&context, request).await?;
                frames(
                    id,
                    |_| "job",
                    items,
                    |it: &v1::JobEvent| Some(it.id.as_str()),
                    context,
                )
            }
            "turn" => {
                let request: v1::FollowTurnRequest = bind(&request)?;
                let items = self.api.follow_turn(&context, request).await?;
                frames(
                    id,
                    |it: &v1::TurnEvent| it.r#type.as_str(),
                    items,
                    |it: &v1::TurnEvent| Some(it.id.as_str()),
                    context,
                )
            }
            _ => {
                let request: v1::WatchLogsRequest = bind(&request)?;
                let items = self.api.watch_logs(&context, request).await?;
                frames(
                    id,
                    |_| "log",
                    items,
                    |it: &v1::LogEntry| Some(it.id.as_str()),
                    context,
                )
            }
        };
        self.subscriptions.insert(id.to_owned(), frames);
        Ok(())
    }
}

/// The stream's parameters as its request.
fn bind<T: DeserializeOwned>(request: &Value) -> Result<T, ApiError> {
    let text = serde_json::to_vec(request).map_err(|error| {
        ApiError::new(Code::Internal, format!("the request is no JSON: {error}"))
    })?;
    json::read(&text)
}

/// A stream's items as frames. The last is an error, or `ended`.
fn frames<T: Serialize + Send + 'static>(
    id: &str,
    name: fn(&T) -> &str,
    items: ApiStream<T>,
    event_id: fn(&T) -> Option<&str>,
    context: CallContext,
) -> BoxStream<'static, String> {
    let begin = (Some(items), id.to_owned(), context);
    let frames = stream::unfold(begin, move |(items, id, context)| async move {
        let mut items = items?;
        let written = match items.next().await {
            None => return Some((frame::word(&id, "ended"), (None, id, context))),
            Some(item) => {
                item.and_then(|item| frame::event(&id, name(&item), event_id(&item), &item))
            }
        };
        Some(match written {
            Ok(text) => (text, (Some(items), id, context)),
            Err(error) => {
                let text = frame::error(Some(&id), &context.complete(error));
                (text, (None, id, context))
            }
        })
    });
    frames.boxed()
}

fn unknown_stream(name: &str) -> ApiError {
    let names = || STREAMS.iter().map(|(name, _)| *name);
    let what = match nearest(name, names()) {
        Some(near) => format!("is `{}`; did you mean `{near}`?", shown(name)),
        None => {
            let names: Vec<_> = names().collect();
            format!("is `{}`, and there are {}", shown(name), names.join(", "))
        }
    };
    malformed("stream", &what)
}

fn heartbeat(every: std::time::Duration) -> Interval {
    let mut heartbeat = interval_at(tokio::time::Instant::now() + every, every);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

/// The end a broken protocol has; `None` where nobody is there to be told.
fn broken(error: axum::Error) -> Option<End> {
    use tungstenite::Error;
    let error = error.into_inner().downcast::<Error>().ok()?;
    match *error {
        Error::Capacity(_) => Some(end(close::TOO_BIG, "the frame is too large")),
        Error::Utf8(_) => Some(end(close::NOT_UTF8, "the text is not UTF-8")),
        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(end(close::PROTOCOL, "the frames are not a WebSocket's")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn every_stream_of_the_contract_is_here() {
        let files = prost_types::FileDescriptorSet::decode(caxton_api::FILE_DESCRIPTOR_SET);
        let mut streams = Vec::new();
        for file in &files.unwrap_or_default().file {
            for service in &file.service {
                for method in service.method.iter().filter(|it| it.server_streaming()) {
                    let (package, service) = (file.package(), service.name());
                    streams.push(format!("{package}.{service}/{}", method.name()));
                }
            }
        }
        // Downloads and calls that end by themselves, and what says something: nothing to follow.
        let others = [
            "caxton.v1.Audit/ExportAudit",
            "caxton.v1.ExternalAgentRouter/StreamInvocation",
            "caxton.v1.Sessions/Chat",
        ];
        streams.retain(|it| !others.contains(&it.as_str()));
        streams.sort();
        let mut here = STREAMS.map(|(_, method)| method);
        here.sort_unstable();
        assert_eq!(streams, here);
    }
}
