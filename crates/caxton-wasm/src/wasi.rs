//! WASI 0.2 for the guests whose language needs it, locked down: no files, no arguments, no
//! environment, no network, an empty input. What is printed becomes lines of the agent's log. Clocks
//! and random bytes are the engine's, as those of `caxton:agent` are.
//!
//! The interfaces that would give files or sockets are offered all the same, because the standard
//! libraries of Go, Python and JavaScript import them; what they answer is that there are none.
//!
//! **Charging.** wasmtime-wasi's functions know nothing of fuel. Every return from the host is charged
//! the flat price of a call and what the call did besides, as far as it passed through what is ours:
//! printed bytes and lines, random words ([`Tab`]). The two functions that take lists or strings of any
//! length without passing through it are replaced by ones that charge by length.

use crate::guest::Guest;
use crate::meter::{
    EFFECT_CALL_FUEL, POLLED_FUEL, RANDOM_WORD_FUEL, WASI_CALL_FUEL, charge, with_bytes,
};
use bytes::Bytes;
use caxton_core::Timestamp;
use caxton_engine::host::LogLevel;
use caxton_engine::port::{Clock, Entropy};
use parking_lot::Mutex;
use rand::TryRng;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime::{CallHook, CallHookHandler, Store, StoreContextMut};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::io::poll::Host as _;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::ErrorCode;
use wasmtime_wasi::p2::{DynPollable, Network, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

/// Handles (streams, pollables) one instance may have.
const RESOURCES_MAX: usize = 1024;
/// Random bytes of one WASI call: more trap. Language runtimes ask for 2.5 KB at most.
const RANDOM_BYTES_MAX: u64 = 4096;
/// Longest printed line kept before it is cut into two.
const LINE_BYTES_MAX: usize = 16 << 10;
/// Printed bytes kept until the next look at them; the rest is dropped and counted.
const PRINTED_BYTES_MAX: usize = 256 << 10;
/// What a stream offers to take in one write.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// An instance's WASI.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    printed: Arc<Mutex<Printed>>,
    tab: Tab,
}

/// Fuel that WASI's functions owe for what they did, until the call returns and is charged: they have
/// no store to charge it to.
#[derive(Clone, Default)]
struct Tab(Arc<AtomicU64>);

impl Tab {
    fn add(&self, fuel: u64) {
        // One fiber at a time runs an instance, so nothing is lost between the two.
        let owed = self.0.load(Ordering::Relaxed);
        self.0.store(owed.saturating_add(fuel), Ordering::Relaxed);
    }

    fn settle(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// The engine's ports that WASI shows to guests.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Wasi {
    fn new(ports: &Ports) -> Self {
        let printed = Arc::new(Mutex::new(Printed::default()));
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let tab = Tab::default();
        let output = |level| Output {
            printed: Arc::clone(&printed),
            tab: tab.clone(),
            level,
        };
        let random = || Random {
            entropy: Arc::clone(&ports.entropy),
            tab: tab.clone(),
        };
        // The builder begins with nothing: no directory, argument or variable, closed input.
        let ctx = WasiCtx::builder()
            .stdout(output(LogLevel::Info))
            .stderr(output(LogLevel::Warn))
            .wall_clock(WallClock(Arc::clone(&ports.clock)))
            .monotonic_clock(MonotonicClock::new(Arc::clone(&ports.clock)))
            .secure_random(random())
            .insecure_random(random())
            .insecure_random_seed(seed(&*ports.entropy))
            .max_random_size(RANDOM_BYTES_MAX)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        Self {
            ctx,
            table,
            printed,
            tab,
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ports = &self.wasi_ports;
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::new(ports)));
        WasiCtxView {
            ctx: &mut wasi.ctx,
            table: &mut wasi.table,
        }
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    linker.instance("wasi:io/poll@0.2.12")?.func_wrap_async(
        "poll",
        |mut store, (pollables,): (Vec<Resource<DynPollable>>,)| {
            Box::new(async move {
                let fuel = POLLED_FUEL.saturating_mul(pollables.len() as u64);
                charge(&mut store, fuel).await?;
                Ok((store.data_mut().ctx().table.poll(pollables).await?,))
            })
        },
    )?;
    linker
        .instance("wasi:sockets/ip-name-lookup@0.2.12")?
        .func_wrap_async("resolve-addresses", |mut store, asked: Asked| {
            Box::new(async move {
                charge(&mut store, with_bytes(0, asked.1.len())).await?;
                Ok((Err::<Resource<ResolveAddressStream>, _>(
                    ErrorCode::PermanentResolverFailure,
                ),))
            })
        })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What `resolve-addresses` is asked; no name is ever looked up.
type Asked = (Resource<Network>, String);

/// Charges every call of a guest that has WASI, and yields when it is time to.
pub(crate) fn charge_calls(store: &mut Store<Guest>) {
    store.call_hook_async(Charging);
}

struct Charging;

#[async_trait::async_trait]
impl CallHookHandler<Guest> for Charging {
    async fn handle_call_event(
        &self,
        mut store: StoreContextMut<'_, Guest>,
        hook: CallHook,
    ) -> wasmtime::Result<()> {
        match hook {
            CallHook::ReturningFromHost => {
                let wasi = store.data().wasi.as_ref();
                let owed = wasi.map_or(0, |wasi| wasi.tab.settle());
                charge(&mut store, WASI_CALL_FUEL.saturating_add(owed)).await
            }
            CallHook::CallingHost | CallHook::CallingWasm | CallHook::ReturningFromWasm => Ok(()),
        }
    }
}

/// Moves finished lines to the agent's log.
pub(crate) fn flush_lines(guest: &mut Guest) {
    flush(guest, false);
}

/// Moves all that was printed to the agent's log: the message is handled.
pub(crate) fn flush_all(guest: &mut Guest) {
    flush(guest, true);
}

fn flush(guest: &mut Guest, all: bool) {
    let Some(wasi) = guest.wasi.as_ref() else {
        return;
    };
    let (lines, dropped) = wasi.printed.lock().take(all);
    for (level, line) in lines {
        guest.log(level, &String::from_utf8_lossy(&line));
    }
    if dropped > 0 {
        guest.log(
            LogLevel::Warn,
            &format!("{dropped} printed bytes dropped: more than {PRINTED_BYTES_MAX} at once"),
        );
    }
}

/// The engine's clock shows microseconds.
const CLOCK_RESOLUTION: Duration = Duration::from_micros(1);

struct WallClock(Arc<dyn Clock>);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        CLOCK_RESOLUTION
    }

    fn now(&self) -> Duration {
        self.0.now().since(Timestamp::EPOCH)
    }
}

/// Time since this instance first asked, by the engine's clock; never backwards, whatever that clock
/// does. What is slept on is tokio's time all the same, which tests pause.
struct MonotonicClock {
    clock: Arc<dyn Clock>,
    begun: Timestamp,
    latest_ns: AtomicU64,
}

impl MonotonicClock {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let begun = clock.now();
        Self {
            clock,
            begun,
            latest_ns: AtomicU64::new(0),
        }
    }
}

impl HostMonotonicClock for MonotonicClock {
    fn resolution(&self) -> u64 {
        CLOCK_RESOLUTION.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        let since = self.clock.now().since(self.begun).as_nanos();
        let now = u64::try_from(since).unwrap_or(u64::MAX);
        self.latest_ns.fetch_max(now, Ordering::Relaxed).max(now)
    }
}

/// The engine's entropy as WASI's generator.
struct Random {
    entropy: Arc<dyn Entropy>,
    tab: Tab,
}

impl Random {
    fn fill<const BYTES: usize>(&self) -> [u8; BYTES] {
        self.tab.add(RANDOM_WORD_FUEL);
        let mut bytes = [0; BYTES];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.fill()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.fill()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.tab.add(with_bytes(RANDOM_WORD_FUEL, bytes.len()));
        self.entropy.fill(bytes);
        Ok(())
    }
}

fn seed(entropy: &dyn Entropy) -> u128 {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    u128::from_le_bytes(bytes)
}

/// Printed and not yet in the log.
#[derive(Default)]
struct Printed {
    lines: VecDeque<(LogLevel, Vec<u8>)>,
    /// Unfinished lines of output and error output.
    open: [Vec<u8>; 2],
    bytes: usize,
    dropped: usize,
}

impl Printed {
    /// Keeps what there is room for; the lines it finished.
    fn write(&mut self, level: LogLevel, mut text: &[u8]) -> usize {
        let room = PRINTED_BYTES_MAX.saturating_sub(self.bytes);
        if text.len() > room {
            self.dropped += text.len() - room;
            text = text.get(..room).unwrap_or_default();
        }
        self.bytes += text.len();
        let before = self.lines.len();
        let [out, err] = &mut self.open;
        let open = if level == LogLevel::Info { out } else { err };
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            open.extend_from_slice(piece);
            if open.last() == Some(&b'\n') {
                open.pop();
                self.lines.push_back((level, std::mem::take(open)));
            } else if open.len() >= LINE_BYTES_MAX {
                self.lines.push_back((level, std::mem::take(open)));
            }
        }
        self.lines.len() - before
    }

    fn take(&mut self, all: bool) -> (VecDeque<(LogLevel, Vec<u8>)>, usize) {
        let mut lines = std::mem::take(&mut self.lines);
        if all {
            for (open, level) in self.open.iter_mut().zip([LogLevel::Info, LogLevel::Warn]) {
                if !open.is_empty() {
                    lines.push_back((level, std::mem::take(open)));
                }
            }
        }
        self.bytes = self.open.iter().map(Vec::len).sum();
        (lines, std::mem::take(&mut self.dropped))
    }
}

/// Standard output or error output.
#[derive(Clone)]
struct Output {
    printed: Arc<Mutex<Printed>>,
    tab: Tab,
    level: LogLevel,
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for it, which is not linked.
        Box::new(tokio::io::sink())
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES_MAX {
            return Err(StreamError::trap("wrote more than the stream offered"));
        }
        let lines = self.printed.lock().write(self.level, &bytes);
        let fuel = EFFECT_CALL_FUEL.saturating_mul(lines as u64);
        self.tab.add(with_bytes(fuel, bytes.len()));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}
