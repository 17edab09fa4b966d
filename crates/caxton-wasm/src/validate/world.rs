//! What a component imports and exports by name. That the types fit is checked when it is linked.

use super::{World, unreadable};
use crate::host::{BEHAVIOR, INTERFACES, PACKED_BEHAVIOR};
use crate::tool::{TOOL_FUNCTIONS, TOOL_INTERFACES};
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

impl World {
    /// The interfaces of `caxton:agent` that its components may import.
    const fn interfaces(self) -> &'static [&'static str] {
        match self {
            Self::Agent => &INTERFACES,
            Self::Tool => &TOOL_INTERFACES,
        }
    }

    /// The interfaces of which its components export one.
    const fn called(self) -> &'static [&'static str] {
        match self {
            Self::Agent => &[BEHAVIOR, PACKED_BEHAVIOR],
            Self::Tool => &[TOOL_FUNCTIONS],
        }
    }
}

pub(super) fn check(component: &[u8], world: World) -> Result<(), Error> {
    let mut depth = 0_usize;
    let mut exports = Exports::default();
    let mut refused = None;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| unreadable(&error))? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    let import = import.map_err(|error| unreadable(&error))?;
                    refused = refused.or_else(|| check_import(import.name.name, world).err());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.add(export.map_err(|error| unreadable(&error))?.name.name);
                }
            }
            _ => {}
        }
    }
    // What it is explains what it imports.
    exports.is_no_other(world)?;
    refused.map_or_else(|| exports.check(world), Err)
}

/// What a component says it is.
#[derive(Default)]
struct Exports {
    agent: bool,
    tool: bool,
}

impl Exports {
    fn add(&mut self, name: &str) {
        self.agent |= World::Agent.called().contains(&name);
        self.tool |= World::Tool.called().contains(&name);
    }

    /// Refuses what is of the other world alone.
    fn is_no_other(&self, world: World) -> Result<(), Error> {
        let detail = match world {
            World::Agent if self.tool && !self.agent => format!(
                "it is a tool, not an agent: it exports {TOOL_FUNCTIONS}; register it with `caxton tool register`"
            ),
            World::Tool if self.agent && !self.tool => format!(
                "it is an agent, not a tool: a tool exports {TOOL_FUNCTIONS}; deploy it with `caxton agent deploy`"
            ),
            _ => return Ok(()),
        };
        Err(Error::new(Code::ComponentWorld, detail))
    }

    fn check(&self, world: World) -> Result<(), Error> {
        let missing = match world {
            World::Agent if !self.agent => BEHAVIOR,
            World::Tool if !self.tool => TOOL_FUNCTIONS,
            _ => return Ok(()),
        };
        Err(Error::new(
            Code::ComponentWorld,
            format!("it does not export the interface {missing}"),
        ))
    }
}

fn check_import(name: &str, world: World) -> Result<(), Error> {
    if world.interfaces().contains(&name) {
        return Ok(());
    }
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let cure = if WASI.contains(&interface) {
        if version.starts_with(WASI_MINOR) {
            return Ok(());
        }
        "of WASI, 0.2 is offered"
    } else if interface.starts_with("wasi:") {
        "it is not among the parts of WASI that are offered; guests have no network and no files"
    } else if world == World::Tool && INTERFACES.contains(&name) {
        "that is for agents; a tool may log, and ask for the time and for random bytes"
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
