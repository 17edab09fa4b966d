//! Tenants, keys and roles from the command line, over a real data folder.

use crate::support::{Home, examples};
use serde_json::Value;

/// The key of a tenant that was just made.
fn tenant(home: &Home, id: &str, more: &[&str]) -> String {
    home.ok(&[&["tenant", "create", id], more].concat());
    let key = home.ok(&["key", "create", "test", "--role", "admin", "--tenant", id]);
    key.trim_end().to_owned()
}

fn count(home: &Home, key: &str, performative: &str, text: &str) -> String {
    let args = [
        "message",
        "send",
        "--to",
        "counter",
        "--performative",
        performative,
    ];
    home.ok(&[&args[..], &["--wait", "30s", "--key", key, text]].concat())
}

#[test]
fn two_tenants_share_a_server_and_nothing_else() {
    let home = Home::new();
    let server = home.serve();
    let acme = tenant(&home, "acme", &[]);
    let other = tenant(&home, "other", &["--storage", "dedicated"]);
    let example = examples().join("counter");
    let example = example.to_str().unwrap();
    for (key, add) in [(&acme, "add 2"), (&other, "add 40")] {
        home.ok(&["agent", "deploy", example, "--key", key]);
        count(&home, key, "request", add);
    }
    assert_eq!(count(&home, &acme, "query-ref", "get"), "2\n");
    assert_eq!(count(&home, &other, "query-ref", "get"), "40\n");

    // Moved while it works, there and back; what it counted came along.
    for storage in ["dedicated", "shared"] {
        home.ok(&["tenant", "update", "acme", "--storage", storage]);
        assert_eq!(home.json(&["tenant", "show", "acme"])["storage"], storage);
        count(&home, &acme, "request", "add 1");
    }
    assert_eq!(count(&home, &acme, "query-ref", "get"), "4\n");

    home.ok(&["tenant", "suspend", "other"]);
    let refused = home.run(&["agent", "list", "--key", &other]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("CX-4012"), "{}", refused.stderr);
    assert_eq!(server.terminate(), Some(0));

    // All of it outlives the server: keys, counts, and who is suspended.
    let server = home.serve();
    assert_eq!(count(&home, &acme, "query-ref", "get"), "4\n");
    assert_eq!(home.run(&["agent", "list", "--key", &other]).code, Some(4));
    home.ok(&["tenant", "resume", "other"]);
    assert_eq!(count(&home, &other, "query-ref", "get"), "40\n");

    home.ok(&["tenant", "remove", "other"]);
    assert!(!home.data().join("tenants/other.db").exists());
    let refused = home.run(&["agent", "list", "--key", &other]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let again = home.run(&["tenant", "create", "other"]);
    assert!(again.stderr.contains("CX-4011"), "{}", again.stderr);
    assert_eq!(
        home.ok(&["tenant", "list", "-o", "name"]),
        "acme\ndefault\n"
    );
    assert_eq!(home.run(&["tenant", "show", "other"]).code, Some(3));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_key_from_making_to_revoking() {
    let home = Home::new();
    let _server = home.serve();
    let made = home.run(&[
        "key",
        "create",
        "ci",
        "--scope",
        "agents:read",
        "--expires-in",
        "90d",
    ]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let key = made.stdout.trim_end();
    assert!(key.starts_with("cx_key_"), "{key}");
    assert!(made.stderr.contains("not shown again"), "{}", made.stderr);
    assert_eq!(home.run(&["agent", "list", "--key", key]).code, Some(0));
    assert_eq!(home.run(&["message", "list", "--key", key]).code, Some(4));
    let listed = home.json(&["key", "list"]);
    let id = listed["keys"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        listed["keys"][0]["permissions"],
        serde_json::json!(["agents:read"])
    );
    assert!(!listed.to_string().contains(key.rsplit('_').next().unwrap()));
    let rotated = home.json(&["key", "rotate", &id, "--overlap", "1h"]);
    let newer = rotated["secret"].as_str().unwrap();
    for key in [key, newer] {
        assert_eq!(home.run(&["agent", "list", "--key", key]).code, Some(0));
    }
    // A whole key where its id is asked for is not sent.
    home.ok(&["key", "revoke", newer]);
    let requests = home.ok(&["request", "list", "-o", "json"]);
    assert!(requests.contains(&format!("/v1/keys/{id}")) && !requests.contains("cx_key_"));
    for key in [key, newer] {
        assert_eq!(home.run(&["agent", "list", "--key", key]).code, Some(4));
    }
    assert_eq!(home.run(&["key", "show", &id]).code, Some(3));
    let wrong = home.run(&["key", "create", "x", "--expires-in", "soon"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn roles_are_given_listed_and_taken() {
    let home = Home::new();
    let _server = home.serve();
    let subject = "user:https://id.example/realms/a|jo";
    home.ok(&["role", "assign", subject, "viewer"]);
    home.ok(&["role", "assign", subject, "operator"]);
    let shown: Value = home.json(&["role", "show", subject]);
    assert_eq!(
        (&shown["id"], &shown["role"]),
        (&subject.into(), &"operator".into())
    );
    assert_eq!(
        home.ok(&["role", "list", "-o", "name"]),
        format!("{subject}\n")
    );
    home.ok(&["role", "remove", subject]);
    assert_eq!(home.run(&["role", "show", subject]).code, Some(3));
    let permitted = home.ok(&["role", "permissions"]);
    assert!(permitted.contains("viewer"), "{permitted}");
}
