//! What a component imports and exports by name. That the types fit is checked when it is linked.

use super::unreadable;
use crate::host::{BEHAVIOR, INTERFACES, PACKED_BEHAVIOR};
use caxton_core::error::{Code, Error, shown};
use wasmparser::{Parser, Payload};

/// The interfaces of WASI 0.2 that are offered, without their version.
const WASI: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// The minor version of WASI that is offered, with its dot.
const WASI_MINOR: &str = "0.2.";

pub(super) fn check(component: &[u8]) -> Result<(), Error> {
    let mut depth = 0_usize;
    let mut exports_behavior = false;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| unreadable(&error))? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    check_import(import.map_err(|error| unreadable(&error))?.name.name)?;
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    let export = export.map_err(|error| unreadable(&error))?;
                    exports_behavior |= [BEHAVIOR, PACKED_BEHAVIOR].contains(&export.name.name);
                }
            }
            _ => {}
        }
    }
    if exports_behavior {
        return Ok(());
    }
    Err(Error::new(
        Code::ComponentWorld,
        format!("it does not export the interface {BEHAVIOR}"),
    ))
}

fn check_import(name: &str) -> Result<(), Error> {
    if INTERFACES.contains(&name) {
        return Ok(());
    }
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let cure = if WASI.contains(&interface) {
        if version.starts_with(WASI_MINOR) {
            return Ok(());
        }
        "of WASI, 0.2 is offered"
    } else if interface.starts_with("wasi:") {
        "it is not among the parts of WASI that are offered; agents have no network and no files"
    } else if interface.starts_with("caxton:agent/") {
        "this server offers version 1.0.0 of caxton:agent, and no such interface in it"
    } else {
        "only interfaces of caxton:agent and of WASI 0.2 are offered"
    };
    Err(Error::new(
        Code::ComponentImport,
        format!("it imports `{}`: {cure}", shown(name)),
    ))
}
