//! Serving: one listener, HTTP/1.1 and HTTP/2 (prior knowledge) on the same port, and an end that
//! lets requests finish.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use caxton_engine::task::Tasks;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use prometheus::IntGauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::gateway::Gateway;
use crate::metrics::DoorMetrics;
use crate::options::Options;
use crate::peer::Peer;
use crate::socket::Socket;
use crate::tls::{Tls, handshake};

/// The pause after the system could not give a connection: most often there are too many open
/// files, and asking again at once would only burn a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// HTTP/2 pings a silent connection this often, and drops it where nothing comes back.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Streams of one HTTP/2 connection that its client has reset and that are not yet forgotten; a client
/// that goes on opening and resetting is sent away (CVE-2023-44487).
const HTTP2_RESETS_PENDING_MAX: usize = 64;
/// Streams of one HTTP/2 connection that the client's own faults made us reset (CVE-2025-8671).
const HTTP2_RESETS_CAUSED_MAX: usize = 256;
/// HTTP/2's connection preface (RFC 9113, 3.4). Whoever has not sent as much after the time for a
/// head has not even said which protocol it speaks.
const PREFACE_BYTES: usize = 24;
/// How long a stream that is cut off has to say so.
const LAST_WORD: Duration = Duration::from_millis(500);
/// A body that arrives together with its head.
const SHORT_BODY_BYTES: u64 = 4 << 10;

impl Gateway {
    /// Serves until `shutdown` completes. Then readiness falls; after `shutdown_delay` nothing new is
    /// accepted, streams that have no end of their own end, and requests being answered, in a stream or
    /// whole, have `shutdown_grace` to finish; after that streams are told so, and the rest is dropped.
    /// Returns when the last has ended.
    ///
    /// # Errors
    /// Where the listener's own address cannot be told.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        self.api.listens_on(address);
        let options = self.api.options().clone();
        let tasks = Tasks::new();
        let door = Door {
            router: self.router(),
            builder: builder(&options, &tasks),
            header_timeout: options.header_timeout,
            metrics: self.metrics.clone(),
            tls: self.tls.clone(),
            tasks: tasks.clone(),
            kill: CancellationToken::new(),
        };
        if let Some(tls) = self.tls.clone() {
            self.api.shows(tls.clone());
            tasks.spawn_until_stop("TLS files", async move { tls.keep_fresh().await });
        }
        let places = Arc::new(Semaphore::new(options.connections_max));
        let mut shutdown = pin!(async {
            shutdown.await;
            self.api.make_unready();
            let clock = self.api.clock();
            let later = clock.now().plus(options.shutdown_delay);
            clock.sleep_until(later).await;
        });
        tracing::info!(%address, "listening");
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = accept(&listener, &places) => accepted,
            };
            match accepted {
                Ok((stream, address, place)) => {
                    let serving = door.clone().connection(stream, address);
                    let task = async move {
                        serving.await;
                        drop(place);
                    };
                    tasks.spawn("connection", task);
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    let clock = self.api.clock();
                    clock.sleep_until(clock.now().plus(ACCEPT_PAUSE)).await;
                }
            }
        }
        drop(listener);
        tracing::info!("shutting down");
        self.api.streams().stop();
        let clock = self.api.clock();
        let late = clock.sleep_until(clock.now().plus(options.shutdown_grace));
        let ended = async {
            tasks.stop().await;
            self.api.tasks().stop().await;
        };
        let mut ended = pin!(ended);
        tokio::select! {
            () = &mut ended => return Ok(()),
            () = late => {}
        }
        self.api.streams().cut();
        tokio::select! {
            () = &mut ended => return Ok(()),
            () = clock.sleep_until(clock.now().plus(LAST_WORD)) => {}
        }
        tracing::warn!(connections = tasks.running(), "requests are dropped");
        door.kill.cancel();
        tasks.stop().await;
        Ok(())
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // A place first: a connection that cannot be served waits in the system's queue.
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, place))
}

fn builder(options: &Options, tasks: &Tasks) -> Builder<Spawn> {
    let mut builder = Builder::new(Spawn(tasks.clone()));
    // Twice what is taken: a head that is a little too large gets an answer that says so.
    let room = options.headers_bytes_max.saturating_mul(2);
    let bytes = usize::try_from(room).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(bytes)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.http2_streams_max)
        .max_header_list_size(room)
        .max_pending_accept_reset_streams(HTTP2_RESETS_PENDING_MAX)
        .max_local_error_reset_streams(HTTP2_RESETS_CAUSED_MAX)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

/// What a connection needs.
#[derive(Clone)]
struct Door {
    router: Router,
    builder: Builder<Spawn>,
    header_timeout: Duration,
    metrics: DoorMetrics,
    tls: Option<Tls>,
    tasks: Tasks,
    kill: CancellationToken,
}

impl Door {
    async fn connection(self, stream: TcpStream, address: SocketAddr) {
        // Small answers must not wait for larger ones.
        let _ = stream.set_nodelay(true);
        self.metrics.connections.inc();
        let _open = Open(self.metrics.connections.clone());
        let mut peer = Peer {
            address,
            tls: self.tls.is_some(),
            identity: None,
        };
        let Some(tls) = self.tls.clone() else {
            return Box::pin(self.http(stream, peer)).await;
        };
        let shaken = tokio::select! {
            shaken = timeout(self.header_timeout, handshake::shake(&tls, stream)) => shaken,
            () = self.tasks.stopped() => return,
        };
        match shaken {
            Ok(Ok((stream, identity))) => {
                peer.identity = identity;
                Box::pin(self.http(stream, peer)).await;
            }
            Ok(Err(error)) => {
                self.metrics.handshakes_failed.inc();
                tracing::debug!(%address, %error, "a TLS handshake failed");
            }
            Err(_) => self.metrics.handshakes_failed.inc(),
        }
    }

    /// Speaks HTTP on a connection, until it ends.
    async fn http<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (stream, watch) = Socket::new(stream);
        let service = self.router.clone();
        let refused = watch.clone();
        let service = tower::service_fn(move |request: http::Request<Incoming>| {
            let closes = may_leave_a_body(&request);
            let is_http1 = request.version() < http::Version::HTTP_2;
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            let (service, refused) = (service.clone(), refused.clone());
            async move {
                let mut response = service.oneshot(request).await.unwrap_or_else(never);
                if closes && response.status().is_client_error() {
                    refused.linger();
                    if is_http1 {
                        let close = http::HeaderValue::from_static("close");
                        response
                            .headers_mut()
                            .insert(http::header::CONNECTION, close);
                    }
                }
                Ok::<_, Infallible>(response)
            }
        });
        let service = TowerToHyperService::new(service);
        let serving = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        let mut silent = pin!(tokio::time::sleep(self.header_timeout));
        let (mut looked, mut closing) = (false, false);
        loop {
            tokio::select! {
                // Errors here are the client's: it went away or spoke no HTTP.
                _ = &mut serving => return,
                () = self.kill.cancelled() => return,
                () = self.tasks.stopped(), if !closing => {
                    closing = true;
                    serving.as_mut().graceful_shutdown();
                }
                () = &mut silent, if !looked => {
                    looked = true;
                    if watch.bytes_read() < PREFACE_BYTES {
                        return;
                    }
                }
            }
        }
    }
}

/// Whether a refusal may come before the request's body is read: hyper then closes the connection, and
/// a client that was not told would send its next request into it. What is short is read in any case.
fn may_leave_a_body(request: &http::Request<Incoming>) -> bool {
    use hyper::body::Body as _;
    let bytes = request.body().size_hint().upper();
    bytes.is_none_or(|bytes| bytes > SHORT_BODY_BYTES)
}

fn never<T>(never: Infallible) -> T {
    match never {}
}

/// An open connection, for the gauge.
struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// hyper's tasks, in the family of the connections.
#[derive(Clone)]
pub(crate) struct Spawn(pub(crate) Tasks);

impl<F> hyper::rt::Executor<F> for Spawn
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.0.spawn("http2 stream", async move {
            let _ = task.await;
        });
    }
}
