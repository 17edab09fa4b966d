//! Every command that lists says the same in every format.

use crate::support::Home;
use serde_json::Value;

/// Each way to ask for a list, and whether there is something in it on a server with an agent and a key.
const LISTS: &[(&[&str], bool)] = &[
    (&["agent", "list"], true),
    (&["approval", "list"], false),
    (&["audit", "list"], true),
    (&["backup", "list"], true),
    (&["conversation", "list"], true),
    (&["dead-letter", "list"], false),
    (&["job", "list"], false),
    (&["key", "list"], true),
    (&["message", "list"], true),
    (&["model-call", "list"], false),
    (&["provider", "list"], true),
    (&["request", "list"], true),
    (&["role", "list"], false),
    (&["session", "list"], false),
    (&["tenant", "list"], true),
    (&["tool", "calls"], false),
    (&["tool", "list"], true),
];

/// The one list in an answer; what lies beside it are pages and counts.
fn items(answer: &Value) -> &[Value] {
    let lists = answer.as_object().unwrap().values();
    let mut lists = lists.filter_map(Value::as_array);
    let found = lists.next().map(Vec::as_slice).unwrap_or_default();
    assert!(lists.next().is_none(), "{answer}");
    found
}

#[test]
fn every_list_is_the_same_in_every_format() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("counter");
    let said = [
        "message",
        "send",
        "--to",
        "counter",
        "--conversation",
        "sums",
    ];
    home.ok(&[said.as_slice(), &["--wait", "20s", "add 1"]].concat());
    home.ok(&["key", "create", "robot", "--role", "viewer"]);
    home.ok(&["backup", "create"]);
    for (command, filled) in LISTS {
        let name = command.join(" ");
        let told = |format: &str| home.ok(&[command, ["-o", format].as_slice()].concat());
        let json: Value = serde_json::from_str(&told("json")).unwrap();
        let yaml: Value = serde_yaml_ng::from_str(&told("yaml")).unwrap();
        assert_eq!(!items(&json).is_empty(), *filled, "{name}: {json}");
        let keys = |answer: &Value| -> Vec<String> {
            let fields = items(answer).first().and_then(Value::as_object);
            fields
                .into_iter()
                .flat_map(|it| it.keys().cloned())
                .collect()
        };
        assert_eq!(keys(&json), keys(&yaml), "{name}");
        let names = told("name");
        assert_eq!(!names.is_empty(), *filled, "{name}: {names}");
        let table = home.run(command);
        assert_eq!(table.code, Some(0), "{name}: {table:?}");
        let head = table.stdout.lines().next().unwrap_or_default();
        assert_eq!(
            head.chars().any(char::is_uppercase) && !head.chars().any(char::is_lowercase),
            *filled,
            "{name}: {table:?}"
        );
        // An empty list says what would fill it, beside the answer and not in it.
        assert_eq!(table.stdout.is_empty(), !*filled, "{name}: {table:?}");
        assert!(*filled || !table.stderr.is_empty(), "{name}: {table:?}");
    }
}
