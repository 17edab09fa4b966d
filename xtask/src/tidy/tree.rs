//! The repository as the rules see it: every file git tracks or would track, read once.
//!
//! Rules are pure functions over this, so that each one's test can hand it a small invented tree.

use crate::tidy::source::Source;
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// A file larger than this is data (a prebuilt component, a picture), not text to be checked.
const TEXT_BYTES_MAX: u64 = 2 * 1024 * 1024;

#[derive(Default)]
pub struct Tree {
    /// Every path, text or not, relative to the root, with forward slashes.
    paths: BTreeSet<String>,
    /// The text files.
    texts: BTreeMap<String, String>,
    /// The Rust files among them, with comments and tests told apart.
    sources: BTreeMap<String, Source>,
}

impl Tree {
    /// Reads the files git tracks, and new ones it does not ignore: a commit must not be the first
    /// moment a rule sees a file. Where git has nothing to say (an unpacked archive, a checkout that
    /// belongs to another user), the folders are walked instead.
    pub fn read(root: &Path) -> anyhow::Result<Tree> {
        let listed = match listed_by_git(root) {
            Some(listed) => listed,
            None => {
                let mut found = Vec::new();
                walk(root, "", &mut found)?;
                found
            }
        };
        let mut tree = Tree::default();
        for path in &listed {
            let full = root.join(path);
            // Tracked but deleted in the working tree, or a folder of another repository.
            let Ok(metadata) = std::fs::metadata(&full) else {
                continue;
            };
            if !metadata.is_file() {
                continue;
            }
            let text = if metadata.len() <= TEXT_BYTES_MAX {
                let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
                String::from_utf8(bytes)
                    .ok()
                    .filter(|text| !text.contains('\0'))
            } else {
                None
            };
            tree.add(path, text);
        }
        Ok(tree)
    }

    fn add(&mut self, path: &str, text: Option<String>) {
        self.paths.insert(path.to_string());
        if let Some(text) = text {
            if path.ends_with(".rs") {
                self.sources
                    .insert(path.to_string(), Source::parse(path, &text));
            }
            self.texts.insert(path.to_string(), text);
        }
    }

    /// A tree of invented files, for the rules' tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.add(path, Some((*text).to_string()));
        }
        tree
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources
            .iter()
            .map(|(path, source)| (path.as_str(), source))
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    pub fn source(&self, path: &str) -> Option<&Source> {
        self.sources.get(path)
    }

    /// Whether the path is a file, or a folder that holds one.
    pub fn exists(&self, path: &str) -> bool {
        if path.is_empty() || self.paths.contains(path) {
            return true;
        }
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.paths
            .range(folder.clone()..)
            .next()
            .is_some_and(|next| next.starts_with(&folder))
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.paths.len()
    }
}

fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let listed: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_string)
        .collect();
    // A folder inside somebody else's repository is listed as empty.
    (!listed.is_empty()).then_some(listed)
}

/// Folders that hold what was built or fetched; the same as `.gitignore` names.
const NOT_SOURCES: &[&str] = &[
    ".caxton-tools",
    ".git",
    ".venv",
    "__pycache__",
    "artifacts",
    "corpus",
    "node_modules",
    "target",
];

fn walk(root: &Path, folder: &str, found: &mut Vec<String>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(root.join(folder))
        .with_context(|| format!("cannot list {}", root.join(folder).display()))?;
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        let kind = entry.file_type()?;
        if kind.is_file() && !name.ends_with(".tmp") {
            found.push(path);
        } else if kind.is_dir() && !NOT_SOURCES.contains(&name.as_str()) {
            walk(root, &path, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_exists_when_a_file_in_it_does() {
        let tree = Tree::of(&[("docs/a.md", ""), ("docs-old.md", "")]);
        assert!(tree.exists("docs"));
        assert!(tree.exists("docs/"));
        assert!(tree.exists("docs/a.md"));
        assert!(!tree.exists("doc"));
        assert!(!tree.exists("docs/a"));
    }

    #[test]
    fn a_folder_without_git_is_walked() {
        let dir = std::env::temp_dir().join(format!("caxton-tree-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("docs/errors")).unwrap();
        std::fs::create_dir_all(dir.join("target/debug")).unwrap();
        for path in ["a.rs", "docs/errors/b.md", "target/debug/c.rs", "d.tmp"] {
            std::fs::write(dir.join(path), "text").unwrap();
        }
        let tree = Tree::read(&dir).unwrap();
        let paths: Vec<&str> = tree.paths().collect();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(paths, ["a.rs", "docs/errors/b.md"]);
    }
}
