//! Tables: names, what may be called, fingerprints, secrets, definitions.
#![allow(clippy::unwrap_used)]
use super::permit::{Pattern, Why};
use super::*;
use serde_json::json;

fn rules(allow: &[&str], ask: &[&str], deny: &[&str]) -> Rules {
    let read = |list: &[&str]| list.iter().map(|it| Pattern::parse(it).unwrap()).collect();
    Rules {
        allow: read(allow),
        ask: read(ask),
        deny: read(deny),
        sandbox: false,
    }
}

fn verdict(
    tenant: &Rules,
    agent: &Rules,
    session: Option<&Rules>,
    id: &str,
    effect: Effect,
) -> Verdict {
    let layers = Layers {
        tenant,
        agent,
        session,
    };
    decide(&layers, &ToolId::parse(id).unwrap(), effect)
}

#[test]
fn names_are_read_as_they_are_written() {
    for text in [
        "fetch",
        "files.read",
        "github.create_issue",
        "agent:bob",
        "a.b.c",
    ] {
        assert_eq!(ToolId::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(ToolId::parse("fetch.fetch").unwrap().to_string(), "fetch");
    for text in [
        "",
        ".",
        "a.",
        "Fetch",
        "agent",
        "agent:",
        "agent:../x",
        "a b",
        "../a",
        "a/b",
    ] {
        assert!(ToolId::parse(text).is_err(), "{text:?}");
    }
    for text in ["*", "files", "files.read", "agent:*", "agent:bob"] {
        assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(
        Pattern::parse("files.*").unwrap(),
        Pattern::parse("files").unwrap()
    );
    for text in ["", "**", "*.read", "agent:", "files.re*"] {
        assert!(Pattern::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn nothing_is_allowed_that_the_manifest_does_not_name() {
    let silent = Rules::default();
    let check = |allow: &[&str], id: &str, effect, expected| {
        let agent = rules(allow, &[], &[]);
        assert_eq!(
            verdict(&silent, &agent, None, id, effect),
            expected,
            "{allow:?} {id}"
        );
    };
    let denied = |why| Verdict::Deny(Level::Agent, why);
    check(&[], "fetch", Effect::Reads, denied(Why::NotAllowed));
    check(&["files"], "fetch", Effect::Reads, denied(Why::NotAllowed));
    check(&["files"], "files.write", Effect::Acts, Verdict::Allow);
    check(
        &["files.read"],
        "files.write",
        Effect::Acts,
        denied(Why::NotAllowed),
    );
    check(&["*"], "files.read", Effect::Reads, Verdict::Allow);
    check(&["*"], "files.write", Effect::Acts, denied(Why::NotNamed));
    check(
        &["*", "files.write"],
        "files.write",
        Effect::Acts,
        Verdict::Allow,
    );
    check(&["agent:*"], "agent:bob", Effect::Acts, Verdict::Allow);
    check(
        &["agent:bob"],
        "agent:eve",
        Effect::Acts,
        denied(Why::NotAllowed),
    );
    check(&["*"], "agent:bob", Effect::Acts, denied(Why::NotNamed));
}

#[test]
fn what_one_layer_denies_no_other_allows() {
    let all = rules(&["files", "fetch"], &[], &[]);
    let silent = Rules::default();
    let deny = rules(&[], &[], &["files.write"]);
    for (tenant, session, level) in [
        (&deny, None, Level::Tenant),
        (&silent, Some(&deny), Level::Session),
    ] {
        let found = verdict(tenant, &all, session, "files.write", Effect::Acts);
        assert_eq!(found, Verdict::Deny(level, Why::Denied));
        let found = verdict(tenant, &all, session, "files.read", Effect::Reads);
        assert_eq!(found, Verdict::Allow);
    }
    // A session, like a tenant, can narrow and never widen.
    let only = rules(&["fetch"], &[], &[]);
    let found = verdict(&silent, &all, Some(&only), "files.read", Effect::Reads);
    assert_eq!(found, Verdict::Deny(Level::Session, Why::NotAllowed));
    let none = Rules::default();
    let found = verdict(&all, &none, Some(&all), "fetch", Effect::Reads);
    assert_eq!(found, Verdict::Deny(Level::Agent, Why::NotAllowed));
}

#[test]
fn what_is_to_be_asked_is_asked_unless_it_is_denied_or_shown_only() {
    let silent = Rules::default();
    let agent = rules(&["fetch"], &["files.write"], &[]);
    let check = |tenant: &Rules, session: Option<&Rules>, expected| {
        let found = verdict(tenant, &agent, session, "files.write", Effect::Acts);
        assert_eq!(found, expected);
    };
    check(&silent, None, Verdict::Ask(Level::Agent));
    check(
        &rules(&[], &["files"], &[]),
        None,
        Verdict::Ask(Level::Tenant),
    );
    check(
        &silent,
        Some(&rules(&[], &[], &["files"])),
        Verdict::Deny(Level::Session, Why::Denied),
    );
    let sandbox = Rules {
        sandbox: true,
        ..Rules::default()
    };
    check(&silent, Some(&sandbox), Verdict::Pretend(Level::Session));
    let found = verdict(&sandbox, &agent, None, "files.read", Effect::Reads);
    assert_eq!(found, Verdict::Deny(Level::Agent, Why::NotAllowed));
    // `ask` of a tenant allows nothing that the manifest does not.
    let tenant = rules(&[], &["agent:bob"], &[]);
    let found = verdict(&tenant, &agent, None, "agent:bob", Effect::Acts);
    assert_eq!(found, Verdict::Deny(Level::Agent, Why::NotAllowed));
}

#[test]
fn a_fingerprint_tells_every_change_and_no_other_order() {
    let function = Function {
        name: FunctionName::parse("f").unwrap(),
        description: "says".to_owned(),
        input: json!({"type": "object", "properties": {"a": {}, "b": {}}}),
        output: None,
        effect: Effect::Reads,
        repeatable: false,
    };
    let before = function.fingerprint();
    let mut same = function.clone();
    same.input = json!({"properties": {"b": {}, "a": {}}, "type": "object"});
    assert_eq!(same.fingerprint(), before);
    let changes: [fn(&mut Function); 4] = [
        |it| it.description.push('!'),
        |it| it.input = json!({"type": "object"}),
        |it| it.output = Some(json!({})),
        |it| it.effect = Effect::Acts,
    ];
    for change in changes {
        let mut other = function.clone();
        change(&mut other);
        assert_ne!(other.fingerprint(), before);
    }
}

#[test]
fn secrets_are_found_wherever_a_schema_puts_them() {
    let schema = json!({
        "type": "object",
        "$defs": {"secret": {"type": "string", "writeOnly": true}},
        "properties": {
            "user": {"type": "string"},
            "password": {"type": "string", "format": "password"},
            "token": {"$ref": "#/$defs/secret"},
            "list": {"type": "array", "items": {"allOf": [{"x-secret": true}]}},
            "deep": {"oneOf": [{"properties": {"key": {"x-secret": true}}}]},
        },
    });
    let given = json!({
        "user": "ann", "password": "p1", "token": "t1", "list": ["l1"], "deep": {"key": "k1", "n": 1},
    });
    let kept = redact::arguments(&schema, &given);
    let secret = json!("[redacted]");
    assert_eq!(
        kept,
        json!({
            "user": "ann", "password": secret, "token": secret, "list": [secret],
            "deep": {"key": secret, "n": 1},
        })
    );
    // A schema that refers to itself ends.
    let circle = json!({"$ref": "#", "properties": {"a": {"$ref": "#"}}, "allOf": [{"$ref": "#"}]});
    redact::arguments(&circle, &json!({"a": {"a": {"a": 1}}}));
    let long = redact::arguments(&json!({}), &json!({"text": "ä".repeat(5_000)}));
    assert!(long["text"].as_str().unwrap().contains("6000 bytes more"));
}

#[test]
fn definitions_are_checked_before_anything_is_reached() {
    let tool = |path: &str, method: &str| {
        let value = json!({
            "kind": "http",
            "base_url": "https://api.example.com",
            "functions": [{
                "name": "get", "input": {"type": "object", "properties": {"id": {}}},
                "method": method, "path": path,
            }],
        });
        serde_json::from_value::<Definition>(value).unwrap().check()
    };
    tool("/a/{id}", "GET").unwrap();
    for (path, method) in [
        ("/a/{other}", "GET"),
        ("a", "GET"),
        ("/{id", "GET"),
        ("/", "CONNECT"),
    ] {
        assert_eq!(tool(path, method).unwrap_err().code, Code::ToolMalformed);
    }
    let mcp = json!({"kind": "mcp", "place": {"url": "file:///etc/passwd"}});
    let mcp: Definition = serde_json::from_value(mcp).unwrap();
    assert!(mcp.check().is_err());
}
