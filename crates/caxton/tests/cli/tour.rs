//! `caxton try`.

use crate::support::Home;
use serde_json::Value;

/// The acts of the negotiation, as FIPA writes them.
const ACTS: [&str; 7] = [
    "request",
    "cfp",
    "propose",
    "refuse",
    "accept-proposal",
    "reject-proposal",
    "inform",
];

#[test]
fn the_tour_shows_agents_that_talk_and_leaves_nothing_behind() {
    let home = Home::new();
    let ran = home.run(&["try"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for act in ACTS {
        assert!(ran.stdout.contains(act), "{act}\n{}", ran.stdout);
    }
    assert!(
        ran.stdout
            .contains("bought 10 widgets for 110 from seller-c"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("http://127.0.0.1:"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\x1b'), "colour off a terminal");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_tour_is_one_document_for_programs() {
    let home = Home::new();
    let tour = home.json(&["try"]);
    let messages = tour["negotiation"]["messages"].as_array().unwrap();
    let count = |act: &str| {
        messages
            .iter()
            .filter(|message| message["performative"] == *act)
            .count()
    };
    // One question, three calls, two offers, one refusal; one wins, one loses; sold and bought.
    let counts: Vec<usize> = ACTS.iter().map(|act| count(act)).collect();
    assert_eq!(counts, [1, 3, 2, 1, 1, 1, 2], "{messages:#?}");
    assert_eq!(tour["counter"]["beforeRestart"], "42");
    assert_eq!(tour["counter"]["afterRestart"], "42");
    assert_eq!(tour["agents"].as_array().map(Vec::len), Some(6));
    assert_eq!(tour["echo"], Value::from("hello"));
    assert_eq!(tour["assistant"]["model"], "demo");
    let calls = tour["tools"]["calls"].as_array().unwrap();
    let kinds: Vec<&str> = calls
        .iter()
        .map(|call| call["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["wasm", "mcp"]);
    assert_eq!(calls[0]["traceId"], calls[1]["traceId"]);
    let results = &tour["tools"]["results"];
    let counted = results[0].as_str().unwrap();
    assert!(counted.starts_with("12 words"), "{counted}");
    assert!(results[1].as_str().unwrap().contains("seller-c"));
    let recalled = tour["assistant"]["afterRestart"].as_str().unwrap();
    assert!(recalled.contains("Ada"), "{recalled}");
}
