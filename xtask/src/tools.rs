//! Programs that some tests need beside Rust, found on the machine or installed.
//!
//! A test that needs one is marked `#[ignore = "needs NAME"]` (several: `needs node, chromium`) and
//! reads the variables its tools set. Plain `cargo test` therefore shows it as ignored with the
//! reason; `cargo xtask test` provides the tool and runs the test, or lists it as skipped. What goes
//! into the project goes into `.caxton-tools/`; system packages only as root or with `--yes`.

mod packages;

use crate::repo;
use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One program, or set of files, that tests may ask for.
pub struct Tool {
    /// As it stands in `needs NAME`.
    pub name: &'static str,
    /// Finds or installs it; gives the variables its tests read.
    provide: fn(&Workshop) -> anyhow::Result<Variables>,
}

/// Environment variables for the tests, all beginning with `CAXTON_TEST_`.
pub type Variables = Vec<(&'static str, PathBuf)>;

/// The variables of several tools together.
pub type VariableMap = BTreeMap<&'static str, PathBuf>;

const TOOLS: &[Tool] = &[
    Tool {
        name: "erlang",
        provide: erlang,
    },
    Tool {
        name: "nginx",
        provide: nginx,
    },
    Tool {
        name: "litellm",
        provide: packages::litellm,
    },
    Tool {
        name: "fixtures",
        provide: fixtures,
    },
    Tool {
        name: "chromium",
        provide: chromium,
    },
    Tool {
        name: "jade",
        provide: jade,
    },
    Tool {
        name: "node",
        provide: node,
    },
    Tool {
        name: "python",
        provide: python,
    },
    Tool {
        name: "buf",
        provide: packages::buf,
    },
    Tool {
        name: "curl",
        provide: packages::curl,
    },
    Tool {
        name: "grpc-go",
        provide: packages::grpc_go,
    },
    Tool {
        name: "grpc-js",
        provide: packages::grpc_js,
    },
    Tool {
        name: "grpc-python",
        provide: packages::grpc_python,
    },
    Tool {
        name: "kubelet-prober",
        provide: packages::kubelet_prober,
    },
    Tool {
        name: "mcp-conformance",
        provide: packages::mcp_conformance,
    },
    Tool {
        name: "mcp-inspector",
        provide: packages::mcp_inspector,
    },
    Tool {
        name: "mcp-python",
        provide: packages::mcp_python,
    },
    Tool {
        name: "mcp-servers",
        provide: packages::mcp_servers,
    },
    Tool {
        name: "model-sdks",
        provide: packages::model_sdks,
    },
    Tool {
        name: "model-sdks-js",
        provide: packages::model_sdks_js,
    },
    Tool {
        name: "oidc-provider",
        provide: packages::oidc_provider,
    },
    Tool {
        name: "openapi-validator",
        provide: packages::openapi_validator,
    },
    Tool {
        name: "promtool",
        provide: packages::promtool,
    },
    Tool {
        name: "schemathesis",
        provide: packages::schemathesis,
    },
    Tool {
        name: "sslyze",
        provide: packages::sslyze,
    },
    Tool {
        name: "py-echo",
        provide: py_echo,
    },
    Tool {
        name: "py-reader",
        provide: py_reader,
    },
    Tool {
        name: "ts-echo",
        provide: ts_echo,
    },
    Tool {
        name: "ts-reader",
        provide: ts_reader,
    },
];

pub fn by_name(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// The tools a test's `#[ignore]` reason asks for; `None` when it is ignored for another reason.
pub fn needs(reason: &str) -> Option<Vec<&str>> {
    let names = reason.strip_prefix("needs ")?;
    Some(names.split(',').map(str::trim).collect())
}

impl Tool {
    /// The variables for this tool's tests. One that the caller has set already is taken as it is.
    pub fn provide(&self, workshop: &Workshop) -> anyhow::Result<Variables> {
        let variables = (self.provide)(workshop)?;
        for (name, path) in &variables {
            if !path.exists() {
                bail!("{name} names {}, which does not exist", path.display());
            }
        }
        Ok(variables)
    }
}

/// Where tools are put, and what may be done to get them.
pub struct Workshop {
    folder: PathBuf,
    packages_allowed: bool,
}

impl Workshop {
    /// `yes`: system packages may be installed by somebody who is not root, through sudo.
    pub fn open(yes: bool) -> anyhow::Result<Workshop> {
        let folder = repo::root()?.join(".caxton-tools");
        Ok(Workshop {
            folder,
            packages_allowed: yes || is_root(),
        })
    }

    /// A program on `PATH`, or after the installation of the Debian package that has it.
    fn program(&self, names: &[&str], package: &str) -> anyhow::Result<PathBuf> {
        let find = || names.iter().find_map(|name| repo::find_program(name));
        if let Some(path) = find() {
            return Ok(path);
        }
        self.install(package)?;
        find().with_context(|| format!("package {package} brought no {}", names.join(" or ")))
    }

    fn install(&self, package: &str) -> anyhow::Result<()> {
        if repo::find_program("apt-get").is_none() {
            bail!("not found, and this is no Debian system: install {package} yourself");
        }
        if !self.packages_allowed {
            bail!("not found; `cargo xtask test --yes` would install the package {package}");
        }
        let apt_get = |args: &[&str]| {
            let mut command = Command::new(if is_root() { "apt-get" } else { "sudo" });
            if !is_root() {
                command.arg("apt-get");
            }
            command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
            run_quietly(&mut command)
        };
        println!("installing the system package {package}");
        apt_get(&["update", "-qq"])?;
        apt_get(&["install", "-y", "-qq", "--no-install-recommends", package])
    }
}

/// The example agents' components, built again from their sources.
fn fixtures(workshop: &Workshop) -> anyhow::Result<Variables> {
    let folder = match given("CAXTON_TEST_FIXTURES") {
        Some(path) => path,
        None => {
            let folder = workshop.folder.join("fixtures");
            let out = folder.to_str().context("the project's path is not UTF-8")?;
            let mut args = vec!["--out".to_string(), out.to_string()];
            if workshop.packages_allowed {
                args.push("--yes".to_string());
            }
            crate::fixtures::run(&args)?;
            folder
        }
    };
    Ok(vec![("CAXTON_TEST_FIXTURES", folder)])
}

/// The TypeScript echo's component.
fn ts_echo(workshop: &Workshop) -> anyhow::Result<Variables> {
    typescript(workshop, "CAXTON_TEST_TS_ECHO", "ts-echo")
}

/// The component of the agent in TypeScript that calls a tool.
fn ts_reader(workshop: &Workshop) -> anyhow::Result<Variables> {
    typescript(workshop, "CAXTON_TEST_TS_READER", "ts-reader")
}

/// The Python echo's component.
fn py_echo(workshop: &Workshop) -> anyhow::Result<Variables> {
    in_python(workshop, "CAXTON_TEST_PY_ECHO", "py-echo")
}

/// The component of the agent in Python that calls a tool.
fn py_reader(workshop: &Workshop) -> anyhow::Result<Variables> {
    in_python(workshop, "CAXTON_TEST_PY_READER", "py-reader")
}

/// An example's component, built with npm, as all of TypeScript are.
fn typescript(
    workshop: &Workshop,
    variable: &'static str,
    example: &str,
) -> anyhow::Result<Variables> {
    if let Some(path) = given(variable) {
        return Ok(vec![(variable, path)]);
    }
    node(workshop)?;
    workshop.program(&["npm"], "npm")?;
    crate::fixtures::run(&["--ts".to_string()])?;
    Ok(vec![(variable, component(example)?)])
}

/// An example's component, built with componentize-py, as all of Python are.
fn in_python(
    workshop: &Workshop,
    variable: &'static str,
    example: &str,
) -> anyhow::Result<Variables> {
    if let Some(path) = given(variable) {
        return Ok(vec![(variable, path)]);
    }
    python(workshop)?;
    crate::fixtures::run(&["--py".to_string()])?;
    Ok(vec![(variable, component(example)?)])
}

fn component(example: &str) -> anyhow::Result<PathBuf> {
    let file = format!("examples/{example}/{example}.wasm");
    Ok(repo::root()?.join(file))
}

/// Erlang's virtual machine, which the bench compares with; its compiler lies beside it.
fn erlang(workshop: &Workshop) -> anyhow::Result<Variables> {
    let erl = match given("CAXTON_TEST_ERL") {
        Some(path) => path,
        None => workshop.program(&["erl"], "erlang-base")?,
    };
    Ok(vec![("CAXTON_TEST_ERL", erl)])
}

/// nginx, which the bench compares the gateway with.
fn nginx(_workshop: &Workshop) -> anyhow::Result<Variables> {
    let nginx = match given("CAXTON_TEST_NGINX") {
        Some(path) => path,
        // Not installed for anybody: Debian starts it as a service, on port 80 of every address.
        None => repo::find_program("nginx")
            .or_else(|| repo::find_program("/usr/sbin/nginx"))
            .context("not found (Debian's nginx-light)")?,
    };
    Ok(vec![("CAXTON_TEST_NGINX", nginx)])
}

fn node(workshop: &Workshop) -> anyhow::Result<Variables> {
    let node = match given("CAXTON_TEST_NODE") {
        Some(path) => path,
        None => workshop.program(&["node", "nodejs"], "nodejs")?,
    };
    Ok(vec![("CAXTON_TEST_NODE", node)])
}

fn python(workshop: &Workshop) -> anyhow::Result<Variables> {
    let python = match given("CAXTON_TEST_PYTHON") {
        Some(path) => path,
        None => workshop.program(&["python3"], "python3")?,
    };
    Ok(vec![("CAXTON_TEST_PYTHON", python)])
}

fn chromium(workshop: &Workshop) -> anyhow::Result<Variables> {
    let chromium = match given("CAXTON_TEST_CHROMIUM") {
        Some(path) => path,
        None => workshop.program(
            &["chromium", "chromium-browser", "google-chrome"],
            "chromium",
        )?,
    };
    Ok(vec![("CAXTON_TEST_CHROMIUM", chromium)])
}

/// JADE, whose codec is an independent reading of FIPA-ACL's string form, and a JDK: the test
/// compiles a few lines of Java against it.
fn jade(workshop: &Workshop) -> anyhow::Result<Variables> {
    const VERSION: &str = "4.3";
    let java = match given("CAXTON_TEST_JAVA") {
        Some(path) => path,
        None => workshop.program(&["java"], "default-jdk-headless")?,
    };
    let jar = match given("CAXTON_TEST_JADE_JAR") {
        Some(path) => path,
        None => {
            let coordinates = format!("net.sf.ingenias:jade:{VERSION}");
            let jar = workshop
                .folder
                .join("jade")
                .join(format!("jade-{VERSION}.jar"));
            if !jar.is_file() {
                let maven = workshop.program(&["mvn"], "maven")?;
                maven_copy(&maven, &coordinates, &jar)?;
            }
            jar
        }
    };
    Ok(vec![
        ("CAXTON_TEST_JAVA", java),
        ("CAXTON_TEST_JADE_JAR", jar),
    ])
}

fn maven_copy(maven: &Path, coordinates: &str, jar: &Path) -> anyhow::Result<()> {
    let folder = jar.parent().context("a jar lies in a folder")?;
    std::fs::create_dir_all(folder)?;
    println!("fetching {coordinates}");
    let mut command = Command::new(maven);
    command
        .args(["-q", "-B", "dependency:copy"])
        .arg(format!("-Dartifact={coordinates}"))
        .arg(format!("-DoutputDirectory={}", folder.display()))
        // Outside any Maven project, so that none is looked for above this repository.
        .current_dir(folder);
    run_quietly(&mut command)
}

/// What the caller set by hand wins over what would be found.
fn given(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Runs a program and shows what it said only when it failed.
fn run_quietly(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("said nothing");
    bail!("{name} failed ({}): {}", output.status, last.trim())
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // The owner of this process's own entry; std has no call for the user id.
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_reason_names_tools_or_is_another_reason() {
        assert_eq!(needs("needs node"), Some(vec!["node"]));
        assert_eq!(
            needs("needs node, chromium"),
            Some(vec!["node", "chromium"])
        );
        assert_eq!(needs("takes an hour"), None);
        assert_eq!(needs("needs"), None);
    }

    #[test]
    fn a_program_that_cannot_be_had_is_an_error_that_says_what_to_do() {
        let workshop = Workshop {
            folder: PathBuf::new(),
            packages_allowed: false,
        };
        let error = workshop
            .program(&["no-such-program"], "some-package")
            .unwrap_err();
        assert!(error.to_string().contains("some-package"), "{error}");
        let found = workshop
            .program(&["no-such-program", "cargo"], "cargo")
            .unwrap();
        assert!(
            found.is_absolute() && found.is_file(),
            "{}",
            found.display()
        );
    }

    #[test]
    fn a_failing_program_is_reported_with_its_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo why >&2; exit 3"]);
        let error = run_quietly(&mut command).unwrap_err().to_string();
        assert!(error.contains("why") && !error.contains("first"), "{error}");
    }
}
