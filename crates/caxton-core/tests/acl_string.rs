//! The string form (SC00070) as a table: what is read as what, what is written, what is refused
//! where and with which code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::message::acl_string::{NESTING_MAX, read, write};
use caxton_core::message::json;
use caxton_core::{Acl, AgentId, Code, ConversationId, Performative, Timestamp};
use serde_json::{Value, json};
use support::home;

/// Reads, and compares in the JSON form.
#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: Value) {
    let text = text.as_ref();
    let acl = read(text, &home()).unwrap_or_else(|error| {
        panic!("{}: {error}", String::from_utf8_lossy(text));
    });
    assert_eq!(json::write(&acl), expected);
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, code: Code, expected: &str) {
    let text = text.as_ref();
    let shown = String::from_utf8_lossy(text);
    let error = read(text, &home()).expect_err(&shown);
    assert_eq!(error.code, code, "{shown}: {error}");
    assert!(error.detail.contains(expected), "{shown}: {error}");
}

#[test]
fn a_whole_message_reads() {
    let text = r#"(request :sender (agent-identifier :name a@acme :addresses (sequence http://x:1/acc iiop://y)
        :resolvers (sequence (agent-identifier :name r@default)))
        :receiver (set (agent-identifier :name b) (agent-identifier :name c@acme))
        :reply-to (set (agent-identifier :name d)) :content "add \"1\"" :language fipa-sl
        :encoding utf-8 :ontology sums :reply-with r1 :in-reply-to q1
        :reply-by 20261122T050922049Z :protocol fipa-request :conversation-id c1 :X-trace abc)"#;
    check(
        text,
        json!({
            "performative": "request",
            "sender": {"name": "a@acme", "addresses": ["http://x:1/acc", "iiop://y"],
                       "resolvers": [{"name": "r@default"}]},
            "receiver": [{"name": "b@acme"}, {"name": "c@acme"}],
            "replyTo": [{"name": "d@acme"}],
            "content": "add \"1\"",
            "language": "fipa-sl", "encoding": "utf-8", "ontology": "sums",
            "protocol": "fipa-request", "conversationId": "c1",
            "replyWith": "r1", "inReplyTo": "q1",
            "replyBy": "2026-11-22T05:09:22.049Z",
            "userParameters": {"X-trace": "abc"},
        }),
    );
}

#[test]
fn case_does_not_matter_and_every_act_reads() {
    for act in Performative::ALL {
        let text = format!("({act})");
        assert_eq!(read(text.as_bytes(), &home()).unwrap(), Acl::new(act));
        assert_eq!(write(&Acl::new(act)), text.as_bytes());
        let upper = text.to_uppercase();
        assert_eq!(read(upper.as_bytes(), &home()).unwrap(), Acl::new(act));
    }
    check(
        "(INFORM :RECEIVER (SET (AGENT-IDENTIFIER :NAME b)) :Content \"x\" :x-Trace v)",
        json!({"performative": "inform", "receiver": [{"name": "b@acme"}], "content": "x",
               "userParameters": {"x-Trace": "v"}}),
    );
}

#[test]
fn the_only_escape_is_the_quote() {
    let content = |text: &[u8], expected: &str| {
        let whole = [b"(inform :content ".as_slice(), text, b")"].concat();
        check(
            whole,
            json!({"performative": "inform", "content": expected}),
        );
    };
    content(br#""a\nb""#, "a\\nb");
    content(br#""a\\b""#, "a\\\\b");
    content(br#""a\"b""#, "a\"b");
    content(br#""a\\"b""#, "a\\\"b");
    content(b"\"a\r\n\t(b)\"", "a\r\n\t(b)");
    content(br#"#2"a\"#, "a\\");
    content(br#"#6"(")\" "#, "(\")\\\" ");
    content("\"é\"".as_bytes(), "é");
    check("(inform :content \"\")", json!({"performative": "inform"}));
    check(
        b"(inform :content #2\"\xff\x00)",
        json!({"performative": "inform", "contentBase64": "/wA="}),
    );
}

#[test]
fn a_value_is_a_word_a_number_a_time_a_string_or_an_expression() {
    for (written, expected) in [
        ("word", "word"),
        ("a\"b", "a\"b"),
        (":odd", ":odd"),
        ("@sent-by-jade", "@sent-by-jade"),
        ("42", "42"),
        ("-1.5e3", "-1.5e3"),
        ("20261122T050922049Z", "20261122T050922049Z"),
        ("\"two words\"", "two words"),
        ("#3\"a)b", "a)b"),
        ("(a (b \")\") #1\") 7)", "(a (b \")\") #1\") 7)"),
    ] {
        check(
            format!("(inform :language {written} :ontology o)"),
            json!({"performative": "inform", "language": expected, "ontology": "o"}),
        );
    }
}

#[test]
fn both_forms_of_time_read() {
    for text in [
        "20261122T050912049Z",
        "20261122Z050912049",
        "20261122T050912049",
    ] {
        check(
            format!("(cfp :reply-by {text})"),
            json!({"performative": "cfp", "replyBy": "2026-11-22T05:09:12.049Z"}),
        );
    }
    refused(
        "(cfp :reply-by +00000000T000005000)",
        Code::TimeMalformed,
        "relative",
    );
    refused(
        "(cfp :reply-by 20261322T050912049Z)",
        Code::TimeMalformed,
        "at byte 15: :reply-by",
    );
    refused(
        "(cfp :reply-by \"tomorrow\")",
        Code::TimeMalformed,
        ":reply-by",
    );
}

#[test]
fn what_is_refused_is_named_with_its_place() {
    for (text, expected) in [
        (
            "",
            "at byte 0: expected `(`, with which a message begins, found the end of the text",
        ),
        ("inform", "at byte 0: expected `(`"),
        ("(", "at byte 1: expected a communicative act"),
        ("()", "at byte 1: expected a communicative act, found `)`"),
        (
            "(inform",
            "at byte 7: expected a parameter, which begins with `:`, or `)`",
        ),
        (
            "(inform) x",
            "at byte 9: expected nothing after the message, found `x`",
        ),
        ("(inform :)", "at byte 9: expected a parameter's name"),
        ("(inform content \"x\")", "at byte 8: expected a parameter"),
        ("(inform :content hello)", "at byte 17: expected a string"),
        (
            "(inform :content \"x)",
            "at byte 17: the string that begins here has no closing",
        ),
        (
            "(inform :content \"x\\\")",
            "at byte 17: the string that begins here has no closing",
        ),
        (
            "(inform :content #9\"x)",
            "at byte 17: a string of 9 bytes is announced and 2 are left",
        ),
        (
            "(inform :content #\"x\")",
            "at byte 17: expected a length of 1 to 9 digits",
        ),
        (
            "(inform :content #1234567890\"x)",
            "at byte 17: expected a length of 1 to 9 digits",
        ),
        (
            "(inform :content #1x)",
            "at byte 19: expected `\"` after the length",
        ),
        (
            "(inform :language 9abc)",
            "at byte 18: `9abc` is not a word",
        ),
        ("(inform :language -x)", "at byte 18: `-x` is not a word"),
        ("(inform :language )", "at byte 18: expected a word"),
        ("(inform :language (a)", "at byte 21: expected a parameter"),
        (
            "(inform :language x :LANGUAGE y)",
            "at byte 21: `:language` stands twice",
        ),
        ("(inform :X-a x :x-A y)", "at byte 16: `:x-A` stands twice"),
        (
            "(inform :receiver (agent-identifier :name a))",
            "expected `set`, found `agent-identifier`",
        ),
        ("(inform :receiver a@b)", "at byte 18: expected `(set …)`"),
        (
            "(inform :sender (set))",
            "expected `agent-identifier`, found `set`",
        ),
        (
            "(inform :sender (agent-identifier))",
            "at byte 16: the agent identifier has no `:name`",
        ),
        (
            "(inform :sender (agent-identifier :name a :name b))",
            "`:name` stands twice",
        ),
    ] {
        refused(text, Code::AclSyntax, expected);
    }
    refused(
        b"(inform :language \"\xff\")",
        Code::AclSyntax,
        "at byte 18: the value that begins here is not UTF-8",
    );
}

#[test]
fn unknown_words_are_answered_with_the_nearest() {
    refused("(query)", Code::PerformativeUnknown, "at byte 1: `query`");
    refused(
        "(inform :contents \"x\")",
        Code::FieldUnknown,
        "at byte 9: `:contents` is not a parameter here, and one's own begin with `X-`; did you mean `:content`?",
    );
    refused(
        "(inform :reply_to (set))",
        Code::FieldUnknown,
        "`:reply-to`",
    );
    refused("(inform :X- v)", Code::FieldUnknown, "`:X-`");
    refused(
        "(inform :sender (agent-identifier :nam a))",
        Code::FieldUnknown,
        "`:name`",
    );
}

#[test]
fn names_of_other_platforms_are_refused_by_name() {
    let to = |name: &str| format!("(inform :receiver (set (agent-identifier :name {name})))");
    refused(
        to("a@host:1099/JADE"),
        Code::TenantIdMalformed,
        "in the agent name `a@host:1099/JADE`",
    );
    refused(
        to("a@host:1099/JADE"),
        Code::TenantIdMalformed,
        "at byte 47: :receiver",
    );
    refused(
        to("\"a b\""),
        Code::AgentNameMalformed,
        "`a b` is not an agent name",
    );
    refused(to("../x"), Code::AgentNameMalformed, "`../x`");
    refused(
        "(inform :conversation-id \"\")",
        Code::IdMalformed,
        "at byte 25: :conversation-id",
    );
}

#[test]
fn parameters_of_an_identifier_that_are_not_kept_are_still_read() {
    check(
        "(inform :sender (agent-identifier :X-role (a b) :name a))",
        json!({"performative": "inform", "sender": {"name": "a@acme"}}),
    );
}

#[test]
fn nesting_and_numbers_are_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("(".repeat(depth), ")".repeat(depth));
        format!("(inform :language {open}{close})")
    };
    assert!(read(nested(NESTING_MAX).as_bytes(), &home()).is_ok());
    refused(
        nested(NESTING_MAX + 1),
        Code::AclSyntax,
        "nested deeper than 32",
    );
    refused(nested(100_000), Code::AclSyntax, "nested deeper than 32");
    let resolvers = "(agent-identifier :name a :resolvers (sequence ".repeat(10_000);
    refused(
        format!("(inform :sender {resolvers}"),
        Code::AclSyntax,
        "nested deeper than 32",
    );
    let crowd = "(agent-identifier :name a)".repeat(257);
    refused(
        format!("(inform :receiver (set {crowd}))"),
        Code::AclSyntax,
        ":receiver has more than 256 agents",
    );
    let many: String = (0..77).map(|n| format!(":X-{n} v ")).collect();
    refused(
        format!("(inform {many})"),
        Code::AclSyntax,
        "more parameters than are allowed",
    );
}

#[test]
fn each_value_is_written_in_its_plainest_unambiguous_form() {
    let mut acl = Acl::new(Performative::Inform);
    let written = |acl: &Acl| String::from_utf8(write(acl)).unwrap();
    for (value, expected) in [
        ("word", "word"),
        ("text/plain;charset=utf-8", "text/plain;charset=utf-8"),
        ("two words", "\"two words\""),
        ("42", "\"42\""),
        ("+5", "\"+5\""),
        (":content", "\":content\""),
        ("say \"hi\"", "\"say \\\"hi\\\"\""),
        ("é", "\"é\""),
        ("(x)", "\"(x)\""),
        ("ends\\", "ends\\"),
        ("it ends\\", "#8\"it ends\\"),
        ("nul\0", "#4\"nul\0"),
        ("", "\"\""),
    ] {
        acl.language = Some(value.to_owned());
        assert_eq!(written(&acl), format!("(inform :language {expected})"));
    }
}

#[test]
fn a_whole_message_is_written_in_order() {
    let mut acl = Acl::new(Performative::AcceptProposal)
        .to(AgentId::parse("b", &home()).unwrap())
        .content("x");
    acl.sender = Some(AgentId::parse("a", &home()).unwrap().into());
    acl.conversation_id = Some(ConversationId::parse("c1").unwrap());
    acl.reply_by = Some(Timestamp::parse_rfc3339("2026-11-22T05:09:22.0499Z").unwrap());
    acl.user_parameters = vec![("X-b".into(), "2".into()), ("X-a".into(), "1".into())];
    let expected = "(accept-proposal :sender (agent-identifier :name a@acme) \
        :receiver (set (agent-identifier :name b@acme)) :content \"x\" :conversation-id c1 \
        :reply-by 20261122T050922049Z :X-b \"2\" :X-a \"1\")";
    assert_eq!(String::from_utf8(write(&acl)).unwrap(), expected);
}

#[test]
fn no_user_parameter_can_forge_another() {
    let mut acl = Acl::new(Performative::Inform);
    acl.user_parameters = vec![
        (
            "X-a :sender (agent-identifier :name ams) :X-b".into(),
            "v".into(),
        ),
        ("sender".into(), "v".into()),
        ("X-ok".into(), "v) (cancel".into()),
    ];
    assert_eq!(write(&acl), b"(inform :X-ok \"v) (cancel\")");
}
