//! The protocol's own reference servers.

use super::*;
use crate::mcp::Program;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};

fn given(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set"))
        .into()
}

fn node() -> String {
    given("CAXTON_TEST_NODE").display().to_string()
}

fn script(package: &str) -> String {
    let folder = given("CAXTON_TEST_MCP_SERVERS").join("node_modules/@modelcontextprotocol");
    folder
        .join(package)
        .join("dist/index.js")
        .display()
        .to_string()
}

fn with(program: Program) -> (McpTools, Arc<ToolTarget>) {
    let options = Options {
        programs: [("it".to_owned(), program)].into(),
        ..Options::default()
    };
    let tool = json!({"kind": "mcp", "place": {"program": "it"}});
    let target = ToolTarget {
        trusted: true,
        ..target(Some(tool), None)
    };
    (McpTools::new(out(), options), Arc::new(target))
}

/// What `server-everything` has, whichever way it is reached.
async fn everything(tools: &McpTools, target: &Arc<ToolTarget>) {
    let functions = tools.describe(Arc::clone(target)).await.unwrap();
    let run = async |name: &str, arguments: Value| {
        let found = functions.iter().find(|it| it.name.as_str() == name);
        let found = found.unwrap_or_else(|| panic!("{name}: {functions:?}"));
        tools
            .call(call(target, found.clone(), arguments))
            .await
            .unwrap()
    };
    let answer = run("echo", json!({"message": "hello"})).await;
    assert_eq!(text(&answer), "Echo: hello");
    let answer = run("get-sum", json!({"a": 2, "b": 3})).await;
    assert!(text(&answer).contains('5'), "{answer:?}");
    let answer = run("get-tiny-image", json!({})).await;
    let is_picture = |part: &Part| matches!(part, Part::Image { .. });
    assert!(answer.parts.iter().any(is_picture), "{answer:?}");
    let answer = run("get-structured-content", json!({"location": "Chicago"})).await;
    assert!(answer.structured.unwrap()["temperature"].is_number());
    let answer = run("get-annotated-message", json!({"messageType": "error"})).await;
    assert!(text(&answer).contains("Error"));
    let long = json!({"duration": 1, "steps": 4});
    let answer = run("trigger-long-running-operation", long).await;
    assert!(text(&answer).contains("completed"), "{answer:?}");
    // Arguments that do not fit are the tool's own failure, or a fault; never an answer.
    let echo = functions
        .iter()
        .find(|it| it.name.as_str() == "echo")
        .unwrap();
    let wrong = tools
        .call(call(target, echo.clone(), json!({"message": 1})))
        .await;
    assert!(wrong.is_err() || wrong.unwrap().is_error);
}

#[tokio::test]
#[ignore = "needs mcp-servers"]
async fn server_everything_works_as_a_program() {
    let mut program = Program::new(node());
    program.args = vec![script("server-everything"), "stdio".to_owned()];
    let (tools, target) = with(program);
    everything(&tools, &target).await;
}

#[tokio::test]
#[ignore = "needs mcp-servers"]
async fn server_everything_works_over_streamable_http() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut server = tokio::process::Command::new(node());
    server.args([script("server-everything"), "streamableHttp".to_owned()]);
    server.env("PORT", port.to_string()).stderr(Stdio::piped());
    let mut server = server
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    while !lines
        .next_line()
        .await
        .unwrap()
        .unwrap()
        .contains("listening on port")
    {}
    let tool = tool(&format!("http://127.0.0.1:{port}/mcp"));
    let target = Arc::new(ToolTarget {
        trusted: true,
        ..target(Some(tool), None)
    });
    everything(&tools(), &target).await;
}

#[tokio::test]
#[ignore = "needs mcp-servers"]
async fn server_filesystem_stays_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    // As the server names it: it resolves links.
    let root = folder.path().canonicalize().unwrap();
    let mut program = Program::new(node());
    program.args = vec![script("server-filesystem"), root.display().to_string()];
    let (tools, target) = with(program);
    let functions = tools.describe(Arc::clone(&target)).await.unwrap();
    let run = async |name: &str, arguments: Value| {
        let found = functions
            .iter()
            .find(|it| it.name.as_str() == name)
            .unwrap();
        tools
            .call(call(&target, found.clone(), arguments))
            .await
            .unwrap()
    };
    // Of the operator's servers it is believed that they only look.
    let effect = |name: &str| {
        functions
            .iter()
            .find(|it| it.name.as_str() == name)
            .unwrap()
            .effect
    };
    assert_eq!(effect("read_text_file"), Effect::Reads);
    assert_eq!(effect("write_file"), Effect::Acts);
    let path = root.join("note.txt");
    let answer = run("write_file", json!({"path": path, "content": "hello"})).await;
    assert!(!answer.is_error, "{answer:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "hello");
    let answer = run("read_text_file", json!({"path": path})).await;
    assert_eq!(text(&answer), "hello");
    let answer = run("read_text_file", json!({"path": "/etc/passwd"})).await;
    assert!(answer.is_error, "{answer:?}");
}
