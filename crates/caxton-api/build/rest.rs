//! Writes the server side of one service: the trait the server implements, and its two doors, REST
//! and gRPC, over one `Arc<dyn …>`.
//!
//! What is written is as thin as it can be: it names types and fields, and all behaviour is in
//! `src/rest/` and `src/grpc.rs`, where it can be read and tested.

use std::fmt::Write as _;

use prost_reflect::Kind;

use crate::model::{Body, Operation, Raw, Service, doc, is_empty, rust_type, snake};
use crate::openapi::is_required;

/// The module of one service.
pub fn service(service: &Service) -> String {
    let mut code = String::new();
    api_trait(service, &mut code);
    router(service, &mut code);
    for operation in &service.operations {
        handler(service, operation, &mut code);
    }
    grpc(service, &mut code);
    code
}

fn api_trait(service: &Service, code: &mut String) {
    let Service { api, full_name, .. } = service;
    code.push_str(&doc(&service.comment, ""));
    let _ = write!(
        code,
        "///\n/// What a server implements of `{full_name}`; every door calls it.\n\
         #[async_trait::async_trait]\n\
         pub trait {api}: Send + Sync + 'static {{\n"
    );
    for operation in &service.operations {
        code.push_str(&doc(&operation.comment, "    "));
        let (request, response) = (rust_type(&operation.request), answer_type(operation));
        let _ = write!(
            code,
            "    async fn {}(\n        &self,\n        context: &CallContext,\n        \
             request: {request},\n    ) -> Result<{response}, ApiError>;\n",
            operation.rust
        );
    }
    code.push_str("}\n\n");
}

fn answer_type(operation: &Operation) -> String {
    let response = rust_type(&operation.response);
    if operation.streams {
        format!("crate::ApiStream<{response}>")
    } else {
        response
    }
}

fn router(service: &Service, code: &mut String) {
    let Service { api, full_name, .. } = service;
    let _ = write!(
        code,
        "/// The REST routes of `{full_name}`.\n\
         pub fn router(api: Arc<dyn {api}>, options: rest::Options) -> axum::Router {{\n    \
         axum::Router::new()\n"
    );
    for operation in &service.operations {
        let http = &operation.http;
        let _ = writeln!(
            code,
            "        .route({:?}, axum::routing::{}({}))",
            http.path, http.verb, operation.rust
        );
    }
    code.push_str("        .with_state(Door { api, options })\n}\n\n");
}

fn handler(service: &Service, operation: &Operation, code: &mut String) {
    let Service { api, .. } = service;
    let Operation {
        rust, full_name, ..
    } = operation;
    let size = if operation.rest.upload {
        "upload_bytes_max"
    } else {
        "body_bytes_max"
    };
    let _ = write!(
        code,
        "async fn {rust}(\n    State(door): State<Door<dyn {api}>>,\n    path: rest::Path,\n    \
         request: Request,\n) -> Response {{\n    \
         match rest::open({full_name:?}, path, request, door.options.{size}) {{\n        \
         Ok((context, input)) => {rust}_answer(door, context, input).await,\n        \
         Err(refused) => refused,\n    }}\n}}\n\n\
         async fn {rust}_answer(\n    door: Door<dyn {api}>,\n    \
         {context_mut}context: CallContext,\n    mut input: Input,\n) -> Response {{\n",
        context_mut = if operation.rest.follow.is_some() {
            "mut "
        } else {
            ""
        },
    );
    if let Some(follow) = &operation.rest.follow {
        let followed = service.operation(follow);
        let _ = write!(
            code,
            "    match input.follow() {{\n        \
             Ok(true) => {{\n            context.method = {:?};\n            \
             return {}_answer(door, context, input).await;\n        }}\n        \
             Ok(false) => {{}}\n        \
             Err(error) => return rest::finish(&context, Err(error)),\n    }}\n",
            followed.full_name, followed.rust
        );
    }
    code.push_str("    let answer: Result<Response, ApiError> = async {\n");
    bind(operation, code);
    let (missing, explained) = explained(operation);
    let _ = writeln!(
        code,
        "        {missing}let answer = door.api.{rust}(&context, request).await{explained}?;"
    );
    reply(operation, code);
    code.push_str("    }\n    .await;\n    rest::finish(&context, answer)\n}\n\n");
}

/// What notes the fields that are missing before a request is handed over, and what tells of them after,
/// where it is refused.
fn explained(operation: &Operation) -> (String, &'static str) {
    match needed(operation) {
        None => (String::new(), ""),
        Some(needed) => (
            format!("let missing = {needed};\n        "),
            "\n            .map_err(|error| crate::required::told(error, &missing))",
        ),
    }
}

/// The fields that a request must have, each with whether it is missing.
fn needed(operation: &Operation) -> Option<String> {
    let fields = operation.request.fields().filter(is_required);
    let missing = fields.filter_map(|field| {
        let how = match field.kind() {
            _ if field.is_list() => "is_empty",
            Kind::String | Kind::Bytes if !field.supports_presence() => "is_empty",
            _ if field.supports_presence() => "is_none",
            // Of a number nobody sees whether it was left out.
            _ => return None,
        };
        let (name, json) = (field.name(), field.json_name());
        Some(format!("({json:?}, request.r#{name}.{how}())"))
    });
    let missing: Vec<String> = missing.collect();
    (!missing.is_empty()).then(|| format!("[{}]", missing.join(", ")))
}

/// The query before the body: a mistake there is told without reading megabytes first.
fn bind(operation: &Operation, code: &mut String) {
    let request = rust_type(&operation.request);
    let http = &operation.http;
    let whole = matches!(http.body, Body::All);
    let unused = http.path_fields.is_empty() && http.query.is_empty();
    let mutable = if unused && !matches!(http.body, Body::Field(_)) {
        ""
    } else {
        "mut "
    };
    if !whole {
        let _ = writeln!(
            code,
            "        let {mutable}request = <{request}>::default();"
        );
    }
    for field in &http.query {
        let (name, json) = (field.name(), field.json_name());
        let _ = writeln!(
            code,
            "        input.query({json:?}, {name:?}, &mut request.{name})?;"
        );
    }
    code.push_str("        input.query_end()?;\n");
    match &http.body {
        Body::None => {}
        Body::All => {
            let _ = writeln!(
                code,
                "        let {mutable}request: {request} = input.body_or_default().await?;"
            );
        }
        Body::Field(field) => {
            let _ = writeln!(
                code,
                "        request.{} = Some(input.body().await?);",
                field.name()
            );
        }
    }
    for field in &http.path_fields {
        let (name, json) = (field.name(), field.json_name());
        let _ = writeln!(
            code,
            "        input.path({json:?}, {name:?}, &mut request.{name})?;"
        );
    }
}

fn reply(operation: &Operation, code: &mut String) {
    let rest = &operation.rest;
    let status = rest.status;
    if operation.streams {
        let id = match &rest.event_id {
            Some(field) => format!("|item| Some(item.{}.as_str())", field.name()),
            None => "|_| None".to_owned(),
        };
        let name = match &rest.event_name {
            // Raw, because a field may be called `type`.
            Some(field) => format!("|item| item.r#{}.as_str()", field.name()),
            None => format!("|_| {:?}", rest.event),
        };
        let _ = writeln!(
            code,
            "        Ok(rest::sse::answer(&context, answer, {name}, {id}, &door.options))"
        );
    } else if let Some(Raw {
        content,
        media_type,
    }) = &rest.raw
    {
        let _ = writeln!(
            code,
            "        Ok(rest::raw(answer.{}, &answer.{}))",
            content.name(),
            media_type.name()
        );
    } else if is_empty(&operation.response) {
        let _ = writeln!(code, "        let crate::wkt::Empty {{}} = answer;");
        let _ = writeln!(code, "        Ok(rest::no_content())");
    } else if let Some(field) = &rest.ok_with {
        let _ = writeln!(
            code,
            "        let status = if answer.{}.is_some() {{ 200 }} else {{ {status} }};",
            field.name()
        );
        code.push_str("        rest::answer(status, &answer)\n");
    } else {
        let _ = writeln!(code, "        rest::answer({status}, &answer)");
    }
}

fn grpc(service: &Service, code: &mut String) {
    let Service {
        api,
        name,
        full_name,
        ..
    } = service;
    let module = snake(name);
    let server = format!("crate::v1::{module}_server::{name}Server<Grpc>");
    let _ = write!(
        code,
        "/// `{full_name}` over gRPC.\n\
         pub fn grpc(api: Arc<dyn {api}>, options: rest::Options) -> {server} {{\n    \
         crate::v1::{module}_server::{name}Server::new(Grpc {{ api }})\n        \
         .max_decoding_message_size(options.upload_bytes_max)\n}}\n\n\
         /// The gRPC routes of `{full_name}`, to be merged with those of REST on one port.\n\
         pub fn grpc_router(api: Arc<dyn {api}>, options: rest::Options) -> axum::Router {{\n    \
         axum::Router::new().route_service(\"/{full_name}/{{*rpc}}\", grpc(api, options))\n}}\n\n\
         /// The gRPC door of `{full_name}`: nothing but translation.\n\
         #[derive(Clone)]\n\
         pub struct Grpc {{\n    api: Arc<dyn {api}>,\n}}\n\n\
         impl std::fmt::Debug for Grpc {{\n    \
         fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n        \
         formatter.write_str(\"{module}::Grpc\")\n    }}\n}}\n\n\
         #[tonic::async_trait]\n\
         impl crate::v1::{module}_server::{name} for Grpc {{\n"
    );
    for operation in &service.operations {
        let Operation {
            rust,
            full_name,
            name,
            ..
        } = operation;
        let (request, item) = (
            rust_type(&operation.request),
            rust_type(&operation.response),
        );
        let (response, finish) = if operation.streams {
            let _ = writeln!(code, "    type {name}Stream = grpc::Stream<{item}>;");
            (format!("Self::{name}Stream"), "stream")
        } else {
            (item, "unary")
        };
        let (missing, explained) = explained(operation);
        let _ = write!(
            code,
            "    async fn {rust}(\n        &self,\n        request: tonic::Request<{request}>,\n    \
             ) -> Result<tonic::Response<{response}>, tonic::Status> {{\n        \
             let (context, request) = grpc::open({full_name:?}, request)?;\n        \
             {missing}let answer = self.api.{rust}(&context, request).await{explained};\n        \
             grpc::{finish}(&context, answer)\n    }}\n"
        );
    }
    code.push_str("}\n");
}
