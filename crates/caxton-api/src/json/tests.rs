//! Tables of texts, and serde_json as the judge of the grammar.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::v1;

fn fault(text: &str) -> Fault {
    check(text.as_bytes()).expect_err(text)
}

#[test]
fn json_is_accepted() {
    for text in [
        "{}",
        "[]",
        " \t\r\n0 ",
        "-0.5e+10",
        "\"\"",
        "true",
        "false",
        "null",
        "[[],{},[{}]]",
        r#"{"a":1,"b":{"a":1},"A":[{"a":1},{"a":1}]}"#,
        r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀""#,
    ] {
        assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
    }
}

#[test]
fn what_is_no_json_is_refused_at_its_place() {
    let check = |text: &str, offset| {
        let fault = fault(text);
        assert!(
            matches!(fault.kind, FaultKind::Syntax(_)),
            "{text}: {fault}"
        );
        assert_eq!(fault.offset, offset, "{text}: {fault}");
    };
    check("", 0);
    check("{", 1);
    check("[1,", 3);
    check("[1 2]", 3);
    check("[1,]", 3);
    check(r#"{"a":1,}"#, 7);
    check(r#"{"a" 1}"#, 5);
    check("{a:1}", 1);
    check("01", 1);
    check("1.", 2);
    check("-", 1);
    check("+1", 0);
    check("1e", 2);
    check("nul", 0);
    check("NaN", 0);
    check("\"\n\"", 1);
    check("\"abc", 4);
    check(r#""\x""#, 2);
    check(r#""\u12g4""#, 5);
    check("{} {}", 3);
    check("[}", 1);
    check("'a'", 0);
    check("\u{feff}{}", 0);
}

#[test]
fn a_repeated_key_is_refused_however_it_is_spelled() {
    for text in [
        r#"{"key":1,"key":1}"#,
        r#"{"key":1,"\u006bey":2}"#,
        r#"[{"x":{"key":1,"k":2,"key":3}}]"#,
    ] {
        assert_eq!(
            fault(text).kind,
            FaultKind::DuplicateKey("key".to_owned()),
            "{text}"
        );
    }
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\ud800""#,
        r#"{"\udfff":1}"#,
    ] {
        assert_eq!(fault(text).kind, FaultKind::LoneSurrogate, "{text}");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    let found = check(b"{\"a\":\"\xff\"}").unwrap_err();
    assert_eq!(
        found,
        Fault {
            offset: 6,
            kind: FaultKind::Utf8
        }
    );
}

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(check(nested(DEPTH_MAX).as_bytes()), Ok(()));
    assert_eq!(fault(&nested(DEPTH_MAX + 1)).kind, FaultKind::Depth);
    assert_eq!(fault(&"[".repeat(10_000_000)).kind, FaultKind::Depth);
    assert_eq!(fault(&r#"{"a":"#.repeat(100)).kind, FaultKind::Depth);
}

#[test]
fn misfits_name_the_field() {
    let check = |text: &str, code, expected: &str| {
        let error = read::<v1::MessageDraft>(text.as_bytes()).unwrap_err();
        assert_eq!(error.code, code, "{text}: {error}");
        assert!(error.detail.contains(expected), "{text}: {}", error.detail);
    };
    check(
        r#"{"perfomative":"inform"}"#,
        Code::FieldUnknown,
        "`perfomative`; did you mean `performative`?",
    );
    check(
        r#"{"receiver":[{"nam":"a"}]}"#,
        Code::FieldUnknown,
        "`nam`; did you mean `name`?",
    );
    check(
        r#"{"zzz":1}"#,
        Code::FieldUnknown,
        "known are performative, receiver,",
    );
    check(
        r#"{"performative":3}"#,
        Code::ParameterMalformed,
        "expected a string",
    );
    check(
        r#"{"content":"a","contentBase64":"YQ=="}"#,
        Code::ParameterMalformed,
        "exclude each other",
    );
    check(
        r#"{"contentBase64":"%%"}"#,
        Code::ParameterMalformed,
        "does not fit",
    );
    check(
        r#"{"replyBy":"tomorrow"}"#,
        Code::ParameterMalformed,
        "RFC 3339",
    );
    check("{", Code::JsonMalformed, "at byte 1");
}

#[test]
fn misfits_name_their_place_and_no_type_of_ours() {
    for (text, place, expected) in [
        (
            r#"{"receiver":["echo"]}"#,
            "receiver[0]",
            "expected an object",
        ),
        (
            r#"{"receiver":[{"name":5}]}"#,
            "receiver[0].name",
            "expected a string",
        ),
        (
            r#"{"contentBase64":"%%"}"#,
            "contentBase64",
            "Invalid symbol",
        ),
        (r#"{"receiver":[null]}"#, "receiver[0]", "null"),
    ] {
        let error = read::<v1::MessageDraft>(text.as_bytes()).unwrap_err();
        let (field, told) = &error.fields[0];
        assert_eq!(field, place, "{text}");
        assert!(told.contains(expected), "{text}: {told}");
        assert!(error.detail.starts_with(&format!("`{place}`")), "{text}");
        assert!(!error.detail.contains("caxton"), "{}", error.detail);
    }
}

#[test]
fn a_field_that_is_null_is_absent_and_a_null_among_values_stays() {
    let text = r#"{"performative":"inform","conversationId":null,"receiver":[{"name":"a","addresses":null}],
        "replyBy":null,"content":null,"language":null}"#;
    let read_whole: v1::MessageDraft = read(text.as_bytes()).unwrap();
    let without = r#"{"performative":"inform","receiver":[{"name":"a"}]}"#;
    let expected: v1::MessageDraft = read(without.as_bytes()).unwrap();
    assert_eq!(read_whole, expected);
    let text = r#"{"displayName":null,"id":"a"}"#;
    let tenant: v1::CreateTenantRequest = read(text.as_bytes()).unwrap();
    assert_eq!(
        (tenant.id.as_str(), tenant.display_name.as_str()),
        ("a", "")
    );
    // What is the user's own is not touched.
    let text = r#"{"tool":null,"arguments":{"a":null,"b":[null]}}"#;
    let call: v1::CallToolRequest = read(text.as_bytes()).unwrap();
    let kept = serde_json::to_value(call.arguments.unwrap()).unwrap();
    assert_eq!(kept, serde_json::json!({"a": null, "b": [null]}));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_serde_json_writes_is_accepted(value in value()) {
        prop_assert_eq!(check(serde_json::to_string(&value).unwrap().as_bytes()), Ok(()));
        prop_assert_eq!(check(serde_json::to_string_pretty(&value).unwrap().as_bytes()), Ok(()));
    }

    /// Near misses: a written value with a few bytes changed, cut or put in. What passes the check
    /// serde_json reads, and what fails for its grammar serde_json refuses.
    #[test]
    fn the_grammar_is_serde_jsons(
        value in value(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(br#"{}[]",:\u0d8cef1.-+ tn"#.to_vec()), 0..3_u8), 0..4),
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        for (place, byte, edit) in edits {
            let at = place.index(text.len() + 1);
            match edit {
                0 => text.insert(at, byte),
                1 if at < text.len() => text[at] = byte,
                _ => text.truncate(at),
            }
        }
        let judged = serde_json::from_slice::<serde::de::IgnoredAny>(&text).and(
            // IgnoredAny does not look into strings; Value does.
            serde_json::from_slice::<Value>(&text).map(|_| ()),
        );
        match check(&text) {
            Ok(()) => {
                // Numbers beyond f64 are grammar, but no Value.
                let range = judged.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
                prop_assert!(judged.is_ok() || range, "{judged:?}");
            }
            Err(Fault { kind: FaultKind::DuplicateKey(_) | FaultKind::Depth, .. }) => {}
            Err(fault) => prop_assert!(judged.is_err(), "{fault}"),
        }
    }

    #[test]
    fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&text);
    }
}

#[test]
fn what_is_no_object_is_malformed_and_named() {
    for (text, kind) in [
        ("[]", "a list"),
        (" [{\"performative\":\"inform\"}]", "a list"),
        ("\"x\"", "a string"),
        ("7", "a number"),
        ("-7", "a number"),
        ("true", "a boolean"),
        ("null", "null"),
    ] {
        let error = read::<crate::v1::Message>(text.as_bytes()).unwrap_err();
        assert_eq!(error.code, Code::JsonMalformed, "{text}");
        assert!(error.detail.contains(kind), "{text}: {error}");
    }
}

#[test]
fn a_number_that_its_field_cannot_hold_is_told_without_the_readers_own_words() {
    for limit in ["-5", "\"-5\"", "18446744073709551616", "\"many\"", "[]"] {
        let text = format!("{{\"limit\": {limit}}}");
        let error = read::<v1::QuotaLimit>(text.as_bytes()).unwrap_err();
        assert_eq!(error.code, Code::ParameterMalformed, "{text}");
        assert!(!error.detail.contains("enum"), "{}", error.detail);
    }
    let error = read::<v1::QuotaLimit>(b"{\"limit\": -5}").unwrap_err();
    assert!(
        error.detail.contains("a number is wanted"),
        "{}",
        error.detail
    );
}
