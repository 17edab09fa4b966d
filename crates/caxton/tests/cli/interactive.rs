//! The prompt, on a terminal of its own.

use crate::support::Home;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// No answer takes this long: it guards against hanging, and measures nothing.
const GUARD: Duration = Duration::from_secs(30);

/// A command on a terminal, as a person has it before them.
struct Terminal {
    keys: File,
    shown: Receiver<Vec<u8>>,
    seen: String,
    child: Child,
}

impl Terminal {
    fn new(home: &Home, args: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = || {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).open(name.to_str().unwrap());
            Stdio::from(file.unwrap())
        };
        let child = home
            .command(args)
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .unwrap();
        let keys = File::from(master);
        let mut screen = keys.try_clone().unwrap();
        let (tell, shown) = channel();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // Ends with the last process that has the terminal.
            while let Ok(read @ 1..) = screen.read(&mut part) {
                if tell.send(part[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keys,
            shown,
            seen: String::new(),
            child,
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown, and forgets what came before it.
    #[track_caller]
    fn shows(&mut self, wanted: &str) {
        while !self.seen.contains(wanted) {
            let part = self.shown.recv_timeout(GUARD);
            let part = part.unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&part));
        }
        let (_, after) = self.seen.split_once(wanted).unwrap();
        self.seen = after.to_owned();
    }

    fn ends(mut self) -> Option<i32> {
        // The reader ends with the last process that has the terminal.
        loop {
            match self.shown.recv_timeout(GUARD) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the prompt goes on"),
            }
        }
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
}
