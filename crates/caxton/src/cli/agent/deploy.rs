//! `caxton agent deploy`: from a folder or a component to a running agent.
//!
//! What is wrong with a manifest or a component is the server's to say; here only what is needed to
//! find the component is read.

mod absent;

use super::brief;
use crate::cli::output::Output;
use crate::cli::parse;
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{Agent, CreateAgentRequest, UpdateAgentRequest};
use caxton_core::error::Code;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::{Table, Value};

/// Compiling a large component takes the server's compiler up to its own limit.
const DEPLOY_WAIT: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Folders with agent.toml, agent.toml files, or components (.wasm).
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Validate and keep it, but do not start it; one that runs goes on with the new version.
    #[arg(long)]
    no_start: bool,
    /// The agent's name; default: the manifest's, or the component's file name.
    #[arg(long)]
    name: Option<String>,
    /// The version, such as 1.2.0.
    #[arg(long, value_name = "VERSION")]
    agent_version: Option<String>,
    /// Any other key of agent.toml, such as limits.fuel_per_message_max=1000000; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse::pair)]
    set: Vec<(String, String)>,
}

/// What is sent to a server: a manifest, and its component.
#[derive(Debug, Clone)]
pub struct Package {
    pub name: String,
    pub manifest: String,
    pub component: Option<Vec<u8>>,
}

pub async fn run(args: DeployArgs, client: &Client, output: &Output) -> Outcome {
    if args.paths.len() > 1 && args.name.is_some() {
        return Err(Failure::usage(
            "--name with several paths would give all of them one name",
        ));
    }
    // All are read before the first is sent, so that a typing error changes nothing.
    let packages: Vec<Package> = args
        .paths
        .iter()
        .map(|path| Package::read(path, &args))
        .collect::<Outcome<_>>()?;
    let several = packages.len() > 1;
    let mut deployed = Vec::with_capacity(packages.len());
    for package in packages {
        let agent = put(client, package, !args.no_start).await?;
        match several && !output.is_table() {
            // One after another: a line or document each.
            true => output.item(&agent, &agent.name, String::new)?,
            false => brief(&agent, output)?,
        }
        if args.no_start && agent.state == "running" {
            output.note(&format!(
                "{name} ran already and goes on, from now with {version}: --no-start starts nothing and stops nothing; \
                 `caxton agent stop {name}` stops it",
                name = agent.name,
                version = agent.version
            ));
        }
        deployed.push(agent);
    }
    // One may name another that comes after it.
    for agent in &deployed {
        absent::warn(client, agent, output).await;
    }
    Ok(())
}

/// Deploys: as a new agent, or as a new version where the name is taken.
pub async fn put(client: &Client, package: Package, start: bool) -> Outcome<Agent> {
    let client = client.clone().with_response_timeout(DEPLOY_WAIT);
    let create = CreateAgentRequest {
        manifest: package.manifest,
        component: package.component.map(Into::into),
        start: Some(start),
    };
    match client.create_agent(&create).await {
        Ok(agent) => Ok(agent),
        Err(error) if error.code() == Some(Code::AgentExists.as_str()) => {
            let update = UpdateAgentRequest {
                agent: package.name,
                manifest: create.manifest,
                component: create.component,
                // Without --no-start it runs afterwards; with it, it stays as it was.
                start: start.then_some(true),
            };
            Ok(client.update_agent(&update).await?)
        }
        Err(error) => Err(error.into()),
    }
}

impl Package {
    /// What a path holds, as it is.
    pub fn at(path: &Path) -> Outcome<Self> {
        let args = DeployArgs {
            paths: Vec::new(),
            no_start: false,
            name: None,
            agent_version: None,
            set: Vec::new(),
        };
        Self::read(path, &args)
    }

    fn read(path: &Path, args: &DeployArgs) -> Outcome<Self> {
        let missing = |path: &Path, error: std::io::Error| Failure::unreadable(path, &error);
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            let bytes = std::fs::read(path).map_err(|error| missing(path, error))?;
            let component = component_of(bytes)?;
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
            let mut table = Table::new();
            table.insert("name".to_owned(), Value::String(stem.unwrap_or_default()));
            return Self::of(table, None, Some(component), args);
        }
        let (folder, file) = if path.is_dir() {
            (path.to_owned(), path.join("agent.toml"))
        } else {
            (
                path.parent().unwrap_or(Path::new("")).to_owned(),
                path.to_owned(),
            )
        };
        let text = std::fs::read_to_string(&file).map_err(|error| missing(&file, error))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let fault = error.to_string();
            Failure::new(
                Code::ManifestMalformed,
                format!("{} is not TOML", file.display()),
            )
            .because(fault.trim_end().replace('\n', "\n  "))
        })?;
        let component = match table.get("component").and_then(Value::as_str) {
            None => scripts(&table, &folder)?,
            Some(name) if name.contains(['/', '\\']) || name.starts_with('.') => {
                return Err(Failure::new(
                    Code::ManifestMalformed,
                    format!("component = \"{name}\" must be a file name beside agent.toml"),
                ));
            }
            Some(name) => {
                let path = folder.join(name);
                let bytes = std::fs::read(&path).map_err(|error| missing(&path, error))?;
                Some(component_of(bytes)?)
            }
        };
        Self::of(table, Some(text), component, args)
    }

    /// `text` is the manifest as its author wrote it; it is sent so unless flags change it.
    fn of(
        mut table: Table,
        text: Option<String>,
        component: Option<Vec<u8>>,
        args: &DeployArgs,
    ) -> Outcome<Self> {
        let mut changed = text.is_none();
        let mut set = |key: &str, value: Value| -> Outcome {
            changed = true;
            put_key(&mut table, key, value)
        };
        if let Some(name) = &args.name {
            set("name", Value::String(name.clone()))?;
        }
        if let Some(version) = &args.agent_version {
            set("version", Value::String(version.clone()))?;
        }
        for (key, value) in &args.set {
            set(key, typed(value))?;
        }
        let name = table
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            manifest: match text {
                Some(text) if !changed => text,
                _ => table.to_string(),
            },
            component,
        })
    }
}

/// Largest script, in bytes.
const SCRIPT_BYTES_MAX: u64 = 16 << 20;

/// What an assistant's `scripted/FILE` models answer, as its component: the files beside its manifest
/// that its models name. `None` where it has no such model.
fn scripts(table: &Table, folder: &Path) -> Outcome<Option<Vec<u8>>> {
    let Some(assistant) = table.get("assistant").and_then(Value::as_table) else {
        return Ok(None);
    };
    let fallbacks = assistant.get("fallbacks").and_then(Value::as_array);
    let models = assistant.get("model").into_iter();
    let models = models.chain(fallbacks.into_iter().flatten());
    let names = models.filter_map(|it| it.as_str()?.strip_prefix("scripted/"));
    let mut files = serde_json::Map::new();
    for name in names {
        // An absolute path is itself.
        let path = folder.join(name);
        let cannot = |error: String| {
            let what = format!("cannot read the script {}", path.display());
            Failure::new(Code::ScriptMalformed, what).because(error)
        };
        let size = std::fs::metadata(&path).map_err(|error| cannot(error.to_string()))?;
        if size.len() > SCRIPT_BYTES_MAX {
            return Err(cannot(format!("it has more than {SCRIPT_BYTES_MAX} bytes")));
        }
        let text = std::fs::read(&path).map_err(|error| cannot(error.to_string()))?;
        let script: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| cannot(error.to_string()))?;
        files.insert(name.to_owned(), script);
    }
    if files.is_empty() {
        return Ok(None);
    }
    let bundle = serde_json::json!({ "scripts": files });
    Ok(Some(bundle.to_string().into_bytes()))
}

/// How a core module begins; a component has another version there.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
/// The custom section in which a compiler's bindings leave the world of a component.
const WORLD: &[u8] = b"component-type";

/// A component as it is; a core module that carries its world is made one, so that what a compiler
/// puts out can be deployed without another tool. Any other module is the server's to refuse.
pub(in crate::cli) fn component_of(bytes: Vec<u8>) -> Outcome<Vec<u8>> {
    let carries_world = || bytes.windows(WORLD.len()).any(|part| part == WORLD);
    if !bytes.starts_with(MODULE) || !carries_world() {
        return Ok(bytes);
    }
    let encoder = wit_component::ComponentEncoder::default().module(&bytes);
    encoder
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| {
            Failure::new(
                Code::ComponentIsModule,
                "the module cannot be made a component",
            )
            .because(format!("{error:#}"))
        })
}

/// Sets `section.key` or `key`.
fn put_key(table: &mut Table, key: &str, value: Value) -> Outcome {
    let Some((section, key)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return Ok(());
    };
    let inner = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    match inner {
        Value::Table(inner) => {
            inner.insert(key.to_owned(), value);
            Ok(())
        }
        _ => Err(Failure::usage(format!(
            "{section} is no section of agent.toml"
        ))),
    }
}

/// `5`, `true` and `[…]` are what they are in TOML; anything else is text.
fn typed(text: &str) -> Value {
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn args() -> DeployArgs {
        DeployArgs {
            paths: Vec::new(),
            no_start: false,
            name: None,
            agent_version: None,
            set: Vec::new(),
        }
    }

    #[test]
    fn a_folder_is_sent_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let text = "# mine\nname = \"a\"\ncomponent = \"a.wasm\"\n";
        std::fs::write(dir.path().join("agent.toml"), text).unwrap();
        std::fs::write(dir.path().join("a.wasm"), b"\0asm").unwrap();
        let package = Package::read(dir.path(), &args()).unwrap();
        assert_eq!(
            (package.name.as_str(), package.manifest.as_str()),
            ("a", text)
        );
        assert_eq!(package.component.as_deref(), Some(&b"\0asm"[..]));
        let package = Package::read(&dir.path().join("agent.toml"), &args()).unwrap();
        assert_eq!(package.name, "a");
    }

    #[test]
    fn flags_make_a_manifest_or_change_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("adder.wasm");
        std::fs::write(&path, b"\0asm").unwrap();
        let flags = DeployArgs {
            agent_version: Some("2.0.0".to_owned()),
            set: vec![
                ("limits.fuel_per_message_max".to_owned(), "1000".to_owned()),
                ("delivery.durability".to_owned(), "transient".to_owned()),
            ],
            ..args()
        };
        let package = Package::read(&path, &flags).unwrap();
        let manifest = caxton_core::Manifest::parse(&package.manifest);
        // The limit is below what the server allows, which only a parsed number can be.
        assert!(
            manifest
                .unwrap_err()
                .detail
                .contains("fuel_per_message_max = 1000")
        );
        let flags = DeployArgs {
            name: Some("other".to_owned()),
            set: vec![("delivery.durability".to_owned(), "transient".to_owned())],
            ..args()
        };
        let package = Package::read(&path, &flags).unwrap();
        let manifest = caxton_core::Manifest::parse(&package.manifest).unwrap();
        assert_eq!(
            (manifest.name.as_str(), package.name.as_str()),
            ("other", "other")
        );
        assert_eq!(
            manifest.delivery.durability,
            caxton_core::manifest::Durability::Transient
        );
    }

    #[test]
    fn only_a_module_with_a_world_is_made_a_component() {
        let component = b"\0asm\x0d\0\x01\0 component-type".to_vec();
        assert_eq!(component_of(component.clone()).unwrap(), component);
        let bare = MODULE.to_vec();
        assert_eq!(component_of(bare.clone()).unwrap(), bare);
        // A custom section of 15 bytes that says it is a world and is none.
        let lying = [MODULE, b"\0\x0f", b"\x0e", WORLD].concat();
        assert!(component_of(lying).unwrap_err().is(Code::ComponentIsModule));
    }

    #[test]
    fn scripts_of_models_come_along() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let far = elsewhere.path().join("b.json");
        let text = format!(
            "name = \"a\"\nbehavior = \"assistant\"\n[assistant]\nmodel = \"scripted/a.json\"\n\
             fallbacks = [\"demo\", \"scripted/{}\"]\n",
            far.display()
        );
        std::fs::write(dir.path().join("agent.toml"), &text).unwrap();
        let missing = Package::read(dir.path(), &args()).unwrap_err();
        assert!(missing.is(Code::ScriptMalformed));
        std::fs::write(dir.path().join("a.json"), b"[1]").unwrap();
        std::fs::write(&far, b"{\"x\": 2}").unwrap();
        let package = Package::read(dir.path(), &args()).unwrap();
        assert_eq!(package.manifest, text);
        let bundle: serde_json::Value =
            serde_json::from_slice(&package.component.unwrap()).unwrap();
        let far = far.to_str().unwrap();
        let expected = serde_json::json!({"scripts": {"a.json": [1], far: {"x": 2}}});
        assert_eq!(bundle, expected);
        let demo = "name = \"a\"\nbehavior = \"assistant\"\n[assistant]\nmodel = \"demo\"\n";
        std::fs::write(dir.path().join("agent.toml"), demo).unwrap();
        assert_eq!(Package::read(dir.path(), &args()).unwrap().component, None);
    }

    #[test]
    fn a_component_stays_beside_its_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let text = "name = \"a\"\ncomponent = \"../secret\"\n";
        std::fs::write(dir.path().join("agent.toml"), text).unwrap();
        let failure = Package::read(dir.path(), &args()).unwrap_err();
        assert!(failure.is(Code::ManifestMalformed));
    }
}
