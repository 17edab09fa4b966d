//! Validation proper, with the features of the profile; and when that refuses, which feature it was.

use super::unreadable;
use caxton_core::error::{Code, Error};
use caxton_core::manifest::SandboxProfile;
use wasmparser::{Validator, WasmFeatures};

/// What both profiles have: the first edition of WebAssembly, the component model, and what every
/// toolchain emits whether asked or not. `GC_TYPES` is the parser's name for all references but those
/// to functions.
const STRICT: WasmFeatures = WasmFeatures::WASM1
    .difference(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// What the default profile adds.
const DEFAULT: WasmFeatures = STRICT
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::BULK_MEMORY);

/// A feature that is switched off somewhere, what it is called, and what to do about it.
struct Off(WasmFeatures, &'static str, &'static str);

/// The default profile has these.
const OFF_IN_STRICT: &[Off] = &[
    Off(
        WasmFeatures::BULK_MEMORY,
        "bulk memory",
        "compile without it (Rust: -Ctarget-cpu=mvp), or choose the profile `default`; JavaScript, \
         Python and Go need `default`",
    ),
    Off(
        WasmFeatures::REFERENCE_TYPES,
        "reference types",
        "compile without them (Rust: -Ctarget-cpu=mvp), or choose the profile `default`; \
         JavaScript, Python and Go need `default`",
    ),
];

/// No profile has these. Together with what the profiles have they contradict each other nowhere.
const OFF: &[Off] = &[
    Off(
        WasmFeatures::RELAXED_SIMD,
        "relaxed SIMD",
        "compile without -mrelaxed-simd",
    ),
    Off(
        WasmFeatures::SIMD,
        "SIMD",
        "compile without -msimd128 (Rust: -Ctarget-feature=-simd128)",
    ),
    Off(
        WasmFeatures::THREADS,
        "threads (shared memory, atomics)",
        "compile without -pthread and atomics",
    ),
    Off(WasmFeatures::MEMORY64, "memory64", "compile for wasm32"),
    Off(
        WasmFeatures::MULTI_MEMORY,
        "multi-memory",
        "use one memory a module",
    ),
    Off(
        WasmFeatures::TAIL_CALL,
        "tail calls",
        "compile without -mtail-call",
    ),
    Off(
        WasmFeatures::EXCEPTIONS,
        "exceptions",
        "compile without exceptions",
    ),
    Off(WasmFeatures::GC, "GC", "compile for linear memory"),
    Off(
        WasmFeatures::FUNCTION_REFERENCES,
        "typed function references",
        "compile without them",
    ),
    Off(
        WasmFeatures::GC_TYPES,
        "references to host values (externref)",
        "pass handles as numbers",
    ),
    Off(
        WasmFeatures::CUSTOM_PAGE_SIZES,
        "custom page sizes",
        "use pages of 64 KiB",
    ),
    Off(
        WasmFeatures::WIDE_ARITHMETIC,
        "wide arithmetic",
        "compile without -mwide-arithmetic",
    ),
    Off(
        WasmFeatures::CM_ASYNC,
        "the component model's async (WASI 0.3)",
        "build synchronous exports and target WASI 0.2 (componentize-qjs: --sync)",
    ),
    Off(
        WasmFeatures::CM_THREADING,
        "the component model's threads",
        "compile without them",
    ),
    Off(
        WasmFeatures::CM_ERROR_CONTEXT,
        "error contexts",
        "target WASI 0.2",
    ),
    Off(
        WasmFeatures::CM_FIXED_LENGTH_LISTS,
        "fixed-length lists",
        "use lists",
    ),
];

/// Nor these, which are drafts, or replaced by others: each changes what some bytes mean, so they are
/// tried one by one.
const OFF_DRAFTS: &[Off] = &[
    Off(
        WasmFeatures::LEGACY_EXCEPTIONS,
        "exceptions (legacy)",
        "compile without exceptions",
    ),
    Off(
        WasmFeatures::STACK_SWITCHING,
        "stack switching",
        "compile without it",
    ),
    Off(
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        "shared-everything threads",
        "compile without it",
    ),
    Off(
        WasmFeatures::MEMORY_CONTROL,
        "memory control",
        "compile without it",
    ),
    Off(
        WasmFeatures::CUSTOM_DESCRIPTORS,
        "custom descriptors",
        "compile without them",
    ),
    Off(WasmFeatures::CM_VALUES, "component values", "use functions"),
];

pub(super) fn check(component: &[u8], profile: SandboxProfile) -> Result<(), Error> {
    let on = match profile {
        SandboxProfile::Default => DEFAULT,
        SandboxProfile::Strict => STRICT,
    };
    if validate(component, on).is_ok() {
        return Ok(());
    }
    let Off(_, name, cure) = missing(component, profile).map_err(|error| unreadable(&error))?;
    Err(Error::new(
        Code::ComponentFeature,
        format!(
            "it uses {name}, which the profile `{}` switches off: {cure}",
            profile.as_str()
        ),
    ))
}

/// The feature that a refused component lacks; or what is wrong with it whatever it has.
fn missing(component: &[u8], profile: SandboxProfile) -> wasmparser::Result<&'static Off> {
    let strict = match profile {
        SandboxProfile::Default => &[][..],
        SandboxProfile::Strict => OFF_IN_STRICT,
    };
    let off = || OFF.iter().chain(strict);
    let most = OFF.iter().fold(DEFAULT, |most, off| most.union(off.0));
    if let Err(error) = validate(component, most) {
        return OFF_DRAFTS
            .iter()
            .find(|draft| validate(component, most.union(draft.0)).is_ok())
            .ok_or(error);
    }
    // One without which it is not sound any more; where two do the same, the one taken away last.
    if let Some(off) = off().find(|off| validate(component, most.difference(off.0)).is_err()) {
        return Ok(off);
    }
    let mut without = most;
    for off in off() {
        without = without.difference(off.0);
        if validate(component, without).is_err() {
            return Ok(off);
        }
    }
    validate(component, without).map(|()| &OTHER)
}

/// Never met: taking all of them away is the profile that refused.
const OTHER: Off = Off(WasmFeatures::empty(), "a feature", "compile without it");

fn validate(component: &[u8], on: WasmFeatures) -> wasmparser::Result<()> {
    Validator::new_with_features(on)
        .validate_all(component)
        .map(drop)
}
