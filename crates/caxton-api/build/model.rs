//! The contract as the generators need it: services, operations, and where each field of a request
//! comes from. Everything that is wrong with an annotation is found here.

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, ReflectMessage, ServiceDescriptor, Value,
};

/// All services, in the order of their names.
pub struct Contract {
    pub services: Vec<Service>,
}

/// One service.
pub struct Service {
    /// `CaxtonManagement`.
    pub name: String,
    /// `caxton.v1.CaxtonManagement`.
    pub full_name: String,
    /// The Rust module: the name without `Caxton`, in snake case.
    pub module: String,
    /// The Rust trait: `ManagementApi`.
    pub api: String,
    pub comment: String,
    pub operations: Vec<Operation>,
}

/// One rpc.
pub struct Operation {
    /// `SendMessage`.
    pub name: String,
    /// `send_message`.
    pub rust: String,
    /// `caxton.v1.CaxtonManagement/SendMessage`.
    pub full_name: String,
    pub comment: String,
    pub request: MessageDescriptor,
    pub response: MessageDescriptor,
    pub streams: bool,
    pub http: Http,
    pub rest: Rest,
    /// The permission it needs, `noun:verb`.
    pub permission: String,
}

/// The operation's `google.api.http`.
pub struct Http {
    /// In lower case.
    pub verb: String,
    /// The template with the proto names of its variables, as axum takes it.
    pub path: String,
    pub path_fields: Vec<FieldDescriptor>,
    pub body: Body,
    /// The fields neither path nor body binds.
    pub query: Vec<FieldDescriptor>,
}

/// Where the body goes.
pub enum Body {
    None,
    All,
    Field(FieldDescriptor),
}

/// The operation's `caxton.v1.rest`, defaults filled in.
pub struct Rest {
    pub status: u64,
    pub ok_with: Option<FieldDescriptor>,
    pub upload: bool,
    pub event: String,
    pub event_name: Option<FieldDescriptor>,
    pub event_id: Option<FieldDescriptor>,
    pub follow: Option<String>,
    pub creates: bool,
    pub streams_too: Option<String>,
    pub raw: Option<Raw>,
}

/// A response whose bytes are the answer's body.
pub struct Raw {
    pub content: FieldDescriptor,
    pub media_type: FieldDescriptor,
}

/// What the operations are annotated with.
struct Extensions {
    http: ExtensionDescriptor,
    rest: ExtensionDescriptor,
    access: ExtensionDescriptor,
}

impl Contract {
    pub fn read(pool: &DescriptorPool) -> Self {
        let http = pool
            .get_extension_by_name("google.api.http")
            .expect("google.api.http");
        let rest = pool
            .get_extension_by_name("caxton.v1.rest")
            .expect("caxton.v1.rest");
        let access = pool
            .get_extension_by_name("caxton.v1.access")
            .expect("caxton.v1.access");
        let extensions = Extensions { http, rest, access };
        let mut services: Vec<Service> = pool
            .services()
            .map(|service| Service::read(&service, &extensions))
            .collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        Self { services }
    }
}

impl Service {
    fn read(service: &ServiceDescriptor, extensions: &Extensions) -> Self {
        let name = service.name().to_owned();
        let short = name.strip_prefix("Caxton").unwrap_or(&name).to_owned();
        let operations: Vec<Operation> = service
            .methods()
            .map(|method| Operation::read(&method, extensions))
            .collect();
        for operation in &operations {
            let rest = &operation.rest;
            for named in rest.follow.iter().chain(&rest.streams_too) {
                let followed = operations.iter().find(|other| &other.name == named);
                assert!(
                    followed.is_some_and(|other| other.streams),
                    "{}: {named} is no server stream of its service",
                    operation.full_name
                );
            }
        }
        Self {
            full_name: service.full_name().to_owned(),
            module: snake(&short),
            api: format!("{short}Api"),
            comment: comment(&service.parent_file(), service.path()),
            name,
            operations,
        }
    }

    pub fn operation(&self, name: &str) -> &Operation {
        self.operations
            .iter()
            .find(|operation| operation.name == name)
            .expect("checked in read")
    }
}

impl Operation {
    fn read(method: &MethodDescriptor, extensions: &Extensions) -> Self {
        let Extensions { http, rest, access } = extensions;
        let service = method.parent_service().full_name().to_owned();
        let full_name = format!("{service}/{}", method.name());
        assert!(
            !method.is_client_streaming(),
            "{full_name}: REST has no client streams"
        );
        let options = method.options();
        assert!(
            options.has_extension(http),
            "{full_name}: no google.api.http"
        );
        let rule = options.get_extension(http).into_owned();
        let needs = options.get_extension(access).into_owned();
        let permission = text(needs.as_message().expect("a message"), "permission");
        // Default deny: what nobody decided about does not build.
        assert!(
            permission.contains(':'),
            "{full_name}: caxton.v1.access names no permission"
        );
        let request = method.input();
        let streams = method.is_server_streaming();
        Self {
            name: method.name().to_owned(),
            rust: snake(method.name()),
            comment: comment(&method.parent_service().parent_file(), method.path()),
            http: Http::read(&full_name, rule.as_message().expect("a message"), &request),
            rest: Rest::read(&options, rest, &method.output(), streams),
            response: method.output(),
            permission,
            request,
            streams,
            full_name,
        }
    }
}

impl Http {
    fn read(operation: &str, rule: &DynamicMessage, request: &MessageDescriptor) -> Self {
        let (verb, path) = ["get", "put", "post", "delete", "patch"]
            .into_iter()
            .find(|verb| rule.has_field_by_name(verb))
            .map(|verb| (verb.to_owned(), text(rule, verb)))
            .unwrap_or_else(|| panic!("{operation}: google.api.http names no verb"));
        let field = |name: &str| {
            request
                .get_field_by_name(name)
                .unwrap_or_else(|| panic!("{operation}: the request has no field {name}"))
        };
        let path = rest_of_path(operation, &path);
        let path_fields: Vec<FieldDescriptor> =
            path.split('/').filter_map(variable).map(field).collect();
        for path_field in &path_fields {
            assert!(
                matches!(path_field.kind(), Kind::String) && !path_field.is_list(),
                "{operation}: the path's {} is no string",
                path_field.name()
            );
        }
        let body = match text(rule, "body").as_str() {
            "" => Body::None,
            "*" => Body::All,
            name => Body::Field(field(name)),
        };
        if let Body::Field(field) = &body {
            assert!(
                matches!(field.kind(), Kind::Message(_)) && !field.is_list(),
                "{operation}: the body's {} is no message",
                field.name()
            );
        }
        let bound = |field: &FieldDescriptor| {
            path_fields.contains(field)
                || match &body {
                    Body::None => false,
                    Body::All => true,
                    Body::Field(body) => body == field,
                }
        };
        let query: Vec<FieldDescriptor> = request.fields().filter(|field| !bound(field)).collect();
        for field in &query {
            assert!(
                !matches!(field.kind(), Kind::Message(_) | Kind::Bytes | Kind::Enum(_)),
                "{operation}: {} cannot come from the query",
                field.name()
            );
        }
        Self {
            verb,
            path,
            path_fields,
            body,
            query,
        }
    }
}

impl Rest {
    fn read(
        options: &DynamicMessage,
        extension: &ExtensionDescriptor,
        response: &MessageDescriptor,
        streams: bool,
    ) -> Self {
        let rule = options.get_extension(extension).into_owned();
        let rule = rule.as_message().expect("a message");
        let named = |option: &str| {
            let name = text(rule, option);
            (!name.is_empty()).then(|| {
                response.get_field_by_name(&name).unwrap_or_else(|| {
                    panic!("{}: {option} names no field {name}", response.full_name())
                })
            })
        };
        let status = match number(rule, "status") {
            0 if is_empty(response) => 204,
            0 => 200,
            status => status,
        };
        let event = text(rule, "event");
        let event_name = named("event_name");
        let streams_too = text(rule, "streams_too");
        assert!(
            !streams || event.is_empty() == event_name.is_some(),
            "{}: a stream needs `event` or `event_name`",
            response.full_name()
        );
        let follow = text(rule, "follow");
        Self {
            status,
            ok_with: named("ok_with"),
            upload: flag(rule, "upload"),
            event,
            event_name,
            event_id: named("event_id"),
            follow: (!follow.is_empty()).then_some(follow),
            creates: flag(rule, "creates"),
            streams_too: (!streams_too.is_empty()).then_some(streams_too),
            raw: named("raw").map(|content| Raw {
                content,
                media_type: named("raw_type").expect("`raw` goes with `raw_type`"),
            }),
        }
    }
}

/// The template with its last variable, where it is `{name=**}`, as axum takes it: `{*name}`.
fn rest_of_path(operation: &str, path: &str) -> String {
    let Some((before, name)) = path
        .strip_suffix("=**}")
        .and_then(|path| path.rsplit_once('{'))
    else {
        assert!(
            !path.contains('='),
            "{operation}: only the last variable may be `=**`"
        );
        return path.to_owned();
    };
    format!("{before}{{*{name}}}")
}

/// The name of a segment that is a variable.
pub fn variable(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_prefix('*').unwrap_or(name))
}

/// The Rust path of a request or response.
pub fn rust_type(message: &MessageDescriptor) -> String {
    match message.full_name() {
        "google.protobuf.Empty" => "crate::wkt::Empty".to_owned(),
        name => {
            let name = name
                .strip_prefix("caxton.v1.")
                .expect("a message of caxton.v1");
            assert!(
                !name.contains('.'),
                "{name}: nested messages cannot be requests or responses"
            );
            format!("crate::v1::{name}")
        }
    }
}

pub fn is_empty(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.protobuf.Empty"
}

/// `SendMessage` as `send_message`.
pub fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The comment above the thing at `path` of `file`, its common indent removed.
pub fn comment(file: &prost_reflect::FileDescriptor, path: &[i32]) -> String {
    let locations = file.file_descriptor_proto().source_code_info.as_ref();
    locations
        .into_iter()
        .flat_map(|info| &info.location)
        .find(|location| location.path == path)
        .map(|location| location.leading_comments())
        .unwrap_or_default()
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}

/// The comment as Rust documentation.
pub fn doc(comment: &str, indent: &str) -> String {
    comment
        .lines()
        .map(|line| format!("{indent}/// {line}").trim_end().to_owned() + "\n")
        .collect()
}

fn text(message: &DynamicMessage, field: &str) -> String {
    match message.get_field_by_name(field).as_deref() {
        Some(Value::String(text)) => text.clone(),
        _ => panic!(
            "{}: no text field {field}",
            message.descriptor().full_name()
        ),
    }
}

fn number(message: &DynamicMessage, field: &str) -> u64 {
    match message.get_field_by_name(field).as_deref() {
        Some(Value::U32(number)) => u64::from(*number),
        _ => panic!(
            "{}: no number field {field}",
            message.descriptor().full_name()
        ),
    }
}

fn flag(message: &DynamicMessage, field: &str) -> bool {
    match message.get_field_by_name(field).as_deref() {
        Some(Value::Bool(flag)) => *flag,
        _ => panic!(
            "{}: no flag field {field}",
            message.descriptor().full_name()
        ),
    }
}
