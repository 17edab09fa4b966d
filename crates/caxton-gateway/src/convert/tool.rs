//! Tools, their definitions, their calls and their approvals.

use std::collections::BTreeMap;

use bytes::Bytes;
use caxton_api::wkt::{Struct, Value};
use caxton_api::{ApiError, v1};
use caxton_core::Digest;
use caxton_core::error::{Code, Error, shown};
use caxton_core::tool::define::McpPlace;
use caxton_core::tool::permit::Pattern;
use caxton_core::tool::{
    Auth, Definition, Effect, Function, FunctionName, HttpFunction, HttpTool, McpTool, Place,
    Rules, ToolId, ToolName,
};
use caxton_engine::tools::{
    Approval, File, FileView, FunctionView, ToolCallRecord, ToolPolicy, ToolView,
};
use serde_json::{Map, json};

use super::time::wire;

/// How a request says that a tool is reached.
pub(crate) struct Reached {
    pub(crate) http: Option<v1::HttpTool>,
    pub(crate) mcp: Option<v1::McpTool>,
    pub(crate) wasm: Option<v1::WasmTool>,
}

/// The same, read.
pub(crate) enum Defined {
    Plain(Definition),
    /// With the component's bytes.
    Wasm(Digest, Bytes),
    /// An `OpenAPI` document that has to be read first.
    OpenApi(OpenApi),
}

/// A document, and what is wanted of it.
pub(crate) struct OpenApi {
    pub(crate) document: String,
    pub(crate) base_url: Option<String>,
    pub(crate) auth: Auth,
    pub(crate) only: Vec<FunctionName>,
}

impl Reached {
    /// Reads what is given; of the three exactly one is.
    pub(crate) fn read(self) -> Result<Defined, ApiError> {
        match (self.http, self.mcp, self.wasm) {
            (Some(tool), None, None) => http(tool),
            (None, Some(tool), None) => mcp(tool).map(Definition::Mcp).map(Defined::Plain),
            (None, None, Some(tool)) => {
                let bytes = tool.component.filter(|it| !it.is_empty());
                let bytes = bytes.ok_or_else(|| wrong("wasm.component", "is missing"))?;
                Ok(Defined::Wasm(Digest::of(&bytes), bytes))
            }
            (None, None, None) => Err(wrong("http", "is missing, and so are `mcp` and `wasm`")),
            _ => Err(wrong(
                "http",
                "does not go with another of `mcp` and `wasm`",
            )),
        }
    }
}

fn http(tool: v1::HttpTool) -> Result<Defined, ApiError> {
    let auth = auth(tool.auth, "http.auth")?;
    if let Some(document) = tool.openapi {
        if !tool.functions.is_empty() {
            return Err(wrong("http.functions", "does not go with `openapi`"));
        }
        return Ok(Defined::OpenApi(OpenApi {
            document,
            base_url: Some(tool.base_url).filter(|it| !it.is_empty()),
            auth,
            only: names(tool.only, "http.only")?,
        }));
    }
    if !tool.only.is_empty() {
        return Err(wrong("http.only", "goes with `openapi` alone"));
    }
    if tool.base_url.is_empty() {
        return Err(wrong("http.baseUrl", "is missing"));
    }
    let functions = tool.functions.into_iter().enumerate();
    let functions =
        functions.map(|(index, it)| http_function(it, &format!("http.functions[{index}]")));
    Ok(Defined::Plain(Definition::Http(HttpTool {
        base_url: tool.base_url,
        auth,
        functions: functions.collect::<Result<_, _>>()?,
    })))
}

fn http_function(given: v1::HttpFunction, at: &str) -> Result<HttpFunction, ApiError> {
    let name = |error: Error| wrong(&format!("{at}.name"), &error.detail);
    let effect = match given.effect.as_str() {
        "" | "acts" => Effect::Acts,
        "reads" => Effect::Reads,
        _ => return Err(wrong(&format!("{at}.effect"), "is neither reads nor acts")),
    };
    let places = given.places.into_iter().map(|(argument, place)| {
        let place = match place.as_str() {
            "query" => Place::Query,
            "header" => Place::Header,
            "body" => Place::Body,
            "whole" => Place::Whole,
            _ => {
                let field = format!("{at}.places.{}", shown(&argument));
                return Err(wrong(&field, "is none of query, header, body, whole"));
            }
        };
        Ok((argument, place))
    });
    Ok(HttpFunction {
        function: Function {
            name: FunctionName::parse(&given.name).map_err(name)?,
            description: given.description,
            input: given
                .input_schema
                .map_or_else(|| json!({"type": "object"}), Struct::into_json),
            output: given.output_schema.map(Struct::into_json),
            effect,
            repeatable: given.repeatable,
        },
        method: given.method,
        path: given.path,
        places: places.collect::<Result<_, _>>()?,
        headers: given.headers.into_iter().collect(),
    })
}

fn mcp(tool: v1::McpTool) -> Result<McpTool, ApiError> {
    let place = match (tool.url.as_str(), tool.program.as_str()) {
        ("", "") => return Err(wrong("mcp.url", "is missing")),
        (_, "") => McpPlace::Url(tool.url),
        ("", _) => McpPlace::Program(tool.program),
        _ => return Err(wrong("mcp.program", "does not go with `url`")),
    };
    Ok(McpTool {
        place,
        auth: auth(tool.auth, "mcp.auth")?,
        only: names(tool.only, "mcp.only")?,
    })
}

fn names(given: Vec<String>, at: &str) -> Result<Vec<FunctionName>, ApiError> {
    let name = |(index, text): (usize, String)| {
        FunctionName::parse(&text).map_err(|error| wrong(&format!("{at}[{index}]"), &error.detail))
    };
    given.into_iter().enumerate().map(name).collect()
}

fn auth(given: Option<v1::ToolAuth>, at: &str) -> Result<Auth, ApiError> {
    let Some(v1::ToolAuth { r#type, name }) = given else {
        return Ok(Auth::None);
    };
    let auth = match r#type.as_str() {
        "none" | "" => Auth::None,
        "bearer" => Auth::Bearer,
        "basic" => Auth::Basic,
        "header" => Auth::Header(name.clone()),
        "query" => Auth::Query(name.clone()),
        _ => {
            let what = "is none of none, bearer, basic, header, query";
            return Err(wrong(&format!("{at}.type"), what));
        }
    };
    let named = matches!(auth, Auth::Header(_) | Auth::Query(_));
    match (named, name.is_empty()) {
        (true, true) => Err(wrong(&format!("{at}.name"), "is missing")),
        (false, false) => Err(wrong(
            &format!("{at}.name"),
            "goes with header and query alone",
        )),
        _ => Ok(auth),
    }
}

fn wrong(field: &str, what: &str) -> ApiError {
    ApiError::new(Code::ToolMalformed, format!("`{field}` {what}")).with_field(field, what)
}

/// A tool's name; a text that is none is one that no tool has.
pub(crate) fn tool_name(text: &str) -> Result<ToolName, Error> {
    ToolName::parse(text).map_err(|_| {
        let detail = format!("there is no tool `{}`", shown(text));
        Error::new(Code::ToolNotFound, detail)
    })
}

/// What is called.
pub(crate) fn tool_id(tool: &str, function: &str) -> Result<ToolId, Error> {
    let id = match function {
        "" => ToolId::parse(tool),
        function => ToolName::parse(tool).and_then(|tool| {
            let function = FunctionName::parse(function)?;
            Ok(ToolId::Function(tool, function))
        }),
    };
    id.map_err(|_| {
        let dot = if function.is_empty() { "" } else { "." };
        let detail = format!("there is no tool `{}{dot}{}`", shown(tool), shown(function));
        Error::new(Code::ToolNotFound, detail)
    })
}

/// A tool on the wire.
pub(crate) fn tool(it: &ToolView) -> v1::Tool {
    let mut tool = v1::Tool {
        name: it.name.to_string(),
        description: it.description.clone(),
        kind: it.kind.as_str().to_owned(),
        functions: it
            .functions
            .iter()
            .map(|of| function(&it.name, of))
            .collect(),
        has_secret: it.has_secret,
        operators: it.operators,
        price_micros: it.price_micros,
        create_time: it.created.map(wire),
        update_time: it.updated.map(wire),
        hosts: it.hosts.clone(),
        unreached: it.unreached.clone().unwrap_or_default(),
        ..v1::Tool::default()
    };
    match &it.definition {
        None => {}
        Some(Definition::Http(http)) => tool.http = Some(http_wire(http)),
        Some(Definition::Mcp(mcp)) => tool.mcp = Some(mcp_wire(mcp)),
        Some(Definition::Wasm { component }) => {
            tool.wasm = Some(v1::WasmTool {
                component: None,
                digest: Some(component.to_string()),
            });
        }
    }
    tool
}

fn function(tool: &ToolName, it: &FunctionView) -> v1::ToolFunction {
    let function = &it.function;
    v1::ToolFunction {
        id: ToolId::Function(tool.clone(), function.name.clone()).to_string(),
        name: function.name.to_string(),
        description: function.description.clone(),
        input_schema: Struct::of(function.input.clone()),
        output_schema: function.output.clone().and_then(Struct::of),
        effect: function.effect.as_str().to_owned(),
        repeatable: function.repeatable,
        state: it.state.as_str().to_owned(),
    }
}

fn http_wire(it: &HttpTool) -> v1::HttpTool {
    let functions = it.functions.iter().map(|it| v1::HttpFunction {
        name: it.function.name.to_string(),
        description: it.function.description.clone(),
        input_schema: Struct::of(it.function.input.clone()),
        output_schema: it.function.output.clone().and_then(Struct::of),
        effect: it.function.effect.as_str().to_owned(),
        repeatable: it.function.repeatable,
        method: it.method.clone(),
        path: it.path.clone(),
        places: it
            .places
            .iter()
            .map(|(argument, place)| (argument.clone(), place_wire(place).to_owned()))
            .collect(),
        headers: it.headers.iter().cloned().collect::<BTreeMap<_, _>>(),
    });
    v1::HttpTool {
        base_url: it.base_url.clone(),
        auth: auth_wire(&it.auth),
        functions: functions.collect(),
        openapi: None,
        only: Vec::new(),
    }
}

const fn place_wire(it: &Place) -> &'static str {
    match it {
        Place::Query => "query",
        Place::Header => "header",
        Place::Body => "body",
        Place::Whole => "whole",
    }
}

fn mcp_wire(it: &McpTool) -> v1::McpTool {
    let (url, program) = match &it.place {
        McpPlace::Url(url) => (url.clone(), String::new()),
        McpPlace::Program(program) => (String::new(), program.clone()),
    };
    v1::McpTool {
        url,
        program,
        auth: auth_wire(&it.auth),
        only: it.only.iter().map(ToString::to_string).collect(),
    }
}

fn auth_wire(it: &Auth) -> Option<v1::ToolAuth> {
    let (r#type, name) = match it {
        Auth::None => return None,
        Auth::Bearer => ("bearer", ""),
        Auth::Basic => ("basic", ""),
        Auth::Header(name) => ("header", name.as_str()),
        Auth::Query(name) => ("query", name.as_str()),
    };
    Some(v1::ToolAuth {
        r#type: r#type.to_owned(),
        name: name.to_owned(),
    })
}

/// A call on the wire.
pub(crate) fn call(it: &ToolCallRecord) -> v1::ToolCall {
    let text = |of: Option<String>| of.unwrap_or_default();
    v1::ToolCall {
        id: it.id.clone(),
        tool: it.tool.to_string(),
        kind: it.kind.as_str().to_owned(),
        agent: text(it.agent.as_ref().map(ToString::to_string)),
        session_id: text(it.session.clone()),
        turn_id: text(it.turn.as_ref().map(ToString::to_string)),
        arguments: Some(Value(it.arguments.clone())),
        outcome: it.outcome.as_str().to_owned(),
        code: text(it.code.clone()),
        result_bytes: it.result_bytes,
        cost_micros: it.cost_micros,
        time: Some(wire(it.began)),
        duration_us: it.duration_us,
        waited_us: it.waited_us,
        approval: text(it.approval.clone()),
        trace_id: it.trace_id.clone(),
        detail: it.detail.clone(),
        log: it.log.clone(),
    }
}

/// An approval on the wire.
pub(crate) fn approval(it: &Approval) -> v1::Approval {
    v1::Approval {
        id: it.id.clone(),
        tool: it.tool.to_string(),
        agent: it.agent.to_string(),
        session_id: it.session.clone().unwrap_or_default(),
        turn_id: it
            .turn
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        arguments: Some(Value(it.arguments.clone())),
        digest: it.digest.to_string(),
        state: it.state.as_str().to_owned(),
        create_time: Some(wire(it.created)),
        expire_time: Some(wire(it.expires)),
        decide_time: it.decided.map(wire),
        decided_by: it.decided_by.clone().unwrap_or_default(),
        note: it.note.clone(),
    }
}

/// A tenant's policy on the wire.
pub(crate) fn policy(it: &ToolPolicy) -> v1::ToolPolicy {
    let texts = |list: &[Pattern]| list.iter().map(ToString::to_string).collect();
    v1::ToolPolicy {
        allow: texts(&it.rules.allow),
        ask: texts(&it.rules.ask),
        deny: texts(&it.rules.deny),
        sandbox: it.rules.sandbox,
        egress_allow: it.hosts.clone(),
    }
}

/// A tenant's policy as it is meant.
pub(crate) fn policy_read(given: v1::ToolPolicy) -> Result<ToolPolicy, ApiError> {
    Ok(ToolPolicy {
        rules: Rules {
            allow: patterns(&given.allow, "allow")?,
            ask: patterns(&given.ask, "ask")?,
            deny: patterns(&given.deny, "deny")?,
            sandbox: given.sandbox,
        },
        hosts: given.egress_allow,
    })
}

/// What a session says of tools, as it is meant.
pub(crate) fn rules(given: &v1::ToolRules) -> Result<Rules, ApiError> {
    Ok(Rules {
        allow: patterns(&given.allow, "tools.allow")?,
        ask: patterns(&given.ask, "tools.ask")?,
        deny: patterns(&given.deny, "tools.deny")?,
        sandbox: given.sandbox,
    })
}

/// The same on the wire; silence is absent.
pub(crate) fn rules_wire(it: &Rules) -> Option<v1::ToolRules> {
    let texts = |list: &[Pattern]| list.iter().map(ToString::to_string).collect();
    (!it.is_silent()).then(|| v1::ToolRules {
        allow: texts(&it.allow),
        ask: texts(&it.ask),
        deny: texts(&it.deny),
        sandbox: it.sandbox,
    })
}

fn patterns(given: &[String], field: &str) -> Result<Vec<Pattern>, ApiError> {
    let pattern = |(index, text): (usize, &String)| {
        Pattern::parse(text).map_err(|error| {
            let detail = error.detail.clone();
            ApiError::from(error).with_field(format!("{field}[{index}]"), detail)
        })
    };
    given.iter().enumerate().map(pattern).collect()
}

/// A file of a workspace on the wire.
pub(crate) fn file(it: &FileView) -> v1::SessionFile {
    v1::SessionFile {
        path: it.path.clone(),
        media_type: it.media_type.clone(),
        size_bytes: it.bytes,
        update_time: Some(wire(it.updated)),
        title: it.title.clone(),
    }
}

/// The same with its bytes.
pub(crate) fn content(it: File) -> v1::SessionFileContent {
    v1::SessionFileContent {
        content: it.bytes,
        media_type: it.view.media_type,
    }
}

/// Arguments as they are meant: absent is none.
pub(crate) fn arguments(given: Option<Struct>) -> serde_json::Value {
    given.map_or_else(|| serde_json::Value::Object(Map::new()), Struct::into_json)
}
