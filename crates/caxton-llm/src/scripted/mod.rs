//! `scripted/FILE`: a file says what the model answers, faults included. For tests of agents, of this
//! server, and of whoever runs it. The form is in `script`; what a request gets is decided from the
//! request alone, so that the same conversation gets the same answers.

mod obey;
mod play;
mod script;

use crate::scripted::script::{SCRIPT_BYTES_MAX, Script};
use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::model::{ModelFault, ModelFaultKind};
use caxton_engine::port::Clock;
use caxton_engine::port::model::{ModelCall, ModelStream};
use quick_cache::sync::Cache;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;

/// Bundles and files whose scripts are kept read.
const CACHED_MAX: usize = 64;
/// Most bytes of all scripts that a deployment brings along.
pub const BUNDLE_BYTES_MAX: usize = 1 << 20;
/// Longest name of a script, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// All scripts of a bundle or file, by name; a file's has the empty one.
type Scripts = Arc<BTreeMap<String, Script>>;

/// Plays scripts.
#[derive(Debug)]
pub struct Scripted {
    clock: Arc<dyn Clock>,
    dir: Option<PathBuf>,
    /// By content.
    cache: Cache<Bytes, Scripts>,
}

/// `{"scripts": {"FILE": {…}}}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    scripts: BTreeMap<String, Script>,
}

impl Scripted {
    pub fn new(clock: Arc<dyn Clock>, dir: Option<PathBuf>) -> Self {
        Self {
            clock,
            dir,
            cache: Cache::new(CACHED_MAX),
        }
    }

    /// The answer to a call.
    pub async fn stream(&self, call: ModelCall) -> Result<ModelStream, ModelFault> {
        let (scripts, name) = self.scripts(&call).await.map_err(fault)?;
        let script = scripts
            .get(&name)
            .ok_or_else(|| fault(missing(&call.model)))?;
        play::stream(script, &call, Arc::clone(&self.clock))
    }

    /// What the deployment brought along comes first, then the operator's folder.
    async fn scripts(&self, call: &ModelCall) -> Result<(Scripts, String), Error> {
        if let Some(bytes) = &call.scripts {
            let scripts = self.read(bytes, read_bundle)?;
            if scripts.contains_key(&call.model) {
                return Ok((scripts, call.model.clone()));
            }
        }
        let Some(dir) = &self.dir else {
            return Err(missing(&call.model));
        };
        let bytes = load(dir, &call.model).await?;
        let scripts = self.read(&bytes, |bytes| {
            Ok(BTreeMap::from([(String::new(), script::read(bytes)?)]))
        })?;
        Ok((scripts, String::new()))
    }

    fn read(
        &self,
        bytes: &Bytes,
        read: impl FnOnce(&[u8]) -> Result<BTreeMap<String, Script>, Error>,
    ) -> Result<Scripts, Error> {
        if let Some(scripts) = self.cache.get(bytes) {
            return Ok(scripts);
        }
        let scripts: Scripts = Arc::new(read(bytes)?);
        self.cache.insert(bytes.clone(), Arc::clone(&scripts));
        Ok(scripts)
    }
}

/// Whether a bundle can be read.
///
/// # Errors
/// `CX-7013`, naming the place.
pub fn check_bundle(bytes: &[u8]) -> Result<(), Error> {
    read_bundle(bytes).map(drop)
}

fn read_bundle(bytes: &[u8]) -> Result<BTreeMap<String, Script>, Error> {
    if bytes.len() > BUNDLE_BYTES_MAX {
        return Err(malformed(format!(
            "the scripts have more than {BUNDLE_BYTES_MAX} bytes"
        )));
    }
    let bundle: Bundle =
        serde_json::from_slice(bytes).map_err(|error| script::unreadable(&error))?;
    for (name, script) in &bundle.scripts {
        check_name(name)?;
        script
            .check()
            .map_err(|what| malformed(format!("{name}: {what}")))?;
    }
    Ok(bundle.scripts)
}

/// A file of the operator's folder, and nothing beside or above it.
async fn load(dir: &Path, name: &str) -> Result<Bytes, Error> {
    check_name(name)?;
    let path = dir.join(name);
    // A link could lead out of the folder.
    let kind = tokio::fs::symlink_metadata(&path).await;
    if !kind.is_ok_and(|it| it.is_file()) {
        return Err(missing(name));
    }
    let file = tokio::fs::File::open(&path)
        .await
        .map_err(|_| missing(name))?;
    let mut bytes = Vec::new();
    let most = SCRIPT_BYTES_MAX as u64 + 1;
    let read = file.take(most).read_to_end(&mut bytes).await;
    read.map_err(|error| malformed(format!("{name}: {error}")))?;
    Ok(bytes.into())
}

fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let fits = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with('.')
        && name.chars().all(plain);
    if fits {
        return Ok(());
    }
    Err(malformed(format!(
        "`{}` is no plain file name: letters, digits, `.`, `-`, `_` and spaces, no folders",
        caxton_core::error::shown(name)
    )))
}

fn missing(name: &str) -> Error {
    malformed(format!(
        "there is no script `{}`",
        caxton_core::error::shown(name)
    ))
}

fn malformed(what: impl Into<String>) -> Error {
    Error::new(Code::ScriptMalformed, what)
}

fn fault(error: Error) -> ModelFault {
    ModelFault::new(ModelFaultKind::Script, &error.detail)
}

#[cfg(test)]
mod tests;
