//! Contexts: which server a command speaks to, and who may see the key.

use crate::support::Home;
use std::os::unix::fs::PermissionsExt as _;

fn key(server: &crate::support::Server) -> String {
    server.ready["newKey"].as_str().unwrap().to_owned()
}

#[test]
fn commands_use_the_context_in_use() {
    let (here, there, user) = (Home::new(), Home::new(), Home::new());
    let (near, far) = (here.serve(), there.serve());
    here.deploy("echo");
    there.deploy("counter");
    let agents = |args: &[&str]| user.ok(&[args, &["agent", "list", "-o", "name"]].concat());
    for (name, server) in [("near", &near), ("far", &far)] {
        let (url, key) = (server.url(), &key(server));
        user.ok(&["context", "add", name, "--server", url, "--key", key]);
    }
    // Added is not used.
    assert_eq!(user.run(&["agent", "list"]).code, Some(5));
    user.ok(&["context", "use", "near"]);
    assert_eq!(agents(&[]), "echo\n");
    assert_eq!(agents(&["--context", "far"]), "counter\n");
    user.ok(&["context", "use", "far"]);
    assert_eq!(agents(&[]), "counter\n");

    // Flags and the environment come first, and the context's key stays with its own server.
    let (url, key) = (near.url(), &key(&near));
    assert_eq!(agents(&["--server", url, "--key", key]), "echo\n");
    let keyless = user.run(&["--server", url, "agent", "list"]);
    assert_eq!(keyless.code, Some(4), "{keyless:?}");
    let mut command = user.command(&["agent", "list", "-o", "name"]);
    command.env("CAXTON_SERVER", url).env("CAXTON_API_KEY", key);
    assert_eq!(command.output().unwrap().stdout, b"echo\n");
    let mut command = user.command(&["agent", "list", "-o", "name"]);
    command.env("CAXTON_CONTEXT", "near");
    assert_eq!(command.output().unwrap().stdout, b"echo\n");
    let both = user.run(&["--context", "far", "--server", url, "agent", "list"]);
    assert_eq!(both.code, Some(2), "{both:?}");
    // A data folder that is named is a server that is named.
    let data = here.data();
    assert_eq!(agents(&["--data", data.to_str().unwrap()]), "echo\n");

    user.ok(&["context", "use"]);
    assert_eq!(user.run(&["agent", "list"]).code, Some(5));
}

#[test]
fn contexts_are_kept_privately_and_listed_without_their_secrets() {
    let home = Home::new();
    let secret = "1234567890123456789012345678901234567890123";
    let text = format!("cx_key_12345678901_{secret}");
    let add = [
        "context",
        "add",
        "prod",
        "--server",
        "http://127.0.0.1:1",
        "--tenant",
        "acme",
    ];
    let added = home.pipe(
        &[&add[..], &["--key-stdin", "--use"]].concat(),
        text.as_bytes(),
    );
    assert!(added.status.success(), "{added:?}");
    let file = home.path().join(".config/caxton/contexts.toml");
    assert!(std::fs::read_to_string(&file).unwrap().contains(secret));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&file) & 0o777, 0o600);
    assert_eq!(mode(file.parent().unwrap()) & 0o777, 0o700);
    for format in ["table", "json", "yaml", "name"] {
        let listed = home.ok(&["context", "list", "-o", format]);
        assert!(
            listed.contains("prod") && !listed.contains(secret),
            "{listed}"
        );
    }
    let listed = &home.json(&["context", "list"])["contexts"][0];
    let wanted = serde_json::json!({
        "name": "prod", "current": true, "server": "http://127.0.0.1:1",
        "key": "cx_key_12345678901", "tenant": "acme",
    });
    assert_eq!(*listed, wanted);

    // One that others may read is not used.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = home.run(&["agent", "list"]);
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();

    for (args, hint) in [
        (["context", "use", "prdo"], "did you mean `prod`?"),
        (["context", "remove", "x"], "caxton context list"),
    ] {
        let missing = home.run(&args);
        assert_eq!(missing.code, Some(3), "{missing:?}");
        assert!(missing.stderr.contains(hint), "{}", missing.stderr);
    }
    let nameless = home.run(&["context", "add", "a b", "--server", "http://127.0.0.1:1"]);
    assert_eq!(nameless.code, Some(2), "{nameless:?}");
    assert_eq!(
        home.run(&["context", "add", "x"]).code,
        Some(2),
        "no server"
    );
    home.ok(&["context", "remove", "prod"]);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(secret));
    // Without the one in use commands look where they always did.
    assert_eq!(home.run(&["agent", "list"]).code, Some(5));
}
