//! What a component must be before anything compiles it: a component and not something else, within
//! bounds, without the features its profile switches off, importing only what is offered and
//! exporting what is called. Each refusal has its code and says what to do.
//!
//! Pure: bytes in, verdict out. The bytes are foreign, so nothing here may panic, whatever they are;
//! `tests/foreign.rs` holds it to that with mutants, generated components and the specification's
//! own suite.

mod features;
mod shape;
mod world;

use caxton_core::error::{Code, Error};
use caxton_core::manifest::SandboxProfile;
use caxton_core::quota::Limits;
use wasmparser::Parser;

/// Core instances of one component. Python's have some twenty.
pub const CORE_INSTANCES_MAX: usize = 64;
/// Tables of one component.
pub const TABLES_MAX: usize = 64;
/// Memories of one component.
pub const MEMORIES_MAX: usize = 4;

/// Bounds on a component's shape. What is not here is a constant of `shape.rs`.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub component_bytes_max: usize,
    /// Functions of all its modules.
    pub functions_max: u32,
}

/// What the rest of the sandbox wants to know of a sound component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Components with code of their own are inside it. What passes from one to the other is copied
    /// by the engine itself, which charges nothing for strings.
    pub composed: bool,
    /// What its memories ask for at the start, together.
    pub memory_bytes: u64,
    /// What its tables ask for at the start, together.
    pub table_elements: u64,
}

impl Shape {
    /// Whether an agent of these limits can have an instance at all.
    pub fn fits(&self, agent: &Limits) -> Result<(), Error> {
        let asked = [
            (
                "bytes of memory",
                "memory_bytes_max",
                self.memory_bytes,
                agent.memory_bytes_max,
            ),
            (
                "table elements",
                "table_elements_max",
                self.table_elements,
                u64::from(agent.table_elements_max),
            ),
        ];
        for (what, limit, count, max) in asked {
            if count > max {
                return Err(limits(format!(
                    "it asks for {count} {what} at the start, the agent's {limit} is {max}"
                )));
            }
        }
        Ok(())
    }
}

/// What a component is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    Agent,
    Tool,
}

/// Checks an agent's component. Takes about a second for 50 MB, so not on a thread that others wait for.
pub fn check(component: &[u8], profile: SandboxProfile, bounds: &Bounds) -> Result<Shape, Error> {
    check_for(World::Agent, component, profile, bounds)
}

/// Checks a component that is to be of a world.
pub fn check_for(
    world: World,
    component: &[u8],
    profile: SandboxProfile,
    bounds: &Bounds,
) -> Result<Shape, Error> {
    if component.len() > bounds.component_bytes_max {
        return Err(limits(format!(
            "it has {} bytes, component_bytes_max is {}",
            component.len(),
            bounds.component_bytes_max
        )));
    }
    if Parser::is_core_wasm(component) {
        return Err(Error::new(
            Code::ComponentIsModule,
            "this is a core module; wrap it with `wasm-tools component new`",
        ));
    }
    if !Parser::is_component(component) {
        return Err(malformed(
            "it does not begin as a WebAssembly component does",
        ));
    }
    let shape = shape::check(component, bounds)?;
    features::check(component, profile)?;
    world::check(component, world)?;
    Ok(shape)
}

fn malformed(detail: impl Into<String>) -> Error {
    Error::new(Code::ComponentMalformed, detail)
}

fn limits(detail: String) -> Error {
    Error::new(Code::ComponentLimits, detail)
}

/// What the parser met, with the place.
fn unreadable(error: &wasmparser::BinaryReaderError) -> Error {
    malformed(format!(
        "at byte {}: {}",
        error.offset(),
        caxton_core::error::shown(error.message())
    ))
}
