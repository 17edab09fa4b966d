//! Limits and quotas from the command line, and what they do.

use crate::support::Home;
use serde_json::json;

#[test]
fn a_limit_is_set_felt_and_cleared() {
    let home = Home::new();
    let _server = home.serve();
    home.ok(&["tenant", "create", "acme"]);
    let key = home.ok(&["key", "create", "k", "--role", "viewer", "--tenant", "acme"]);
    let list = || home.run(&["agent", "list", "--key", key.trim()]).code;
    assert_eq!(home.ok(&["limit", "list"]), "", "nothing is set");
    home.ok(&["limit", "set", "key", "2/h", "acme"]);
    assert_eq!([list(), list(), list()], [Some(0), Some(0), Some(4)]);
    let set = home.json(&[
        "limit",
        "set",
        "ListAgents",
        "100/min",
        "acme",
        "--burst",
        "7",
    ]);
    assert_eq!(
        set["operations"]["caxton.v1.CaxtonManagement/ListAgents"],
        json!({"count": "100", "seconds": "60", "burst": "7"})
    );
    assert_eq!(set["key"]["count"], "2", "what was set stays");
    assert_eq!(
        home.ok(&["limit", "list", "acme", "-o", "name"]),
        "key\ncaxton.v1.CaxtonManagement/ListAgents\n"
    );
    home.ok(&["limit", "clear", "key", "acme"]);
    assert_eq!(list(), Some(0));
    home.ok(&["limit", "clear", "all", "acme"]);
    assert_eq!(home.ok(&["limit", "list", "acme"]), "");

    // What the compatible doors do has names too.
    home.ok(&["limit", "set", "CreateChatCompletion", "9/s", "acme"]);
    let listed = home.ok(&["limit", "list", "acme"]);
    assert!(
        listed.contains("openai.v1/CreateChatCompletion"),
        "{listed}"
    );
    home.ok(&["limit", "clear", "all", "acme"]);

    // Of every tenant.
    home.ok(&["limit", "set", "tenant", "1/day"]);
    assert_eq!([list(), list()], [Some(0), Some(4)]);
    home.ok(&["limit", "clear", "tenant"]);

    for (args, part) in [
        (
            &["limit", "set", "ListAgent", "1/s"][..],
            "did you mean `ListAgents`?",
        ),
        (&["limit", "set", "key", "1/week"], "such as 100/s"),
        (&["limit", "set", "key", "0/s"], "CX-4032"),
        (&["limit", "list", "nobody"], "CX-4010"),
    ] {
        let refused = home.run(args);
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    // A tenant's key sees its own and sets nothing.
    let key = key.trim();
    home.ok(&["limit", "list", "acme", "--key", key]);
    let refused = home.run(&["limit", "set", "key", "9/s", "acme", "--key", key]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
}

#[test]
fn a_quota_is_set_and_shown() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("echo");
    home.ok(&["quota", "set", "--messages", "1/day", "--tokens", "9"]);
    let shown = home.json(&["quota", "show"]);
    assert_eq!(
        shown,
        json!({
            "messages": {"limit": "1", "period": "day", "overage": "refuse"},
            "tokens": {"limit": "9", "period": "month", "overage": "refuse"},
        })
    );
    let send = || home.run(&["message", "send", "--to", "echo", "x"]).code;
    assert_eq!([send(), send()], [Some(0), Some(4)]);
    home.ok(&["quota", "set", "--messages", "none"]);
    assert_eq!(send(), Some(0));
    let shown = home.json(&["quota", "show", "default"]);
    assert_eq!(
        (&shown["messages"], &shown["tokens"]["limit"]),
        (&json!(null), &json!("9"))
    );
    assert_eq!(home.run(&["quota", "set"]).code, Some(2), "nothing to set");
    assert_eq!(home.run(&["quota", "show", "nobody"]).code, Some(3));
}
