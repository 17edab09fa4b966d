//! Clients that others made: curl, generated Python, buf by reflection, the kubelet's prober, a TLS
//! scanner, an OpenID Connect provider.

use axum::routing::get;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use caxton_engine::port::{Clock, ManualClock, SystemClock};
use caxton_gateway::jwt::{HttpFetch, Issuer, JwtAuthenticator, KeySource, Refused, TenantOf};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::{KEY, World, guard};
use crate::tls::Secured;

/// What `cargo xtask test` has found or installed.
fn tool(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`"))
        .into()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a program to its end, which must be a good one; its standard output.
async fn run(command: &mut Command) -> String {
    let output = tokio::time::timeout(Duration::from_secs(600), command.output());
    let output = output.await.expect("it hangs").unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{out}\n{err}",
        output.status
    );
    out
}

fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
#[ignore = "needs curl"]
async fn curl_speaks_both_protocols_with_tls_and_without() {
    let curl = tool("CAXTON_TEST_CURL");
    let auth = format!("Authorization: Bearer {KEY}");
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    let url = format!("{}/v1/messages?wait=20s", world.base);
    let body = r#"{"performative": "request", "receiver": [{"name": "a"}], "content": "hi"}"#;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let json = "content-type: application/json";
        let args = ["-sSf", version, "-H", &auth, "-H", json, "-d", body, &url];
        let told = run(&mut command(&curl, &args)).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["reply"]["content"], "hi", "{version}");
    }
    let secured = Secured::new().await;
    let ca = secured.path("ca.pem");
    let url = format!("{}/v1/agents", secured.url());
    let args = [
        "-sSf",
        "--cacert",
        &ca,
        "-H",
        &auth,
        "-w",
        "%{http_version} %{ssl_verify_result}",
        "-o",
    ];
    let mut asked = command(&curl, &args);
    let told = run(asked.arg("/dev/null").arg(&url)).await;
    assert_eq!(told, "2 0");
    // The refusals of the TLS port are curl's to see: no authority, an older version.
    for (args, code) in [
        (&["-sS"][..], 60),
        (&["-sS", "--cacert", &ca, "--tls-max", "1.2"], 35),
    ] {
        let refused = command(&curl, args).arg(&url).output().await.unwrap();
        assert_eq!(refused.status.code(), Some(code), "{refused:?}");
    }
}

#[tokio::test]
#[ignore = "needs grpc-python"]
async fn a_client_generated_for_python_works() {
    let python = tool("CAXTON_TEST_GRPC_PYTHON");
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    let out = tempfile::tempdir().unwrap();
    generate_for_python(out.path()).await;
    let address = world.base.strip_prefix("http://").unwrap();
    let script = repository().join("crates/caxton-gateway/tests/doors/clients/grpc_client.py");
    let mut client = command(&python, &[]);
    client.arg(script).args([address, KEY]);
    let told = run(client.env("PYTHONPATH", out.path())).await;
    assert_eq!(told.trim(), "ok");
}

/// Generates Python's modules of the contract into a folder.
async fn generate_for_python(into: &Path) {
    let proto = repository().join("proto");
    // `google/api` comes with the package of Google's common types.
    let files = std::fs::read_dir(proto.join("caxton/v1")).unwrap();
    let files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    let out = |flag: &str| format!("{flag}={}", into.display());
    let include = format!("-I{}", proto.display());
    let flags = [include, out("--python_out"), out("--grpc_python_out")];
    let python = tool("CAXTON_TEST_GRPC_PYTHON");
    let mut generate = command(&python, &["-m", "grpc_tools.protoc"]);
    run(generate.args(flags).args(files)).await;
}

/// Generates a client with buf into a folder: of what and by which template, both from the
/// repository's root on, and where its plugins are.
async fn generate(protos: &str, template: &str, into: &Path, plugins: &Path) {
    let mut generate = command(&tool("CAXTON_TEST_BUF"), &["generate"]);
    generate.arg(repository().join(protos)).arg("--template");
    generate.arg(repository().join(template)).current_dir(into);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [plugins.to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    let path = std::env::join_paths(paths).unwrap();
    run(generate.env("PATH", path).env("HOME", into)).await;
}

#[tokio::test]
#[ignore = "needs grpc-js"]
async fn a_client_generated_for_javascript_works() {
    let packages = tool("CAXTON_TEST_GRPC_JS");
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    let folder = tempfile::tempdir().unwrap();
    let modules = packages.join("node_modules");
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
    std::fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
    let template = "crates/caxton-gateway/tests/doors/clients/client.buf.gen.yaml";
    generate("proto", template, folder.path(), &modules.join(".bin")).await;
    let script = repository().join("crates/caxton-gateway/tests/doors/clients/client.mjs");
    let mut client = command(&tool("CAXTON_TEST_NODE"), &[]);
    client
        .arg(script)
        .args([&world.base, KEY])
        .arg(folder.path());
    assert_eq!(run(&mut client).await.trim(), "ok");
}

#[tokio::test]
#[ignore = "needs grpc-go"]
async fn a_client_generated_for_go_works() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    let folder = tempfile::tempdir().unwrap();
    let sources = repository().join("crates/caxton-gateway/tests/doors/clients/go");
    for name in ["main.go", "go.mod", "go.sum"] {
        std::fs::copy(sources.join(name), folder.path().join(name)).unwrap();
    }
    let template = "crates/caxton-gateway/tests/doors/clients/go/buf.gen.yaml";
    let plugins = tool("CAXTON_TEST_GRPC_GO");
    generate("proto", template, folder.path(), &plugins).await;
    let address = world.base.strip_prefix("http://").unwrap();
    let mut client = command(&tool("CAXTON_TEST_GO"), &["run", ".", address, KEY]);
    assert_eq!(run(client.current_dir(folder.path())).await.trim(), "ok");
}

/// What the sample of each language prints.
const SAMPLE: &str = "\
answer: hello
job: complete hello
stream: submitted
stream: running
stream: complete hello
error: CX-2020: there is no agent nobody
";

/// A sample's own files in a folder, where its code is generated beside them.
fn sample(language: &str, files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sources = repository().join("examples/clients").join(language);
    for file in files {
        std::fs::copy(sources.join(file), folder.path().join(file)).unwrap();
    }
    folder
}

#[tokio::test]
#[ignore = "needs grpc-python, grpc-js, grpc-go"]
async fn the_sample_clients_print_what_their_readme_shows() {
    let readme = repository().join("examples/clients/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    assert!(readme.contains(SAMPLE), "{readme}");
    let world = World::new().await;
    world.deploy("echo", "echo", "").await;
    let check = async |client: &mut Command| {
        client.env("CAXTON_SERVER", &world.base);
        assert_eq!(run(client.env("CAXTON_API_KEY", KEY)).await, SAMPLE);
    };

    let folder = sample("python", &["client.py"]);
    generate_for_python(folder.path()).await;
    let mut client = command(&tool("CAXTON_TEST_GRPC_PYTHON"), &["client.py"]);
    check(client.current_dir(folder.path())).await;

    let folder = sample("javascript", &["client.js", "package.json"]);
    let modules = tool("CAXTON_TEST_GRPC_JS").join("node_modules");
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
    let template = "examples/clients/javascript/buf.gen.yaml";
    for protos in ["proto", "examples/clients/javascript/proto"] {
        generate(protos, template, folder.path(), &modules.join(".bin")).await;
    }
    let mut client = command(&tool("CAXTON_TEST_NODE"), &["client.js"]);
    check(client.current_dir(folder.path())).await;

    let folder = sample("go", &["main.go", "go.mod", "go.sum"]);
    let template = "examples/clients/go/buf.gen.yaml";
    let plugins = tool("CAXTON_TEST_GRPC_GO");
    generate("proto", template, folder.path(), &plugins).await;
    let mut client = command(&tool("CAXTON_TEST_GO"), &["run", "."]);
    check(client.current_dir(folder.path())).await;
}

#[tokio::test]
#[ignore = "needs model-sdks"]
async fn the_providers_own_packages_for_python_work() {
    let python = tool("CAXTON_TEST_MODEL_SDKS");
    let world = crate::chat::world().await;
    let script = repository().join("crates/caxton-gateway/tests/doors/clients/models.py");
    let mut client = command(&python, &[]);
    client.arg(script).args([&world.base, KEY]);
    assert_eq!(run(&mut client).await.trim(), "ok");
}

#[tokio::test]
#[ignore = "needs model-sdks-js"]
async fn the_providers_own_packages_for_javascript_work() {
    let world = crate::chat::world().await;
    let script = repository().join("crates/caxton-gateway/tests/doors/clients/models.mjs");
    let mut client = command(&tool("CAXTON_TEST_NODE"), &[]);
    client.arg(script).args([&world.base, KEY]);
    client.arg(tool("CAXTON_TEST_MODEL_SDKS_JS"));
    assert_eq!(run(&mut client).await.trim(), "ok");
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_browser_lets_pages_of_the_configured_origin_in_and_no_others() {
    let (allowed, origin) = page().await;
    let (refused, _) = page().await;
    let world = World::with(|options| options.cors_origins = vec![origin]).await;
    world.deploy("a", "echo", "").await;
    let look = async |page: &str| {
        let home = tempfile::tempdir().unwrap();
        let profile = format!("--user-data-dir={}", home.path().display());
        let url = format!("{page}#{} {KEY}", world.base);
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            &profile,
            "--dump-dom",
            &url,
        ];
        run(&mut command(&tool("CAXTON_TEST_CHROMIUM"), &args)).await
    };
    // A preflight, the request itself, and what its answer says; then a socket.
    let seen = look(&allowed).await;
    assert!(seen.contains("fetched 202 36 hears subscribed"), "{seen}");
    let seen = look(&refused).await;
    assert!(seen.contains("fetch failed closed"), "{seen}");
}

/// A page on a site of its own, which calls the server its address names; and its origin.
async fn page() -> (String, String) {
    const PAGE: &str = include_str!("clients/page.html");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let said = Arc::new(tokio::sync::Notify::new());
    let hold = Arc::clone(&said);
    let router = axum::Router::new()
        .route("/", get(|| async { axum::response::Html(PAGE) }))
        .route("/hold", get(move || async move { hold.notified().await }))
        .route("/release", get(move || async move { said.notify_one() }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("{origin}/"), origin)
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_browser_shows_the_contract_under_the_pages_own_policy() {
    let world = World::new().await;
    let home = tempfile::tempdir().unwrap();
    let profile = format!("--user-data-dir={}", home.path().display());
    let url = format!("{}/docs/", world.base);
    let args = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--virtual-time-budget=20000",
        &profile,
        "--dump-dom",
        &url,
    ];
    let seen = run(&mut command(&tool("CAXTON_TEST_CHROMIUM"), &args)).await;
    for part in ["Caxton", "/v1/agents", "opblock-get", "Authorize"] {
        assert!(seen.contains(part), "no {part}: {seen}");
    }
}

#[tokio::test]
#[ignore = "needs buf"]
async fn buf_calls_by_reflection() {
    let buf = tool("CAXTON_TEST_BUF");
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    let auth = format!("Authorization: Bearer {KEY}");
    let url = format!("{}/caxton.v1.CaxtonManagement/SendMessage", world.base);
    let body = r#"{"message": {"performative": "request", "receiver": [{"name": "a"}], "content": "hi"}, "wait": "20s"}"#;
    let args = [
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        "--reflect-header",
        &auth,
        "-H",
        &auth,
        "-d",
        body,
        &url,
    ];
    let home = tempfile::tempdir().unwrap();
    let told = run(command(&buf, &args).env("HOME", home.path())).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["reply"]["content"], "hi");
}

#[tokio::test]
#[ignore = "needs kubelet-prober"]
async fn the_kubelet_reads_the_probes_as_meant() {
    let prober = tool("CAXTON_TEST_KUBELET_PROBER");
    let secured = Secured::new().await;
    let limit = Duration::from_millis(300);
    let world = World::with(|options| options.probe_timeout = limit).await;
    let ask = async |base: &str| {
        let paths = [
            "/livez",
            "/readyz",
            "/startupz",
            "/health",
            "/ready?verbose",
        ];
        let addresses = paths.map(|path| format!("{base}{path}"));
        let told = run(command(&prober, &[]).args(addresses)).await;
        let results = told
            .lines()
            .map(|it| it.split(' ').next().unwrap().to_owned());
        (results.collect::<Vec<_>>(), told)
    };
    assert_eq!(ask(&world.base).await.0, ["success"; 5]);
    assert_eq!(ask(&secured.url()).await.0, ["success"; 5]);
    // A component that hangs is told within the kubelet's second, and kills nothing.
    world
        .store_hangs
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let (results, told) = ask(&world.base).await;
    assert_eq!(
        results,
        ["success", "failure", "success", "success", "failure"]
    );
    assert_eq!(told.matches("statuscode: 503").count(), 2, "{told}");
}

#[tokio::test]
#[ignore = "needs sslyze"]
async fn a_scanner_finds_tls_1_3_and_nothing_weak() {
    let sslyze = tool("CAXTON_TEST_SSLYZE");
    let secured = Secured::new().await;
    let address = secured.url().replace("https://", "");
    let ca = secured.path("ca.pem");
    let report = secured.path("report.json");
    let scans = [
        "--sslv2",
        "--sslv3",
        "--tlsv1",
        "--tlsv1_1",
        "--tlsv1_2",
        "--tlsv1_3",
        "--certinfo",
        "--heartbleed",
        "--openssl_ccs",
        "--robot",
        "--compression",
        "--reneg",
        "--early_data",
        "--fallback",
        "--mozilla_config",
        "disable",
        "--certinfo_ca_file",
        &ca,
        "--json_out",
        &report,
        "--quiet",
        &address,
    ];
    run(&mut command(&sslyze, &scans)).await;
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let scanned = &report["server_scan_results"][0];
    assert_eq!(scanned["scan_status"], "COMPLETED", "{scanned}");
    let found = &scanned["scan_result"];
    let result = |name: &str| {
        let scan = &found[name];
        assert_eq!(scan["status"], "COMPLETED", "{name}: {scan}");
        scan["result"].clone()
    };
    let suites = |version: &str| {
        let accepted = result(&format!("{version}_cipher_suites"));
        accepted["accepted_cipher_suites"].as_array().unwrap().len()
    };
    for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2"] {
        assert_eq!(suites(old), 0, "{old}");
    }
    assert_eq!(suites("tls_1_3"), 3);
    assert_eq!(result("heartbleed")["is_vulnerable_to_heartbleed"], false);
    assert_eq!(
        result("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"],
        false
    );
    assert_eq!(result("tls_compression")["supports_compression"], false);
    assert_eq!(result("tls_1_3_early_data")["supports_early_data"], false);
    let reneg = result("session_renegotiation");
    assert_eq!(reneg["is_vulnerable_to_client_renegotiation_dos"], false);
    let deployed = &result("certificate_info")["certificate_deployments"][0];
    let verified = deployed["path_validation_results"]
        .as_array()
        .unwrap()
        .iter();
    let trusted = verified
        .filter(|it| it["was_validation_successful"] == true)
        .count();
    assert_eq!(
        trusted, 1,
        "the authority that was named, and no other: {deployed}"
    );
}

#[tokio::test]
#[ignore = "needs openapi-validator"]
async fn the_document_is_openapi_3_1() {
    let validator = tool("CAXTON_TEST_OPENAPI_VALIDATOR");
    let document = repository().join("docs/openapi.json");
    let text: Value = serde_json::from_slice(&std::fs::read(&document).unwrap()).unwrap();
    assert!(text["openapi"].as_str().unwrap().starts_with("3.1."));
    run(command(&validator, &["--schema", "3.1"]).arg(document)).await;
}

/// The provider as a process of its own, and what it said of itself.
async fn provider() -> (tokio::process::Child, impl Sized, Value) {
    let node = tool("CAXTON_TEST_NODE");
    let script = repository().join("crates/caxton-gateway/tests/doors/clients/provider.cjs");
    let mut child = Command::new(node)
        .arg(script)
        .current_dir(tool("CAXTON_TEST_OIDC_PROVIDER"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = guard(lines.next_line()).await.unwrap();
        if let Ok(said) = serde_json::from_str(&line.expect("the provider ended")) {
            // Whoever closes its output ends it.
            return (child, lines, said);
        }
    }
}

#[tokio::test]
#[ignore = "needs oidc-provider, curl"]
async fn tokens_of_a_real_provider_are_verified_and_refreshed() {
    let (_child, _output, said) = provider().await;
    let issuer = said["issuer"].as_str().unwrap().to_owned();
    let configured = Issuer {
        issuer: issuer.clone(),
        audience: "caxton".to_owned(),
        keys: KeySource::Discovery,
        algorithms: vec!["RS256".parse().unwrap()],
        tenant: TenantOf::Claim("org".to_owned()),
        role_claim: "scope".to_owned(),
        roles: [("viewer".to_owned(), "viewer".to_owned())].into(),
    };
    let authenticator = |clock: Arc<dyn Clock>, issuer: Issuer| {
        let fetch = Arc::new(HttpFetch::new(None).unwrap());
        JwtAuthenticator::new(vec![issuer], fetch, clock).unwrap()
    };
    let now = authenticator(Arc::new(SystemClock), configured.clone());
    let token = async |form: &[(&str, &str)]| {
        let mut asked = command(&tool("CAXTON_TEST_CURL"), &["-sSf"]);
        asked.args(["-u", "reporter:secret-of-the-reporter"]);
        for (name, value) in form {
            asked.args([
                OsStr::new("--data-urlencode"),
                format!("{name}={value}").as_ref(),
            ]);
        }
        let told = run(asked.arg(format!("{issuer}/token"))).await;
        serde_json::from_str::<Value>(&told).unwrap()
    };
    let granted = token(&[("grant_type", "client_credentials"), ("scope", "viewer")]).await;
    let access = granted["access_token"].as_str().unwrap();
    let verified = guard(now.verify(access)).await.unwrap();
    assert_eq!(verified.issuer, issuer);
    assert_eq!(verified.subject, "reporter");
    assert_eq!(verified.tenant.as_deref(), Some("acme"));
    assert_eq!(verified.roles, ["viewer"]);

    // Ten minutes and the leeway later it has expired, and the client asks for another.
    let later = Arc::new(ManualClock::new(SystemClock.now()));
    later.advance(Duration::from_secs(661));
    let later = authenticator(later, configured.clone());
    assert_eq!(guard(later.verify(access)).await, Err(Refused::Expired));
    let refresh = said["refresh"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let refreshed = token(&form).await;
    let access = refreshed["access_token"].as_str().unwrap();
    let verified = guard(now.verify(access)).await.unwrap();
    assert_eq!(verified.subject, "user-7");
    assert_eq!(verified.tenant.as_deref(), Some("acme"));

    // An id token of the same provider is for the client, not for this server.
    let id = refreshed["id_token"].as_str().unwrap();
    assert_eq!(guard(now.verify(id)).await, Err(Refused::Audience));
    let other = Issuer {
        audience: "billing".to_owned(),
        ..configured
    };
    let other = authenticator(Arc::new(SystemClock), other);
    assert_eq!(guard(other.verify(access)).await, Err(Refused::Audience));
    assert_eq!(json!(refreshed["token_type"]), "Bearer");
}
