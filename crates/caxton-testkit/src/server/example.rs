//! The example agents, from their folders, as they are or with another name or other limits.

use bytes::Bytes;
use caxton_core::{AgentName, Manifest};
use std::path::{Path, PathBuf};

/// An agent ready to be deployed.
#[derive(Clone, Debug)]
pub struct Example {
    pub manifest: Manifest,
    pub component: Bytes,
}

impl Example {
    /// The agent in `examples/FOLDER`, such as `echo` or `market/buyer`.
    ///
    /// # Panics
    /// Where the folder has no such agent.
    pub fn load(folder: &str) -> Self {
        Self::load_from(&examples(), folder)
    }

    /// The agent in a folder laid out as `examples/` is.
    ///
    /// # Panics
    /// Where the folder has no such agent.
    pub fn load_from(examples: &Path, folder: &str) -> Self {
        let dir = examples.join(folder);
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let text = String::from_utf8(read("agent.toml")).expect("agent.toml is text");
        let manifest = Manifest::parse(&text).expect("agent.toml is a manifest");
        // An assistant has none.
        let component = manifest.component.as_deref().map(read);
        Self {
            component: component.unwrap_or_default().into(),
            manifest,
        }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.manifest.name = AgentName::parse(name).expect("a name");
        self
    }

    /// The same with another version.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.manifest.version = version.parse().expect("a version");
        self
    }

    /// The same with other bytes in place of its component.
    #[must_use]
    pub fn with_component(mut self, bytes: impl Into<Bytes>) -> Self {
        self.component = bytes.into();
        self
    }

    /// The same with a changed manifest.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Manifest)) -> Self {
        change(&mut self.manifest);
        self
    }

    pub fn name(&self) -> &str {
        self.manifest.name.as_str()
    }
}

/// The component of a shipped tool.
pub(super) fn tool(folder: &str) -> Bytes {
    let path = examples().join(folder).join(format!("{folder}.wasm"));
    let read = std::fs::read(&path);
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .into()
}

/// The repository's `examples/`.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}
