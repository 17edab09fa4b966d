//! Revisions of the protocol: what each is asked with, and what is made of servers in between.

use super::programs::ready;
use super::*;
use crate::mcp::Program;
use std::path::PathBuf;

const MODERN: &str = "2026-07-28";

#[tokio::test]
async fn a_server_that_answers_what_it_does_not_know_with_nothing_is_an_older_one() {
    let router = Router::new().fallback(|body: Bytes| async move {
        let said: Value = serde_json::from_slice(&body).unwrap();
        match said["method"].as_str() {
            Some("initialize") => result(
                &said,
                json!({"protocolVersion": "2025-11-25", "capabilities": {},
                       "serverInfo": {"name": "old", "version": "1"}}),
            ),
            Some("tools/call") => says(&said, "hello"),
            _ => result(&said, json!({})),
        }
    });
    let at = serve(ALLOWED, router).await;
    let target = Arc::new(target(Some(tool(&format!("http://{at}/"))), None));
    let answer = tools().call(call(&target, function("f"), json!({}))).await;
    assert_eq!(text(&answer.unwrap()), "hello");
}

/// A server of 2026-07-28, written by its specification: no session, no greeting; each request says of
/// itself which revision it is of and what its client can do, and shows in its headers what it is for.
async fn modern(discovered: Value) -> Fake {
    Fake::only(ALLOWED, move |headers, said| {
        let method = said["method"].as_str().unwrap();
        let shown = |name: &str| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(
            shown("mcp-protocol-version").as_deref(),
            Some(MODERN),
            "{said}"
        );
        assert_eq!(shown("mcp-method").as_deref(), Some(method), "{said}");
        assert_eq!(shown("mcp-session-id"), None);
        let meta = &said["params"]["_meta"];
        assert_eq!(
            meta["io.modelcontextprotocol/protocolVersion"], MODERN,
            "{said}"
        );
        let can = &meta["io.modelcontextprotocol/clientCapabilities"];
        assert!(can.is_object(), "{said}");
        match method {
            "server/discover" => result(said, discovered.clone()),
            "tools/list" => result(
                said,
                json!({
                    "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                    "tools": [{"name": "f", "inputSchema": {"type": "object"}}],
                }),
            ),
            "tools/call" => {
                assert_eq!(shown("mcp-name").as_deref(), Some("f"));
                let content = json!([{"type": "text", "text": "modern"}]);
                result(said, json!({"resultType": "complete", "content": content}))
            }
            other => panic!("{other} is not of {MODERN}: {said}"),
        }
    })
    .await
}

#[tokio::test]
async fn a_server_of_2026_is_asked_as_its_revision_has_it() {
    let whole = json!({
        "resultType": "complete", "supportedVersions": [MODERN], "ttlMs": 60_000,
        "capabilities": {"tools": {}}, "cacheScope": "public",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "modern", "version": "1"}},
    });
    // What only says how long it holds may be missing.
    let short = json!({"supportedVersions": [MODERN], "capabilities": {"tools": {}}});
    for discovered in [whole, short] {
        let fake = modern(discovered.clone()).await;
        let (tools, target) = (tools(), fake.target());
        let functions = tools.describe(Arc::clone(&target)).await.unwrap();
        assert_eq!(functions[0].name.as_str(), "f", "{discovered}");
        let answer = tools.call(call(&target, function("f"), json!({}))).await;
        assert_eq!(text(&answer.unwrap()), "modern");
        let methods: Vec<String> = {
            let heard = fake.heard.lock();
            let named = heard
                .iter()
                .map(|(_, it)| it["method"].as_str().unwrap().to_owned());
            named.collect()
        };
        assert_eq!(methods[0], "server/discover");
        assert!(methods.iter().all(|it| it != "initialize"), "{methods:?}");
    }
}

#[tokio::test]
async fn a_server_of_another_revision_than_either_is_refused_and_named() {
    let fake = modern(json!({
        "resultType": "complete", "supportedVersions": ["2031-01-01"], "ttlMs": 0,
        "capabilities": {}, "cacheScope": "public",
    }));
    let fake = fake.await;
    let asked = call(&fake.target(), function("f"), json!({}));
    let fault = tools().call(asked).await.unwrap_err();
    assert!(fault.detail.contains("2031-01-01"), "{fault}");
}

/// A program in a shell that speaks one revision; `discover` is its answer to the first question.
fn speaking(discover: &str) -> Program {
    let script = format!(
        r#"while read -r line; do
  id=${{line#*'"id":'}}; id=${{id%%[,\}}]*}}
  say() {{ echo '{{"jsonrpc":"2.0","id":'$id',"result":'"$1"'}}'; }}
  case "$line" in
    *server/discover*) say '{discover}' ;;
    *'"initialize"'*) say '{{"protocolVersion":"2025-11-25","capabilities":{{}},"serverInfo":{{"name":"s","version":"1"}}}}' ;;
    *tools/list*) say '{{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{{"name":"f","inputSchema":{{"type":"object"}}}}]}}' ;;
    *tools/call*) case "$line" in *clientCapabilities*) it=new ;; *) it=old ;; esac
      say '{{"resultType":"complete","content":[{{"type":"text","text":"'$it'"}}]}}' ;;
  esac
done"#
    );
    let mut program = Program::new("/bin/sh");
    program.args = vec!["-c".to_owned(), script];
    program
}

#[tokio::test]
async fn a_program_speaks_either_revision_or_answers_with_nothing() {
    let modern = r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#;
    for (discover, expected) in [("{}", "old"), (r#"{"a":1}"#, "old"), (modern, "new")] {
        let (tools, asked) = ready(speaking(discover), true);
        let answer = tools.call(asked).await;
        assert_eq!(text(&answer.unwrap()), expected, "{discover}");
    }
}

/// The protocol's own Python library as a server: of both revisions.
const PYTHON: &str = r#"
from mcp.server import MCPServer
server = MCPServer("sums")
@server.tool()
def add(a: int, b: int) -> int:
    "Adds two numbers."
    return a + b
server.run("stdio")
"#;

#[tokio::test]
#[ignore = "needs mcp-python"]
async fn the_protocols_own_python_server_is_spoken_to_in_its_newest_revision() {
    let python = std::env::var_os("CAXTON_TEST_MCP_PYTHON").map(PathBuf::from);
    let python = python.unwrap_or_else(|| panic!("CAXTON_TEST_MCP_PYTHON is not set"));
    let folder = tempfile::tempdir().unwrap();
    // What is said is written down on the way, both ways.
    let heard = folder.path().join("heard");
    let script = format!(
        "tee {heard} | {python} -c \"$SERVER\"",
        heard = heard.display(),
        python = python.display()
    );
    let mut program = Program::new("/bin/sh");
    program.args = vec!["-c".to_owned(), script];
    program.env = [
        ("SERVER".to_owned(), PYTHON.to_owned()),
        ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
    ]
    .into();
    program.memory_bytes_max = None;
    let (tools, asked) = ready(program, true);
    let functions = tools.describe(Arc::clone(&asked.target)).await.unwrap();
    let add = functions.iter().find(|it| it.name.as_str() == "add");
    let sum = call(
        &asked.target,
        add.unwrap().clone(),
        json!({"a": 2, "b": 40}),
    );
    let answer = tools.call(sum).await.unwrap();
    assert_eq!(answer.structured, Some(json!({"result": 42})));
    let wrong = call(
        &asked.target,
        add.unwrap().clone(),
        json!({"a": "two", "b": 40}),
    );
    let wrong = tools.call(wrong).await;
    assert!(wrong.is_err() || wrong.unwrap().is_error);
    let heard = std::fs::read_to_string(heard).unwrap();
    assert!(!heard.contains("\"initialize\""), "{heard}");
    let calls = heard.lines().filter(|it| it.contains("tools/call"));
    for line in calls {
        let said: Value = serde_json::from_str(line).unwrap();
        let meta = &said["params"]["_meta"];
        assert_eq!(
            meta["io.modelcontextprotocol/protocolVersion"], MODERN,
            "{line}"
        );
    }
}
