//! The agents of the tour, as they are shipped: the very files of `examples/`, inside the binary.

use crate::cli::Package;
use crate::failure::{Failure, Outcome};
use caxton_api::v1::{CreateToolRequest, WasmTool};

/// One shipped agent.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    pub name: &'static str,
    pub manifest: &'static str,
    pub component: &'static [u8],
    /// What it does, in a few words.
    pub role: &'static str,
}

macro_rules! member {
    ($name:literal, $folder:literal, $component:literal, $role:literal) => {
        Member {
            name: $name,
            manifest: include_str!(concat!("../../../../examples/", $folder, "/agent.toml")),
            component: include_bytes!(concat!("../../../../examples/", $folder, "/", $component)),
            role: $role,
        }
    };
}

/// All of them, in the order in which they enter.
pub const CAST: [Member; 6] = [
    member!("echo", "echo", "echo.wasm", "says what it hears"),
    member!(
        "counter",
        "counter",
        "counter.wasm",
        "keeps a count in durable state"
    ),
    member!(
        "buyer",
        "market/buyer",
        "buyer.wasm",
        "calls for proposals and takes the best"
    ),
    member!(
        "seller-a",
        "market/seller-a",
        "seller.wasm",
        "cheap, small quantities only"
    ),
    member!(
        "seller-b",
        "market/seller-b",
        "seller.wasm",
        "one price for all"
    ),
    member!(
        "seller-c",
        "market/seller-c",
        "seller.wasm",
        "dear, with a discount"
    ),
];

/// The assistant of the tour: a manifest is all it is made of.
pub const ASSISTANT: &str = include_str!("../../../../examples/assistant/agent.toml");

/// What is deployed of it.
pub fn assistant() -> Package {
    Package {
        name: "assistant".to_owned(),
        manifest: ASSISTANT.to_owned(),
        component: None,
    }
}

/// The assistant with tools: its manifest, and the script that its model plays.
const CLERK: (&str, &[u8]) = (
    include_str!("../../../../examples/clerk/agent.toml"),
    include_bytes!("../../../../examples/clerk/clerk.json"),
);

/// What is deployed of it.
pub fn clerk() -> Outcome<Package> {
    let (manifest, script) = CLERK;
    let broken = |error: serde_json::Error| Failure::plain(format!("clerk.json: {error}"));
    let script: serde_json::Value = serde_json::from_slice(script).map_err(broken)?;
    let bundle = serde_json::json!({"scripts": {"clerk.json": script}});
    Ok(Package {
        name: "clerk".to_owned(),
        manifest: manifest.to_owned(),
        component: Some(bundle.to_string().into_bytes()),
    })
}

/// The tool that is a component.
pub fn wordcount() -> CreateToolRequest {
    let component = include_bytes!("../../../../examples/wordcount/wordcount.wasm");
    CreateToolRequest {
        name: "wordcount".to_owned(),
        description: "Counts words.".to_owned(),
        wasm: Some(WasmTool {
            component: Some(component.as_slice().into()),
            digest: None,
        }),
        ..CreateToolRequest::default()
    }
}

impl Member {
    pub fn package(&self) -> Package {
        Package {
            name: self.name.to_owned(),
            manifest: self.manifest.to_owned(),
            component: Some(self.component.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_those_of_the_manifests() {
        for member in CAST {
            let manifest = caxton_core::Manifest::parse(member.manifest).unwrap();
            assert_eq!(manifest.name.as_str(), member.name);
        }
    }
}
