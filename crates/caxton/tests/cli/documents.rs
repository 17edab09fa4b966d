//! What READMEs and guides show at a shell, run as it stands there: each command of a ```` ```console ````
//! block, compared with the lines below it. `…` stands for anything, a line of it for any lines.
//!
//! A command that goes on (a server) is left running and is waited for by the line that it shows first.

use crate::support::{Home, Server, examples, path};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What stands for anything.
const ANY: &str = "…";

/// A command and what it shows.
#[derive(Debug, Default)]
struct Step {
    command: String,
    shows: Vec<String>,
}

/// The commands of a text, in order.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            line if inside => match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step {
                    command: command.to_owned(),
                    shows: Vec::new(),
                }),
                None => steps.last_mut().unwrap().shows.push(line.to_owned()),
            },
            _ => {}
        }
    }
    steps
}

/// Whether a line is as it was shown.
fn like(line: &str, shown: &str) -> bool {
    let mut parts = shown.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether all lines are as they were shown.
fn alike(lines: &[&str], shown: &[String]) -> bool {
    match (lines, shown) {
        (lines, []) => lines.is_empty(),
        (lines, [any, rest @ ..]) if any == ANY => {
            (0..=lines.len()).any(|skipped| alike(&lines[skipped..], rest))
        }
        ([], _) => false,
        ([line, lines @ ..], [first, rest @ ..]) => like(line, first) && alike(lines, rest),
    }
}

/// A program that goes on until the end of the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell in a folder where `examples` is.
struct Shell {
    home: Home,
    server: Option<Server>,
    services: Vec<Service>,
    /// Ports that the text names, and those that stand for them here.
    ports: BTreeMap<String, String>,
}

impl Shell {
    fn new() -> Self {
        let home = Home::new();
        let folder = home.path().join("examples");
        std::fs::create_dir(&folder).unwrap();
        for example in std::fs::read_dir(examples()).unwrap() {
            let example = example.unwrap();
            let path = example.path().canonicalize().unwrap();
            std::os::unix::fs::symlink(path, folder.join(example.file_name())).unwrap();
        }
        Self {
            home,
            server: None,
            services: Vec::new(),
            ports: BTreeMap::new(),
        }
    }

    /// A server without a configuration, as the texts take for granted.
    fn served() -> Self {
        let mut shell = Self::new();
        shell.server = Some(shell.home.serve());
        shell
    }

    /// Lets another port stand for one that is written in the files of an example.
    fn port(mut self, example: &str, port: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = free.local_addr().unwrap().port().to_string();
        let here = self.home.path().join("examples").join(example);
        let from = here.canonicalize().unwrap();
        std::fs::remove_file(&here).unwrap();
        copy(&from, &here, &|text| text.replace(port, &free));
        self.ports.insert(port.to_owned(), free);
        self
    }

    fn here(&self, text: &str) -> String {
        let ports = self.ports.iter();
        ports.fold(text.to_owned(), |text, (port, free)| {
            text.replace(port, free)
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("PATH", path())
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs all that a text shows.
    #[track_caller]
    fn follow(&mut self, document: &str) {
        let path = examples().join("..").join(document);
        let text = std::fs::read_to_string(&path).unwrap();
        let steps = steps(&text);
        assert!(!steps.is_empty(), "{document} shows no command");
        for step in steps {
            let shows: Vec<String> = step.shows.iter().map(|line| self.here(line)).collect();
            let command = self.here(&step.command);
            if let Some(args) = command.strip_prefix("caxton serve") {
                let args: Vec<&str> = args.split_whitespace().collect();
                self.server = Some(self.home.serve_with(&args));
            } else if command.starts_with("python3 ") || command.starts_with("node ") {
                self.start(&command, &shows);
            } else if command.starts_with("npm install --prefix mcp") {
                self.installed();
            } else {
                self.run(document, &command, &shows);
            }
        }
    }

    #[track_caller]
    fn run(&self, document: &str, command: &str, shows: &[String]) {
        let said = self
            .command("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        assert!(
            alike(&lines, shows),
            "{document}: $ {command}\n{said}\nbut it is told to show\n{}\n",
            shows.join("\n")
        );
    }

    /// Starts what goes on, and waits for what it shows.
    #[track_caller]
    fn start(&mut self, command: &str, shows: &[String]) {
        let mut child = self
            .command("sh")
            .args(["-c", &format!("exec 2>&1; exec {command}")])
            .envs(self.ports.values().next().map(|port| ("PORT", port)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        self.services.push(Service(child));
        let [shown] = shows else {
            panic!("{command}: one line says that it is there");
        };
        let mut line = String::new();
        while !like(line.trim_end(), shown) {
            line.clear();
            assert_ne!(
                out.read_line(&mut line).unwrap(),
                0,
                "{command}: no {shown}"
            );
        }
        // What it says later is nobody's, and must not hold it up.
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
    }

    /// The reference servers, which are installed already.
    fn installed(&self) {
        let folder = PathBuf::from(std::env::var_os("CAXTON_TEST_MCP_SERVERS").unwrap());
        let here = self.home.path().join("mcp");
        std::fs::create_dir(&here).unwrap();
        std::os::unix::fs::symlink(folder.join("node_modules"), here.join("node_modules")).unwrap();
    }
}

fn copy(from: &Path, to: &Path, change: &dyn Fn(&str) -> String) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()), change);
        }
    } else if let Ok(text) = std::fs::read_to_string(from) {
        std::fs::write(to, change(&text)).unwrap();
    }
}

#[test]
fn lines_are_compared_as_they_are_shown() {
    for (line, shown, expected) in [
        ("a b", "a b", true),
        ("a b", "a", false),
        ("a: 3 ms (id)", "a: …", true),
        ("a: 3 ms (id)", "…ms…", true),
        ("a: 3 ms (id)", "a: … ms (id)", true),
        ("a: 3 ms (id)", "b: …", false),
        ("aa", "aa…a", false),
    ] {
        assert_eq!(like(line, shown), expected, "{line} {shown}");
    }
    let shown = |lines: &[&str]| lines.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    assert!(alike(&["a", "b", "c"], &shown(&["a", ANY, "c"])));
    assert!(alike(&["a", "c"], &shown(&["a", ANY, "c"])));
    assert!(!alike(&["a", "b"], &shown(&["a", ANY, "c"])));
    assert!(!alike(&["a", "b"], &shown(&["a"])));
}

#[test]
fn tools_that_compute_and_agents_that_call_them_work_as_their_readmes_say() {
    for example in ["wordcount", "reader", "secretary", "desk"] {
        Shell::served().follow(&format!("examples/{example}/README.md"));
    }
}

#[test]
fn the_guides_show_what_is_there() {
    for guide in ["tools", "permissions", "mcp", "write-a-tool"] {
        Shell::served().follow(&format!("docs/{guide}.md"));
    }
}

#[test]
fn an_mcp_server_that_the_operator_runs_works_as_the_clerks_readme_says() {
    Shell::new().follow("examples/clerk/README.md");
}

#[test]
#[ignore = "needs python"]
fn an_endpoint_works_as_its_readme_says() {
    Shell::new()
        .port("stock", "8090")
        .follow("examples/stock/README.md");
}

#[test]
#[ignore = "needs mcp-servers"]
fn the_protocols_reference_servers_work_as_their_readme_says() {
    Shell::new()
        .port("mcp-servers", "3001")
        .follow("examples/mcp-servers/README.md");
}

/// Each definition is accepted, also where what it names cannot be run here.
#[test]
fn what_is_written_by_hand_and_what_is_imported_is_registered() {
    let shell = Shell::served();
    for (example, functions) in [("stock", 3), ("stock/imported", 2)] {
        let path = examples().join(example);
        let made = shell
            .home
            .json(&["tool", "register", path.to_str().unwrap()]);
        assert_eq!(
            made["functions"].as_array().unwrap().len(),
            functions,
            "{made}"
        );
    }
    // The operator has named no inner address here.
    let refused = shell
        .home
        .run(&["tool", "test", "stock.item", "{\"sku\": \"a\"}"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
}
