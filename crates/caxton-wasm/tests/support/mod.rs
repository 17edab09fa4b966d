//! What the tests of this crate share: a runtime, agents made of WAT or of the shipped examples, and
//! a host on the memory store whose waiting calls a test answers.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::manifest::SandboxProfile;
use caxton_core::quota::Limits;
use caxton_core::{
    Acl, AgentId, Digest, MailboxId, MailboxKey, Manifest, Message, MessageId, Performative,
    TenantId, Timestamp, TraceContext,
};
use caxton_engine::host::{Host, Outlet, Services, WaitingCall};
use caxton_engine::port::{
    Answer, Artifact, Behavior, Fault, MemoryStore, Program, Runtime, SeededEntropy, SystemClock,
};
use caxton_wasm::{Options, WasmRuntime};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, OnceLock};

/// Answers every waiting call with an `inform` of the same content.
#[derive(Debug)]
pub struct Echoing;

impl Outlet for Echoing {
    fn call(&self, call: WaitingCall) -> Answer<'_, Result<Arc<Message>, Error>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut answer = call.request.clone();
            answer.acl = call.request.acl.reply(Performative::Inform);
            answer.acl.content = call.request.acl.content;
            Ok(Arc::new(answer))
        })
    }

    fn timers(&self, _: &MailboxId, _: &str) -> (usize, bool) {
        (0, false)
    }

    fn stands(&self, _: &AgentId) -> bool {
        true
    }
}

pub fn services() -> Arc<Services> {
    let services = Services::alone(
        Arc::new(MemoryStore::default()),
        Arc::new(SystemClock),
        Arc::new(SeededEntropy::new(7)),
        Arc::new(Echoing),
    );
    Arc::new(services.unwrap())
}

/// One runtime for all tests of a binary: its pool is large.
pub fn runtime() -> &'static WasmRuntime {
    static RUNTIME: OnceLock<WasmRuntime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        WasmRuntime::new(Options {
            instances_live_max: 1_000,
            ..Options::default()
        })
        .unwrap()
    })
}

pub fn agent_id(name: &str) -> AgentId {
    AgentId::parse(name, &TenantId::default_tenant()).unwrap()
}

/// An agent under test.
pub struct Agent {
    pub id: AgentId,
    pub manifest: Arc<Manifest>,
    pub services: Arc<Services>,
    pub program: Arc<dyn Program>,
}

pub fn artifact(name: &str, component: impl Into<Bytes>, manifest: Manifest) -> Artifact {
    let component = component.into();
    Artifact {
        agent: agent_id(name),
        manifest: Arc::new(manifest),
        digest: Digest(Sha256::digest(&component).into()),
        component,
    }
}

pub fn manifest(limits: Limits, profile: SandboxProfile) -> Manifest {
    let mut manifest = Manifest::named(agent_id("under-test").name);
    manifest.limits = limits;
    manifest.sandbox.profile = profile;
    manifest
}

pub async fn prepare(component: impl Into<Bytes>, limits: Limits) -> Result<Agent, Error> {
    prepare_in(runtime(), component, limits, SandboxProfile::Default).await
}

pub async fn prepare_in(
    runtime: &WasmRuntime,
    component: impl Into<Bytes>,
    limits: Limits,
    profile: SandboxProfile,
) -> Result<Agent, Error> {
    let artifact = artifact("under-test", component, manifest(limits, profile));
    let (id, manifest) = (artifact.agent.clone(), Arc::clone(&artifact.manifest));
    let program = runtime.prepare(artifact).await?;
    Ok(Agent {
        id,
        manifest,
        services: services(),
        program,
    })
}

impl Agent {
    pub fn host(&self) -> Host {
        let mailbox = MailboxId {
            agent: self.id.clone(),
            key: MailboxKey::Agent,
        };
        Host::new(
            Arc::clone(&self.services),
            mailbox,
            Arc::clone(&self.manifest),
        )
    }

    /// A live instance after `init`.
    pub async fn start(&self) -> Result<(Box<dyn Behavior>, Host), Fault> {
        let mut behavior = self.program.instantiate().await?;
        let (host, result) = behavior.init(self.host()).await;
        result.map(|()| (behavior, host))
    }

    pub fn logged(&self) -> Vec<String> {
        let lines = self.services.logs.tail(&self.id, usize::MAX);
        lines.iter().map(|line| line.text.clone()).collect()
    }
}

pub fn message(acl: Acl) -> Arc<Message> {
    let mut acl = acl;
    acl.sender.get_or_insert_with(|| agent_id("tester").into());
    Arc::new(Message {
        id: MessageId::from_parts(Timestamp::from_us(1), [3; 10]),
        tenant: TenantId::default_tenant(),
        trace: TraceContext {
            trace_id: [5; 16],
            span_id: [6; 8],
            sampled: false,
        },
        parent: None,
        hop: 0,
        waiting: None,
        created: Timestamp::from_us(1),
        acl,
    })
}

pub fn request(text: &str) -> Arc<Message> {
    let content = Bytes::copy_from_slice(text.as_bytes());
    message(
        Acl::new(Performative::Request)
            .to(agent_id("under-test"))
            .content(content),
    )
}

/// Handles one message; gives what was sent.
pub async fn handle(
    behavior: &mut Box<dyn Behavior>,
    mut host: Host,
    message: Arc<Message>,
) -> (Host, Result<Vec<Arc<Message>>, Fault>) {
    host.begin(&message, 1, false);
    let (mut host, result) = behavior.handle(host, message).await;
    let result = match result {
        Ok(()) => {
            let mut effects = caxton_engine::host::Effects::default();
            host.finish(&mut effects);
            Ok(effects.messages)
        }
        Err(fault) => {
            host.abandon();
            Err(fault)
        }
    };
    (host, result)
}

/// A shipped example's component.
pub fn example(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/../../examples/{name}/{name}.wasm",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The echo in TypeScript, which is built where a test asks for it.
pub fn ts_echo() -> Vec<u8> {
    let path =
        std::env::var("CAXTON_TEST_TS_ECHO").expect("CAXTON_TEST_TS_ECHO names the component");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn code(result: Result<Agent, Error>) -> (Code, String) {
    match result {
        Ok(_) => panic!("was accepted"),
        Err(error) => (error.code, error.detail),
    }
}

/// A component of the agent's world made of text: `fields` are a core module's fields besides the
/// memory and the allocator; `init` and `handle` are bodies of functions. `handle` gets the address
/// of its message in `$message`. Both answer `ok` when their body falls through.
pub fn agent(fields: &str, init: &str, handle: &str) -> Vec<u8> {
    agent_importing("", "", fields, init, handle)
}

/// The same with imports: `imports` are the component's, `instantiate` the arguments that give them to
/// the module.
pub fn agent_importing(
    imports: &str,
    instantiate: &str,
    fields: &str,
    init: &str,
    handle: &str,
) -> Vec<u8> {
    let agent_id = r#"(record (field "name" string) (field "addresses" (list string))
        (field "resolvers" (list string)))"#;
    let acts = Performative::ALL.map(|act| format!("\"{act}\"")).join(" ");
    let text = format!(
        r#"(component
  {imports}
  (core module $m
    {fields}
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func (export "init") (result i32) {init} (i32.store8 (i32.const 64) (i32.const 0)) (i32.const 64))
    (func (export "handle") (param $message i32) (result i32) {handle}
      (global.set $top (i32.const 4096))
      (i32.store8 (i32.const 64) (i32.const 0)) (i32.const 64)))
  (core instance $i (instantiate $m {instantiate}))
  (type $agent-id' {agent_id})
  (type $user-parameter' (record (field "name" string) (field "value" string)))
  (type $performative' (enum {acts}))
  (import "caxton:agent/types@1.0.0" (instance $types
    (type $agent-id {agent_id})
    (export "agent-id" (type $agent-id-e (eq $agent-id)))
    (type $user-parameter (record (field "name" string) (field "value" string)))
    (export "user-parameter" (type $user-parameter-e (eq $user-parameter)))
    (type $performative (enum {acts}))
    (export "performative" (type $performative-e (eq $performative)))
    (type $message (record
      (field "performative" $performative-e)
      (field "sender" (option $agent-id-e))
      (field "receivers" (list $agent-id-e))
      (field "reply-to" (list $agent-id-e))
      (field "content" (list u8))
      (field "language" (option string))
      (field "encoding" (option string))
      (field "ontology" (option string))
      (field "protocol" (option string))
      (field "conversation-id" (option string))
      (field "reply-with" (option string))
      (field "in-reply-to" (option string))
      (field "reply-by-us" (option s64))
      (field "user-parameters" (list $user-parameter-e))))
    (export "message" (type (eq $message)))))
  (alias export $types "message" (type $message))
  (func $init (result (result (error string)))
    (canon lift (core func $i "init") (memory (core memory $i "memory")) (realloc (core func $i "cabi_realloc"))))
  (func $handle (param "message" $message) (result (result (error string)))
    (canon lift (core func $i "handle") (memory (core memory $i "memory")) (realloc (core func $i "cabi_realloc"))))
  (instance (export "caxton:agent/behavior@1.0.0")
    (export "init" (func $init))
    (export "handle" (func $handle))))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{}", &text[..200]))
}
