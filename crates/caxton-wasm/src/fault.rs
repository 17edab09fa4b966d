//! From what wasmtime says went wrong to a [`Fault`] that tells an agent's author what to do.

use crate::guest::Guest;
use crate::meter::Late;
use caxton_core::error::Error;
use caxton_engine::port::Fault;
use caxton_engine::port::behavior::FaultKind;
use std::fmt::Write;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Innermost functions a fault names.
const FRAMES_MAX: usize = 5;

/// Why a guest's call ended without an answer.
pub(crate) fn of_error(error: &wasmtime::Error, guest: &Guest) -> Fault {
    let limits = &guest.limits;
    let place = place(error);
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Fault::new(FaultKind::Trap, format!("called exit({}){place}", exit.0));
    }
    if let Some(fault) = of_crowd(error) {
        return fault;
    }
    // Of the server, which stops.
    if let Some(error) = error.downcast_ref::<Error>() {
        return Fault::new(FaultKind::Internal, error.to_string());
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        return Fault::new(
            FaultKind::Fuel,
            format!(
                "used all of its fuel: fuel_per_message_max is {}{place}",
                limits.fuel_per_message_max
            ),
        );
    }
    let what = trap.map_or_else(|| format!("{:#}", error.root_cause()), ToString::to_string);
    match guest.limiter.refused {
        Some("memory_bytes_max") => Fault::new(
            FaultKind::Memory,
            format!(
                "was refused memory past memory_bytes_max ({} bytes), then: {what}{place}",
                limits.memory_bytes_max
            ),
        ),
        Some(limit) => Fault::new(
            FaultKind::Memory,
            format!("was refused growth past {limit}, then: {what}{place}"),
        ),
        None => Fault::new(FaultKind::Trap, format!("{what}{place}")),
    }
}

/// No place for an instance: the pool is full, or the machine gives no more mappings.
fn of_crowd(error: &wasmtime::Error) -> Option<Fault> {
    let overload = |detail| Some(Fault::new(FaultKind::Overload, detail));
    if error.is::<PoolConcurrencyLimitError>() {
        return overload(format!(
            "the server has as many live instances as it may: {error}"
        ));
    }
    if is_out_of_memory(error) {
        return overload(format!(
            "the machine gives no memory or no mappings (vm.max_map_count) for an instance: {error:#}"
        ));
    }
    None
}

/// What the system answered to a call of the server's own; a guest's memory has limits before that.
fn is_out_of_memory(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        let system = cause.downcast_ref::<std::io::Error>();
        let errno = cause.downcast_ref::<rustix::io::Errno>();
        system.is_some_and(|error| error.kind() == std::io::ErrorKind::OutOfMemory)
            || errno.is_some_and(|errno| *errno == rustix::io::Errno::NOMEM)
    })
}

/// Why a guest's call was given up on.
pub(crate) fn of_late(late: Late, guest: &Guest) -> Fault {
    let limits = &guest.limits;
    let detail = match late {
        Late::Busy => format!(
            "kept a processor for more than handle_timeout_ms_max ({} ms)",
            limits.handle_timeout_ms_max
        ),
        Late::Whole => format!(
            "neither answered nor computed: waited for longer than wait_timeout_ms_max ({} ms) allows",
            limits.wait_timeout_ms_max
        ),
    };
    Fault::new(FaultKind::Timeout, detail)
}

/// The same fault, met while starting.
pub(crate) fn while_starting(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Overload | FaultKind::Internal | FaultKind::Init => fault,
        FaultKind::Handler => {
            Fault::new(FaultKind::Init, format!("init answered: {}", fault.detail))
        }
        kind => Fault::new(
            FaultKind::Init,
            format!("{} while starting: {}", kind.as_str(), fault.detail),
        ),
    }
}

/// ` in a < b < c`, innermost first, where the component still has its names.
fn place(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return text;
    };
    for (index, frame) in backtrace.frames().iter().take(FRAMES_MAX).enumerate() {
        text.push_str(if index == 0 { " in " } else { " < " });
        // Writing to a `String` cannot fail.
        let _ = match frame.func_name() {
            Some(name) => write!(text, "{:#}", rustc_demangle::demangle(name)),
            None => write!(text, "function {}", frame.func_index()),
        };
    }
    text
}
