//! Tenants' secrets sealed anew while no server runs.
//!
//! The order is what makes a stop at any moment harmless: a new key is on disk before anything is
//! sealed under it, and an old one is dropped only when nothing is sealed under it any more. Until
//! then every secret opens under one of the keys in the file.

use super::{build_lock, build_store, models};
use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::folder::{Folder, write_private};
use caxton_engine::port::{Clock, Entropy, SystemClock, SystemEntropy};
use caxton_engine::rewrap::{Rewrapped, rewrap};
use caxton_store::SealedSecrets;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to become of the keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys {
    /// A new one, under which everything is sealed then.
    pub new: bool,
    /// Those before it are dropped.
    pub drop_old: bool,
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    pub secrets: Rewrapped,
    pub file: PathBuf,
    /// Keys in the file that only open.
    pub old_keys: usize,
}

/// Seals what is in the data folder anew.
///
/// # Errors
/// `CX-5007` where a server runs on it, a file of keys that cannot be read or is not the data folder's
/// to change, and what the store says.
pub async fn run(config: &Config, keys: Keys) -> Outcome<Done> {
    let folder = Folder::at(&config.data.dir);
    if !folder.join(caxton_store::SHARED_FILE).exists() {
        let text = format!("{} has no data of a server", folder.path().display());
        return Err(Failure::plain(text).with_hint("--data names the data folder"));
    }
    let _lock = build_lock(&folder).map_err(|failure| {
        failure.with_hint("stop the server first: it knows the keys that it was started with")
    })?;
    let (path, elsewhere) = models::master_key(config, &folder);
    if elsewhere && (keys.new || keys.drop_old) {
        let text = format!(
            "{} is the operator's own, and is not changed",
            path.display()
        );
        return Err(Failure::usage(text).with_hint(
            "write the new key above the old one yourself, and leave out --new-key and --drop-old",
        ));
    }
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let mut text = read(&path)?;
    if keys.new {
        text.insert_str(0, &caxton_store::new_master_key(&*entropy));
        parse(&path, &text, &entropy)?;
        write(&path, &text)?;
    }
    let secrets = parse(&path, &text, &entropy)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = build_store(config, &folder, &clock)?;
    let done = rewrap(store, &secrets).await?;
    let mut old_keys = secrets.keys() - 1;
    // One that opens under no key may yet be brought back by whoever has that.
    if keys.drop_old && done.lost.is_empty() && old_keys > 0 {
        write(&path, &caxton_store::present_key(&text))?;
        old_keys = 0;
    }
    Ok(Done {
        secrets: done,
        file: path,
        old_keys,
    })
}

fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| failed(path, error.to_string()))
}

fn parse(path: &Path, text: &str, entropy: &Arc<dyn Entropy>) -> Outcome<SealedSecrets> {
    let secrets = SealedSecrets::new(text, Arc::clone(entropy));
    secrets.map_err(|error| failed(path, error.to_string()))
}

fn write(path: &Path, text: &str) -> Outcome {
    write_private(path, text.as_bytes()).map_err(|error| failed(path, error.to_string()))
}

fn failed(path: &Path, why: String) -> Failure {
    Failure::plain(format!("cannot use the master key {}", path.display())).because(why)
}
