//! Tools from the command line: registered, looked at, tried, replaced, removed, and their calls after.

use crate::support::{Home, examples};
use serde_json::{Value, json};

/// Registers a shipped example by its folder.
#[track_caller]
fn register(home: &Home, example: &str) -> Value {
    let path = examples().join(example);
    home.json(&["tool", "register", path.to_str().unwrap()])
}

/// A folder with this `tool.toml`.
fn folder(home: &Home, name: &str, manifest: &str) -> String {
    let folder = home.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("tool.toml"), manifest).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn a_tool_from_registering_to_removing() {
    let home = Home::new();
    let server = home.serve();
    let made = register(&home, "wordcount");
    assert_eq!(
        (&made["name"], &made["kind"]),
        (&"wordcount".into(), &"wasm".into())
    );

    // A table for people, a name a line for scripts; what is the server's own stands beside.
    let table = home.ok(&["tool", "list"]);
    assert!(table.contains("wordcount"), "{table}");
    let names = home.ok(&["tool", "list", "-o", "name"]);
    let names: Vec<&str> = names.lines().collect();
    for name in ["wordcount", "files", "canvas", "fetch"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let shown = home.ok(&["tool", "show", "wordcount"]);
    assert!(
        shown.contains("wordcount.count(text: string)  reads"),
        "{shown}"
    );

    // By the full name, by tool and function, from standard input, and as JSON.
    let text = json!({"text": "to be or not to be"}).to_string();
    for args in [
        ["tool", "test", "wordcount.count", &text].as_slice(),
        &["tool", "test", "wordcount", "count", &text],
    ] {
        let said = home.ok(args);
        assert_eq!(said, "6 words, 1 lines, 18 characters\n", "{args:?}");
    }
    let piped = home.pipe(&["tool", "test", "wordcount.count", "-"], text.as_bytes());
    assert!(piped.status.success(), "{piped:?}");
    assert_eq!(piped.stdout, b"6 words, 1 lines, 18 characters\n");
    let answer = home.json(&["tool", "test", "wordcount.count", &text]);
    assert_eq!(answer["structured"]["words"], 6, "{answer}");
    assert_eq!(answer["call"]["outcome"], "ok", "{answer}");

    // The log has each of them, under the tool and under all.
    for args in [
        ["tool", "calls", "wordcount"].as_slice(),
        &["tool", "calls"],
    ] {
        let calls = home.json(args);
        let calls = calls["toolCalls"].as_array().unwrap();
        assert_eq!(calls.len(), 4, "{calls:?}");
        for call in calls {
            assert_eq!(call["tool"], "wordcount.count");
            assert_eq!(call["arguments"]["text"], "to be or not to be");
            assert_eq!(call["outcome"], "ok");
        }
    }
    let calls = home.json(&["tool", "calls"]);
    let id = calls["toolCalls"][0]["id"].as_str().unwrap();
    let one = home.json(&["tool", "calls", "--id", id]);
    assert_eq!(one, calls["toolCalls"][0]);
    let whole = home.ok(&["tool", "calls", "--id", id]);
    assert!(whole.contains("to be or not to be"), "{whole}");
    let table = home.ok(&["tool", "calls", "wordcount", "--limit", "1"]);
    assert_eq!(table.lines().count(), 2, "{table}");

    home.ok(&["tool", "remove", "wordcount"]);
    let gone = home.run(&["tool", "show", "wordcount"]);
    assert_eq!(gone.code, Some(3), "{gone:?}");
    assert!(gone.stderr.contains("CX-8001"), "{}", gone.stderr);
    // What was called stays in the log.
    let calls = home.json(&["tool", "calls"]);
    assert_eq!(calls["toolCalls"].as_array().unwrap().len(), 4);
    assert_eq!(server.terminate(), Some(0));
}

/// A tool of the same name is replaced; what is read only by its address is not asked for anything.
#[test]
fn an_endpoint_is_registered_with_a_secret_and_replaced() {
    let home = Home::new();
    let _server = home.serve();
    let manifest = "name = \"weather\"\ndescription = \"Weather.\"\n[http]\n\
        base_url = \"https://api.example.com/v1\"\nauth = { header = \"X-Key\" }\n\
        [[http.functions]]\nname = \"now\"\nmethod = \"GET\"\npath = \"/now/{city}\"\neffect = \"reads\"\n\
        [http.functions.input]\ntype = \"object\"\nrequired = [\"city\"]\n\
        properties.city = { type = \"string\" }\n";
    let path = folder(&home, "weather", manifest);
    let secret = home.path().join("secret");
    std::fs::write(&secret, "hush-hush\n").unwrap();
    let secret = secret.to_str().unwrap();
    let made = home.json(&["tool", "register", &path, "--secret-file", secret]);
    assert_eq!(made["hasSecret"], true, "{made}");
    assert!(!made.to_string().contains("hush"), "{made}");
    let shown = home.ok(&["tool", "show", "weather"]);
    assert!(
        shown.contains("https://api.example.com/v1 (header X-Key)") && shown.contains("kept"),
        "{shown}"
    );
    // Replaced: the same address keeps the secret, another one loses it.
    let cheaper = manifest.replace("Weather.", "The weather.");
    folder(&home, "weather", &cheaper);
    let replaced = home.json(&["tool", "register", &path]);
    assert_eq!(replaced["description"], "The weather.");
    assert_eq!(replaced["hasSecret"], true, "{replaced}");
    folder(
        &home,
        "weather",
        &cheaper.replace("api.example.com", "api.example.org"),
    );
    let moved = home.json(&["tool", "register", &path]);
    assert_ne!(moved["hasSecret"], true, "{moved}");
    let told = home.run(&["tool", "register", &path]);
    assert!(told.stderr.contains("it has no secret"), "{told:?}");
    let wrong = home.run(&["tool", "test", "weather.now", "{\"town\": \"Bern\"}"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(
        wrong.stderr.contains("CX-8007") && wrong.stderr.contains("city"),
        "{}",
        wrong.stderr
    );
}

/// Failures of a tool end with 1 and say why; those of the command line have the codes they have everywhere.
#[test]
fn what_goes_wrong_says_so_and_has_its_exit_code() {
    let home = Home::new();
    let _server = home.serve();
    register(&home, "wordcount");
    register(&home, "unruly");
    let check = |args: &[&str], code: i32, part: &str| {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
        assert!(
            ran.stderr.contains(part),
            "{args:?}: {part}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{args:?}");
    };
    check(
        &["tool", "show", "wordcont"],
        3,
        "did you mean `wordcount`?",
    );
    check(
        &["tool", "test", "unruly"],
        3,
        "its functions: unruly.panic, unruly.spin",
    );
    let name = folder(&home, "name", "name = \"Tool\"\ncomponent = \"t.wasm\"\n");
    check(
        &["tool", "register", &name],
        1,
        "malformed tool: line 1: `Tool` is not a tool's name",
    );
    check(
        &["tool", "policy", "set", "--egress", "*"],
        2,
        "no host at all for every public one",
    );
    check(
        &["tool", "test", "fetch", "{\"url\": \"http://0x7f.1/\"}"],
        4,
        "address refused: 127.0.0.1 is loopback",
    );
    check(
        &["tool", "test", "wordcount.cuont", "{}"],
        3,
        "did you mean `wordcount.count`?",
    );
    check(
        &["tool", "test", "wordcount.count", "{\"text\": 1}"],
        1,
        "CX-8007",
    );
    check(
        &["tool", "test", "wordcount.count", "text"],
        2,
        "no JSON object",
    );
    check(
        &["tool", "test", "wordcount.count", "[1]"],
        2,
        "no JSON object",
    );
    check(&["tool", "test", "unruly.panic", "{}"], 1, "CX-8013");
    check(&["tool", "remove", "files"], 4, "is the server's");
    check(&["tool", "register", "no/such"], 3, "no/such");
    let typo = folder(&home, "typo", "name = \"t\"\ncomponnent = \"t.wasm\"\n");
    check(&["tool", "register", &typo], 1, "`component`");
    let absent = folder(&home, "absent", "name = \"t\"\ncomponent = \"t.wasm\"\n");
    check(&["tool", "register", &absent], 3, "t.wasm");
    let agent = examples().join("echo/echo.wasm");
    check(
        &["tool", "register", agent.to_str().unwrap()],
        1,
        "error[CX-",
    );
}

/// The whole round of a policy: shown, changed in parts, enforced, and taken back.
#[test]
fn a_tenants_policy_is_set_and_holds() {
    let home = Home::new();
    let _server = home.serve();
    register(&home, "wordcount");
    let text = json!({"text": "a b"}).to_string();
    let set = home.json(&["tool", "policy", "set", "--deny", "wordcount, mail.send"]);
    assert_eq!(set["deny"], json!(["wordcount", "mail.send"]));
    let refused = home.run(&["tool", "test", "wordcount.count", &text]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("CX-8006"), "{}", refused.stderr);
    let shown = home.ok(&["tool", "policy", "show"]);
    assert!(shown.contains("wordcount, mail.send"), "{shown}");
    home.ok(&["tool", "policy", "set", "--deny", "", "--sandbox", "on"]);
    let dry = home.json(&["tool", "test", "wordcount.count", &text]);
    assert_eq!(dry["call"]["outcome"], "sandbox", "{dry}");
    home.ok(&["tool", "policy", "set", "--sandbox", "off"]);
    assert!(
        home.ok(&["tool", "test", "wordcount.count", &text])
            .starts_with("2 words")
    );
    let calls = home.json(&["tool", "calls", "wordcount"]);
    let outcomes: Vec<&Value> = calls["toolCalls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["outcome"])
        .collect();
    assert_eq!(outcomes, ["ok", "sandbox", "denied"]);
    let wrong = home.run(&["tool", "policy", "set"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let wrong = home.run(&["tool", "policy", "set", "--deny", "no spaces"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("no spaces"), "{}", wrong.stderr);
}

/// Files of a session, written by one function and listed by another.
#[test]
fn what_is_built_in_works_in_the_session_it_is_told() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("assistant");
    home.ok(&["session", "create", "assistant", "--id", "s-1"]);
    let written = json!({"path": "notes/a.md", "content": "hello"}).to_string();
    home.ok(&["tool", "test", "files.write", &written, "--session", "s-1"]);
    let listed = home.ok(&["tool", "test", "files.list", "--session", "s-1"]);
    assert_eq!(listed, "notes/a.md (text/markdown, 5 bytes)\n");
    let of = |args: &[&str]| home.json(args)["toolCalls"].as_array().unwrap().len();
    assert_eq!(of(&["tool", "calls", "--session", "s-1"]), 2);
    assert_eq!(of(&["tool", "calls", "--session", "s-2"]), 0);
    let out = json!({"path": "../a", "content": ""}).to_string();
    let refused = home.run(&["tool", "test", "files.write", &out, "--session", "s-1"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains("CX-803"), "{}", refused.stderr);
}

/// A program of the operator's must not stand in the place of what the server has itself.
#[test]
fn no_configuration_takes_the_name_of_what_is_built_in() {
    let home = Home::new();
    let _server = home.serve();
    let tools = home.json(&["tool", "list"]);
    for tool in tools["tools"].as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let config = home.path().join("caxton.toml");
        std::fs::write(&config, format!("[mcp.{name}]\ncommand = \"sh\"\n")).unwrap();
        let config = config.to_str().unwrap();
        let ran = home.run(&["config", "validate", "--config", config]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("choose another name"), "{}", ran.stderr);
    }
}

/// An agent is called as a tool, by the name that a manifest has for it.
#[test]
fn an_agent_is_a_tool() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("echo");
    let said = home.ok(&["tool", "test", "agent:echo", "{\"message\": \"good day\"}"]);
    assert_eq!(said, "good day\n");
    let calls = home.json(&["tool", "calls"]);
    assert_eq!(calls["toolCalls"][0]["tool"], "agent:echo", "{calls}");
    let nobody = home.run(&["tool", "test", "agent:ecoh", "{\"message\": \"a\"}"]);
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
}
