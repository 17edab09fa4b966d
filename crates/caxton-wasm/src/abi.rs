//! Whether a component exports `caxton:agent/behavior`, or `packed-behavior` in its place, with the
//! types that this server calls it by, and which of the two; or `tool-functions`. Types are compared as
//! texts of their structure, so that a refusal can show both.

use crate::host::{BEHAVIOR, PACKED_BEHAVIOR};
use crate::tool::TOOL_FUNCTIONS;
use caxton_core::error::{Code, Error};
use std::fmt::Write;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Type};

/// `init` and `handle` as `wit/agent.wit` has them, packed and not. Tests compare them with components
/// that were built from the WIT.
const PACKED_INIT: &str = "() -> result<_, _>";
const PACKED_HANDLE: &str = "(list<u8>, u32) -> result<_, _>";
const INIT: &str = "() -> result<_, string>";
const HANDLE: &str = "(record{performative: enum{accept-proposal, agree, cancel, cfp, confirm, \
disconfirm, failure, inform, inform-if, inform-ref, not-understood, propagate, propose, proxy, \
query-if, query-ref, refuse, reject-proposal, request, request-when, request-whenever, subscribe}, \
sender: option<record{name: string, addresses: list<string>, resolvers: list<string>}>, \
receivers: list<record{name: string, addresses: list<string>, resolvers: list<string>}>, \
reply-to: list<record{name: string, addresses: list<string>, resolvers: list<string>}>, \
content: list<u8>, language: option<string>, encoding: option<string>, ontology: option<string>, \
protocol: option<string>, conversation-id: option<string>, reply-with: option<string>, \
in-reply-to: option<string>, reply-by-us: option<s64>, \
user-parameters: list<record{name: string, value: string}>}) -> result<_, string>";

/// `describe` and `call` of a tool.
const DESCRIBE: &str = "() -> list<record{name: string, description: string, input-schema: string, \
output-schema: option<string>, acts: bool, repeatable: bool}>";
const CALL: &str = "(string, string) -> result<record{content: list<variant{text(string), \
image(record{media-type: string, data: list<u8>})}>, structured: option<string>}, string>";

/// Deepest type that is written out; the interface's own is five deep.
const DEPTH_MAX: usize = 12;
/// Longest description: a guest's types may be as large as it likes.
const DESCRIPTION_BYTES_MAX: usize = 4096;

/// How a component takes its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By `behavior`: field by field.
    Typed,
    /// By `packed-behavior`: as bytes.
    Packed,
}

/// The form; refuses a component of another world. One that exports both is called packed.
pub(crate) fn check(component: &Component) -> Result<Form, Error> {
    let engine = component.engine();
    let world_type = component.component_type();
    let exported = |name| match world_type.get_export(engine, name).map(|it| it.ty) {
        Some(ComponentItem::ComponentInstance(interface)) => Some(interface),
        _ => None,
    };
    if let Some(interface) = exported(PACKED_BEHAVIOR) {
        let functions = [("init", PACKED_INIT), ("handle", PACKED_HANDLE)];
        check_functions(component, PACKED_BEHAVIOR, &interface, functions)?;
        return Ok(Form::Packed);
    }
    let interface = exported(BEHAVIOR)
        .ok_or_else(|| world(format!("it does not export the interface {BEHAVIOR}")))?;
    let functions = [("init", INIT), ("handle", HANDLE)];
    check_functions(component, BEHAVIOR, &interface, functions)?;
    Ok(Form::Typed)
}

/// Refuses a component that is no tool.
pub(crate) fn check_tool(component: &Component) -> Result<(), Error> {
    let found = component
        .component_type()
        .get_export(component.engine(), TOOL_FUNCTIONS)
        .map(|it| it.ty);
    let Some(ComponentItem::ComponentInstance(interface)) = found else {
        return Err(world(format!(
            "it does not export the interface {TOOL_FUNCTIONS}"
        )));
    };
    let functions = [("describe", DESCRIBE), ("call", CALL)];
    check_functions(component, TOOL_FUNCTIONS, &interface, functions)
}

fn check_functions(
    component: &Component,
    interface: &str,
    behavior: &ComponentInstance,
    functions: [(&str, &str); 2],
) -> Result<(), Error> {
    let engine = component.engine();
    for (name, expected) in functions {
        let found = match behavior.get_export(engine, name).map(|export| export.ty) {
            Some(ComponentItem::ComponentFunc(function)) => describe_function(&function),
            _ => return Err(world(format!("its {interface} has no function `{name}`"))),
        };
        if found != expected {
            return Err(world(format!(
                "its `{name}` is {}; expected {expected}",
                caxton_core::error::shown(&found)
            )));
        }
    }
    Ok(())
}

fn world(detail: String) -> Error {
    Error::new(Code::ComponentWorld, detail)
}

fn describe_function(function: &ComponentFunc) -> String {
    let mut text = String::from("(");
    for (index, (_, ty)) in function.params().enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        describe(&ty, 0, &mut text);
    }
    text.push_str(") -> ");
    for ty in function.results() {
        describe(&ty, 0, &mut text);
    }
    text
}

fn describe(ty: &Type, depth: usize, text: &mut String) {
    if depth > DEPTH_MAX || text.len() > DESCRIPTION_BYTES_MAX {
        text.push('…');
        return;
    }
    let deeper = depth + 1;
    let optional = |ty: Option<Type>, text: &mut String| match ty {
        Some(ty) => describe(&ty, deeper, text),
        None => text.push('_'),
    };
    match ty {
        Type::String => text.push_str("string"),
        Type::Bool => text.push_str("bool"),
        Type::U8 => text.push_str("u8"),
        Type::U32 => text.push_str("u32"),
        Type::S64 => text.push_str("s64"),
        Type::List(list) => {
            text.push_str("list<");
            describe(&list.ty(), deeper, text);
            text.push('>');
        }
        Type::Option(option) => {
            text.push_str("option<");
            describe(&option.ty(), deeper, text);
            text.push('>');
        }
        Type::Result(result) => {
            text.push_str("result<");
            optional(result.ok(), text);
            text.push_str(", ");
            optional(result.err(), text);
            text.push('>');
        }
        Type::Record(record) => {
            text.push_str("record{");
            for (index, field) in record.fields().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                let _ = write!(text, "{comma}{}: ", field.name);
                describe(&field.ty, deeper, text);
            }
            text.push('}');
        }
        Type::Enum(cases) => {
            let names: Vec<&str> = cases.names().collect();
            let _ = write!(text, "enum{{{}}}", names.join(", "));
        }
        Type::Variant(variant) => {
            text.push_str("variant{");
            for (index, case) in variant.cases().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                let _ = write!(text, "{comma}{}", case.name);
                if let Some(ty) = case.ty {
                    text.push('(');
                    describe(&ty, deeper, text);
                    text.push(')');
                }
            }
            text.push('}');
        }
        // None of the others is in the interface.
        _ => text.push_str("another type"),
    }
}
