//! The audit from the command line: what is written, and files of it that were tampered with.

use crate::support::Home;
use std::fs;

#[test]
fn an_export_is_checked_without_a_server_and_tampering_is_named() {
    let home = Home::new();
    let server = home.serve();
    home.ok(&["tenant", "create", "acme"]);
    let key = home.ok(&[
        "key", "create", "ci", "--tenant", "acme", "--role", "viewer",
    ]);
    let refused = home.run(&["agent", "remove", "nobody", "--key", key.trim_end()]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    // The platform looks into the tenant, which the tenant can see.
    home.ok(&["agent", "list", "--tenant", "acme"]);
    let listed = home.json(&["audit", "list", "--tenant", "acme"]);
    let rows: Vec<(&str, &str)> = listed["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["action"].as_str().unwrap(),
                it["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    // The newest first; reading the audit is itself an access of the platform.
    assert_eq!(
        rows,
        [
            ("caxton.v1.Audit/ListAuditEntries", "permitted"),
            ("caxton.v1.CaxtonManagement/ListAgents", "permitted"),
            ("caxton.v1.CaxtonManagement/DeleteAgent", "denied"),
            ("key.create", "permitted"),
        ]
    );
    let denied = home.json(&["audit", "list", "--tenant", "acme", "--outcome", "denied"]);
    assert_eq!(denied["entries"][0]["code"], "CX-4003");
    assert!(
        denied["entries"][0]["actor"]
            .as_str()
            .unwrap()
            .starts_with("key:")
    );
    let platform = home.ok(&["audit", "list", "--platform", "-o", "name"]);
    assert_eq!(platform, "1\n", "tenant.create");

    let head = home.json(&["audit", "head", "--tenant", "acme"]);
    let public = head["publicKey"].as_str().unwrap().to_owned();
    let export = home.ok(&["audit", "export", "--tenant", "acme"]);
    assert_eq!(server.terminate(), Some(0));

    let file = home.path().join("audit.jsonl");
    let verify = |text: &str, more: &[&str]| {
        fs::write(&file, text).unwrap();
        home.run(
            &[
                &["audit", "verify", file.to_str().unwrap(), "-o", "json"],
                more,
            ]
            .concat(),
        )
    };
    let whole = verify(&export, &["--public-key", &public]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
    let report: serde_json::Value = serde_json::from_str(&whole.stdout).unwrap();
    assert_eq!(report["tenant"], "acme");
    let end = report["head"].as_str().unwrap();
    assert_eq!(verify(&export, &["--expect-head", end]).code, Some(0));
    let elsewhere = verify(&export, &["--expect-head", &"0".repeat(64)]);
    assert_eq!(elsewhere.code, Some(1), "{elsewhere:?}");
    assert_eq!(
        verify(&export, &["--public-key", &"0".repeat(64)]).code,
        Some(1)
    );
    assert_eq!(verify(&export, &["--expect-head", "soon"]).code, Some(2));

    let lines: Vec<&str> = export.lines().collect();
    let of = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let changed = export.replacen("denied", "failed", 1);
    let swapped = of(&[&[lines[0], lines[2], lines[1]], &lines[3..]].concat());
    let cut = of(&lines[..lines.len() - 1]);
    let shortened = of(&[&lines[..lines.len() - 2], &lines[lines.len() - 1..]].concat());
    for (text, named) in [
        (&changed, "line 3: entry 2 was changed"),
        (&swapped, "line 2: entry 2 stands where 1 should"),
        (&cut, "its tail is cut off"),
        (&shortened, "the footer tells of"),
    ] {
        let broken = verify(text, &[]);
        assert_eq!(broken.code, Some(1), "{broken:?}");
        assert!(broken.stderr.contains("CX-4022"), "{}", broken.stderr);
        assert!(broken.stderr.contains(named), "{named}: {}", broken.stderr);
    }
}

#[test]
fn old_entries_go_and_the_rest_still_verifies() {
    let home = Home::new();
    let _server = home.serve();
    for name in ["a", "b", "c"] {
        home.ok(&["key", "create", name]);
    }
    let listed = home.json(&["audit", "list"]);
    let second = listed["entries"][1]["time"].as_str().unwrap().to_owned();
    assert_eq!(
        home.ok(&["audit", "trim", "--before", &second]),
        "1 entries let go\n"
    );
    assert_eq!(
        home.ok(&["audit", "trim", "--before", &second]),
        "0 entries let go\n"
    );
    home.ok(&["key", "create", "d"]);
    let export = home.ok(&["audit", "export"]);
    let checked = home.pipe(&["audit", "verify", "-"], export.as_bytes());
    assert!(checked.status.success(), "{checked:?}");
    assert!(!export.contains("keys \\\"a\\\""), "{export}");
    assert!(export.contains("keys \\\"d\\\""), "{export}");
}

#[test]
fn a_report_of_a_period_is_verified_and_counted() {
    let home = Home::new();
    let server = home.serve();
    home.ok(&["tenant", "create", "acme"]);
    let key = home.ok(&[
        "key", "create", "ci", "--tenant", "acme", "--role", "viewer",
    ]);
    let refused = home.run(&["agent", "remove", "nobody", "--key", key.trim_end()]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let told = home.ok(&["audit", "report", "--tenant", "acme"]);
    for line in [
        "# Audit of acme\n",
        "| permitted, denied, failed | 2, 1, 0 |",
        "| chain | whole |",
        "## Who was denied",
        "## Administrative acts",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let export = home.ok(&["audit", "export", "--tenant", "acme"]);
    assert_eq!(server.terminate(), Some(0));

    // Of a file it needs no server, and says what a period has.
    let path = home.path().join("acme.jsonl");
    let file = path.to_str().unwrap();
    fs::write(&path, &export).unwrap();
    let all = home.json(&["audit", "report", "--file", file]);
    assert_eq!(
        (&all["tenant"], &all["chain"]),
        (&"acme".into(), &"whole".into())
    );
    assert_eq!(all["outcomes"]["denied"], 1);
    assert_eq!(all["actions"]["key.create"]["permitted"], 1);
    assert_eq!(all["acts"][0]["action"], "key.create");
    let first = all["acts"][0]["time"].as_str().unwrap();
    let until = home.json(&["audit", "report", "--file", file, "--until", first]);
    assert_eq!(until["entries"], 0);
    let from = home.json(&["audit", "report", "--file", file, "--from", first]);
    assert_eq!(from["entries"], all["entries"]);
    // What does not verify is not reported on.
    fs::write(&path, export.replace("key.create", "key.revoke")).unwrap();
    let broken = home.run(&["audit", "report", "--file", file]);
    assert_eq!((broken.code, broken.stdout.as_str()), (Some(1), ""));
    assert!(broken.stderr.contains("CX-4022"), "{broken:?}");
    let wrong = home.run(&["audit", "report", "--file", file, "--from", "yesterday"]);
    assert_ne!(wrong.code, Some(0));
}
