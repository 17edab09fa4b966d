//! Whole exports pass, and each way of tampering is named.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;

/// A signature for tests: a sum of key and text. Real ones are the engine's.
fn sign(key: &[u8; 32], bytes: &[u8]) -> [u8; 64] {
    let sum: [u8; 32] = Sha256::digest([key.as_slice(), bytes].concat()).into();
    let mut both = [0; 64];
    both[..32].copy_from_slice(&sum);
    both
}

fn check(key: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    sign(key, bytes) == *signature
}

fn event(n: u8) -> Event {
    Event {
        time: Timestamp::from_us(1_795_324_162_000_000 + i64::from(n)),
        actor: "key:abc".into(),
        behalf: String::new(),
        action: "key.create".into(),
        target: format!("keys/{n}"),
        outcome: Outcome::Permitted,
        code: String::new(),
        trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
    }
}

fn signed(tenant: &TenantId, head: Head, key: u8) -> Signed {
    Signed {
        sequence: head.sequence,
        hash: head.hash,
        signature: hex(&sign(&[key; 32], &head.signed_bytes(tenant))),
        public_key: hex(&[key; 32]),
    }
}

/// An export of so many entries, the first `trimmed` of which were let go.
fn export(tenant: &str, entries: u8, trimmed: u8) -> Vec<String> {
    let id = TenantId::parse(tenant).unwrap();
    let (mut head, mut root, mut lines) = (Head::EMPTY, None, Vec::new());
    for n in 0..entries {
        let entry = head.next(&id, event(n));
        head = entry.head();
        if n < trimmed {
            root = Some(signed(&id, head, 7));
        } else {
            lines.push(serde_json::to_string(&entry).unwrap());
        }
    }
    let opening = Opening {
        caxton_audit: 1,
        tenant: tenant.into(),
        root,
    };
    let closing = Closing {
        entries: u64::from(entries - trimmed),
        head: signed(&id, head, 7),
    };
    lines.insert(0, serde_json::to_string(&opening).unwrap());
    lines.push(serde_json::to_string(&closing).unwrap());
    lines
}

fn verify(lines: &[String]) -> Result<Report, Broken> {
    let mut verifier = Verifier::default();
    for line in lines {
        verifier.line(line, &check)?;
    }
    verifier.finish(None)
}

#[test]
fn whole_exports_pass() {
    for (entries, trimmed) in [(0, 0), (1, 0), (5, 0), (5, 3), (5, 5)] {
        let report = verify(&export("acme", entries, trimmed)).unwrap();
        assert_eq!(report.entries, u64::from(entries - trimmed));
        assert_eq!(report.head.sequence, u64::from(entries));
        assert_eq!(report.tenant, "acme");
    }
}

#[test]
fn the_hash_of_an_entry_never_changes() {
    let id = TenantId::parse("acme").unwrap();
    let entry = Head::EMPTY.next(&id, event(1));
    // Computed by another program; whoever keeps an export must be able to check it with later versions.
    assert_eq!(
        entry.hash.to_string(),
        "a6ac2e9c22f68e6d3a93dc8c111b5ff3950916b5a637142a16842f7ae1bbf901"
    );
}

#[test]
fn every_tampering_is_named_at_its_line() {
    let good = export("acme", 5, 2);
    let broken = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = good.clone();
        change(&mut lines);
        verify(&lines).unwrap_err()
    };
    for field in ["actor", "action", "target", "outcome", "traceId"] {
        let fault = broken(&|lines| {
            let mut entry: serde_json::Value = serde_json::from_str(&lines[2]).unwrap();
            entry[field] = match field {
                "outcome" => "denied".into(),
                _ => "other".into(),
            };
            lines[2] = entry.to_string();
        });
        assert_eq!(
            (fault.line, fault.what.as_str()),
            (3, "entry 4 was changed"),
            "{field}"
        );
    }
    let added = broken(&|lines| {
        let mut entry: serde_json::Value = serde_json::from_str(&lines[2]).unwrap();
        entry["approvedBy"] = "ceo".into();
        lines[2] = entry.to_string();
    });
    assert_eq!((added.line, added.what.contains("approvedBy")), (3, true));
    assert_eq!(broken(&|lines| lines.swap(1, 2)).line, 2);
    assert_eq!(broken(&|lines| drop(lines.remove(1))).line, 2);
    assert_eq!(broken(&|lines| drop(lines.remove(2))).line, 3);
    let doubled = broken(&|lines| lines.insert(2, lines[1].clone()));
    assert_eq!(doubled.line, 3);
    // The last entry gone: the footer tells of more. And the footer of fewer is not to be had.
    let cut = broken(&|lines| drop(lines.remove(3)));
    assert_eq!((cut.line, cut.what.contains("footer")), (4, true));
    let cut = broken(&|lines| lines.truncate(3));
    assert!(cut.what.contains("cut off"), "{cut}");
    let more = broken(&|lines| lines.push(lines[1].clone()));
    assert_eq!(
        (more.line, more.what.contains("after the footer")),
        (6, true)
    );
    assert!(broken(&|lines| lines.clear()).what.contains("empty"));
    let garbage = broken(&|lines| lines[1] = "{".repeat(100));
    assert_eq!(garbage.line, 2);
    let long = broken(&|lines| lines[1] = "x".repeat(LINE_BYTES_MAX + 1));
    assert_eq!((long.line, long.what.as_str()), (2, "is too long"));
}

#[test]
fn files_of_others_do_not_pass() {
    let (ours, theirs) = (export("acme", 4, 0), export("other", 4, 0));
    let mixed: Vec<String> = [&ours[..2], &theirs[2..]].concat();
    assert_eq!(verify(&mixed).unwrap_err().line, 3);
    let mut renamed = ours.clone();
    renamed[0] = theirs[0].clone();
    assert_eq!(verify(&renamed).unwrap_err().line, 2);
    // A chain that somebody makes anew is signed by somebody else.
    let mut verifier = Verifier::default();
    for line in &ours {
        verifier.line(line, &check).unwrap();
    }
    let head = verifier.head.hash;
    let fault = verifier.finish(Some(&hex(&[8; 32]))).unwrap_err();
    assert!(fault.what.contains("another key"), "{fault}");
    let expect = |hash| {
        let mut verifier = Verifier::expecting(Some(hash));
        for line in &ours {
            verifier.line(line, &check).unwrap();
        }
        verifier.finish(Some(&hex(&[7; 32])))
    };
    assert!(expect(head).is_ok());
    // Noted when there was less, it is there all the same; not so in a file from before.
    let mut shorter = Verifier::default();
    for line in &ours[..3] {
        shorter.line(line, &check).unwrap();
    }
    assert_ne!(shorter.head.hash, head);
    assert!(expect(shorter.head.hash).is_ok());
    assert!(
        expect(Hash::ZERO)
            .unwrap_err()
            .what
            .contains("no entry whose head")
    );
    let mut forged = ours.clone();
    let last = forged.len() - 1;
    forged[last] = forged[last]
        .replace("signature\":\"", "signature\":\"00")
        .replacen("00", "", 0);
    assert!(verify(&forged).is_err());
}

#[test]
fn fields_cannot_be_shifted_into_each_other() {
    let id = TenantId::parse("acme").unwrap();
    let one = Event {
        actor: "ab".into(),
        behalf: "c".into(),
        ..event(1)
    };
    let other = Event {
        actor: "a".into(),
        behalf: "bc".into(),
        ..event(1)
    };
    assert_ne!(
        Head::EMPTY.next(&id, one).hash,
        Head::EMPTY.next(&id, other).hash
    );
}
