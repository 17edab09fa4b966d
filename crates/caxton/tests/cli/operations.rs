//! Whatever the API can do, a command can do: each operation's method of the client is called somewhere
//! in the command line.

use std::path::Path;

/// Operations without a command of their own, and why.
const NO_COMMAND: &[(&str, &str)] = &[
    (
        "OpenSocket",
        "a socket is no command; its streams have theirs",
    ),
    ("CompleteChat", "`chat` streams, and is asked the same"),
    (
        "VerifyBackup",
        "`backup verify` reads the files itself, so that it works when the server does not",
    ),
];

fn sources(folder: &Path, text: &mut String) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|it| it == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

#[test]
fn every_operation_has_a_command() {
    let mut text = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    sources(&root.join("src/cli"), &mut text);
    let words: String = text.split_whitespace().collect();
    let has = |name: &str| words.contains(&format!(".{}(", snake(name)));
    let all = caxton_api::OPERATIONS.iter();
    let names = all.filter_map(|it| it.method.rsplit('/').next());
    let missing: Vec<&str> = names
        .filter(|name| NO_COMMAND.iter().all(|(it, _)| it != name) && !has(name))
        .collect();
    assert!(missing.is_empty(), "no command calls {missing:?}");
    assert!(!has("NoSuchOperation"));
}
