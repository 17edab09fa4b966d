//! Models, the way to them, and what their secrets are kept under.

use crate::config::{Config, Provider};
use crate::failure::{Failure, Outcome};
use crate::folder::Folder;
use caxton_assistant::AssistantRuntime;
use caxton_core::error::Code;
use caxton_engine::models::ModelOptions;
use caxton_engine::port::model::Endpoint;
use caxton_engine::port::secrets::Secret;
use caxton_engine::port::{Clock, Entropy, Http, Model, Runtime, Secrets};
use caxton_llm::{Providers, Table};
use caxton_store::SealedSecrets;
use caxton_tools::http::HttpOut;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What tenants' secrets are kept under, where no other file is configured.
const MASTER_KEY: &str = "master.key";

/// The way out.
///
/// # Errors
/// `CX-6010` for certificate authorities that cannot be read.
pub fn build_http(config: &Config) -> Outcome<Arc<dyn Http>> {
    let options = ways(config)?;
    let http = HttpOut::new(&options).map_err(|error| invalid(format!("egress.ca: {error}")))?;
    Ok(Arc::new(http))
}

/// What may be reached, and how.
///
/// # Errors
/// `CX-6010` for what is no address.
pub fn ways(config: &Config) -> Outcome<caxton_tools::http::Options> {
    let egress = &config.egress;
    Ok(caxton_tools::http::Options {
        allowed: egress.addresses().map_err(invalid)?,
        ca_file: given(&egress.ca),
        ..caxton_tools::http::Options::default()
    })
}

/// All models.
///
/// # Errors
/// `CX-6010` for a table of models that cannot be read.
pub fn build_model(
    config: &Config,
    http: Arc<dyn Http>,
    clock: &Arc<dyn Clock>,
) -> Outcome<Arc<dyn Model>> {
    let table = match given(&config.llm.models_file) {
        None => Table::read(None).map_err(|error| error.to_string()),
        Some(path) => std::fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| Table::read(Some(&text)).map_err(|error| error.to_string()))
            .map_err(|error| format!("llm.models_file: {}: {error}", path.display())),
    };
    let options = caxton_llm::Options {
        http,
        clock: Arc::clone(clock),
        scripts_dir: given(&config.llm.scripts_dir),
        table: table.map_err(invalid)?,
    };
    Ok(Arc::new(Providers::new(options)))
}

/// What makes assistants.
pub fn build_assistants(model: &Arc<dyn Model>) -> Arc<dyn Runtime> {
    Arc::new(AssistantRuntime::new(Arc::clone(model)))
}

/// What the engine is told of models.
///
/// # Errors
/// `CX-6010` for a provider's secret that is not where it should be.
pub fn options(config: &Config) -> Outcome<ModelOptions> {
    let providers = config.providers.iter();
    let providers: Result<_, String> = providers
        .map(|(name, provider)| endpoint(name, provider))
        .collect();
    Ok(ModelOptions {
        providers: providers.map_err(invalid)?,
        first_word_timeout: Duration::from_millis(config.llm.first_word_timeout_ms),
        silence_timeout: Duration::from_millis(config.llm.silence_timeout_ms),
        calls_max: config.llm.calls_max,
        ..ModelOptions::default()
    })
}

fn endpoint(name: &str, provider: &Provider) -> Result<Endpoint, String> {
    Ok(Endpoint {
        provider: name.to_owned(),
        kind: provider.kind(name)?,
        base_url: provider.base_url(name).to_owned(),
        secret: secret(name, provider)?,
        trusted: true,
    })
}

/// Only what the configuration names is read: a key that lies in the environment for other programs
/// is not every tenant's to spend.
fn secret(name: &str, provider: &Provider) -> Result<Option<Secret>, String> {
    let text = if let Some(path) = given(&provider.api_key_file) {
        std::fs::read_to_string(&path).map_err(|error| {
            format!("providers.{name}.api_key_file: {}: {error}", path.display())
        })?
    } else if provider.api_key_env.is_empty() {
        return Ok(None);
    } else {
        let variable = &provider.api_key_env;
        std::env::var(variable).map_err(|_| {
            format!("providers.{name}.api_key_env: the environment has no `{variable}`")
        })?
    };
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(format!(
            "providers.{name}: the secret is empty or has more than one line"
        ));
    }
    Ok(Some(Secret::new(text)))
}

/// The file of master keys: the data folder's, unless the operator keeps it elsewhere.
pub fn master_key(config: &Config, folder: &Folder) -> (PathBuf, bool) {
    match given(&config.secrets.master_key_file) {
        Some(elsewhere) => (elsewhere, true),
        None => (folder.join(MASTER_KEY), false),
    }
}

/// Seals tenants' secrets. A master key in the data folder is made once; one that cannot be read is
/// not replaced, because what was kept under it would be lost.
///
/// # Errors
/// A file that is missing where it is configured, cannot be read, or holds no keys.
pub fn build_secrets(
    config: &Config,
    folder: &Folder,
    had_data: bool,
    entropy: &Arc<dyn Entropy>,
) -> Outcome<Arc<dyn Secrets>> {
    let (path, elsewhere) = master_key(config, folder);
    let failed = |why: String| {
        Failure::plain(format!("cannot use the master key {}", path.display())).because(why)
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !elsewhere => {
            if had_data {
                tracing::warn!(
                    path = %path.display(),
                    "the data folder has no master key, and gets a new one: secrets of tenants that were kept \
                     under another cannot be opened until that is brought back from a copy (CX-7030)"
                );
            }
            let text = caxton_store::new_master_key(&**entropy);
            folder.keep_private(MASTER_KEY, text.as_bytes())?;
            text
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let secrets = SealedSecrets::new(&text, Arc::clone(entropy));
    Ok(Arc::new(
        secrets.map_err(|error| failed(error.to_string()))?,
    ))
}

fn given(path: &Path) -> Option<PathBuf> {
    Some(path.to_owned()).filter(|path| !path.as_os_str().is_empty())
}

fn invalid(what: String) -> Failure {
    Failure::new(Code::ConfigInvalid, what)
}
