//! The key that secrets are sealed under, changed: as it should be, killed amid it, refused.

use crate::support::Home;
use std::process::Stdio;

const PROVIDERS: usize = 20;

/// A folder with secrets of providers and of a tool; the server has stopped.
fn home() -> Home {
    let home = Home::new();
    let server = home.serve();
    let secret = home.path().join("secret");
    std::fs::write(&secret, "hush-hush\n").unwrap();
    let secret = secret.to_str().unwrap();
    for n in 0..PROVIDERS {
        let name = format!("p{n}");
        let kind = ["provider", "set", &name, "--kind", "openai-chat"];
        home.ok(&[&kind[..], &["--secret-file", secret]].concat());
    }
    let folder = home.path().join("weather");
    std::fs::create_dir(&folder).unwrap();
    let manifest = "name = \"weather\"\n[http]\nbase_url = \"https://api.example.com\"\n\
        auth = { header = \"X-Key\" }\n[[http.functions]]\nname = \"now\"\nmethod = \"GET\"\n\
        path = \"/now\"\neffect = \"reads\"\n";
    std::fs::write(folder.join("tool.toml"), manifest).unwrap();
    let folder = folder.to_str().unwrap();
    home.ok(&["tool", "register", folder, "--secret-file", secret]);
    assert_eq!(server.terminate(), Some(0));
    home
}

fn keys(home: &Home) -> Vec<String> {
    let text = std::fs::read_to_string(home.data().join("master.key")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one() {
    let home = home();
    let all = PROVIDERS + 1;
    let old = keys(&home);
    let told = home.json(&["secret", "rewrap"]);
    assert_eq!(
        (&told["alreadyCurrent"], &told["sealedAnew"]),
        (&all.into(), &0.into())
    );
    let told = home.json(&["secret", "rewrap", "--new-key"]);
    assert_eq!(
        (&told["sealedAnew"], &told["oldKeys"]),
        (&all.into(), &1.into())
    );
    let both = keys(&home);
    assert_eq!((both.len(), &both[1]), (2, &old[0]));
    // A server on it does not let its keys be changed.
    let server = home.serve();
    let refused = home.run(&["secret", "rewrap", "--drop-old"]);
    assert!(refused.stderr.contains("CX-5007"), "{refused:?}");
    assert_eq!(keys(&home), both);
    assert_eq!(server.terminate(), Some(0));
    let told = home.ok(&["secret", "rewrap", "--drop-old"]);
    assert!(
        told.contains("0 sealed anew, 21 were current") && told.contains("0 older keys"),
        "{told}"
    );
    assert_eq!(keys(&home), both[..1]);
    // What is there opens, and nothing under the old key.
    let server = home.serve();
    let shown = home.json(&["tool", "show", "weather"]);
    assert_eq!(shown["hasSecret"], true, "{shown}");
    assert_eq!(server.terminate(), Some(0));
    std::fs::write(home.data().join("master.key"), format!("{}\n", old[0])).unwrap();
    let lost = home.run(&["secret", "rewrap", "--drop-old"]);
    assert_eq!(lost.code, Some(1), "{lost:?}");
    assert!(
        lost.stderr.contains("CX-7030") && lost.stderr.contains("default/provider/p3"),
        "{lost:?}"
    );
    assert!(lost.stderr.contains("default/tool/weather"), "{lost:?}");
}

/// Wherever the kill falls: the new key is on disk before anything is sealed under it, and the old one
/// is there as long as anything needs it.
#[test]
fn a_kill_amid_it_loses_nothing() {
    let home = home();
    let old = keys(&home);
    let mut child = home
        .command(&["secret", "rewrap", "--new-key", "--drop-old"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while keys(&home) == old && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(keys(&home), old, "the new key was kept first");
    let told = home.json(&["secret", "rewrap", "--drop-old"]);
    assert_eq!(told["lost"], serde_json::json!([]));
    let count = |name: &str| told[name].as_u64().unwrap();
    assert_eq!(
        count("sealedAnew") + count("alreadyCurrent"),
        PROVIDERS as u64 + 1
    );
    assert_eq!(keys(&home).len(), 1);
    let server = home.serve();
    let shown = home.json(&["tool", "show", "weather"]);
    assert_eq!(shown["hasSecret"], true, "{shown}");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn keys_that_the_operator_keeps_are_the_operators_to_change() {
    let home = home();
    let elsewhere = home.path().join("keys");
    let old = std::fs::read_to_string(home.data().join("master.key")).unwrap();
    std::fs::write(&elsewhere, &old).unwrap();
    let config = home.path().join("caxton.toml");
    let text = format!("[secrets]\nmaster_key_file = \"{}\"\n", elsewhere.display());
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let run = |more: &[&str]| home.run(&[&["secret", "rewrap", "--config", config], more].concat());
    for flag in ["--new-key", "--drop-old"] {
        let refused = run(&[flag]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("the operator's own"), "{refused:?}");
    }
    let new = "0123456789abcdef".repeat(4);
    std::fs::write(&elsewhere, format!("# since today\n{new}\n{old}")).unwrap();
    let told = run(&["-o", "json"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("\"sealedAnew\": 21"), "{told:?}");
    let empty = Home::new().run(&["secret", "rewrap"]);
    assert!(
        empty.stderr.contains("has no data of a server"),
        "{empty:?}"
    );
}
