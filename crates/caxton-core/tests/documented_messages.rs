//! The examples of docs/fipa-acl.md are messages, and where both forms stand they are the same one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use caxton_core::message::{RECEIVERS_MAX, USER_PARAMETERS_MAX, acl_string, json};
use caxton_core::{Acl, Code, Performative};
use support::{home, whole};

const PAGE: &str = include_str!("../../../docs/fipa-acl.md");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = PAGE.split(fence.as_str()).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn the_examples_read_and_the_two_forms_agree() {
    let read = |result: Result<Acl, caxton_core::Error>| result.unwrap_or_else(|e| panic!("{e}"));
    let (jsons, strings) = (blocks("json"), blocks("lisp"));
    assert_eq!((jsons.len(), strings.len()), (2, 2));
    for (json, string) in jsons.into_iter().zip(strings) {
        let json = read(json::read(json.as_bytes(), &home()));
        let string = read(acl_string::read(string.as_bytes(), &home()));
        assert_eq!(json.validate(), Ok(()));
        assert_eq!(whole(&json), whole(&string));
    }
}

#[test]
fn the_page_names_every_act_and_the_limits() {
    for act in Performative::ALL {
        assert!(PAGE.contains(&format!("\n| `{act}` | ")), "{act}");
    }
    for code in [
        Code::TenantIdMalformed,
        Code::AgentNameMalformed,
        Code::IdMalformed,
        Code::TimeMalformed,
        Code::MessageMalformed,
        Code::PerformativeUnknown,
        Code::AclSyntax,
        Code::JsonMalformed,
        Code::FieldUnknown,
        Code::MessageTooLarge,
    ] {
        assert!(PAGE.contains(&format!("`{code}`")), "{code}");
    }
    let limits = [
        format!("| {RECEIVERS_MAX} each, none twice |"),
        format!("| user parameters | {USER_PARAMETERS_MAX};"),
        format!("follow | {}, in JSON", json::NESTING_MAX),
        format!("take | {} MiB;", json::TEXT_BYTES_MAX >> 20),
    ];
    for limit in limits {
        assert!(PAGE.contains(&limit), "{limit}");
    }
    assert_eq!(json::NESTING_MAX, acl_string::NESTING_MAX);
    assert_eq!(json::TEXT_BYTES_MAX, acl_string::TEXT_BYTES_MAX);
}
