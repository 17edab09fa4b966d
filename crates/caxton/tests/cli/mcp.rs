//! `caxton mcp`, spoken to as a coding tool does, line by line; and the protocol's own inspector at both
//! of Caxton's servers.

use crate::support::{Home, Ran, Server, examples};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A client that speaks the protocol by hand.
struct Client {
    child: Child,
    says: ChildStdin,
    hears: BufReader<ChildStdout>,
    asked: u64,
}

impl Client {
    /// Starts `caxton mcp`, and greets it.
    fn new(home: &Home) -> Self {
        let mut child = home
            .command(&["mcp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let says = child.stdin.take().unwrap();
        let hears = BufReader::new(child.stdout.take().unwrap());
        let mut client = Self {
            child,
            says,
            hears,
            asked: 0,
        };
        let greeted = client.ask(
            "initialize",
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "by hand", "version": "1"},
            }),
        );
        assert_eq!(greeted["result"]["protocolVersion"], "2025-11-25");
        assert_eq!(greeted["result"]["serverInfo"]["name"], "caxton");
        client.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    fn tell(&mut self, message: &Value) {
        writeln!(self.says, "{message}").unwrap();
    }

    /// The answer to a request. Each line of standard output is a message of the protocol.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.tell(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let mut line = String::new();
        self.hears.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            panic!("{error}: {line:?}");
        });
        assert_eq!(
            (&answer["jsonrpc"], &answer["id"]),
            (&"2.0".into(), &id.into())
        );
        answer
    }

    fn call(&mut self, name: &str, arguments: Value) -> Value {
        let params = json!({"name": name, "arguments": arguments});
        self.ask("tools/call", params)["result"].take()
    }

    /// The text of a call that went well.
    #[track_caller]
    fn text(&mut self, name: &str, arguments: Value) -> String {
        let result = self.call(name, arguments);
        assert_ne!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// The text of a call that did not.
    #[track_caller]
    fn fault(&mut self, name: &str, arguments: Value) -> String {
        let result = self.call(name, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Says no more, and waits; how it ended, and what it wrote beside the protocol.
    fn ends(self) -> Ran {
        drop(self.says);
        let mut left = String::new();
        std::io::Read::read_to_string(&mut { self.hears }, &mut left).unwrap();
        assert_eq!(left, "");
        self.child.wait_with_output().unwrap().into()
    }
}

fn example(name: &str) -> String {
    examples().join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_coding_tool_deploys_sends_reads_and_calls() {
    let home = Home::new();
    let _server = home.serve();
    home.ok(&["tool", "register", &example("wordcount")]);
    let mut client = Client::new(&home);
    let listed = client.ask("tools/list", json!({}));
    let names: Vec<&str> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "deploy_agent",
            "list_agents",
            "send_message",
            "read_logs",
            "list_tools",
            "call_tool"
        ]
    );
    let deployed = client.call("deploy_agent", json!({"path": example("counter")}));
    assert_eq!(
        deployed["structuredContent"]["name"], "counter",
        "{deployed}"
    );
    let agents = client.call("list_agents", json!({}));
    assert_eq!(
        agents["structuredContent"]["agents"][0]["state"], "running",
        "{agents}"
    );
    let count = |client: &mut Client, act: &str, text: &str| {
        client.text(
            "send_message",
            json!({"to": "counter", "performative": act, "content": text}),
        )
    };
    assert_eq!(count(&mut client, "request", "add 41"), "41");
    assert_eq!(count(&mut client, "query-ref", "get"), "41");
    client.call("deploy_agent", json!({"path": example("probe")}));
    let wrote = json!({"to": "probe", "content": "log warn watch out"});
    client.text("send_message", wrote);
    let logs = client.text("read_logs", json!({"agent": "probe", "level": "warn"}));
    assert!(logs.ends_with("watch out\n"), "{logs}");
    let tools = client.call("list_tools", json!({}));
    let ids: Vec<&Value> = tools["structuredContent"]["functions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert!(ids.contains(&&json!("wordcount.count")), "{ids:?}");
    let counted = client.text(
        "call_tool",
        json!({"tool": "wordcount.count", "arguments": {"text": "to be or not to be"}}),
    );
    assert_eq!(counted, "6 words, 1 lines, 18 characters");
    let done = client.ends();
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
}

/// What goes wrong is a result that a model can read, with its code, and the connection lives on.
#[test]
fn what_goes_wrong_is_told_to_the_model() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("counter");
    let mut client = Client::new(&home);
    for (name, arguments, part) in [
        (
            "deploy_agent",
            json!({"path": "/no/such/folder"}),
            "/no/such/folder",
        ),
        ("deploy_agent", json!({"paht": "x"}), "paht"),
        (
            "send_message",
            json!({"to": "nobody", "content": "x"}),
            "CX-3001",
        ),
        (
            "send_message",
            json!({"to": "counter", "content": "sing"}),
            "not-understood",
        ),
        ("read_logs", json!({"agent": "nobody"}), "CX-2020"),
        ("call_tool", json!({"tool": "nothing"}), "CX-8001"),
        (
            "call_tool",
            json!({"tool": "files.write", "arguments": {}}),
            "CX-8007",
        ),
    ] {
        let said = client.fault(name, arguments);
        assert!(said.contains(part), "{name}: {part}: {said}");
    }
    let unknown = client.ask("tools/call", json!({"name": "rm", "arguments": {}}));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    assert_eq!(client.ask("no/such", json!({}))["error"]["code"], -32601);
    assert_eq!(client.ask("ping", json!({}))["result"], json!({}));
    server.kill();
    let said = client.fault("list_agents", json!({}));
    assert!(said.contains("CX-9002"), "{said}");
    assert_eq!(client.ends().code, Some(0));
}

#[test]
fn a_key_that_may_only_read_changes_nothing() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("counter");
    let made = home.json(&["key", "create", "viewer", "--role", "viewer"]);
    let secret = made["secret"].as_str().unwrap();
    let viewer = home.path().join("viewer");
    std::fs::write(&viewer, secret).unwrap();
    let mut child = home
        .command(&["mcp"])
        .env("CAXTON_API_KEY", secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = Client {
        says: child.stdin.take().unwrap(),
        hears: BufReader::new(child.stdout.take().unwrap()),
        child,
        asked: 0,
    };
    client.ask(
        "initialize",
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}),
    );
    let agents = client.call("list_agents", json!({}));
    assert_eq!(agents["structuredContent"]["agents"][0]["name"], "counter");
    let said = client.fault("deploy_agent", json!({"path": example("echo")}));
    assert!(said.contains("CX-4003"), "{said}");
    assert_eq!(client.ends().code, Some(0));
}

/// The inspector's command line, with Node of the version it needs.
struct Inspector {
    node: OsString,
    script: PathBuf,
}

impl Inspector {
    fn given() -> Self {
        let folder = PathBuf::from(std::env::var_os("CAXTON_TEST_MCP_INSPECTOR").unwrap());
        Self {
            node: std::env::var_os("CAXTON_TEST_NODE_22").unwrap(),
            script: folder.join(
                "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js",
            ),
        }
    }

    /// One method at a server, which is `target`: a program and its arguments, or an address.
    #[track_caller]
    fn ask(&self, home: &Home, target: &[&str], method: &[&str]) -> Value {
        let ran: Ran = Command::new(&self.node)
            .arg(&self.script)
            .arg("--cli")
            .args(target)
            .arg("--method")
            .args(method)
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }
}

fn names(listed: &Value) -> Vec<&str> {
    let tools = listed["tools"].as_array().unwrap();
    tools
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect()
}

fn inspected() -> (Home, Server, Inspector) {
    let home = Home::new();
    let server = home.serve();
    home.deploy("echo");
    home.ok(&["tool", "register", &example("wordcount")]);
    (home, server, Inspector::given())
}

#[test]
#[ignore = "needs mcp-inspector"]
fn the_inspector_works_with_caxton_mcp() {
    let (home, _server, inspector) = inspected();
    let target = [env!("CARGO_BIN_EXE_caxton"), "mcp"];
    let listed = inspector.ask(&home, &target, &["tools/list"]);
    assert!(names(&listed).contains(&"send_message"), "{listed}");
    let said = inspector.ask(
        &home,
        &target,
        &[
            "tools/call",
            "--tool-name",
            "send_message",
            "--tool-arg",
            "to=echo",
            "content=good day",
        ],
    );
    assert_eq!(said["content"][0]["text"], "good day", "{said}");
}

#[test]
#[ignore = "needs mcp-inspector"]
fn the_inspector_works_with_the_servers_own_door() {
    let (home, server, inspector) = inspected();
    let made = home.json(&["key", "create", "inspector", "--role", "admin"]);
    let key = format!("x-api-key: {}", made["secret"].as_str().unwrap());
    let url = format!("{}/mcp", server.url());
    let target = [url.as_str(), "--transport", "http", "--header", &key];
    let listed = inspector.ask(&home, &target, &["tools/list"]);
    for name in ["wordcount__count", "files__read", "ask_echo"] {
        assert!(names(&listed).contains(&name), "{name}: {listed}");
    }
    for (name, argument, expected) in [
        (
            "wordcount__count",
            "text=a b",
            "2 words, 1 lines, 3 characters",
        ),
        ("ask_echo", "message=good day", "good day"),
    ] {
        let method = ["tools/call", "--tool-name", name, "--tool-arg", argument];
        let said = inspector.ask(&home, &target, &method);
        assert_eq!(said["content"][0]["text"], expected, "{said}");
    }
}
