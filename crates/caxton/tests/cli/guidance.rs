//! What the command line tells a person who is about to go wrong, or who finds nothing there yet.

use crate::support::Home;
use crate::terminal::Terminal;
use serde_json::Value;

/// Runs a command that must succeed; what it says on standard error.
#[track_caller]
fn told(home: &Home, args: &[&str]) -> String {
    let ran = home.run(args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stderr
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// A folder with an assistant's manifest.
fn assistant(home: &Home, name: &str, more: &str) -> String {
    let folder = home.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let manifest = format!(
        "name = \"{name}\"\nbehavior = \"assistant\"\n{more}\n[assistant]\nmodel = \"demo\"\n"
    );
    std::fs::write(folder.join("agent.toml"), manifest).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn lists_without_rows_say_what_would_be_there() {
    let home = Home::new();
    let _server = home.serve();
    for (args, part) in [
        (&["audit", "list"][..], "appear here"),
        (&["conversation", "list"], "--conversation"),
        (&["message", "list"], "caxton message send"),
        (&["job", "list"], "caxton job submit"),
        (&["dead-letter", "list"], "fails at every try"),
        (&["backup", "list"], "caxton backup create"),
        (&["limit", "list"], "caxton limit set"),
    ] {
        has(&told(&home, args), &[part]);
    }
    home.deploy("echo");
    has(
        &told(&home, &["agent", "logs", "echo"]),
        &["echo logged nothing yet"],
    );
    let errors = ["agent", "logs", "echo", "--level", "error"];
    has(&told(&home, &errors), &["nothing of level error or above"]);
    assert_eq!(home.json(&errors)["entries"], Value::Array(Vec::new()));
}

#[test]
fn a_prompt_opens_for_an_assistant_that_is_there_and_ends_by_a_word() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("assistant");
    home.deploy("echo");
    let mut lost = Terminal::new(&home, &["chat", "asistant"]);
    lost.shows("did you mean `assistant`?");
    assert_eq!(lost.ends(), Some(3));
    let mut wrong = Terminal::new(&home, &["chat", "echo"]);
    wrong.shows("CX-7027");
    wrong.shows("caxton message send --to echo");
    assert_eq!(wrong.ends(), Some(1));
    for word in ["/exit", "/quit"] {
        let mut chat = Terminal::new(&home, &["chat", "assistant"]);
        chat.shows("> ");
        chat.types(&format!("{word}\r"));
        assert_eq!(chat.ends(), Some(0), "{word}");
    }
    assert_eq!(home.ok(&["session", "list", "-o", "name"]), "");
}

#[test]
fn a_provider_whose_name_says_its_kind_needs_no_other_word() {
    let home = Home::new();
    let _server = home.serve();
    for (name, kind, url) in [
        ("openai", "openai-chat", "https://api.openai.com/v1"),
        ("anthropic", "anthropic", "https://api.anthropic.com"),
        (
            "openai-responses",
            "openai-responses",
            "https://api.openai.com/v1",
        ),
        ("openai-chat", "openai-chat", "https://api.openai.com/v1"),
    ] {
        let set = home.json(&["provider", "set", name]);
        assert_eq!((&set["kind"], &set["baseUrl"]), (&kind.into(), &url.into()));
    }
    let keyless = told(&home, &["provider", "set", "openai"]);
    has(&keyless, &["no secret is kept", "--secret-env"]);
    let unknown = home.run(&["provider", "set", "mine"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    has(&unknown.stderr, &["`mine`", "--kind"]);
    let url = "https://models.example.com/v1";
    let mine = [
        "provider",
        "set",
        "mine",
        "--kind",
        "openai-chat",
        "--url",
        url,
    ];
    home.ok(&mine);
    // Another secret alone: the rest stays.
    let secret = home.path().join("secret");
    std::fs::write(&secret, "s").unwrap();
    let again = ["provider", "set", "mine", "--secret-file"];
    let set = home.json(&[&again[..], &[secret.to_str().unwrap()]].concat());
    assert_eq!(
        (&set["kind"], &set["baseUrl"], &set["hasSecret"]),
        (&"openai-chat".into(), &url.into(), &true.into())
    );
}

#[test]
fn what_a_manifest_names_and_is_not_there_is_warned_of() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("echo");
    let tools = "[tools]\nallow = [\"fetchh\", \"files.raed\", \"agent:ehco\", \"files\", \"*\"]\n\
                 deny = [\"agent:echo\", \"fetchh\"]\n";
    let folder = assistant(&home, "typo", tools);
    let told = told(&home, &["agent", "deploy", &folder]);
    has(
        &told,
        &[
            "`fetchh`, which is not there",
            "did you mean `fetch`?",
            "did you mean `files.read`?",
            "did you mean `agent:echo`?",
        ],
    );
    assert_eq!(told.matches("warning: ").count(), 3, "{told}");
    // Two that name each other, at once.
    let one = assistant(&home, "one", "[tools]\nallow = [\"agent:two\"]");
    let two = assistant(&home, "two", "[tools]\nallow = [\"agent:one\"]");
    let both = home.run(&["agent", "deploy", &one, &two]);
    assert_eq!(both.code, Some(0), "{both:?}");
    assert!(!both.stderr.contains("warning"), "{both:?}");
    let manifest = std::fs::read_to_string(format!("{one}/agent.toml")).unwrap();
    let wrong = manifest.replace("model", "modle");
    std::fs::write(format!("{one}/agent.toml"), wrong).unwrap();
    let refused = home.run(&["agent", "deploy", &one]);
    has(
        &refused.stderr,
        &["CX-2001", "`modle`", "did you mean `model`?"],
    );
}

#[test]
fn a_new_version_of_one_that_runs_runs_whatever_no_start_says() {
    let home = Home::new();
    let _server = home.serve();
    let folder = assistant(&home, "runs", "version = \"1.0.0\"");
    let no_start = ["agent", "deploy", &folder, "--no-start"];
    let said = told(&home, &no_start);
    assert!(!said.contains("ran already"), "{said}");
    assert_eq!(home.json(&["agent", "show", "runs"])["state"], "loaded");
    home.ok(&["agent", "start", "runs"]);
    let again = [&no_start[..], &["--agent-version", "1.1.0"]].concat();
    has(
        &told(&home, &again),
        &["runs ran already and goes on, from now with 1.1.0"],
    );
    let shown = home.json(&["agent", "show", "runs"]);
    assert_eq!(
        (&shown["state"], &shown["version"]),
        (&"running".into(), &"1.1.0".into())
    );
}

#[test]
fn a_key_that_may_do_nothing_is_warned_of() {
    let home = Home::new();
    let _server = home.serve();
    let create = |scopes: &[&str]| {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        let args = ["key", "create", "k", "--role", "viewer"].into_iter();
        told(&home, &args.chain(scopes).collect::<Vec<_>>())
    };
    has(
        &create(&["agents:write"]),
        &["this key may do nothing", "viewer has no agents:write"],
    );
    has(
        &create(&["agents:*", "keys:*"]),
        &["warning: keys:* gives this key nothing"],
    );
    for good in [&[][..], &["agents:*", "messages:read"], &["*"]] {
        let said = create(good);
        assert!(!said.contains("warning"), "{said}");
    }
}

#[test]
fn what_was_said_to_an_assistant_reads_as_it_was_said() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("assistant");
    home.ok(&["chat", "assistant", "good day", "--session", "s"]);
    let shown = home.ok(&["conversation", "show", "s"]);
    has(&shown, &["request          good day\n"]);
    let listed = home.ok(&["message", "list", "--conversation", "s"]);
    has(&listed, &["good day"]);
    assert!(
        !format!("{shown}{listed}").contains("{\"ask\""),
        "{shown}{listed}"
    );
    let first = home.json(&["message", "list", "--conversation", "s"])["messages"][0].clone();
    let content = first["content"].as_str().unwrap();
    assert!(content.starts_with("{\"ask\":\"say\""), "{content}");
    let message = home.ok(&["message", "show", first["id"].as_str().unwrap()]);
    assert!(message.ends_with("\n\ngood day\n"), "{message}");
}

#[test]
fn sessions_are_listed_the_newest_first() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("assistant");
    for session in ["a", "c", "b", "a"] {
        home.ok(&["chat", "assistant", "good day", "--session", session]);
    }
    assert_eq!(home.ok(&["session", "list", "-o", "name"]), "a\nb\nc\n");
    let two = home.run(&["session", "list", "--limit", "2"]);
    has(&two.stdout, &["\na ", "\nb "]);
    assert!(!two.stdout.contains("\nc "), "{two:?}");
    has(&two.stderr, &["1 older ones; --limit shows more"]);
}

#[test]
fn one_function_is_shown_with_what_it_takes() {
    let home = Home::new();
    let _server = home.serve();
    let shown = home.ok(&["tool", "show", "files.write"]);
    has(
        &shown,
        &[
            "function  files.write\n",
            "effect    acts\n",
            "\narguments\n  path ",
        ],
    );
    assert!(!shown.contains("files.read"), "{shown}");
    let data = home.json(&["tool", "show", "files.write"]);
    assert_eq!(data["inputSchema"]["type"], "object");
    // One that has its tool's name is shown with it.
    has(
        &home.ok(&["tool", "show", "fetch"]),
        &["\narguments\n  url "],
    );
    for (name, hint) in [
        ("files.wriet", "did you mean `files.write`?"),
        ("fiels.write", "did you mean `files.write`?"),
    ] {
        let missing = home.run(&["tool", "show", name]);
        assert_eq!(missing.code, Some(3), "{missing:?}");
        has(&missing.stderr, &["CX-8001", hint]);
    }
}

#[test]
fn arguments_that_only_the_server_can_judge_are_wrong_usage() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("echo");
    for args in [
        &["agent", "list", "--state", "asleep"][..],
        &["agent", "logs", "echo", "--level", "loud"],
        &["request", "list", "--from", "yesterday"],
        &["audit", "list", "--until", "soon"],
        &[
            "message",
            "send",
            "--to",
            "echo",
            "--param",
            "colour=red",
            "x",
        ],
        &["key", "create", "k", "--scope", "agents:fly"],
        &["tenant", "create", "Acme"],
        &["tool", "policy", "set", "--deny", "no such"],
        &["limit", "set", "key", "0/s"],
    ] {
        let refused = home.run(args);
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
    }
    let nothing = home.pipe(&["message", "send", "--to", "echo", "-"], b"");
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    has(
        &String::from_utf8(nothing.stderr).unwrap(),
        &["standard input is empty", "leave the `-` out"],
    );
    let add = [
        "context",
        "add",
        "c",
        "--server",
        "http://127.0.0.1:1",
        "--key-stdin",
    ];
    let keyless = home.pipe(&add, b"\n");
    assert_eq!(keyless.status.code(), Some(2), "{keyless:?}");
}

#[test]
fn times_in_tables_say_how_long_ago_and_json_when() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("echo");
    for args in [&["agent", "list"][..], &["request", "list"]] {
        let table = home.ok(args);
        assert!(
            table.contains("just now") || table.contains(" ago"),
            "{table}"
        );
    }
    let requests = home.json(&["request", "list"]);
    let time = requests["requests"][0]["time"].as_str().unwrap();
    assert!(time.ends_with('Z'), "{time}");
}

#[test]
fn a_stopped_servers_backups_are_a_page_as_those_of_one_that_runs() {
    let home = Home::new();
    let server = home.serve();
    home.ok(&["backup", "create"]);
    assert_eq!(home.json(&["backup", "list"])["nextPageToken"], "");
    assert_eq!(server.terminate(), Some(0));
    let listed = home.json(&["backup", "list"]);
    assert_eq!(listed["nextPageToken"], "");
    assert_eq!(listed["backups"].as_array().map(Vec::len), Some(1));
}
