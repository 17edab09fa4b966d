//! Metering: what computing costs, what calls to the host cost, and how long a guest may keep its
//! processor.
//!
//! **Fuel** is the bound on computing. wasmtime counts about one unit an instruction, and bulk
//! operations by their length ([`operator_cost`]), so it is exact and the same on every machine.
//! Calls to the host are charged here.
//!
//! **Yielding.** Every `fuel_yield` units the guest's fiber is suspended and its future returns
//! `Pending` after it has woken itself, so that its neighbours on the same thread get their turn.
//! Changing a store's fuel begins a new interval, so a guest that does nothing but call the host
//! would never yield by itself; [`charge`] counts what was used since the last yield and yields.
//!
//! **Busy time** ([`Busy`]) is the bound on wall time. Since no poll of a guest's future is longer
//! than one interval, it is enough to add up the processor time spent inside `poll` and to drop the
//! future once the sum has passed the limit. Compared with wasmtime's epochs this needs no second
//! check at every loop and function entry (17 % on call-heavy guests), no thread that ticks, counts
//! neither the time a guest waits for an answer nor the time its thread waits for a processor, and
//! is off by one interval at most. One bulk operation cannot be cut: it may overrun the interval by
//! the time that one pass over `memory_bytes_max` takes (measured at 64 MiB: 3 ms, and 40 to 100 ms
//! when every page is touched for the first time, once in an instance's life).

use crate::guest::Guest;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use wasmtime::{OperatorCost, StoreContextMut, Trap};

/// Fuel of a call that only reads what the host has at hand (the time, the own name): some 100 to
/// 200 ns, at about 0.4 ns a unit.
pub(crate) const LIGHT_CALL_FUEL: u64 = 400;
/// Fuel of a call that does something (send, log, write, ask the store): validation, an id, some
/// allocations and the later commit; 1 µs and more.
pub(crate) const EFFECT_CALL_FUEL: u64 = 2_000;
/// Fuel of any call of a guest that has WASI, what it does apart.
pub(crate) const WASI_CALL_FUEL: u64 = 1_000;
/// Fuel of each entry of a list that WASI polls: a look at the table, and for a sleep an entry among
/// the timers.
pub(crate) const POLLED_FUEL: u64 = 500;
/// Fuel of each word that WASI draws, one a byte where a guest asks for bytes: 10 to 20 ns.
pub(crate) const RANDOM_WORD_FUEL: u64 = 50;
/// Fuel of one random byte: ChaCha12 makes about one in 0.5 ns.
pub(crate) const RANDOM_BYTE_FUEL: u64 = 2;
/// Bytes that cross the boundary for one unit: copying out, checking UTF-8 and freeing take about
/// 0.1 ns a byte.
pub(crate) const BYTES_PER_FUEL: u64 = 4;

/// The yield interval of a component composed of several with code of their own. A string that
/// passes between two of them is copied by wasmtime without fuel, so a guest that does nothing else
/// gets about 40 units of fuel for copying half of its memory (32 MiB: 6 ms). At this interval that is
/// 250 copies, or 1.6 s, before it yields and its time is seen; at the ordinary interval 30 s.
pub(crate) const COMPOSED_FUEL_YIELD: u64 = 10_000;

/// Flat fuel of `memory.grow` and `table.grow`: a call into the host that changes mappings.
const GROW_FUEL: u8 = 255;
/// Fuel of each page (64 KiB) a memory grows by; its first touch costs 16 page faults besides, which
/// nobody counts, but which `memory_bytes_max` bounds.
const GROW_PAGE_FUEL: u8 = 255;

/// Fuel of a call with this many bytes going in or out.
pub(crate) fn with_bytes(base: u64, bytes: usize) -> u64 {
    base.saturating_add(bytes as u64 / BYTES_PER_FUEL)
}

/// The price of each instruction: wasmtime's own (one unit; none for what generates no code; one a
/// byte or element of a bulk operation), and growing made dearer. Part of compiled code.
pub(crate) fn operator_cost() -> OperatorCost {
    let mut cost = OperatorCost::new();
    cost.MemoryGrow = GROW_FUEL;
    cost.TableGrow = GROW_FUEL;
    cost.variable.memory_grow_per_page = GROW_PAGE_FUEL;
    cost
}

/// A store's account.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Fuel left when it was last set.
    mark: u64,
    /// Used since this guest last yielded in [`charge`].
    unyielded: u64,
    /// Charged by functions that cannot yield and so must not begin a new interval; settled by the
    /// next [`charge`].
    debt: u64,
    fuel_yield: u64,
}

impl Meter {
    pub(crate) fn new(fuel_yield: u64) -> Self {
        Self {
            mark: 0,
            unyielded: 0,
            debt: 0,
            fuel_yield,
        }
    }

    pub(crate) fn fuel_yield(&self) -> u64 {
        self.fuel_yield
    }

    /// What is charged and not settled yet.
    pub(crate) fn debt(&self) -> u64 {
        self.debt
    }

    /// A message (or `init`) begins with this much fuel.
    pub(crate) fn begin(&mut self, fuel: u64) {
        self.mark = fuel;
        self.unyielded = 0;
        self.debt = 0;
    }
}

/// Charges a host call, and yields when it is time to.
pub(crate) async fn charge(
    store: &mut StoreContextMut<'_, Guest>,
    fuel: u64,
) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    let meter = &mut store.data_mut().meter;
    let fuel = fuel.saturating_add(std::mem::take(&mut meter.debt));
    let Some(after) = left.checked_sub(fuel) else {
        return Err(Trap::OutOfFuel.into());
    };
    meter.unyielded += meter.mark.saturating_sub(after);
    meter.mark = after;
    let due = meter.unyielded >= meter.fuel_yield;
    if due {
        meter.unyielded = 0;
    }
    store.set_fuel(after)?;
    if due {
        YieldOnce(false).await;
    }
    Ok(())
}

/// Charges a host call that cannot yield. What a guest can do this way between two yields of its own
/// is bounded: each such call takes it at least a few instructions.
pub(crate) fn charge_light(
    store: &mut StoreContextMut<'_, Guest>,
    fuel: u64,
) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    let meter = &mut store.data_mut().meter;
    meter.debt = meter.debt.saturating_add(fuel);
    if meter.debt > left {
        return Err(Trap::OutOfFuel.into());
    }
    Ok(())
}

/// `Pending` once, woken at once. Not tokio's: the sandbox does not care what polls it.
struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A guest's call, ended when it has kept processors for longer than `busy_max`, or when the whole
/// of it, waiting included, lasted longer than `whole_max`.
///
/// The first poll is not timed: it is at most one interval long, nearly every message is handled
/// within it, and reading the processor's clock twice would cost a tenth of such a message.
pub(crate) struct Busy<F> {
    call: F,
    polled: bool,
    busy: Duration,
    busy_max: Duration,
    /// Set by the first `Pending`. The host bounds its own waiting; this bounds WASI's.
    whole: Option<Pin<Box<tokio::time::Sleep>>>,
    whole_max: Duration,
}

/// Which limit a call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    Busy,
    Whole,
}

impl<F> Busy<F> {
    pub(crate) fn new(call: F, busy_max: Duration, wait_max: Duration) -> Self {
        Self {
            call,
            polled: false,
            busy: Duration::ZERO,
            busy_max,
            whole: None,
            whole_max: wait_max
                .saturating_add(busy_max)
                .saturating_mul(WHOLE_SLACK),
        }
    }
}

/// How much longer than its limits added together a call may last before it is given up on: on a
/// machine with more guests than processors, being ready is not being run.
const WHOLE_SLACK: u32 = 2;

impl<F: Future + Unpin> Future for Busy<F> {
    type Output = Result<F::Output, Late>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let begun = this.polled.then(thread_time);
        this.polled = true;
        if let Poll::Ready(output) = Pin::new(&mut this.call).poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if let Some(begun) = begun {
            this.busy += thread_time().saturating_sub(begun);
            if this.busy > this.busy_max {
                return Poll::Ready(Err(Late::Busy));
            }
        }
        let whole_max = this.whole_max;
        let whole = this
            .whole
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(whole_max)));
        match whole.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Late::Whole)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The processor time this thread has used.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
