//! The specification's sample against a golden file, and documents that mean harm.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;

/// The well-known sample of the specification, shortened to one operation of each kind.
const PETSTORE: &str = include_str!("petstore.yaml");

#[test]
fn the_petstore_becomes_functions() {
    let imported = import(PETSTORE, &[]).unwrap();
    assert_eq!(
        imported.base_url.as_deref(),
        Some("https://petstore.example.com/v1")
    );
    let found = serde_json::to_string_pretty(&imported.functions).unwrap() + "\n";
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/http_tool/openapi/petstore.json"
    );
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(golden, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(golden).unwrap());
    assert_eq!(imported.left_out, ["uploadFile: its body is no JSON"]);
    // What comes out is a definition that may be registered.
    let tool = caxton_core::tool::HttpTool {
        base_url: "https://petstore.example.com/v1".to_owned(),
        auth: caxton_core::tool::Auth::None,
        functions: imported.functions,
    };
    caxton_core::tool::Definition::Http(tool).check().unwrap();
}

#[test]
fn only_what_is_wanted_is_taken() {
    let name = |text: &str| FunctionName::parse(text).unwrap();
    let imported = import(PETSTORE, &[name("listPets")]).unwrap();
    assert_eq!(imported.functions.len(), 1);
    let error = import(PETSTORE, &[name("dropPets")]).unwrap_err();
    assert!(error.detail.contains("dropPets"), "{error}");
    // One that cannot be taken is left out among all, and said where it is named.
    let upload = json!({"required": true, "content": {"image/png": {}}});
    let paths = json!({
        "/a": {"get": {"operationId": "look"}},
        "/b": {"post": {"operationId": "upload", "requestBody": upload}},
    });
    let text = document(paths, json!({}));
    assert_eq!(import(&text, &[]).unwrap().functions.len(), 1);
    let error = import(&text, &[name("look"), name("upload")]).unwrap_err();
    assert_eq!(error.detail, "upload: its body is no JSON");
}

fn document(paths: Value, schemas: Value) -> String {
    json!({"openapi": "3.1.0", "paths": paths, "components": {"schemas": schemas}}).to_string()
}

fn posts(schema: Value) -> Value {
    let content = json!({"application/json": {"schema": schema}});
    json!({"/x": {"post": {"requestBody": {"required": true, "content": content}}}})
}

#[test]
fn hostile_documents_are_refused_or_left_out() {
    let refused = |text: &str| {
        let error = import(text, &[]).unwrap_err();
        assert_eq!(error.code, Code::ToolMalformed, "{error}");
        error.detail
    };
    refused("");
    refused("openapi: 2.0");
    refused("{\"openapi\": \"3.0.0\"");
    refused(&" ".repeat(DOCUMENT_BYTES_MAX + 1));
    for target in [
        "https://evil.example/schema.json",
        "file:///etc/passwd",
        "other.yaml#/x",
        "#anchor",
    ] {
        let text = document(posts(json!({"$ref": target})), json!({}));
        assert!(refused(&text).contains("refers to"));
    }
    // Aliases that multiply.
    let mut bomb = "openapi: 3.0.0\na0: &a0 [x, x]\n".to_owned();
    for at in 1..40 {
        let below = at - 1;
        bomb.push_str(&format!("a{at}: &a{at} [*a{below}, *a{below}]\n"));
    }
    refused(&bomb);
    // So do references.
    let mut schemas = Map::new();
    for at in 0..20 {
        let below = json!({"$ref": format!("#/components/schemas/s{}", at + 1)});
        let items = json!({"type": "object", "properties": {"a": below, "b": below, "c": below}});
        schemas.insert(format!("s{at}"), items);
    }
    schemas.insert("s20".to_owned(), json!({"type": "string"}));
    let text = document(
        posts(json!({"$ref": "#/components/schemas/s0"})),
        Value::Object(schemas),
    );
    refused(&text);
    // A reference to nothing, and one to itself by others.
    refused(&document(
        posts(json!({"$ref": "#/components/schemas/none"})),
        json!({}),
    ));
    let mut long = json!({"/y": {"get": {"operationId": "fine"}}});
    long["/x"] = json!({"get": {"parameters": [{"$ref": "#/paths/~1x/get/parameters/0"}]}});
    let imported = import(&document(long, json!({})), &[]).unwrap();
    assert_eq!(imported.left_out, ["get_x: a reference leads on for ever"]);
}

#[test]
fn what_refers_to_itself_ends() {
    let tree = json!({
        "type": "object",
        "properties": {"x": {"type": "string"}, "next": {"$ref": "#/components/schemas/Tree"}},
    });
    let text = document(
        posts(json!({"$ref": "#/components/schemas/Tree"})),
        json!({"Tree": tree}),
    );
    let imported = import(&text, &[]).unwrap();
    let input = &imported.functions[0].function.input;
    assert_eq!(input["properties"]["next"], json!({}));
    assert_eq!(input["properties"]["x"], json!({"type": "string"}));
}

#[test]
fn fields_called_as_keywords_are_fields() {
    let schema = json!({
        "type": "object", "required": ["example"],
        "properties": {"example": {"type": "string", "example": "x"}, "x-y": {}, "xml": {}},
    });
    let imported = import(&document(posts(schema), json!({})), &[]).unwrap();
    let expected = json!({
        "type": "object", "required": ["example"],
        "properties": {"example": {"type": "string"}, "x-y": {}, "xml": {}},
    });
    assert_eq!(imported.functions[0].function.input, expected);
}

#[test]
fn names_are_made_where_there_are_none() {
    let paths = json!({
        "/a/{id}": {
            "parameters": [{"name": "id", "in": "path"}],
            "get": {}, "delete": {"operationId": "get_a_id"}, "put": {"operationId": "ä b"},
        },
        "/c/{gone}": {"get": {"operationId": "c"}},
    });
    let imported = import(&document(paths, json!({})), &[]).unwrap();
    let names: Vec<_> = imported
        .functions
        .iter()
        .map(|it| it.function.name.as_str())
        .collect();
    assert_eq!(names, ["get_a_id", "b", "get_a_id_2"]);
    assert_eq!(
        imported.left_out,
        ["c: its path has `{gone}`, which no parameter is"]
    );
}

/// What is looked at is bounded, and grows no faster than the document does.
#[test]
fn a_document_of_many_operations_is_bounded() {
    let name = |text: &str| FunctionName::parse(text).unwrap();
    let paths = |count: usize, operation: Value| {
        let all = (0..count).map(|at| (format!("/{at}"), json!({"get": operation})));
        document(all.collect(), json!({}))
    };
    let same = json!({"operationId": "a"});
    let imported = import(&paths(OPERATIONS_MAX, same.clone()), &[name("a_10000")]).unwrap();
    assert_eq!(imported.functions.len(), 1);
    let error = import(&paths(OPERATIONS_MAX + 1, same), &[name("nope")]).unwrap_err();
    assert_eq!(error.detail, "the document has more than 10000 operations");
    // A name that was given a number by its own document is stepped over.
    let given = json!({
        "/1": {"get": {"operationId": "a_2"}},
        "/2": {"get": {"operationId": "a"}, "put": {"operationId": "a"}},
        "/3": {"get": {"operationId": "a_2"}},
    });
    let imported = import(&document(given, json!({})), &[]).unwrap();
    let names = imported
        .functions
        .iter()
        .map(|it| it.function.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["a_2", "a", "a_3", "a_2_2"]);

    let upload = json!({"requestBody": {"required": true, "content": {"image/png": {}}}});
    let error = import(&paths(LEFT_OUT_MAX + 1, upload), &[]).unwrap_err();
    assert!(
        error.detail.starts_with("more than 1000 operations cannot"),
        "{error}"
    );
    let parameter = json!({"name": "a", "in": "query"});
    let many = json!({"operationId": "a", "parameters": vec![parameter; PARAMETERS_MAX + 1]});
    let error = import(&paths(1, many), &[name("a")]).unwrap_err();
    assert_eq!(error.detail, "a: it has more than 512 parameters");
}
