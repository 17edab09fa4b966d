//! The layers of configuration, merged key by key, and where each value came from.

use super::ENV_PREFIX;
use super::options::Config;
use super::{models, tools};
use caxton_core::error::shown;
use caxton_core::manifest::nearest;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use toml::{Table, Value};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File { path: String, line: Option<usize> },
    Env(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{path}:{line}"),
            Self::File { path, line: None } => f.write_str(path),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One key's value and where it came from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub value: Value,
    pub source: Source,
}

/// Every key (`section.key`) with its value.
#[derive(Debug, Clone)]
pub struct Resolved(BTreeMap<String, Origin>);

impl Resolved {
    /// The defaults, which also say which keys there are and of which type.
    pub fn defaults(config: &Config) -> Result<Self, String> {
        let table = Table::try_from(config).map_err(|error| error.to_string())?;
        let mut keys = BTreeMap::new();
        for (key, value) in leaves(&table)? {
            let source = Source::Default;
            keys.insert(key, Origin { value, source });
        }
        Ok(Self(keys))
    }

    /// The keys in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.0.iter().map(|(key, origin)| (key.as_str(), origin))
    }

    /// Lays a file over what there is.
    pub fn file(&mut self, path: &Path, text: &str) -> Result<(), String> {
        let path = path.display().to_string();
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            format!("{path}:{line}: {}", error.message())
        })?;
        for (key, value) in leaves(&table).map_err(|fault| format!("{path}: {fault}"))? {
            let line = line_of(text, &key);
            let source = Source::File {
                path: path.clone(),
                line,
            };
            self.put(&key, value, source)?;
        }
        Ok(())
    }

    /// Lays `CAXTON__SECTION__KEY` variables over what there is.
    pub fn env(&mut self, env: &[(String, String)]) -> Result<(), String> {
        for (name, value) in env {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            let key = rest.to_lowercase().replace("__", ".");
            self.set(&key, value, Source::Env(name.clone()))?;
        }
        Ok(())
    }

    /// Sets one key from text, which is read as the default's type.
    pub fn set(&mut self, key: &str, text: &str, source: Source) -> Result<(), String> {
        let value = match self.0.get(key).map(|known| &known.value) {
            Some(Value::Integer(_)) => text.trim().parse().map(Value::Integer).ok(),
            Some(Value::Boolean(_)) => text.trim().parse().map(Value::Boolean).ok(),
            Some(Value::Array(_)) => format!("it = {text}")
                .parse::<Table>()
                .ok()
                .and_then(|mut table| table.remove("it")),
            _ => Some(Value::String(text.to_owned())),
        };
        let value = value.ok_or_else(|| {
            let expected = self
                .0
                .get(key)
                .map_or("value", |known| known.value.type_str());
            format!("{source}: {key} = `{}` is no {expected}", shown(text))
        })?;
        self.put(key, value, source)
    }

    fn put(&mut self, key: &str, value: Value, source: Source) -> Result<(), String> {
        let known = self.0.get(key).map(|known| known.value.clone());
        let Some(known) = known.or_else(|| of_named_table(key)) else {
            return Err(self.unknown(key, &source));
        };
        if !known.same_type(&value) {
            return Err(format!(
                "{source}: {key} is a {}, not a {}",
                known.type_str(),
                value.type_str()
            ));
        }
        self.0.insert(key.to_owned(), Origin { value, source });
        Ok(())
    }

    fn unknown(&self, key: &str, source: &Source) -> String {
        let mut named = models::keys_of_provider_like(key);
        named.extend(tools::keys_of_mcp_like(key));
        let keys = || {
            let own = self.0.keys().map(String::as_str);
            own.chain(named.iter().map(String::as_str))
        };
        // A key with a word too many or too few is far in letters and near in meaning.
        let longer = || keys().find(|known| known.starts_with(key) || key.starts_with(known));
        let hint = nearest(key, keys())
            .or_else(longer)
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        format!("{source}: unknown key `{}`{hint}", shown(key))
    }

    /// The values as the typed configuration.
    pub fn config(&self) -> Result<Config, String> {
        read(self.table()).map_err(|fault| self.culprit().unwrap_or(fault))
    }

    /// The key whose value alone keeps the configuration from being read, such as a word that is
    /// none of an enumeration's; the parser's own message does not name it.
    fn culprit(&self) -> Option<String> {
        let defaults = Self::defaults(&Config::default()).ok()?;
        self.0.iter().find_map(|(key, origin)| {
            let mut alone = defaults.clone();
            alone.0.insert(key.clone(), origin.clone());
            let fault = read(alone.table()).err()?;
            Some(format!("{}: {key}: {fault}", origin.source))
        })
    }

    /// The values as TOML tables.
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        for (key, origin) in &self.0 {
            put_in(&mut table, key, &origin.value);
        }
        table
    }
}

/// Puts a value where its key says, in tables made as needed.
fn put_in(table: &mut Table, key: &str, value: &Value) {
    let Some((section, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value.clone());
        return;
    };
    let entry = table.entry(section);
    let inner = entry.or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(inner) = inner {
        put_in(inner, rest, value);
    }
}

fn read(table: Table) -> Result<Config, String> {
    let read = table.try_into();
    read.map_err(|error: toml::de::Error| error.message().trim_end().to_owned())
}

/// `section.key` of every value. A value outside a section is no key.
fn leaves(table: &Table) -> Result<Vec<(String, Value)>, String> {
    let mut found = Vec::new();
    for (section, value) in table {
        let Value::Table(keys) = value else {
            let section = shown(section);
            return Err(format!("`{section}` stands outside of a [section]"));
        };
        for (key, value) in keys {
            let key = format!("{section}.{key}");
            match value {
                Value::Table(fields) if section == tools::MCP => {
                    let leaf = |(field, value): (&String, &Value)| {
                        (format!("{key}.{field}"), value.clone())
                    };
                    found.extend(fields.iter().map(leaf));
                }
                Value::Table(fields) if section == models::PROVIDERS => {
                    found.extend(models::leaves(&key, fields));
                }
                value => found.push((key, value.clone())),
            }
        }
    }
    Ok(found)
}

/// The default of a key of a table that the operator named.
fn of_named_table(key: &str) -> Option<Value> {
    models::key_of_provider(key).or_else(|| tools::key_of_mcp(key))
}

fn line_at(text: &str, byte: usize) -> usize {
    text.get(..byte)
        .map_or(1, |head| head.matches('\n').count() + 1)
}

/// The line that sets a key, for those who look for it: in its section, the line that begins so.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let (section, name) = key.rsplit_once('.')?;
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            inside = header
                .split(']')
                .next()
                .is_some_and(|head| head.trim() == section);
        }
        let set = line.split('=').next().unwrap_or_default().trim();
        if (inside && set == name) || set == key {
            return Some(index + 1);
        }
    }
    None
}
