//! Agents and messages, as one works with them.

use crate::support::{Home, examples};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

#[test]
fn an_agent_is_deployed_spoken_to_and_removed() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("echo");
    assert_eq!(home.ok(&["agent", "list", "-o", "name"]), "echo\n");
    assert_eq!(home.ask("echo", "request", "hello"), "hello\n");
    assert_eq!(home.ask("echo", "request", "two\nlines"), "two\nlines\n");
    let bytes = home.pipe(
        &["message", "send", "--to", "echo", "--wait", "30s", "-"],
        b"a\xffb\0",
    );
    assert_eq!(bytes.stdout, b"a\xffb\0");
    let shown = home.json(&["agent", "show", "echo"]);
    assert_eq!(
        (shown["state"].as_str(), shown["version"].as_str()),
        (Some("running"), Some("1.0.0"))
    );
    assert_eq!(shown["stats"]["messagesHandled"], "3");
    home.ok(&["agent", "stop", "echo"]);
    let refused = home.run(&["message", "send", "--to", "echo", "hello"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("error[CX-3002]"),
        "{}",
        refused.stderr
    );
    home.ok(&["agent", "start", "echo"]);
    assert_eq!(home.ask("echo", "request", "again"), "again\n");
    home.ok(&["agent", "drain", "echo"]);
    assert_eq!(home.json(&["agent", "show", "echo"])["state"], "stopped");
    home.ok(&["agent", "remove", "echo"]);
    assert_eq!(home.ok(&["agent", "list", "-o", "name"]), "");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn deploying_again_is_a_new_version_and_flags_change_a_manifest() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("counter");
    assert_eq!(home.ask("counter", "request", "add 5"), "5\n");
    let path = examples().join("counter");
    let path = path.to_str().unwrap();
    home.ok(&["agent", "deploy", path, "--agent-version", "1.1.0"]);
    assert_eq!(home.json(&["agent", "show", "counter"])["version"], "1.1.0");
    assert_eq!(home.ask("counter", "query-ref", "get"), "5\n");
    let component = format!("{path}/counter.wasm");
    let flags = [
        "--name",
        "tally",
        "--no-start",
        "--set",
        "delivery.attempts_max=2",
    ];
    let args: Vec<&str> = ["agent", "deploy", &component]
        .into_iter()
        .chain(flags)
        .collect();
    home.ok(&args);
    let tally = home.json(&["agent", "show", "tally"]);
    assert_eq!(tally["state"], "loaded");
    assert_eq!(tally["delivery"]["attemptsMax"], 2);
}

#[test]
fn a_negotiation_reads_as_a_tree_and_as_a_sequence() {
    let home = Home::new();
    let _server = home.serve();
    for agent in ["seller-a", "seller-b", "seller-c", "buyer"] {
        home.deploy(&format!("market/{agent}"));
    }
    let bought = home.ask("buyer", "request", "buy 10 widgets");
    assert!(
        bought.starts_with("bought 10 widgets for 110 from seller-c"),
        "{bought}"
    );
    let conversations = home.json(&["conversation", "list"]);
    let id = conversations["conversations"][0]["id"].as_str().unwrap();
    let sequence = home.ok(&["conversation", "show", id]);
    for act in [
        "cfp",
        "propose",
        "refuse",
        "accept-proposal",
        "reject-proposal",
        "inform",
    ] {
        assert!(sequence.contains(act), "{act}\n{sequence}");
    }
    let shown = home.json(&["conversation", "show", id]);
    let call = shown["messages"][0]["id"].as_str().unwrap();
    let trace = home.ok(&["message", "trace", call]);
    assert!(
        trace.contains("admin → buyer  request  buy 10 widgets"),
        "{trace}"
    );
    assert!(trace.contains("├─ buyer → seller-a  cfp"), "{trace}");
    let listed = home.json(&["message", "list", "--conversation", id, "--limit", "4"]);
    assert_eq!(listed["messages"].as_array().map(Vec::len), Some(4));
    let message = home.json(&["message", "show", call]);
    assert_eq!(message["performative"], "cfp");
    assert_eq!(message["protocol"], "fipa-contract-net");
    assert!(home.ok(&["agent", "logs", "buyer"]).contains("ended"));
}

#[test]
fn what_cannot_be_handled_is_a_dead_letter_to_see_resend_and_remove() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("misbehave");
    // The server tells the sender when it gives a message up.
    let failed = home.run(&[
        "message",
        "send",
        "--to",
        "misbehave",
        "--wait",
        "60s",
        "trap",
    ]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("failure from"), "{failed:?}");
    let letters = home.json(&["dead-letter", "list"]);
    let letter = &letters["deadLetters"][0];
    assert_eq!(
        (letter["code"].as_str(), letter["attempts"].as_u64()),
        (Some("CX-3021"), Some(3))
    );
    let id = letter["id"].as_str().unwrap();
    assert!(home.ok(&["dead-letter", "show", id]).contains("trap"));
    assert!(!home.ok(&["dead-letter", "resend", id]).is_empty());
    let gone = home.run(&["dead-letter", "show", id]);
    assert_eq!(gone.code, Some(3), "{gone:?}");
    let missing = home.run(&["dead-letter", "remove", id]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
    // Its neighbours never noticed.
    home.deploy("echo");
    assert_eq!(home.ask("echo", "request", "well"), "well\n");
}

#[test]
fn messages_are_seen_as_they_pass() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("echo");
    let mut watch = home
        .command(&["message", "watch", "--agent", "echo", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notes = BufReader::new(watch.stderr.take().unwrap());
    let mut note = String::new();
    // Written once the stream is open: what is sent after it is seen.
    notes.read_line(&mut note).unwrap();
    home.ask("echo", "request", "seen");
    let mut line = String::new();
    BufReader::new(watch.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    watch.kill().unwrap();
    watch.wait().unwrap();
    let message: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (
            message["performative"].as_str(),
            message["content"].as_str()
        ),
        (Some("request"), Some("seen"))
    );
}

#[test]
fn what_an_agent_takes_of_the_machine_is_seen() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("echo");
    home.ask("echo", "request", "hello");
    let stats = || home.json(&["agent", "show", "echo"])["stats"].take();
    let number = |value: &serde_json::Value| -> u64 {
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| value.to_string()).parse().unwrap()
    };
    let first = stats();
    let (fuel, memory) = (
        number(&first["fuelUsed"]),
        number(&first["memoryBytesMost"]),
    );
    assert!(fuel > 100, "{first}");
    assert!((64 << 10..64 << 20).contains(&memory), "{first}");
    home.ask("echo", "request", "hello again");
    let second = stats();
    assert!(number(&second["fuelUsed"]) > fuel, "{second}");
    assert_eq!(
        number(&second["memoryBytesMost"]),
        memory,
        "the same instance, no more"
    );
    let table = home.ok(&["agent", "show", "echo"]);
    assert!(
        table.contains("KiB at most") || table.contains("MiB at most"),
        "{table}"
    );
    drop(server);
}
