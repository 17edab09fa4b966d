//! Compilation in a child under limits, and the cache of what came out.
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
use caxton_engine::port::Runtime;
use caxton_wasm::{Compiler, Options, WasmRuntime, load_or_create_cache_key};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::{Agent, artifact, code, example, handle, manifest, prepare_in, request};

fn worker() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_compile_worker"))
}

fn options() -> Options {
    Options {
        compiler: Compiler::Child {
            program: worker(),
            args: Vec::new(),
        },
        instances_live_max: 64,
        ..Options::default()
    }
}

fn runtime(options: Options) -> WasmRuntime {
    WasmRuntime::new(options).unwrap()
}

async fn prepare(runtime: &WasmRuntime, component: Vec<u8>) -> Result<Agent, caxton_core::Error> {
    prepare_in(
        runtime,
        component,
        Limits::default(),
        SandboxProfile::Default,
    )
    .await
}

async fn answers(agent: &Agent) {
    let (mut behavior, host) = agent.start().await.unwrap();
    let (_, sent) = handle(&mut behavior, host, request("hello")).await;
    assert_eq!(&sent.unwrap()[0].acl.content[..], b"hello");
}

/// A component of the agent's world whose module has this text besides what the world wants.
fn agent_with(text: &str) -> Vec<u8> {
    support::agent(text, "", "")
}

#[tokio::test]
async fn what_a_child_compiles_runs_here() {
    let runtime = runtime(options());
    answers(&prepare(&runtime, example("echo")).await.unwrap()).await;
}

#[tokio::test]
async fn a_worker_that_is_not_there_or_is_another_program_is_an_error() {
    for program in ["/nonexistent/worker", "/bin/true", "/bin/cat"] {
        let runtime = runtime(Options {
            compiler: Compiler::Child {
                program: program.into(),
                args: Vec::new(),
            },
            ..options()
        });
        let (code, detail) = code(prepare(&runtime, example("echo")).await);
        assert_eq!(code, Code::CompileFailed, "{program}: {detail}");
    }
}

#[tokio::test]
async fn a_compilation_past_its_time_is_killed() {
    // A worker that neither reads nor answers.
    let runtime = runtime(Options {
        compiler: Compiler::Child {
            program: "/bin/sleep".into(),
            args: vec!["1000".into()],
        },
        compile_time_ms_max: 100,
        ..options()
    });
    let (code, detail) = code(prepare(&runtime, example("echo")).await);
    assert_eq!(code, Code::CompileFailed);
    assert!(detail.contains("compile_time_ms_max"), "{detail}");
}

#[tokio::test]
async fn a_compilation_past_its_memory_ends_alone() {
    let runtime = runtime(Options {
        compile_memory_bytes_max: 96 << 20,
        ..options()
    });
    let bomb = agent_with(&"(func (result i32) (i32.const 1))".repeat(45_000));
    let (code, detail) = code(prepare(&runtime, bomb).await);
    assert_eq!(code, Code::CompileFailed, "{detail}");
    assert!(detail.contains("compile_memory_bytes_max"), "{detail}");
}

#[tokio::test]
async fn a_bomb_of_a_hundred_thousand_functions_never_reaches_the_compiler() {
    let runtime = runtime(Options {
        compiler: Compiler::Child {
            program: "/nonexistent/worker".into(),
            args: Vec::new(),
        },
        ..options()
    });
    let bomb = agent_with(&"(func)".repeat(100_000));
    assert_eq!(code(prepare(&runtime, bomb).await).0, Code::ComponentLimits);
}

fn cached(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// A runtime that could not compile if it had to.
fn cache_only(dir: &Path, key: [u8; 32]) -> WasmRuntime {
    runtime(Options {
        cache_dir: Some(dir.to_owned()),
        cache_key: key,
        compiler: Compiler::Child {
            program: "/nonexistent/worker".into(),
            args: Vec::new(),
        },
        ..options()
    })
}

async fn fill(dir: &Path, key: [u8; 32]) {
    let runtime = runtime(Options {
        cache_dir: Some(dir.to_owned()),
        cache_key: key,
        ..options()
    });
    prepare(&runtime, example("echo")).await.unwrap();
}

#[tokio::test]
async fn kept_code_is_used_by_the_next_start_without_compiling() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), [1; 32]).await;
    let again = cache_only(dir.path(), [1; 32]);
    answers(&prepare(&again, example("echo")).await.unwrap()).await;
    // Validated for one profile is not validated for the other.
    let strict = prepare_in(
        &again,
        example("echo"),
        Limits::default(),
        SandboxProfile::Strict,
    );
    assert!(strict.await.is_err());
}

#[tokio::test]
async fn code_that_does_not_verify_is_removed_and_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    type Tamper = fn(&mut Vec<u8>);
    let tamper: [(&str, Tamper); 9] = [
        ("one bit of code", |file| *file.last_mut().unwrap() ^= 1),
        ("one bit of the format", |file| file[0] ^= 1),
        ("one bit of the nonce", |file| file[8] ^= 1),
        ("one bit of the tag", |file| file[20] ^= 1),
        ("the last bit of the tag", |file| file[35] ^= 128),
        ("one bit of the shape", |file| file[40] ^= 1),
        ("cut off", |file| file.truncate(file.len() / 2)),
        ("empty", Vec::clear),
        ("longer", |file| file.push(0)),
    ];
    for (what, tamper) in tamper {
        fill(dir.path(), [1; 32]).await;
        let files = cached(dir.path());
        let [path] = files.as_slice() else {
            panic!("one file, not {files:?}");
        };
        let mut file = std::fs::read(path).unwrap();
        tamper(&mut file);
        std::fs::write(path, &file).unwrap();
        let refused = prepare(&cache_only(dir.path(), [1; 32]), example("echo")).await;
        assert_eq!(code(refused).0, Code::CompileFailed, "{what} was loaded");
        assert!(cached(dir.path()).is_empty(), "{what} was left there");
    }
    fill(dir.path(), [1; 32]).await;
    let foreign = prepare(&cache_only(dir.path(), [2; 32]), example("echo")).await;
    assert_eq!(
        code(foreign).0,
        Code::CompileFailed,
        "another server's code"
    );
}

#[tokio::test]
async fn code_of_one_component_does_not_pass_for_another() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), [1; 32]).await;
    let mine = cached(dir.path()).remove(0);
    let other = artifact(
        "other",
        example("counter"),
        manifest(Limits::default(), SandboxProfile::Default),
    );
    let name = mine.file_name().unwrap().to_str().unwrap().to_owned();
    let forged = format!("{}{}", other.digest, &name[64..]);
    std::fs::rename(&mine, dir.path().join(forged)).unwrap();
    let refused = cache_only(dir.path(), [1; 32]).prepare(other).await;
    assert_eq!(refused.unwrap_err().code, Code::CompileFailed);
}

#[tokio::test]
async fn the_least_recently_used_code_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), [1; 32]).await;
    let echo = cached(dir.path()).remove(0);
    let old = std::time::SystemTime::UNIX_EPOCH;
    let file = std::fs::File::options().write(true).open(&echo).unwrap();
    file.set_modified(old).unwrap();
    let runtime = runtime(Options {
        cache_dir: Some(dir.path().to_owned()),
        cache_key: [1; 32],
        cache_bytes_max: file.metadata().unwrap().len() + 1,
        ..options()
    });
    prepare(&runtime, example("counter")).await.unwrap();
    let left = cached(dir.path());
    assert!(!left.contains(&echo), "{left:?}");
}

#[tokio::test]
async fn agents_with_the_same_component_compile_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("count");
    let script = format!("echo x >> {}; exec {}", count.display(), worker().display());
    let runtime = runtime(Options {
        compiler: Compiler::Child {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
        },
        ..options()
    });
    let one = prepare(&runtime, example("echo"));
    let two = prepare(&runtime, example("echo"));
    let (one, two) = tokio::join!(one, two);
    answers(&one.unwrap()).await;
    answers(&two.unwrap()).await;
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n");
    // Nobody uses it any more: nothing is remembered.
    prepare(&runtime, example("echo")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\nx\n");
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_digest_are_refused() {
    let mut artifact = artifact(
        "x",
        example("echo"),
        manifest(Limits::default(), SandboxProfile::Default),
    );
    artifact.digest.0[0] ^= 1;
    let error = runtime(options()).prepare(artifact).await.unwrap_err();
    assert_eq!(error.code, Code::ComponentMalformed);
}

#[test]
fn the_key_is_made_once_and_is_the_servers_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.key");
    let key = load_or_create_cache_key(&path).unwrap();
    assert_ne!(key, [0; 32]);
    assert_eq!(load_or_create_cache_key(&path).unwrap(), key);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_ne!(
        load_or_create_cache_key(&path).unwrap(),
        key,
        "others could read it"
    );
    std::fs::write(&path, b"short").unwrap();
    assert_eq!(load_or_create_cache_key(&path).unwrap().len(), 32);
}
