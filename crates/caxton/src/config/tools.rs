//! The options of tools that the operator gives: programs that speak the Model Context Protocol.

use caxton_core::tool::ToolName;
use caxton_tools::mcp::Program;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::{Table, Value};

/// The section whose tables have names of the operator's choice.
pub const MCP: &str = "mcp";

/// Tools that the server has itself, whose names nobody else's may have.
const BUILT_IN: [&str; 4] = ["browser", "canvas", "fetch", "files"];

/// `[mcp.NAME]`: a program that is run for each tenant that calls its functions, or a server at an
/// address. All tenants see it as the tool `NAME`; who may call it says agent.toml.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mcp {
    pub description: String,
    /// A program: a path, or a name that is looked for in this server's `PATH`.
    pub command: String,
    pub args: Vec<String>,
    /// The program's whole environment.
    pub env: BTreeMap<String, String>,
    /// Empty: `/`.
    pub working_dir: PathBuf,
    pub memory_bytes_max: u64,
    pub cpu_seconds_max: u64,
    pub files_max: u64,
    /// Instead of a program: the address of a server, which may be an inner one.
    pub url: String,
}

impl Default for Mcp {
    fn default() -> Self {
        let owner = Program::new("");
        Self {
            description: String::new(),
            command: String::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            working_dir: PathBuf::new(),
            memory_bytes_max: owner.memory_bytes_max.unwrap_or_default(),
            cpu_seconds_max: owner.cpu_seconds_max.unwrap_or_default(),
            files_max: owner.files_max.unwrap_or_default(),
            url: String::new(),
        }
    }
}

impl Mcp {
    /// The program, where it is one. A limit of 0 is none.
    pub fn program(&self) -> Option<Program> {
        let limit = |max: u64| (max > 0).then_some(max);
        let working_dir = Some(self.working_dir.clone());
        (!self.command.is_empty()).then(|| Program {
            command: self.command.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            working_dir: working_dir.filter(|it| !it.as_os_str().is_empty()),
            memory_bytes_max: limit(self.memory_bytes_max),
            cpu_seconds_max: limit(self.cpu_seconds_max),
            files_max: limit(self.files_max),
        })
    }

    /// Refuses what cannot be meant.
    pub fn check(&self, name: &str) -> Result<(), String> {
        ToolName::parse(name).map_err(|error| format!("mcp.{name}: {}", error.detail))?;
        if BUILT_IN.contains(&name) {
            return Err(format!(
                "mcp.{name}: the server itself has a tool `{name}`; choose another name"
            ));
        }
        let url = &self.url;
        match (self.command.is_empty(), url.is_empty()) {
            (true, true) => Err(format!("mcp.{name} has neither `command` nor `url`")),
            (false, false) => Err(format!("mcp.{name}: command and url exclude each other")),
            (true, false) if !url.starts_with("https://") && !url.starts_with("http://") => Err(
                format!("mcp.{name}.url: `{url}` is no http or https address"),
            ),
            _ => Ok(()),
        }
    }
}

/// The default of a key `mcp.NAME.FIELD`, which says that it is one.
pub fn key_of_mcp(key: &str) -> Option<Value> {
    let (name, field) = key.strip_prefix("mcp.")?.split_once('.')?;
    let mut fields = Table::try_from(Mcp::default()).ok()?;
    fields.remove(field).filter(|_| !name.is_empty())
}

/// All keys of the table that a key seems to mean.
pub fn keys_of_mcp_like(key: &str) -> Vec<String> {
    let name = key.strip_prefix("mcp.").and_then(|it| it.split('.').next());
    let fields = Table::try_from(Mcp::default()).unwrap_or_default();
    let keys = name.map(|name| {
        fields
            .keys()
            .map(move |field| format!("mcp.{name}.{field}"))
    });
    keys.into_iter().flatten().collect()
}
