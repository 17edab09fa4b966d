//! How a tool of a tenant's own (or of the operator's) is reached. Secrets are not in here: they are
//! sealed apart, and an [`Auth`] says where one goes.

use super::{Function, FunctionName};
use crate::error::{Code, Error, shown};
use crate::id::Digest;
use serde::{Deserialize, Serialize};

/// Longest address, in bytes.
pub const URL_BYTES_MAX: usize = 4_096;
/// Fixed headers or query parameters of one function.
pub const FIXED_MAX: usize = 32;

/// What carries a tool's calls out, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Definition {
    Http(HttpTool),
    Mcp(McpTool),
    /// A component of the world `caxton:agent/tool`; its bytes lie in the store by this digest.
    Wasm {
        component: Digest,
    },
}

/// Endpoints of somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpTool {
    /// `https://host[/path]`, without a slash at its end.
    pub base_url: String,
    #[serde(default)]
    pub auth: Auth,
    pub functions: Vec<HttpFunction>,
}

/// One endpoint as a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpFunction {
    #[serde(flatten)]
    pub function: Function,
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// After the base; `{name}` stands for the argument of that name, percent-encoded as one segment.
    pub path: String,
    /// Where the arguments go that are not in the path. One that is not named goes into the body where
    /// the method has one, into the query where it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<(String, Place)>,
    /// Headers that each call has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// Where an argument goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Query,
    Header,
    /// A field of a JSON object.
    Body,
    /// The whole body, as JSON.
    Whole,
}

/// How a tool's secret is shown to its server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// It has none.
    #[default]
    None,
    /// `Authorization: Bearer SECRET`.
    Bearer,
    /// `Authorization: Basic`, the secret being `user:password`.
    Basic,
    /// A header of this name.
    Header(String),
    /// A query parameter of this name.
    Query(String),
}

/// A server of the Model Context Protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpTool {
    pub place: McpPlace,
    #[serde(default)]
    pub auth: Auth,
    /// Functions that are offered to agents; empty: all that the server has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<FunctionName>,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum McpPlace {
    /// Streamable HTTP.
    Url(String),
    /// A program, by its name in the server's configuration: only the operator may run one.
    Program(String),
}

impl Definition {
    pub const fn kind(&self) -> super::ToolKind {
        match self {
            Self::Http(_) => super::ToolKind::Http,
            Self::Mcp(_) => super::ToolKind::Mcp,
            Self::Wasm { .. } => super::ToolKind::Wasm,
        }
    }

    /// The address that calls go to, if they go over the network.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Http(tool) => Some(&tool.base_url),
            Self::Mcp(McpTool {
                place: McpPlace::Url(url),
                ..
            }) => Some(url),
            _ => None,
        }
    }

    pub const fn auth(&self) -> &Auth {
        match self {
            Self::Http(tool) => &tool.auth,
            Self::Mcp(tool) => &tool.auth,
            Self::Wasm { .. } => &Auth::None,
        }
    }

    /// Checks what can be checked without reaching anything. Errors: `CX-8002`.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(url) = self.url() {
            check_url(url)?;
        }
        match self.auth() {
            Auth::Header(name) | Auth::Query(name) if name.is_empty() || name.len() > 128 => {
                return Err(malformed("auth names no header or parameter"));
            }
            _ => {}
        }
        match self {
            Self::Http(tool) => tool.check(),
            Self::Mcp(_) | Self::Wasm { .. } => Ok(()),
        }
    }
}

impl HttpTool {
    fn check(&self) -> Result<(), Error> {
        if self.functions.is_empty() {
            return Err(malformed("an HTTP tool has no functions"));
        }
        if self.functions.len() > super::FUNCTIONS_MAX {
            let max = super::FUNCTIONS_MAX;
            return Err(malformed(&format!("more than {max} functions")));
        }
        let mut seen = std::collections::BTreeSet::new();
        for function in &self.functions {
            let name = &function.function.name;
            if !seen.insert(name) {
                return Err(malformed(&format!("two functions are called `{name}`")));
            }
            function.function.check()?;
            function.check()?;
        }
        Ok(())
    }
}

impl HttpFunction {
    fn check(&self) -> Result<(), Error> {
        const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        let name = &self.function.name;
        if !METHODS.contains(&self.method.as_str()) {
            let methods = METHODS.join(", ");
            return Err(malformed(&format!(
                "`{name}`: the method is `{}`, not one of {methods}",
                shown(&self.method)
            )));
        }
        if !self.path.is_empty() && !self.path.starts_with('/') || self.path.len() > URL_BYTES_MAX {
            return Err(malformed(&format!("`{name}`: the path begins with no `/`")));
        }
        for argument in self.path_arguments() {
            let argument = argument.map_err(|what| malformed(&format!("`{name}`: {what}")))?;
            let declared = self.function.input.pointer("/properties");
            if declared.is_none_or(|all| all.get(argument).is_none()) {
                return Err(malformed(&format!(
                    "`{name}`: the path has `{{{argument}}}`, which its schema does not have"
                )));
            }
        }
        if self.headers.len() > FIXED_MAX || self.places.len() > super::FUNCTIONS_MAX {
            return Err(malformed(&format!("`{name}`: too many headers or places")));
        }
        Ok(())
    }

    /// The names in the path's braces.
    pub fn path_arguments(&self) -> impl Iterator<Item = Result<&str, &'static str>> {
        self.path.split('{').skip(1).map(|rest| {
            let (name, _) = rest
                .split_once('}')
                .ok_or("a `{` in the path is not closed")?;
            match name {
                "" => Err("an argument in the path has no name"),
                name => Ok(name),
            }
        })
    }
}

fn check_url(url: &str) -> Result<(), Error> {
    let is_http = url.starts_with("https://") || url.starts_with("http://");
    if !is_http || url.len() > URL_BYTES_MAX {
        return Err(malformed(&format!(
            "`{}` is no address: https://…, at most {URL_BYTES_MAX} bytes",
            shown(url)
        )));
    }
    Ok(())
}

fn malformed(detail: &str) -> Error {
    Error::new(Code::ToolMalformed, detail)
}
