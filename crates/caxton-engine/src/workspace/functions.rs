//! Tools that the engine itself has, because they are of its own data: the files of a workspace, and
//! the canvas, which is a file that the user sees beside the chat.

use super::{NewFile, Workspaces};
use crate::opctx::TenantScope;
use crate::port::tool::{Builtin, ToolAnswer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caxton_core::error::{Code, Error};
use caxton_core::model::{Image, Part};
use caxton_core::tool::{Effect, Function, FunctionName, ToolName};
use serde_json::{Value, json};

/// The tool of files.
pub const FILES: &str = "files";
/// The tool of what the user sees beside the chat.
pub const CANVAS: &str = "canvas";
/// Where in a workspace canvases lie.
pub const CANVAS_FOLDER: &str = "canvas";

/// Characters of a file that are read at a time, where nobody says otherwise.
const READ_CHARS: u64 = 20_000;

fn function(name: &str, description: &str, input: Value, effect: Effect) -> Option<Function> {
    Some(Function {
        name: FunctionName::parse(name).ok()?,
        description: description.to_owned(),
        input,
        output: None,
        effect,
        // Whatever is done to a file twice is as if it were done once.
        repeatable: true,
    })
}

fn tool(name: &str, description: &str, functions: Vec<Option<Function>>) -> Option<Builtin> {
    Some(Builtin {
        name: ToolName::parse(name).ok()?,
        description: description.to_owned(),
        functions: functions.into_iter().flatten().collect(),
    })
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Builtin> {
    let path = json!({"type": "string", "description": "A relative path, such as notes/today.md."});
    let object = |properties: Value, required: &[&str]| {
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    };
    let files = tool(
        FILES,
        "Files of this session's own workspace.",
        vec![
            function(
                "list",
                "Lists the files of the workspace.",
                object(json!({}), &[]),
                Effect::Reads,
            ),
            function(
                "read",
                "Reads a file of the workspace.",
                object(
                    json!({
                        "path": path,
                        "start": {"type": "integer", "minimum": 0, "description": "The first character to read."},
                        "max_chars": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                    }),
                    &["path"],
                ),
                Effect::Reads,
            ),
            function(
                "write",
                "Writes a text file into the workspace, in place of one of the same name.",
                object(
                    json!({"path": path, "content": {"type": "string"}}),
                    &["path", "content"],
                ),
                Effect::Acts,
            ),
            function(
                "remove",
                "Removes a file of the workspace.",
                object(json!({"path": path}), &["path"]),
                Effect::Acts,
            ),
        ],
    );
    let name = json!({"type": "string", "description": "Which canvas; the same name replaces it."});
    let canvas = tool(
        CANVAS,
        "Shows the user a document beside the chat.",
        vec![
            function(
                "show",
                "Shows the user a document or page beside the chat, in place of one of the same name.",
                object(
                    json!({
                        "name": name,
                        "title": {"type": "string", "maxLength": 200},
                        "type": {"type": "string", "enum": ["markdown", "html", "text"]},
                        "content": {"type": "string"},
                    }),
                    &["name", "content"],
                ),
                Effect::Acts,
            ),
            function(
                "read",
                "Reads what a canvas shows.",
                object(json!({"name": name}), &["name"]),
                Effect::Reads,
            ),
        ],
    );
    [files, canvas].into_iter().flatten()
}

/// Whether the engine itself carries a tool's calls out.
pub(crate) fn is_own(tool: &ToolName) -> bool {
    [FILES, CANVAS].contains(&tool.as_str())
}

/// One call of one of them. Errors: `CX-8030` to `CX-8032`.
pub(crate) async fn call(
    files: &Workspaces,
    scope: &TenantScope,
    workspace: &str,
    (tool, function): (&str, &str),
    arguments: &Value,
) -> Result<ToolAnswer, Error> {
    let text = |name: &str| {
        arguments
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    match (tool, function) {
        (FILES, "list") => {
            let all = files.list(scope, workspace).await?;
            let lines = all
                .iter()
                .map(|it| format!("{} ({}, {} bytes)", it.path, it.media_type, it.bytes));
            let lines: Vec<String> = lines.collect();
            Ok(ToolAnswer::text(match lines.is_empty() {
                true => "the workspace is empty".to_owned(),
                false => lines.join("\n"),
            }))
        }
        (FILES, "read") => {
            let file = files.read(scope, workspace, text("path")).await?;
            Ok(read(&file.view.media_type, &file.bytes, arguments))
        }
        (FILES, "write") => {
            let path = text("path");
            let file = NewFile {
                path,
                media_type: media_type(path),
                title: "",
                bytes: text("content").as_bytes(),
            };
            let view = files.write(scope, workspace, file).await?;
            Ok(ToolAnswer::text(format!(
                "{} bytes written to {path}",
                view.bytes
            )))
        }
        (FILES, "remove") => {
            files.remove(scope, workspace, text("path")).await?;
            Ok(ToolAnswer::text("removed"))
        }
        (CANVAS, "show") => {
            let path = format!("{CANVAS_FOLDER}/{}", text("name"));
            let file = NewFile {
                path: &path,
                media_type: match text("type") {
                    "html" => "text/html",
                    "text" => "text/plain",
                    _ => "text/markdown",
                },
                title: text("title"),
                bytes: text("content").as_bytes(),
            };
            files.write(scope, workspace, file).await?;
            Ok(ToolAnswer::text("the user sees it"))
        }
        (CANVAS, "read") => {
            let path = format!("{CANVAS_FOLDER}/{}", text("name"));
            let file = files.read(scope, workspace, &path).await?;
            Ok(read(
                "text/plain",
                &file.bytes,
                &json!({"max_chars": 1_000_000}),
            ))
        }
        _ => Err(Error::new(Code::ToolNotFound, "there is no such function")),
    }
}

fn read(media_type: &str, bytes: &[u8], arguments: &Value) -> ToolAnswer {
    let Ok(text) = std::str::from_utf8(bytes) else {
        if media_type.starts_with("image/") {
            let image = Image::Data {
                media_type: media_type.to_owned(),
                data: STANDARD.encode(bytes),
            };
            return ToolAnswer {
                parts: vec![Part::Image { image }],
                ..ToolAnswer::default()
            };
        }
        let length = bytes.len();
        return ToolAnswer::text(format!("[{length} bytes of {media_type} that are no text]"));
    };
    let number = |name: &str| arguments.get(name).and_then(Value::as_u64);
    let start = usize::try_from(number("start").unwrap_or(0)).unwrap_or(usize::MAX);
    let max = usize::try_from(number("max_chars").unwrap_or(READ_CHARS)).unwrap_or(usize::MAX);
    let shown: String = text.chars().skip(start).take(max).collect();
    let all = text.chars().count();
    let end = start.saturating_add(shown.chars().count());
    match end < all {
        true => ToolAnswer::text(format!("{shown}\n[characters {start} to {end} of {all}]")),
        false => ToolAnswer::text(shown),
    }
}

/// What a file is, by its name.
fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, tail)| tail) {
        Some("md") => "text/markdown",
        Some("html" | "htm") => "text/html",
        Some("json") => "application/json",
        Some("csv") => "text/csv",
        Some("svg") => "image/svg+xml",
        _ => "text/plain",
    }
}
