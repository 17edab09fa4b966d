//! Drafts into messages, and traces into trees.

#![allow(clippy::unwrap_used)]
use super::*;
use caxton_core::TraceContext;
use std::sync::Arc;

fn home() -> TenantId {
    TenantId::default_tenant()
}

fn draft(performative: &str, receiver: &[&str]) -> v1::MessageDraft {
    v1::MessageDraft {
        performative: performative.to_owned(),
        receiver: receiver
            .iter()
            .map(|name| v1::AgentId {
                name: (*name).to_owned(),
                ..v1::AgentId::default()
            })
            .collect(),
        ..v1::MessageDraft::default()
    }
}

#[test]
fn every_fault_is_named() {
    let mut wrong = draft("reqest", &["../x", "b", ""]);
    wrong.conversation_id = Some("a\nb".to_owned());
    wrong.reply_by = Some(wkt::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    });
    let error = acl(wrong, &home()).unwrap_err();
    let fields: Vec<_> = error
        .fields
        .iter()
        .map(|(field, _)| field.as_str())
        .collect();
    let expected = [
        "performative",
        "receiver[0].name",
        "receiver[2].name",
        "conversationId",
        "replyBy",
    ];
    assert_eq!(fields, expected);
    assert_eq!(error.code, Code::PerformativeUnknown);
    assert!(error.detail.contains("did you mean `request`"), "{error}");
}

#[test]
fn a_draft_keeps_every_parameter() {
    let mut given = draft("REQUEST", &["b", "c@other"]);
    given.sender = Some(v1::AgentId {
        name: "s".to_owned(),
        addresses: vec!["http://s".to_owned()],
        resolvers: draft("x", &["ams"]).receiver,
    });
    given.reply_to = draft("x", &["r"]).receiver;
    given.body = Some(v1::message_draft::Body::ContentBase64(vec![0xff].into()));
    given.language = Some("l".to_owned());
    given.encoding = Some("e".to_owned());
    given.ontology = Some("o".to_owned());
    given.protocol = Some("p".to_owned());
    given.conversation_id = Some("k".to_owned());
    given.reply_with = Some("w".to_owned());
    given.in_reply_to = Some("i".to_owned());
    given.reply_by = Some(wkt::Timestamp {
        seconds: 1,
        nanos: 2_000,
    });
    given.user_parameters = [("X-a".to_owned(), "1".to_owned())].into();
    let acl = acl(given, &home()).unwrap();
    let sent = Message {
        id: MessageId::from_bytes([1; 16]),
        tenant: home(),
        trace: TraceContext {
            trace_id: [2; 16],
            span_id: [3; 8],
            sampled: true,
        },
        parent: None,
        hop: 7,
        waiting: None,
        created: Timestamp::from_us(5),
        acl,
    };
    let json = serde_json::to_value(message(&sent)).unwrap();
    let expected = serde_json::json!({
        "id": "01010101-0101-0101-0101-010101010101", "tenant": "default",
        "performative": "request",
        "sender": {"name": "s@default", "addresses": ["http://s"],
                   "resolvers": [{"name": "ams@default", "addresses": [], "resolvers": []}]},
        "receiver": [{"name": "b@default", "addresses": [], "resolvers": []}, {"name": "c@other", "addresses": [], "resolvers": []}],
        "replyTo": [{"name": "r@default", "addresses": [], "resolvers": []}],
        "contentBase64": "/w==", "language": "l", "encoding": "e", "ontology": "o",
        "protocol": "p", "conversationId": "k", "replyWith": "w", "inReplyTo": "i",
        "replyBy": "1970-01-01T00:00:01.000002Z", "userParameters": {"X-a": "1"},
        "traceId": "02".repeat(16), "spanId": "03".repeat(8), "hop": 7,
        "createTime": "1970-01-01T00:00:00.000005Z", "deliveries": [],
    });
    assert_eq!(json, expected);
}

#[test]
fn a_trace_is_a_tree_in_depth_first_order() {
    let id = |n: u8| MessageId::from_bytes([n; 16]);
    let at = |n: u8, parent: Option<u8>| {
        let acl = acl(draft("inform", &["b"]), &home()).unwrap();
        Recorded {
            message: Arc::new(Message {
                id: id(n),
                tenant: home(),
                trace: TraceContext {
                    trace_id: [9; 16],
                    span_id: [1; 8],
                    sampled: false,
                },
                parent: parent.map(id),
                hop: 0,
                waiting: None,
                created: Timestamp::EPOCH,
                acl,
            }),
            open: Vec::new(),
        }
    };
    // 1 causes 2 and 3, 2 causes 4; 5 came from a message that is not kept; 6 says it caused itself.
    let all = [
        at(1, None),
        at(2, Some(1)),
        at(3, Some(1)),
        at(4, Some(2)),
        at(5, Some(200)),
        at(6, Some(6)),
    ];
    let tree = trace(&all);
    let steps: Vec<_> = tree
        .steps
        .iter()
        .map(|step| (step.depth, step.message.as_ref().unwrap().id.clone()))
        .collect();
    let expected =
        [(0, 1), (1, 2), (2, 4), (1, 3), (0, 5), (0, 6)].map(|(d, n)| (d, id(n).to_string()));
    assert_eq!(steps, expected);
    assert_eq!(tree.trace_id, "09".repeat(16));
    assert!(!tree.truncated);
    assert_eq!(trace(&[]).steps, []);
}
