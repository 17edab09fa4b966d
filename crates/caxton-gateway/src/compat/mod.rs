//! The compatible doors: where clients made for `OpenAI` and `Anthropic` work with no more than
//! another address and key.
//!
//! Each dialect is read and written by pure functions ([`openai_chat`], [`openai_responses`],
//! [`anthropic`]); what is asked and what comes of it are turns like any other, so that limits,
//! permissions, accounts and resumption are the same at every door. docs/compatible-doors.md says
//! what they do and do not do.

mod answer;
mod anthropic;
mod asked;
pub(crate) mod blocks;
mod door;
pub(crate) mod error;
#[cfg(test)]
mod golden;
mod models;
mod openai_chat;
mod openai_responses;
pub(crate) mod read;
mod routes;
mod stored;

pub(crate) use routes::{operations, router};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::collections::BTreeMap;

    use serde_json::Value;

    /// The OpenAPI document has them from a file that is kept by hand.
    #[test]
    fn the_document_has_these_routes_and_no_others() {
        let document: Value = serde_json::from_str(caxton_api::OPENAPI).unwrap();
        let mut documented = BTreeMap::new();
        for (path, verbs) in document["paths"].as_object().unwrap() {
            for (verb, operation) in verbs.as_object().unwrap() {
                let tag = operation["tags"][0].as_str().unwrap();
                if ["openai", "anthropic"].contains(&tag) {
                    let permission = operation["x-caxton-permission"].as_str().unwrap();
                    let answers = &operation["responses"]["200"]["content"];
                    let streams = answers.get("text/event-stream").is_some();
                    let it = (permission.to_owned(), streams);
                    documented.insert(format!("{verb} {path}"), it);
                }
            }
        }
        let rows = super::operations().into_iter();
        let rows = rows.filter(|(_, path)| !path.is_empty());
        let routed: BTreeMap<_, _> = rows
            .map(|(it, path)| {
                let name = format!("{} {path}", it.verb);
                (name, (it.permission.to_owned(), it.streams))
            })
            .collect();
        assert_eq!(documented, routed);
    }
}
