//! Contexts: servers by name, with the key and the tenant to use there, kept for the user.
//!
//! They are in `contexts.toml` of the user's configuration folder, which its owner alone may read, for
//! it has keys in it. A context is a whole: its key and its certificate go to its own server and to no
//! other, whatever else the command line says.

use crate::failure::{Failure, Outcome};
use crate::folder::write_private;
use caxton_core::error::Code;
use caxton_core::manifest::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

const FILE: &str = "contexts.toml";
/// Contexts kept.
const CONTEXTS_MAX: usize = 1000;
/// Longest name.
const NAME_CHARS_MAX: usize = 63;

/// The contexts of a user.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one that commands use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// A server, and who one is there.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    pub server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
}

impl std::fmt::Debug for Context {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({})", self.server)
    }
}

impl Context {
    /// The key's public part, `cx_key_<public id>`; that there is one where it is no key but a token.
    pub fn key_id(&self) -> Option<String> {
        let key = self.key.as_deref()?;
        let public = key.rsplit_once('_').map(|(public, _)| public);
        let public = public.filter(|public| public.starts_with("cx_"));
        Some(public.unwrap_or("set").to_owned())
    }
}

impl Contexts {
    /// What is kept in a folder; nothing where there is no file.
    pub fn read(dir: &Path) -> Outcome<Self> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed("read", &path, &error)),
        };
        let exposed = fs::metadata(&path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
        if exposed {
            let what = format!("{} has keys in it and others may read it", path.display());
            let hint = format!("chmod 600 {}", path.display());
            return Err(Failure::new(Code::ConfigInvalid, what).with_hint(hint));
        }
        toml::from_str(&text).map_err(|error| {
            let what = format!("{} cannot be read", path.display());
            Failure::new(Code::ConfigInvalid, what).because(error.message().to_owned())
        })
    }

    /// Keeps them, for the user alone.
    pub fn write(&self, dir: &Path) -> Outcome {
        let path = dir.join(FILE);
        let text = toml::to_string(self).map_err(|error| {
            Failure::plain("the contexts cannot be written").because(error.to_string())
        })?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .and_then(|()| write_private(&path, text.as_bytes()))
            .map_err(|error| failed("write", &path, &error))
    }

    pub fn get(&self, name: &str) -> Outcome<&Context> {
        self.contexts.get(name).ok_or_else(|| {
            let failure = Failure::plain(format!("there is no context `{name}`")).not_found();
            match nearest(name, self.contexts.keys().map(String::as_str)) {
                Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
                None => failure.with_hint("`caxton context list` names them"),
            }
        })
    }

    /// Adds one, or replaces it.
    pub fn put(&mut self, name: &str, context: Context) -> Outcome {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
            let what = format!("`{name}` is no name for a context");
            let hint = "up to 63 letters, digits, dots, underscores or hyphens";
            return Err(Failure::usage(what).with_hint(hint));
        }
        if self.contexts.len() >= CONTEXTS_MAX && !self.contexts.contains_key(name) {
            return Err(Failure::usage(format!("more than {CONTEXTS_MAX} contexts")));
        }
        self.contexts.insert(name.to_owned(), context);
        Ok(())
    }

    /// Removes one; commands use none then, if it was the one.
    pub fn remove(&mut self, name: &str) -> Outcome {
        self.get(name)?;
        self.contexts.remove(name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
        Ok(())
    }
}

/// The user's configuration folder: `$XDG_CONFIG_HOME/caxton`, or `~/.config/caxton`; none without
/// a home.
pub fn folder() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let config = of("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| Some(PathBuf::from(of("HOME")?).join(".config")));
    Some(config?.join("caxton"))
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::plain(format!("cannot {what} {}", path.display())).because(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn context(server: &str) -> Context {
        Context {
            server: server.to_owned(),
            key: Some("cx_key_abc_secret".to_owned()),
            ..Context::default()
        }
    }

    #[test]
    fn contexts_are_kept_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("deep/caxton");
        assert_eq!(Contexts::read(&dir).unwrap(), Contexts::default());
        let mut all = Contexts::default();
        all.put("prod", context("https://a")).unwrap();
        all.current = Some("prod".to_owned());
        all.write(&dir).unwrap();
        assert_eq!(Contexts::read(&dir).unwrap(), all);
        let file = dir.join(FILE);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&dir)), (0o600, 0o700));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Contexts::read(&dir).unwrap_err().is(Code::ConfigInvalid));
    }

    #[test]
    fn what_is_removed_is_no_longer_used() {
        let mut all = Contexts::default();
        for name in ["prod", "test"] {
            all.put(name, context("https://a")).unwrap();
        }
        all.current = Some("prod".to_owned());
        all.remove("test").unwrap();
        assert_eq!(all.current.as_deref(), Some("prod"));
        all.remove("prod").unwrap();
        assert_eq!(all, Contexts::default());
        assert!(all.remove("prod").is_err());
    }

    #[test]
    fn names_are_plain_and_a_key_shows_its_public_part() {
        let mut all = Contexts::default();
        for name in ["", "a b", "a/b", "ä", "\u{1b}", &"x".repeat(64)] {
            assert!(all.put(name, context("https://a")).is_err(), "{name}");
        }
        let context = context("https://a");
        assert_eq!(context.key_id().as_deref(), Some("cx_key_abc"));
        let token = Context {
            key: Some("eyJhbGciOiJub25lIn0.eyJzdWIiOiJqbyJ9.sig_nature".to_owned()),
            ..context.clone()
        };
        assert_eq!(token.key_id().as_deref(), Some("set"));
        assert!(!format!("{context:?}").contains("secret"));
    }
}
