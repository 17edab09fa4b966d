//! What may follow on a line, as the command line's own description has it: nothing is listed twice.

use clap::{Arg, Command, ValueHint};

/// What may stand where the line is being completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Words(Vec<String>),
    /// The name of an agent.
    Agents,
    /// A file.
    Path,
}

/// What may follow these words; `partial` is what is there of the next one. `root` is built.
pub(super) fn wanted(root: &Command, words: &[String], partial: &str) -> Wanted {
    let (mut command, mut positionals, mut value_of) = (root, 0, None);
    for word in words {
        if value_of.take().is_some() {
            continue;
        }
        if let Some(flag) = word.strip_prefix('-') {
            value_of = option(command, flag).filter(|_| !word.contains('='));
        } else if let Some(sub) = command.find_subcommand(word) {
            (command, positionals) = (sub, 0);
        } else {
            positionals += 1;
        }
    }
    if let Some(arg) = value_of {
        return value(arg);
    }
    if partial.starts_with('-') {
        let shown = command.get_arguments().filter(|it| !it.is_hide_set());
        let longs = shown.filter_map(Arg::get_long);
        return Wanted::Words(longs.map(|it| format!("--{it}")).collect());
    }
    if command.has_subcommands() {
        let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
        return Wanted::Words(shown.map(|it| it.get_name().to_owned()).collect());
    }
    let last = command.get_positionals().last();
    let here = command.get_positionals().nth(positionals);
    // The last one may be there several times.
    here.or(last.filter(|it| takes_several(it)))
        .map_or(Wanted::Words(Vec::new()), value)
}

/// The option that a flag (without its first hyphen) is, if it takes a value.
fn option<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    let found = match flag.strip_prefix('-') {
        Some(long) => command
            .get_arguments()
            .find(|it| it.get_long() == Some(long)),
        None => {
            let short = flag.chars().next();
            command.get_arguments().find(|it| it.get_short() == short)
        }
    };
    found.filter(|it| it.get_action().takes_values())
}

fn takes_several(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|it| it.max_values() > 1)
        || matches!(arg.get_action(), clap::ArgAction::Append)
}

fn value(arg: &Arg) -> Wanted {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|it| !it.is_hide_set());
        return Wanted::Words(shown.map(|it| it.get_name().to_owned()).collect());
    }
    let named = arg.get_value_names().unwrap_or_default();
    if arg.get_id() == "agent" || named.iter().any(|it| it.as_str() == "AGENT") {
        return Wanted::Agents;
    }
    match arg.get_value_hint() {
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath => Wanted::Path,
        _ => Wanted::Words(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::Cli;
    use super::*;
    use clap::CommandFactory as _;

    fn at(line: &str) -> Wanted {
        let mut root = Cli::command();
        root.build();
        let (before, partial) = line.rsplit_once(' ').unwrap_or(("", line));
        let words: Vec<String> = before.split_whitespace().map(str::to_owned).collect();
        wanted(&root, &words, partial)
    }

    #[track_caller]
    fn offers(line: &str, wanted: &[&str]) {
        let Wanted::Words(words) = at(line) else {
            panic!("{line}: {:?}", at(line));
        };
        for word in wanted {
            assert!(words.iter().any(|it| it == word), "{line}: {words:?}");
        }
    }

    #[test]
    fn what_follows_is_what_the_command_line_takes() {
        offers("", &["agent", "message", "dead-letter", "limit", "context"]);
        offers("agent ", &["deploy", "list", "show"]);
        offers("--server http://x agent ", &["deploy"]);
        offers("agent list --", &["--state", "--output", "--help"]);
        offers("agent list -o ", &["table", "json", "yaml", "name"]);
        offers("agent list --output ", &["json"]);
        offers("key create n --role ", &["admin", "viewer"]);
        offers("completion ", &["bash", "zsh", "fish"]);
        for line in [
            "agent show ",
            "agent logs e",
            "agent drain --timeout 3s ",
            "message send --to ",
            "message send --to e",
            "message list --agent ",
        ] {
            assert_eq!(at(line), Wanted::Agents, "{line}");
        }
        for line in [
            "agent deploy ",
            "agent deploy a b",
            "--data ",
            "audit verify ",
        ] {
            assert_eq!(at(line), Wanted::Path, "{line}");
        }
        for line in ["agent show echo ", "doctor ", "message show "] {
            assert_eq!(at(line), Wanted::Words(Vec::new()), "{line}");
        }
    }
}
