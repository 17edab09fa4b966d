//! What is known of models: windows, ceilings, prices, and how they are told to think. All of it is
//! data, `models.toml`; an operator's file of the same form adds to it and wins.

use crate::traits::{Effort, Traits};
use caxton_core::model::Price;
use caxton_engine::port::model::{ModelFacts, ProviderKind};
use serde::Deserialize;

/// The table that comes with this version.
const BUILT_IN: &str = include_str!("../models.toml");

/// Largest file of an operator's, in bytes.
pub const TABLE_BYTES_MAX: usize = 1 << 20;

/// Rows, those that win first.
#[derive(Debug, Clone, Default)]
pub struct Table(Vec<Row>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    model: Vec<Row>,
}

/// What is known of the models whose names begin so.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The provider's own name of the model, or its beginning up to a date or variant.
    name: String,
    protocol: Protocol,
    context_tokens_max: u32,
    output_tokens_max: u32,
    /// Absent: nobody says what it costs.
    price: Option<Price>,
    /// The levels of thinking it knows; none: it does not think. Absent: not known.
    efforts: Option<Vec<Effort>>,
    /// Thinks by effort, not by budget.
    #[serde(default)]
    adaptive: bool,
    /// Takes `temperature` and `top_p`.
    #[serde(default = "yes")]
    sampling: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Anthropic,
    Openai,
}

const fn yes() -> bool {
    true
}

/// A table that cannot be read, in its parser's words.
#[derive(Debug)]
pub struct TableError(String);

impl std::fmt::Display for TableError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TableError {}

impl Table {
    /// What comes with this version, and before it what an operator says.
    ///
    /// # Errors
    /// A text that is no such table, or too large.
    pub fn read(operators: Option<&str>) -> Result<Self, TableError> {
        let mut rows = Vec::new();
        for text in operators.into_iter().chain([BUILT_IN]) {
            if text.len() > TABLE_BYTES_MAX {
                return Err(TableError(format!("more than {TABLE_BYTES_MAX} bytes")));
            }
            let file: File = toml::from_str(text)
                .map_err(|error| TableError(error.to_string().trim_end().to_owned()))?;
            for row in &file.model {
                if let Some(efforts) = &row.efforts
                    && !efforts.is_sorted()
                {
                    return Err(TableError(format!(
                        "{}: efforts stand out of order",
                        row.name
                    )));
                }
            }
            let mut these = file.model;
            // The longest name that fits is the most exact.
            these.sort_by_key(|row| std::cmp::Reverse(row.name.len()));
            rows.extend(these);
        }
        Ok(Self(rows))
    }

    /// What the engine asks.
    pub fn facts(&self, kind: ProviderKind, model: &str) -> ModelFacts {
        let Some(row) = self.row(kind, model) else {
            return match kind {
                // They think of nothing, and cost nothing.
                ProviderKind::Demo | ProviderKind::Scripted => ModelFacts {
                    price: Some(Price::default()),
                    ..ModelFacts::default()
                },
                _ => ModelFacts::default(),
            };
        };
        ModelFacts {
            context_tokens_max: row.context_tokens_max,
            output_tokens_max: row.output_tokens_max,
            price: row.price,
        }
    }

    /// What a translation asks.
    pub fn traits(&self, kind: ProviderKind, model: &str) -> Traits {
        let Some(row) = self.row(kind, model) else {
            return Traits {
                sampling: true,
                ..Traits::default()
            };
        };
        Traits {
            efforts: row.efforts.clone(),
            adaptive: row.adaptive,
            sampling: row.sampling,
            ..Traits::default()
        }
    }

    fn row(&self, kind: ProviderKind, model: &str) -> Option<&Row> {
        let protocol = match kind {
            ProviderKind::Anthropic => Protocol::Anthropic,
            ProviderKind::OpenaiChat | ProviderKind::OpenaiResponses => Protocol::Openai,
            ProviderKind::Scripted | ProviderKind::Demo => return None,
        };
        let fits = |row: &&Row| row.protocol == protocol && is_of(model, &row.name);
        self.0.iter().find(fits)
    }
}

/// Whether a model is the named one: by its name, or with a date (`-2025-08-07`, `-20250929`, `@…`),
/// or as its newest (`-latest`). `gpt-5-mini` is no `gpt-5`.
fn is_of(model: &str, name: &str) -> bool {
    let Some(rest) = model.strip_prefix(name) else {
        return false;
    };
    if rest.is_empty() || rest == "-latest" || rest.starts_with('@') {
        return true;
    }
    let dated = rest.strip_prefix('-').unwrap_or_default();
    dated.len() >= 4 && dated.chars().all(|c| c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn price_of(table: &Table, kind: ProviderKind, model: &str) -> Option<u64> {
        table.facts(kind, model).price.map(|price| price.input)
    }

    #[test]
    fn a_dated_name_is_its_models_and_a_variant_is_not() {
        let check = |model: &str, name: &str, expected: bool| {
            assert_eq!(is_of(model, name), expected, "{model} {name}");
        };
        check("gpt-5", "gpt-5", true);
        check("gpt-5-2025-08-07", "gpt-5", true);
        check("claude-haiku-4-5-20251001", "claude-haiku-4-5", true);
        check("claude-haiku-4-5@20251001", "claude-haiku-4-5", true);
        check("claude-haiku-4-5-latest", "claude-haiku-4-5", true);
        check("gpt-5-mini", "gpt-5", false);
        check("gpt-5.1", "gpt-5", false);
        check("claude-opus-5-5", "claude-opus-5", false);
        check("xgpt-5", "gpt-5", false);
    }

    #[test]
    fn the_table_that_comes_along_is_sound() {
        let table = Table::read(None).unwrap();
        for row in &table.0 {
            assert!(
                row.output_tokens_max <= row.context_tokens_max,
                "{}",
                row.name
            );
            let price = row.price.unwrap();
            assert!(price.output >= price.input, "{}", row.name);
            assert!(
                price.cache_read.is_none_or(|it| it <= price.input),
                "{}",
                row.name
            );
            let same = table
                .0
                .iter()
                .filter(|it| it.name == row.name && it.protocol == row.protocol);
            assert_eq!(same.count(), 1, "{}", row.name);
        }
        let chat = ProviderKind::OpenaiChat;
        assert_eq!(
            table
                .facts(chat, "gpt-4o-mini-2024-07-18")
                .context_tokens_max,
            128_000
        );
        assert_eq!(
            table.facts(chat, "gpt-4o-mini"),
            table.facts(ProviderKind::OpenaiResponses, "gpt-4o-mini")
        );
        assert_eq!(price_of(&table, ProviderKind::Anthropic, "gpt-4o"), None);
        assert_eq!(table.facts(chat, "llama3:8b"), ModelFacts::default());
        assert_eq!(price_of(&table, ProviderKind::Demo, ""), Some(0));
        assert!(
            table
                .traits(ProviderKind::Anthropic, "claude-opus-5")
                .adaptive
        );
        assert!(!table.traits(chat, "o3").sampling);
        assert!(table.traits(chat, "anything").sampling);
    }

    #[test]
    fn an_operators_rows_win_and_are_read_strictly() {
        let own = r#"
            [[model]]
            name = "gpt-4o"
            protocol = "openai"
            context_tokens_max = 1000
            output_tokens_max = 100
            price = { input = 7, output = 7 }
            [[model]]
            name = "llama3"
            protocol = "openai"
            context_tokens_max = 8192
            output_tokens_max = 4096
        "#;
        let table = Table::read(Some(own)).unwrap();
        let chat = ProviderKind::OpenaiChat;
        assert_eq!(price_of(&table, chat, "gpt-4o-2024-08-06"), Some(7));
        assert_eq!(price_of(&table, chat, "gpt-4o-mini"), Some(150_000));
        assert_eq!(table.facts(chat, "llama3").price, None);
        assert_eq!(table.facts(chat, "llama3").context_tokens_max, 8192);
        let refused = Table::read(Some("[[model]]\nname = \"x\"\nprize = 3"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("prize"), "{refused}");
        assert!(Table::read(Some(&" ".repeat(TABLE_BYTES_MAX + 1))).is_err());
    }
}
