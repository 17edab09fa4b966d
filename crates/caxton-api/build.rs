//! Compiles `proto/` into everything that must agree with it: message types, gRPC, JSON, the REST
//! router, the client's methods, the OpenAPI document and the reference.
//!
//! No protoc: protox compiles the files. REST is read from the encoded descriptor set with
//! prost-reflect, because prost's own descriptor types drop extensions such as `google.api.http`.
//! A contract that cannot be generated fails the build with the operation's name.

// A build script reports by panicking: cargo prints the text and stops.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

#[path = "build/client.rs"]
mod client;
#[path = "build/compatible.rs"]
mod compatible;
#[path = "build/model.rs"]
mod model;
#[path = "build/openapi.rs"]
mod openapi;
#[path = "build/reference.rs"]
mod reference;
#[path = "build/rest.rs"]
mod rest;

use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;
use prost_reflect::DescriptorPool;

const PROTOS: &[&str] = &[
    "agents.proto",
    "approvals.proto",
    "audit.proto",
    "breaker.proto",
    "conversations.proto",
    "dead_letters.proto",
    "external.proto",
    "keys.proto",
    "limits.proto",
    "management.proto",
    "messages.proto",
    "options.proto",
    "requests.proto",
    "providers.proto",
    "roles.proto",
    "server.proto",
    "sessions.proto",
    "tenants.proto",
    "tools.proto",
];

/// Well-known types whose Rust side is ours, because prost's own have no JSON.
const WELL_KNOWN: [(&str, &str); 4] = [
    (".google.protobuf.Empty", "crate::wkt::Empty"),
    (".google.protobuf.Struct", "crate::wkt::Struct"),
    (".google.protobuf.Timestamp", "crate::wkt::Timestamp"),
    (".google.protobuf.Value", "crate::wkt::Value"),
];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../proto");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed={}", root.display());

    let encoded = compile(&root);
    fs::write(out.join("descriptors.bin"), &encoded).unwrap();
    messages_and_grpc(&encoded, &out);
    json(&encoded, &out);

    let pool = DescriptorPool::decode(encoded.as_slice()).expect("protox's own output decodes");
    let contract = model::Contract::read(&pool);
    for service in &contract.services {
        fs::write(
            out.join(format!("{}.rs", service.module)),
            rest::service(service),
        )
        .unwrap();
    }
    fs::write(out.join("operations.rs"), operations(&contract)).unwrap();
    fs::write(out.join("client.rs"), client::methods(&contract)).unwrap();
    fs::write(out.join("reference.md"), reference::text(&contract)).unwrap();
    let version = env::var("CARGO_PKG_VERSION").unwrap();
    let document = openapi::document(&contract, &version);
    let mut text = serde_json::to_string_pretty(&document).unwrap();
    text.push('\n');
    fs::write(out.join("openapi.json"), text).unwrap();
}

/// The table of all operations.
fn operations(contract: &model::Contract) -> String {
    let all = contract.services.iter().flat_map(|it| &it.operations);
    let rows: String = all
        .map(|it| {
            format!(
                "    Operation {{\n        method: {:?},\n        permission: {:?},\n        \
                 verb: {:?},\n        path: {:?},\n        streams: {},\n    }},\n",
                it.full_name, it.permission, it.http.verb, it.http.path, it.streams
            )
        })
        .collect();
    format!(
        "/// Every operation, in the order of services and of their files.\npub const OPERATIONS: &[Operation] = &[\n{rows}];\n"
    )
}

fn compile(root: &Path) -> Vec<u8> {
    let files: Vec<PathBuf> = PROTOS
        .iter()
        .map(|name| root.join("caxton/v1").join(name))
        .collect();
    let mut compiler = protox::Compiler::new([root]).expect("proto/ exists");
    compiler.include_imports(true).include_source_info(true);
    if let Err(error) = compiler.open_files(files) {
        panic!("{error:?}");
    }
    compiler.encode_file_descriptor_set()
}

fn messages_and_grpc(encoded: &[u8], out: &Path) {
    let mut set = prost_types::FileDescriptorSet::decode(encoded).unwrap();
    // Annotations become no code; well-known types are looked at, and then ours are used.
    set.file.retain(|file| {
        let used = file.package() == "caxton.v1" && file.name() != "caxton/v1/options.proto";
        used || [
            "google/protobuf/empty.proto",
            "google/protobuf/struct.proto",
            "google/protobuf/timestamp.proto",
        ]
        .contains(&file.name())
    });
    let mut builder = tonic_prost_build::configure()
        .out_dir(out)
        .btree_map(".")
        .bytes(".")
        .compile_well_known_types(true);
    for (proto, rust) in WELL_KNOWN {
        builder = builder.extern_path(proto, rust);
    }
    builder.compile_fds(set).unwrap();
}

fn json(encoded: &[u8], out: &Path) {
    let mut builder = pbjson_build::Builder::new();
    builder
        .register_descriptors(encoded)
        .unwrap()
        .out_dir(out)
        .btree_map(["."])
        .emit_fields();
    builder.exclude([".caxton.v1.RestRule", ".caxton.v1.AccessRule"]);
    for (proto, rust) in WELL_KNOWN {
        builder.extern_path(proto, rust);
    }
    builder.build(&[".caxton.v1"]).unwrap();
}
