//! Configuration: flags over environment over file over defaults, each value with its origin.
//!
//! The defaults are the schema: a key that is not among them is unknown, and a value must have its
//! default's type. What a key means belongs to the crate that owns it; [`Config`] only gathers.

mod audit;
mod browser;
mod calls;
mod doors;
mod layers;
mod models;
mod options;
mod sandbox_tools;
mod tools;

pub use layers::{Resolved, Source};
pub use models::{Provider, known_provider};
pub use options::{Config, LogFormat, LogLevel};
pub use tools::Mcp;

use crate::failure::{Failure, Outcome};
use caxton_core::error::Code;
use std::path::{Path, PathBuf};

/// Environment variables that begin so are configuration; `__` parts section and key.
pub const ENV_PREFIX: &str = "CAXTON__";

/// Where values may come from besides the defaults.
#[derive(Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Keys that flags set, with the flag's name.
    pub flags: Vec<(&'static str, String, &'static str)>,
    /// The environment, name and value.
    pub env: Vec<(String, String)>,
}

impl Sources {
    /// The process's environment, with a file and flags.
    pub fn of_process(
        file: Option<PathBuf>,
        flags: Vec<(&'static str, String, &'static str)>,
    ) -> Self {
        let env = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.starts_with(ENV_PREFIX)
                .then(|| (name, value.to_string_lossy().into_owned()))
        });
        Self {
            file,
            flags,
            env: env.collect(),
        }
    }

    /// Reads and joins them all.
    ///
    /// # Errors
    /// `CX-6010` for a file that cannot be read, an unknown key (with the nearest known one), a value
    /// of another type, or one out of bounds.
    pub fn resolve(&self) -> Outcome<(Config, Resolved)> {
        let mut resolved = Resolved::defaults(&Config::default()).map_err(invalid)?;
        if let Some(path) = self.file.clone().or_else(default_file) {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| invalid(format!("{}: {error}", path.display())))?;
            resolved.file(&path, &text).map_err(invalid)?;
        }
        resolved.env(&self.env).map_err(invalid)?;
        for (key, value, flag) in &self.flags {
            resolved
                .set(key, value, Source::Flag(flag))
                .map_err(invalid)?;
        }
        let config = resolved.config().map_err(invalid)?;
        config.check().map_err(invalid)?;
        Ok((config, resolved))
    }
}

fn invalid(what: String) -> Failure {
    Failure::new(
        Code::ConfigInvalid,
        format!("invalid configuration: {what}"),
    )
}

/// `$CAXTON_CONFIG`, else `caxton.toml` in the user's configuration folder if there is one.
fn default_file() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = of("CAXTON_CONFIG") {
        return Some(named.into());
    }
    let folder = match of("XDG_CONFIG_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&of("HOME")?).join(".config"),
    };
    Some(folder.join("caxton/caxton.toml")).filter(|path| path.is_file())
}

#[cfg(test)]
mod tests;
