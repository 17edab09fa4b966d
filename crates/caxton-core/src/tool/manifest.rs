//! `tool.toml`: what a tool is, for `caxton tool register`. Strict: an unknown key is an error that
//! names the nearest one. Exactly one of `component`, `[http]` and `[mcp]` says how the tool is reached.
//! A secret never stands in it.

use super::define::{Auth, HttpFunction, HttpTool, McpPlace, McpTool, Place};
use super::{DESCRIPTION_BYTES_MAX, Definition, Effect, Function, FunctionName, ToolName};
use crate::error::{Code, Error, shown};
use crate::manifest::explain;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Largest `tool.toml`, in bytes.
pub const TOOL_MANIFEST_BYTES_MAX: usize = 1 << 20;

/// A parsed `tool.toml`. Defaults are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolManifest {
    pub name: ToolName,
    pub description: String,
    /// What one call costs the tenant, in millionths of the accounts' currency.
    pub price_micros: u64,
    pub source: Source,
}

/// Where the tool's definition comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A component of the world `caxton:agent/tool`, a file beside the manifest.
    Wasm {
        file: String,
    },
    Http(HttpTool),
    /// Endpoints as an OpenAPI document beside the manifest describes them.
    OpenApi(OpenApi),
    Mcp(McpTool),
}

/// What `tool.toml` says of an OpenAPI document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenApi {
    pub file: String,
    /// Instead of the document's own server.
    pub base_url: Option<String>,
    pub auth: Auth,
    /// Operations that become functions, by their `operationId`; empty: all.
    pub only: Vec<FunctionName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: ToolName,
    #[serde(default)]
    description: String,
    #[serde(default)]
    price_micros: u64,
    component: Option<String>,
    http: Option<HttpText>,
    mcp: Option<McpText>,
}

/// `[http]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpText {
    base_url: Option<String>,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    functions: Vec<FunctionText>,
    openapi: Option<String>,
    #[serde(default)]
    only: Vec<FunctionName>,
}

/// `[[http.functions]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionText {
    name: FunctionName,
    #[serde(default)]
    description: String,
    input: Option<SchemaText>,
    output: Option<SchemaText>,
    #[serde(default)]
    effect: Effect,
    #[serde(default)]
    repeatable: bool,
    method: String,
    path: String,
    #[serde(default)]
    places: BTreeMap<String, Place>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// A schema: a table, or a text that is JSON (which can say `null`, and can be pasted).
#[derive(Deserialize)]
#[serde(untagged)]
enum SchemaText {
    Table(Map<String, Value>),
    Json(String),
}

/// `[mcp]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct McpText {
    url: Option<String>,
    program: Option<String>,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    only: Vec<FunctionName>,
}

impl ToolManifest {
    /// Reads and checks `tool.toml`. Errors: `CX-8002`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > TOOL_MANIFEST_BYTES_MAX {
            return Err(malformed(format!(
                "tool.toml has more than {TOOL_MANIFEST_BYTES_MAX} bytes"
            )));
        }
        let read: Text = toml::from_str(text).map_err(|error| malformed(explain(text, &error)))?;
        if read.description.len() > DESCRIPTION_BYTES_MAX {
            return Err(malformed(format!(
                "description has more than {DESCRIPTION_BYTES_MAX} bytes"
            )));
        }
        let source = match (read.component, read.http, read.mcp) {
            (Some(file), None, None) => Source::Wasm {
                file: beside("component", file)?,
            },
            (None, Some(http), None) => http.source()?,
            (None, None, Some(mcp)) => mcp.source()?,
            _ => {
                let how =
                    "exactly one of component = \"FILE.wasm\", [http] and [mcp] must be there";
                return Err(malformed(how.to_owned()));
            }
        };
        Ok(Self {
            name: read.name,
            description: read.description,
            price_micros: read.price_micros,
            source,
        })
    }
}

impl HttpText {
    fn source(self) -> Result<Source, Error> {
        if let Some(file) = self.openapi {
            if !self.functions.is_empty() {
                let detail = "[http] has openapi and functions; one of them says what there is";
                return Err(malformed(detail.to_owned()));
            }
            return Ok(Source::OpenApi(OpenApi {
                file: beside("http.openapi", file)?,
                base_url: self.base_url,
                auth: self.auth,
                only: self.only,
            }));
        }
        if !self.only.is_empty() {
            let detail = "http.only chooses among an OpenAPI document's operations; there is no http.openapi";
            return Err(malformed(detail.to_owned()));
        }
        let Some(base_url) = self.base_url else {
            return Err(malformed("[http] needs base_url or openapi".to_owned()));
        };
        let functions = self.functions.into_iter().map(FunctionText::function);
        let tool = HttpTool {
            base_url,
            auth: self.auth,
            functions: functions.collect::<Result<_, _>>()?,
        };
        Definition::Http(tool.clone()).check()?;
        Ok(Source::Http(tool))
    }
}

impl FunctionText {
    fn function(self) -> Result<HttpFunction, Error> {
        let schema = |schema: SchemaText, of: &str| schema.value(&self.name, of);
        let input = self.input.map(|it| schema(it, "input")).transpose()?;
        let output = self.output.map(|it| schema(it, "output")).transpose()?;
        Ok(HttpFunction {
            function: Function {
                description: self.description,
                input: input.unwrap_or_else(|| json!({"type": "object"})),
                output,
                effect: self.effect,
                repeatable: self.repeatable,
                name: self.name,
            },
            method: self.method,
            path: self.path,
            places: self.places.into_iter().collect(),
            headers: self.headers.into_iter().collect(),
        })
    }
}

impl SchemaText {
    fn value(self, name: &FunctionName, of: &str) -> Result<Value, Error> {
        match self {
            Self::Table(fields) => Ok(Value::Object(fields)),
            Self::Json(text) => serde_json::from_str(&text)
                .map_err(|error| malformed(format!("the {of} of `{name}` is no JSON: {error}"))),
        }
    }
}

impl McpText {
    fn source(self) -> Result<Source, Error> {
        let place = match (self.url, self.program) {
            (Some(url), None) => McpPlace::Url(url),
            (None, Some(program)) => McpPlace::Program(program),
            _ => {
                let detail = "[mcp] needs url, or the program's name in the server's configuration";
                return Err(malformed(detail.to_owned()));
            }
        };
        let tool = McpTool {
            place,
            auth: self.auth,
            only: self.only,
        };
        Definition::Mcp(tool.clone()).check()?;
        Ok(Source::Mcp(tool))
    }
}

/// A file in the manifest's own folder: what somebody else wrote must not name others.
fn beside(key: &str, file: String) -> Result<String, Error> {
    if file.is_empty() || file.contains(['/', '\\', '\0']) || file.starts_with('.') {
        return Err(malformed(format!(
            "{key} = \"{}\" must be a file name beside tool.toml",
            shown(&file)
        )));
    }
    Ok(file)
}

fn malformed(detail: String) -> Error {
    Error::new(Code::ToolMalformed, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_component_is_named_and_nothing_else_is_needed() {
        let tool = ToolManifest::parse("name = \"wordcount\"\ncomponent = \"w.wasm\"").unwrap();
        assert_eq!(tool.name.as_str(), "wordcount");
        assert_eq!((tool.price_micros, tool.description.as_str()), (0, ""));
        let file = "w.wasm".to_owned();
        assert_eq!(tool.source, Source::Wasm { file });
    }

    #[test]
    fn endpoints_have_their_schemas_as_tables_or_as_json() {
        let text = r#"
            name = "weather"
            description = "The weather."
            price_micros = 250
            [http]
            base_url = "https://api.example.com/v1"
            auth = { header = "X-Key" }
            [[http.functions]]
            name = "now"
            method = "GET"
            path = "/now/{city}"
            effect = "reads"
            repeatable = true
            places = { unit = "query" }
            headers = { Accept = "application/json" }
            [http.functions.input]
            type = "object"
            required = ["city"]
            properties.city = { type = "string" }
            [[http.functions]]
            name = "report"
            method = "POST"
            path = "/reports"
            input = '{"type": "object", "properties": {"note": {"enum": ["a", null]}}}'
        "#;
        let tool = ToolManifest::parse(text).unwrap();
        let Source::Http(http) = tool.source else {
            panic!("{:?}", tool.source);
        };
        assert_eq!(tool.price_micros, 250);
        assert_eq!(http.auth, Auth::Header("X-Key".to_owned()));
        let [now, report] = http.functions.as_slice() else {
            panic!("{:?}", http.functions);
        };
        assert_eq!(now.places, [("unit".to_owned(), Place::Query)]);
        assert_eq!(now.headers.len(), 1);
        assert_eq!(now.function.effect, Effect::Reads);
        assert!(now.function.repeatable);
        assert_eq!(
            now.function.input,
            json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}})
        );
        // What nobody says only looks, acts.
        assert_eq!(report.function.effect, Effect::Acts);
        let note = report.function.input.pointer("/properties/note/enum");
        assert_eq!(note, Some(&json!(["a", null])));
    }

    #[test]
    fn documents_and_servers_are_named() {
        let text = "name = \"pets\"\n[http]\nopenapi = \"pets.json\"\nauth = \"bearer\"\nonly = [\"listPets\"]";
        let expected = OpenApi {
            file: "pets.json".to_owned(),
            base_url: None,
            auth: Auth::Bearer,
            only: vec![FunctionName::parse("listPets").unwrap()],
        };
        let read = ToolManifest::parse(text).unwrap().source;
        assert_eq!(read, Source::OpenApi(expected));
        for (text, place) in [
            (
                "url = \"https://mcp.example.com/mcp\"",
                McpPlace::Url("https://mcp.example.com/mcp".to_owned()),
            ),
            ("program = \"files\"", McpPlace::Program("files".to_owned())),
        ] {
            let read = ToolManifest::parse(&format!("name = \"m\"\n[mcp]\n{text}")).unwrap();
            let tool = McpTool {
                place,
                auth: Auth::None,
                only: Vec::new(),
            };
            assert_eq!(read.source, Source::Mcp(tool));
        }
    }

    #[test]
    fn faults_are_named_with_their_line_and_the_nearest_key() {
        let check = |text: &str, expected: &str| {
            let error = ToolManifest::parse(text).unwrap_err();
            assert_eq!(error.code, Code::ToolMalformed);
            assert!(error.detail.contains(expected), "{text}: {}", error.detail);
        };
        let wasm = "name = \"a\"\ncomponent = \"a.wasm\"\n";
        check(
            &format!("{wasm}pirce_micros = 1"),
            "line 3: unknown field `pirce_micros`",
        );
        check(
            &format!("{wasm}pirce_micros = 1"),
            "did you mean `price_micros`",
        );
        check("name = \"A\"\ncomponent = \"a.wasm\"", "not a tool's name");
        check("component = \"a.wasm\"", "missing field `name`");
        check("name = \"a\"", "exactly one of");
        check(
            &format!("{wasm}[mcp]\nurl = \"https://a\""),
            "exactly one of",
        );
        check(
            "name = \"a\"\ncomponent = \"../a.wasm\"",
            "beside tool.toml",
        );
        let http = "name = \"a\"\n[http]\n";
        check(http, "needs base_url or openapi");
        check(
            &format!("{http}base_ulr = \"https://a\""),
            "did you mean `base_url`",
        );
        check(
            &format!("{http}openapi = \"/etc/passwd\""),
            "beside tool.toml",
        );
        check(&format!("{http}base_url = \"https://a\""), "no functions");
        check(&format!("{http}base_url = \"ftp://a\""), "is no address");
        check(
            &format!("{http}base_url = \"https://a\"\nauth = \"baerer\""),
            "did you mean `bearer`",
        );
        let function = format!(
            "{http}base_url = \"https://a\"\n[[http.functions]]\nname = \"f\"\nmethod = \"GET\"\n"
        );
        check(
            &format!("{function}path = \"/{{id}}\""),
            "which its schema does not have",
        );
        check(
            &format!("{function}path = \"/\"\ninput = '{{'"),
            "the input of `f` is no JSON",
        );
        check(
            &format!("{function}path = \"/\"\ninput = '[]'"),
            "not a JSON object",
        );
        check("name = \"a\"\n[mcp]\n", "[mcp] needs url");
        check(
            "name = \"a\"\n[mcp]\nurl = \"http://a\"\nprogram = \"b\"",
            "[mcp] needs url",
        );
    }
}
