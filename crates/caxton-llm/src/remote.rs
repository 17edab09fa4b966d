//! Sends a translated request and reads the answer as it comes: the part that is the same for all
//! providers.

use crate::facts::Table;
use crate::fault::{Said, redact};
use crate::quirks::{self, Memory, Quirks};
use crate::sse::{Reader, TooLarge};
use crate::traits::Traits;
use crate::translate;
use crate::wire::{self, Decode, Events};
use crate::{retry, sse};
use bytes::Bytes;
use caxton_core::model::{Dialect, ModelEvent, ModelFault, ModelFaultKind, REPLY_BYTES_MAX};
use caxton_engine::port::http::{HeaderValue, HttpAnswer, HttpFault, HttpRequest, Trust};
use caxton_engine::port::model::{Endpoint, ModelCall, ModelStream};
use caxton_engine::port::secrets::Secret;
use caxton_engine::port::{Clock, Http};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// From asking to the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an error's body that are read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Deviations of a server that one call may learn.
const LESSONS_MAX: u32 = 4;
/// What is read after the end of an answer, so that its connection can be used again.
const REST_BYTES_MAX: usize = 64 << 10;

const USER_AGENT: &str = concat!("caxton/", env!("CARGO_PKG_VERSION"));

/// Reaches providers.
#[derive(Debug)]
pub struct Remote {
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    table: Arc<Table>,
    memory: Memory,
}

impl Remote {
    pub fn new(http: Arc<dyn Http>, clock: Arc<dyn Clock>, table: Arc<Table>) -> Self {
        Self {
            http,
            clock,
            table,
            memory: Memory::new(),
        }
    }

    /// Asks, again where the server shows that it takes the same request in another form only.
    pub async fn stream(
        &self,
        dialect: Dialect,
        call: ModelCall,
    ) -> Result<ModelStream, ModelFault> {
        if let Some(why) = translate::refused(dialect, &call.request) {
            return Err(ModelFault::new(ModelFaultKind::Invalid, why));
        }
        let endpoint = Arc::clone(&call.endpoint);
        let known = self.memory.of(&endpoint.base_url, &call.model);
        let mut quirks = known;
        for lesson in 0..=LESSONS_MAX {
            let answer = self.send(dialect, &call, quirks, lesson).await?;
            if (200..300).contains(&answer.status) {
                if quirks != known {
                    self.memory.keep(&endpoint.base_url, &call.model, quirks);
                }
                let secret = endpoint.secret.clone();
                let answering = Answering::new(answer.body, translate::decoder(dialect), secret);
                return Ok(answering.boxed());
            }
            let wait = retry::after(&answer, self.clock.now());
            let status = answer.status;
            let said = Said::of_body(&read_some(answer).await);
            match quirks::learn(status, &said, quirks) {
                Some(quirk) if lesson < LESSONS_MAX => quirks = quirks.with(quirk),
                _ => {
                    let secret = endpoint.secret.as_ref().map(Secret::reveal);
                    return Err(redact(said.fault(Some(status)), secret, wait));
                }
            }
        }
        Err(ModelFault::new(
            ModelFaultKind::Internal,
            "unreachable lesson",
        ))
    }

    async fn send(
        &self,
        dialect: Dialect,
        call: &ModelCall,
        quirks: Quirks,
        lesson: u32,
    ) -> Result<HttpAnswer, ModelFault> {
        let endpoint = &call.endpoint;
        let traits = Traits {
            official: is_official(&endpoint.base_url),
            quirks,
            ..self.table.traits(endpoint.kind, &call.model)
        };
        let outgoing = translate::request(dialect, &call.request, &call.model, &traits);
        let mut headers = outgoing.headers;
        let mut plain = |name: &str, value: String| {
            headers.push((name.to_owned(), HeaderValue::Plain(value)));
        };
        plain("content-type", "application/json".to_owned());
        plain("accept", "text/event-stream, application/json".to_owned());
        plain("user-agent", USER_AGENT.to_owned());
        plain("traceparent", call.trace.to_traceparent());
        // Another body is another request.
        let mut key = call.key.clone();
        if lesson > 0 {
            let _ = write!(key, "-{lesson}");
        }
        plain("idempotency-key", key);
        headers.extend(credential(dialect, endpoint));
        let request = HttpRequest {
            method: "POST",
            url: address(dialect, endpoint, outgoing.path),
            headers,
            body: Bytes::from(outgoing.body),
            trust: if endpoint.trusted {
                Trust::Operator
            } else {
                Trust::Tenant(call.tenant.clone())
            },
            connect_timeout: CONNECT_TIMEOUT,
            // A POST that moved is a base address to be mended.
            redirects_max: 0,
        };
        self.http
            .send(request)
            .await
            .map_err(|fault| unsent(&fault))
    }
}

fn credential(dialect: Dialect, endpoint: &Endpoint) -> Option<(String, HeaderValue)> {
    let secret = endpoint.secret.clone()?;
    let (name, prefix) = match dialect {
        Dialect::Anthropic => ("x-api-key", ""),
        Dialect::OpenaiChat | Dialect::OpenaiResponses => ("authorization", "Bearer "),
    };
    Some((name.to_owned(), HeaderValue::Secret(prefix, secret)))
}

/// Anthropic's base address is written with the version and without.
fn address(dialect: Dialect, endpoint: &Endpoint, path: &str) -> String {
    let base = endpoint.base_url.trim_end_matches('/');
    let base = match dialect {
        Dialect::Anthropic => base.strip_suffix("/v1").unwrap_or(base),
        Dialect::OpenaiChat | Dialect::OpenaiResponses => base,
    };
    format!("{base}{path}")
}

/// Whether a server is of those who wrote the protocol, so that it takes all of it.
fn is_official(base_url: &str) -> bool {
    let rest = base_url.strip_prefix("https://").unwrap_or_default();
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    ["api.openai.com", "api.anthropic.com"].contains(&host) || host.ends_with(".openai.azure.com")
}

fn unsent(fault: &HttpFault) -> ModelFault {
    let kind = match fault {
        HttpFault::Malformed(_) => ModelFaultKind::Invalid,
        HttpFault::Refused(_) => ModelFaultKind::Forbidden,
        HttpFault::Connect(_) | HttpFault::Broken(_) => ModelFaultKind::Network,
        HttpFault::ConnectTimeout => ModelFaultKind::Timeout,
    };
    ModelFault::new(kind, fault.to_string())
}

/// As much of an error's body as comes, within the bound.
async fn read_some(answer: HttpAnswer) -> Vec<u8> {
    let mut body = answer.body;
    let mut read = Vec::new();
    while let Some(Ok(piece)) = body.next().await {
        let room = ERROR_BYTES_MAX - read.len();
        read.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if piece.len() >= room {
            break;
        }
    }
    read
}

/// How the body is read: told from its first byte, not from its content type, which some get wrong.
#[derive(Debug)]
enum Mode {
    Unknown,
    Stream(Reader),
    Whole(Vec<u8>),
}

/// An answer that is being read.
struct Answering {
    body: Option<BoxStream<'static, Result<Bytes, HttpFault>>>,
    decoder: Box<dyn Decode>,
    mode: Mode,
    ready: Events,
    fault: Option<ModelFault>,
    secret: Option<Secret>,
    /// `Finished` has been given out.
    finished: bool,
    /// Bytes read after the end.
    rest_bytes: usize,
}

impl From<TooLarge> for Stopped {
    fn from(_: TooLarge) -> Self {
        let bound = sse::EVENT_BYTES_MAX;
        Self(ModelFault::new(
            ModelFaultKind::TooLarge,
            format!("a line or event of the answer has more than {bound} bytes"),
        ))
    }
}

/// What ends the reading of a piece.
struct Stopped(ModelFault);

impl Answering {
    fn new(
        body: BoxStream<'static, Result<Bytes, HttpFault>>,
        decoder: Box<dyn Decode>,
        secret: Option<Secret>,
    ) -> Self {
        Self {
            body: Some(body),
            decoder,
            mode: Mode::Unknown,
            ready: Events::with_capacity(8),
            fault: None,
            secret,
            finished: false,
            rest_bytes: 0,
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Stopped> {
        if matches!(self.mode, Mode::Unknown) {
            let Some(first) = piece.iter().find(|byte| !byte.is_ascii_whitespace()) else {
                return Ok(());
            };
            self.mode = match first {
                b'{' | b'[' => Mode::Whole(Vec::new()),
                _ => Mode::Stream(Reader::default()),
            };
        }
        let (decoder, ready) = (&mut self.decoder, &mut self.ready);
        match &mut self.mode {
            Mode::Unknown => Ok(()),
            Mode::Stream(reader) => {
                reader.feed(piece, |event| decoder.event(event, ready).map_err(Stopped))
            }
            Mode::Whole(body) => {
                if body.len() + piece.len() > REPLY_BYTES_MAX * 2 {
                    return Err(TooLarge.into());
                }
                body.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// The connection has ended, well or not.
    fn end(&mut self) -> Result<(), Stopped> {
        let (decoder, ready) = (&mut self.decoder, &mut self.ready);
        match &mut self.mode {
            Mode::Unknown => {}
            Mode::Stream(reader) => {
                return wire::finish(reader, &mut **decoder, ready).map_err(Stopped);
            }
            Mode::Whole(body) => decoder.whole(body, ready).map_err(Stopped)?,
        }
        if decoder.is_done() {
            return Ok(());
        }
        decoder.end(ready).map_err(Stopped)
    }

    fn fail(&mut self, Stopped(fault): Stopped) {
        self.body = None;
        let secret = self.secret.as_ref().map(Secret::reveal);
        self.fault = Some(redact(fault, secret, None));
    }

    /// One step of reading; `None` while nothing more can be read now.
    fn step(&mut self, cx: &mut Context<'_>) -> Option<()> {
        let polled = match self.body.as_mut()?.poll_next_unpin(cx) {
            Poll::Pending => return None,
            Poll::Ready(polled) => polled,
        };
        if self.decoder.is_done() {
            // What stands after the end means nothing; read, the connection can be used again.
            match polled {
                Some(Ok(piece)) if self.rest_bytes + piece.len() <= REST_BYTES_MAX => {
                    self.rest_bytes += piece.len();
                }
                _ => self.body = None,
            }
            return Some(());
        }
        let stepped = match polled {
            Some(Ok(piece)) => self.take(&piece),
            Some(Err(fault)) => {
                self.body = None;
                self.end()
                    .map_err(|_| Stopped(ModelFault::new(ModelFaultKind::Cut, fault.to_string())))
            }
            None => {
                self.body = None;
                self.end()
            }
        };
        if let Err(stopped) = stepped {
            self.fail(stopped);
        }
        Some(())
    }
}

impl Stream for Answering {
    type Item = Result<ModelEvent, ModelFault>;

    /// After [`ModelEvent::Finished`] it ends when the connection is free; who does not wait for that
    /// may drop it.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let is_last = this.ready.len() == 1 && this.decoder.is_done();
            // Most often the end of the connection is there with the end of the answer.
            if is_last && this.step(cx).is_some() {
                continue;
            }
            if let Some(event) = this.ready.pop_front() {
                this.finished |= matches!(event, ModelEvent::Finished(_));
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(fault) = this.fault.take().filter(|_| !this.finished) {
                return Poll::Ready(Some(Err(fault)));
            }
            if this.body.is_none() {
                return Poll::Ready(None);
            }
            if this.step(cx).is_none() {
                return Poll::Pending;
            }
        }
    }
}
