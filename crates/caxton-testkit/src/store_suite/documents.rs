//! Records and logs: what nouns without a table of their own are kept in.

use super::Subject;
use super::build::*;
use bytes::Bytes;
use caxton_core::TenantId;
use caxton_engine::opctx::TenantScope;
use caxton_engine::port::store::{LogName, LogRange, Op, RecordKind, RecordRange, StoreError};

const KEYS: RecordKind = RecordKind("key");
const QUOTAS: RecordKind = RecordKind("quota");
const AUDIT: LogName = LogName::of("audit");

fn put(kind: RecordKind, id: &str, body: &str) -> Op {
    Op::RecordPut {
        kind,
        id: id.to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn entry(log: &LogName, index: u64, body: &str) -> Op {
    Op::LogPut {
        log: log.clone(),
        index,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn shown<T: std::fmt::Display>(rows: Vec<(T, Bytes)>) -> Vec<String> {
    let text = |(id, body): (T, Bytes)| format!("{id}={}", String::from_utf8_lossy(&body));
    rows.into_iter().map(text).collect()
}

pub async fn records_are_replaced_listed_and_removed(subject: Subject) {
    let store = subject.open();
    let ops = vec![
        put(KEYS, "a/2", "old"),
        put(KEYS, "a/1", "one"),
        put(KEYS, "a/2", "two"),
        put(KEYS, "a/10", ""),
        put(KEYS, "b/1", "b"),
        put(KEYS, "gone", "x"),
        put(QUOTAS, "a/1", "other"),
    ];
    commit(&*store, "t", ops).await;
    commit(&*store, "u", vec![put(KEYS, "a/1", "of u")]).await;
    let gone = |id: &str| Op::RecordRemove {
        kind: KEYS,
        id: id.to_owned(),
    };
    commit(&*store, "t", vec![gone("gone"), gone("never was")]).await;
    drop(store);
    let store = subject.open();
    let t = scope("t");
    let one = async |kind, id: &str| store.record(&t, kind, id).await.unwrap();
    assert_eq!(one(KEYS, "a/2").await.as_deref(), Some(b"two".as_slice()));
    assert_eq!(one(KEYS, "a/10").await.as_deref(), Some(b"".as_slice()));
    assert_eq!(one(KEYS, "gone").await, None);
    assert_eq!(one(QUOTAS, "b/1").await, None);
    let list = async |prefix: &str, after: &str, rows_max| {
        let range = RecordRange::prefix(prefix).after(after);
        let rows = store.records(&t, KEYS, range, rows_max).await;
        shown(rows.unwrap())
    };
    let down = async |prefix: &str, after: &str, rows_max| {
        let range = RecordRange {
            prefix,
            after,
            descending: true,
        };
        let rows = store.records(&t, KEYS, range, rows_max).await;
        shown(rows.unwrap())
    };
    let all = ["a/1=one", "a/10=", "a/2=two", "b/1=b"];
    assert_eq!(list("", "", 99).await, all);
    assert_eq!(list("a/", "", 2).await, all[..2]);
    assert_eq!(list("a/", "a/10", 9).await, all[2..3]);
    assert_eq!(list("a/", "b", 9).await, [""; 0]);
    assert_eq!(list("b", "a/1", 9).await, all[3..]);
    let mut newest_first = all;
    newest_first.reverse();
    assert_eq!(down("", "", 99).await, newest_first);
    assert_eq!(down("", "a/2", 1).await, newest_first[2..3]);
    assert_eq!(down("a/", "", 9).await, newest_first[1..]);
    assert_eq!(down("a/", "a/10", 9).await, newest_first[3..]);
    assert_eq!(down("a/", "b/1", 1).await, newest_first[1..2]);
    assert_eq!(down("b/", "a/1", 9).await, [""; 0]);
    let all_of = RecordRange::default();
    let of_u = store.records(&scope("u"), KEYS, all_of, 9).await.unwrap();
    assert_eq!(shown(of_u), ["a/1=of u"]);
}

pub async fn a_log_is_appended_read_and_trimmed(subject: Subject) {
    let store = subject.open();
    let t = scope("t");
    let talk = LogName {
        kind: "audit",
        key: "talk".to_owned(),
    };
    let ops = vec![
        entry(&AUDIT, 1, "a"),
        entry(&AUDIT, 2, "b"),
        entry(&AUDIT, 7, "c"),
        entry(&talk, 1, "x"),
    ];
    commit(&*store, "t", ops).await;
    drop(store);
    let store = subject.open();
    let read = async |log: &LogName, range, rows_max| {
        shown(store.log(&t, log, range, rows_max).await.unwrap())
    };
    assert_eq!(read(&AUDIT, LogRange::ALL, 9).await, ["1=a", "2=b", "7=c"]);
    assert_eq!(read(&AUDIT, LogRange::NEWEST, 1).await, ["7=c"]);
    let middle = LogRange {
        from: 2,
        before: 7,
        newest_first: false,
    };
    assert_eq!(read(&AUDIT, middle, 9).await, ["2=b"]);
    let none = LogRange { from: 7, ..middle };
    assert_eq!(read(&AUDIT, none, 9).await, [""; 0]);
    assert_eq!(read(&talk, LogRange::ALL, 9).await, ["1=x"]);
    let trim = Op::LogTrim {
        log: AUDIT,
        before: 2,
    };
    commit(&*store, "t", vec![trim]).await;
    assert_eq!(read(&AUDIT, LogRange::ALL, 1).await, ["2=b"]);
    assert_eq!(read(&talk, LogRange::ALL, 9).await, ["1=x"]);
}

pub async fn an_entry_is_never_written_over(subject: Subject) {
    let store = subject.open();
    commit(&*store, "t", vec![entry(&AUDIT, 1, "a")]).await;
    commit(&*store, "u", vec![entry(&AUDIT, 1, "of u")]).await;
    for ops in [
        vec![put(KEYS, "k", "v"), entry(&AUDIT, 1, "b")],
        vec![
            put(KEYS, "k", "v"),
            entry(&AUDIT, 2, "b"),
            entry(&AUDIT, 2, "c"),
        ],
    ] {
        let refused = store.commit(unit("t", ops)).await;
        assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
    }
    let t = scope("t");
    assert_eq!(store.record(&t, KEYS, "k").await.unwrap(), None);
    let rows = store.log(&t, &AUDIT, LogRange::ALL, 9).await.unwrap();
    assert_eq!(shown(rows), ["1=a"]);
}

pub async fn the_platform_is_no_tenant_of_the_list(subject: Subject) {
    let store = subject.open();
    let platform = TenantScope::system(TenantId::platform(), "test");
    let mut unit = unit("t", vec![put(KEYS, "k", "v")]);
    commit(&*store, "t", vec![put(KEYS, "k", "of t")]).await;
    unit.scope = platform.clone();
    store.commit(unit).await.unwrap();
    drop(store);
    let store = subject.open();
    let found = store.record(&platform, KEYS, "k").await.unwrap();
    assert_eq!(found.as_deref(), Some(b"v".as_slice()));
    let tenants = store.tenants().await.unwrap();
    assert!(tenants.contains(&TenantId::parse("t").unwrap()));
    assert!(!tenants.contains(&TenantId::platform()));
}
