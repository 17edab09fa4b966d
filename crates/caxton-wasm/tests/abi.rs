//! The border itself: components that export what agents export with other types, and guests that say
//! things at the border that no compiler would.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::Performative;
use caxton_core::error::Code;
use caxton_core::quota::Limits;
use caxton_engine::port::Fault;
use caxton_engine::port::behavior::FaultKind;
use std::fmt::Write;
use support::{Agent, agent_importing, code, handle, prepare, request};

/// A component that exports this interface with these two functions, whose bodies never run.
fn exporting(interface: &str, init: &str, handle: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "none") (result i32) unreachable)
    (func (export "one") (param i32) (result i32) unreachable)
    (func (export "two") (param i32 i32) (result i32) unreachable)
    (func (export "three") (param i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m))
  (func $init {init})
  (func $handle {handle})
  (instance (export "{interface}")
    (export "init" (func $init))
    (export "handle" (func $handle))))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const LIFT: &str = r#"(memory (core memory $i "memory")) (realloc (core func $i "realloc"))"#;
const PACKED: &str = "caxton:agent/packed-behavior@1.0.0";
const TYPED: &str = "caxton:agent/behavior@1.0.0";

fn lifted(ty: &str, function: &str) -> String {
    format!(r#"{ty} (canon lift (core func $i "{function}") {LIFT})"#)
}

#[tokio::test]
async fn other_types_than_the_interfaces_are_refused_and_both_are_shown() {
    let init = lifted("(result (result))", "none");
    let handle = lifted(
        r#"(param "message" (list u8)) (param "content-bytes" u32) (result (result))"#,
        "three",
    );
    let right = exporting(PACKED, &init, &handle);
    assert!(prepare(right, Limits::default()).await.is_ok());

    let no_length = lifted(r#"(param "message" (list u8)) (result (result))"#, "two");
    let text = lifted(
        r#"(param "message" string) (param "content-bytes" u32) (result (result))"#,
        "three",
    );
    let with_reason = lifted("(result (result (error string)))", "none");
    let number = lifted("(result u32)", "none");
    for (interface, init, handle, name, found) in [
        (
            PACKED,
            &init,
            &no_length,
            "handle",
            "(list<u8>) -> result<_, _>",
        ),
        (
            PACKED,
            &init,
            &text,
            "handle",
            "(string, u32) -> result<_, _>",
        ),
        (
            PACKED,
            &with_reason,
            &handle,
            "init",
            "() -> result<_, string>",
        ),
        (PACKED, &number, &handle, "init", "() -> u32"),
        // The packed functions under the other interface's name.
        (TYPED, &init, &handle, "init", "() -> result<_, _>"),
        (
            TYPED,
            &with_reason,
            &handle,
            "handle",
            "(list<u8>, u32) -> result<_, _>",
        ),
    ] {
        let component = exporting(interface, init, handle);
        let (code, detail) = code(prepare(component, Limits::default()).await);
        assert_eq!(code, Code::ComponentWorld, "{detail}");
        assert!(
            detail.contains(&format!("`{name}` is {found}; expected ")),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn an_interface_without_its_functions_is_refused() {
    for interface in [PACKED, TYPED] {
        let text =
            format!(r#"(component (instance $none) (export "{interface}" (instance $none)))"#);
        let component = wat::parse_str(&text).unwrap();
        let (code, detail) = code(prepare(component, Limits::default()).await);
        assert_eq!(code, Code::ComponentWorld);
        assert!(detail.contains("has no function `init`"), "{detail}");
    }
}

/// A packed agent: `init` and `handle` are bodies that answer with an i32, 0 for success; `head` lies at
/// 1024. `$send` sends eight bytes of content with that head and answers with the result's case.
fn packed_agent(head: &[u8], init: &str, handle: &str) -> Vec<u8> {
    let data: String = head.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(component
  (import "caxton:agent/types@1.0.0" (instance $t
    (type $error' (record (field "code" string) (field "message" string)))
    (export "error" (type $error (eq $error')))))
  (alias export $t "error" (type $error))
  (import "caxton:agent/packed@1.0.0" (instance $p
    (alias outer 1 $error (type $error'))
    (export "error" (type $error (eq $error')))
    (export "send" (func (param "content" (list u8)) (param "head" (list u8))
      (result (result (tuple u64 u64) (error $error)))))
    (export "fail" (func (param "reason" string)))))
  (core module $memory
    (memory (export "memory") 2)
    (data (i32.const 1024) "{data}")
    (data (i32.const 512) "not today")
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $send (canon lower (func $p "send")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $fail (canon lower (func $p "fail") (memory (core memory $memory "memory"))))
  (core module $m
    (import "m" "memory" (memory 2))
    (import "p" "send" (func $send' (param i32 i32 i32 i32 i32)))
    (import "p" "fail" (func $fail (param i32 i32)))
    (func $send (result i32)
      (call $send' (i32.const 0) (i32.const 8) (i32.const 1024) (i32.const {length}) (i32.const 256))
      (i32.load8_u (i32.const 256)))
    (func (export "init") (result i32) {init})
    (func (export "handle") (param i32 i32 i32) (result i32) {handle}))
  (core instance $i (instantiate $m
    (with "m" (instance $memory))
    (with "p" (instance (export "send" (func $send)) (export "fail" (func $fail))))))
  (func $init (result (result)) (canon lift (core func $i "init")))
  (func $handle (param "message" (list u8)) (param "content-bytes" u32) (result (result))
    (canon lift (core func $i "handle")
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (instance (export "{PACKED}") (export "init" (func $init)) (export "handle" (func $handle))))"#,
        length = head.len(),
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

async fn packed(head: &[u8], init: &str, handle: &str) -> Agent {
    let component = packed_agent(head, init, handle);
    let agent = prepare(component, Limits::default()).await;
    agent.unwrap_or_else(|error| panic!("{error}"))
}

/// `request` to `x`, nothing else.
const HEAD: &[u8] = &[
    18, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, b'x', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

#[tokio::test]
async fn a_packed_agent_sends_and_tells_why_it_fails() {
    let sends = packed(HEAD, "(i32.const 0)", "(call $send)").await;
    let (mut behavior, host) = sends.start().await.unwrap();
    let (_, sent) = handle(&mut behavior, host, request("")).await;
    let sent = sent.unwrap();
    assert_eq!(sent[0].acl.performative, Performative::Request);
    assert_eq!(&sent[0].acl.content[..], [0; 8]);
    assert_eq!(sent[0].acl.receivers[0].id, support::agent_id("x"));

    let why = "(call $fail (i32.const 512) (i32.const 9)) (i32.const 1)";
    for (body, reason) in [(why, "not today"), ("(i32.const 1)", "it gave no reason")] {
        let fails = packed(HEAD, "(i32.const 0)", body).await;
        let (mut behavior, host) = fails.start().await.unwrap();
        let (host, sent) = handle(&mut behavior, host, request("")).await;
        assert_eq!(sent.unwrap_err(), Fault::new(FaultKind::Handler, reason));
        // The instance is as good as before, and what it said is not said twice.
        let (_, sent) = handle(&mut behavior, host, request("")).await;
        assert_eq!(sent.unwrap_err(), Fault::new(FaultKind::Handler, reason));

        let never = packed(HEAD, body, "(i32.const 0)").await;
        let fault = never.start().await.err().unwrap();
        assert_eq!(fault.kind, FaultKind::Init);
        assert!(fault.detail.contains(reason), "{fault:?}");
    }
}

#[tokio::test]
async fn a_head_that_is_none_is_an_error_the_guest_can_read() {
    let many = [&[18, 0][..], &[0xff; 40]].concat();
    let long = [&HEAD[..14], &[0xff], &HEAD[15..]].concat();
    let huge = vec![0; 61_000];
    for head in [&HEAD[..HEAD.len() - 1], &[], &many, &long, &huge] {
        // `handle` fails just when the send was refused.
        let agent = packed(head, "(i32.const 0)", "(call $send)").await;
        let (mut behavior, host) = agent.start().await.unwrap();
        let (_, sent) = handle(&mut behavior, host, request("")).await;
        assert_eq!(
            sent.unwrap_err().kind,
            FaultKind::Handler,
            "{} bytes",
            head.len()
        );
    }
}

#[tokio::test]
async fn a_list_of_bytes_past_the_end_of_memory_is_a_trap() {
    let beyond = "(call $fail (i32.const 131071) (i32.const 2)) (i32.const 0)";
    let agent = packed(HEAD, "(i32.const 0)", beyond).await;
    let (mut behavior, host) = agent.start().await.unwrap();
    let (_, sent) = handle(&mut behavior, host, request("")).await;
    assert_eq!(sent.unwrap_err().kind, FaultKind::Trap);
}

/// Sends by the typed interface a message whose user parameters are so many, and all of whose names and
/// values are the same 64 KiB of the guest's memory.
fn aliasing(parameters: u32) -> Vec<u8> {
    const MESSAGE: usize = 65_536;
    const LIST: usize = MESSAGE + 256;
    let mut data = vec![0_u8; 256];
    let mut put = |at: usize, value: u32| {
        data[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(160, u32::try_from(LIST).unwrap());
    put(164, parameters);
    for _ in 0..2 * parameters {
        data.extend_from_slice(&0_u32.to_le_bytes());
        data.extend_from_slice(&65_536_u32.to_le_bytes());
    }
    let pages = (MESSAGE + data.len()).div_ceil(65_536);
    let mut hex = String::new();
    for byte in &data {
        let _ = write!(hex, "\\{byte:02x}");
    }
    let agent_id = r#"(record (field "name" string) (field "addresses" (list string))
        (field "resolvers" (list string)))"#;
    let acts = Performative::ALL.map(|act| format!("\"{act}\"")).join(" ");
    let option_strings: String = [
        "language",
        "encoding",
        "ontology",
        "protocol",
        "conversation-id",
        "reply-with",
        "in-reply-to",
    ]
    .map(|name| format!(r#"(field "{name}" (option string))"#))
    .concat();
    let imports = format!(
        r#"(import "caxton:agent/messaging@1.0.0" (instance $h
      (type $agent-id' {agent_id}) (export "agent-id" (type $agent-id (eq $agent-id')))
      (type $up' (record (field "name" string) (field "value" string)))
      (export "user-parameter" (type $up (eq $up')))
      (type $act' (enum {acts})) (export "performative" (type $act (eq $act')))
      (type $error' (record (field "code" string) (field "message" string)))
      (export "error" (type $error (eq $error')))
      (type $message' (record (field "performative" $act) (field "sender" (option $agent-id))
        (field "receivers" (list $agent-id)) (field "reply-to" (list $agent-id))
        (field "content" (list u8)) {option_strings} (field "reply-by-us" (option s64))
        (field "user-parameters" (list $up))))
      (export "message" (type $message (eq $message')))
      (export "send" (func (param "message" $message) (result (result string (error $error)))))))
    (core module $mem (memory (export "memory") {pages}) (data (i32.const {MESSAGE}) "{hex}")
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $mem (instantiate $mem))
    (core func $send (canon lower (func $h "send")
      (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))"#
    );
    agent_importing(
        &imports,
        r#"(with "h" (instance (export "send" (func $send))))"#,
        r#"(import "h" "send" (func $send (param i32 i32)))"#,
        "",
        &format!("(call $send (i32.const {MESSAGE}) (i32.const 512))"),
    )
}

#[tokio::test]
async fn lists_that_name_the_same_bytes_many_times_are_bounded() {
    let limits = Limits {
        memory_bytes_max: 2 << 20,
        ..Limits::default()
    };
    // 20 names and values of 64 KiB are 2.5 MB, which a message may not have: the guest is told.
    let agent = prepare(aliasing(20), limits.clone()).await.unwrap();
    let (mut behavior, host) = agent.start().await.unwrap();
    let (host, sent) = handle(&mut behavior, host, request("")).await;
    // The platform's word that the message was not understood is all that leaves.
    let sent = sent.unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].acl.performative, Performative::NotUnderstood);
    drop((behavior, host));
    // 10,000 would be 1.3 GB of the server's memory for 320 KB of the guest's.
    let agent = prepare(aliasing(10_000), limits).await.unwrap();
    let (mut behavior, host) = agent.start().await.unwrap();
    let (_, sent) = handle(&mut behavior, host, request("")).await;
    let fault = sent.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap, "{fault:?}");
    assert!(
        fault.detail.contains("fuel allocated for hostcalls"),
        "{fault:?}"
    );
}
