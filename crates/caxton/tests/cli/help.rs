//! The help of every command, as it stands in `help.txt`. A change of the command line shows there.

use crate::support::Home;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/help.txt");

/// The commands that the documentation promises; the test walks these and finds their children.
const COMMANDS: &[&str] = &[
    "try",
    "serve",
    "agent",
    "message",
    "chat",
    "session",
    "tool",
    "approval",
    "conversation",
    "job",
    "dead-letter",
    "tenant",
    "key",
    "provider",
    "model-call",
    "role",
    "limit",
    "quota",
    "context",
    "mcp",
    "interactive",
    "audit",
    "request",
    "usage",
    "backup",
    "server",
    "config",
    "doctor",
    "explain",
    "completion",
    "agent deploy",
    "message send",
];

/// The subcommands that a help text lists.
fn children(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| line.starts_with("  "))
        // A description that goes on in the next line is indented deeper.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn walk(home: &Home, path: &[String], text: &mut String, seen: &mut Vec<String>) {
    let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = home.ok(&args);
    let name = path.join(" ");
    text.push_str(&format!(
        "$ caxton {}\n\n{}\n\n",
        args.join(" "),
        help.trim_end()
    ));
    seen.push(name);
    for child in children(&help) {
        let path: Vec<String> = path.iter().cloned().chain([child]).collect();
        walk(home, &path, text, seen);
    }
}

#[test]
fn help_is_as_documented() {
    let home = Home::new();
    let (mut text, mut seen) = (String::new(), Vec::new());
    walk(&home, &[], &mut text, &mut seen);
    for command in COMMANDS {
        assert!(seen.iter().any(|name| name == command), "no {command}");
    }
    let leaked = home.path().to_str().unwrap();
    assert!(!text.contains(leaked), "help depends on the machine");
    if std::env::var_os("CAXTON_GOLDEN_WRITE").is_some() {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    for (number, (got, wanted)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(
            got,
            wanted,
            "help.txt:{} (CAXTON_GOLDEN_WRITE=1 writes it anew)",
            number + 1
        );
    }
    assert_eq!(text.len(), golden.len());
}
