//! Whether a component exports `caxton:agent/behavior`, or `packed-behavior` in its place, with the
//! types that this server calls it by, and which of the two. Types are compared as texts of their structure, so that a refusal can show both.

use crate::host::{BEHAVIOR, PACKED_BEHAVIOR};
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
        // None of the others is in the interface.
        _ => text.push_str("another type"),
    }
}
