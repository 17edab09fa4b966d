//! Writes the REST client's methods, one for each operation, from the same rules as the router.

use std::fmt::Write as _;

use crate::model::{Body, Contract, Operation, Raw, doc, is_empty, rust_type, variable};

/// One `impl Client` with every operation of every service.
pub fn methods(contract: &Contract) -> String {
    let mut code = String::from("impl Client {\n");
    for operation in contract
        .services
        .iter()
        .flat_map(|service| &service.operations)
    {
        method(operation, &mut code);
    }
    code.push_str("}\n");
    code
}

fn method(operation: &Operation, code: &mut String) {
    let (request, item) = (
        rust_type(&operation.request),
        rust_type(&operation.response),
    );
    let response = if operation.streams {
        format!("EventStream<{item}>")
    } else {
        item
    };
    code.push_str(&doc(&operation.comment, "    "));
    let _ = write!(
        code,
        "    pub async fn {}(\n        &self,\n        request: &{request},\n    \
         ) -> Result<{response}, ClientError> {{\n",
        operation.rust
    );
    let http = &operation.http;
    let unused =
        http.path_fields.is_empty() && http.query.is_empty() && matches!(http.body, Body::None);
    if unused {
        let _ = writeln!(code, "        let {request} {{}} = request;");
    }
    let calls = !http.query.is_empty() || !matches!(http.body, Body::None);
    let mutable = if calls { "mut " } else { "" };
    let _ = writeln!(
        code,
        "        let {mutable}call = Outgoing::new(http::Method::{}, &[{}])?;",
        http.verb.to_uppercase(),
        segments(operation)
    );
    for field in &http.query {
        let (name, json) = (field.name(), field.json_name());
        let _ = writeln!(code, "        call.query({json:?}, &request.{name});");
    }
    match &http.body {
        Body::None => {}
        Body::All => {
            let names: Vec<&str> = http
                .path_fields
                .iter()
                .map(|field| field.json_name())
                .collect();
            let _ = writeln!(code, "        call.body(request, &{names:?})?;");
        }
        Body::Field(field) => {
            let _ = writeln!(code, "        call.body(&request.{}, &[])?;", field.name());
        }
    }
    if let Some(Raw {
        content,
        media_type,
    }) = &operation.rest.raw
    {
        let others = match operation.response.fields().len() {
            2 => "",
            _ => ", ..Default::default()",
        };
        let _ = write!(
            code,
            "        let (bytes, kind) = self.raw(call).await?;\n        \
             Ok({response} {{ {}: bytes, {}: kind{others} }})\n    }}\n\n",
            content.name(),
            media_type.name()
        );
        return;
    }
    let send = if operation.streams {
        "stream"
    } else if is_empty(&operation.response) {
        "no_content"
    } else {
        "unary"
    };
    let _ = write!(code, "        self.{send}(call).await\n    }}\n\n");
}

/// The path as segments: literals, and the request's fields, which the client escapes.
fn segments(operation: &Operation) -> String {
    let segment = |segment: &str| match variable(segment) {
        Some(field) => {
            let part = if segment.starts_with("{*") {
                "Rest"
            } else {
                "Field"
            };
            format!("Segment::{part}({field:?}, &request.{field})")
        }
        None => format!("Segment::Literal({segment:?})"),
    };
    operation
        .http
        .path
        .trim_start_matches('/')
        .split('/')
        .map(segment)
        .collect::<Vec<_>>()
        .join(", ")
}
