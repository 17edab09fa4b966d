//! `config`, `serve --config`, `completion`, `explain`, `doctor`: what needs no server.

use crate::support::Home;
use std::net::TcpListener;
use std::process::Command;

#[test]
fn the_origin_of_each_value_is_told() {
    let home = Home::new();
    let file = home.path().join("my.toml");
    std::fs::write(&file, "[log]\nformat = \"json\"\n").unwrap();
    let args = [
        "config",
        "show",
        "--origin",
        "-o",
        "json",
        "--config",
        file.to_str().unwrap(),
    ];
    let output = home
        .command(&args)
        .env("CAXTON__ENGINE__AGENTS_MAX", "7")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let origin = |key: &str| shown[key]["origin"].as_str().unwrap().to_owned();
    assert!(
        origin("log.format").ends_with("my.toml:2"),
        "{}",
        origin("log.format")
    );
    assert_eq!(origin("engine.agents_max"), "CAXTON__ENGINE__AGENTS_MAX");
    assert_eq!(shown["engine.agents_max"]["value"], 7);
    assert_eq!(origin("server.listen"), "default");
}

#[test]
fn what_is_shown_is_a_file_that_is_valid() {
    let home = Home::new();
    let file = home.path().join("all.toml");
    std::fs::write(&file, home.ok(&["config", "show"])).unwrap();
    home.ok(&["config", "validate", "--config", file.to_str().unwrap()]);
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let home = Home::new();
    let file = home.path().join("bad.toml");
    std::fs::write(&file, "[server]\nlissten = \"127.0.0.1:0\"\n").unwrap();
    let path = file.to_str().unwrap();
    for command in [["config", "validate"].as_slice(), &["serve"]] {
        let args: Vec<&str> = command.iter().copied().chain(["--config", path]).collect();
        let ran = home.run(&args);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        for part in [
            "error[CX-6010]",
            "server.lissten",
            "bad.toml:2",
            "`server.listen`",
        ] {
            assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        }
    }
    assert!(
        !home.data().exists(),
        "a server that may not start makes nothing"
    );
}

#[test]
fn every_code_is_explained() {
    let home = Home::new();
    let codes = home.json(&["explain"]);
    let codes = codes["codes"].as_array().unwrap();
    assert!(codes.len() > 50);
    let text = home.ok(&["explain", "3001"]);
    assert!(
        text.contains("unknown receiver") && text.contains("cure"),
        "{text}"
    );
    assert_eq!(home.ok(&["explain", "cx-3001"]), text);
}

#[test]
fn completion_scripts_are_scripts() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.ok(&["completion", shell]);
        assert!(script.contains("dead-letter"), "{shell}");
        // Only where the shell is there can it be asked.
        let file = home.path().join(shell);
        std::fs::write(&file, &script).unwrap();
        if let Ok(checked) = Command::new(shell).arg("-n").arg(&file).output() {
            assert!(checked.status.success(), "{shell}: {checked:?}");
        }
    }
}

#[test]
fn each_shell_that_is_there_completes() {
    let home = Home::new();
    // What each is asked: the candidates for `caxton agent de`, one a line.
    let questions = [
        (
            "bash",
            r#"source $1; COMP_WORDS=(caxton agent de); COMP_CWORD=2; _caxton caxton de agent
               printf '%s\n' "${COMPREPLY[@]}""#,
        ),
        ("fish", r#"source $argv[1]; complete -C 'caxton agent de'"#),
    ];
    for (shell, question) in questions {
        let file = home.path().join(shell);
        std::fs::write(&file, home.ok(&["completion", shell])).unwrap();
        let mut command = Command::new(shell);
        match shell {
            "bash" => command.args(["-c", question, shell]).arg(&file),
            _ => command.args(["--no-config", "-c", question]).arg(&file),
        };
        command.env("HOME", home.path());
        // Only where the shell is there can it be asked.
        let Ok(answered) = command.output() else {
            continue;
        };
        let text = String::from_utf8_lossy(&answered.stdout).into_owned();
        let words: Vec<&str> = text
            .lines()
            .filter_map(|it| it.split('\t').next())
            .collect();
        assert_eq!(words, ["deploy"], "{shell}: {answered:?}");
    }
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let home = Home::new();
    let verdict = |of: &serde_json::Value, what: &str| {
        let checks = of["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["check"] == *what).unwrap();
        found["verdict"].as_str().unwrap().to_owned()
    };
    let server = home.serve();
    let well = home.json(&["doctor"]);
    assert_eq!(verdict(&well, "server"), "ok");
    for what in [
        "configuration",
        "data folder",
        "admin key",
        "secret files",
        "database",
        "clock",
    ] {
        assert_eq!(verdict(&well, what), "ok", "{what}: {well}");
    }
    assert_eq!(server.terminate(), Some(0));
    let key = home.data().join("admin.key");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&key, open).unwrap();
    assert_eq!(verdict(&home.json(&["doctor"]), "admin key"), "warn");
    let told = home.run(&["doctor"]);
    let cure = format!("admin key: chmod 600 {}", key.display());
    assert!(told.stderr.contains(&cure), "{told:?}");

    // Somebody else has the address.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let sick = |env: &[(&str, &str)]| {
        let mut command = home.command(&["doctor", "-o", "json"]);
        let ran = command.envs(env.iter().copied()).output().unwrap();
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        serde_json::from_slice::<serde_json::Value>(&ran.stdout).unwrap()
    };
    let listening = sick(&[("CAXTON__SERVER__LISTEN", listen.as_str())]);
    assert_eq!(verdict(&listening, "address"), "fail");
    let tls = sick(&[
        ("CAXTON__TLS__CERT", "/none/a.pem"),
        ("CAXTON__TLS__KEY", "/none/a.key"),
    ]);
    assert_eq!(verdict(&tls, "certificate"), "fail");
    let unknown = sick(&[("CAXTON__SERVER__LISTN", "x")]);
    assert_eq!(verdict(&unknown, "configuration"), "fail");
    let check = &unknown["checks"][0];
    assert!(
        check["cure"].as_str().is_some_and(|it| !it.is_empty()),
        "{check}"
    );

    // Data that is not what it was.
    let file = home.data().join("caxton.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(verdict(&sick(&[]), "database"), "fail");
}
