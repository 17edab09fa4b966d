//! Talking with an assistant, as one does at a shell, and the conversation afterwards.

use crate::support::Home;
use serde_json::Value;

/// Answers each call alike, but one that is refused.
const SCRIPT: &str = r#"{
    "rules": [{"when": {"text": "refuse"}, "then": {"faults": [{"status": 400}]}}],
    "answers": [{"text": "As it is written.", "chunk_chars": 4}]
}"#;

#[test]
fn an_assistant_is_spoken_to_and_its_sessions_looked_after() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("assistant");
    let said = home.ok(&["chat", "assistant", "Good day"]);
    assert!(said.ends_with('\n') && said.trim().len() > 3, "{said:?}");
    let answer = home.json(&["chat", "assistant", "Good day", "--session", "mine"]);
    assert_eq!(answer["sessionId"], "mine");
    assert_eq!(answer["message"]["role"], "assistant");
    let first = answer["message"]["content"].as_str().unwrap();
    assert!(!first.is_empty());
    let piped = home.pipe(
        &["chat", "assistant", "--session", "mine", "-"],
        b"and\nagain\n",
    );
    assert!(
        piped.status.success() && !piped.stdout.is_empty(),
        "{piped:?}"
    );
    let said = home.json(&["session", "messages", "mine"]);
    let said: Vec<&Value> = said["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["content"])
        .collect();
    assert_eq!(said.len(), 4);
    assert_eq!(
        (said[0], said[2]),
        (&"Good day".into(), &"and\nagain".into())
    );
    assert_eq!(said[1], first);
    let reset = home.json(&["session", "reset", "mine"]);
    assert_eq!(
        (&reset["seenFrom"], &reset["turns"]),
        (&4.into(), &2.into())
    );
    assert_eq!(
        home.json(&["session", "list"])["sessions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let turn = answer["turnId"].as_str().unwrap();
    let turn = home.json(&["session", "turn", turn]);
    assert_eq!(
        (&turn["sessionId"], &turn["state"]),
        (&"mine".into(), &"completed".into())
    );
    let deny = ["session", "update", "mine", "--deny", "browser"];
    let changed = home.json(&[deny.as_slice(), &["--thinking", "low"]].concat());
    assert_eq!(
        (&changed["thinking"], &changed["tools"]["deny"][0]),
        (&"low".into(), &"browser".into())
    );
    let changed = home.json(&["session", "update", "mine", "--tools-as-assistant"]);
    assert!(
        changed["tools"]["deny"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );
    let files = home.run(&["session", "files", "mine"]);
    assert!(files.stderr.contains("no files"), "{files:?}");
    home.ok(&["session", "remove", "mine"]);
    assert_eq!(home.run(&["session", "show", "mine"]).code, Some(3));
    assert_eq!(home.run(&["chat", "nobody", "hi"]).code, Some(3));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_script_beside_the_manifest_says_what_is_answered() {
    let home = Home::new();
    let _server = home.serve();
    let folder = home.path().join("scripted");
    std::fs::create_dir(&folder).unwrap();
    let manifest = "name = \"scripted\"\nversion = \"1.0.0\"\nbehavior = \"assistant\"\n\
                    [assistant]\nmodel = \"scripted/says.json\"\n";
    std::fs::write(folder.join("agent.toml"), manifest).unwrap();
    std::fs::write(folder.join("says.json"), SCRIPT).unwrap();
    home.ok(&["agent", "deploy", folder.to_str().unwrap()]);
    assert_eq!(
        home.ok(&["chat", "scripted", "anything"]),
        "As it is written.\n"
    );
    let failed = home.run(&["chat", "scripted", "refuse"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("CX-7005"), "{}", failed.stderr);
}

#[test]
fn a_model_of_a_provider_that_is_not_there_is_told_at_once() {
    let home = Home::new();
    let _server = home.serve();
    let folder = home.path().join("lost");
    std::fs::create_dir(&folder).unwrap();
    let manifest =
        "name = \"lost\"\nbehavior = \"assistant\"\n[assistant]\nmodel = \"nope/nope\"\n";
    std::fs::write(folder.join("agent.toml"), manifest).unwrap();
    let deployed = home.run(&["agent", "deploy", folder.to_str().unwrap()]);
    assert_eq!(deployed.code, Some(0), "{deployed:?}");
    for part in ["provider `nope`", "caxton provider set nope", "CX-7002"] {
        assert!(deployed.stderr.contains(part), "{part}: {deployed:?}");
    }
    // Who asks it is told the cause and the cure.
    let asked = home.run(&["chat", "lost", "hello"]);
    assert_ne!(asked.code, Some(0));
    assert!(
        asked.stderr.contains("there is no provider nope"),
        "{asked:?}"
    );
    assert!(asked.stderr.contains("CX-7002"), "{asked:?}");
    // One that is there is nothing to warn of.
    std::fs::write(
        folder.join("agent.toml"),
        manifest.replace("nope/nope", "demo"),
    )
    .unwrap();
    let deployed = home.run(&["agent", "deploy", folder.to_str().unwrap()]);
    assert!(!deployed.stderr.contains("warning"), "{deployed:?}");
    home.ok(&["chat", "lost", "hello"]);
}
