//! Components that must be refused before anything compiles them, each with its code and its cure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::error::{Code, Error};
use caxton_core::manifest::SandboxProfile;
use caxton_core::quota::Limits;
use caxton_wasm::validate::{Bounds, check};
use support::{example, ts_echo};

const BEHAVIOR: &str = "caxton:agent/behavior@1.0.0";

const BOUNDS: Bounds = Bounds {
    component_bytes_max: 64 << 20,
    functions_max: 50_000,
};

fn refused(component: &[u8], profile: SandboxProfile) -> Error {
    check(component, profile, &BOUNDS).expect_err("was accepted")
}

/// A component around a core module's text, without exports.
fn around(module: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {module}))")).unwrap()
}

#[test]
fn the_shipped_examples_pass() {
    for name in ["echo", "counter", "misbehave", "probe", "trespass"] {
        let shape = check(&example(name), SandboxProfile::Default, &BOUNDS)
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(!shape.composed, "{name}");
    }
}

#[test]
#[ignore = "needs ts-echo"]
fn an_example_of_another_language_passes() {
    let shape = check(&ts_echo(), SandboxProfile::Default, &BOUNDS).unwrap();
    // JavaScript's tools put stubs of WASI beside the guest, as a component of their own.
    assert!(shape.composed);
}

#[test]
fn what_is_not_a_component_is_told_what_it_is() {
    for (bytes, code) in [
        (&b""[..], Code::ComponentMalformed),
        (b"hello", Code::ComponentMalformed),
        (b"\0asm", Code::ComponentMalformed),
        (b"\0asm\x01\0\0\0", Code::ComponentIsModule),
        (b"\0asm\x0d\0\x01", Code::ComponentMalformed),
        (b"\x7fELF\x02\x01\x01\0", Code::ComponentMalformed),
    ] {
        assert_eq!(
            refused(bytes, SandboxProfile::Default).code,
            code,
            "{bytes:?}"
        );
    }
}

#[test]
fn a_component_cut_off_anywhere_is_malformed_or_of_another_world() {
    let whole = example("echo");
    for end in (8..whole.len()).step_by(97) {
        let error = refused(&whole[..end], SandboxProfile::Default);
        assert!(
            matches!(error.code, Code::ComponentMalformed | Code::ComponentWorld),
            "{end}: {error:?}"
        );
    }
}

#[test]
fn each_feature_that_is_off_is_named_with_its_cure() {
    let cases = [
        ("(func (result v128) (v128.const i32x4 0 0 0 0))", "SIMD"),
        (
            "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))",
            "SIMD",
        ),
        ("(memory 1 1 shared)", "threads"),
        ("(memory i64 1)", "memory64"),
        ("(memory 1) (memory 1)", "multi-memory"),
        ("(func $f (return_call $f))", "tail calls"),
        ("(tag)", "exceptions"),
        ("(type (struct (field i32)))", "GC"),
        ("(table 1 externref)", "externref"),
        (
            "(func (param i64 i64 i64 i64) (result i64 i64) (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
            "wide arithmetic",
        ),
        ("(memory 1 (pagesize 1))", "custom page sizes"),
    ];
    for (module, feature) in cases {
        for profile in [SandboxProfile::Default, SandboxProfile::Strict] {
            let error = refused(&around(module), profile);
            assert_eq!(error.code, Code::ComponentFeature, "{module}: {error:?}");
            assert!(error.detail.contains(feature), "{module}: {}", error.detail);
            assert!(error.detail.contains(profile.as_str()), "{}", error.detail);
        }
    }
}

#[test]
fn the_strict_profile_has_neither_bulk_memory_nor_reference_types() {
    let cases = [
        (
            "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 9)))",
            "bulk memory",
        ),
        (
            "(memory 1) (data \"x\") (func (data.drop 0))",
            "bulk memory",
        ),
        (
            "(table 1 funcref) (func (drop (table.size 0)))",
            "reference types",
        ),
        ("(func (drop (ref.null func)))", "reference types"),
    ];
    for (module, feature) in cases {
        let component = around(module);
        // The default profile finds nothing wrong but that nothing is exported.
        assert_eq!(
            refused(&component, SandboxProfile::Default).code,
            Code::ComponentWorld
        );
        let error = refused(&component, SandboxProfile::Strict);
        assert_eq!(error.code, Code::ComponentFeature, "{module}");
        assert!(error.detail.contains(feature), "{module}: {}", error.detail);
        assert!(error.detail.contains("`default`"), "{}", error.detail);
    }
}

#[test]
fn every_bound_is_named() {
    let functions = "(func)".repeat(50_001);
    let types = "(type (func))".repeat(100_001);
    let segments = format!("(memory 1) {}", "(data (i32.const 0) \"x\")".repeat(20_001));
    let body = format!("(func {})", "nop ".repeat((1 << 20) + 1));
    let cases = [
        (functions.as_str(), "functions"),
        (&types, "types"),
        (&segments, "segments"),
        (&body, "one function"),
        (&"(table 1 funcref)".repeat(65), "tables"),
        (&"(memory 0)".repeat(5), "memories"),
        (&"(global i32 (i32.const 0))".repeat(50_001), "globals"),
    ];
    for (module, what) in cases {
        let error = refused(&around(module), SandboxProfile::Default);
        assert_eq!(error.code, Code::ComponentLimits, "{what}: {error:?}");
        assert!(error.detail.contains(what), "{what}: {}", error.detail);
    }
    let small = Bounds {
        component_bytes_max: 100,
        ..BOUNDS
    };
    let error = check(&example("echo"), SandboxProfile::Default, &small).unwrap_err();
    assert_eq!(error.code, Code::ComponentLimits);
    let text = format!("(component {})", "(core module)".repeat(65));
    let error = refused(&wat::parse_str(text).unwrap(), SandboxProfile::Default);
    assert!(error.detail.contains("modules"), "{}", error.detail);
    let text = format!(
        "(component (core module $m) {})",
        "(core instance (instantiate $m))".repeat(65)
    );
    let error = refused(&wat::parse_str(text).unwrap(), SandboxProfile::Default);
    assert!(error.detail.contains("core instances"), "{}", error.detail);
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("{}{}", "(component ".repeat(50), ")".repeat(50));
    let error = refused(&wat::parse_str(text).unwrap(), SandboxProfile::Default);
    assert_eq!(error.code, Code::ComponentLimits, "{error:?}");
}

#[test]
fn imports_that_are_not_offered_are_named() {
    for (import, hint) in [
        ("wasi:http/outgoing-handler@0.2.0", "no network"),
        ("wasi:cli/stdout@0.3.0", "0.2"),
        ("wasi:keyvalue/store@0.2.0", "not among"),
        ("caxton:agent/messaging@2.0.0", "1.0.0"),
        ("acme:weather/today", "only interfaces"),
    ] {
        let text = format!("(component (import \"{import}\" (instance)))");
        let error = refused(&wat::parse_str(text).unwrap(), SandboxProfile::Default);
        assert_eq!(error.code, Code::ComponentImport, "{import}: {error:?}");
        assert!(error.detail.contains(import), "{}", error.detail);
        assert!(error.detail.contains(hint), "{}", error.detail);
    }
    let text = "(component (import \"log\" (func)))";
    let error = refused(&wat::parse_str(text).unwrap(), SandboxProfile::Default);
    assert_eq!(error.code, Code::ComponentImport);
}

#[test]
fn what_an_instance_needs_at_once_must_fit_the_agents_limits() {
    let limits = Limits::default();
    for (module, limit) in [
        ("(memory 1025)", "memory_bytes_max"),
        (
            "(table 60000 funcref) (table 60000 funcref)",
            "table_elements_max",
        ),
    ] {
        let text = format!(
            "(component (core module {module}) (instance $b) (export \"{BEHAVIOR}\" (instance $b)))"
        );
        let component = wat::parse_str(text).unwrap();
        let shape = check(&component, SandboxProfile::Default, &BOUNDS).unwrap();
        let error = shape.fits(&limits).unwrap_err();
        assert_eq!(error.code, Code::ComponentLimits);
        assert!(error.detail.contains(limit), "{}", error.detail);
    }
}
