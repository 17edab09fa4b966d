//! The repository as the rules see it: every file git tracks or would track, read once.
//!
//! Rules are pure functions over this, so that each one's test can hand it a small invented tree.

use crate::tidy::source::Source;
use anyhow::{Context, bail};
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
    /// moment a rule sees a file.
    pub fn read(root: &Path) -> anyhow::Result<Tree> {
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
            .context("cannot run git to list the files")?;
        if !output.status.success() {
            bail!(
                "git ls-files: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let mut tree = Tree::default();
        for path in String::from_utf8_lossy(&output.stdout).split('\0') {
            let full = root.join(path);
            // Tracked but deleted in the working tree, or a folder of another repository.
            let Ok(metadata) = std::fs::metadata(&full) else {
                continue;
            };
            if path.is_empty() || !metadata.is_file() {
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

#[cfg(test)]
mod tests {
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
}
