//! The JSON form as a table: what is read as what, and what is refused with which code and field.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::message::acl_string;
use caxton_core::message::json::{NESTING_MAX, TEXT_BYTES_MAX, read, write, write_message};
use caxton_core::{Code, Message, MessageId, Timestamp, TraceContext};
use serde_json::json;
use support::{home, whole};

#[track_caller]
fn refused(text: impl AsRef<[u8]>, code: Code, expected: &str) {
    let text = text.as_ref();
    let shown = String::from_utf8_lossy(&text[..text.len().min(200)]);
    let error = read(text, &home()).expect_err(&shown);
    assert_eq!(error.code, code, "{shown}: {error}");
    assert!(error.detail.contains(expected), "{shown}: {error}");
}

const WHOLE: &str = r#"{
    "performative": "REQUEST",
    "sender": {"name": "a", "addresses": ["http://x:1/acc"], "resolvers": [{"name": "r@default"}]},
    "receiver": [{"name": "b"}, {"name": "c@acme"}], "replyTo": [{"name": "d"}],
    "content": "add \"1\"\u0000\ud83e\udd80", "language": "fipa-sl", "encoding": "utf-8",
    "ontology": "sums", "protocol": "fipa-request", "conversationId": "c1", "replyWith": "r1",
    "inReplyTo": "q1", "replyBy": "2026-11-22T07:09:22.049123+02:00",
    "userParameters": {"X-b": "2", "X-a": ""}
}"#;

#[test]
fn a_whole_message_reads_and_is_written() {
    let acl = read(WHOLE.as_bytes(), &home()).unwrap();
    assert_eq!(acl.validate(), Ok(()));
    let expected = json!({
        "performative": "request",
        "sender": {"name": "a@acme", "addresses": ["http://x:1/acc"],
                   "resolvers": [{"name": "r@default"}]},
        "receiver": [{"name": "b@acme"}, {"name": "c@acme"}],
        "replyTo": [{"name": "d@acme"}],
        "content": "add \"1\"\u{0}🦀",
        "language": "fipa-sl", "encoding": "utf-8", "ontology": "sums",
        "protocol": "fipa-request", "conversationId": "c1", "replyWith": "r1", "inReplyTo": "q1",
        "replyBy": "2026-11-22T05:09:22.049123Z",
        "userParameters": {"X-b": "2", "X-a": ""},
    });
    assert_eq!(
        write(&acl).to_string(),
        expected.to_string(),
        "order counts too"
    );
}

#[test]
fn a_stamped_message_is_written_with_what_the_server_knows() {
    let parent = MessageId::parse("01935a2e-0000-7000-8000-000000000001").unwrap();
    let mut message = Message {
        id: MessageId::parse("01935a2e-0000-7000-8000-000000000002").unwrap(),
        tenant: home(),
        trace: TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .unwrap(),
        parent: Some(parent),
        hop: 3,
        waiting: None,
        created: Timestamp::parse_rfc3339("2026-11-22T05:09:22Z").unwrap(),
        acl: read(
            br#"{"performative": "inform", "receiver": [{"name": "b"}]}"#,
            &home(),
        )
        .unwrap(),
    };
    let mut expected = json!({
        "id": "01935a2e-0000-7000-8000-000000000002", "tenant": "acme",
        "performative": "inform", "receiver": [{"name": "b@acme"}],
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
        "parentId": "01935a2e-0000-7000-8000-000000000001", "hop": 3,
        "createTime": "2026-11-22T05:09:22Z",
    });
    assert_eq!(write_message(&message), expected);
    message.parent = None;
    expected.as_object_mut().unwrap().shift_remove("parentId");
    assert_eq!(write_message(&message), expected);
}

#[test]
fn content_is_text_or_base64() {
    let content = |field: &str| {
        let text = format!(r#"{{"performative": "inform", {field}}}"#);
        read(text.as_bytes(), &home()).unwrap().content
    };
    assert_eq!(content(r#""content": "é""#), "é".as_bytes());
    assert_eq!(content(r#""content": null"#), "");
    for base64 in ["+/8A", "-_8A"] {
        let field = format!(r#""contentBase64": "{base64}""#);
        assert_eq!(content(&field), &[0xfb, 0xff, 0x00][..]);
    }
    assert_eq!(content(r#""contentBase64": "YQ==""#), "a");
    assert_eq!(content(r#""contentBase64": "YQ""#), "a");
    let binary = br#"{"performative": "inform", "contentBase64": "/w=="}"#;
    let acl = read(binary, &home()).unwrap();
    assert_eq!(
        write(&acl),
        json!({"performative": "inform", "contentBase64": "/w=="})
    );
}

#[test]
fn the_forms_are_one_message() {
    let acl = read(WHOLE.replace("049123", "049").as_bytes(), &home()).unwrap();
    let crossed = acl_string::read(&acl_string::write(&acl), &home()).unwrap();
    assert_eq!(whole(&crossed), whole(&acl));
}

#[test]
fn what_is_not_json_is_refused() {
    for (text, expected) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("{\"performative\": \"inform\"", "EOF"),
        ("{\"performative\": \"inform\"} x", "trailing"),
        ("{'performative': 'inform'}", "line 1 column 2"),
        ("{\"performative\": \"inform\",}", "line 1"),
        ("{\"performative\": \"inform\", \"content\": NaN}", "line 1"),
        (
            "{\"performative\": \"inform\", \"content\": \"\\ud800\"}",
            "surrogate",
        ),
        (
            "{\"performative\": \"inform\", \"content\": \"\\udc00x\"}",
            "surrogate",
        ),
        (
            "{\"performative\": \"inform\", \"content\": \"\\ud800\\u0041\"}",
            "surrogate",
        ),
        (
            "{\"performative\": \"inform\", \"\\ud800\": 1}",
            "surrogate",
        ),
        (
            "{\"performative\": \"inform\", \"content\": \"a\nb\"}",
            "control character",
        ),
        (
            "{\"performative\": \"inform\", \"performative\": \"cfp\"}",
            "`performative` stands twice",
        ),
        (
            "{\"performative\": \"inform\", \"userParameters\": {\"X-a\": \"\", \"X-a\": \"\"}}",
            "`X-a` stands twice",
        ),
        (
            "{\"performative\": \"inform\", \"oops\": {\"a\": [{\"b\": 1, \"b\": 1}]}}",
            "`b` stands twice",
        ),
    ] {
        refused(text, Code::JsonMalformed, expected);
    }
    refused(
        b"{\"performative\": \"\xff\"}",
        Code::JsonMalformed,
        "line 1",
    );
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| {
        let inner = "[".repeat(depth - 1) + &"]".repeat(depth - 1);
        format!(r#"{{"performative": "inform", "content": {inner}}}"#)
    };
    refused(
        nested(NESTING_MAX),
        Code::MessageMalformed,
        "must be a string, not an array",
    );
    refused(
        nested(NESTING_MAX + 1),
        Code::JsonMalformed,
        "nested deeper than 32",
    );
    refused(
        nested(100_000),
        Code::JsonMalformed,
        "nested deeper than 32",
    );
    refused(
        "[".repeat(1_000_000),
        Code::JsonMalformed,
        "nested deeper than 32",
    );
    refused(
        vec![b' '; TEXT_BYTES_MAX + 1],
        Code::MessageTooLarge,
        "at most 150994944 are read",
    );
}

#[test]
fn unknown_fields_are_named_with_the_nearest() {
    let with = |field: &str| format!(r#"{{"performative": "inform", {field}}}"#);
    refused(
        with(r#""reply_with": "r""#),
        Code::FieldUnknown,
        "reply_with: is not a field of this; did you mean `replyWith`?",
    );
    refused(
        with(r#""recievers": []"#),
        Code::FieldUnknown,
        "did you mean `receiver`?",
    );
    refused(
        with(r#""id": "1""#),
        Code::FieldUnknown,
        "id: is not a field",
    );
    refused(
        with(r#""receiver": [{"name": "b"}, {"nam": "c", "name": "c"}]"#),
        Code::FieldUnknown,
        "receiver[1].nam: is not a field of this; did you mean `name`?",
    );
}

#[test]
fn wrong_types_are_named_with_their_field() {
    for (field, expected) in [
        (r#""content": 1"#, "content: must be a string, not a number"),
        (
            r#""receiver": {"name": "b"}"#,
            "receiver: must be an array of objects",
        ),
        (
            r#""receiver": ["b"]"#,
            "receiver[0]: must be an object such as {\"name\": \"b\"}, not a string",
        ),
        (
            r#""receiver": [{"name": 1}]"#,
            "receiver[0].name: must be a string, not a number",
        ),
        (r#""receiver": [{}]"#, "receiver[0].name: is missing"),
        (r#""sender": "a""#, "sender: must be an object"),
        (
            r#""sender": {"name": "a", "addresses": [true]}"#,
            "sender.addresses[0]: must be a string, not a boolean",
        ),
        (
            r#""sender": {"name": "a", "resolvers": [{"name": []}]}"#,
            "sender.resolvers[0].name: must be a string, not an array",
        ),
        (
            r#""userParameters": {"X-a": 1}"#,
            "userParameters.X-a: must be a string, not a number",
        ),
        (
            r#""userParameters": []"#,
            "userParameters: must be an object of strings, not an array",
        ),
        (
            r#""content": "", "contentBase64": """#,
            "contentBase64: stands beside `content`",
        ),
        (r#""contentBase64": "*""#, "contentBase64: is not base64"),
    ] {
        let text = format!(r#"{{"performative": "inform", {field}}}"#);
        refused(text, Code::MessageMalformed, expected);
    }
    for text in ["[]", "null", "\"inform\"", "1"] {
        refused(text, Code::MessageMalformed, "a message is a JSON object");
    }
    refused("{}", Code::MessageMalformed, "performative: is missing");
    refused(
        r#"{"performative": null}"#,
        Code::MessageMalformed,
        "performative: is missing",
    );
}

#[test]
fn bad_values_keep_their_own_code() {
    let with = |field: &str| format!(r#"{{"performative": "inform", {field}}}"#);
    refused(
        r#"{"performative": "query"}"#,
        Code::PerformativeUnknown,
        "performative: `query`",
    );
    refused(
        with(r#""replyBy": "5s""#),
        Code::TimeMalformed,
        "replyBy: `5s`",
    );
    refused(
        with(r#""replyBy": 5"#),
        Code::MessageMalformed,
        "replyBy: must be a string",
    );
    refused(
        with(r#""conversationId": """#),
        Code::IdMalformed,
        "conversationId:",
    );
    refused(
        with(r#""receiver": [{"name": "../x"}]"#),
        Code::AgentNameMalformed,
        "receiver[0].name: `../x`",
    );
    refused(
        with(r#""receiver": [{"name": "a@B"}]"#),
        Code::TenantIdMalformed,
        "receiver[0].name: `B`",
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let text = r#"{"performative": "query", "receiver": [{"name": ""}], "replyBy": "soon",
                   "contents": "x", "content": 1}"#;
    let error = read(text.as_bytes(), &home()).unwrap_err();
    let fields: Vec<_> = error
        .fields
        .iter()
        .map(|(field, _)| field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "contents",
            "performative",
            "receiver[0].name",
            "content",
            "replyBy"
        ]
    );
    assert_eq!(error.code, Code::FieldUnknown, "the first fault's");
    let many: String = (0..1000).map(|n| format!(r#""f{n}": 0,"#)).collect();
    let text = format!(r#"{{{many} "performative": "inform"}}"#);
    assert_eq!(read(text.as_bytes(), &home()).unwrap_err().fields.len(), 32);
}
