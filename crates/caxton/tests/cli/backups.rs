//! Backups: taken from a running server, verified, restored into a stopped one's folder.

use crate::support::Home;
use std::path::PathBuf;

#[test]
fn a_restored_backup_is_the_moment_it_was_taken() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("counter");
    home.ask("counter", "request", "add 5");
    let backup = home.json(&["backup", "create"]);
    let id = backup["id"].as_str().unwrap();
    assert_eq!(
        home.ok(&["backup", "list", "-o", "name"]),
        format!("{id}\n")
    );
    let shown = home.json(&["backup", "show", id]);
    assert_eq!(shown, backup);
    home.ok(&["backup", "verify", id]);
    assert_eq!(home.ask("counter", "request", "add 100"), "105\n");
    let refused = home.run(&["backup", "restore", id]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("error[CX-5007]"),
        "{}",
        refused.stderr
    );
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(
        home.ok(&["backup", "list", "-o", "name"]),
        format!("{id}\n")
    );
    let restored = home.json(&["backup", "restore", id]);
    let replaced = PathBuf::from(restored["replaced"].as_str().unwrap());
    assert!(replaced.join("caxton.db").is_file());
    let server = home.serve();
    assert!(
        server.ready["newKey"].is_null(),
        "the key is not part of the data"
    );
    assert_eq!(home.ask("counter", "query-ref", "get"), "5\n");
}

#[test]
fn a_damaged_backup_is_named_and_not_restored() {
    let home = Home::new();
    let server = home.serve();
    home.deploy("counter");
    home.ask("counter", "request", "add 5");
    let backup = home.json(&["backup", "create"]);
    let id = backup["id"].as_str().unwrap();
    let file = PathBuf::from(backup["path"].as_str().unwrap()).join("caxton.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(server.terminate(), Some(0));
    for command in ["verify", "restore"] {
        let ran = home.run(&["backup", command, id]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("error[CX-5011]"), "{}", ran.stderr);
        assert!(ran.stderr.contains("caxton.db"), "{}", ran.stderr);
    }
    let missing = home.run(&["backup", "verify", "nothing"]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
    // What was there is untouched.
    let _server = home.serve();
    assert_eq!(home.ask("counter", "query-ref", "get"), "5\n");
}
