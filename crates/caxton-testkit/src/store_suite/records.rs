//! Agents, artefacts, and that a message comes back as it was.

use super::Subject;
use super::build::*;
use bytes::Bytes;
use caxton_core::lifecycle::Phase;
use caxton_core::manifest::BehaviorKind;
use caxton_core::message::Contact;
use caxton_core::{Digest, Identifier, Performative};
use caxton_engine::port::store::{CallId, Op, Timer};
use std::sync::Arc;

pub async fn agents_are_replaced_and_listed(subject: Subject) {
    let store = subject.open();
    let mut wasm = record("zeta");
    wasm.digest = Some(Digest([9; 32]));
    wasm.manifest.description = "ä \" \n".into();
    wasm.manifest.limits.mailboxes_max = 3;
    let mut native = record("alpha");
    native.manifest.behavior = BehaviorKind::Native;
    let mut assistant = record("aria");
    assistant.manifest.behavior = BehaviorKind::Assistant;
    let ops = [&wasm, &native, &assistant].map(|record| Op::AgentPut(Box::new(record.clone())));
    commit(&*store, "t", ops.to_vec()).await;
    let found = subject.open().agents(&scope("t")).await.unwrap();
    assert_eq!(found, [native.clone(), assistant.clone(), wasm.clone()]);
    for phase in Phase::ALL {
        wasm.phase = phase;
        wasm.updated = at(77);
        wasm.digest = None;
        commit(&*store, "t", vec![Op::AgentPut(Box::new(wasm.clone()))]).await;
        let found = store.agents(&scope("t")).await.unwrap();
        assert_eq!(found, [native.clone(), assistant.clone(), wasm.clone()]);
    }
}

pub async fn a_removed_agent_takes_its_data_along(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let all = ["b", "b#talk", "c"].map(|text| mailbox("t", text));
    let mut ops = vec![
        Op::AgentPut(Box::new(record("b"))),
        Op::AgentPut(Box::new(record("c"))),
        deliver(said("t", 1, "talk"), &all),
        Op::Bury {
            letter: letter(&all[0], 2, at(2)),
            message: Arc::new(message("t", 2, "a", "b")),
        },
    ];
    for mailbox in &all {
        ops.push(state_put(mailbox, "k", "v"));
        ops.push(Op::TimerPut(Timer {
            mailbox: mailbox.clone(),
            name: "n".into(),
            due: at(9),
            content: Bytes::new(),
            origin: None,
        }));
        ops.push(Op::CallBegin {
            call: CallId {
                mailbox: mailbox.clone(),
                message: id(1),
                index: 0,
            },
            request: Arc::new(message("t", 3, "b", "c")),
        });
    }
    commit(&*store, "t", ops).await;
    commit(&*store, "t", vec![Op::AgentRemove { agent: name("b") }]).await;
    assert_eq!(store.agents(&t).await.unwrap(), [record("c")]);
    let left = [(all[2].clone(), 1)];
    assert_eq!(store.mailboxes(&t, None).await.unwrap(), left);
    for (index, mailbox) in all.iter().enumerate() {
        let value = store.state(&t, mailbox, "k").await.unwrap();
        assert_eq!(value.is_some(), index == 2, "{mailbox}");
    }
    let timers = store.timers(&t).await.unwrap();
    assert_eq!(timers.len(), 1);
    assert_eq!(timers[0].mailbox, all[2]);
    assert_eq!(store.calls_open(&t).await.unwrap().len(), 1);
    // History stays.
    let row = store.message(&t, id(1)).await.unwrap().unwrap();
    assert_eq!(row.open.len(), 1);
    let letters = store.dead_letter(&t, &letter(&all[0], 2, at(2)).id).await;
    assert!(letters.unwrap().is_some());
}

pub async fn artifacts_are_kept_once(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let bytes = Bytes::from(vec![0xca; 3 << 20]);
    let digest = Digest([5; 32]);
    let put = |bytes: Bytes| Op::ArtifactPut { digest, bytes };
    commit(&*store, "t", vec![put(bytes.clone())]).await;
    commit(&*store, "t", vec![put(bytes.clone())]).await;
    assert_eq!(store.artifact(&t, digest).await.unwrap(), Some(bytes));
    assert_eq!(store.artifact(&t, Digest([6; 32])).await.unwrap(), None);
}

pub async fn every_part_of_a_message_is_kept(subject: Subject) {
    let store = subject.open();
    let mut full = said("t", 1, "tälk/../#1");
    full.parent = Some(id(99));
    full.hop = u16::MAX;
    full.waiting = Some(Arc::from(vec![mailbox("t", "x"), mailbox("t", "y#c 2")]));
    full.trace.sampled = false;
    let acl = &mut full.acl;
    acl.performative = Performative::RequestWhenever;
    acl.receivers.push(Identifier {
        id: agent("other", "far"),
        contact: Some(Box::new(Contact {
            addresses: vec!["https://x/ä".into(), String::new()],
            resolvers: vec![agent("t", "df").into()],
        })),
    });
    acl.reply_to = vec![agent("t", "r1").into(), agent("t", "r2").into()];
    acl.content = Bytes::from_static(b"\0\xff bytes");
    acl.language = Some("fipa-sl".into());
    acl.encoding = Some("utf-8".into());
    acl.ontology = Some("things".into());
    acl.protocol = Some("fipa-request".into());
    acl.reply_with = Some("rw".into());
    acl.in_reply_to = Some("irt".into());
    acl.reply_by = Some(at(123));
    acl.user_parameters = vec![("X-b".into(), "1".into()), ("X-a".into(), "\n".into())];
    let b = mailbox("t", "b");
    let ops = vec![deliver(full.clone(), std::slice::from_ref(&b))];
    commit(&*store, "t", ops).await;
    let store = subject.open();
    let row = store.message(&scope("t"), full.id).await.unwrap().unwrap();
    // Debug shows what `==` leaves out: identifiers are equal by name alone.
    assert_eq!(
        format!("{:?}", row.message),
        format!("{:?}", Arc::new(full))
    );
    assert_eq!(row.open.len(), 1);
}
