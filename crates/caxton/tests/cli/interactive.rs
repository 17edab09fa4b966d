//! The prompt, on a terminal of its own.

use crate::support::Home;
use crate::terminal::Terminal;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_prompt_with_completion_and_history_that_ends_with_ctrl_d() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("counter");
    home.deploy("echo");
    let mut prompt = Terminal::new(&home, &["interactive"]);
    prompt.shows("caxton> ");
    prompt.types("agent list -o name\r");
    prompt.shows("counter\r\necho\r\n");
    prompt.shows("caxton> ");

    // Commands, flags and the names of agents that the server knows.
    prompt.types("mess\t");
    prompt.shows("message ");
    prompt.types("send --wa\t30s --to cou\t");
    prompt.shows("--to counter ");
    prompt.types("'add 20'\r");
    prompt.shows("20\r\n");
    prompt.shows("caxton> ");

    // The line before the last, once more.
    prompt.types("\x1b[A\r");
    prompt.shows("40\r\n");
    prompt.shows("caxton> ");

    // A line that is wrong is told of, and one that is begun is given up with Ctrl-C.
    prompt.types("agnet list\r");
    prompt.shows("a similar subcommand exists: 'agent'");
    prompt.shows("caxton> ");
    prompt.types("agent 'list\r");
    prompt.shows("quote");
    prompt.shows("caxton> ");
    prompt.types("agent remove counter\x03");
    prompt.shows("caxton> ");
    prompt.types("agent list -o name --key \"$X\" \x15");
    prompt.types("caxton agent show counter -o name\r");
    prompt.shows("counter\r\n");
    prompt.shows("caxton> ");
    prompt.types("\x04");
    assert_eq!(prompt.ends(), Some(0));

    let history = home.path().join(".config/caxton/history");
    let kept = std::fs::read_to_string(&history).unwrap();
    assert!(
        kept.contains("message send --wait 30s --to counter 'add 20'"),
        "{kept}"
    );
    let mode = std::fs::metadata(&history).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");

    // The next prompt remembers, and keeps no line with a key.
    let mut prompt = Terminal::new(&home, &["interactive"]);
    prompt.shows("caxton> ");
    prompt.types("\x1b[A\r");
    prompt.shows("counter\r\n");
    prompt.shows("caxton> ");
    prompt.types("agent list --key cx_key_1_secret\r");
    prompt.shows("CX-4001");
    prompt.shows("caxton> ");
    prompt.types("exit\r");
    assert_eq!(prompt.ends(), Some(0));
    assert!(
        !std::fs::read_to_string(&history)
            .unwrap()
            .contains("secret")
    );
}

#[test]
fn ctrl_c_ends_the_command_and_not_the_prompt() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("echo");
    let mut prompt = Terminal::new(&home, &["interactive"]);
    prompt.shows("caxton> ");
    // The terminal is not theirs alone, so the interrupt is sent to both as a terminal does.
    prompt.types("message watch -o name\r");
    prompt.shows("watching; Ctrl-C ends");
    let children = format!("/proc/{0}/task/{0}/children", prompt.child.id());
    let child = std::fs::read_to_string(children).unwrap();
    let child: i32 = child.trim().parse().unwrap();
    for id in [i32::try_from(prompt.child.id()).unwrap(), child] {
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    }
    prompt.shows("caxton> ");
    prompt.types("agent list -o name\r");
    prompt.shows("echo\r\n");
    // Before the prompt is back the terminal itself would take the key.
    prompt.shows("caxton> ");
    prompt.types("\x04");
    assert_eq!(prompt.ends(), Some(0));
}

#[test]
fn lines_may_come_from_a_pipe() {
    let home = Home::new();
    let _server = home.serve();
    home.deploy("echo");
    let lines = b"agent list -o name\nagent show nobody\ncaxton agent list -o name\n";
    let ran = home.pipe(&["interactive"], lines);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "echo\necho\n");
    let words = String::from_utf8(ran.stderr).unwrap();
    assert!(words.contains("there is no agent nobody"), "{words}");
    let ran = home.pipe(&["interactive"], b"agent list\nagent show nobody\n");
    assert_eq!(
        ran.status.code(),
        Some(1),
        "as the last line ended: {ran:?}"
    );
    let ran = home.pipe(&["interactive"], b"agent list 'oops\n");
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
}
