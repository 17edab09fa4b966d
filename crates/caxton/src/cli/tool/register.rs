//! `caxton tool register`: from a folder with tool.toml, or a component, to a tool.
//!
//! Where a tool's address may be and what a component must be is the server's to say; here only its
//! files are read.

use super::{show, tell_changes};
use crate::cli::output::Output;
use crate::cli::secret::SecretArgs;
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    CreateToolRequest, HttpFunction, HttpTool, McpTool, ReplaceToolRequest, Tool, ToolAuth,
    WasmTool,
};
use caxton_api::wkt::Struct;
use caxton_core::error::Code;
use caxton_core::tool::define::McpPlace;
use caxton_core::tool::manifest::{OpenApi, Source, ToolManifest};
use caxton_core::tool::{self, Auth, Place};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Compiling a component and asking a server what it offers have limits of the server's own.
pub(super) const DESCRIBE_WAIT: Duration = Duration::from_secs(10 * 60);
/// Largest OpenAPI document that is sent, in bytes.
const DOCUMENT_BYTES_MAX: u64 = 6 << 20;

#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// A folder with tool.toml, a tool.toml file, or a component (.wasm).
    path: PathBuf,
    /// The tool's name; default: the manifest's, or the component's file name.
    #[arg(long)]
    name: Option<String>,
    /// What it is for; default: the manifest's.
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    secret: SecretArgs,
}

pub(super) async fn run(args: &RegisterArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = read(&args.path)?;
    if let Some(name) = &args.name {
        request.name.clone_from(name);
    }
    if let Some(description) = &args.description {
        request.description.clone_from(description);
    }
    request.secret = args.secret.read()?;
    let client = client.clone().with_response_timeout(DESCRIBE_WAIT);
    let tool = match client.create_tool(&request).await {
        Ok(tool) => tool,
        Err(error) if error.code() == Some(Code::ToolExists.as_str()) => {
            let replace = ReplaceToolRequest {
                tool: request.name,
                description: request.description,
                http: request.http,
                mcp: request.mcp,
                wasm: request.wasm,
                secret: request.secret,
                price_micros: request.price_micros,
            };
            client.replace_tool(&replace).await?
        }
        Err(error) => return Err(error.into()),
    };
    tell_changes(&tool, output);
    if wants_secret(&tool) && !tool.has_secret {
        let how = "--secret-env or --secret-file with the same command";
        output.note(&format!("it has no secret, which its `auth` shows: {how}"));
    }
    show(tool, output)
}

fn wants_secret(tool: &Tool) -> bool {
    let http = tool.http.as_ref().and_then(|it| it.auth.as_ref());
    let auth = http.or_else(|| tool.mcp.as_ref().and_then(|it| it.auth.as_ref()));
    auth.is_some_and(|it| !matches!(it.r#type.as_str(), "" | "none"))
}

fn read(path: &Path) -> Outcome<CreateToolRequest> {
    if path.extension().is_some_and(|it| it == "wasm") {
        let stem = path.file_stem().unwrap_or_default();
        return Ok(CreateToolRequest {
            name: stem.to_string_lossy().into_owned(),
            wasm: Some(component(path)?),
            ..CreateToolRequest::default()
        });
    }
    let (folder, file) = match path.is_dir() {
        true => (path, path.join("tool.toml")),
        false => (path.parent().unwrap_or(Path::new("")), path.to_owned()),
    };
    let text =
        std::fs::read_to_string(&file).map_err(|error| Failure::unreadable(&file, &error))?;
    let manifest = ToolManifest::parse(&text)
        .map_err(|error| Failure::from(error).because(format!("in {}", file.display())))?;
    let mut request = CreateToolRequest {
        name: manifest.name.to_string(),
        description: manifest.description,
        price_micros: manifest.price_micros,
        ..CreateToolRequest::default()
    };
    match manifest.source {
        Source::Wasm { file } => request.wasm = Some(component(&folder.join(file))?),
        Source::Http(tool) => request.http = Some(http(tool)),
        Source::OpenApi(of) => request.http = Some(openapi(of, folder)?),
        Source::Mcp(tool) => request.mcp = Some(mcp(tool)),
    }
    Ok(request)
}

fn component(path: &Path) -> Outcome<WasmTool> {
    let bytes = std::fs::read(path).map_err(|error| Failure::unreadable(path, &error))?;
    let bytes = crate::cli::agent::component_of(bytes)?;
    Ok(WasmTool {
        component: Some(bytes.into()),
        digest: None,
    })
}

fn openapi(of: OpenApi, folder: &Path) -> Outcome<HttpTool> {
    let path = folder.join(&of.file);
    let size = std::fs::metadata(&path).map_err(|error| Failure::unreadable(&path, &error))?;
    if size.len() > DOCUMENT_BYTES_MAX {
        let what = format!(
            "{} has more than {DOCUMENT_BYTES_MAX} bytes",
            path.display()
        );
        return Err(Failure::new(Code::ToolMalformed, what));
    }
    let document =
        std::fs::read_to_string(&path).map_err(|error| Failure::unreadable(&path, &error))?;
    Ok(HttpTool {
        base_url: of.base_url.unwrap_or_default(),
        auth: auth(of.auth),
        functions: Vec::new(),
        openapi: Some(document),
        only: of.only.iter().map(ToString::to_string).collect(),
    })
}

fn http(tool: tool::HttpTool) -> HttpTool {
    let functions = tool.functions.into_iter().map(|it| HttpFunction {
        name: it.function.name.to_string(),
        description: it.function.description,
        input_schema: Struct::of(it.function.input),
        output_schema: it.function.output.and_then(Struct::of),
        effect: it.function.effect.as_str().to_owned(),
        repeatable: it.function.repeatable,
        method: it.method,
        path: it.path,
        places: it
            .places
            .into_iter()
            .map(|(argument, place)| (argument, word(&place).to_owned()))
            .collect(),
        headers: it.headers.into_iter().collect(),
    });
    HttpTool {
        base_url: tool.base_url,
        auth: auth(tool.auth),
        functions: functions.collect(),
        openapi: None,
        only: Vec::new(),
    }
}

const fn word(place: &Place) -> &'static str {
    match place {
        Place::Query => "query",
        Place::Header => "header",
        Place::Body => "body",
        Place::Whole => "whole",
    }
}

fn mcp(tool: tool::McpTool) -> McpTool {
    let (url, program) = match tool.place {
        McpPlace::Url(url) => (url, String::new()),
        McpPlace::Program(program) => (String::new(), program),
    };
    McpTool {
        url,
        program,
        auth: auth(tool.auth),
        only: tool.only.iter().map(ToString::to_string).collect(),
    }
}

fn auth(auth: Auth) -> Option<ToolAuth> {
    let (r#type, name) = match auth {
        Auth::None => return None,
        Auth::Bearer => ("bearer", String::new()),
        Auth::Basic => ("basic", String::new()),
        Auth::Header(name) => ("header", name),
        Auth::Query(name) => ("query", name),
    };
    Some(ToolAuth {
        r#type: r#type.to_owned(),
        name,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_a_file_and_a_component_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            "name = \"w\"\ndescription = \"Counts.\"\nprice_micros = 7\ncomponent = \"c.wasm\"\n";
        std::fs::write(dir.path().join("tool.toml"), text).unwrap();
        assert!(read(dir.path()).is_err(), "the component is missing");
        std::fs::write(dir.path().join("c.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        for path in [dir.path().to_owned(), dir.path().join("tool.toml")] {
            let request = read(&path).unwrap();
            assert_eq!((request.name.as_str(), request.price_micros), ("w", 7));
            let wasm = request.wasm.unwrap();
            assert_eq!(wasm.component.unwrap().len(), 8);
        }
        let request = read(&dir.path().join("c.wasm")).unwrap();
        assert_eq!(request.name, "c");
        assert_eq!(
            read(&dir.path().join("no")).unwrap_err().exit(),
            crate::failure::Exit::NotFound
        );
    }

    #[test]
    fn an_openapi_document_is_sent_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let text = "name = \"pets\"\n[http]\nopenapi = \"p.json\"\nauth = { header = \"X-Key\" }\nonly = [\"a\"]\n";
        std::fs::write(dir.path().join("tool.toml"), text).unwrap();
        std::fs::write(dir.path().join("p.json"), "{\"openapi\": \"3.1.0\"}").unwrap();
        let http = read(dir.path()).unwrap().http.unwrap();
        assert_eq!(http.openapi.as_deref(), Some("{\"openapi\": \"3.1.0\"}"));
        let auth = http.auth.unwrap();
        assert_eq!(
            (auth.r#type.as_str(), auth.name.as_str()),
            ("header", "X-Key")
        );
        assert_eq!(
            (http.base_url.as_str(), http.only),
            ("", vec!["a".to_owned()])
        );
    }
}
