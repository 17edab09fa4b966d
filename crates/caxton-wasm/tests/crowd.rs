//! What the machine gives a process: how many mappings an instance takes of it, and what is said when
//! there is no more. One test after the other in one function: both are about the whole process.
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
use caxton_engine::port::behavior::FaultKind;
use caxton_wasm::{Options, WasmRuntime};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Agent, example, prepare_in};

/// As `mappings.rs` reckons with.
const MAPPINGS_PER_INSTANCE: usize = 6;
const INSTANCES: u32 = 200;

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}

/// Memory that counts against the limit on data, in bytes.
fn data_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn instances_take_the_mappings_that_are_reckoned_with_and_no_more_memory_is_said() {
    let before = mappings();
    let runtime = WasmRuntime::new(Options {
        instances_live_max: INSTANCES,
        ..Options::default()
    })
    .unwrap();
    let mut agents = Vec::new();
    for name in ["echo", "probe"] {
        let profile = SandboxProfile::Default;
        let agent = prepare_in(&runtime, example(name), Limits::default(), profile).await;
        agents.push(agent.unwrap());
    }
    let mut live = Vec::new();
    for index in 0..INSTANCES as usize - 1 {
        live.push(agents[index % 2].start().await.unwrap());
    }
    let each = (mappings() - before) / live.len();
    assert!(
        (3..=MAPPINGS_PER_INSTANCE).contains(&each),
        "{each} mappings an instance"
    );
    no_more_memory_is_said(&agents[0]).await;
    assert!(agents[0].start().await.is_ok(), "as soon as there is some");
}

async fn no_more_memory_is_said(agent: &Agent) {
    // A little for the allocator; an instance's memory takes more than a megabyte.
    let limit = getrlimit(Resource::Data);
    let tight = Rlimit {
        current: Some(data_bytes() + (512 << 10)),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Data, tight).unwrap();
    let fault = agent.program.instantiate().await.err();
    setrlimit(Resource::Data, limit).unwrap();
    let fault = fault.expect("no instance");
    assert_eq!(fault.kind, FaultKind::Overload, "{fault:?}");
    assert_eq!(fault.code(), Code::InstancesTooMany);
}
