//! A command on a terminal of its own, as a person has it before them.

use crate::support::Home;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// No answer takes this long: it guards against hanging, and measures nothing.
const GUARD: Duration = Duration::from_secs(180);

/// A command and its terminal. Killed when it goes out of scope.
pub struct Terminal {
    keys: File,
    shown: Receiver<Vec<u8>>,
    seen: String,
    pub child: Child,
}

impl Terminal {
    pub fn new(home: &Home, args: &[&str]) -> Self {
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

    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown, and forgets what came before it.
    #[track_caller]
    pub fn shows(&mut self, wanted: &str) {
        while !self.seen.contains(wanted) {
            let part = self.shown.recv_timeout(GUARD);
            let part = part.unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&part));
        }
        let (_, after) = self.seen.split_once(wanted).unwrap();
        self.seen = after.to_owned();
    }

    pub fn ends(mut self) -> Option<i32> {
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
