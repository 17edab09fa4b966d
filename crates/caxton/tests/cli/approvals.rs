//! Calls that a person must agree to: asked in the chat itself, at a terminal, and decided from outside.

use crate::support::{Home, Ran};
use crate::terminal::Terminal;
use serde_json::{Value, json};
use std::process::{Child, Stdio};

/// Writes the file it is told to, and says what came of it.
const SCRIPT: &str = r#"{
    "rules": [
        {"when": {"text": "write"}, "then": {"tool_calls": [
            {"name": "files_write", "arguments": {"path": "a.txt", "content": "kept"}}
        ]}}
    ],
    "answers": [{"text": "The tool said: {{tool_result}}"}]
}"#;

const MANIFEST: &str = "name = \"scribe\"\nversion = \"1.0.0\"\nbehavior = \"assistant\"\n\
    [assistant]\nmodel = \"scripted/says.json\"\n[tools]\nallow = [\"files\"]\nask = [\"files.write\"]\n";

fn scribe() -> Home {
    let home = Home::new();
    let folder = home.path().join("scribe");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("agent.toml"), MANIFEST).unwrap();
    std::fs::write(folder.join("says.json"), SCRIPT).unwrap();
    home
}

fn deploy(home: &Home) {
    let folder = home.path().join("scribe");
    home.ok(&["agent", "deploy", folder.to_str().unwrap()]);
    home.ok(&["session", "create", "scribe", "--id", "s-1"]);
}

fn files(home: &Home) -> String {
    home.ok(&["tool", "test", "files.list", "--session", "s-1"])
}

#[test]
fn a_chat_asks_in_its_place_and_what_is_answered_decides() {
    let home = scribe();
    let _server = home.serve();
    deploy(&home);
    let mut chat = Terminal::new(&home, &["chat", "scribe", "--session", "s-1"]);
    chat.shows("> ");

    // No: the call is not made, and the model is told.
    chat.types("write it\r");
    chat.shows("files.write");
    chat.shows("\"content\": \"kept\"");
    chat.shows("agree to this call? [y/n/later] ");
    chat.types("n\r");
    chat.shows("The tool said:");
    chat.shows("> ");
    assert_eq!(files(&home), "the workspace is empty\n");

    // Yes: exactly what was shown.
    chat.types("write it\r");
    chat.shows("agree to this call? [y/n/later] ");
    chat.types("y\r");
    chat.shows("The tool said: 4 bytes written to a.txt");
    chat.shows("> ");
    assert_eq!(files(&home), "a.txt (text/plain, 4 bytes)\n");

    // Later: it waits, and is decided from elsewhere while the chat goes on waiting.
    chat.types("write it\r");
    chat.shows("agree to this call? [y/n/later] ");
    chat.types("\r");
    chat.shows("caxton approval approve ");
    let waiting = home.ok(&["approval", "list", "-o", "name"]);
    home.ok(&["approval", "approve", waiting.trim_end(), "--yes"]);
    chat.shows("The tool said: 4 bytes written to a.txt");
    chat.shows("> ");
    chat.types("\x04");
    assert_eq!(chat.ends(), Some(0));
    let all = home.json(&["approval", "list", "--state", "any"]);
    let states: Vec<&str> = all["approvals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["denied", "approved", "approved"], "{all}");
}

/// One turn that is told to a pipe; it waits until somebody decides.
fn chat(home: &Home) -> Child {
    home.command(&["chat", "scribe", "write it", "--session", "s-1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What waits: one, as soon as the chat says so on standard error.
fn waits(home: &Home, chat: &mut Child) -> Value {
    use std::io::{BufRead as _, BufReader};
    let told = BufReader::new(chat.stderr.as_mut().unwrap());
    let mut lines = told.lines().map(Result::unwrap);
    assert!(
        lines.any(|line| line.contains("caxton approval approve ")),
        "the chat says how to agree"
    );
    let list = home.json(&["approval", "list"]);
    let [one] = list["approvals"].as_array().unwrap().as_slice() else {
        panic!("{list}");
    };
    one.clone()
}

fn ends(chat: Child) -> Ran {
    chat.wait_with_output().unwrap().into()
}

#[test]
fn what_waits_is_listed_shown_and_decided_from_another_shell() {
    let home = scribe();
    let _server = home.serve();
    deploy(&home);
    let nothing = home.run(&["approval", "list"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), ""));
    assert!(nothing.stderr.contains("nothing waits"), "{nothing:?}");

    let mut turn = chat(&home);
    let waiting = waits(&home, &mut turn);
    let id = waiting["id"].as_str().unwrap();
    assert_eq!(waiting["tool"], "files.write");
    assert_eq!(
        waiting["arguments"],
        json!({"path": "a.txt", "content": "kept"})
    );
    let shown = home.ok(&["approval", "show", id]);
    let digest = waiting["digest"].as_str().unwrap();
    assert!(
        shown.contains(digest) && shown.contains("\"content\": \"kept\""),
        "{shown}"
    );
    // Off a terminal nobody agrees by accident, and never to another call.
    let asked = home.run(&["approval", "approve", id]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let other = "0".repeat(64);
    let other = home.run(&["approval", "approve", id, "--digest", &other]);
    assert_ne!(other.code, Some(0), "{other:?}");
    assert!(other.stderr.contains("CX-8024"), "{}", other.stderr);
    assert_eq!(files(&home), "the workspace is empty\n");
    home.ok(&["approval", "approve", id, "--digest", digest]);
    let said = ends(turn);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.stdout, "The tool said: 4 bytes written to a.txt\n");
    // Decided once is decided.
    let again = home.run(&["approval", "deny", id]);
    assert_ne!(again.code, Some(0), "{again:?}");
    assert!(again.stderr.contains("CX-80"), "{}", again.stderr);

    let mut turn = chat(&home);
    let waiting = waits(&home, &mut turn);
    let id = waiting["id"].as_str().unwrap();
    let denied = home.json(&["approval", "deny", id, "--note", "not that file"]);
    assert_eq!(denied["state"], "denied");
    let said = ends(turn);
    assert!(said.stdout.contains("not that file"), "{said:?}");
    let nobody = home.run(&["approval", "show", "01a20235-9795-7fa5-a039-ae11a23a5587"]);
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
}

/// `approval approve` on a terminal shows the whole call, and only yes is yes.
#[test]
fn a_person_at_a_terminal_sees_the_call_and_is_asked() {
    let home = scribe();
    let _server = home.serve();
    deploy(&home);
    let mut turn = chat(&home);
    let id = waits(&home, &mut turn)["id"].as_str().unwrap().to_owned();
    let mut asked = Terminal::new(&home, &["approval", "approve", &id]);
    asked.shows("\"path\": \"a.txt\"");
    asked.shows("agree to this call? [y/N] ");
    asked.types("\r");
    asked.shows("nothing was decided");
    assert_eq!(asked.ends(), Some(1));
    let mut asked = Terminal::new(&home, &["approval", "approve", &id]);
    asked.shows("agree to this call? [y/N] ");
    asked.types("yes\r");
    asked.shows("approved files.write");
    assert_eq!(asked.ends(), Some(0));
    assert_eq!(ends(turn).code, Some(0));
    assert_eq!(files(&home), "a.txt (text/plain, 4 bytes)\n");
}

/// The server goes away while a person thinks; what they say to the next one counts.
#[test]
fn what_waits_outlives_the_server() {
    let home = scribe();
    let server = home.serve();
    deploy(&home);
    let mut turn = chat(&home);
    let waiting = waits(&home, &mut turn);
    let id = waiting["id"].as_str().unwrap();
    server.kill();
    turn.kill().unwrap();
    turn.wait().unwrap();
    let _server = home.serve();
    let again = home.json(&["approval", "show", id]);
    assert_eq!(
        (&again["state"], &again["digest"]),
        (&"pending".into(), &waiting["digest"])
    );
    home.ok(&["approval", "approve", id, "--yes"]);
    // The next turn of the session begins when this one is over.
    let said = home.ok(&["chat", "scribe", "and?", "--session", "s-1"]);
    assert!(said.starts_with("The tool said:"), "{said}");
    assert_eq!(files(&home), "a.txt (text/plain, 4 bytes)\n");
}
