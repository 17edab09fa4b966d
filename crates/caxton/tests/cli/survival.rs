//! What outlives a stop, a crash and a second server.

use crate::support::{Home, Server};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn the_first_start_makes_a_key_that_is_shown_once_and_kept_privately() {
    let home = Home::new();
    let server = home.serve();
    let shown = server.ready["newKey"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("cx_adm_"), "{shown}");
    let file = home.data().join("admin.key");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert_eq!(kept.trim(), shown);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(server.terminate(), Some(0));
    let server = home.serve();
    assert!(server.ready["newKey"].is_null());
    // The same key, given by hand from elsewhere.
    let other = Home::new();
    let url = server.url();
    other.ok(&["--server", url, "--key", &shown, "server", "status"]);
    let log = std::fs::read_to_string(&server.log).unwrap();
    assert!(!log.contains(&shown), "the key is in the log");
}

#[test]
fn agents_and_their_state_are_back_after_a_stop() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("counter");
    home.deploy("echo");
    home.ok(&["agent", "stop", "echo"]);
    assert_eq!(home.ask("counter", "request", "add 20"), "20\n");
    assert_eq!(server.terminate(), Some(0));
    assert!(!home.data().join("server.json").exists());
    let _server = home.serve();
    assert_eq!(home.ask("counter", "request", "add 22"), "42\n");
    let agents = home.json(&["agent", "list"]);
    let states: Vec<&str> = agents["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["running", "stopped"]);
}

#[test]
fn an_acknowledged_message_survives_a_crash_and_counts_once() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("counter");
    assert_eq!(home.ask("counter", "request", "add 1"), "1\n");
    // Acknowledged, and most likely not handled when the server dies.
    for _ in 0..5 {
        home.ok(&["message", "send", "--to", "counter", "add 10"]);
    }
    server.kill();
    let unreachable = home.run(&["agent", "list"]);
    assert_eq!(unreachable.code, Some(5), "{unreachable:?}");
    assert!(
        unreachable.stderr.contains("is gone"),
        "{}",
        unreachable.stderr
    );
    // The lock died with its process. What waits in the mailbox comes before the question.
    let _server = home.serve();
    assert_eq!(home.ask("counter", "query-ref", "get"), "51\n");
}

#[test]
fn a_second_server_on_the_folder_is_refused() {
    let home = Home::new();
    let server = home.serve();
    let second = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(
        second.stderr.contains("error[CX-5007]"),
        "{}",
        second.stderr
    );
    assert!(
        second.stderr.contains(&server.id().to_string()),
        "{}",
        second.stderr
    );
    // The first is as well as before.
    home.ok(&["server", "status"]);
}

#[test]
fn a_stop_lets_what_is_on_its_way_finish() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("counter");
    for _ in 0..20 {
        home.ok(&["message", "send", "--to", "counter", "add 1"]);
    }
    assert_eq!(server.terminate(), Some(0));
    let _server = home.serve();
    assert_eq!(home.ask("counter", "query-ref", "get"), "20\n");
    // They were handled before the stop and not after the start.
    let handled = home.json(&["agent", "show", "counter"])["stats"]["messagesHandled"].clone();
    assert_eq!(handled, "1");
}

#[test]
fn a_creation_is_not_repeated_after_a_crash() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("counter");
    let first = add_one(&home, &server);
    assert_eq!(first.0, 202, "{first:?}");
    server.kill();
    let server = home.serve();
    assert_eq!(add_one(&home, &server), first);
    assert_eq!(home.ask("counter", "query-ref", "get"), "1\n");
}

/// Sends `add 1` with an idempotency key: the status and the body of the answer.
fn add_one(home: &Home, server: &Server) -> (u16, String) {
    let address = server.url().strip_prefix("http://").unwrap();
    let key = std::fs::read_to_string(home.data().join("admin.key")).unwrap();
    let body = r#"{"performative":"request","receiver":[{"name":"counter"}],"content":"add 1"}"#;
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         x-api-key: {}\r\nidempotency-key: order-7\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        key.trim(),
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

/// Says a few words of a tale, and nothing more.
const HANGS: &str = r#"{"rules": [{"when": {"text": "again"}, "then": {"text": "I am back."}}], "answers": [{
    "text": "Once upon a time there was a server.", "chunk_chars": 5,
    "faults": [{"kind": "hang", "after_chunks": 3}]
}]}"#;

#[test]
fn a_kill_amid_an_answer_ends_the_turn_honestly_and_is_in_the_books_once() {
    let home = Home::new();
    let server = home.serve();
    let folder = home.path().join("teller");
    std::fs::create_dir(&folder).unwrap();
    let manifest = "name = \"teller\"\nbehavior = \"assistant\"\n\
                    [assistant]\nmodel = \"scripted/tale.json\"\n";
    std::fs::write(folder.join("agent.toml"), manifest).unwrap();
    std::fs::write(folder.join("tale.json"), HANGS).unwrap();
    home.ok(&["agent", "deploy", folder.to_str().unwrap()]);
    let mut chat = home
        .command(&["chat", "teller", "a tale", "--session", "s"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // What is heard is on its way out of the server, which then dies.
    let mut heard = [0; 4];
    chat.stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut heard)
        .unwrap();
    assert_eq!(&heard, b"Once");
    server.kill();
    let _ = chat.kill();
    chat.wait().unwrap();
    let _server = home.serve();
    // The lane is free again once the turn that was cut off has ended.
    let said = home.ok(&["chat", "teller", "again", "--session", "s"]);
    assert_eq!(said, "I am back.\n");
    let said = home.json(&["session", "messages", "s"]);
    let said = said["messages"].as_array().unwrap();
    assert_eq!(said[0]["content"], "a tale");
    let first = &said[0]["turnId"];
    let of_first = said.iter().filter(|it| it["turnId"] == *first);
    for entry in of_first {
        assert_eq!(entry["broken"], true, "{said:?}");
        // What was heard in its last second may not be written down; nothing else is made of it.
        let told = entry["content"].as_str().unwrap().trim_end();
        assert!(told == "a tale" || "Once upon a time".starts_with(told));
    }
    let calls = home.json(&["model-call", "list"]);
    let calls = calls["modelCalls"].as_array().unwrap();
    let of_first: Vec<_> = calls
        .iter()
        .filter(|call| call["turnId"] == *first)
        .collect();
    assert_eq!(of_first.len(), 1, "{calls:?}");
    assert_eq!(of_first[0]["outcome"], "interrupted");
    assert_eq!(of_first[0]["usage"]["estimated"], true, "{of_first:?}");
}
