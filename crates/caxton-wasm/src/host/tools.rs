//! `tools`: what an agent may call besides other agents. Permission, approval, limits and the log are
//! the host's; what is here translates, and makes a value of everything that can go wrong.

use super::{interface, refusal, unless_stopping};
use crate::bindings::{tool_types, tools};
use crate::guest::Guest;
use crate::meter::{EFFECT_CALL_FUEL, charge, with_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caxton_core::error::{Code, Error, shown};
use caxton_core::model::{Image, Part};
use caxton_core::tool::{ARGUMENTS_BYTES_MAX, Effect, ToolId};
use caxton_engine::host::Host;
use caxton_engine::port::tool::ToolAnswer;
use caxton_engine::tools::{OfferedTool, ToolAsk};
use serde_json::Value;
use std::time::Duration;
use wasmtime::component::Linker;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance(interface!("tool-types"))?;
    let mut instance = linker.instance(interface!("tools"))?;
    instance.func_wrap_async("list", |mut store, (): ()| {
        Box::new(async move {
            charge(&mut store, EFFECT_CALL_FUEL).await?;
            let offered = store.data_mut().host()?.tools().await;
            let listed = offered.map(|all| all.iter().map(told).collect::<Vec<_>>());
            if let Ok(listed) = &listed {
                let bytes = listed.iter().map(bytes_of).sum();
                charge(&mut store, with_bytes(0, bytes)).await?;
            }
            Ok((listed.map_err(refusal),))
        })
    })?;
    instance.func_wrap_async("describe", |mut store, (name,): (String,)| {
        Box::new(async move {
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, name.len())).await?;
            let found = find(store.data_mut().host()?, &name).await;
            if let Ok(function) = &found {
                charge(&mut store, with_bytes(0, bytes_of(function))).await?;
            }
            Ok((found.map_err(refusal),))
        })
    })?;
    instance.func_wrap_async(
        "call",
        |mut store, (name, arguments, timeout_ms): (String, String, u32)| {
            Box::new(async move {
                let bytes = name.len().saturating_add(arguments.len());
                charge(&mut store, with_bytes(EFFECT_CALL_FUEL, bytes)).await?;
                let host = store.data_mut().host()?;
                let answer = match ask(&name, &arguments, timeout_ms) {
                    Ok(ask) => unless_stopping(host.tool_call(ask).await)?.map(answered),
                    Err(error) => Err(error),
                };
                if let Ok((_, bytes)) = &answer {
                    charge(&mut store, with_bytes(0, *bytes)).await?;
                }
                let answer = answer.map(|(answer, _)| answer).map_err(refusal);
                Ok((answer,))
            })
        },
    )
}

async fn find(host: &mut Host, name: &str) -> Result<tool_types::Function, Error> {
    let id = ToolId::parse(name)?;
    let offered = host.tools().await?;
    let found = offered.iter().find(|it| it.id == id).map(told);
    found.ok_or_else(|| {
        Error::new(
            Code::ToolNotFound,
            format!("there is no `{}` that this agent may call", shown(name)),
        )
    })
}

fn told(offered: &OfferedTool) -> tool_types::Function {
    let function = &offered.function;
    tool_types::Function {
        name: offered.id.to_string(),
        description: function.description.clone(),
        input_schema: function.input.to_string(),
        output_schema: function.output.as_ref().map(Value::to_string),
        acts: function.effect == Effect::Acts,
        repeatable: function.repeatable,
    }
}

fn bytes_of(function: &tool_types::Function) -> usize {
    let output = function.output_schema.as_ref();
    function.name.len()
        + function.description.len()
        + function.input_schema.len()
        + output.map_or(0, String::len)
}

fn ask(name: &str, arguments: &str, timeout_ms: u32) -> Result<ToolAsk, Error> {
    let wrong = |detail: String| Err(Error::new(Code::ToolArguments, detail));
    if arguments.len() > ARGUMENTS_BYTES_MAX {
        return wrong(format!(
            "the arguments have {} bytes, at most {ARGUMENTS_BYTES_MAX} are allowed",
            arguments.len()
        ));
    }
    let arguments = match serde_json::from_str(arguments) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        Ok(_) => return wrong("the arguments are no JSON object".to_owned()),
        Err(error) => return wrong(format!("the arguments are no JSON: {error}")),
    };
    Ok(ToolAsk {
        id: ToolId::parse(name)?,
        arguments,
        timeout: Duration::from_millis(u64::from(timeout_ms)),
        cost_micros_max: None,
    })
}

/// The answer, and about how many bytes it has.
fn answered(answer: ToolAnswer) -> (tools::Answer, usize) {
    let structured = answer.structured.map(|value| value.to_string());
    let bytes = answer.parts.iter().map(Part::bytes).sum::<usize>()
        + structured.as_ref().map_or(0, String::len);
    let answer = tools::Answer {
        content: answer.parts.into_iter().filter_map(content).collect(),
        structured,
        failed: answer.is_error,
    };
    (answer, bytes)
}

/// No tool answers with parts of other kinds.
fn content(part: Part) -> Option<tool_types::Content> {
    match part {
        Part::Text { text } => Some(tool_types::Content::Text(text)),
        Part::Image {
            image: Image::Data { media_type, data },
        } => {
            let data = STANDARD.decode(data).ok()?;
            Some(tool_types::Content::Image(tool_types::Image {
                media_type,
                data,
            }))
        }
        Part::Image {
            image: Image::Url(url),
        } => Some(tool_types::Content::Text(url)),
        _ => None,
    }
}
