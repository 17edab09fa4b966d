//! Tools that come from the registries of Python, JavaScript and Go: each in a folder of its own in
//! `.caxton-tools/`, with its version pinned, fetched by the registry's ordinary client.

use super::{Variables, Workshop, given, node, python, run_quietly};
use crate::repo;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program or library of PyPI in a virtual environment, found under `CAXTON_TEST_*` by tests.
struct Pip {
    variable: &'static str,
    requirements: &'static [&'static str],
    /// What the test runs, in the environment's `bin`.
    program: &'static str,
}

/// TLS scanner.
pub fn sslyze(workshop: &Workshop) -> anyhow::Result<Variables> {
    pip(
        workshop,
        &Pip {
            variable: "CAXTON_TEST_SSLYZE",
            requirements: &["sslyze==6.3.1"],
            program: "sslyze",
        },
    )
}

/// The LiteLLM proxy, which the bench compares the gateway with.
pub fn litellm(workshop: &Workshop) -> anyhow::Result<Variables> {
    pip(
        workshop,
        &Pip {
            variable: "CAXTON_TEST_LITELLM",
            requirements: &["litellm[proxy]==1.106.2"],
            program: "litellm",
        },
    )
}

/// Generates requests from an OpenAPI document.
pub fn schemathesis(workshop: &Workshop) -> anyhow::Result<Variables> {
    pip(
        workshop,
        &Pip {
            variable: "CAXTON_TEST_SCHEMATHESIS",
            requirements: &["schemathesis==4.32.5"],
            program: "schemathesis",
        },
    )
}

/// Judges an OpenAPI document by the specification's own schema.
pub fn openapi_validator(workshop: &Workshop) -> anyhow::Result<Variables> {
    pip(
        workshop,
        &Pip {
            variable: "CAXTON_TEST_OPENAPI_VALIDATOR",
            requirements: &["openapi-spec-validator==0.9.0"],
            program: "openapi-spec-validator",
        },
    )
}

/// Python with the packages of the providers of models.
pub fn model_sdks(workshop: &Workshop) -> anyhow::Result<Variables> {
    pip(
        workshop,
        &Pip {
            variable: "CAXTON_TEST_MODEL_SDKS",
            requirements: &["openai==3.54.0", "anthropic==2.12.0"],
            program: "python",
        },
    )
}

/// The packages of the providers of models for JavaScript; the variable names their folder.
pub fn model_sdks_js(workshop: &Workshop) -> anyhow::Result<Variables> {
    const PACKAGES: &str = "openai@7.57.0 @anthropic-ai/sdk@1.12.0";
    let mut variables = node(workshop)?;
    let folder = npm(workshop, "CAXTON_TEST_MODEL_SDKS_JS", PACKAGES)?;
    variables.push(("CAXTON_TEST_MODEL_SDKS_JS", folder));
    Ok(variables)
}

/// The Model Context Protocol's reference servers; the variable names the folder of their packages.
pub fn mcp_servers(workshop: &Workshop) -> anyhow::Result<Variables> {
    const PACKAGES: &str = "@modelcontextprotocol/server-everything@2026.8.31 \
        @modelcontextprotocol/server-filesystem@2026.8.31";
    let mut variables = node(workshop)?;
    let folder = npm(workshop, "CAXTON_TEST_MCP_SERVERS", PACKAGES)?;
    variables.push(("CAXTON_TEST_MCP_SERVERS", folder));
    Ok(variables)
}

/// Python with the Model Context Protocol's own library.
pub fn mcp_python(workshop: &Workshop) -> anyhow::Result<Variables> {
    pip(
        workshop,
        &Pip {
            variable: "CAXTON_TEST_MCP_PYTHON",
            requirements: &["mcp==2.3.0"],
            program: "python",
        },
    )
}

/// The Model Context Protocol's conformance suite, and the newer Node that it needs.
pub fn mcp_conformance(workshop: &Workshop) -> anyhow::Result<Variables> {
    const SUITE: &str = "@modelcontextprotocol/conformance@0.1.16";
    with_node_22(workshop, "CAXTON_TEST_MCP_CONFORMANCE", SUITE)
}

/// The Model Context Protocol's inspector, whose command line is a client, and the Node that it needs.
pub fn mcp_inspector(workshop: &Workshop) -> anyhow::Result<Variables> {
    const INSPECTOR: &str = "@modelcontextprotocol/inspector@2.12.0";
    with_node_22(workshop, "CAXTON_TEST_MCP_INSPECTOR", INSPECTOR)
}

/// The folder that a package of npm was installed in, beside a Node of version 22.
fn with_node_22(
    workshop: &Workshop,
    variable: &'static str,
    package: &str,
) -> anyhow::Result<Variables> {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    let node = format!("node-linux-{architecture}");
    let folder = npm(workshop, variable, &format!("{package} {node}@22.23.3"))?;
    let node = folder.join("node_modules").join(node).join("bin/node");
    Ok(vec![(variable, folder), ("CAXTON_TEST_NODE_22", node)])
}

/// Python with gRPC and its code generator.
pub fn grpc_python(workshop: &Workshop) -> anyhow::Result<Variables> {
    pip(
        workshop,
        &Pip {
            variable: "CAXTON_TEST_GRPC_PYTHON",
            requirements: &[
                "grpcio==1.85.1",
                "grpcio-tools==1.85.1",
                "googleapis-common-protos==1.76.0",
            ],
            program: "python",
        },
    )
}

fn pip(workshop: &Workshop, what: &Pip) -> anyhow::Result<Variables> {
    if let Some(path) = given(what.variable) {
        return Ok(vec![(what.variable, path)]);
    }
    let (_, python) = python(workshop)?
        .into_iter()
        .next()
        .context("no python was found")?;
    // Not by the program, which for two of them is python itself.
    let first = what.requirements.first().copied().unwrap_or_default();
    let name = first.split("==").next().unwrap_or_default();
    let folder = workshop.folder.join("python").join(name);
    let bin = folder.join("bin");
    // Written last, so that what was interrupted is done again; another version too.
    let mark = folder.join("installed");
    let wanted = what.requirements.join("\n");
    if std::fs::read_to_string(&mark).unwrap_or_default() != wanted {
        println!("fetching {}", what.requirements.join(", "));
        run_quietly(
            Command::new(python)
                .args(["-m", "venv", "--clear"])
                .arg(&folder),
        )?;
        let mut install = Command::new(bin.join("python"));
        install.args(["-m", "pip", "install", "--quiet"]);
        run_quietly(install.args(what.requirements))?;
        std::fs::write(&mark, &wanted)?;
    }
    Ok(vec![(what.variable, bin.join(what.program))])
}

/// A real OpenID Connect provider; the variable names the folder to run node in.
pub fn oidc_provider(workshop: &Workshop) -> anyhow::Result<Variables> {
    let mut variables = node(workshop)?;
    let folder = npm(
        workshop,
        "CAXTON_TEST_OIDC_PROVIDER",
        "oidc-provider@9.13.3",
    )?;
    variables.push(("CAXTON_TEST_OIDC_PROVIDER", folder));
    Ok(variables)
}

/// The protobuf tool: looks for breaking changes, and calls gRPC by reflection.
pub fn buf(workshop: &Workshop) -> anyhow::Result<Variables> {
    const VARIABLE: &str = "CAXTON_TEST_BUF";
    if let Some(path) = given(VARIABLE) {
        return Ok(vec![(VARIABLE, path)]);
    }
    let folder = npm(workshop, VARIABLE, "@bufbuild/buf@1.75.0")?;
    Ok(vec![(VARIABLE, folder.join("node_modules/.bin/buf"))])
}

/// gRPC for JavaScript and its code generator; the variable names the folder of their packages.
pub fn grpc_js(workshop: &Workshop) -> anyhow::Result<Variables> {
    const PACKAGES: &str = "@bufbuild/protobuf@2.17.0 @bufbuild/protoc-gen-es@2.13.0 \
        @connectrpc/connect@2.1.2 @connectrpc/connect-node@2.1.2";
    let mut variables = node(workshop)?;
    variables.extend(buf(workshop)?);
    let folder = npm(workshop, "CAXTON_TEST_GRPC_JS", PACKAGES)?;
    variables.push(("CAXTON_TEST_GRPC_JS", folder));
    Ok(variables)
}

/// Go, and its code generators for protobuf and gRPC in one folder.
pub fn grpc_go(workshop: &Workshop) -> anyhow::Result<Variables> {
    const PLUGINS: &[&str] = &[
        "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
        "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
    ];
    let mut variables = buf(workshop)?;
    let go = workshop.program(&["go"], "golang-go")?;
    let plugins = match given("CAXTON_TEST_GRPC_GO") {
        Some(folder) => folder,
        None => {
            let folder = workshop.folder.join("go");
            for plugin in PLUGINS {
                let mut install = Command::new(&go);
                run_quietly(install.args(["install", plugin]).env("GOBIN", &folder))?;
            }
            folder
        }
    };
    variables.extend([("CAXTON_TEST_GO", go), ("CAXTON_TEST_GRPC_GO", plugins)]);
    Ok(variables)
}

/// The folder that packages of npm, parted by spaces, were installed in.
fn npm(workshop: &Workshop, variable: &str, package: &str) -> anyhow::Result<PathBuf> {
    if let Some(folder) = given(variable) {
        return Ok(folder);
    }
    let first = package.split(' ').next().unwrap_or_default();
    let name = first.trim_start_matches('@').replace(['/', '@'], "-");
    let folder = workshop.folder.join("npm").join(name);
    if !folder.join("node_modules").is_dir() {
        println!("fetching {package}");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
        let npm = workshop.program(&["npm"], "npm")?;
        let mut install = Command::new(npm);
        install.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]);
        run_quietly(install.args(package.split(' ')).current_dir(&folder))?;
    }
    Ok(folder)
}

/// The kubelet's own prober, built from the sources beside the gateway's tests.
pub fn kubelet_prober(workshop: &Workshop) -> anyhow::Result<Variables> {
    const VARIABLE: &str = "CAXTON_TEST_KUBELET_PROBER";
    if let Some(path) = given(VARIABLE) {
        return Ok(vec![(VARIABLE, path)]);
    }
    let go = workshop.program(&["go"], "golang-go")?;
    let sources = repo::root()?.join("crates/caxton-gateway/tests/kubelet");
    let program = workshop.folder.join("kubelet").join("prober");
    // Go's own cache makes a second build instant.
    build(&go, &sources, &program)?;
    Ok(vec![(VARIABLE, program)])
}

fn build(go: &Path, sources: &Path, program: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(go);
    command.args(["build", "-o"]).arg(program).arg(".");
    run_quietly(command.current_dir(sources))
}

/// Prometheus' own check of alert rules.
pub fn promtool(workshop: &Workshop) -> anyhow::Result<Variables> {
    const VARIABLE: &str = "CAXTON_TEST_PROMTOOL";
    let promtool = match given(VARIABLE) {
        Some(path) => path,
        None => workshop.program(&["promtool"], "prometheus")?,
    };
    Ok(vec![(VARIABLE, promtool)])
}

pub fn curl(workshop: &Workshop) -> anyhow::Result<Variables> {
    const VARIABLE: &str = "CAXTON_TEST_CURL";
    let curl = match given(VARIABLE) {
        Some(path) => path,
        None => workshop.program(&["curl"], "curl")?,
    };
    Ok(vec![(VARIABLE, curl)])
}
