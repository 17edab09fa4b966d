//! The layers and what is refused of them.

#![allow(clippy::unwrap_used)]
use super::*;

fn resolve(
    file: &str,
    env: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<(Config, Resolved), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("caxton.toml");
    std::fs::write(&path, file).unwrap();
    let sources = Sources {
        file: Some(path),
        flags: flags
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned(), "--flag"))
            .collect(),
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    sources.resolve().map_err(|failure| format!("{failure:?}"))
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\n[log]\nlevel = \"debug\"\n";
    let env = [("CAXTON__SERVER__LISTEN", "127.0.0.1:2")];
    let check = |env: &[(&str, &str)], flags: &[(&'static str, &str)], listen: &str, from: &str| {
        let (config, resolved) = resolve(file, env, flags).unwrap();
        assert_eq!(config.server.listen, listen);
        let (_, origin) = resolved
            .iter()
            .find(|(key, _)| *key == "server.listen")
            .unwrap();
        assert!(
            origin.source.to_string().ends_with(from),
            "{}",
            origin.source
        );
        assert_eq!(config.log.level, super::options::LogLevel::Debug);
        assert!(!config.server.insecure);
    };
    check(&[], &[], "127.0.0.1:1", "caxton.toml:2");
    check(&env, &[], "127.0.0.1:2", "CAXTON__SERVER__LISTEN");
    check(
        &env,
        &[("server.listen", "127.0.0.1:3")],
        "127.0.0.1:3",
        "--flag",
    );
}

#[test]
fn issuers_are_a_list_of_tables() {
    let file = r#"
        [[auth.issuers]]
        issuer = "https://login.example.org"
        audience = "caxton"
        tenant_claim = "org"
        roles = { admins = "admin" }
        [[auth.issuers]]
        issuer = "https://ci.example.org"
        audience = "caxton"
        jwks_file = "keys.json"
        algorithms = ["ES256", "EdDSA"]
        tenant = "ci"
    "#;
    let (config, _) = resolve(file, &[], &[]).unwrap();
    let issuers = config.auth.issuers().unwrap();
    assert_eq!(issuers.len(), 2);
    let env = [(
        "CAXTON__AUTH__ISSUERS",
        "[{ issuer = 'https://a.example.org', audience = 'b' }]",
    )];
    let (config, _) = resolve(file, &env, &[]).unwrap();
    let issuers = config.auth.issuers().unwrap();
    assert_eq!(issuers.len(), 1);
    let first = issuers.first().unwrap();
    assert_eq!(first.keys, caxton_gateway::jwt::KeySource::Discovery);
    let wrong = |more: &str, part: &str| {
        let file = format!("[[auth.issuers]]\nissuer = \"https://a\"\n{more}");
        let fault = resolve(&file, &[], &[]).unwrap_err();
        assert!(
            fault.contains("auth.issuers") && fault.contains(part),
            "{fault}"
        );
    };
    wrong("", "audience");
    wrong("audience = 'b'\nalgorithms = ['none']", "none");
    wrong(
        "audience = 'b'\ntenant = 'a'\ntenant_claim = 'b'",
        "tenant_claim",
    );
    wrong("audience = 'b'\ntenant = 'A!'", "A!");
    wrong(
        "audience = 'b'\njwks_uri = 'https://b'\njwks_file = 'c'",
        "jwks_file",
    );
    wrong("audience = 'b'\nkid = 'c'", "kid");
}

#[test]
fn providers_have_names_of_the_operators_choice() {
    let file = "
        [providers.ollama]
        [providers.openai]
        api_key_env = \"OPENAI_API_KEY\"
        [providers.own-claude]
        kind = \"anthropic\"
        base_url = \"http://10.0.0.5:8080/\"
    ";
    let env = [(
        "CAXTON__PROVIDERS__OPENAI__BASE_URL",
        "https://proxy.example.org/v1",
    )];
    let (config, resolved) = resolve(file, &env, &[]).unwrap();
    let of = |name: &str| {
        let provider = config.providers.get(name).unwrap();
        (
            provider.kind(name).unwrap().as_str(),
            provider.base_url(name),
        )
    };
    assert_eq!(config.providers.len(), 3);
    assert_eq!(of("ollama"), ("openai-chat", "http://127.0.0.1:11434/v1"));
    assert_eq!(
        of("openai"),
        ("openai-chat", "https://proxy.example.org/v1")
    );
    assert_eq!(of("own-claude"), ("anthropic", "http://10.0.0.5:8080"));
    let (_, origin) = resolved
        .iter()
        .find(|(key, _)| *key == "providers.own-claude.kind")
        .unwrap();
    assert!(
        origin.source.to_string().ends_with("caxton.toml:6"),
        "{}",
        origin.source
    );
    let check = |file: &str, part: &str| {
        let fault = resolve(file, &[], &[]).unwrap_err();
        assert!(fault.contains(part), "{part} not in {fault}");
    };
    check(
        "[providers.openai]\napi_key = \"x\"",
        "unknown key `providers.openai.api_key`; did you mean `providers.openai.api_key_",
    );
    check(
        "[providers]\nopenai = \"x\"",
        "unknown key `providers.openai`",
    );
    check("[providers.mine]", "providers.mine.base_url");
    check(
        "[providers.demo]\nbase_url = \"http://a\"",
        "neither `demo`",
    );
    check(
        "[providers.openai]\nkind = \"demo\"",
        "none of anthropic, openai-chat, openai-responses",
    );
    check("[providers.openai]\nkind = 1", "is a string");
    check(
        "[providers.openai]\nbase_url = \"https://a?b\"",
        "without user, query",
    );
    check(
        "[providers.openai]\napi_key_env = \"A\"\napi_key_file = \"b\"",
        "exclude each other",
    );
    check(
        "[egress]\nallow = [\"10.0.0.0/8\"]",
        "`10.0.0.0/8` is no IP address",
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let check = |file: &str, env: &[(&str, &str)], parts: &[&str]| {
        let fault = resolve(file, env, &[]).unwrap_err();
        for part in parts {
            assert!(fault.contains(part), "{part} not in {fault}");
        }
    };
    check(
        "[server]\nlisten_adress = \"x\"",
        &[],
        &[
            "caxton.toml:2",
            "unknown key `server.listen_adress`",
            "did you mean `server.listen`",
        ],
    );
    check(
        "[sever]\nlisten = \"x\"",
        &[],
        &["did you mean `server.listen`"],
    );
    check("listen = \"x\"", &[], &["`listen` stands outside"]);
    check(
        "[server]\nlisten = 7070",
        &[],
        &["server.listen is a string, not a integer"],
    );
    check("[server\n", &[], &["caxton.toml:1"]);
    check(
        "[log]\nlevel = \"loud\"",
        &[],
        &["caxton.toml:2: log.level", "loud"],
    );
    check(
        "[engine]\nagents_max = 0",
        &[],
        &["engine.agents_max = 0 is out of bounds: 1 to"],
    );
    check("[engine]\nagents_max = -1", &[], &["engine.agents_max"]);
    check(
        "",
        &[("CAXTON__LOG__LEVLE", "info")],
        &["CAXTON__LOG__LEVLE", "did you mean `log.level`"],
    );
    check(
        "",
        &[("CAXTON__ENGINE__AGENTS_MAX", "many")],
        &["`many` is no integer"],
    );
}

#[test]
fn the_audit_is_kept_for_ever_or_at_least_a_day() {
    let kept = |text: &str| {
        let file = format!("[audit]\nretention = \"{text}\"");
        let (config, resolved) = resolve(&file, &[], &[])?;
        let origins: Vec<_> = resolved
            .iter()
            .filter(|(key, _)| key.starts_with("audit."))
            .collect();
        assert!(
            origins
                .iter()
                .any(|(_, origin)| origin.source.to_string().contains("caxton.toml:2"))
        );
        Ok::<_, String>(config.audit.options().unwrap().retention)
    };
    let hours = |hours: u64| Some(std::time::Duration::from_secs(hours * 3600));
    assert_eq!(Config::default().audit.options().unwrap().retention, None);
    assert_eq!(kept("").unwrap(), None);
    assert_eq!(kept("400d").unwrap(), hours(400 * 24));
    assert_eq!(kept("36h").unwrap(), hours(36));
    for wrong in [
        "23h",
        "0d",
        "-1d",
        "400",
        "36501d",
        "99999999999999999999d",
        "soon",
    ] {
        let fault = kept(wrong).unwrap_err();
        assert!(
            fault.contains("audit.retention") && fault.contains("at least 1d"),
            "{fault}"
        );
    }
}

#[test]
fn audit_reports_are_written_each_hour_at_most() {
    let every = |text: &str| {
        let file = format!("[audit]\nreport_every = \"{text}\"");
        let (config, _) = resolve(&file, &[], &[])?;
        Ok::<_, String>(config.audit.report_every().unwrap())
    };
    let hours = |hours: u64| Some(std::time::Duration::from_secs(hours * 3600));
    assert_eq!(Config::default().audit.report_every().unwrap(), None);
    assert_eq!(every("1h").unwrap(), hours(1));
    assert_eq!(every("7d").unwrap(), hours(7 * 24));
    for wrong in ["0h", "59m", "weekly"] {
        let fault = every(wrong).unwrap_err();
        assert!(
            fault.contains("audit.report_every") && fault.contains("at least 1h"),
            "{fault}"
        );
    }
}

#[test]
fn the_defaults_are_within_their_bounds() {
    Config::default().check().unwrap();
}

#[test]
fn every_key_stands_in_the_documentation() {
    let page = include_str!("../../../../docs/configuration.md");
    let resolved = Resolved::defaults(&Config::default()).unwrap();
    for (key, origin) in resolved.iter() {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}` |")));
        let row = row.unwrap_or_else(|| panic!("{key} has no row"));
        if key != "data.dir" {
            assert!(
                row.contains(&format!("`{}`", origin.value)),
                "{key}: default in {row}"
            );
        }
    }
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains("` | `"));
    for row in rows {
        let key = row.split('`').nth(1).unwrap();
        assert!(
            resolved.iter().any(|(known, _)| known == key),
            "{key} is no key"
        );
    }
}

#[test]
fn mcp_servers_have_names_of_the_operators_choice() {
    let text = r#"
        [mcp.docs]
        command = "mcp-docs"
        args = ["/srv"]
        env = { LANG = "C" }
        files_max = 0
        [mcp.search]
        url = "http://10.0.0.7/mcp"
    "#;
    let (config, _) = resolve(text, &[], &[]).unwrap();
    let program = config.mcp["docs"].program().unwrap();
    assert_eq!(program.args, ["/srv"]);
    assert_eq!(program.env["LANG"], "C");
    assert_eq!(
        (program.files_max, program.cpu_seconds_max),
        (None, Some(3_600))
    );
    assert_eq!(config.mcp["search"].program(), None);
    for (text, expected) in [
        ("[mcp.Docs]\ncommand = \"x\"", "not a tool's name"),
        ("[mcp.docs]\nfiles_max = 3", "neither `command` nor `url`"),
        (
            "[mcp.docs]\ncommand = \"x\"\nurl = \"http://a\"",
            "exclude each other",
        ),
        ("[mcp.docs]\nurl = \"ftp://a\"", "no http or https"),
        (
            "[mcp.docs]\ncomand = \"x\"",
            "did you mean `mcp.docs.command`?",
        ),
    ] {
        let error = resolve(text, &[], &[]).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn thresholds_of_breakers_are_the_operators() {
    let of = |key: &str, value: &str| {
        let env = vec![(format!("CAXTON__BREAKER__{key}"), value.to_owned())];
        let sources = Sources {
            env,
            ..Sources::default()
        };
        sources
            .resolve()
            .map(|(config, _)| config.breaker.options())
    };
    let owner = caxton_core::breaker::Options::default();
    assert_eq!(Config::default().breaker.options(), owner);
    assert_eq!(of("FAILURES_MAX", "2").unwrap().failures_max, 2);
    let longest = of("OPEN_FOR_MS_MAX", "9000").unwrap().open_for_max;
    assert_eq!(longest, std::time::Duration::from_secs(9));
    // Less than the first pause, or none at all.
    assert!(of("OPEN_FOR_MS_MAX", "4000").is_err());
    assert!(of("FAILURES_MAX", "0").is_err());
}
