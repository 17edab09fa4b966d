//! The options of what reaches out: models and their providers, addresses, secrets.

use caxton_core::model::is_provider_name;
use caxton_engine::models::ModelOptions;
use caxton_engine::port::model::ProviderKind;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use toml::{Table, Value};

/// The section whose tables have names of the operator's choice.
pub const PROVIDERS: &str = "providers";

/// `[llm]`: asking models. Empty paths are none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Llm {
    /// Scripts of `scripted/FILE`, for all tenants.
    pub scripts_dir: PathBuf,
    /// What is known of models besides the built-in table.
    pub models_file: PathBuf,
    pub first_word_timeout_ms: u64,
    pub silence_timeout_ms: u64,
    pub calls_max: usize,
}

impl Default for Llm {
    fn default() -> Self {
        let owner = ModelOptions::default();
        Self {
            scripts_dir: PathBuf::new(),
            models_file: PathBuf::new(),
            first_word_timeout_ms: super::options::ms(owner.first_word_timeout),
            silence_timeout_ms: super::options::ms(owner.silence_timeout),
            calls_max: owner.calls_max,
        }
    }
}

/// `[egress]`: requests that leave the server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Inner addresses that tenants may reach.
    pub allow: Vec<String>,
    /// Certificate authorities in PEM, believed besides the machine's.
    pub ca: PathBuf,
}

impl Egress {
    /// Refuses what is no address.
    pub fn check(&self) -> Result<(), String> {
        self.addresses().map(drop)
    }

    pub fn addresses(&self) -> Result<Vec<IpAddr>, String> {
        let read = |text: &String| {
            let address = text.parse();
            address.map_err(|_| format!("egress.allow: `{text}` is no IP address"))
        };
        self.allow.iter().map(read).collect()
    }
}

/// `[secrets]`: what tenants' secrets are kept under.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Empty: `master.key` in the data folder, made at the first start.
    pub master_key_file: PathBuf,
}

/// `[providers.NAME]`. Empty is absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Provider {
    pub kind: String,
    pub base_url: String,
    pub api_key_env: String,
    pub api_key_file: PathBuf,
}

const FIELDS: &[&str] = &["kind", "base_url", "api_key_env", "api_key_file"];

/// Names that mean something by themselves, with kind and address.
const KNOWN: &[(&str, ProviderKind, &str)] = &[
    (
        "anthropic",
        ProviderKind::Anthropic,
        "https://api.anthropic.com",
    ),
    (
        "openai",
        ProviderKind::OpenaiChat,
        "https://api.openai.com/v1",
    ),
    (
        "openai-responses",
        ProviderKind::OpenaiResponses,
        "https://api.openai.com/v1",
    ),
    (
        "ollama",
        ProviderKind::OpenaiChat,
        "http://127.0.0.1:11434/v1",
    ),
];

impl Provider {
    /// How it is spoken to.
    ///
    /// # Errors
    /// A word that names no kind.
    pub fn kind(&self, name: &str) -> Result<ProviderKind, String> {
        if self.kind.is_empty() {
            let known = KNOWN.iter().find(|(known, ..)| *known == name);
            return Ok(known.map_or(ProviderKind::OpenaiChat, |(_, kind, _)| *kind));
        }
        let kind = ProviderKind::parse(&self.kind).filter(|kind| kind.is_remote());
        kind.ok_or_else(|| {
            let kinds = ProviderKind::ALL
                .into_iter()
                .filter(|kind| kind.is_remote());
            let kinds: Vec<&str> = kinds.map(ProviderKind::as_str).collect();
            format!(
                "providers.{name}.kind: `{}` is none of {}",
                self.kind,
                kinds.join(", ")
            )
        })
    }

    /// Where it is, without a slash at the end; empty where nobody says.
    pub fn base_url(&self, name: &str) -> &str {
        let own = self.base_url.trim_end_matches('/');
        let known = KNOWN.iter().find(|(known, ..)| *known == name);
        match known {
            Some((.., url)) if own.is_empty() => url,
            _ => own,
        }
    }

    /// Refuses what cannot be meant.
    pub fn check(&self, name: &str) -> Result<(), String> {
        if !is_provider_name(name) || ["demo", "scripted"].contains(&name) {
            return Err(format!(
                "providers.{name}: a name is a lower-case letter, then lower-case letters, digits or `-`, and neither `demo` nor `scripted`"
            ));
        }
        self.kind(name)?;
        let url = self.base_url(name);
        if !(url.starts_with("https://") || url.starts_with("http://"))
            || url.contains(['?', '#', '@', ' '])
        {
            return Err(format!(
                "providers.{name}.base_url: `{url}` is no http or https address without user, query or fragment"
            ));
        }
        let given = !self.api_key_file.as_os_str().is_empty();
        if given && !self.api_key_env.is_empty() {
            return Err(format!(
                "providers.{name}: api_key_env and api_key_file exclude each other"
            ));
        }
        Ok(())
    }
}

/// Kind and address of a provider whose name says both.
pub fn known_provider(name: &str) -> Option<(&'static str, &'static str)> {
    let known = KNOWN.iter().find(|(known, ..)| *known == name);
    known.map(|(_, kind, url)| (kind.as_str(), *url))
}

/// The default of a key `providers.NAME.FIELD`, which says that it is one.
pub fn key_of_provider(key: &str) -> Option<Value> {
    let (name, field) = key.strip_prefix("providers.")?.split_once('.')?;
    let is_key = !name.is_empty() && FIELDS.contains(&field);
    is_key.then(|| Value::String(String::new()))
}

/// All keys of the provider that a key seems to mean.
pub fn keys_of_provider_like(key: &str) -> Vec<String> {
    let name = key
        .strip_prefix("providers.")
        .and_then(|it| it.split('.').next());
    let keys = name.map(|name| {
        FIELDS
            .iter()
            .map(move |field| format!("providers.{name}.{field}"))
    });
    keys.into_iter().flatten().collect()
}

/// The keys of one provider's table. A table without any names it all the same.
pub fn leaves(prefix: &str, fields: &Table) -> Vec<(String, Value)> {
    if fields.is_empty() {
        return vec![(format!("{prefix}.kind"), Value::String(String::new()))];
    }
    let leaf = |(field, value): (&String, &Value)| (format!("{prefix}.{field}"), value.clone());
    fields.iter().map(leaf).collect()
}
