//! Tools that reach nothing: they say what they were called with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use caxton_core::error::{Code, Error};
use caxton_core::model::{Image, Part};
use caxton_core::tool::{Definition, Effect, Function, FunctionName, HttpFunction, HttpTool};
use caxton_engine::port::tool::{
    Described, Executor, ToolAnswer, ToolCall, ToolFault, ToolFaultKind, ToolTarget,
};
use caxton_engine::port::{Answer, Secrets};
use serde_json::json;

/// Seals nothing; a test is no place for secrets.
#[derive(Debug)]
pub struct Plain;

impl Secrets for Plain {
    fn seal(&self, _place: &str, open: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(open.to_vec())
    }

    fn open(&self, _place: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(sealed.to_vec())
    }

    fn is_current(&self, _sealed: &[u8]) -> bool {
        true
    }
}

/// All kinds of tools in one.
#[derive(Debug, Default)]
pub struct Recorder {
    described: AtomicU32,
}

fn function(name: &str, description: String) -> Function {
    Function {
        name: FunctionName::parse(name).unwrap(),
        description,
        input: json!({"type": "object", "properties": {"text": {"type": "string"}}}),
        output: None,
        effect: Effect::Reads,
        repeatable: true,
    }
}

impl Executor for Recorder {
    fn describe(&self, tool: Arc<ToolTarget>) -> Answer<'_, Result<Vec<Function>, ToolFault>> {
        let functions = match &tool.definition {
            Some(Definition::Http(http)) => http
                .functions
                .iter()
                .map(|it| it.function.clone())
                .collect(),
            // It says something else from the second time on.
            _ => {
                let times = self.described.fetch_add(1, Ordering::SeqCst).min(1);
                vec![function("say", format!("Says it, version {times}."))]
            }
        };
        Box::pin(std::future::ready(Ok(functions)))
    }

    fn call(&self, call: ToolCall) -> Answer<'_, Result<ToolAnswer, ToolFault>> {
        let answer = match call.function.name.as_str() {
            "fails" | "test_error_handling" => Ok(ToolAnswer::error("out of order")),
            "trips" => Err(ToolFault::new(
                ToolFaultKind::Egress,
                "it may not be reached",
            )),
            "paints" | "test_image_content" => Ok(ToolAnswer {
                parts: vec![Part::Image {
                    image: Image::Data {
                        media_type: "image/png".to_owned(),
                        data: "iVBORw0KGgo=".to_owned(),
                    },
                }],
                log: vec![format!("info painted with {}", call.arguments)],
                ..ToolAnswer::default()
            }),
            name => Ok(ToolAnswer {
                structured: Some(json!({"name": name, "arguments": call.arguments})),
                ..ToolAnswer::text(format!("{name} {}", call.arguments))
            }),
        };
        Box::pin(std::future::ready(answer))
    }

    fn import(&self, of: &Described<'_>) -> Result<HttpTool, Error> {
        if of.document == "bad" {
            return Err(Error::new(
                Code::ToolMalformed,
                "the document is no OpenAPI document",
            ));
        }
        Ok(HttpTool {
            base_url: of.base_url.unwrap_or("https://pets.example").to_owned(),
            auth: of.auth.clone(),
            functions: vec![HttpFunction {
                function: function("listPets", of.document.to_owned()),
                method: "GET".to_owned(),
                path: "/pets".to_owned(),
                places: Vec::new(),
                headers: Vec::new(),
            }],
        })
    }
}
