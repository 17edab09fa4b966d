//! OpenAPI documents (3.0 and 3.1) as functions. Pure: nothing is fetched, and a reference that leads
//! out of the document is refused. A document is a stranger's: its size, the depth of its references
//! and what they grow to are bounded.
//!
//! What is taken: paths, parameters (but cookies), JSON bodies, descriptions. What is not: answers'
//! schemas (few servers keep to them, and a function that declares one is held to it), security (the
//! tool's own `auth` says how its secret is shown), callbacks and links.

mod resolve;

use caxton_core::error::{Code, Error, shown};
use caxton_core::tool::{
    DESCRIPTION_BYTES_MAX, Effect, FUNCTIONS_MAX, Function, FunctionName, HttpFunction, Place,
};
use resolve::Document;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Largest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Operations of a document, wanted or not: as many as the largest that are known have, twice over.
const OPERATIONS_MAX: usize = 10_000;
/// Operations that are left out of one import.
const LEFT_OUT_MAX: usize = 1_000;
/// Parameters of one operation, those of its path included.
const PARAMETERS_MAX: usize = 512;
/// What of a path item is an operation, and its effect.
const METHODS: [(&str, &str, Effect); 6] = [
    ("get", "GET", Effect::Reads),
    ("head", "HEAD", Effect::Reads),
    ("post", "POST", Effect::Acts),
    ("put", "PUT", Effect::Acts),
    ("patch", "PATCH", Effect::Acts),
    ("delete", "DELETE", Effect::Acts),
];
/// The argument that is a whole body.
const BODY: &str = "body";

/// What a document offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Of the document's first server, where that is a whole address.
    pub base_url: Option<String>,
    pub functions: Vec<HttpFunction>,
    /// Operations that were left out, and why.
    pub left_out: Vec<String>,
}

/// Reads a document, JSON or YAML. With `only`, takes these operations and no others.
///
/// # Errors
/// `CX-8002`: it is no OpenAPI document, is too large, has too many operations, lacks one of `only`, or
/// refers to another document.
pub fn import(text: &str, only: &[FunctionName]) -> Result<Imported, Error> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let what = format!("the document has more than {DOCUMENT_BYTES_MAX} bytes");
        return Err(malformed(what));
    }
    let root = parse(text)?;
    let version = root.get("openapi").and_then(Value::as_str);
    if !version.is_some_and(|it| it.starts_with("3.0") || it.starts_with("3.1")) {
        let what = "the document does not say `openapi: 3.0` or `3.1`";
        return Err(malformed(what));
    }
    resolve::check_local(&root)?;
    let mut import = Import {
        document: Document::new(&root),
        only: only.iter().collect(),
        names: BTreeSet::new(),
        suffixes: BTreeMap::new(),
        functions: Vec::new(),
        left_out: Vec::new(),
    };
    let paths = root.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        import.path(path, item)?;
    }
    if let Some(missing) = only.iter().find(|it| !import.names.contains(*it)) {
        return Err(malformed(format!(
            "the document has no operation `{missing}`"
        )));
    }
    // Who names an operation wants it: to leave it out would be found out by a model.
    if let (false, Some(why)) = (only.is_empty(), import.left_out.first()) {
        return Err(malformed(why));
    }
    if import.functions.is_empty() {
        return Err(malformed(
            "the document has no operation that can be called",
        ));
    }
    Ok(Imported {
        base_url: base_url(&root),
        functions: import.functions,
        left_out: import.left_out,
    })
}

fn malformed(what: impl std::fmt::Display) -> Error {
    Error::new(Code::ToolMalformed, what.to_string())
}

/// JSON is read as what it is: a YAML reader is stricter about some of it, and slower.
fn parse(text: &str) -> Result<Value, Error> {
    if text.trim_start().starts_with('{') {
        let read = serde_json::from_str(text);
        return read.map_err(|error| malformed(format!("the document is no JSON: {error}")));
    }
    let read = serde_yaml_ng::from_str(text);
    let read = read.map_err(|error| malformed(format!("the document is no YAML: {error}")))?;
    Ok(from_yaml(read))
}

/// Keys of YAML may be numbers (`200:`); those of JSON are texts. Its reader bounds the depth, and what
/// its aliases grow to.
fn from_yaml(value: serde_yaml_ng::Value) -> Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(it) => Value::Bool(it),
        Yaml::Number(it) => serde_json::to_value(it).unwrap_or(Value::Null),
        Yaml::String(it) => Value::String(it),
        Yaml::Sequence(items) => items.into_iter().map(from_yaml).collect(),
        Yaml::Mapping(fields) => {
            let fields = fields.into_iter().filter_map(|(key, value)| {
                let key = match from_yaml(key) {
                    Value::String(key) => key,
                    key @ (Value::Number(_) | Value::Bool(_)) => key.to_string(),
                    _ => return None,
                };
                Some((key, from_yaml(value)))
            });
            Value::Object(fields.collect())
        }
        Yaml::Tagged(tagged) => from_yaml(tagged.value),
    }
}

/// The first server, its variables being what they are by default.
fn base_url(root: &Value) -> Option<String> {
    let server = root.get("servers")?.get(0)?;
    let mut url = server.get("url")?.as_str()?.to_owned();
    let variables = server.get("variables").and_then(Value::as_object);
    for (name, variable) in variables.into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str)?;
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let is_whole = url.starts_with("https://") || url.starts_with("http://");
    (is_whole && !url.contains('{')).then(|| url.trim_end_matches('/').to_owned())
}

struct Import<'a> {
    document: Document<'a>,
    only: BTreeSet<&'a FunctionName>,
    names: BTreeSet<FunctionName>,
    /// What is tried next behind a name that several have.
    suffixes: BTreeMap<String, usize>,
    functions: Vec<HttpFunction>,
    left_out: Vec<String>,
}

impl Import<'_> {
    fn path(&mut self, path: &str, item: &Value) -> Result<(), Error> {
        for (key, method, effect) in METHODS {
            let Some(operation) = item.get(key) else {
                continue;
            };
            if self.names.len() >= OPERATIONS_MAX {
                let what = format!("the document has more than {OPERATIONS_MAX} operations");
                return Err(malformed(what));
            }
            let name = self.name(method, path, operation)?;
            let is_wanted = self.only.is_empty() || self.only.contains(&name);
            self.names.insert(name.clone());
            if !is_wanted {
                continue;
            }
            if self.functions.len() >= FUNCTIONS_MAX {
                let what = format!(
                    "the document has more than {FUNCTIONS_MAX} operations: name those you want in `only`"
                );
                return Err(malformed(what));
            }
            if self.left_out.len() >= LEFT_OUT_MAX {
                let what = format!(
                    "more than {LEFT_OUT_MAX} operations cannot be taken: name those you want in `only`"
                );
                return Err(malformed(what));
            }
            match self.operation(name.clone(), path, item, operation, method) {
                Ok(mut function) => {
                    function.function.effect = effect;
                    function.function.repeatable = effect == Effect::Reads;
                    self.functions.push(function);
                }
                Err(why) => self.left_out.push(format!("{name}: {why}")),
            }
        }
        Ok(())
    }

    /// Its `operationId`, or its method and path; what no name may have becomes `_`.
    fn name(&mut self, method: &str, path: &str, operation: &Value) -> Result<FunctionName, Error> {
        let id = operation.get("operationId").and_then(Value::as_str);
        let text = match id {
            Some(id) if !id.trim().is_empty() => id.to_owned(),
            _ => format!("{}{path}", method.to_ascii_lowercase()),
        };
        let mut name = String::new();
        for it in text.chars().filter(|it| !matches!(it, '{' | '}')).take(120) {
            let fits = it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '_');
            name.push(if fits { it } else { '_' });
        }
        let name = name.trim_matches('_').to_owned();
        let mut found = FunctionName::parse(&name)?;
        if !self.names.contains(&found) {
            return Ok(found);
        }
        // Each number is tried once for each name, however many have it.
        let next = self.suffixes.entry(name.clone()).or_insert(2);
        while self.names.contains(&found) {
            found = FunctionName::parse(&format!("{name}_{next}"))?;
            *next += 1;
        }
        Ok(found)
    }

    fn operation(
        &self,
        name: FunctionName,
        path: &str,
        item: &Value,
        operation: &Value,
        method: &str,
    ) -> Result<HttpFunction, String> {
        let mut arguments = Arguments::default();
        let mut budget = resolve::Budget::default();
        let lists = [item.get("parameters"), operation.get("parameters")];
        let lists = lists.into_iter().flatten().filter_map(Value::as_array);
        for (count, parameter) in lists.flatten().enumerate() {
            if count >= PARAMETERS_MAX {
                return Err(format!("it has more than {PARAMETERS_MAX} parameters"));
            }
            let parameter = self.document.follow(parameter)?;
            arguments.parameter(&self.document, parameter, &mut budget)?;
        }
        if let Some(body) = operation.get("requestBody") {
            let body = self.document.follow(body)?;
            arguments.body(&self.document, body, &mut budget)?;
        }
        let function = Function {
            name,
            description: description(operation),
            input: arguments.schema(),
            output: None,
            effect: Effect::Acts,
            repeatable: false,
        };
        function.check().map_err(|error| error.detail)?;
        let function = HttpFunction {
            function,
            method: method.to_owned(),
            path: path.to_owned(),
            places: arguments.places,
            headers: Vec::new(),
        };
        for argument in function.path_arguments() {
            let argument = argument.map_err(str::to_owned)?;
            let declared = function.function.input.pointer("/properties");
            if declared.is_none_or(|all| all.get(argument).is_none()) {
                return Err(format!(
                    "its path has `{{{argument}}}`, which no parameter is"
                ));
            }
        }
        Ok(function)
    }
}

fn description(operation: &Value) -> String {
    let part = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or("");
    let (summary, description) = (part("summary").trim(), part("description").trim());
    let mut text = match (summary, description) {
        (summary, description) if summary == description => summary.to_owned(),
        (summary, "") => summary.to_owned(),
        ("", description) => description.to_owned(),
        (summary, description) => format!("{summary}\n\n{description}"),
    };
    text.truncate(text.floor_char_boundary(DESCRIPTION_BYTES_MAX));
    text
}

/// The arguments of one function, gathered.
#[derive(Default)]
struct Arguments {
    properties: Map<String, Value>,
    required: Vec<String>,
    places: Vec<(String, Place)>,
}

impl Arguments {
    fn parameter(
        &mut self,
        document: &Document<'_>,
        parameter: &Value,
        budget: &mut resolve::Budget,
    ) -> Result<(), String> {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let name = text("name").ok_or("a parameter has no name")?;
        let is_required = parameter.get("required") == Some(&Value::Bool(true));
        let place = match text("in") {
            Some("path") => None,
            Some("query") => Some(Place::Query),
            // Kept for the transport and for the tool's secret (OpenAPI 3.1, 4.8.12.2.1).
            Some("header")
                if ["accept", "content-type", "authorization"]
                    .contains(&name.to_ascii_lowercase().as_str()) =>
            {
                return Ok(());
            }
            Some("header") => Some(Place::Header),
            Some("cookie") if !is_required => return Ok(()),
            Some("cookie") => return Err(format!("it needs the cookie `{}`", shown(name))),
            _ => return Err(format!("`{}` is in no known place", shown(name))),
        };
        let content = parameter.pointer("/content/application~1json/schema");
        let schema = parameter.get("schema").or(content);
        let mut schema = match schema {
            Some(schema) => document.schema(schema, budget)?,
            None => json!({"type": "string"}),
        };
        if let (Some(fields), Some(said)) = (schema.as_object_mut(), text("description")) {
            fields.entry("description").or_insert_with(|| said.into());
        }
        // An operation's own parameter stands in place of its path's.
        self.properties.insert(name.to_owned(), schema);
        self.required.retain(|it| it != name);
        if is_required || place.is_none() {
            self.required.push(name.to_owned());
        }
        self.places.retain(|(it, _)| it != name);
        self.places
            .extend(place.map(|place| (name.to_owned(), place)));
        Ok(())
    }

    /// The fields of a JSON object become arguments of their own where they can; else the body is one.
    fn body(
        &mut self,
        document: &Document<'_>,
        body: &Value,
        budget: &mut resolve::Budget,
    ) -> Result<(), String> {
        let contents = body.get("content").and_then(Value::as_object);
        let is_json = |media: &str| {
            let media = media.split(';').next().unwrap_or_default().trim();
            media == "application/json" || media.ends_with("+json") || media == "*/*"
        };
        let found = contents
            .into_iter()
            .flatten()
            .find(|(media, _)| is_json(media));
        let is_required = body.get("required") == Some(&Value::Bool(true));
        let Some((_, content)) = found else {
            if is_required {
                return Err("its body is no JSON".to_owned());
            }
            return Ok(());
        };
        let none = json!({});
        let schema = document.schema(content.get("schema").unwrap_or(&none), budget)?;
        match fields(&schema).filter(|fields| is_required && self.has_room(fields)) {
            Some(fields) => {
                for (name, field) in fields {
                    self.properties.insert(name.clone(), field.clone());
                    self.places.push((name.clone(), Place::Body));
                }
                let required = schema.get("required").and_then(Value::as_array);
                let required = required.into_iter().flatten().filter_map(Value::as_str);
                self.required.extend(required.map(str::to_owned));
            }
            None => {
                if self.properties.contains_key(BODY) {
                    return Err("a parameter is called as its body would be".to_owned());
                }
                self.properties.insert(BODY.to_owned(), schema);
                self.places.push((BODY.to_owned(), Place::Whole));
                if is_required {
                    self.required.push(BODY.to_owned());
                }
            }
        }
        Ok(())
    }

    fn has_room(&self, fields: &Map<String, Value>) -> bool {
        !fields.keys().any(|name| self.properties.contains_key(name))
    }

    fn schema(&self) -> Value {
        let mut schema = json!({"type": "object", "properties": self.properties});
        if let (Some(fields), false) = (schema.as_object_mut(), self.required.is_empty()) {
            fields.insert("required".to_owned(), json!(self.required));
        }
        schema
    }
}

/// The fields of a schema that is nothing but an object with fields.
fn fields(schema: &Value) -> Option<&Map<String, Value>> {
    let plain = ["type", "properties", "required", "description", "title"];
    let all = schema.as_object()?;
    let is_plain = all.keys().all(|key| plain.contains(&key.as_str()));
    let is_object = all.get("type").is_none_or(|it| it == "object");
    all.get("properties")?
        .as_object()
        .filter(|fields| is_plain && is_object && !fields.is_empty())
}

#[cfg(test)]
mod tests;
