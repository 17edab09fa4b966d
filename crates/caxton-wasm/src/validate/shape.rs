//! How large a component is, in every dimension that costs time or memory to compile or to run.

use super::{Bounds, CORE_INSTANCES_MAX, MEMORIES_MAX, Shape, TABLES_MAX, limits, unreadable};
use caxton_core::error::Error;
use wasmparser::{Instance, Parser, Payload};

/// Types, core and component's together.
const TYPES_MAX: u64 = 100_000;
const IMPORTS_MAX: u64 = 20_000;
const EXPORTS_MAX: u64 = 50_000;
const GLOBALS_MAX: u64 = 50_000;
/// Element and data segments.
const SEGMENTS_MAX: u64 = 20_000;
/// The body of one function; register allocation is not linear in it.
const FUNCTION_BYTES_MAX: usize = 1 << 20;
/// Modules inside the component.
const MODULES_MAX: u64 = 64;
/// Components, instances, aliases and canonical functions of the component model.
const COMPONENT_ITEMS_MAX: u64 = 20_000;
/// Components inside components.
const DEPTH_MAX: usize = 4;
/// WebAssembly's page.
const PAGE_BYTES: u64 = 65_536;

#[derive(Default)]
struct Count {
    functions: u64,
    types: u64,
    imports: u64,
    exports: u64,
    globals: u64,
    segments: u64,
    tables: u64,
    table_elements: u64,
    memories: u64,
    memory_bytes: u64,
    modules: u64,
    core_instances: u64,
    items: u64,
}

/// What we are inside of, outermost first.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Component,
    Module,
}

pub(super) fn check(component: &[u8], bounds: &Bounds) -> Result<Shape, Error> {
    let mut composed = false;
    let mut count = Count::default();
    let mut levels: Vec<Level> = Vec::new();
    let mut entered = Level::Component;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| unreadable(&error))?;
        match &payload {
            Payload::Version { .. } => levels.push(entered),
            Payload::ModuleSection { .. } => entered = Level::Module,
            Payload::ComponentSection { .. } => entered = Level::Component,
            Payload::End(_) => {
                levels.pop();
            }
            _ => {}
        }
        composed |= matches!(payload, Payload::ModuleSection { .. }) && levels.len() > 1;
        count.add(&payload).map_err(|error| unreadable(&error))?;
        count.within(bounds)?;
        if levels.len() > DEPTH_MAX {
            return Err(limits(format!(
                "components are nested more than {DEPTH_MAX} deep"
            )));
        }
        if let Payload::CodeSectionEntry(body) = &payload
            && body.range().len() > FUNCTION_BYTES_MAX
        {
            return Err(limits(format!(
                "one function has {} bytes, at most {FUNCTION_BYTES_MAX} are allowed",
                body.range().len()
            )));
        }
    }
    Ok(Shape {
        composed,
        memory_bytes: count.memory_bytes,
        table_elements: count.table_elements,
    })
}

impl Count {
    fn add(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(r) => self.types += u64::from(r.count()),
            Payload::CoreTypeSection(r) => self.types += u64::from(r.count()),
            Payload::ComponentTypeSection(r) => self.types += u64::from(r.count()),
            Payload::ImportSection(r) => self.imports += u64::from(r.count()),
            Payload::ComponentImportSection(r) => self.imports += u64::from(r.count()),
            Payload::ExportSection(r) => self.exports += u64::from(r.count()),
            Payload::ComponentExportSection(r) => self.exports += u64::from(r.count()),
            Payload::FunctionSection(r) => self.functions += u64::from(r.count()),
            Payload::GlobalSection(r) => self.globals += u64::from(r.count()),
            Payload::ElementSection(r) => self.segments += u64::from(r.count()),
            Payload::DataSection(r) => self.segments += u64::from(r.count()),
            Payload::ComponentInstanceSection(r) => self.items += u64::from(r.count()),
            Payload::ComponentAliasSection(r) => self.items += u64::from(r.count()),
            Payload::ComponentCanonicalSection(r) => self.items += u64::from(r.count()),
            Payload::ComponentSection { .. } => self.items += 1,
            Payload::ModuleSection { .. } => self.modules += 1,
            Payload::TableSection(r) => {
                for table in r.clone() {
                    self.tables += 1;
                    let initial = table?.ty.initial;
                    self.table_elements = self.table_elements.saturating_add(initial);
                }
            }
            Payload::MemorySection(r) => {
                for memory in r.clone() {
                    self.memories += 1;
                    let bytes = memory?.initial.saturating_mul(PAGE_BYTES);
                    self.memory_bytes = self.memory_bytes.saturating_add(bytes);
                }
            }
            Payload::InstanceSection(r) => {
                for instance in r.clone() {
                    if matches!(instance?, Instance::Instantiate { .. }) {
                        self.core_instances += 1;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn within(&self, bounds: &Bounds) -> Result<(), Error> {
        let counted = [
            ("functions", self.functions, u64::from(bounds.functions_max)),
            ("types", self.types, TYPES_MAX),
            ("imports", self.imports, IMPORTS_MAX),
            ("exports", self.exports, EXPORTS_MAX),
            ("globals", self.globals, GLOBALS_MAX),
            ("segments", self.segments, SEGMENTS_MAX),
            ("modules", self.modules, MODULES_MAX),
            (
                "core instances",
                self.core_instances,
                CORE_INSTANCES_MAX as u64,
            ),
            ("tables", self.tables, TABLES_MAX as u64),
            ("memories", self.memories, MEMORIES_MAX as u64),
            ("component items", self.items, COMPONENT_ITEMS_MAX),
        ];
        for (what, count, max) in counted {
            if count > max {
                return Err(limits(format!(
                    "it has {count} {what}, at most {max} are allowed"
                )));
            }
        }
        Ok(())
    }
}
