//! TLS, as an operator has it: a development authority, the commands that find it, and files that
//! are read again at SIGHUP.

use crate::support::{Home, Server};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

fn ca(server: &Server) -> &str {
    server.ready["devCa"].as_str().unwrap()
}

#[test]
fn a_development_authority_is_made_once_and_found_by_the_commands() {
    let home = Home::new();
    let server = home.serve_with(&["--tls-dev"]);
    assert!(server.url().starts_with("https://127.0.0.1:"));
    let first = std::fs::read(ca(&server)).unwrap();
    assert_eq!(home.json(&["server", "status"])["state"], "ready");
    // The same server by its address, and the key of its folder with it.
    let named = ["server", "status", "--server", server.url()];
    assert_eq!(home.json(&named)["state"], "ready");
    assert_eq!(server.terminate(), Some(0));

    let server = home.serve_with(&["--tls-dev"]);
    assert_eq!(std::fs::read(ca(&server)).unwrap(), first);
    // Elsewhere nothing is believed that nobody named.
    let elsewhere = Home::new();
    let key = std::fs::read_to_string(home.data().join("admin.key")).unwrap();
    let ask = |more: &[&str]| {
        let mut args = vec![
            "server",
            "status",
            "--server",
            server.url(),
            "--key",
            key.trim(),
        ];
        args.extend(more);
        elsewhere.run(&args)
    };
    let refused = ask(&[]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("certificate"), "{refused:?}");
    let believed = ask(&["--ca", ca(&server)]);
    assert_eq!(believed.code, Some(0), "{believed:?}");
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = std::fs::metadata(home.data().join(name)).unwrap();
        file.permissions().mode() & 0o777
    };
    assert_eq!(
        (mode("tls"), mode("tls/ca.key"), mode("tls/server.key")),
        (0o700, 0o600, 0o600)
    );
}

#[test]
fn hangup_reads_the_files_again() {
    let home = Home::new();
    // Certificates to serve from files: those of two development servers.
    let files = |name: &str| {
        let other = Home::new();
        let server = other.serve_with(&["--tls-dev"]);
        let text =
            |file: &str| std::fs::read_to_string(other.data().join("tls").join(file)).unwrap();
        let found = (text("server.pem"), text("server.key"), text("ca.pem"));
        assert_eq!(server.terminate(), Some(0), "{name}");
        found
    };
    let ((cert, key, _), (new_cert, new_key, new_ca)) = (files("first"), files("second"));
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let toml = format!(
        "[tls]\ncert = \"{}\"\nkey = \"{}\"\nreload_interval_ms = 86400000\n",
        write("cert.pem", &cert),
        write("key.pem", &key),
    );
    let config = write("caxton.toml", &toml);
    let server = home.serve_with(&["--config", &config]);
    let new_ca = write("new_ca.pem", &new_ca);
    let ask = || home.run(&["server", "status", "--ca", &new_ca]);
    assert_eq!(ask().code, Some(5));
    write("cert.pem", &new_cert);
    write("key.pem", &new_key);
    kill_process(
        Pid::from_raw(server.id().cast_signed()).unwrap(),
        Signal::HUP,
    )
    .unwrap();
    wait_for(&server.log, "TLS files were read again");
    let answered = ask();
    assert_eq!(answered.code, Some(0), "{answered:?}");
}

/// Reads a log as it grows, until a line of it says so.
fn wait_for(log: &Path, words: &str) {
    let mut lines = BufReader::new(std::fs::File::open(log).unwrap());
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        if lines.read_line(&mut line).unwrap() == 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn tls_that_cannot_be_is_refused_at_the_start() {
    let home = Home::new();
    let check = |toml: &str, code: &str, part: &str| {
        let file = home.path().join("bad.toml");
        std::fs::write(&file, toml).unwrap();
        let ran = home.run(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--config",
            file.to_str().unwrap(),
        ]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            ran.stderr.contains(code) && ran.stderr.contains(part),
            "{ran:?}"
        );
    };
    check("[tls]\ncert = \"a.pem\"\n", "CX-6010", "tls.key");
    check("[tls]\nclient_ca = \"a.pem\"\n", "CX-6010", "tls.client_ca");
    check(
        "[tls]\ndev = true\nclient_auth = \"required\"\n",
        "CX-6010",
        "client_ca",
    );
    check(
        "[tls]\nversion_min = \"1.1\"\n",
        "CX-6010",
        "tls.version_min",
    );
    let missing = "[tls]\ncert = \"/nowhere/a.pem\"\nkey = \"/nowhere/b.pem\"\n";
    check(missing, "CX-6012", "/nowhere/a.pem");
}
