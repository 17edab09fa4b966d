//! Exit codes, what goes where, and whom a key is shown.

use crate::support::Home;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let home = Home::new();
    let server = home.serve();
    let check = |args: &[&str], code: i32, part: &str| {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(part), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
    };
    check(&["agnet"], 2, "agent");
    check(&["message", "send", "hello"], 2, "--to");
    check(
        &["message", "send", "--to", "a", "--wait", "5", "x"],
        2,
        "5s",
    );
    check(&["agent", "show", "nobody"], 3, "error[CX-2020]");
    check(
        &["message", "send", "--to", "nobody", "x"],
        3,
        "error[CX-3001]",
    );
    check(
        &["message", "show", "01a20235-9795-7fa5-a039-ae11a23a5587"],
        3,
        "error[CX-3031]",
    );
    check(&["agent", "deploy", "no/such/folder"], 3, "no/such/folder");
    check(&["conversation", "show", "nothing"], 3, "error[CX-3032]");
    check(&["explain", "CX-0000"], 3, "CX-0000");
    check(
        &["--key", "cx_adm_no_no", "agent", "list"],
        4,
        "error[CX-4001]",
    );
    check(
        &["--server", "127.0.0.1:1", "agent", "list"],
        5,
        "error[CX-9002]",
    );
    check(
        &["message", "send", "--to", "a", "-p", "ask", "x"],
        2,
        "error[CX-1011]",
    );
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_name_that_is_nearly_right_is_suggested() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("echo");
    for args in [
        ["agent", "show", "ecoh"].as_slice(),
        &["message", "send", "--to", "ehco", "x"],
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(
            ran.stderr.contains("did you mean `echo`?"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_command_or_flag_that_is_nearly_right_is_suggested() {
    let home = Home::new();
    for (args, near) in [
        (["agnet", "list"].as_slice(), "'agent'"),
        (&["agent", "delpoy", "x"], "'deploy'"),
        (&["agent", "list", "--sate", "running"], "'--state'"),
        (&["agent", "list", "-o", "jsn"], "'json'"),
        (&["interactiv"], "'interactive'"),
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(near), "{near}: {}", ran.stderr);
    }
}

#[test]
fn without_a_server_nothing_answers() {
    let home = Home::new();
    let ran = home.run(&["--server", "127.0.0.1:1", "server", "status", "-o", "json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""));
}

#[test]
fn the_network_is_refused_without_tls() {
    let home = Home::new();
    let ran = home.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("error[CX-6011]"), "{}", ran.stderr);
    assert!(!home.data().exists(), "refused before anything was made");
    let server = home.serve_with(&["--insecure"]);
    assert_eq!(server.terminate(), Some(0));
}

/// What a command that asks this address sends.
fn overheard(home: &Home, args: &[&str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = serde_json::json!({ "url": url, "processId": 1 << 30, "version": "0" });
    std::fs::write(home.data().join("server.json"), server.to_string()).unwrap();
    let mut command = home.command(args);
    command
        .args(["--server", &url])
        .stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut heard = Vec::new();
    let mut part = [0; 1024];
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut part).unwrap();
        assert_ne!(read, 0, "the request ended early");
        heard.extend_from_slice(&part[..read]);
    }
    stream
        .write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    drop(stream);
    child.wait().unwrap();
    String::from_utf8(heard).unwrap()
}

#[test]
fn the_key_of_a_folder_elsewhere_is_found_by_the_servers_address() {
    let home = Home::new();
    let folder = home.path().join("elsewhere");
    let server = home.serve_with(&["--data", folder.to_str().unwrap()]);
    let listed = home.run(&["agent", "list", "--server", server.url()]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    // Another folder is named: its key is not that of this server.
    let named = ["agent", "list", "--server", server.url(), "--data", "."];
    assert_eq!(home.run(&named).code, Some(4));
    let url = server.url().to_owned();
    assert_eq!(server.terminate(), Some(0));
    let notes = home.path().join(".local/state/caxton/servers");
    assert_eq!(std::fs::read_dir(&notes).unwrap().count(), 0);
    let gone = home.run(&["agent", "list", "--server", &url]);
    assert_eq!(gone.code, Some(5), "{gone:?}");
}

#[test]
fn the_admin_key_goes_to_nobody_who_took_over_the_port() {
    let home = Home::new();
    let server = home.serve();
    let key = server.ready["newKey"].as_str().unwrap().to_owned();
    server.kill();
    let heard = overheard(&home, &["agent", "list"]);
    assert!(heard.starts_with("GET /v1/agents"), "{heard}");
    assert!(!heard.contains("cx_adm_"), "{heard}");
    // One that is given by hand is sent: the test above can fail.
    let heard = overheard(&home, &["agent", "list", "--key", &key]);
    assert!(heard.contains(&key), "{heard}");
}

#[test]
fn a_reader_that_went_away_is_no_fault_worth_words() {
    let home = Home::new();
    let mut child = home
        .command(&["explain"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut words = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut words)
        .unwrap();
    child.wait().unwrap();
    assert_eq!(words, "");
}
