//! The dependency names of one `Cargo.toml`.

/// Which table a dependency stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[dependencies]` and `[build-dependencies]`: what the crate is made of.
    Made,
    /// `[dev-dependencies]`: its tests only.
    Dev,
}

/// Every dependency of a manifest, those of `[target.*]` included; or why it cannot be read.
pub fn dependencies(text: &str) -> Result<Vec<(String, Kind)>, String> {
    let manifest: toml::Table = text.parse().map_err(|error| format!("not TOML: {error}"))?;
    let mut found = Vec::new();
    collect(&manifest, &mut found);
    if let Some(toml::Value::Table(targets)) = manifest.get("target") {
        for target in targets.values().filter_map(toml::Value::as_table) {
            collect(target, &mut found);
        }
    }
    Ok(found)
}

fn collect(table: &toml::Table, found: &mut Vec<(String, Kind)>) {
    let kinds = [
        ("dependencies", Kind::Made),
        ("build-dependencies", Kind::Made),
        ("dev-dependencies", Kind::Dev),
    ];
    for (key, kind) in kinds {
        let Some(dependencies) = table.get(key).and_then(toml::Value::as_table) else {
            continue;
        };
        for (name, value) in dependencies {
            // `x = { package = "y" }` is y under another name.
            let real = value
                .get("package")
                .and_then(toml::Value::as_str)
                .unwrap_or(name);
            found.push((real.to_string(), kind));
        }
    }
}

/// The crate a path belongs to: `crates/NAME/Cargo.toml` gives NAME.
pub fn crate_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
    (!name.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_every_table() {
        let text = "[dependencies]\na = \"1\"\nx = { package = \"b\" }\n\
                    [target.'cfg(unix)'.dependencies]\nc.workspace = true\n\
                    [dev-dependencies]\nd = \"1\"\n[build-dependencies]\ne = \"1\"\n";
        let mut found = dependencies(text).unwrap();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<(&str, Kind)> = found.iter().map(|(name, kind)| (&**name, *kind)).collect();
        let made = Kind::Made;
        assert_eq!(
            names,
            [
                ("a", made),
                ("b", made),
                ("c", made),
                ("d", Kind::Dev),
                ("e", made)
            ]
        );
        assert!(dependencies("[").is_err());
    }
}
